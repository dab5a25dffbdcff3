"""Match a Windows system against Microsoft's updates: its build, or its installed KBs. Pure.

The invariants:
- Only rows of the exact product count, and of them only builds of the installed line (10.0.14393 and its twins).
- Any one remediation that is there closes a CVE (rule 6): the UBR reached its fixed build, or the KB, or one that
  replaces it, is installed.
- Windows' updates are cumulative, so that a higher UBR never has more open CVEs.

Of a remediation whose build nobody gives (Microsoft began in 2021; for Server 2016 and 2019 `windowsbuilds` knows the
older ones) this is known: a KB that replaces it, or any update for a CVE that came out later, has a build that is
reached: closed. Installed KBs were brought, and neither it nor a KB that replaces it is among them: open. Neither: open
as far as anybody can tell, with rough confidence.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from agent.judge.speakers import SURE, WEIGHT, named
from agent.judge.windowsbuilds import BROUGHT, SP2, TWINS, exact_product, numbers
from agent.model.advisory import Affected, Candidate, Confidence, Listing, Match, Status

__all__ = ["Unjudged", "exact_product", "match", "numbers"]

_BEFORE_2019 = 6002
"""Server 2008 bore this number until March 2019, with revisions that were higher than those of 6003 (4489887)."""
_STRAY = 10
"""A line of builds is a product's own when at least a tenth of its rows are of it."""


@dataclass(frozen=True, slots=True)
class Unjudged:
    """Why a system cannot be judged; not the same as nothing found."""

    reason: str


def match(listing: Listing, rows: Sequence[Candidate]) -> tuple[Match, ...] | Unjudged:
    """What is open in one system, by advisory; or why that cannot be told.

    Args:
        listing: `os_name` is the exact product (`exact_product`), `os_version` the build with its UBR, `patches` the
            installed KBs; one of UBR and patches is needed.
        rows: all that the store has of the product.
    """
    own = [one for one in rows if one.row.package == listing.os_name]
    if not own:
        return Unjudged(f"no imported feed speaks of {listing.os_name}")
    version = numbers(listing.os_version)
    if version is None:
        return Unjudged(f"{listing.os_version!r} is no Windows version: write it as 10.0.14393.6351")
    build, revision = version if version[0] != _BEFORE_2019 else (SP2, 0)
    known = _Known(TWINS.get(build, build), own)
    if listing.os_name.startswith("Windows ") and known.lines and known.line not in known.lines:
        told = ", ".join(str(one) for one in sorted(known.lines))
        return Unjudged(f"build {build} is no build of {listing.os_name} (that is {told})")
    host = _Host(known, revision, frozenset(_kb(one) for one in listing.patches))
    if host.revision is None and not host.patches:
        return Unjudged("neither the UBR (the last number of 10.0.14393.6351) nor the installed KBs are known")
    if not known.lowest and not host.patches:
        return Unjudged(f"no feed gives builds of {listing.os_name}; bring the list of installed KBs")
    return _grouped(host, listing.os_version)


def _kb(text: str) -> str:
    return f"KB{text.strip().upper().removeprefix('KB')}"


@lru_cache(maxsize=8192)
def _fixed(text: str) -> tuple[int, int] | None:
    """Line and UBR of a fixed build; None when it is empty or none of Windows."""
    found = numbers(text) if text else None
    return (TWINS.get(found[0], found[0]), found[1]) if found and found[1] is not None else None


@dataclass(frozen=True, slots=True)
class _Told:
    """One remediation."""

    candidate: Candidate
    at: int | None
    """The UBR from which on it is in, on the installed line; None when nobody says."""

    @property
    def row(self) -> Affected:
        return self.candidate.row


class _Known:
    """What the rows of one product say of its updates, on one line of builds."""

    def __init__(self, line: int, rows: Sequence[Candidate]) -> None:
        self.line = line
        self.brought = BROUGHT.get(line, {})
        self.told: list[_Told] = []
        self.lowest: dict[str, int] = {}
        """KB to the lowest UBR that is known for it."""
        self.replaces: dict[str, set[str]] = {}
        counted: dict[int, int] = {}
        for candidate in rows:
            row = candidate.row
            build = _fixed(row.fixed)
            at = build[1] if build and build[0] == line else self.brought.get(row.fix)
            self.told.append(_Told(candidate, at))
            if build:
                counted[build[0]] = counted.get(build[0], 0) + 1
            if row.fix:
                self.replaces.setdefault(row.fix, set()).update(row.supersedes)
                if at is not None:
                    self.lowest[row.fix] = min(at, self.lowest.get(row.fix, at))
        # a stray row of another system does not make that system's builds this product's
        self.lines = {one for one, count in counted.items() if count * _STRAY >= sum(counted.values())}
        if any(update in self.brought for update in self.replaces):
            self.lines.add(line)

    @cached_property
    def replaced_by(self) -> Mapping[str, set[str]]:
        """KB to those that name it as replaced."""
        found: dict[str, set[str]] = {}
        for update, others in self.replaces.items():
            for other in others:
                found.setdefault(other, set()).add(update)
        return found

    def reach(self, start: Iterable[str], edges: Mapping[str, set[str]]) -> set[str]:
        """All KBs that one comes to from these, themselves among them."""
        seen = set(start)
        waiting = list(seen)
        while waiting:
            fresh = edges.get(waiting.pop(), set()) - seen
            seen |= fresh
            waiting += fresh
        return seen

    @cached_property
    def bridged(self) -> Mapping[str, set[str]]:
        """`replaces`, with its gaps closed.

        A month's rollup may say that it replaces an update between the months, which mends nothing itself and has no
        row; it then replaces the last rollup before it, too. KBs are numbered in the order of time.
        """
        rollups = sorted((one for one in self.replaces if self.replaces[one]), key=_number)
        found = dict(self.replaces)
        for place, update in enumerate(rollups[1:], 1):
            before = rollups[place - 1]
            if before not in self.replaced_by and not any(one in self.replaces for one in found[update]):
                found[update] = found[update] | {before}
        return found

    def bound(self, update: str) -> int | None:
        """The lowest UBR of the updates that replace this one: from there on it is surely in."""
        found = [self.lowest[one] for one in self.reach([update], self.replaced_by) if one in self.lowest]
        return min(found, default=None)

    @cached_property
    def _later(self) -> tuple[list[str], list[int]]:
        """Days of publication in their order, and the lowest UBR of a CVE that came out on this day or later."""
        told = sorted(
            (one.candidate.head.published[:10], one.at)
            for one in self.told
            if one.at is not None and one.candidate.head.published
        )
        lowest: list[int] = []
        for _, at in reversed(told):
            lowest.append(min(at, lowest[-1]) if lowest else at)
        return [day for day, _ in told], lowest[::-1]

    def after(self, published: str) -> int | None:
        """The lowest UBR of an update for a CVE that came out later than this one."""
        days, lowest = self._later
        place = bisect_left(days, f"{published[:10]}~") if published else len(days)
        return lowest[place] if place < len(days) else None


