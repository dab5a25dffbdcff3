"""Gather what the scan report says, from the records alone, and hand it to the renderers."""

from __future__ import annotations

from dataclasses import fields
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from agent.declared import load_people
from agent.flows import compare
from agent.flows.judge import SHANGHAI
from agent.judge import feedcover
from agent.model.asset import Database, Host, Layer
from agent.model.errors import AgentError
from agent.model.observation import Reason, Unreached
from agent.model.period import PeriodStatus
from agent.model.report import FeedRow, Parties, ScanReport, TargetRow, ToolRow
from agent.model.text import one_line
from agent.observe import network
from agent.report import Rendered, render_scan
from agent.store import runs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from agent.app import App
    from agent.model.asset import Target
    from agent.store.runs import Run

STATUS_ZH = {
    PeriodStatus.OFFICIAL: "官方公布",
    PeriodStatus.ESTIMATED: "预估（待确认）",
    PeriodStatus.CONFIRMED: "已确认",
}


def scan_report(app: App, run_id: str) -> ScanReport:
    """Everything that the 漏洞扫描报告 of a finished run says.

    Raises:
        AgentError: no such run, or it is not finished.
    """
    run = runs.run_by_id(app.store, run_id)
    if "layers" not in run.plan:
        raise AgentError("this run is no scan", where=run_id, remedy=f"agent report --run {run_id} picks the kind")
    if run.state != "closed":
        raise AgentError("this run is not finished", where=run_id, remedy=f"agent scan --resume {run_id}")
    mine = compare.load(app, run_id)
    earlier = compare.earlier_rounds(app, run_id)
    period = next((item for item in app.periods if item.id == run.period), None)
    entries = [item for item in app.ledger.entries(run=run.observed) if item.blob]
    head = app.ledger.entries()[-1]
    parties = Parties(**{each.name: getattr(app.contract, each.name) for each in fields(Parties)})
    started = run.started_at.astimezone(SHANGHAI)
    return ScanReport(
        number=f"{parties.number_prefix}-{started:%Y%m%d}-{run_id[-4:].upper()}",
        parties=parties,
        period_title=period.title if period else "日常扫描",
        period_dates=f"{period.start.isoformat()} 至 {period.end.isoformat()}" if period else "—",
        period_status=STATUS_ZH[period.status] if period else "—",
        run=run_id,
        started=run.started_at,
        finished=run.finished_at or run.started_at,
        operator=person(app, run.operator),
        scope=str(run.plan["scope"]),
        agent_version=str(run.summary.get("agent_version", "")),
        targets=_rows(app, run),
        findings=mine.findings,
        verdicts=tuple(runs.verdicts(app.store, run_id)),
        unreached=tuple(_unreached(item) for item in run.summary.get("unreached", ())),
        exceptions=app.exceptions,
        changes=compare.difference(mine, earlier),
        previous_run=earlier[0].id if earlier else "",
        trend=compare.trend(earlier),
        tools=_tools(app, run),
        feeds=_feeds(run, run.finished_at or run.started_at),
        ledger_head=head.hash,
        ledger_seq=head.seq,
        key_fingerprint=app.ledger.keys.public.fingerprint,
        evidence=tuple((item.seq, named(app, item.kind, item.seq), item.hash) for item in entries),
        notes=tuple(run.summary.get("notes", ())),
    )


def render(app: App, run_id: str, formats: Sequence[str], host: str = "") -> Rendered:
    """Write the report under state/reports/RUN/.

    Raises:
        AgentError: the run is not finished, or `host` is no target of it.
        ReportError: reconciliation failed; nothing is left under the final name.
    """
    report = scan_report(app, run_id)
    if host and host not in {target.name for target in report.targets}:
        raise AgentError(f"{host!r} is no target of this run", where=run_id, remedy="see `agent findings`")
    out = app.state / "reports" / run_id
    out.mkdir(parents=True, exist_ok=True, mode=0o700)
    return render_scan(report, out, formats=tuple(formats), templates=templates(app), host=host)


def templates(app: App) -> list[Path]:
    """The workspace's own folder of templates, if it has one."""
    own = app.root / "templates"
    return [own] if own.is_dir() else []


