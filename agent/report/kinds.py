"""The kinds of report: each a value, a template, and what turns the one into the other's view."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from agent.model.accountreport import AccountReport
from agent.model.hardenreport import HardenReport
from agent.model.report import ScanReport
from agent.report import accounts, charts, derive, harden, hardencharts
from agent.report.accounts import AccountsView
from agent.report.hardenview import HardenView
from agent.report.template import ACCOUNTS, HARDEN, SCAN
from agent.report.view import View

Drawing = tuple[str, float, float] | None


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind; `report` and `view` are what its template is given."""

    template: str
    report: type[Any]
    view: type[Any]
    derive: Callable[..., Any]
    narrowed: Callable[[Any, str], Any]
    draw: Callable[[str, Any, Any], Drawing]
    keys: Callable[[Any], list[str]]
    """Keys of what must stand as one row each in every written file."""


KINDS: Mapping[str, Kind] = {
    "scan": Kind(
        SCAN,
        ScanReport,
        View,
        derive.derive,
        derive.narrowed,
        charts.draw,
        lambda report: [item.key for item in report.findings],
    ),
    "harden": Kind(
        HARDEN,
        HardenReport,
        HardenView,
        harden.derive,
        harden.narrowed,
        hardencharts.draw,
        lambda report: [item.finding for item in report.closures],
    ),
    "accounts": Kind(
        ACCOUNTS,
        AccountReport,
        AccountsView,
        accounts.derive,
        accounts.narrowed,
        accounts.draw,
        accounts.keys,
    ),
}


def roots(template: str) -> dict[str, Any]:
    """Names and types that a template of that file name is given; any other is linted as the scan report's."""
    for kind in KINDS.values():
        if kind.template == template:
            return {"report": kind.report, "view": kind.view}
    return {"report": ScanReport, "view": View}
