"""Match installed packages against advisories, under the rules that docs/advisories.md tells. Pure.

The invariants:
- A Debian or Ubuntu package is compared by its source's version, an RPM by what the row speaks of (rule 1).
- Of a kernel's packages only the one that runs is judged (rule 2).
- For each CVE, package and stream the earliest fix decides: who has it is not concerned, whatever later advisories
  repeat; who lacks it is told that one (rule 3).
- A row of another module stream says nothing (rule 4).
- `not affected`, said by the vendor, takes back what others claim; a rejected CVE supports nothing (`standing`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cmp_to_key, lru_cache
from typing import TYPE_CHECKING

from agent.judge import modules
from agent.judge.speakers import SURE, WEIGHT, named
from agent.model import kernels, streams
from agent.model.advisory import Candidate, Listing, Match, Scheme, Status
from agent.versions import compare

if TYPE_CHECKING:
    from agent.model.advisory import Affected, CveFacts, Known
    from agent.model.facts import HostFacts, Package

_NO_SECURITY = re.compile(r"(?:RH|AL|RL|EL|CE)[BE]A-")
"""Bug fix and enhancement advisories: of Red Hat and its rebuilds."""
_NO_EPOCHS = ("openeuler:", "kylin:", "uos:", "euleros:")
_ENOUGH = 10
"""A stream with a tenth of its richest sibling's advisories is a feed of its own, no mere sample."""
_SAID = (
    Status.WILL_NOT_FIX,
    Status.DEFERRED,
    Status.AFFECTED,
    Status.END_OF_LIFE,
    Status.UNDER_INVESTIGATION,
)
"""Of several statuses without a fix, the one that says most."""
_CENTOS = re.compile(r"\.centos(?=\.\d|$)")
"""`-97.el7.centos.5` is CentOS' build of Red Hat's `-97.el7_9.5`."""
_REBUILT = re.compile(r"\.(?:rocky|alma)(?:\.\d+)*$")
_MINOR = re.compile(r"(\.el\d+)_\d+")


def listing_of(facts: HostFacts) -> Listing:
    """The packages of a collected host, as matching wants them."""
    return Listing(
        os_id=facts.os_id,
        os_version=facts.os_version,
        os_name=facts.os_name,
        kernel=facts.kernel,
        packages=facts.packages,
        container=any("container" in subject.features for subject in facts.subjects),
    )


def choices(listing: Listing) -> tuple[tuple[str, ...], ...]:
    """Streams that may speak of this system, the first choice first."""
    releases = (one.version for one in listing.packages) if listing.os_id.lower() == "openeuler" else ()
    return streams.of_host(listing.os_id, listing.os_version, listing.os_name, releases)


def stream_of(listing: Listing, sizes: Mapping[str, int]) -> tuple[str, ...]:
    """Streams that are read together: the choices up to the first that speaks at length of this system.

    A few advisories of the system's own (a customer's table, a sample) must not hide a sibling's thousands.

    Args:
        listing: of a system.
        sizes: every stream with the number of its advisories.

    Returns:
        Empty: no feed speaks of this system.
    """
    every = choices(listing)
    most = max((sizes.get(stream, 0) for choice in every for stream in choice), default=0)
    there: list[str] = []
    for choice in every:
        there += (stream for stream in choice if sizes.get(stream))
        if most and max(sizes.get(stream, 0) for stream in choice) * _ENOUGH >= most:
            break
    return tuple(there)


def keys(listing: Listing, sizes: Mapping[str, int]) -> set[tuple[str, str]]:
    """What has to be looked up: (stream, package or source)."""
    names = {one.name for one in listing.packages} | {kernels.source_of(one) for one in listing.packages}
    return {(stream, name) for stream in stream_of(listing, sizes) for name in names}


