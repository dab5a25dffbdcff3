"""`agent scan`: one round over the inventory, or what a killed one still lacks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from agent.cli.ending import interruptible, leave
from agent.cli.main import Exit, mute, say
from agent.cli.show import echo_summary, watcher

if TYPE_CHECKING:
    from agent.app import App
    from agent.flows.summary import Summary

LAYERS = ("host", "middleware", "database", "network")


@click.command("scan")
@click.option("--period", help="The important period it is for, e.g. lianghui (the next one of that name).")
@click.option("--target", "targets", multiple=True, help="Only this host or database; may be given again.")
@click.option("--group", "groups", multiple=True, help="Only hosts of this group; may be given again.")
@click.option("--layer", "layers", multiple=True, type=click.Choice(LAYERS), help="Only this layer.")
@click.option("--full-ports", is_flag=True, help="All 65,535 TCP ports instead of the top 1,000 and what listens.")
@click.option("--deadline", type=click.FloatRange(5, 3600), default=120.0, show_default=True, help="Seconds a target.")
@click.option("--resume", "run_id", help="Go on with a run that was cut off; finished targets are not done again.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@click.pass_obj
def command(
    app: App,
    period: str | None,
    targets: tuple[str, ...],
    groups: tuple[str, ...],
    layers: tuple[str, ...],
    full_ports: bool,
    deadline: float,
    run_id: str | None,
    as_json: bool,
) -> int:
    """Collect, seal and judge one round; nothing on a target is changed.

    Exit codes: 0 clean, 1 findings, 2 error, 3 something was not reached.
    """
    from agent.flows.engine import advance
    from agent.model.errors import AgentError
    from agent.store import runs

    if run_id and (period or targets or groups or layers or full_ports):
        raise click.UsageError("--resume goes with no other choice: the run keeps its own plan")
    if not run_id and not period:
        raise click.UsageError("name the period with --period (see `agent schedule show`), or a run with --resume")
    app.require_ops_location()
    if not run_id:
        run_id = _begin(app, period or "", targets, groups, layers, full_ports, deadline, quiet=as_json)
    try:
        with interruptible(), watcher(quiet=as_json) as watch:
            summary = advance(app, run_id, watch)
    except KeyboardInterrupt:
        say(f"\ninterrupted; what was sealed is kept. Go on with: agent scan --resume {run_id}", err=True)
        leave()
    except AgentError:
        if runs.run_by_id(app.store, run_id).state != "closed":
            say(f"once that is mended, go on with: agent scan --resume {run_id}", err=True)
        raise
    try:
        if as_json:
            click.echo(json.dumps(summary.to_dict(), ensure_ascii=False, default=str))
        else:
            echo_summary(app, summary)
    except BrokenPipeError:
        mute()  # the round counts all the same, and its exit code is the round's
    _settle(app, summary, quiet=as_json)
    if not summary.complete:
        return Exit.INCOMPLETE
    # what a person must judge, or what errored, is work left: never clean
    left = sum(count for state, count in summary.states.items() if state != "accepted")
    return Exit.FINDINGS if left else Exit.CLEAN


def _begin(
    app: App,
    name: str,
    targets: tuple[str, ...],
    groups: tuple[str, ...],
    layers: tuple[str, ...],
    full_ports: bool,
    deadline: float,
    *,
    quiet: bool,
) -> str:
    from agent.declared import resolve
    from agent.flows import report, scan
    from agent.flows.judge import SHANGHAI
    from agent.model.asset import Layer
    from agent.model.period import PeriodStatus

    period = resolve(app.periods, name, app.clock().astimezone(SHANGHAI).date())
    chosen = scan.select(app.inventory.targets, names=targets, groups=groups)
    whole = len(chosen) == len(app.inventory.targets) and not layers
    scope = f"{report.shown_targets(chosen)}（{'全部' if whole else '选定'}）"
    plan = scan.Plan(
        period.id,
        tuple(target.name for target in chosen),
        tuple(Layer(layer) for layer in layers) or tuple(Layer),
        scope,
        full_ports,
        deadline,
    )
    run_id = scan.begin(app, period, plan)
    if not quiet:
        say(f"period  {period.id}  {period.title}  {period.start} to {period.end} ({period.status.value})")
        if period.status is PeriodStatus.ESTIMATED:
            say("warning: these dates are estimated; confirm them in periods.yaml once announced", err=True)
        say(f"run     {run_id}  {len(chosen)} targets")
    return run_id


def _settle(app: App, summary: Summary, *, quiet: bool) -> None:
    """Let a whole round by hand count as the period's scheduled scan, once that is due; a partial one never does."""
    from agent.jobs import mark_done, plan
    from agent.model.errors import AgentError
    from agent.store import runs

    run = runs.run_by_id(app.store, summary.run)
    whole = {target.name for target in app.inventory.targets} == set(run.plan["targets"])
    if not (whole and len(run.plan["layers"]) == len(LAYERS) and summary.complete):
        return
    for job in plan(app.periods):
        if job.job == f"scan:{run.period}" and job.due_at <= app.clock() < job.until:
            try:
                mark_done(app.store, job, app.clock(), summary.run)
            except AgentError as error:
                say(f"schedule: {error.message}", err=True)
                continue
            if not quiet:
                say(f"schedule: {job.job} is done")
