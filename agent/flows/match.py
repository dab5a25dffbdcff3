"""Match many systems against the store: look up what is needed once, judge equal packages once, stream the results."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.judge import packages
from agent.model.advisory import Known

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from agent.advisories.store import FeedStore
    from agent.model.advisory import Candidate, CveFacts, Listing, Match

KEPT = 200_000
"""Packages whose results are kept; beyond, the memory is begun anew."""
KEPT_LISTS = 4096
BATCH = 64
"""Lists whose keys are looked up together."""


@dataclass
class Matcher:
    """One matching session over an unchanging store; not for use by several threads."""

    feeds: FeedStore
    streams: dict[str, str] = field(init=False)
    """Every stream that a feed speaks of, with its newest record's time."""
    sizes: dict[str, int] = field(init=False)
    """The same with the number of advisories."""

    def __post_init__(self) -> None:
        self.streams = self.feeds.streams()
        self.sizes = self.feeds.sizes()
        self._rows: dict[tuple[str, str], tuple[Candidate, ...]] = {}
        self._memo: packages.Memo = {}
        self._lists: dict[bytes, tuple[Match, ...]] = {}
        self._cves: dict[str, CveFacts | None] = {}

    def prepare(self, keys: Iterable[tuple[str, str]]) -> None:
        """Look up rows, each key once."""
        new = [key for key in keys if key not in self._rows]
        if new:
            self._rows |= dict.fromkeys(new, ()) | self.feeds.known(new)

    def rows(self, key: tuple[str, str]) -> tuple[Candidate, ...]:
        """Rows of one stream and package."""
        self.prepare([key])
        return self._rows[key]

    def match(self, asked: Listing) -> tuple[Match, ...]:
        """Matches of one system's packages; rejected CVEs are left out. Equal lists are judged once."""
        name = _digest(asked)
        if name not in self._lists:
            self.prepare(packages.keys(asked, self.sizes))
            if len(self._memo) > KEPT or len(self._lists) > KEPT_LISTS:
                self._memo.clear()
                self._lists.clear()
            found = packages.match(asked, Known(self._rows, self.sizes), self._memo)
            self._lists[name] = tuple(packages.standing(found, self.facts(found)))
        return self._lists[name]

    def match_all(self, listings: Iterable[Listing]) -> Iterator[tuple[Listing, tuple[Match, ...]]]:
        """Each list with its matches, in order and as they come: nothing is held but the cache."""
        batch: list[Listing] = []
        for asked in listings:
            batch.append(asked)
            if len(batch) == BATCH:
                yield from self._batch(batch)
                batch = []
        yield from self._batch(batch)

    def _batch(self, batch: Sequence[Listing]) -> Iterator[tuple[Listing, tuple[Match, ...]]]:
        new = [asked for asked in batch if _digest(asked) not in self._lists]
        self.prepare({key for asked in new for key in packages.keys(asked, self.sizes)})
        for asked in batch:
            yield asked, self.match(asked)

    def facts(self, matches: Iterable[Match], also: Iterable[str] = ()) -> dict[str, CveFacts]:
        """What the store knows of the CVEs that matches name."""
        wanted = {cve for one in matches for cve in one.cves} | set(also)
        new = wanted - self._cves.keys()
        if new:
            self._cves |= dict.fromkeys(new) | self.feeds.cves(new)
        return {cve: known for cve in wanted if (known := self._cves[cve])}


def _digest(asked: Listing) -> bytes:
    """A name for a list's content: equal lists have equal ones."""
    head = (asked.os_id, asked.os_version, asked.os_name, asked.kernel, asked.epochs, asked.sources,
            asked.modules, asked.container, asked.patches)  # fmt: skip
    told = hashlib.blake2b(repr(head).encode(errors="surrogatepass"), digest_size=16)
    for one in asked.packages:
        row = f"{one.name}\0{one.version}\0{one.arch}\0{one.source}\0{one.source_version}\0{one.module}\n"
        told.update(row.encode(errors="surrogatepass"))
    return told.digest()
