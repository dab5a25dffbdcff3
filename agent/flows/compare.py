"""What changed between rounds: 新增, 已修复, 仍存在, 复现, and 未复核 for what was not seen this time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.model.asset import Layer
from agent.model.finding import Change, Finding, FindingKind, FindingState
from agent.model.report import ChangeRow, TrendPoint
from agent.model.severity import Severity
from agent.store import runs

if TYPE_CHECKING:
    from agent.app import App

HISTORY = 12
"""Earlier rounds that are looked at for recurrence and for the trend."""


@dataclass(frozen=True, slots=True)
class Round:
    """One finished round, as far as a comparison needs it."""

    id: str
    label: str
    findings: tuple[Finding, ...]
    seen: frozenset[tuple[str, str]]
    """(target, layer) that were really seen."""


def difference(now: Round, earlier: Sequence[Round]) -> tuple[ChangeRow, ...]:
    """Compare a round with the earlier ones, newest first.

    A finding counts as fixed only when its target's layer was seen this time and the
    check did not error; else it is 未复核. Coverage findings are no weaknesses and are left out.
    """
    if not earlier:
        return ()
    weak = {item.key: item for item in now.findings if item.kind is not FindingKind.COVERAGE}
    unsure = {item.key for item in now.findings if item.state is FindingState.UNKNOWN}
    rows = []
    for key, finding in weak.items():
        if key in unsure:
            continue
        rows.append(ChangeRow(_since(key, finding, earlier), finding))
    for key, finding in _last_known(earlier).items():
        if key in weak and key not in unsure:
            continue
        if key in unsure or (finding.target, finding.layer.value) not in now.seen:
            rows.append(ChangeRow(Change.UNSEEN, finding))
        else:
            rows.append(ChangeRow(Change.FIXED, finding))
    order = list(Change)
    return tuple(sorted(rows, key=lambda row: (order.index(row.change), row.finding.target, row.finding.severity.rank)))


def _open(round_: Round) -> dict[str, Finding]:
    return {
        item.key: item
        for item in round_.findings
        if item.kind is not FindingKind.COVERAGE and item.state is not FindingState.UNKNOWN
    }


def _since(key: str, finding: Finding, earlier: Sequence[Round]) -> Change:
    baseline = True
    for round_ in earlier:
        if (finding.target, finding.layer.value) not in round_.seen:
            continue
        if key in _open(round_):
            return Change.REMAINS if baseline else Change.RECURS
        if any(item.key == key for item in round_.findings):
            continue  # the check errored then: it says nothing
        baseline = False
    return Change.NEW


def _last_known(earlier: Sequence[Round]) -> dict[str, Finding]:
    """What each target's layer showed when it was last seen."""
    known: dict[str, Finding] = {}
    covered: set[tuple[str, str]] = set()
    for round_ in earlier:
        fresh = round_.seen - covered
        known |= {
            key: finding for key, finding in _open(round_).items() if (finding.target, finding.layer.value) in fresh
        }
        covered |= fresh
    return known


def load(app: App, run_id: str) -> Round:
    """One finished round from the store."""
    run = runs.run_by_id(app.store, run_id)
    per_target = run.summary.get("per_target", {})
    unreached = {(item["target"], item["layer"]) for item in run.summary.get("unreached", ())}
    seen = {(name, layer) for name, row in per_target.items() for layer in row["seen"]} - unreached
    if Layer.NETWORK.value in run.plan["layers"]:
        # What listens is known from the login too: exposure is judged where nmap has no way to a host.
        logged_in = {(name, Layer.NETWORK.value) for name, row in per_target.items() if Layer.HOST.value in row["seen"]}
        seen |= logged_in - unreached
    return Round(run.id, run.id, tuple(runs.findings(app.store, run_id)), frozenset(seen))


def earlier_rounds(app: App, run_id: str) -> list[Round]:
    """Finished scans before this one, newest first."""
    mine = runs.run_by_id(app.store, run_id)
    before = [
        run
        for run in runs.latest_runs(app.store, "scan")
        if run.state == "closed" and run.id != run_id and run.started_at < mine.started_at
    ]
    return [load(app, run.id) for run in before[:HISTORY]]


def trend(rounds: Sequence[Round]) -> tuple[TrendPoint, ...]:
    """Counts by severity, oldest first; what is open alone."""
    points = []
    for round_ in reversed(rounds):
        counts = Counter(
            item.severity
            for item in round_.findings
            if item.kind is not FindingKind.COVERAGE and item.state is FindingState.OPEN
        )
        points.append(
            TrendPoint(
                round_.label.removeprefix("scan-")[:13],
                counts[Severity.CRITICAL],
                counts[Severity.HIGH],
                counts[Severity.MEDIUM],
                counts[Severity.LOW],
            )
        )
    return tuple(points)
