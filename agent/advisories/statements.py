"""Advisories and their statements as rows, and back: what is searched has a column, what is only shown is packed."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Sequence

    from agent.model.advisory import Advisory, Affected

Row = tuple[int, str, int, str, str, str, str]
"""Of table affected: stream, package, shape, introduced, fixed, cves, extra."""
Extra = tuple[str, tuple[str, ...], tuple[str, ...], bool, tuple[str, ...], str, tuple[str, ...], bool]

_FLUSH = 20_000
_ADVISORY = "INSERT INTO advisory VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
_AFFECTED = "INSERT INTO affected VALUES (?,?,?,?,?,?,?,?,?)"


def join(words: Iterable[str]) -> str:
    """Several words as one text."""
    return "\n".join(words)


def split(text: str) -> tuple[str, ...]:
    """What `join` put together."""
    return tuple(text.split("\n")) if text else ()


def pack(one: Affected) -> str:
    """Fields of a statement that few have; empty when it has none of them."""
    extra = (one.last, one.versions, one.modules, one.modular, one.arches, one.fix, one.supersedes, one.reboot)
    return json.dumps(extra, ensure_ascii=False, separators=(",", ":")) if any(extra) else ""


def unpack(text: str) -> Extra:
    """What `pack` wrote."""
    if not text:
        return ("", (), (), False, (), "", (), False)
    last, versions, modules, modular, arches, fix, supersedes, reboot = json.loads(text)
    return last, tuple(versions), tuple(modules), modular, tuple(arches), fix, tuple(supersedes), reboot


def by_year(cves: Iterable[str]) -> tuple[str, ...]:
    """Each once, by year and number."""
    return tuple(sorted(set(cves), key=lambda cve: (cve[:9], len(cve), cve)))


class Names:
    """Numbers of streams and shapes; new ones are made on first use."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self.forget()

    def forget(self) -> None:
        """Read them again: what was made since may have been rolled back."""
        self._streams: dict[str, int] = dict(self._db.execute("SELECT name, id FROM stream"))
        self._shapes: dict[tuple[str, str, str], int] = {
            (scheme, by, status): number
            for number, scheme, by, status in self._db.execute("SELECT id, scheme, by, status FROM shape")
        }

    def stream(self, name: str) -> int:
        """Number of a stream."""
        number = self._streams.get(name)
        if number is None:
            number = self._streams[name] = self._insert("INSERT INTO stream (name) VALUES (?)", (name,))
        return number

    def shape(self, one: Affected) -> int:
        """Number of scheme, by and status together."""
        key = (one.scheme, one.by, one.status)
        number = self._shapes.get(key)
        if number is None:
            words = (one.scheme.value, one.by, one.status.value)
            number = self._shapes[key] = self._insert("INSERT INTO shape (scheme, by, status) VALUES (?,?,?)", words)
        return number

    def _insert(self, statement: str, values: Sequence[str]) -> int:
        return int(self._db.execute(statement, values).lastrowid or 0)


