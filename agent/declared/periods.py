"""periods.yaml: the important periods that drive scans, and the search for one by name."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Literal

from pydantic import Field

from agent.declared.fields import Day, Filled, Name, Strict, Text, Version
from agent.declared.problems import Problem, raise_problems
from agent.declared.yamlfile import Document, load, parse
from agent.model.errors import DeclaredError
from agent.model.period import Period, PeriodStatus

PERIODS = Path("periods.yaml")
SHIPPED = "calendar-2026-2027.yaml"
LONGEST = 92
"""Days; a longer period is more likely a slip in the year."""
FARTHEST = 60
"""Days of lead at most."""


class PeriodEntry(Strict):
    """One important period; days in Asia/Shanghai, both ends included."""

    id: Name
    name: Name = Field(description="Family name by which it is asked for, e.g. lianghui")
    title: Filled
    kind: Literal["statutory", "national", "local", "adhoc"]
    start: Day
    end: Day
    lead_from: Day = Field(description="First day of the work before the period")
    status: PeriodStatus
    counts: Literal["round-1", "round-2", "extra"] = "extra"
    source: Text = ""
    confirmed_by: Text = ""
    notice: Text = Field(default="", description="Where the customer's notice is filed; needed for kind adhoc")


class PeriodsFile(Strict):
    """periods.yaml."""

    schema_version: Version
    periods: tuple[PeriodEntry, ...]


def shipped_calendar() -> str:
    """Return the text of the calendar that comes with the agent, with its comments."""
    return resources.files("agent.declared").joinpath("data", SHIPPED).read_text("utf-8")


def _own(period: Period) -> list[tuple[str, str, str]]:
    """Return what is wrong with one period by itself: field, problem, remedy."""
    rows = [
        (period.end < period.start, "end", f"lies before start {period.start}", "correct one of the two"),
        (period.lead_from > period.start, "lead_from", f"lies after start {period.start}", "let it begin earlier"),
        ((period.end - period.start).days >= LONGEST, "end", f"makes it longer than {LONGEST} days", "check the year"),
        (
            (period.start - period.lead_from).days > FARTHEST,
            "lead_from",
            f"lies more than {FARTHEST} days before start",
            "check the year",
        ),
        (
            period.kind == "adhoc" and not period.notice.strip(),
            "notice",
            "is missing: an ad-hoc period needs the customer's notice",
            "say where the notice is filed",
        ),
        (
            period.status is PeriodStatus.CONFIRMED and not period.confirmed_by.strip(),
            "confirmed_by",
            "is missing",
            "name the person who checked the dates",
        ),
        (
            period.status is not PeriodStatus.CONFIRMED and period.kind != "adhoc" and not period.source.strip(),
            "source",
            "is missing",
            "say where the dates come from",
        ),
    ]
    return [(field, problem, remedy) for wrong, field, problem, remedy in rows if wrong]


def _check(document: Document, periods: Sequence[Period]) -> list[Problem]:
    problems = []
    families = {period.name for period in periods}
    for index, period in enumerate(periods):

        def at(*loc: str | int, index: int = index) -> str:
            return document.where(("periods", index, *loc))

        problems += [Problem(at(field), problem, remedy) for field, problem, remedy in _own(period)]
        if period.id in families - {period.name}:
            problems.append(Problem(at("id"), f"{period.id!r} is another period's name", "choose another id"))
        for other in periods[:index]:
            if other.id == period.id:
                problems.append(Problem(at("id"), f"id {period.id!r} stands twice", "one id names one period"))
            elif other.name == period.name and other.start <= period.end and period.start <= other.end:
                message = f"overlaps {other.id} of the same name"
                problems.append(Problem(at("start"), message, "correct the dates, or give one another name"))
    return problems


def load_periods(root: Path) -> tuple[Period, ...]:
    """Read periods.yaml, sorted by start.

    Raises:
        DeclaredError: the file is missing or wrong.
    """
    document = load(root / PERIODS)
    periods = tuple(Period(**entry.model_dump()) for entry in parse(document, PeriodsFile).periods)
    raise_problems(document.path, _check(document, periods))
    return tuple(sorted(periods, key=lambda period: (period.start, period.id)))


def _listing(periods: Sequence[Period]) -> str:
    return ", ".join(f"{p.id} ({p.start} to {p.end}, {p.status.value})" for p in periods) or "none"


def resolve(periods: Sequence[Period], name: str, today: date) -> Period:
    """Find the period that `name` means on `today` (a day in Asia/Shanghai).

    An id names its period, past or not. A family name or a title means the one
    under way, else the next to come.

    Raises:
        DeclaredError: unknown, past, or ambiguous; the error lists what there is.
    """
    exact = [period for period in periods if period.id == name]
    family = exact or [period for period in periods if name in {period.name, period.title}]
    if not family:
        raise DeclaredError(
            f"no period {name!r}; there are: {_listing(periods)}",
            where=str(PERIODS),
            remedy="name one of these, or declare it in periods.yaml",
        )
    ahead = exact or [period for period in family if period.end >= today]
    if not ahead:
        raise DeclaredError(
            f"every period {name!r} is past on {today}: {_listing(family)}",
            where=str(PERIODS),
            remedy="declare the next one in periods.yaml, or name a past one by its id",
        )
    under_way = [period for period in ahead if period.start <= today]
    first = min(period.start for period in ahead)
    chosen = under_way or [period for period in ahead if period.start == first]
    if len(chosen) > 1:
        raise DeclaredError(
            f"{name!r} is ambiguous on {today}: {_listing(chosen)}", where=str(PERIODS), remedy="name one by its id"
        )
    return chosen[0]
