"""What the sets of bench/truth.py share: a store of their own, judging a list as text, and the counting."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import zstandard

from agent.advisories.intake import read_feeds
from agent.advisories.store import FeedStore, open_feeds
from agent.flows.match import Matcher
from agent.model.advisory import Match
from agent.observe import listing

AT = datetime(2026, 11, 22, tzinfo=UTC)
KEPT = 3
"""Differences of each kind, list and package that are named."""

Open = set[tuple[str, str]]
"""(what, package): a CVE or an advisory that is open in an installed package."""


@dataclass
class Tally:
    """One row of the table."""

    name: str
    decided: str
    """Who says what is right."""
    lists: int = 0
    right: int = 0
    missing: int = 0
    surplus: int = 0
    note: str = ""
    differences: list[str] = field(default_factory=list)

    def add(self, truth: Open, told: Open, name: str = "") -> None:
        """Count one list."""
        self.lists += 1
        self.right += len(truth & told)
        self.missing += len(truth - told)
        self.surplus += len(told - truth)
        for sign, several in (("missing", truth - told), ("surplus", told - truth)):
            by_package: dict[str, list[str]] = {}
            for what, package in sorted(several):
                by_package.setdefault(package, []).append(what)
            self.differences += [
                f"{sign} {name} {package}: {len(whats)}, {' '.join(whats[:KEPT])}"
                for package, whats in sorted(by_package.items())
            ]

    @property
    def precision(self) -> float:
        """Of what was told, the part that is right; 1 where nothing was told."""
        return self.right / (self.right + self.surplus) if self.right + self.surplus else 1.0

    @property
    def recall(self) -> float:
        """Of what is right, the part that was told."""
        return self.right / (self.right + self.missing) if self.right + self.missing else 1.0

    def line(self) -> str:
        """A row of markdown."""
        return (
            f"| {self.name} | {self.decided} | {self.lists:,} | {self.right:,} | {self.missing:,} | {self.surplus:,}"
            f" | {_share(self.precision)} | {_share(self.recall)} | {self.note} |"
        )


HEAD = (
    "| set | who decided | lists | right | missing | surplus | precision | recall | notes |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


def _share(value: float) -> str:
    """Never rounded up to 100 %."""
    return f"{int(value * 10_000) / 100:.2f} %"


def store(place: Path, paths: Iterable[Path]) -> FeedStore:
    """A new store below a temporary folder that holds the paths' feeds."""
    feeds = open_feeds(place)
    read_feeds(feeds, list(paths), who="bench", at=AT)
    return feeds


def judge(
    matcher: Matcher, text: str, os_id: str, os_version: str, *, os_name: str = "", kernel: str = ""
) -> tuple[Match, ...]:
    """Judge a list as `agent match` does, from its text on."""
    return matcher.match(listing.parse(text, os_id=os_id, os_version=os_version, os_name=os_name, kernel=kernel))


def by_cve(matches: Iterable[Match]) -> Open:
    """(CVE, package) of what was told."""
    return {(cve, one.package) for one in matches for cve in one.cves}


def records(file: Path) -> Iterator[Any]:
    """JSON values, one a line, of a .zst."""
    with file.open("rb") as packed:
        yield from map(json.loads, io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(packed), "utf-8"))