class Writer:
    """Writes advisories in batches; an advisory's statements have consecutive numbers."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self.names = Names(connection)
        self._next = self._after("advisory")
        self._next_row = self._after("affected")
        self._advisories: list[tuple[Any, ...]] = []
        self._rows: list[tuple[Any, ...]] = []
        self._pending: set[tuple[int, str]] = set()

    def _after(self, table: str) -> int:
        return int(self._db.execute(f"SELECT coalesce(max(id), 0) + 1 FROM {table}").fetchone()[0])  # noqa: S608 - ours

    def _rows_of(self, one: Advisory) -> list[Row]:
        stream, shape = self.names.stream, self.names.shape
        return [
            (stream(row.stream), row.package, shape(row), row.introduced, row.fixed, join(row.cves), pack(row))
            for row in one.affected
        ]

    def _insert(self, feed: int, document: int, one: Advisory, rows: Sequence[Row]) -> None:
        # Of a withdrawn one only the name is kept.
        number, first = self._next, self._next_row
        kept = () if one.withdrawn else rows
        self._next += 1
        self._next_row += len(kept)
        self._advisories.append((
            number, feed, one.id, document, one.modified, one.published, one.title, one.severity, one.score, one.vector,
            join(one.cves), join(one.aliases), one.url, int(one.withdrawn), first, len(kept),
        ))  # fmt: skip
        self._rows += [(place, number, *row) for place, row in enumerate(kept, first)]
        self._pending.add((feed, one.id))
        if len(self._rows) + len(self._advisories) > _FLUSH:
            self.flush()

    def put(
        self,
        feed: int,
        document: int,
        one: Advisory,
        date: str,
        earlier: Sequence[int],
        is_ours: Callable[[int], bool],
    ) -> int:
        """Add it, or let it replace what is there under its id unless that is newer; 1 when a withdrawn one went.

        Args:
            feed, document: what it belongs to.
            date: the document's.
            earlier: documents of the same scope; what they hold and this one tells again is this one's from now on.
            is_ours: whether a document was read by this import: of two that are equally new both count.
        """
        if (feed, one.id) in self._pending:
            self.flush()
        found = self._db.execute(
            "SELECT a.id, a.first, a.statements, a.document, a.modified, d.date, a.withdrawn, a.cves, a.aliases"
            " FROM advisory a JOIN document d ON d.id = a.document WHERE a.feed = ? AND a.name = ?",
            (feed, one.id),
        ).fetchone()
        rows = self._rows_of(one)
        if found is None:
            self._insert(feed, document, one, rows)
            return 0
        number, first, count, holder, modified, dated, withdrawn, cves, aliases = found
        mine, its = (one.modified, modified) if one.modified and modified else (date, dated)
        if mine and its and mine < its:
            if holder in earlier:
                self._db.execute("UPDATE advisory SET document = ? WHERE id = ?", (document, number))
            return 0
        if (mine == its or not mine or not its) and is_ours(holder):
            if withdrawn:
                return 0
            if not one.withdrawn:
                merged = self._merged(one, rows, self._stored(first, count), split(cves), split(aliases))
                if merged is None:
                    return 0
                one, rows = merged
        self._remove([(number, first, count)])
        self._insert(feed, document, one, rows)
        return int(one.withdrawn and not withdrawn)

    @staticmethod
    def _merged(
        one: Advisory, rows: list[Row], stored: list[Row], cves: tuple[str, ...], aliases: tuple[str, ...]
    ) -> tuple[Advisory, list[Row]] | None:
        """One advisory with the statements of both; None when it adds nothing to what is stored."""
        if set(rows) <= set(stored) and set(one.cves) <= set(cves) and set(one.aliases) <= set(aliases):
            return None
        if set(one.cves) != set(cves):
            # A statement without CVEs of its own speaks of all of its advisory, which are about to become more.
            rows = [(*row[:5], row[5] or join(one.cves), row[6]) for row in rows]
            stored = [(*row[:5], row[5] or join(cves), row[6]) for row in stored]
        both = replace(
            one, cves=by_year((*cves, *one.cves)), aliases=tuple(dict.fromkeys((*aliases, *one.aliases))), affected=()
        )
        return both, list(dict.fromkeys((*stored, *rows)))

    def flush(self) -> None:
        """Write what waits."""
        if self._advisories:
            self._db.executemany(_ADVISORY, self._advisories)
            self._db.executemany(_AFFECTED, self._rows)
            self.discard()

    def discard(self) -> None:
        """Forget what waits."""
        self._advisories.clear()
        self._rows.clear()
        self._pending.clear()

    def _stored(self, first: int, count: int) -> list[Row]:
        return self._db.execute(
            "SELECT stream, package, shape, introduced, fixed, cves, extra FROM affected"
            " WHERE id >= ? AND id < ? ORDER BY id",
            (first, first + count),
        ).fetchall()

    def remove_of(self, document: int) -> int:
        """Delete the advisories of a document; how many there were, withdrawn ones not counted."""
        found = self._db.execute(
            "SELECT id, first, statements, withdrawn FROM advisory WHERE document = ?", (document,)
        ).fetchall()
        self._remove([row[:3] for row in found])
        return sum(not row[3] for row in found)

    def _remove(self, found: Iterable[tuple[int, int, int]]) -> None:
        for number, first, count in found:
            self._db.execute("DELETE FROM affected WHERE id >= ? AND id < ?", (first, first + count))
            self._db.execute("DELETE FROM advisory WHERE id = ?", (number,))