def _rows(app: App, run: Run) -> tuple[TargetRow, ...]:
    """A row for each target of the plan; one that left the inventory since keeps what the round recorded of it."""
    declared = {target.name for target in app.inventory.targets}
    rows = [_row(target, run) for target in app.inventory.targets if target.name in run.plan["targets"]]
    kinds = {task.target: task.kind for task in runs.tasks(app.store, run.id)}
    for name in run.plan["targets"]:
        if name in declared or name not in kinds:
            continue
        gone: Target = (
            Database(name, "", "", "（已不在资产清单中）")
            if kinds[name] == "database"
            else Host(name, "（已不在资产清单中）")
        )
        rows.append(_row(gone, run))
    return tuple(rows)


def _row(target: Target, run: Run) -> TargetRow:
    row: dict[str, Any] = run.summary.get("per_target", {}).get(target.name, {})
    counts = row.get("counts", {})
    unreached = {item["layer"] for item in run.summary.get("unreached", ()) if item["target"] == target.name}
    planned = [layer for layer in target.layers if layer.value in run.plan["layers"]]
    return TargetRow(
        name=target.name,
        address=target.address or (f"{target.host}（本机回环）" if isinstance(target, Database) else ""),
        kind=target.kind,
        os=one_line(row.get("os", "")),
        zone=target.zone,
        owner=target.owner,
        importance=target.importance,
        layers=tuple(Layer(layer).value for layer in planned),
        seen=tuple(layer for layer in row.get("seen", ()) if layer not in unreached),
        passed=counts.get("pass", 0),
        failed=counts.get("fail", 0),
        manual=counts.get("manual", 0),
        not_applicable=counts.get("not_applicable", 0),
        errored=counts.get("error", 0),
        evidence=tuple(row.get("evidence", ())),
        subjects=tuple(one_line(item) for item in row.get("subjects", ())),
    )


def person(app: App, login: str) -> str:
    """Who it was: the person whose login people.yaml names, else the bare login, said to be unregistered."""
    name = next((person.name for person in load_people(app.root) if person.login == login), "")
    return f"{name}（{login}）" if name else f"{login}（未登记人员）"


def _unreached(item: dict[str, str]) -> Unreached:
    return Unreached(item["target"], Layer(item["layer"]), Reason(item["reason"]), item["detail"])


def named(app: App, kind: str, seq: int) -> str:
    """What an entry of the ledger is, for the list of evidence."""
    words = {"host": "主机采集", "database": "数据库采集", "network": "网络扫描", "brought": "带回登记"}
    subject = app.ledger.subject(seq)
    return f"{words.get(kind, kind)} {'' if subject.startswith('@') else subject}".strip()


def _tools(app: App, run: Run) -> tuple[ToolRow, ...]:
    rows = [
        ToolRow("secops-agent", str(run.summary.get("agent_version", "")), f"检查项 {len(app.controls)} 条"),
        ToolRow("nmap", network.version(), "端口与服务识别；仅用允许清单内的脚本"),
    ]
    for name in ("paramiko", "psycopg", "PyMySQL", "cryptography"):
        try:
            rows.append(ToolRow(name, version(name)))
        except PackageNotFoundError:
            rows.append(ToolRow(name, "未安装"))
    return tuple(rows)


def _feeds(run: Run, judged: datetime) -> tuple[FeedRow, ...]:
    """The feeds that the run was judged with, as its summary keeps them."""
    return tuple(
        FeedRow(
            ecosystem=one_line(one["ecosystem"]),
            feed=one["feed"],
            source=one_line(one["source"], 60),
            records=one["records"],
            newest=one["newest"][:10],
            age_days=feedcover.age_days(one["newest"], judged),
            licence=one_line(one["licence"], 60),
            sha256=one["sha256"][:12],
            signature="未签名" if one["signature"] == "unsigned" else one["signature"][:16],
            imported=f"{one['imported_at'][:10]} {one_line(one['imported_by'], 40)}",
        )
        for one in run.summary.get("feeds", ())
    )


def shown_targets(targets: Sequence[Target]) -> str:
    """The scope in words: how many hosts and databases."""
    hosts = sum(isinstance(target, Host) for target in targets)
    return f"主机 {hosts} 台、数据库 {len(targets) - hosts} 个"
