"""Gather what the 安全加固报告 says, from the records alone, and hand it to the renderers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from agent import __version__
from agent.contract.hardening import credit
from agent.flows import report as scans
from agent.flows.hardening_rows import leave_of, step_rows, tx_row, waves_of
from agent.flows.judge import SHANGHAI
from agent.model.asset import Database
from agent.model.change import Risk
from agent.model.control import Verdict
from agent.model.errors import AgentError
from agent.model.finding import Finding, FindingKind
from agent.model.hardening import ClosureRecord, Leave, TxRecord
from agent.model.hardenreport import HardenReport, HardenTarget, ItemRow, PasswordRow
from agent.model.report import Parties
from agent.model.text import one_line
from agent.report import Rendered, render_harden
from agent.store import changes, runs

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agent.app import App
    from agent.model.control import Control
    from agent.store.runs import Run

_PASSWORDS = {"pwquality", "faillock", "login_defs", "pam_profile", "account", "sql_account"}
"""Resource types whose controls make the password policy, where their clause is about identification."""
_CLAUSES = ("8.1.4.1-a", "8.1.4.1-b")
_BY_KIND = {
    FindingKind.UPDATE: "软件包数据库与软件源、漏洞库比对",
    FindingKind.EXPOSURE: "核对监听端口与网络应答",
    FindingKind.COVERAGE: "下一轮扫描",
}


def gather(app: App, run_id: str) -> HardenReport:
    """Everything that the 安全加固报告 of a finished hardening says.

    Raises:
        AgentError: no such run, it is no hardening, or it is not finished.
    """
    run = runs.run_by_id(app.store, run_id)
    if run.kind != "harden":
        raise AgentError("this run is no hardening", where=run_id, remedy="agent report scan --run RUN")
    if run.state != "closed":
        raise AgentError("this hardening is not finished", where=run_id, remedy=f"agent harden --resume {run_id}")
    transactions = changes.of_run(app.store, run_id)
    closures = changes.closures(app.store, run_id)
    scan, verify = _other(app, run, "scan"), _other(app, run, "verify")
    found = {each.key: each for each in (runs.findings(app.store, scan.id) if scan else ())}
    leave = leave_of(run.plan.get("leave"))
    targets = _targets(app, run, scan, closures, transactions)
    parties = Parties(**{each.name: getattr(app.contract, each.name) for each in fields(Parties)})
    started = run.started_at.astimezone(SHANGHAI)
    period = next((item for item in app.periods if item.id == run.period), None)
    cited = _cited(run, leave, transactions, closures)
    head = app.ledger.entries()[-1]
    return HardenReport(
        number=f"{app.contract.harden_prefix}-{started:%Y%m%d}-{run_id[-4:].upper()}",
        parties=parties,
        period_title=period.title if period else "日常加固",
        run=run_id,
        scan=scan.id if scan else str(run.plan.get("scan", "")),
        verify=verify.id if verify else "",
        profile=str(run.plan.get("profile", "")),
        started=run.started_at,
        finished=run.finished_at or run.started_at,
        operator=scans.person(app, run.operator),
        agent_version=__version__,
        plan_digest=str(run.plan.get("plan_digest", "")),
        scan_findings=len(found),
        leave=leave,
        stopped=one_line(str(run.plan.get("stopped", ""))),
        targets=targets,
        closures=tuple(closures),
        items=_items(app, closures, found, transactions),
        steps=tuple(step_rows(transactions)),
        transactions=tuple(map(tx_row, transactions)),
        passwords=_passwords(app, verify, targets),
        waves=waves_of(run.plan.get("waves", ())),
        credit=credit(
            {each.name: each.kind for each in targets}, app.contract.terms.hardening, leave, transactions, closures
        ),
        ledger_head=head.hash,
        ledger_seq=head.seq,
        key_fingerprint=app.ledger.keys.public.fingerprint,
        evidence=tuple(
            (item.seq, _named(app, item.kind, item.seq), item.hash)
            for item in app.ledger.entries()
            if item.seq in cited
        ),
        notes=tuple(_notes(closures, transactions, found, targets)),
    )


def render(app: App, run_id: str, formats: Sequence[str], host: str = "") -> Rendered:
    """Write the report under state/reports/RUN/.

    Raises:
        AgentError: the run is not finished, or `host` is no target of it.
        ReportError: reconciliation failed; nothing is left under the final name.
    """
    report = gather(app, run_id)
    if host and host not in {target.name for target in report.targets}:
        raise AgentError(f"{host!r} is no target of this run", where=run_id, remedy="see `agent inventory list`")
    out = app.state / "reports" / run_id
    out.mkdir(parents=True, exist_ok=True, mode=0o700)
    return render_harden(report, out, formats=tuple(formats), templates=scans.templates(app), host=host)


def _other(app: App, run: Run, key: str) -> Run | None:
    name = str(run.plan.get(key) or "")
    return runs.run_by_id(app.store, name) if name else None


def _targets(
    app: App, run: Run, scan: Run | None, closures: Iterable[ClosureRecord], transactions: Iterable[TxRecord]
) -> tuple[HardenTarget, ...]:
    """Every target of a closure or a transaction, in declared order; one that left the inventory keeps its name."""
    named = dict.fromkeys(each.target for each in closures)
    named |= dict.fromkeys(one.item.target or each.host for each in transactions for one in each.planned)
    homes, unread = dict(run.plan.get("hosts") or {}), dict(run.plan.get("unread") or {})
    seen: Mapping[str, Any] = scan.summary.get("per_target", {}) if scan else {}
    rows = []
    for target in app.inventory.targets:
        if named.pop(target.name, "") is None:
            home = target.host if isinstance(target, Database) else target.name
            where = target.address or (f"{target.host}（本机回环）" if isinstance(target, Database) else "")
            system = one_line(str(seen.get(target.name, {}).get("os", "")))
            rows.append(
                HardenTarget(
                    target.name,
                    where,
                    target.kind,
                    str(homes.get(target.name, home)),
                    system,
                    target.zone,
                    target.owner,
                    target.importance,
                    one_line(str(unread.get(home, ""))),
                )
            )
    gone = "（已不在资产清单中）"
    rows += [HardenTarget(name, gone, "host", str(homes.get(name, name)), "", "", "", "") for name in named]
    return tuple(rows)


def _items(
    app: App, closures: Iterable[ClosureRecord], found: Mapping[str, Finding], transactions: Iterable[TxRecord]
) -> tuple[ItemRow, ...]:
    controls = {control.id: control for control in app.controls}
    risks: dict[str, dict[Risk, None]] = {}
    for record in transactions:
        for one in record.planned:
            mine = risks.setdefault(one.item.control, {})
            mine |= dict.fromkeys((*one.item.risk, *(risk for step in one.steps for risk in step.risk)))
    groups: dict[str, list[ClosureRecord]] = {}
    for each in closures:
        groups.setdefault(each.check, []).append(each)
    rows = []
    for check, mine_closed in groups.items():
        told = [found[each.finding] for each in mine_closed if each.finding in found]
        control = controls.get(check)
        declared = [Risk(each) for each in control.risk] if control else []
        rows.append(
            ItemRow(
                check,
                mine_closed[0].title,
                min((each.severity for each in mine_closed), key=lambda severity: severity.rank),
                told[0].clause if told else control.clause if control else "",
                tuple(dict.fromkeys(cve for each in told for cve in each.cves)),
                tuple(dict.fromkeys((*declared, *risks.get(check, ())))),
                _method(control, told[0] if told else None),
                told[0].remedy if told else "",
                tuple(dict.fromkeys(each.target for each in mine_closed)),
            )
        )
    return tuple(rows)


def _method(control: Control | None, finding: Finding | None) -> str:
    """How the value is read, in words: the same before and after."""
    if control is None:
        return _BY_KIND.get(finding.kind, "重新核查") if finding else "重新核查"
    if control.read.kind == "table":
        keys = f"：{'、'.join(control.read.keys[:3])}" if control.read.keys else ""
        return f"采集表 {control.read.table}{keys}"
    if control.read.kind == "sql":
        return f"查询：{one_line(control.read.text, 80)}"
    return f"检查脚本 {control.id}"


def about_passwords(control: Control) -> bool:
    """Whether a control is of the password undertaking: length, classes, age, history, lockout, accounts' own."""
    if not control.clause.startswith(_CLAUSES):
        return False
    return control.fix.get("resource") in _PASSWORDS or control.target in {"mysql", "postgresql"}


