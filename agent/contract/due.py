"""What is to be mended by when, who is told, and what follows when it is late; pure.

A customer's order (整改单) that covers a finding sets its day; else the contract's days by severity count from the
first round that saw it. What is settled or accepted is the caller's to leave out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fnmatch import fnmatchcase

from agent.model.duties import Escalation, Order, Terms
from agent.model.finding import Finding
from agent.model.severity import Severity

EVERY = "*"


@dataclass(frozen=True, slots=True)
class Told:
    """One step of escalation, with its day."""

    role: str
    people: tuple[str, ...]
    """Names of people.yaml in that role; empty: nobody is declared."""
    day: date
    reached: bool
    """Whether they are to know by today."""


@dataclass(frozen=True, slots=True)
class Due:
    """Something that is to be done by a day: an order, or a finding."""

    kind: str
    """`order` or `finding`."""
    ref: str
    """Number of the order, or key of the finding."""
    target: str
    """Of an order: its targets, joined."""
    check: str
    location: str
    title: str
    severity: Severity | None
    """None: an order."""
    owner: str
    """Who is responsible for the target; of an order: everyone who is."""
    since: date
    """First seen, or received."""
    day: date
    left: int
    """Days from today to the day; negative: overdue."""
    basis: str
    """What sets the day."""
    told: tuple[Told, ...]
    penalty: str = ""
    """What the contract takes; empty unless overdue, or when contract.yaml names nothing."""
    open: int = 1
    """Findings that are open under it."""

    @property
    def overdue(self) -> bool:
        """Whether its day has passed."""
        return self.left < 0


@dataclass(frozen=True, slots=True)
class Seen:
    """An open finding, and the day on which a round first saw it (Asia/Shanghai)."""

    finding: Finding
    since: date
    owner: str = ""


def covers(order: Order, finding: Finding) -> bool:
    """Whether an order speaks of a finding; one that names no check, CVE or finding speaks of all on its targets."""
    if EVERY not in order.targets and finding.target not in order.targets:
        return False
    if not (order.checks or order.cves or order.findings):
        return True
    return (
        any(fnmatchcase(finding.check, each) for each in order.checks)
        or bool(set(order.cves) & set(finding.cves))
        or any(finding.key.startswith(each) for each in order.findings)
    )


def day_of(finding: Finding, since: date, orders: Sequence[Order], terms: Terms) -> tuple[date, str] | None:
    """Day by which a finding must be settled and what sets it; None when nothing does (提示).

    Args:
        since: day of the first round that saw it.
        orders: those that are not settled.
    """
    mine = [order for order in orders if covers(order, finding)]
    if mine:
        first = min(mine, key=lambda order: (order.due, order.number))
        return first.due, f"order {first.number}"
    days = terms.rectification.get(finding.severity)
    if days is None:
        return None
    return since + timedelta(days=days), f"{finding.severity.value}: {days} days from {since}"


class Calendar:
    """The day of everything that is open, as seen today."""

    def __init__(
        self, orders: Iterable[Order], terms: Terms, people: Mapping[str, tuple[str, ...]], today: date
    ) -> None:
        """Take the orders (settled ones are left out), the contract's rules, and names by role."""
        self.orders = [order for order in orders if order.settled is None]
        self.terms, self.people, self.today = terms, people, today

    def rows(self, seen: Sequence[Seen], owners: Mapping[str, str]) -> list[Due]:
        """Orders and findings by day, the worst first within a day.

        Args:
            seen: what is open.
            owners: owner by target.
        """
        rows = [self._order(order, seen, owners) for order in self.orders]
        rows += [row for one in seen if (row := self._finding(one))]
        return sorted(
            rows, key=lambda row: (row.day, row.severity.rank if row.severity else -1, row.target, row.check, row.ref)
        )

    def _finding(self, one: Seen) -> Due | None:
        found = one.finding
        placed = day_of(found, one.since, self.orders, self.terms)
        if placed is None:
            return None
        day, basis = placed
        return Due(
            "finding",
            found.key,
            found.target,
            found.check,
            found.location,
            found.title,
            found.severity,
            one.owner,
            one.since,
            day,
            (day - self.today).days,
            basis,
            self._told(day),
            self._penalty(day),
        )

    def _order(self, order: Order, seen: Sequence[Seen], owners: Mapping[str, str]) -> Due:
        mine = [one for one in seen if covers(order, one.finding)]
        named = owners if EVERY in order.targets else order.targets
        responsible = dict.fromkeys(owners.get(name, "") for name in named)
        return Due(
            "order",
            order.number,
            ", ".join(order.targets),
            ", ".join((*order.checks, *order.cves, *order.findings)),
            "",
            order.title,
            None,
            ", ".join(filter(None, responsible)),
            order.received,
            order.due,
            (order.due - self.today).days,
            f"order {order.number}",
            self._told(order.due),
            self._penalty(order.due),
            len(mine),
        )

    def _told(self, day: date) -> tuple[Told, ...]:
        def told(step: Escalation) -> Told:
            on = day - timedelta(days=step.days)
            return Told(step.role, self.people.get(step.role, ()), on, on <= self.today)

        return tuple(told(step) for step in self.terms.escalation)

    def _penalty(self, day: date) -> str:
        return self.terms.penalty("rectification") if day < self.today else ""


def soon(rows: Iterable[Due], terms: Terms) -> list[Due]:
    """What is overdue, or so near that somebody is to be told already."""
    return [row for row in rows if row.left <= terms.soon]
