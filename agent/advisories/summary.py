"""What is said of a feed as a whole: derived from its documents and records at the end of an import."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

_OF_DOCUMENTS = ("note", "exploited", "likelihood", "lifecycle")


def one(connection: sqlite3.Connection, query: str, *values: object) -> int:
    """The one number that a query gives."""
    return int(connection.execute(query, values).fetchone()[0])


def totals(connection: sqlite3.Connection) -> dict[str, int]:
    """How many records of each kind there are; withdrawn advisories do not count."""
    counts = {"advisory": one(connection, "SELECT count(*) FROM advisory") - _withdrawn(connection)}
    return counts | {kind: one(connection, f"SELECT count(*) FROM {kind}") for kind in _OF_DOCUMENTS}  # noqa: S608


def _withdrawn(connection: sqlite3.Connection) -> int:
    return one(connection, "SELECT count(*) FROM advisory WHERE withdrawn")


def renew(connection: sqlite3.Connection, feed: int, now: str) -> None:
    """Write a feed's line, and which streams it speaks of, anew; a feed without a document goes.

    A record that is dated after `now` does not make a feed look fresh: the time of the import counts instead.
    """
    connection.execute("DELETE FROM speaks WHERE feed = ?", (feed,))
    digest, count, newest, origin, last = hashlib.sha256(), 0, "", 0, ("", 0)
    for number, scope, sha256, date, source in connection.execute(
        "SELECT id, scope, sha256, date, origin FROM document WHERE feed = ? ORDER BY scope, sha256", (feed,)
    ):
        digest.update(f"{scope}\n{sha256}\n".encode("utf-8", "backslashreplace"))
        count, newest = count + 1, max(newest, date)
        if (date, number) >= last:
            origin, last = source, (date, number)
    if not count:
        connection.execute("DELETE FROM feed WHERE id = ?", (feed,))
        return
    records = one(connection, "SELECT count(*) FROM advisory WHERE feed = ? AND NOT withdrawn", feed)
    for kind in _OF_DOCUMENTS:
        records += one(
            connection,
            f"SELECT count(*) FROM document d JOIN {kind} r ON r.document = d.id WHERE d.feed = ?",  # noqa: S608 - ours
            feed,
        )
    stamps = (
        "SELECT coalesce(max(max(modified, published)), '') FROM advisory WHERE feed = ?",
        "SELECT coalesce(max(added || 'T00:00:00Z'), '') FROM exploited WHERE feed = ? AND added != ''",
    )
    newest = max(newest, *(connection.execute(query, (feed,)).fetchone()[0] for query in stamps))
    connection.execute(
        "UPDATE feed SET records = ?, documents = ?, newest = ?, sha256 = ?, origin = ? WHERE id = ?",
        (records, count, min(newest, now), digest.hexdigest(), origin, feed),
    )
    connection.execute(
        "INSERT INTO speaks"
        " SELECT a.feed, f.stream, min(max(max(a.modified, a.published, d.date)), ?), count(DISTINCT a.id)"
        " FROM advisory a JOIN document d ON d.id = a.document"
        " CROSS JOIN affected f ON f.id >= a.first AND f.id < a.first + a.statements"
        " WHERE a.feed = ? GROUP BY a.feed, f.stream",
        (now, feed),
    )
