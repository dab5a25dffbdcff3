"""`agent run-due`: what cron or a systemd timer calls."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from agent.cli.ending import interruptible, leave
from agent.cli.main import Exit, say

if TYPE_CHECKING:
    from agent.app import App
    from agent.jobs import Ran


def tick(app: App) -> tuple[list[Ran], list[str]]:
    """Run what is due; return what was run and the jobs that wait for confirmation. Raises AgentError."""
    from agent.jobs import plan, run_due

    def runner(job: str) -> str:
        from agent.flows import jobs as flow

        return flow.run(app, job)

    planned = plan(app.periods)
    now = app.clock()
    ran = run_due(
        app.store,
        planned,
        app.clock,
        runner,
        told=lambda one: say(f"{one.job}: begins ({one.period.title})", err=True),
    )
    waiting = [one.job for one in planned if one.waiting and one.due_at <= now < one.until]
    return ran, waiting


def tell(ran: list[Ran], waiting: list[str]) -> None:
    """Print what became of each job, one line each; alarms go to standard error."""
    for one in ran:
        words = {"due": "failed, will be tried again", "failed": "ALARM: given up", "lost": "taken over by another"}
        click.echo(f"{one.job}: {words.get(one.state, one.state)}: {one.result}", err=one.state == "failed")
    for job in waiting:
        click.echo(f"{job}: waiting for confirmation of the dates in periods.yaml", err=True)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.pass_obj
def command(app: App, as_json: bool) -> int:
    """Run what is due now, each job once, whoever else asks at the same time.

    Exit codes: 0 all is done, 1 a job waits for confirmation, 3 a job failed.
    """
    try:
        with interruptible():
            ran, waiting = tick(app)
    except KeyboardInterrupt:
        say("interrupted while a job ran; it is gone on with at the next call", err=True)
        leave()
    if as_json:
        rows = [{"job": r.job, "state": r.state, "attempt": r.attempt, "result": r.result} for r in ran]
        click.echo(json.dumps({"ran": rows, "waiting": waiting}, ensure_ascii=False, indent=2))
    else:
        tell(ran, waiting)
    if any(one.state in {"due", "failed"} for one in ran):
        return Exit.INCOMPLETE
    return Exit.FINDINGS if waiting else Exit.CLEAN
