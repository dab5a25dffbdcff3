"""`agent findings`: list, explain one with its evidence, compare rounds, accept a risk, export."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.cli.main import Exit

if TYPE_CHECKING:
    from datetime import datetime

    from agent.app import App
    from agent.model.finding import Finding
    from agent.store.runs import Run

GRADES = ("critical", "high", "medium", "low", "info")
LAYERS = ("host", "middleware", "database", "network")
KINDS = ("control", "update", "exposure", "coverage")
STATES = ("open", "manual", "unknown", "accepted")
FORMATS = ("json", "csv", "sarif", "cyclonedx", "openvex", "csaf-vex")


def _shown(finding: Finding) -> dict[str, Any]:
    return {"key": finding.key, **asdict(finding)}


@click.group("findings", invoke_without_command=True)
@click.option("--run", "run_id", help="The scan (default: the newest finished one).")
@click.option("--target", "targets", multiple=True, help="Only this target; may be given again.")
@click.option("--severity", "severities", multiple=True, type=click.Choice(GRADES), help="Only this grade.")
@click.option("--layer", "layers", multiple=True, type=click.Choice(LAYERS), help="Only this layer.")
@click.option("--kind", "kinds", multiple=True, type=click.Choice(KINDS), help="Only this kind.")
@click.option("--state", "states", multiple=True, type=click.Choice(STATES), help="Only this state.")
@click.option("--check", default="", help="Only checks whose id begins so.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a finding, one a line.")
@click.pass_context
def command(
    ctx: click.Context,
    run_id: str | None,
    targets: tuple[str, ...],
    severities: tuple[str, ...],
    layers: tuple[str, ...],
    kinds: tuple[str, ...],
    states: tuple[str, ...],
    check: str,
    as_json: bool,
) -> int | None:
    """List the findings of a scan; with a verb, explain, compare, accept or export."""
    if ctx.invoked_subcommand:
        return None
    from agent.flows.findings import Wanted, pick

    wanted = Wanted(targets, severities, layers, kinds, states, check)
    found, hits = pick(ctx.obj, run_id, wanted)
    if as_json:
        for item in hits:
            click.echo(json.dumps(_shown(item), ensure_ascii=False))
    else:
        _table(found, hits)
    return Exit.FINDINGS if hits else Exit.CLEAN


def _table(run_id: str, hits: list[Finding]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{run_id}: {len(hits)} findings", title_justify="left", pad_edge=False)
    for name in ("key", "grade", "target", "layer", "check", "where", "title"):
        table.add_column(name, no_wrap=name in {"key", "grade", "target"}, overflow="fold")
    for item in hits:
        table.add_row(
            item.key[:8], item.severity.zh, item.target, item.layer.value, item.check, item.location, item.title
        )
    Console(width=None if sys.stdout.isatty() else 160, markup=False, highlight=False).print(table)


@command.command("explain")
@click.argument("key")
@click.option("--run", "run_id", help="The scan (default: the newest finished one).")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def explain(app: App, key: str, run_id: str | None, as_json: bool) -> None:
    """Everything about one finding: what was seen, what was wanted, from which evidence, how to mend it."""
    from agent.flows.findings import explain as look

    told = look(app, run_id, key)
    item = told.finding
    if as_json:
        click.echo(json.dumps(_shown(item) | {"entries": [asdict(e) for e in told.evidence]}, default=str))
        return
    rows = [
        ("finding", f"{item.key}  {item.severity.zh}  {item.state.value}"),
        ("title", item.title),
        ("target", f"{item.target}  {item.layer.value}  {item.location}".rstrip()),
        ("check", f"{item.check}  {item.clause}".rstrip()),
        ("actual", item.actual),
        ("expected", item.expected),
        ("remedy", item.remedy),
        ("cves", " ".join(item.cves)),
        ("detail", item.detail),
    ]
    if told.control:
        rows.append(
            ("read", told.control.read.text or f"{told.control.read.table}: {', '.join(told.control.read.keys)}")
        )
        rows.append(("risk", ", ".join(told.control.risk)))
    for name, text in rows:
        for index, line in enumerate(text.splitlines() if text else ()):
            click.echo(f"{name if index == 0 else '':<9} {line}")
    for entry in told.evidence:
        click.echo(f"evidence  {entry.seq}  {entry.kind}  {entry.at:%Y-%m-%dT%H:%M:%SZ}  {entry.hash}")
        click.echo(f"          agent evidence show {entry.seq}")


@command.command("runs")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a run, one a line.")
@click.pass_obj
def list_runs(app: App, as_json: bool) -> None:
    """List the scans and judgements of recorded answers, newest first; a scan that was cut off says how to go on."""
    from agent.cli.table import echo_table
    from agent.flows.judge import SHANGHAI
    from agent.store import runs

    rows = [*runs.latest_runs(app.store, "scan"), *runs.latest_runs(app.store, "rejudge")]
    rows.sort(key=lambda run: (run.started_at, run.id), reverse=True)
    if as_json:
        for run in rows:
            told = {"run": run.id, "state": run.state, "period": run.period, "started": run.started_at.isoformat()}
            if run.observed != run.id:
                told["of"] = run.observed
            click.echo(
                json.dumps(
                    told | {"scope": run.plan["scope"], "whole": "of" not in told and bool(run.plan.get("whole"))}
                )
            )
        return
    echo_table(
        ("run", "started", "period", "scope", "state"),
        [
            (
                run.id,
                f"{run.started_at.astimezone(SHANGHAI):%Y-%m-%d %H:%M}",
                run.period,
                str(run.plan["scope"]) if run.observed == run.id else f"rejudged {run.observed}",
                _state(run),
            )
            for run in rows
        ],
    )


def _state(run: Run) -> str:
    if run.state == "closed":
        return "finished"
    again = f"scan --resume {run.id}" if run.observed == run.id else f"findings rejudge {run.observed}"
    return f"cut off; agent {again}"


@command.command("compare")
@click.argument("run_a")
@click.argument("run_b")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def compare(app: App, run_a: str, run_b: str, as_json: bool) -> None:
    """What changed from RUN_A to RUN_B: 新增, 已修复, 仍存在, 复现, 未复核."""
    from agent.flows import compare as rounds

    rows = rounds.difference(rounds.load(app, run_b), [rounds.load(app, run_a)])
    if as_json:
        for row in rows:
            click.echo(json.dumps({"change": row.change.value, **_shown(row.finding)}, ensure_ascii=False))
        return
    for row in rows:
        item = row.finding
        click.echo(f"{row.change.value}  {item.key[:8]}  {item.severity.zh}  {item.target}  {item.check}  {item.title}")


@command.command("rejudge")
@click.argument("run_id", metavar="RUN")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a change, one a line.")
@click.pass_obj
def rejudge(app: App, run_id: str, as_json: bool) -> int:
    """Judge the recorded evidence of RUN again, with today's feeds and controls; no target is touched."""
    from agent.flows.rejudge import rejudge as again
    from agent.model.finding import Change

    done = again(app, run_id)
    news = [row for row in done.changes if row.change is not Change.REMAINS]
    for row in news:
        if as_json:
            click.echo(json.dumps({"run": done.run, "change": row.change.value, **_shown(row.finding)}, default=str))
        else:
            item = row.finding
            words = (row.change.value, item.key[:8], item.severity.zh, item.target, item.check, item.title)
            click.echo("  ".join(words))
    counts = {change: sum(row.change is change for row in done.changes) for change in Change}
    told = ", ".join(f"{change.value} {count}" for change, count in counts.items() if count)
    click.echo(f"{done.run}: {run_id} judged again: {told or 'nothing found'}", err=True)
    click.echo(f"agent findings --run {done.run}   agent report scan --run {done.run}", err=True)
    if not done.summary.complete:
        return Exit.INCOMPLETE
    return Exit.FINDINGS if counts[Change.NEW] else Exit.CLEAN