def running(listing: Listing) -> str:
    """The running kernel; where nobody said which, the newest installed one is taken for it."""
    if listing.kernel or listing.container:
        return listing.kernel
    held = [one for one in listing.packages if kernels.release_of(one) and "-debug" not in one.name]
    held = [one for one in held if "+" not in kernels.release_of(one)] or held
    if not held:
        return ""
    return kernels.release_of(max(held, key=cmp_to_key(_by_version)))


def _by_version(one: Package, two: Package) -> int:
    return compare(_scheme(one), one.version, two.version)


def _scheme(package: Package) -> Scheme:
    return Scheme.DPKG if package.manager == "dpkg" else Scheme.RPM


def judged(listing: Listing) -> list[Package]:
    """Packages that are judged: all but what is built from a kernel's source and does not run."""
    kernel = "" if listing.container else running(listing)
    return [one for one in listing.packages if not kernels.of_kernel(one) or (kernel and kernels.runs(one, kernel))]


Memo = dict[tuple[object, ...], list[Match]]
"""Results by package and by what they depend on: equal packages of many hosts are judged once."""


def match(listing: Listing, known: Known, memo: Memo | None = None) -> tuple[Match, ...]:
    """Every advisory that concerns an installed package, by package, then advisory.

    Args:
        listing: of a system with dpkg or rpm.
        known: rows for at least `keys(listing, known.sizes)`.
        memo: kept between calls with the same `known`, it spares the judging of equal packages.
    """
    there = stream_of(listing, known.sizes)
    if not there:
        return ()
    memo = {} if memo is None else memo
    on = _enabled(listing, there, known)
    basis = (there, _own(listing), listing.epochs)
    streams_on = tuple(sorted(on.items()))
    found: list[Match] = []
    for package in dict.fromkeys(judged(listing)):
        unlabelled = package.manager == "rpm" and not package.module and modules.built_in_module(package.version)
        key = (package, *basis, streams_on if unlabelled else ())
        if key not in memo:
            memo[key] = _Package(package, listing, there, known, on).matches()
        found += memo[key]
    return tuple(found)


def _enabled(listing: Listing, there: tuple[str, ...], known: Known) -> dict[str, bool]:
    """Module streams of the system; asked only where a modular package bears no label."""
    unsaid = [one for one in listing.packages if not one.module and modules.built_in_module(one.version)]
    if not unsaid:
        return {}
    rows = {
        one.name: [candidate.row for stream in there for candidate in known.rows.get((stream, one.name), ())]
        for one in unsaid
    }
    return modules.enabled(listing.packages, rows)


@dataclass(frozen=True, slots=True)
class _Said:
    """One row about one CVE of one package, brought to what counts."""

    candidate: Candidate
    installed: str
    fixed: str
    """As it is compared."""

    @property
    def row(self) -> Affected:
        return self.candidate.row

    @property
    def cves(self) -> tuple[str, ...]:
        """What it speaks of; the advisory itself where it names no CVE."""
        return self.candidate.row.cves or self.candidate.head.cves or (self.candidate.head.id,)

    @property
    def weight(self) -> tuple[int, bool, str]:
        """Sorts the better speaker first: authority, then an advisory before a bare CVE."""
        head = self.candidate.head
        return (WEIGHT[head.authority], head.id.startswith("CVE-"), head.id)


def _all_plain(every: list[_Said]) -> bool:
    """Whether one authority alone names fixes that hold from the first version on."""
    return len({said.candidate.head.authority for said in every}) == 1 and all(
        said.fixed
        and said.candidate.row.status is Status.FIXED
        and not (said.candidate.row.introduced or said.candidate.row.last or said.candidate.row.versions)
        for said in every
    )