def _passwords(app: App, verify: Run | None, targets: Sequence[HardenTarget]) -> tuple[PasswordRow, ...]:
    if verify is None:
        return ()
    controls = {control.id: control for control in app.controls if about_passwords(control)}
    names = {target.name for target in targets}

    def row(verdict: Verdict) -> PasswordRow:
        told = verdict.actual or verdict.reason
        title = controls[verdict.control].title
        return PasswordRow(
            verdict.control, title, verdict.expected, verdict.target, verdict.location, verdict.outcome, told
        )

    judged = runs.verdicts(app.store, verify.id)
    return tuple(row(each) for each in judged if each.control in controls and each.target in names)


def _cited(
    run: Run, leave: Leave | None, transactions: Iterable[TxRecord], closures: Iterable[ClosureRecord]
) -> set[int]:
    cited = set(leave.evidence if leave else ())
    if isinstance(run.plan.get("plan_evidence"), int):
        cited.add(run.plan["plan_evidence"])
    for record in transactions:
        cited.update(record.evidence)
    for closure in closures:
        cited.update(closure.evidence_before, closure.evidence_after)
    return cited


def _named(app: App, kind: str, seq: int) -> str:
    if kind.startswith("change") and kind != "change-plan":
        return f"加固下发与应答 {app.ledger.subject(seq)}".strip()
    words = {"change-plan": "加固方案", "ticket": "工单", "application": "重启申请"}
    return f"{words[kind]} {app.ledger.subject(seq)}".strip(" @") if kind in words else scans.named(app, kind, seq)


def _notes(
    closures: Sequence[ClosureRecord],
    transactions: Iterable[TxRecord],
    found: Mapping[str, Finding],
    targets: Sequence[HardenTarget],
) -> Iterable[str]:
    """What the report must say of its own records."""
    closed = {each.finding for each in closures}
    names = {target.name for target in targets}
    left = sum(each.target in names and key not in closed for key, each in found.items())
    if left:
        yield f"所列目标在扫描批次中另有 {left} 项发现不在本次加固的选择之内，没有纳入闭环。"
    late = [each.id for each in transactions if each.reverted_by]
    if late:
        yield f"下列事务在确认之后又被回退，见失败与回退一节：{'、'.join(late)}。"
