"""Important periods: what the customer protects, and when the work before them is due."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum


class PeriodStatus(StrEnum):
    """How sure the dates are."""

    OFFICIAL = "official"
    ESTIMATED = "estimated"
    CONFIRMED = "confirmed"


@dataclass(frozen=True, slots=True)
class Period:
    """One important period; dates are calendar days in Asia/Shanghai, both ends included."""

    id: str
    """Unique, e.g. `lianghui-2027`."""
    name: str
    """Family name by which it is asked for, e.g. `lianghui`."""
    title: str
    kind: str
    """`statutory` (法定), `national` (全国两会), `local` (地方两会), `adhoc` (临时)."""
    start: date
    end: date
    lead_from: date
    """First day on which the work before it is due (scan, report)."""
    status: PeriodStatus
    counts: str = "extra"
    """`round-1`, `round-2` or `extra`: which of the contracted rounds it serves."""
    source: str = ""
    confirmed_by: str = ""
    notice: str = ""
    """Where the customer's notice is filed; needed for an ad-hoc period."""