class _Package:
    """One installed package against the rows that name it or its source."""

    def __init__(
        self, package: Package, listing: Listing, there: tuple[str, ...], known: Known, on: modules.Enabled
    ) -> None:
        self.package, self.listing, self.there, self.known, self.on = package, listing, there, known, on
        self.source = kernels.source_of(package)
        signed = self.source != package.source
        # Debian numbers its signed kernels apart (6.1.76+1); the binary's version is the source's (6.1.76-1)
        self.source_version = package.version if signed else package.source_version
        self.scheme = _scheme(package)
        self.own = _own(listing)

    def matches(self) -> list[Match]:
        """Open CVEs grouped by the advisory that brings their earliest fix."""
        every = list(self._rows())
        by_advisory: dict[tuple[str, str, Status], tuple[_Said, list[str]]] = {}
        for told, cves in self._plain(every) if _all_plain(every) else self._weighed(every):
            key = (told.candidate.head.id, told.row.fixed, told.row.status)
            by_advisory.setdefault(key, (told, []))[1].extend(cves)
        return [self._match(said, cves) for said, cves in by_advisory.values()]

    def _plain(self, every: list[_Said]) -> Iterator[tuple[_Said, list[str]]]:
        """The same answer as `_weighed` where one authority names fixes and nothing else, which most packages are."""
        missing: list[_Said] = []
        done: set[str] = set()
        for said in every:
            if self._at_least(said.installed, said.fixed):
                done.update(said.cves)
            else:
                missing.append(said)
        missing.sort(key=lambda said: said.weight)
        missing.sort(key=cmp_to_key(self._earlier))
        for said in missing:
            if left := [cve for cve in said.cves if cve not in done]:
                done.update(left)
                yield said, left

    def _weighed(self, every: list[_Said]) -> Iterator[tuple[_Said, list[str]]]:
        """Each CVE that is open with the row to tell of it."""
        spoken: dict[str, list[_Said]] = {}
        for said in every:
            for cve in said.cves:
                spoken.setdefault(cve, []).append(said)
        decided: dict[tuple[int, ...], _Said | None] = {}  # CVEs of which the same rows speak share one answer
        for cve, of_cve in spoken.items():
            rows = tuple(map(id, of_cve))
            if rows not in decided:
                decided[rows] = self._open(of_cve)
            if told := decided[rows]:
                yield told, [cve]

    def _rows(self) -> Iterable[_Said]:
        for stream in self.there:
            for candidate in self.known.rows.get((stream, self.package.name), ()):
                if candidate.row.by == "binary" and self._speaks(candidate.row):
                    yield self._said(candidate, self.package.version)
            for candidate in self.known.rows.get((stream, self.source), ()):
                if candidate.row.by == "source" and self._speaks(candidate.row):
                    yield self._said(candidate, self.source_version)

    def _speaks(self, row: Affected) -> bool:
        if row.scheme is not self.scheme:
            return False  # a package of another manager, whose versions cannot be compared
        arches = row.arches
        if arches and self.package.arch and self.package.arch not in {"noarch", "all", *arches}:
            return False
        if row.fix and not row.fixed and row.versions and self.package.version not in row.versions:
            return False
        return self.package.manager != "rpm" or modules.agree(self.package, row, self.on)

    def _said(self, candidate: Candidate, installed: str) -> _Said:
        told = candidate.row.fixed or candidate.row.last
        # openEuler names files, which bear no epoch: to compare with the installed one would close every CVE
        bare = candidate.row.stream.startswith(_NO_EPOCHS) and bool(told) and ":" not in told
        foreign = not candidate.row.stream.startswith(f"{self.own}:")
        return _Said(
            candidate,
            self._brought(installed, bare=bare, foreign=foreign),
            self._brought(candidate.row.fixed, foreign=foreign),
        )

    def _brought(self, version: str, *, bare: bool = False, foreign: bool = False) -> str:
        """A version as it is compared: without build context, unknown epochs, and the marks of a rebuild."""
        if self.package.manager != "rpm" or not version:
            return version
        version = modules.plain(version)
        if bare or not self.listing.epochs:
            version = version.rpartition(":")[2]
        if foreign:  # a sibling's builds bear other marks in their release
            version = _MINOR.sub(r"\1", _REBUILT.sub("", _CENTOS.sub("", version)))
        return version

    def _open(self, every: list[_Said]) -> _Said | None:
        """The row to tell, if the CVE is open in the installed version.

        Only who speaks with the most weight can say that it is closed: else any table that somebody imports could
        hide what the vendor says. A lesser one may still name a fix where the vendor has none.
        """
        best = min(said.weight[0] for said in every)
        sure = [said for said in every if said.weight[0] == best]
        fixes = [said for said in sure if said.fixed]
        if any(not said.row.introduced and self._at_least(said.installed, said.fixed) for said in fixes):
            return None
        if any(said.row.status is Status.NOT_AFFECTED and self._concerns(said) for said in sure):
            return None
        if first := self._first_fix(sure):
            return first
        if fixes:
            return None  # its ranges were given, and the installed version is in none
        if first := self._first_fix(every):
            return first
        unfixed = [one for one in every if one.row.status in _SAID and self._concerns(one)]
        return min(unfixed, key=lambda one: (_SAID.index(one.row.status), one.weight), default=None)

    def _first_fix(self, every: list[_Said]) -> _Said | None:
        """The earliest fix that the installed version lacks, by who says it best."""
        missing = [one for one in every if one.fixed and one.row.status is Status.FIXED and self._concerns(one)]
        if not missing:
            return None
        first = min(missing, key=cmp_to_key(self._earlier))
        return min((one for one in missing if one.fixed == first.fixed), key=lambda one: one.weight)

    def _earlier(self, one: _Said, two: _Said) -> int:
        return compare(self.scheme, one.fixed, two.fixed)

    def _at_least(self, installed: str, other: str) -> bool:
        return compare(self.scheme, installed, other) >= 0

    def _concerns(self, said: _Said) -> bool:
        row = said.row
        if row.versions and not (row.introduced or row.fixed or row.last):
            return self.package.version in row.versions or said.installed in row.versions
        if row.introduced and not self._at_least(said.installed, self._brought(row.introduced)):
            return False
        if said.fixed and self._at_least(said.installed, said.fixed):
            return False
        return not row.last or compare(self.scheme, said.installed, self._brought(row.last)) <= 0

    def _match(self, said: _Said, cves: list[str]) -> Match:
        head, row = said.candidate.head, said.row
        return Match(
            advisory=head.id,
            feed=head.feed,
            cves=named(cves),
            package=self.package.name,
            source=self.source,
            arch=self.package.arch,
            installed=self.package.version,
            fixed=row.fixed,
            status=row.status,
            confidence=SURE[head.authority],
            title=head.title,
            severity=head.severity,
            score=head.score,
            url=head.url,
            fix=row.fix,
            reboot=row.reboot or kernels.of_kernel(self.package),
            stream=row.stream,
            aliases=head.aliases,
        )


def _own(listing: Listing) -> str:
    return _distribution(listing.os_id, listing.os_version, listing.os_name)


@lru_cache(maxsize=256)
def _distribution(os_id: str, os_version: str, os_name: str) -> str:
    """The system's own name among streams, which does not depend on its packages."""
    first = streams.of_host(os_id, os_version, os_name)
    return first[0][0].partition(":")[0] if first and first[0] else ""


def standing(matches: Iterable[Match], cves: Mapping[str, CveFacts]) -> list[Match]:
    """Matches without the CVEs that the numbering authority took back, and without what mends no vulnerability.

    That is a regression update, or a vendor's advisory of kind bug fix or enhancement, which names no CVE.
    """
    found = []
    for one in matches:
        left = tuple(cve for cve in one.cves if not (cve in cves and cves[cve].rejected))
        if left or (not one.cves and not _NO_SECURITY.match(one.advisory) and "regression" not in one.title.lower()):
            found.append(one if left == one.cves else replace(one, cves=left))
    return found
