"""From a HardenReport to its view; pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date

from agent.model.change import Closure, TxState
from agent.model.errors import ReportError
from agent.model.hardening import ClosureRecord
from agent.model.hardenreport import HardenReport, HardenTarget, StepRow, TxRow
from agent.model.severity import Severity
from agent.report import hardentables
from agent.report.hardenview import (
    ChangeView,
    ClosureView,
    GradeRow,
    HardenView,
    HostView,
    ItemView,
    LeftView,
    TxView,
)
from agent.report.hardenwords import ARMED, CLOSURES, GROUPS_ZH, IMPACT, METHODS, TX, reads
from agent.report.view import Count
from agent.report.words import IMPORTANCE, KINDS, MANY, names, percent

_RANK = {severity: index for index, severity in enumerate(Severity)}
_ORDER = {closure: index for index, closure in enumerate(Closure)}
_SHOWN = 6
"""Targets named in a narrow column; the rest is counted, and each stands in its own annex."""
_STUCK = (Closure.ROLLED_BACK, Closure.FAILED, Closure.UNVERIFIED)


def narrowed(report: HardenReport, host: str) -> HardenReport:
    """The report of one target alone.

    Raises:
        ReportError: the run has no such target.
    """
    rows = tuple(row for row in report.targets if row.name == host)
    if not rows:
        known = "、".join(row.name for row in report.targets)
        raise ReportError(f"no target {host!r} in run {report.run}", remedy=f"name one of: {known}")
    closures = tuple(each for each in report.closures if each.target == host)
    mine = {each.transaction for each in report.steps if each.target == host}
    transactions = tuple(each for each in report.transactions if each.id in mine or each.reverts in mine)
    checks = {each.check for each in closures}
    cited = {seq for each in closures for seq in (*each.evidence_before, *each.evidence_after)}
    cited |= {seq for each in transactions for seq in each.evidence} | set(
        report.leave.evidence if report.leave else ()
    )
    at = rows[0].host
    return replace(
        report,
        targets=rows,
        closures=closures,
        items=tuple(replace(each, targets=(host,)) for each in report.items if each.check in checks),
        steps=tuple(each for each in report.steps if each.target == host),
        transactions=transactions,
        passwords=tuple(each for each in report.passwords if each.target == host),
        waves=tuple(
            replace(
                wave,
                hosts=(at,),
                before=tuple(each for each in wave.before if each.host == at),
                after=tuple(each for each in wave.after if each.host == at),
            )
            for wave in report.waves
            if at in wave.hosts
        ),
        credit=replace(report.credit, rows=tuple(each for each in report.credit.rows if each.target == host)),
        evidence=tuple(each for each in report.evidence if each[0] in cited),
    )


def derive(report: HardenReport, *, single: str = "") -> HardenView:
    """Compute what the template shows.

    Raises:
        ReportError: a closure names a target that is not in the run.
    """
    views = _numbered(report)
    done = Counter(each.closure for each in report.closures)
    total, fixed = len(report.closures), done[Closure.FIXED]
    txs = tuple(_tx(each) for each in report.transactions)
    words = {each.row.id: each.state for each in txs}
    return HardenView(
        total=total,
        fixed=fixed,
        share=percent(fixed, total),
        states=tuple(Count(each.value, CLOSURES[each], done[each], percent(done[each], total)) for each in Closure),
        grades=_grades(report.closures),
        hosts=sum(each.kind == "host" for each in report.targets),
        databases=sum(each.kind == "database" for each in report.targets),
        targets=tuple(
            _host(report, row, number, views[row.name], words) for number, row in enumerate(report.targets, 1)
        ),
        items=_items(report),
        changes=_changes(report),
        changed=sum(each.state is TxState.CONFIRMED and not each.reverted_by for each in report.steps),
        operations=tuple(each for each in txs if each.row.sent_at),
        backups=tuple(each for each in txs if each.row.state is TxState.CONFIRMED and not each.row.reverts),
        failures=tuple(
            each for each in txs if each.row.state is not TxState.CONFIRMED or each.row.reverts or each.row.reverted_by
        ),
        stuck=_left(report.closures, _STUCK),
        reboots=_left(report.closures, (Closure.REBOOT,)),
        residual=_left(report.closures, [each for each in Closure if each is not Closure.FIXED]),
        policy=hardentables.policy(report.passwords),
        policy_targets=hardentables.policy_targets([row.name for row in report.targets], report.passwords),
        health=tuple(hardentables.health(report)),
        credit=tuple(hardentables.earned(each) for each in report.credit.rows),
        quota=hardentables.quota(report),
        signed=bool(report.leave and report.leave.ticket and report.leave.ticket.signed),
        single=single,
    )


def _numbered(report: HardenReport) -> dict[str, list[ClosureView]]:
    """Closures by target in the order in which their rows stand, numbered through."""
    by_target: dict[str, list[ClosureRecord]] = {row.name: [] for row in report.targets}
    for each in report.closures:
        if each.target not in by_target:
            raise ReportError(f"a closure names target {each.target!r}, which is not in the run", where=each.check)
        by_target[each.target].append(each)
    methods = {each.check: each.method for each in report.items}
    number = 0
    views: dict[str, list[ClosureView]] = {}
    for name, found in by_target.items():
        views[name] = []
        ordered = sorted(found, key=lambda c: (_ORDER[c.closure], _RANK[c.severity], c.check, c.location, c.finding))
        for each in ordered:
            number += 1
            views[name].append(ClosureView(number, each, CLOSURES[each.closure], methods.get(each.check, "重新核查")))
    return views


def _grades(closures: Iterable[ClosureRecord]) -> tuple[GradeRow, ...]:
    counted: dict[Severity, Counter[Closure]] = defaultdict(Counter)
    for each in closures:
        counted[each.severity][each.closure] += 1
    rows = []
    for severity in Severity:
        mine = counted[severity]
        rows.append(
            GradeRow(
                severity,
                tuple(mine[each] for each in Closure),
                mine.total(),
                percent(mine[Closure.FIXED], mine.total()),
            )
        )
    return tuple(rows)


def _items(report: HardenReport) -> tuple[ItemView, ...]:
    ended: dict[str, Counter[Closure]] = defaultdict(Counter)
    for each in report.closures:
        ended[each.check][each.closure] += 1
    rows = []
    for number, row in enumerate(sorted(report.items, key=lambda r: (_RANK[r.severity], r.check)), 1):
        shown = row.cves if len(row.cves) <= MANY else row.cves[:MANY]
        impact = "；".join(dict.fromkeys(IMPACT[each] for each in row.risk)) or "无已知影响"
        rows.append(
            ItemView(
                number,
                row,
                shown,
                len(row.cves) - len(shown),
                impact,
                _where(row.targets, len(report.targets)),
                ended[row.check].total(),
                ended[row.check][Closure.FIXED],
            )
        )
    return tuple(rows)


def _where(targets: Sequence[str], every: int) -> str:
    """Targets in a narrow column."""
    if every > _SHOWN and len(set(targets)) == every:
        return f"全部 {every} 个目标"
    return names(targets, _SHOWN)


def _result(row: StepRow) -> tuple[str, str]:
    if row.reverted_by:
        return "已回退", "high"
    if row.state is TxState.CONFIRMED:
        return "已执行" if row.irreversible else "已确认", "good"
    return TX[row.state]


def _changes(report: HardenReport) -> tuple[ChangeView, ...]:
    """The same change on several targets is one row; nothing that was begun is left out."""
    groups: dict[tuple[str, ...], list[StepRow]] = defaultdict(list)
    for each in report.steps:
        word, css = _result(each)
        key = (each.control, each.name, each.before, each.after, each.source, each.resource, word, css, each.note)
        groups[key].append(each)
    methods = {each.check: each.method for each in report.items}
    rows = []
    for (control, name, before, after, source, resource, word, css, note), found in groups.items():
        method = METHODS.get(resource) or methods.get(control) or reads(resource)
        where = [each.target for each in found]
        rows.append(
            ChangeView(
                control,
                found[0].title,
                name,
                before,
                after,
                source,
                method,
                word,
                css,
                _where(where, len(report.targets)),
                len(set(where)),
                note,
            )
        )
    return tuple(sorted(rows, key=lambda row: (row.css != "good", row.control, row.name, -row.count)))


def _tx(row: TxRow) -> TxView:
    word, css = TX[row.state]
    if row.reverted_by:
        word, css = f"已由 {row.reverted_by} 回退", "high"
    elif row.reverts:
        word = f"回退 {row.reverts}：{word}"
    answer = row.why or ("新登录核验：" + "、".join(row.ways) if row.ways else "—")
    undo = f"agent rollback {row.id}"
    if row.irreversible:
        undo = "不可回退：" + "；".join(row.irreversible)
    return TxView(
        row,
        GROUPS_ZH.get(row.group, row.group),
        word,
        css,
        answer,
        row.handles,
        undo,
        ARMED.get(row.armed_by, "未布设"),
    )


def _left(closures: Iterable[ClosureRecord], states: Sequence[Closure]) -> tuple[LeftView, ...]:
    groups: dict[tuple[Closure, str, str, Severity, str], list[ClosureRecord]] = defaultdict(list)
    for each in closures:
        if each.closure in states:
            groups[each.closure, each.check, each.title, each.severity, each.reason].append(each)
    rows = []
    for (closure, check, title, severity, reason), found in groups.items():
        days: list[date] = [each.due for each in found if each.due]
        where = names((each.target for each in found), _SHOWN)
        rows.append(
            LeftView(
                closure.value,
                CLOSURES[closure],
                check,
                title,
                severity,
                reason,
                where,
                len(found),
                min(days, default=None),
            )
        )
    order = {each.value: place for place, each in enumerate(Closure)}
    return tuple(sorted(rows, key=lambda row: (_RANK[row.severity], order[row.state], row.check)))


def _host(
    report: HardenReport, row: HardenTarget, number: int, views: Sequence[ClosureView], words: Mapping[str, str]
) -> HostView:
    done = Counter(each.record.closure for each in views)
    waves = [str(wave.number) for wave in report.waves if row.host in wave.hosts]
    mine = dict.fromkeys(each.transaction for each in report.steps if each.target == row.name)
    states = Counter(words[each] for each in mine if each in words)
    earned = next((each for each in report.credit.rows if each.target == row.name), None)
    return HostView(
        row=row,
        number=number,
        kind=KINDS.get(row.kind, row.kind),
        importance=IMPORTANCE.get(row.importance, row.importance),
        wave="、".join(waves) or "—",
        counts=tuple(Count(each.value, CLOSURES[each], done[each], "") for each in Closure if done[each]),
        fixed=done[Closure.FIXED],
        total=len(views),
        transactions="、".join(f"{state} {count} 个" for state, count in states.items()) or "没有事务",
        credit="计入" if earned and earned.counts else "不计入",
        css="good" if earned and earned.counts else "high",
        closures=tuple(views),
    )
