"""What is to be done and when: pure arithmetic from periods to jobs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from agent.model.period import Period, PeriodStatus

ZONE = ZoneInfo("Asia/Shanghai")
HOURS = {"scan": time(1, 0), "report": time(9, 0)}
"""When a job is due on the period's first day of lead, in Asia/Shanghai: scan at night, report in the morning."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One job of one period."""

    job: str
    """`scan:lianghui-2027`: the kind and the period's id."""
    kind: str
    """`scan` or `report`."""
    period: Period
    due_at: datetime
    """UTC."""

    @property
    def until(self) -> datetime:
        """UTC instant at which the period is over; a scan before it makes no sense from then on."""
        return midnight(self.period.end + timedelta(days=1))

    @property
    def waiting(self) -> bool:
        """Whether somebody has to confirm the dates first."""
        return self.period.status is PeriodStatus.ESTIMATED


def midnight(day: date) -> datetime:
    """UTC instant at which `day` begins in Asia/Shanghai."""
    return datetime.combine(day, time(), ZONE).astimezone(UTC)


def today(now: datetime) -> date:
    """Calendar day in Asia/Shanghai at the instant `now` (aware)."""
    return now.astimezone(ZONE).date()


def plan(periods: Iterable[Period]) -> tuple[Planned, ...]:
    """Jobs of the periods, ordered by due time."""
    jobs = [
        Planned(
            f"{kind}:{period.id}",
            kind,
            period,
            datetime.combine(period.lead_from, hour, ZONE).astimezone(UTC),
        )
        for period in periods
        for kind, hour in HOURS.items()
    ]
    return tuple(sorted(jobs, key=lambda one: (one.due_at, one.job)))
