"""The store of feeds, state/feeds.db: one import is one transaction, every row leads to its document."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from agent.advisories import lookup
from agent.advisories.database import BUSY_SECONDS, guarded, open_reading, open_writing
from agent.advisories.importing import UNSIGNED, Importing, ImportResult
from agent.model.advisory import FeedStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime
    from pathlib import Path
    from types import TracebackType

    from agent.model.advisory import Candidate, CveFacts, Lifecycle

__all__ = ["FeedStore", "ImportResult", "Importing", "Provenance", "open_feeds"]


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where an advisory comes from."""

    feed: str
    scope: str
    name: str
    """File and members."""
    sha256: str
    date: str
    source: str
    signature: str
    """`unsigned`, or the fingerprint of the bundle's key."""
    imported_at: str
    imported_by: str


class FeedStore:
    """An open store; for one thread. Opened for reading, it shows one moment for as long as it is open."""

    def __init__(self, connection: sqlite3.Connection, state: Path) -> None:
        """Wrap a connection; use `open_feeds`."""
        self._db = connection
        self.state = state
        self.file = state / "feeds.db"

    @contextmanager
    def importing(self, *, who: str, at: datetime, source: str, signature: str = "") -> Iterator[Importing]:
        """One import, one transaction: committed at the end of the block, undone whole by any exception.

        Args:
            who: the person, for the record.
            at: when; aware.
            source: file, disk or bundle that it comes from.
            signature: fingerprint of the key that signed it; empty: unsigned.

        Raises:
            StoreError: disk full, another import holds the store for too long, damaged, or opened for reading.
        """
        with guarded(self.file):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                work = Importing(self._db, who=who, at=at, source=source, signature=signature or UNSIGNED)
                yield work
                work.finish()
                self._db.execute("COMMIT")
            except BaseException:
                # A full disk ends the transaction by itself.
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def quiet(self) -> Iterator[bool]:
        """Whether no import is under way; if so, none begins within the block. It waits for none."""
        with guarded(self.file):
            self._db.execute("PRAGMA busy_timeout=0")
            try:
                self._db.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                yield False
            else:
                try:
                    yield True
                finally:
                    self._db.execute("ROLLBACK")
            finally:
                self._db.execute(f"PRAGMA busy_timeout={int(BUSY_SECONDS * 1000)}")

    def known(self, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], tuple[Candidate, ...]]:
        """(stream, package) to rows with their advisories; keys of which nothing is known are left out."""
        with guarded(self.file):
            return lookup.candidates(self._db, keys)

    def cves(self, ids: Iterable[str]) -> dict[str, CveFacts]:
        """What is known of CVEs as such, merged: the vendor's score before NVD's before others', KEV, EPSS, CNNVD."""
        with guarded(self.file):
            return lookup.facts(self._db, ids)

    def lifecycle(self, products: Iterable[str]) -> dict[str, tuple[Lifecycle, ...]]:
        """Cycles of products; of several sources all."""
        with guarded(self.file):
            return lookup.cycles(self._db, products)

    def streams(self) -> dict[str, str]:
        """Every stream that a feed speaks of, with the UTC time of the newest document or record (empty: unknown)."""
        with guarded(self.file):
            return dict(
                self._db.execute(
                    "SELECT s.name, max(p.newest) FROM speaks p JOIN stream s ON s.id = p.stream GROUP BY s.name"
                )
            )

    def sizes(self) -> dict[str, int]:
        """Every stream with the number of advisories that speak of it, over all feeds."""
        with guarded(self.file):
            return dict(
                self._db.execute(
                    "SELECT s.name, sum(p.advisories) FROM speaks p JOIN stream s ON s.id = p.stream GROUP BY s.name"
                )
            )

    def status(self) -> tuple[FeedStatus, ...]:
        """One line a feed, by name."""
        spoken: dict[int, list[str]] = {}
        with guarded(self.file):
            for feed, stream in self._db.execute(
                "SELECT p.feed, s.name FROM speaks p JOIN stream s ON s.id = p.stream WHERE s.name != 'cpe'"
                " ORDER BY s.name"
            ):
                spoken.setdefault(feed, []).append(stream)
            return tuple(
                FeedStatus(*row[2:], row[1], tuple(spoken.get(row[0], ())))  # type: ignore[call-arg]
                for row in self._db.execute(
                    "SELECT f.id, f.documents, f.name, f.ecosystem, o.source, f.records, f.newest, f.licence, f.sha256,"
                    " o.signature, o.imported_at, o.imported_by FROM feed f JOIN origin o ON o.id = f.origin"
                    " ORDER BY f.name"
                )
            )

    def digest(self) -> str:
        """SHA-256 over feeds and the hashes of their documents: equal knowledge, equal digest; empty when empty."""
        with guarded(self.file):
            lines = [
                f"{name}\n{sha256}\n"
                for name, sha256 in self._db.execute("SELECT name, sha256 FROM feed ORDER BY name")
            ]
        return hashlib.sha256("".join(lines).encode()).hexdigest() if lines else ""

    def provenance(self, feed: str, advisory: str) -> Provenance | None:
        """Which document an advisory is from, and who imported it."""
        with guarded(self.file):
            row = self._db.execute(
                "SELECT f.name, d.scope, d.name, d.sha256, d.date, o.source, o.signature, o.imported_at, o.imported_by"
                " FROM feed f JOIN advisory a ON a.feed = f.id JOIN document d ON d.id = a.document"
                " JOIN origin o ON o.id = d.origin WHERE f.name = ? AND a.name = ?",
                (feed, advisory),
            ).fetchone()
        return Provenance(*row) if row else None

    def originals(self) -> dict[str, tuple[str, int, tuple[str, ...]]]:
        """Outer files that something stored comes from: SHA-256 to name, size and feeds."""
        found: dict[str, tuple[str, int, tuple[str, ...]]] = {}
        with guarded(self.file):
            for sha256, source, size, feeds in self._db.execute(
                "SELECT o.sha256, min(o.source), o.size, json_group_array(DISTINCT f.name) FROM origin o"
                " JOIN document d ON d.origin = o.id JOIN feed f ON f.id = d.feed WHERE o.sha256 != ''"
                " GROUP BY o.sha256 ORDER BY o.sha256"
            ):
                found[sha256] = (source, size, tuple(sorted(json.loads(feeds))))
        return found

    def close(self) -> None:
        """Close it; safe to call twice."""
        self._db.close()

    def __enter__(self) -> Self:
        """Return itself; closed at the end of the block."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """Close it."""
        self.close()


def open_feeds(state: Path, *, readonly: bool = False) -> FeedStore:
    """Open the feeds of a workspace; made when needed, unless only to be read: then a missing file is an empty store.

    Raises:
        StoreError: network file system, no permission, damaged, or newer than this program.
    """
    file = state / "feeds.db"
    return FeedStore(open_reading(file) if readonly else open_writing(file), state)
