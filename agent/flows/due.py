"""What is open, since when, and by which day it must be settled: from the rounds, the orders and the contract."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.contract.due import Calendar, Due, Seen, day_of
from agent.declared import load_people
from agent.declared.orders import load_orders
from agent.flows import compare
from agent.flows.judge import SHANGHAI
from agent.judge.exceptions import by_subject, candidates, in_force, standing
from agent.model.finding import FindingState
from agent.store import runs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import date

    from agent.app import App
    from agent.model.duties import Order
    from agent.model.finding import Finding
    from agent.store.runs import Run

LOOKS = ("scan", "verify")
"""Kinds of runs that look at targets: rounds, and the fresh look after a change."""


class Looks:
    """Finished looks, newest first, each loaded once and only when it is asked for."""

    def __init__(self, app: App, *, until: Run | None = None) -> None:
        self.app = app
        found = [run for kind in LOOKS for run in runs.latest_runs(app.store, kind) if run.state == "closed"]
        if until is not None:
            looked = runs.run_by_id(app.store, until.observed)
            earlier = [run for run in found if run.started_at < looked.started_at or run.id == looked.id]
            found = [until, *(run for run in earlier if run.id != until.id)]
            found[1:] = sorted(found[1:], key=_when, reverse=True)
        else:
            found.sort(key=_when, reverse=True)
        self.runs = found[: compare.FARTHEST]
        self._loaded: dict[str, compare.Round] = {}

    def __iter__(self) -> Iterator[tuple[Run, compare.Round]]:
        """Each run with what it saw."""
        for run in self.runs:
            if run.id not in self._loaded:
                self._loaded[run.id] = compare.load(self.app, run.id)
            yield run, self._loaded[run.id]

    def near(self) -> list[compare.Round]:
        """As many as tell what is open now: some rounds, and on until every target was seen."""
        lacking = {(target.name, layer.value) for target in self.app.inventory.targets for layer in target.layers}
        rounds: list[compare.Round] = []
        for _run, round_ in self:
            if len(rounds) >= compare.HISTORY and not lacking:
                break
            rounds.append(round_)
            lacking -= round_.seen
        return rounds

    def first_seen(self, findings: Iterable[Finding]) -> dict[str, date]:
        """Day (Asia/Shanghai) of the first look that saw each, without a look in between that saw it gone."""
        waiting = {finding.key: finding for finding in findings}
        since: dict[str, date] = {}
        for run, round_ in self:
            if not waiting:
                break
            for key, finding in list(waiting.items()):
                if round_.holds(finding):
                    since[key] = run.started_at.astimezone(SHANGHAI).date()
                elif round_.looked_at(finding):
                    del waiting[key]
        return since


def _when(run: Run) -> tuple[str, str]:
    return run.started_at.isoformat(), run.id


@dataclass(frozen=True, slots=True)
class DueList:
    """What is open by day, and what is wrong with the orders."""

    today: date
    rows: tuple[Due, ...]
    soon: int
    """From so many days before a day on somebody is to be told."""
    notes: tuple[str, ...]


def listed(app: App) -> DueList:
    """Everything that is open and has a day; what is accepted or settled is left out. Raises DeclaredError."""
    looks = Looks(app)
    found = _still_open(app, compare.last_known(looks.near()).values())
    since = looks.first_seen(found)
    now = today(app)
    owners = {target.name: target.owner for target in app.inventory.targets}
    seen = [Seen(each, since.get(each.key, now), owners.get(each.target, "")) for each in found]
    orders = load_orders(app.root)
    calendar = Calendar(orders, app.contract.terms, people(app), now)
    notes = tuple(f"{order.number}: {note}" for order in orders for note in faults(app, order) if not order.settled)
    return DueList(now, tuple(calendar.rows(seen, owners)), app.contract.terms.soon, notes)


def days(app: App, run_id: str) -> dict[str, date]:
    """Day by which each finding of a finished scan must be settled; those without a day (提示) are left out.

    Raises:
        AgentError: no such run, or orders.yaml or contract.yaml is wrong.
    """
    looks = Looks(app, until=runs.run_by_id(app.store, run_id))
    found = runs.findings(app.store, run_id)
    since = looks.first_seen(found)
    orders = [order for order in load_orders(app.root) if order.settled is None]
    terms, now = app.contract.terms, today(app)
    placed = {each.key: day_of(each, since.get(each.key, now), orders, terms) for each in found}
    return {key: day[0] for key, day in placed.items() if day}


def today(app: App) -> date:
    """The day in Asia/Shanghai."""
    return app.clock().astimezone(SHANGHAI).date()


def people(app: App) -> dict[str, tuple[str, ...]]:
    """Names of people.yaml by role."""
    found: dict[str, list[str]] = defaultdict(list)
    for person in load_people(app.root):
        found[person.role].append(person.name)
    return {role: tuple(names) for role, names in found.items()}


def faults(app: App, order: Order) -> list[str]:
    """What an order names that is not there."""
    known = {target.name for target in app.inventory.targets}
    found = [f"unknown target {name!r}" for name in order.targets if name not in {"*", *known}]
    if order.notice and not (app.root / order.notice).is_file():
        found.append(f"its notice {order.notice} is not there")
    return found


def _still_open(app: App, findings: Iterable[Finding]) -> list[Finding]:
    """Those that are to be mended today: an exception that has expired since covers nothing, one made since does."""
    now = today(app).isoformat()
    index = by_subject(each for each in app.exceptions if in_force(each, now))
    wanted: Sequence[FindingState] = (FindingState.OPEN, FindingState.ACCEPTED)
    known = {target.name for target in app.inventory.targets}
    return [
        each
        for each in findings
        if each.state in wanted and each.target in known and not standing(each, candidates(index, each)).accepted
    ]
