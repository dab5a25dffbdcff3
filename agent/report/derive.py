"""From a ScanReport to its View; pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from agent.model.asset import Layer
from agent.model.control import Outcome, Verdict
from agent.model.errors import ReportError
from agent.model.finding import Change, Finding, FindingState
from agent.model.report import ScanReport, TargetRow
from agent.model.severity import Severity
from agent.report.view import (
    CategoryView,
    ChangeGroup,
    Count,
    CveList,
    FindingView,
    LayerView,
    MissingView,
    Remedy,
    SpreadView,
    TargetView,
    View,
)
from agent.report.words import IMPORTANCE, KINDS, MANY, STATES, about_accounts, category, names, percent, spans
from agent.report.work import WORK, order

_OUTCOMES = {
    Outcome.PASS: "通过",
    Outcome.FAIL: "不符合",
    Outcome.MANUAL: "待人工判定",
    Outcome.ERROR: "检查出错",
    Outcome.NOT_APPLICABLE: "不适用",
}
_BATCHES = {Severity.CRITICAL: "第一批", Severity.HIGH: "第一批", Severity.MEDIUM: "第二批"}


# Looked up some ten thousand times; `Severity.rank` lists the grades anew at each.
_RANK = {severity: index for index, severity in enumerate(Severity)}
_PLACE = {layer: index for index, layer in enumerate(Layer)}


def narrowed(report: ScanReport, host: str) -> ScanReport:
    """The report of one target alone (单机报告).

    Raises:
        ReportError: the run has no such target.
    """
    rows = tuple(row for row in report.targets if row.name == host)
    if not rows:
        known = "、".join(row.name for row in report.targets)
        raise ReportError(f"no target {host!r} in run {report.run}", remedy=f"name one of: {known}")
    findings = tuple(item for item in report.findings if item.target == host)
    cited = {seq for row in rows for seq in row.evidence} | {seq for item in findings for seq in item.evidence}
    return replace(
        report,
        targets=rows,
        findings=findings,
        verdicts=tuple(item for item in report.verdicts if item.target == host),
        unreached=tuple(item for item in report.unreached if item.target == host),
        exceptions=tuple(item for item in report.exceptions if item.target in {host, "*"}),
        changes=tuple(item for item in report.changes if item.finding.target == host),
        evidence=tuple(item for item in report.evidence if item[0] in cited),
        trend=(),
    )


def _counts(findings: Iterable[Finding]) -> tuple[int, ...]:
    counted = Counter(item.severity for item in findings)
    return tuple(counted[severity] for severity in Severity)


def _missing(report: ScanReport) -> tuple[MissingView, ...]:
    address = {row.name: row.address for row in report.targets}
    said = {(item.target, item.layer.value) for item in report.unreached}
    listed = [
        MissingView(item.target, address.get(item.target, ""), item.layer.zh, item.reason.zh, item.detail)
        for item in report.unreached
    ]
    for row in report.targets:  # a layer that is neither seen nor excused must not vanish
        for layer in row.layers:
            if layer not in row.seen and (row.name, layer) not in said:
                word = Layer(layer).zh
                listed.append(MissingView(row.name, row.address, word, "未记录原因", "该层面已申报但本次没有结果"))
    return tuple(listed)


def _numbered(report: ScanReport) -> dict[str, list[FindingView]]:
    """Findings by target in the order in which their rows stand, numbered through."""
    words = {item.finding.key: item.change.value for item in report.changes}
    by_target: dict[str, list[Finding]] = {row.name: [] for row in report.targets}
    for item in report.findings:
        if item.target not in by_target:
            raise ReportError(f"a finding names target {item.target!r}, which is not in the run", where=item.check)
        by_target[item.target].append(item)
    number = 0
    views: dict[str, list[FindingView]] = {}
    for name, found in by_target.items():
        views[name] = []
        for item in sorted(found, key=lambda f: (_PLACE[f.layer], _RANK[f.severity], f.check, f.location)):
            number += 1
            shown = item.cves if len(item.cves) <= MANY else item.cves[:MANY]
            key, more = item.key, len(item.cves) - len(shown)
            views[name].append(FindingView(number, key, item, STATES[item.state], words.get(key, ""), shown, more))
    return views


def _open(findings: Iterable[Finding]) -> list[Finding]:
    """What is to be mended: neither accepted, nor waiting for a person's judgement, nor without a verdict."""
    return [item for item in findings if item.state is FindingState.OPEN]


