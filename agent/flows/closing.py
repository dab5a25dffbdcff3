"""How every finding of the scan ended in a hardening run: from the plan, the transactions and the fresh look."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.flows import compare, due
from agent.judge import closure
from agent.store import changes, runs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.app import App
    from agent.model.hardening import ClosureRecord, HardenPlan, TxRecord


def close(app: App, plan: HardenPlan, records: Sequence[TxRecord], verify: str) -> list[ClosureRecord]:
    """Judge every finding that the plan speaks of, and keep the closures in place of earlier ones of this run.

    Args:
        verify: the run of the fresh look; empty: nobody looked.
    """
    inside = {key for one in plan.planned for key in one.item.findings}
    found = [finding for finding in runs.findings(app.store, plan.scan) if finding.key in inside]
    closed = closure.close(
        plan.run,
        found,
        plan.planned,
        records,
        _fresh(app, verify) if verify else None,
        app.exceptions,
        due.today(app),
        due.days(app, plan.scan),
    )
    changes.close(app.store, plan.run, closed)
    return closed


def _fresh(app: App, verify: str) -> closure.Fresh:
    evidence: dict[str, list[int]] = {}
    for task in runs.tasks(app.store, verify):
        if task.evidence:
            evidence.setdefault(task.target, []).append(task.evidence)
    return closure.Fresh(
        compare.load(app, verify),
        runs.run_by_id(app.store, verify).started_at,
        closure.verdicts_by_place(runs.verdicts(app.store, verify)),
        {target: tuple(numbers) for target, numbers in evidence.items()},
    )
