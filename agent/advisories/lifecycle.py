"""The table of end-of-life dates that travels with the program: what endoflife.date lacks (lifecycle.yaml)."""

from __future__ import annotations

import calendar
import datetime as dt
from functools import lru_cache
from importlib import resources
from typing import Any

import yaml

from agent.model.advisory import Lifecycle

_FILE = "lifecycle.yaml"
_MONTH = len("2026-12")


@lru_cache(maxsize=1)
def shipped() -> tuple[Lifecycle, ...]:
    """Every cycle of the table. A row without a known day has an empty `eol`, and its source says so."""
    text = resources.files("agent.advisories").joinpath(_FILE).read_text("utf-8")
    return read(yaml.load(text, yaml.BaseLoader))  # noqa: S506 - builds texts only, so that `22.10` stays a version


def read(table: dict[str, Any]) -> tuple[Lifecycle, ...]:
    """Rows of a table of this form, all values texts.

    Raises:
        KeyError, ValueError: the table is wrong; the shipped one is held by a test.
    """
    sources = table["sources"]
    found = []
    for product in table["products"]:
        for row in product["cycles"]:
            source = sources[row.get("source", product["source"])]
            note = row.get("note", "")
            looked_up = "source" not in row
            found.append(
                Lifecycle(
                    product=product["product"],
                    cycle=row["cycle"],
                    eol=row["eol"] if row.get("eol") == "yes" else _day(row.get("eol", "")),
                    extended=_day(row.get("extended", "")),
                    released=_day(row.get("released", ""), first=True),
                    source=f"{source}; {note}" if note else source,
                    checked=_day(product.get("checked", "")) if looked_up else "",
                )
            )
    return tuple(found)


def _day(text: str, *, first: bool = False) -> str:
    """An ISO day; a month is its last day, or its first."""
    if len(text) == _MONTH:
        year, month = int(text[:4]), int(text[5:])
        return dt.date(year, month, 1 if first else calendar.monthrange(year, month)[1]).isoformat()
    return dt.date.fromisoformat(text).isoformat() if text else ""