def _grade(findings: Sequence[Finding], *, seen: bool, whole: bool) -> tuple[str, str]:
    if not seen:
        return "未扫描", "unknown"
    if not findings:  # what was not looked at must not look clean
        return ("未发现", "good") if whole else ("未扫全", "unknown")
    worst = min((item.severity for item in findings), key=_RANK.__getitem__)
    return worst.zh, worst.value


def _others(views: Sequence[FindingView]) -> str:
    states = Counter(view.state for view in views if view.finding.state is not FindingState.OPEN)
    return "、".join(f"{word} {states[word]} 项" for word in STATES.values() if states[word])


def _target(
    row: TargetRow, number: int, views: Sequence[FindingView], missing: Sequence[MissingView], errors: Sequence[Verdict]
) -> TargetView:
    found = _open(view.finding for view in views)
    why: dict[str, str] = {}
    for item in missing:
        why[item.layer] = f"{item.reason}：{item.detail}" if item.detail else item.reason
    layers = []
    for layer in Layer:
        rows = tuple(view for view in views if view.finding.layer is layer)
        if layer.value in row.layers or rows:
            excuse = "" if layer.value in row.seen else why.get(layer.zh, "")
            layers.append(LayerView(layer.zh, not excuse, excuse, rows, len(_open(view.finding for view in rows))))
    lacking = "、".join(Layer(layer).zh for layer in row.layers if layer not in row.seen)
    grade, css = _grade(found, seen=bool(row.seen), whole=not lacking)
    return TargetView(
        row=row,
        number=number,
        kind=KINDS.get(row.kind, row.kind),
        importance=IMPORTANCE.get(row.importance, row.importance),
        grade=grade,
        css=css,
        counts=_counts(found),
        total=len(found),
        others=_others(views),
        layers=tuple(layers),
        missing=lacking,
        errors=tuple(errors),
    )


def _targets(report: ScanReport, missing: Sequence[MissingView], errors: Sequence[Verdict]) -> tuple[TargetView, ...]:
    views = _numbered(report)
    unseen, broken = defaultdict(list), defaultdict(list)
    for gap in missing:
        unseen[gap.target].append(gap)
    for verdict in errors:
        broken[verdict.target].append(verdict)
    return tuple(
        _target(row, number, views[row.name], unseen[row.name], broken[row.name])
        for number, row in enumerate(report.targets, 1)
    )


def _categories(report: ScanReport) -> tuple[CategoryView, ...]:
    groups = defaultdict(list)
    for item in _open(report.findings):
        groups[category(item)].append(item)
    ordered = sorted(groups.items(), key=lambda pair: (-len(pair[1]), pair[0]))
    whole = sum(map(len, groups.values()))
    return tuple(
        CategoryView(
            label, _counts(found), len(found), len({item.target for item in found}), percent(len(found), whole)
        )
        for label, found in ordered
    )


def _by_check(findings: Iterable[Finding]) -> list[list[Finding]]:
    """Findings of one check and severity together, worst and most widespread first."""
    groups = defaultdict(list)
    for item in findings:
        groups[item.check, item.severity].append(item)
    return sorted(
        groups.values(),
        key=lambda found: (_RANK[found[0].severity], -len({item.target for item in found}), found[0].check),
    )


def _spread(report: ScanReport) -> tuple[SpreadView, ...]:
    rows = []
    for found in _by_check(_open(report.findings)):
        targets = len({item.target for item in found})
        first = found[0]
        share = percent(targets, len(report.targets))
        rows.append(SpreadView(first.check, first.title, first.severity, targets, share, len(found)))
    return tuple(rows)


