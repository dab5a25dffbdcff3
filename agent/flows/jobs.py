"""What a due job does; called by run-due and watch with the job's name, e.g. `scan:lianghui-2027`."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from agent.flows import report, scan
from agent.flows.engine import advance
from agent.model.asset import Layer
from agent.model.errors import AgentError
from agent.store import runs

if TYPE_CHECKING:
    from agent.app import App
    from agent.model.period import Period

RESUMED_WITHIN = timedelta(days=1)
"""What was seen longer ago does not tell how things are now."""


def run(app: App, job: str) -> str:
    """Run one job and return a line for its record.

    Raises:
        AgentError: the job's name is unknown, or what it does failed; the slot is tried again.
    """
    kind, _, period_id = job.partition(":")
    period = next((item for item in app.periods if item.id == period_id), None)
    if period is None or kind not in {"scan", "report"}:
        raise AgentError(f"no such job: {job!r}", remedy="see `agent schedule show`")
    if kind == "scan":
        run_id = _unfinished(app, period) or scan.begin(
            app,
            period,
            scan.Plan(
                period.id,
                tuple(target.name for target in app.inventory.targets),
                tuple(Layer),
                f"{report.shown_targets(app.inventory.targets)}（全部）",
            ),
        )
        summary = advance(app, run_id)
        if not any(row.seen for row in summary.per_target.values()):
            raise AgentError(
                "no target was seen on any layer; this round counts for nothing",
                where=run_id,
                remedy="check this machine's network and credentials; the job is tried again",
            )
        return f"{run_id}: {summary.targets} targets, {len(summary.unreached)} layers not seen"
    whole = [item for item in runs.latest_runs(app.store, "scan", period.id) if item.plan.get("whole")]
    done = next((item for item in whole if item.state == "closed"), None)
    if done is None:
        raise AgentError(
            f"no finished scan of all targets and layers for {period.id} yet",
            remedy=f"agent scan --period {period.name}",
        )
    rendered = report.render(app, done.id, ("html", "docx", "pdf"))
    return f"{done.id}: " + ", ".join(str(path) for path in rendered.paths.values())


def _unfinished(app: App, period: Period) -> str:
    """A killed attempt at the whole is gone on with, not begun anew; a part of it, or one long ago, is no attempt."""
    targets = {target.name for target in app.inventory.targets}
    for item in runs.latest_runs(app.store, "scan", period.id):
        if not item.plan.get("whole"):
            continue
        fresh = abs(app.clock() - item.started_at) < RESUMED_WITHIN
        return item.id if item.state != "closed" and fresh and set(item.plan["targets"]) == targets else ""
    return ""