@command.command("accept")
@click.argument("key")
@click.option("--approver", required=True, help="Who allowed it (not who operates).")
@click.option("--expires", required=True, type=click.DateTime(["%Y-%m-%d"]), help="Last day on which it covers.")
@click.option("--reason", required=True, help="Why the risk is taken.")
@click.pass_obj
def accept(app: App, key: str, approver: str, expires: datetime, reason: str) -> None:
    """Accept a risk: written to exceptions.yaml, listed in every report, back as a finding after its expiry."""
    from agent.flows.findings import accept as take

    taken = take(app, key, approver=approver, expires=expires.date(), reason=reason)
    click.echo(f"exceptions.yaml: {taken.target} {taken.check} {taken.location} until {taken.expires}")
    click.echo("it is shown as accepted (unsigned: 未验签) from the next scan on")


@command.command("export")
@click.option("--format", "name", required=True, type=click.Choice(FORMATS), help="What the other tool reads.")
@click.option("--run", "run_id", help="The scan (default: the newest finished one).")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File to write (default, or `-`: print).")
@click.pass_obj
def export(app: App, name: str, run_id: str | None, output: Path | None) -> None:
    """Write the findings for other tools: JSON lines, CSV, SARIF, CycloneDX with VEX, OpenVEX or CSAF-VEX."""
    from agent.cli.output import put
    from agent.flows import exports
    from agent.flows.findings import Wanted, pick

    found, every = pick(app, run_id, Wanted())
    put(exports.pieces(exports.gather(app, found, every), name), output)
