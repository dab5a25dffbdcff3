"""Look up in the store what is known of packages and CVEs: a join with the wanted keys, whatever their number."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

from agent.advisories.statements import Extra, split, unpack
from agent.model.advisory import (
    Affected,
    Authority,
    Candidate,
    CveFacts,
    CveNote,
    Exploited,
    Head,
    Lifecycle,
    Scheme,
    Status,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator

_RANK = {Authority.VENDOR: 0, Authority.NVD: 1}
"""Whose score of a CVE counts first; all others come after."""

_HEADS = (
    "SELECT a.id, a.name, a.feed, a.title, a.severity, a.score, a.cves, a.aliases, a.published, a.url"
    " FROM temp.wanted w CROSS JOIN advisory a ON a.id = w.n"
)
_ROWS = (
    "SELECT w.n, a.shape, a.introduced, a.fixed, a.cves, a.extra, a.advisory FROM temp.wanted w"
    " CROSS JOIN affected a ON a.stream = w.stream AND a.package = w.text"
)
_NOTES = (
    "SELECT f.authority, r.cve, r.title, r.score, r.vector, r.severity, r.cnnvd, r.rejected FROM temp.wanted w"
    " CROSS JOIN note r ON r.cve = w.text JOIN feed f ON f.id = r.feed ORDER BY f.name"
)
_EXPLOITED = (
    "SELECT r.cve, r.added, r.due, r.ransomware, r.name, r.action FROM temp.wanted w"
    " CROSS JOIN exploited r ON r.cve = w.text JOIN feed f ON f.id = r.feed ORDER BY f.name DESC"
)
_LIKELIHOOD = (
    "SELECT r.cve, r.probability FROM temp.wanted w CROSS JOIN likelihood r ON r.cve = w.text"
    " JOIN document d ON d.id = r.document ORDER BY d.date"
)
_LIFECYCLE = (
    "SELECT r.product, r.cycle, r.eol, r.extended, r.released, r.latest, r.source, r.checked FROM temp.wanted w"
    " CROSS JOIN lifecycle r ON r.product = w.text JOIN feed f ON f.id = r.feed ORDER BY r.product, r.cycle, f.name"
)


def _want(connection: sqlite3.Connection, rows: Iterable[tuple[int, int, str]]) -> None:
    """Fill the table of what is looked for: number, stream, package, CVE or product."""
    connection.execute("CREATE TEMP TABLE IF NOT EXISTS wanted (n INTEGER PRIMARY KEY, stream INTEGER, text TEXT)")
    connection.execute("DELETE FROM temp.wanted")
    connection.executemany("INSERT INTO temp.wanted VALUES (?,?,?)", rows)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Tens of thousands of objects without a circle: the collector would walk them again and again for nothing."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def candidates(
    connection: sqlite3.Connection, keys: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], tuple[Candidate, ...]]:
    """Rows by (stream, package); keys of which nothing is known are left out."""
    with _uncollected():
        return _candidates(connection, keys)


def _candidates(
    connection: sqlite3.Connection, keys: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], tuple[Candidate, ...]]:
    streams: dict[str, int] = dict(connection.execute("SELECT name, id FROM stream"))
    wanted = sorted({(streams[stream], package, stream) for stream, package in keys if stream in streams})
    _want(connection, ((place, number, package) for place, (number, package, _) in enumerate(wanted)))
    rows = connection.execute(_ROWS).fetchall()
    heads = _heads(connection, {row[6] for row in rows})
    shapes = {
        number: (Scheme(scheme), by, Status(status))
        for number, scheme, by, status in connection.execute("SELECT id, scheme, by, status FROM shape")
    }
    extras: dict[str, Extra] = {}
    alike: dict[tuple[int, int, str, str, str, str], Affected] = {}
    found: dict[int, list[Candidate]] = {}
    for place, shape, introduced, fixed, cves, extra, number in rows:
        key = (place, shape, introduced, fixed, cves, extra)
        one = alike.get(key)
        if one is None:
            if extra not in extras:
                extras[extra] = unpack(extra)
            last, versions, modules, modular, arches, fix, supersedes, reboot = extras[extra]
            scheme, by, status = shapes[shape]
            _, package, stream = wanted[place]
            one = alike[key] = Affected(
                stream, package, scheme, by, introduced, fixed, last, versions, status, split(cves), modules, modular,
                arches, fix, supersedes, reboot,
            )  # fmt: skip
        found.setdefault(place, []).append(Candidate(heads[number], one))
    return {(wanted[place][2], wanted[place][1]): tuple(several) for place, several in found.items()}


def _heads(connection: sqlite3.Connection, numbers: set[int]) -> dict[int, Head]:
    _want(connection, ((number, 0, "") for number in sorted(numbers)))
    feeds = {
        number: (name, Authority(authority))
        for number, name, authority in connection.execute("SELECT id, name, authority FROM feed")
    }
    return {
        number: Head(name, *feeds[feed], title, severity, score, split(cves), split(aliases), published, url)
        for number, name, feed, title, severity, score, cves, aliases, published, url in connection.execute(_HEADS)
    }


def facts(connection: sqlite3.Connection, ids: Iterable[str]) -> dict[str, CveFacts]:
    """What is known of CVEs, merged; those of which nothing is known are left out."""
    _want(connection, ((place, 0, cve) for place, cve in enumerate(sorted(set(ids)))))
    notes: dict[str, list[tuple[int, CveNote]]] = {}
    for authority, cve, title, score, vector, severity, cnnvd, rejected in connection.execute(_NOTES):
        rank = _RANK.get(Authority(authority), 2)
        note = CveNote(cve, title, score, vector, severity, cnnvd, bool(rejected))
        notes.setdefault(cve, []).append((rank, note))
    listed = {
        row[0]: Exploited(row[0], row[1], row[2], bool(row[3]), row[4], row[5])
        for row in connection.execute(_EXPLOITED)
    }
    chances: dict[str, float] = dict(connection.execute(_LIKELIHOOD))
    return {
        cve: _merged(cve, notes.get(cve, ()), listed.get(cve), chances.get(cve))
        for cve in sorted({*notes, *listed, *chances})
    }


def _merged(cve: str, notes: Iterable[tuple[int, CveNote]], kev: Exploited | None, epss: float | None) -> CveFacts:
    """The surest source first; of one source the newest CVSS version (FIRST: 4.0 and 3.1 replace what is before)."""
    ordered = [note for _, note in sorted(notes, key=lambda pair: (pair[0], _cvss_age(pair[1].vector)))]
    scored = next((note for note in ordered if note.score is not None), None)
    named = scored or next((note for note in ordered if note.severity), None)
    return CveFacts(
        cve,
        next((note.title for note in ordered if note.title), kev.name if kev else ""),
        scored.score if scored else None,
        named.severity if named else "",
        next((note.cnnvd for note in ordered if note.cnnvd), ""),
        kev,
        epss,
        any(note.rejected for note in ordered),
    )


def _cvss_age(vector: str) -> float:
    """0 for the newest version of CVSS, more for older ones."""
    version = vector.removeprefix("CVSS:").partition("/")[0] if vector.startswith("CVSS:") else "2"
    return {"4.0": 0, "3.1": 1, "3.0": 2}.get(version, 3)


def cycles(connection: sqlite3.Connection, products: Iterable[str]) -> dict[str, tuple[Lifecycle, ...]]:
    """Lifecycles by product, in the order of their cycles' names."""
    _want(connection, ((place, 0, product) for place, product in enumerate(sorted(set(products)))))
    found: dict[str, list[Lifecycle]] = {}
    for row in connection.execute(_LIFECYCLE):
        found.setdefault(row[0], []).append(Lifecycle(*row))
    return {product: tuple(several) for product, several in found.items()}