def _change_groups(report: ScanReport) -> tuple[ChangeGroup, ...]:
    rows = []
    for change in (Change.NEW, Change.RECURS, Change.FIXED, Change.UNSEEN):
        for found in _by_check(item.finding for item in report.changes if item.change is change):
            first, where = found[0], names(item.target for item in found)
            rows.append(ChangeGroup(change.value, first.check, first.title, first.severity, where, len(found)))
    return tuple(rows)


def _remedies(report: ScanReport) -> tuple[Remedy, ...]:
    rows = []
    for found in _by_check(_open(report.findings)):
        first = found[0]
        batch = _BATCHES.get(first.severity, "第三批")
        where = names(item.target for item in found)
        rows.append(Remedy(batch, first.check, first.title, first.remedy, first.severity, where, len(found)))
    return tuple(rows)


def _cve_lists(targets: Sequence[TargetView]) -> tuple[CveList, ...]:
    groups: dict[tuple[str, tuple[str, ...]], list[FindingView]] = defaultdict(list)
    for view in (view for target in targets for layer in target.layers for view in layer.findings):
        if view.more:
            groups[view.finding.check, view.finding.cves].append(view)
    return tuple(
        CveList(check, views[0].finding.title, spans(view.number for view in views), cves)
        for (check, cves), views in groups.items()
    )


def _layer_counts(report: ScanReport) -> tuple[Count, ...]:
    rows = []
    for layer in Layer:
        declared = sum(layer.value in row.layers for row in report.targets)
        seen = sum(layer.value in row.layers and layer.value in row.seen for row in report.targets)
        if declared:
            rows.append(Count(layer.zh, layer.value, seen, f"{seen}/{declared}"))
    return tuple(rows)


def derive(report: ScanReport, *, single: str = "") -> View:
    """Compute what the template shows.

    Raises:
        ReportError: a finding names a target that is not in the run.
    """
    missing = _missing(report)
    errors = tuple(item for item in report.verdicts if item.outcome is Outcome.ERROR)
    targets = _targets(report, missing, errors)
    total = len(report.findings)
    states = Counter(item.state for item in report.findings)
    outcomes = Counter(item.outcome for item in report.verdicts)
    changed = Counter(item.change for item in report.changes)
    weak = _open(report.findings)
    work = order(report.findings)
    grade, css = _grade(weak, seen=any(row.seen for row in report.targets), whole=not missing)
    accounts = tuple(
        view for target in targets for layer in target.layers for view in layer.findings if about_accounts(view.finding)
    )
    return View(
        total=total,
        weak=len(weak),
        severities=tuple(
            Count(severity.zh, severity.value, count, percent(count, len(weak)))
            for severity, count in zip(Severity, _counts(weak), strict=True)
        ),
        states=tuple(Count(word, key.value, states[key], percent(states[key], total)) for key, word in STATES.items()),
        grade=grade,
        css=css,
        hosts=sum(row.kind == "host" for row in report.targets),
        databases=sum(row.kind == "database" for row in report.targets),
        complete=sum(not target.missing for target in targets),
        layers=_layer_counts(report),
        checks=tuple(
            Count(word, key.value, outcomes[key], percent(outcomes[key], len(report.verdicts)))
            for key, word in _OUTCOMES.items()
        ),
        targets=targets,
        ranking=tuple(sorted(targets, key=lambda target: tuple(-count for count in target.counts))),
        categories=_categories(report),
        spread=_spread(report),
        accounts=accounts,
        weak_accounts=len(_open(view.finding for view in accounts)),
        missing=missing,
        errors=errors,
        first_round=not report.previous_run,
        changes=tuple(Count(change.value, change.name.lower(), changed[change], "") for change in Change),
        change_groups=_change_groups(report),
        remedies=_remedies(report),
        work=work[:WORK],
        work_more=max(0, len(work) - WORK),
        cve_lists=_cve_lists(targets),
        single=single,
    )
