"""One import: documents and their records into the store, in one transaction with savepoints for its parts."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from agent.advisories import summary
from agent.advisories.others import COLUMNS, row_of, upsert
from agent.advisories.source import FeedError
from agent.advisories.statements import Writer
from agent.model.advisory import Advisory

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping

    from agent.model.advisory import Header, Record

KINDS = ("advisory", "note", "exploited", "likelihood", "lifecycle")
"""Kinds of records, by the names of their tables."""
_BATCH = 10_000
_AHEAD = timedelta(days=1)
"""How far a date may lie after the import: a publisher's bare day counts as UTC, and clocks differ."""
_UNSTORABLE = (UnicodeEncodeError, OverflowError)
UNSIGNED = "unsigned"
"""Signature of what came in no signed bundle."""
UNCHANGED = "unchanged: it was imported before"


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What an import did."""

    new: int
    """Documents of a scope that was not there."""
    replaced: int
    unchanged: int
    older: int
    """Left out: what is there is newer."""
    added: Mapping[str, int]
    """Records that are there now and were not, by kind (KINDS)."""
    removed: Mapping[str, int]
    skipped: tuple[tuple[str, str], ...]
    """Documents that were left out, each with the reason."""


@dataclass(slots=True)
class _Counts:
    new: int = 0
    replaced: int = 0
    unchanged: int = 0
    older: int = 0
    removed: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Open:
    """The document that records are added to."""

    id: int
    feed: int
    header: Header
    earlier: tuple[int, ...]
    """Documents of the same scope that were there before."""


class Importing:
    """An open import. Records are added to the document that was told last, while it was taken.

    Within one import the first of two that are equally new stays: importing the same folder again then changes
    nothing. Two advisories of one id, equally new, become one with the statements of both.
    """

    def __init__(self, connection: sqlite3.Connection, *, who: str, at: datetime, source: str, signature: str) -> None:
        if at.tzinfo is None:
            raise ValueError(f"a naive time cannot be stored: {at!r}")
        self._db = connection
        self._who = who
        self._at = _utc(at)
        self._latest = _utc(at + _AHEAD)
        self._label = (source, signature)
        self._origin = 0
        self._writer = Writer(connection)
        self._upserts = {kind: upsert(kind) for kind in COLUMNS}
        self._waiting: dict[str, list[tuple[Any, ...]]] = {kind: [] for kind in COLUMNS}
        self._feeds: dict[str, int] = {}
        self._touched: set[int] = set()
        self._first = self._next = summary.one(connection, "SELECT coalesce(max(id), 0) + 1 FROM document")
        """Documents of this import are numbered from here."""
        self._confirmed: set[int] = set()
        """Documents from before that this import found unchanged."""
        self._open: _Open | None = None
        self._name = ""
        self._unsealed: list[tuple[int, str]] = []
        self._counts = _Counts()
        self._result: ImportResult | None = None
        self._before = summary.totals(connection)
        self.skipped: list[tuple[str, str]] = []
        """Documents that were left out, each with the reason."""

    def _dated(self, date: str) -> str:
        """A date that orders documents and records; one in the future is none, or nothing would ever be newer."""
        return date if date <= self._latest else ""

    def file(self, source: str, signature: str = "") -> None:
        """Begin another outer file: documents from now on come from it."""
        self._close()
        self._label, self._origin = (source, signature or UNSIGNED), 0

    def kept(self, sha256: str, size: int, *, whole: bool) -> None:
        """Say under which hash the outer file is kept, and whether all that it holds was taken."""
        self._close()
        count = "(SELECT count(*) FROM document WHERE origin = ?3 AND current)" if whole else "0"
        self._db.execute(
            f"UPDATE origin SET sha256 = ?1, size = ?2, whole = {count} WHERE id = ?3",  # noqa: S608
            (sha256, size, self._origin),
        )

    def may_have_file(self, size: int) -> bool:
        """Whether a whole outer file of this size was read before, so that its hash is worth its time."""
        return self._db.execute("SELECT 1 FROM origin WHERE size = ? AND whole", (size,)).fetchone() is not None

    def has_file(self, sha256: str, name: str) -> bool:
        """Whether a whole outer file of this content was read before, and all of it still counts."""
        for origin, whole in self._db.execute("SELECT id, whole FROM origin WHERE sha256 = ? AND whole", (sha256,)):
            found = [
                row[0] for row in self._db.execute("SELECT id FROM document WHERE origin = ? AND current", (origin,))
            ]
            if len(found) == whole:
                return self._confirm(found, name)
        return False

    @property
    def origin(self) -> int:
        """Number of the outer file, when a document of it was taken; else 0."""
        return self._origin

    def has(self, sha256: str, name: str) -> bool:
        """Whether a file of this content was read before, and something of it still counts; it is then left out."""
        found = [row[0] for row in self._db.execute("SELECT id FROM document WHERE sha256 = ?", (sha256,))]
        return bool(found) and self._confirm(found, name)

    def _confirm(self, documents: list[int], name: str) -> bool:
        self._confirmed.update(documents)
        self._counts.unchanged += len(documents)
        self.skipped.append((name, UNCHANGED))
        return True

    def document(self, header: Header, *, name: str, sha256: str = "") -> bool:
        """Begin a document. False: its records are to be left out; `skipped` says why.

        Args:
            header: what it says of itself.
            name: file and member.
            sha256: over its bytes; empty when it is told later, by `seal`.
        """
        self._close()
        self._name = name
        header = replace(header, date=self._dated(header.date))
        try:
            return self._begin(header, name, sha256)
        except _UNSTORABLE as error:
            raise self._unstorable(error) from error

    def _begin(self, header: Header, name: str, sha256: str) -> bool:
        feed = self._feed(header)
        there = self._db.execute(
            "SELECT id, current, sha256, date FROM document WHERE feed = ? AND scope = ?", (feed, header.scope)
        ).fetchall()
        current = next((row for row in there if row[1]), None)
        if current and (why := self._why_not(header, current, sha256)):
            self.skipped.append((name, why))
            return False
        label = (header.ecosystem, header.authority.value, header.licence)
        number, self._next = self._next, self._next + 1
        self._db.execute("UPDATE feed SET ecosystem = ?, authority = ?, licence = ? WHERE id = ?", (*label, feed))
        self._db.execute("UPDATE document SET current = 0 WHERE feed = ? AND scope = ?", (feed, header.scope))
        self._db.execute(
            "INSERT INTO document VALUES (?,?,?,1,?,?,?,?)",
            (number, feed, header.scope, name, sha256, header.date, self._origin_made()),
        )
        if not sha256:
            self._unsealed.append((number, current[2] if current else ""))
        self._counts.new += not there
        self._counts.replaced += bool(there)
        self._touched.add(feed)
        self._open = _Open(number, feed, header, tuple(row[0] for row in there))
        return True

    def _why_not(self, header: Header, current: tuple[int, int, str, str], sha256: str) -> str:
        number, _, stored, date = current
        if sha256 and sha256 == stored:
            self._counts.unchanged += 1
            self._confirmed.add(number)
            return UNCHANGED
        if date and header.date and header.date < date:
            self._counts.older += 1
            return f"older ({header.date}) than what is there ({date})"
        newer = date and header.date and header.date > date
        if header.snapshot and not newer and self._is_ours(number):
            self._counts.older += 1
            return f"another document of this import is {header.feed} {header.scope} too, and no older"
        return ""

    def _is_ours(self, document: int) -> bool:
        """Whether this import read it, or found it unchanged."""
        return document >= self._first or document in self._confirmed

    def _feed(self, header: Header) -> int:
        if header.feed not in self._feeds:
            found = self._db.execute("SELECT id FROM feed WHERE name = ?", (header.feed,)).fetchone()
            self._feeds[header.feed] = (
                found[0]
                if found
                else self._insert(
                    "INSERT INTO feed (name, ecosystem, authority, licence) VALUES (?,?,?,?)",
                    (header.feed, header.ecosystem, header.authority.value, header.licence),
                )
            )
        return self._feeds[header.feed]

    def _insert(self, statement: str, values: tuple[str, ...]) -> int:
        return int(self._db.execute(statement, values).lastrowid or 0)

    def _origin_made(self) -> int:
        if not self._origin:
            self._origin = self._insert(
                "INSERT INTO origin (source, signature, imported_at, imported_by) VALUES (?,?,?,?)",
                (*self._label, self._at, self._who),
            )
        return self._origin

    def seal(self, sha256: str) -> bool:
        """Tell the hash of the documents that had none. False: all of them are what is there already.

        Then nothing was gained, and the caller leaves its savepoint by an exception.
        """
        self._close()
        before, self._unsealed = self._unsealed, []
        self._db.executemany("UPDATE document SET sha256 = ? WHERE id = ?", [(sha256, number) for number, _ in before])
        return not before or any(stored != sha256 for _, stored in before)

    def add(self, record: Record) -> None:
        """Add a record to the document; nothing when the document was left out."""
        into = self._open
        if into is None:
            return
        if isinstance(record, Advisory):
            if record.modified > self._latest:
                record = replace(record, modified="")
            try:
                gone = self._writer.put(into.feed, into.id, record, into.header.date, into.earlier, self._is_ours)
            except _UNSTORABLE as error:
                raise self._unstorable(error) from error
            self._counts.removed["advisory"] += gone
            return
        kind, row = row_of(record, into.feed, into.id)
        waiting = self._waiting[kind]
        waiting.append((*row, self._first, into.header.date))
        if len(waiting) >= _BATCH:
            self._flush()

    def _flush(self) -> None:
        try:
            self._writer.flush()
            for kind, rows in self._waiting.items():
                if rows:
                    self._db.executemany(self._upserts[kind], rows)
                    rows.clear()
        except _UNSTORABLE as error:
            raise self._unstorable(error) from error

    def _unstorable(self, error: Exception) -> FeedError:
        return FeedError(
            f"a text or number that cannot be stored: {error}", where=self._name, remedy="report it with the file"
        )

    def _close(self) -> None:
        """End the open document: of a snapshot, what was not told again goes."""
        into, self._open = self._open, None
        if into is None:
            return
        self._flush()
        gone = [number for number in into.earlier if into.header.snapshot or number < self._first]
        for number in gone:
            if into.header.snapshot:
                self._remove(number)
            if not self._is_used(number) and number not in self._confirmed:
                self._db.execute("DELETE FROM document WHERE id = ?", (number,))

    def _remove(self, document: int) -> None:
        self._counts.removed["advisory"] += self._writer.remove_of(document)
        for kind in COLUMNS:
            done = self._db.execute(f"DELETE FROM {kind} WHERE document = ?", (document,))  # noqa: S608 - ours
            self._counts.removed[kind] += done.rowcount

    def _is_used(self, document: int) -> bool:
        parts = " UNION ALL ".join(f"SELECT 1 FROM {kind} WHERE document = :id" for kind in KINDS)  # noqa: S608 - ours
        return bool(self._db.execute(f"SELECT EXISTS ({parts})", {"id": document}).fetchone()[0])

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """A part of the import that is undone alone when an exception leaves the block; they nest."""
        self._close()
        counts, skipped, origin, unsealed = deepcopy(self._counts), len(self.skipped), self._origin, self._unsealed
        self._unsealed = []
        self._db.execute("SAVEPOINT part")
        try:
            yield
            self._close()
        except BaseException:
            self._forget()
            self._counts, self._origin = counts, origin
            del self.skipped[skipped:]
            # A full disk ends the whole transaction by itself.
            if self._db.in_transaction:
                self._db.execute("ROLLBACK TO part")
                self._db.execute("RELEASE part")
                self._writer.names.forget()
            raise
        else:
            self._db.execute("RELEASE part")
        finally:
            self._unsealed = unsealed

    def _forget(self) -> None:
        self._open = None
        self._feeds.clear()
        self._writer.discard()
        for rows in self._waiting.values():
            rows.clear()

    def finish(self) -> ImportResult:
        """Complete the import and say what it did; the transaction is committed by `FeedStore.importing`."""
        if self._result is not None:
            return self._result
        self._close()
        counts = self._counts
        if counts.new + counts.replaced:
            for feed in sorted(self._touched):
                summary.renew(self._db, feed, self._at)
            self._db.execute("DELETE FROM origin WHERE id NOT IN (SELECT origin FROM document)")
        after = summary.totals(self._db)
        removed = {kind: counts.removed[kind] for kind in KINDS if counts.removed[kind]}
        added = {kind: after[kind] - self._before[kind] + removed.get(kind, 0) for kind in KINDS}
        self._result = ImportResult(
            counts.new,
            counts.replaced,
            counts.unchanged,
            counts.older,
            {kind: count for kind, count in added.items() if count},
            removed,
            tuple(self.skipped),
        )
        return self._result
