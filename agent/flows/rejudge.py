"""Judge recorded evidence again, against newer feeds and controls, without touching a target.

A closed run is never changed: a judgement of its own is made over the same sealed answers, and compared with it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.flows import compare
from agent.flows.held import held
from agent.flows.judge import judge
from agent.model.errors import AgentError
from agent.store import runs

if TYPE_CHECKING:
    from agent.app import App
    from agent.flows.summary import Summary
    from agent.model.report import ChangeRow


@dataclass(frozen=True, slots=True)
class Rejudged:
    """A second judgement of one round."""

    run: str
    """Its own id; findings, explain, export and report take it."""
    of: str
    summary: Summary
    changes: tuple[ChangeRow, ...]
    """Against the judgement that was asked for."""


def rejudge(app: App, run_id: str) -> Rejudged:
    """Judge a finished run again.

    Raises:
        AgentError: there is no such run, or it is not finished.
        IntegrityError: a sealed answer does not verify.
    """
    run = runs.run_by_id(app.store, run_id)
    if run.state != "closed":
        raise AgentError("this run is not finished", where=run_id, remedy=f"agent scan --resume {run_id}")
    app.controls, app.exceptions  # noqa: B018 - a wrong file is told before anything is written
    now = app.clock()
    again = f"rejudge-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    old = runs.tasks(app.store, run_id)
    with held(app.state, again):
        runs.create_run(
            app.store,
            again,
            kind="rejudge",
            period=run.period,
            plan={**run.plan, "of": str(run.plan.get("of", run_id))},
            operator=app.operator,
            started_at=now,
            tasks=[(task.target, task.kind) for task in old],
        )
        for task in old:
            runs.finish_task(
                app.store,
                again,
                task.target,
                task.kind,
                state=task.state,
                at=task.at or now,
                evidence=task.evidence,
                nonce=task.nonce,
                reason=task.reason,
                detail=task.detail,
            )
        summary = judge(app, again)
    changes = compare.difference(compare.load(app, again), [compare.load(app, run_id)])
    return Rejudged(again, run_id, summary, changes)