def _number(update: str) -> int:
    return int(re.sub(r"\D", "", update)[:9] or 0)


class _Host:
    """The system: which remediations it has."""

    def __init__(self, known: _Known, revision: int | None, patches: frozenset[str]) -> None:
        self.known, self.patches = known, patches
        self.installed = known.reach(patches, known.bridged) if patches else set()
        self.revision = self._revision_of_patches() if revision is None else revision
        self._outgrown: dict[tuple[str, str], bool] = {}

    def _revision_of_patches(self) -> int | None:
        """The highest UBR that an installed cumulative update brought."""
        known = self.known
        found = [known.brought.get(one, known.lowest.get(one)) for one in self.patches if self._cumulative(one)]
        return max((one for one in found if one is not None), default=None)

    def _cumulative(self, update: str) -> bool:
        """Whether an update is one of the chain: neither security-only nor for a single component."""
        known = self.known
        before = known.replaces.get(update, ())
        return update in known.brought or update in known.replaced_by or any(one in known.lowest for one in before)

    def has(self, told: _Told) -> bool:
        """Whether this remediation is there: its KB, or its build."""
        reached = told.at is not None and self.revision is not None and self.revision >= told.at
        return reached or told.row.fix in self.installed

    def outgrew(self, told: _Told) -> bool:
        """Whether a remediation without a build must be in, because one that came later is."""
        if self.revision is None:
            return False
        key = (told.row.fix, told.candidate.head.published[:10])
        if key not in self._outgrown:
            bounds = (self.known.bound(key[0]) if key[0] else None, self.known.after(key[1]))
            self._outgrown[key] = any(one is not None and self.revision >= one for one in bounds)
        return self._outgrown[key]

    def lacks(self, told: _Told) -> bool:
        """Whether this remediation is surely not there, given that nothing says that it is."""
        return (told.at is not None and self.revision is not None) or bool(self.patches and told.row.fix)

    def open(self, every: Sequence[_Told]) -> tuple[_Told, Confidence] | None:
        """The remediation to tell of one CVE, and how sure it is that it is needed; None when the CVE is closed."""
        if any(one.row.status is Status.NOT_AFFECTED or self.has(one) for one in every):
            return None
        if all(one.at is None for one in every) and any(self.outgrew(one) for one in every):
            return None
        sure = [one for one in every if self.lacks(one) or not (one.row.fix or one.row.fixed)]
        best = min(sure or every, key=_preference)
        return best, SURE[best.candidate.head.authority] if sure else Confidence.CPE_ROUGH


def _preference(one: _Told) -> tuple[int, bool, float, bool, str]:
    """Sorts first what most can install: cumulative before hot patches, which need no restart; then the earliest."""
    at = float("inf") if one.at is None else one.at
    row = one.row
    return WEIGHT[one.candidate.head.authority], not row.reboot, at, not row.supersedes, row.fix


def _grouped(host: _Host, version: str) -> tuple[Match, ...]:
    spoken: dict[str, list[_Told]] = {}
    for told in host.known.told:
        head = told.candidate.head
        for cve in told.row.cves or head.cves or (head.id,):
            spoken.setdefault(cve, []).append(told)
    found: dict[tuple[str, str, str], tuple[_Told, Confidence, list[str]]] = {}
    for cve, every in spoken.items():
        if (opened := host.open(every)) is not None:
            head = opened[0].candidate.head
            found.setdefault((head.feed, head.id, opened[0].row.fix), (*opened, []))[2].append(cve)
    return tuple(_match(host.known.line, told, sure, cves, version) for told, sure, cves in found.values())


def _match(line: int, told: _Told, confidence: Confidence, cves: Iterable[str], version: str) -> Match:
    head, row = told.candidate.head, told.row
    fixed = row.fixed or (f"10.0.{line}.{told.at}" if told.at is not None else "")
    return Match(
        advisory=head.id,
        feed=head.feed,
        cves=named(cves),
        package=row.package,
        source=row.package,
        arch="",
        installed=version.strip(),
        fixed=fixed,
        status=row.status,
        confidence=confidence,
        title=head.title,
        severity=head.severity,
        score=head.score,
        url=head.url,
        fix=row.fix,
        reboot=row.reboot,
        stream=row.stream,
        aliases=head.aliases,
    )
