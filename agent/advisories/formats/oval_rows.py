"""From a test of packages to rows, and from rows to advisories: one for each id, equal rows brought together."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from agent.advisories import fields
from agent.advisories.formats.oval_tests import Package, State
from agent.model import streams
from agent.model.advisory import Advisory, Affected, Scheme, Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.advisories.formats.oval import Definition
    from agent.advisories.formats.oval_criteria import Leaf, Where

_COLLECTION = re.compile(r"cpe:/a:redhat:rhel_(?:software_collections|dotnet):[^:]*::el(\d+)")
_EXTRAS = re.compile(r"cpe:/[ao]:redhat:rhel_extras_\w+:(\d+)")
_APART = re.compile(r"\.ksplice\d|_fips\b")
"""Builds that are not compared with normal ones."""


MAX_ROWS = 100_000
"""Of one advisory; a kernel of Ubuntu's, the largest, has some thousands."""
MAX_ALL = 5_000_000
"""Of one document: many tests of one variable with many names multiply."""


class _Row(NamedTuple):
    """A row but for its architectures."""

    stream: str
    package: str
    scheme: Scheme
    by: str
    fixed: str
    last: str
    status: Status
    modules: tuple[str, ...]


class Rows:
    """Rows by advisory, in the order of the document."""

    def __init__(self) -> None:
        """There are none yet."""
        self._advisories: dict[str, Advisory] = {}
        self._rows: dict[str, dict[_Row, tuple[str, ...]]] = {}
        self._count = 0

    def add(self, one: Definition, leaf: Leaf, rows: list[tuple[_Row, tuple[str, ...]]]) -> None:
        """Add rows of a definition's test, each with its architectures. Raises ValueError for absurdly many."""
        if not rows:
            return
        advisory = one.advisory
        if leaf.said and leaf.said.cve not in {"", advisory.id}:
            advisory = _of_cve(one, leaf.said.cve)
        held = self._advisories.get(advisory.id)
        self._advisories[advisory.id] = advisory if held is None else _joined(held, advisory)
        known = self._rows.setdefault(advisory.id, {})
        for row, arches in rows:
            there = known.get(row, arches)
            # no architecture named speaks of all
            known[row] = tuple(dict.fromkeys((*there, *arches))) if there and arches else ()
        self._count += len(rows)
        if len(known) > MAX_ROWS or self._count > MAX_ALL:
            most = f"{MAX_ROWS} in one advisory" if len(known) > MAX_ROWS else f"{MAX_ALL}"
            raise ValueError(f"more packages than any feed names: over {most}")

    def advisory(self, ident: str) -> Iterator[Advisory]:
        """The advisory of this id, if it has rows, which are then forgotten."""
        advisory, rows = self._advisories.pop(ident, None), self._rows.pop(ident, {})
        if advisory is not None:
            yield replace(advisory, affected=tuple(_affected(row, arches) for row, arches in rows.items()))

    def others(self) -> Iterator[Advisory]:
        """What is left."""
        for ident in list(self._advisories):
            yield from self.advisory(ident)


def _affected(row: _Row, arches: tuple[str, ...]) -> Affected:
    return Affected(
        row.stream, row.package, row.scheme, row.by, fixed=row.fixed, last=row.last, status=row.status,
        modules=row.modules, modular=bool(row.modules) or ".module" in row.fixed, arches=arches,
    )  # fmt: skip


def _joined(held: Advisory, other: Advisory) -> Advisory:
    """Two definitions of one id: affected packages and unaffected ones, or packages of one CVE."""
    if held is other or held == other:
        return held
    return replace(
        held,
        cves=fields.cves([*held.cves, *other.cves]),
        modified=max(held.modified, other.modified),
        severity=held.severity or other.severity,
    )


def _of_cve(one: Definition, cve: str) -> Advisory:
    """The advisory of one CVE, of a definition that tells all CVEs of a package."""
    vector, severity = one.scores.get(cve, ("", ""))
    score, vector = fields.best_score([vector] if vector else [])
    return Advisory(id=cve, title=one.advisory.title, severity=severity, score=score, vector=vector, cves=(cve,))


def affected(
    one: Definition, leaf: Leaf, package: Package | None, who: str, base: str
) -> list[tuple[_Row, tuple[str, ...]]]:
    """Rows of one test with their architectures; none when it says nothing of a package of a known stream."""
    by = "source" if who == "debian" or package is None else "binary"
    if package is None:
        # Ubuntu tests the kernel that runs: only the comment names it
        if leaf.said is None:
            return []
        package = Package((leaf.said.source,), State(), dpkg=True)
    status = _status(one, leaf, package)
    if status is None:
        return []
    fixed, last = package.state.fixed, package.state.last
    if leaf.said and leaf.said.status is not Status.FIXED:
        fixed = last = ""
    fixed = fixed or (leaf.said.fixed if leaf.said else "")
    if "0" in {fixed, last} or _APART.search(fixed):
        return []
    scheme = Scheme.DPKG if package.dpkg else Scheme.RPM
    arches = package.state.arches or leaf.where.arches
    return [
        (_Row(stream, name, scheme, by, fixed, last, status, leaf.where.modules), arches)
        for stream in _streams(one, leaf.where, who)
        for name in package.names
        for stream in (_edition(stream, fixed, base),)
    ]


def _status(one: Definition, leaf: Leaf, package: Package) -> Status | None:
    if one.unaffected:
        return Status.NOT_AFFECTED
    if leaf.said:
        return leaf.said.status
    if package.state.fixed or package.state.last:
        return Status.FIXED if package.state.fixed else Status.AFFECTED
    if one.patch or package.state.other:
        return None
    words = set(one.resolutions.values())
    return one.resolutions.get(package.names[0]) or (words.pop() if len(words) == 1 else Status.AFFECTED)


def _streams(one: Definition, where: Where, who: str) -> list[str]:
    if who != "redhat" or not one.cpes:
        if where.streams is not None:
            return list(where.streams)
        told = [stream for name in one.platform if (stream := streams.of_name(name))]
        return list(dict.fromkeys(told or [stream for cpe in one.cpes if (stream := streams.of_cpe(cpe))]))
    found = dict.fromkeys(stream for cpe in one.cpes if (stream := _redhat(cpe)))
    majors = {_major(stream) for stream in where.streams or ()}
    return [stream for stream in found if not majors or _major(stream) in majors]


def _redhat(cpe: str) -> str:
    """Collections and extras are built for one major version and bear names of their own: they stand in its stream."""
    hit = _COLLECTION.match(cpe) or _EXTRAS.match(cpe)
    return f"rhel:{hit[1]}" if hit else streams.of_cpe(cpe)


def _major(stream: str) -> str:
    return stream.partition(":")[2].partition(".")[0]


def _edition(stream: str, fixed: str, base: str) -> str:
    """Ubuntu's builds for subscribers, which the version tells, or the file."""
    if not stream.startswith("ubuntu:"):
        return stream
    told = f"{fixed} {base}".lower()
    if "fips" in told:
        return stream.replace("ubuntu:", "ubuntu-fips:")
    return stream.replace("ubuntu:", "ubuntu-pro:") if "esm" in told else stream
