"""Records that are about a CVE or a product as such, not about a package in a stream: their tables and rows."""

from __future__ import annotations

from typing import Any

from agent.model.advisory import CveNote, Exploited, Lifecycle, Likelihood

COLUMNS = {
    "note": ("cve feed", "document title score vector severity cnnvd rejected"),
    "exploited": ("cve feed", "document added due ransomware name action"),
    "likelihood": ("cve feed", "document probability percentile"),
    "lifecycle": ("product cycle feed", "document eol extended released latest source checked"),
}
"""Kind (its table) to the columns that say which one it is, and the others."""


def row_of(
    record: CveNote | Exploited | Likelihood | Lifecycle, feed: int, document: int
) -> tuple[str, tuple[Any, ...]]:
    """A record's table, and its row in the order of COLUMNS."""
    match record:
        case Likelihood():
            return "likelihood", (record.cve, feed, document, record.probability, record.percentile)
        case CveNote(cve, title, score, vector, severity, cnnvd, rejected):
            return "note", (cve, feed, document, title, score, vector, severity, cnnvd, int(rejected))
        case Exploited(cve, added, due, ransomware, name, action):
            return "exploited", (cve, feed, document, added, due, int(ransomware), name, action)
        case Lifecycle(product, cycle, eol, extended, released, latest, source, checked):
            return "lifecycle", (product, cycle, feed, document, eol, extended, released, latest, source, checked)


def upsert(kind: str) -> str:
    """Insert or replace, given a row, the first document number of this import, and the document's date.

    What is there stays when it is newer, or was told by this import too and is no older.
    """
    keys, others = (text.split() for text in COLUMNS[kind])
    count = len(keys) + len(others)
    dated = f"(SELECT date FROM document WHERE document.id = {kind}.document)"  # noqa: S608 - our own words
    changes = ", ".join(f"{name} = excluded.{name}" for name in others)
    marks = ", ".join(f"?{number}" for number in range(1, count + 1))
    return (
        f"INSERT INTO {kind} VALUES ({marks}) ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {changes}"  # noqa: S608
        f" WHERE CASE WHEN {kind}.document >= ?{count + 1} THEN {dated} < ?{count + 2} AND {dated} != ''"
        f" ELSE ?{count + 2} = '' OR {dated} <= ?{count + 2} END"
    )
