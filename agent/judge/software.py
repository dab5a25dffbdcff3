"""Judge what no package manager knows: products of a host or a database against rows of `cpe` and `maven`. Pure.

- An instance is judged once: what a distribution's package owns belongs to that package's advisories.
- Per CVE the weightiest speaker counts: where the maker's own feed (or the customer's transcript of it) knows the
  CVE for the product, its word alone; else third parties and NVD together.
- Where a version cannot tell a patched server from an open one, a match is rough and says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cmp_to_key

from agent.judge.ownership import BACKPORTS, database_owner, database_product, products
from agent.judge.speakers import WEIGHT, named
from agent.model.advisory import Affected, Authority, Candidate, Confidence, Match, Status
from agent.model.facts import Software
from agent.model.products import JARS, names
from agent.versions import generic

__all__ = ["database_owner", "database_product", "keys", "match", "plain", "products", "unjudged"]

Compare = Callable[[str, str], int]

_MAKERS = (Authority.VENDOR, Authority.CUSTOMER)
_YEARS = {"13": "2016", "14": "2017", "15": "2019", "16": "2022", "17": "2025"}
"""SQL Server: first number of the build to the product's name."""
_UPDATES = 40
"""SQL Server: most cumulative updates that a release has had, with room (2017 had 31)."""
_CU_FROM = 3000
"""SQL Server from 2017 on: builds below belong to the GDR branch, from here on to a cumulative update."""
_UNSEEN_PATCHES = {"weblogic"}
"""Kinds whose version stays when they are patched (WebLogic: patch set updates)."""
_WORDED = {
    "mysql": r"\d+\.\d+\.\d+",
    "mariadb": r"\d+\.\d+\.\d+",
    "postgresql": r"\d+(?:\.\d+)+|\d+(?:beta|rc)\d+",
    "openssl": r"\d+\.\d+\.\d+[a-z]{0,2}(?![a-z])(?:-(?:alpha|beta|pre)\d+)?",
    "openssh": r"\d+\.\d+(?:\.\d+)?(?:p\d+)?",
}
_VERSION = r"\d+(?:\.\d+)*(?:[.\-_]?(?:M|milestone|alpha|beta|rc|RC|snapshot|SNAPSHOT)[.\-]?\d*)?"


def plain(kind: str, version: str) -> str:
    """The maker's version out of what a server, a package or a file says; empty when there is none.

    `8.0.36-0ubuntu0.22.04.1` is 8.0.36, `5.5.5-10.11.6-MariaDB` 10.11.6, `15.6 (Debian 15.6-0+deb12u1)` 15.6,
    `1.0.2k-fips` 1.0.2k. A jar's version stays whole (`1.2.24.sec10`, `4.1.77.Final`).
    """
    text = version.strip().removeprefix("5.5.5-")  # MariaDB's mask for old MySQL clients
    if kind in JARS:
        return text if re.match(r"v?\d", text) else ""
    hit = re.search(_WORDED.get(kind, _VERSION), text)
    return hit[0] if hit else ""


def keys(software: Software) -> tuple[tuple[str, str], ...]:
    """(stream, package) that the store is to be asked for this product."""
    if software.kind != "sqlserver":
        return names(software.kind)
    year = _YEARS.get(plain("sqlserver", software.version).partition(".")[0], "")
    if not year:
        return ()
    base = f"Microsoft SQL Server {year} for x64-based Systems"
    marks = ["(GDR)", "(CU)", *(form.format(turn) for turn in range(1, _UPDATES + 1) for form in ("(CU {})", "(CU{})"))]
    known = [f"{base} {mark}" for mark in marks]
    if year == "2016":
        known += [f"{base} Service Pack {pack} ({mark})" for pack in (1, 2, 3) for mark in ("GDR", "CU", "CU 17")]
        known.append("Microsoft SQL Server 2016 Service Pack 2 for x64-based Systems (CU 15)")
        known.append(f"{base} Service Pack 3 Azure Connect Feature Pack")
    return tuple((f"windows:{one}", one) for one in known)


def unjudged(software: Software) -> str:
    """Why a product cannot be judged, for the list of what was not done; empty when it can."""
    if not plain(software.kind, software.version):
        return "版本未能读出"
    return "" if keys(software) else "没有漏洞库以产品名收录"


def match(
    software: Software,
    rows: Sequence[Candidate],
    compare: Compare = generic.compare,
    rejected: frozenset[str] = frozenset(),
) -> tuple[Match, ...]:
    """What is open in one product, by advisory; nothing for one without a version (`unjudged` says so).

    Args:
        software: one of `products` or `database_product`.
        rows: all that the store has under `keys(software)`.
        compare: order of its versions.
        rejected: CVEs that their numbering authority took back.
    """
    judge = _Product(software, compare)
    if not judge.version:
        return ()
    spoken: dict[str, list[Candidate]] = {}
    for candidate in rows:
        for cve in candidate.row.cves or candidate.head.cves or (candidate.head.id,):
            if cve not in rejected:
                spoken.setdefault(cve, []).append(candidate)
    grouped: dict[tuple[str, str, str, Confidence], tuple[_Open, list[str]]] = {}
    for cve, every in spoken.items():
        said = judge.open(every)
        if said:
            head = said.candidate.head
            place = (head.feed, head.id, said.fixed, said.confidence)
            grouped.setdefault(place, (said, []))[1].append(cve)
    return tuple(judge.told(said, cves) for said, cves in grouped.values())


@dataclass(frozen=True, slots=True)
class _Open:
    """A CVE that is open, and the row that says so best."""

    candidate: Candidate
    fixed: str
    confidence: Confidence


class _Product:
    """One product against rows that name it."""

    def __init__(self, software: Software, compare: Compare) -> None:
        self.software, self.compare = software, compare
        self.version = plain(software.kind, software.version)
        # an Oracle home names its base release; which release update is in it only its own tools tell
        numbers = self.version.split(".")
        base = software.kind == "oracle" and not any(one.strip("0") for one in numbers[1:])
        self.prefix = numbers[0] if base and self.version else ""
        self.vague = bool(self.prefix) or software.kind in _UNSEEN_PATCHES or software.detail == BACKPORTS

    def open(self, every: Sequence[Candidate]) -> _Open | None:
        """The row to tell of one CVE, if the CVE is open in this version."""
        made = [one for one in every if one.head.authority in _MAKERS]
        counted = made or list(every)
        if any(one.row.status is Status.NOT_AFFECTED and self._holds(one.row) for one in counted):
            return None
        claims = [one for one in counted if one.row.status is not Status.NOT_AFFECTED]
        good = [one for one in counted if one.row.status is Status.NOT_AFFECTED]
        exact = [one for one in claims if _bounded(one.row) and self._holds(one.row)]
        if exact:
            surest = min(exact, key=lambda one: (WEIGHT[one.head.authority], not one.row.fixed, one.head.id))
            sure = Confidence.VENDOR if made else Confidence.CPE_EXACT
            return _Open(surest, self._fix(exact, claims, good), Confidence.CPE_ROUGH if self.vague else sure)
        if any(_bounded(one.row) for one in claims):
            return None  # somebody gave ranges, and the version is in none
        best = min(claims, key=lambda one: (WEIGHT[one.head.authority], one.head.id), default=None)
        return _Open(best, "", Confidence.CPE_ROUGH) if best else None

    def _holds(self, row: Affected) -> bool:
        """Whether the version is one that the row speaks of."""
        if row.stream.startswith("windows:") and _line(self.version) != _line(row.fixed):
            return False
        if any(self.compare(self.version, one) == 0 for one in row.versions):
            return True
        ranged = row.introduced or row.fixed or row.last
        if not ranged:
            return not row.versions
        low = high = self.version
        if self.prefix:
            low, high = self.prefix, f"{self.prefix}.{10**6}"
        if row.introduced and self.compare(high, row.introduced) < 0:
            return False
        if row.fixed and self.compare(low, row.fixed) >= 0:
            return False
        return not row.last or self.compare(low, row.last) <= 0

    def _fix(self, exact: Iterable[Candidate], claims: Iterable[Candidate], good: Iterable[Candidate]) -> str:
        """The earliest version above the installed one that fixes, of its own branch first.

        nginx.org says it the other way round: a range that is vulnerable, and where in it the good ones begin.
        """
        own = [one.row.fixed for one in exact if one.row.fixed] + [one.row.introduced for one in good]
        branch = self.version.split(".")[:2]
        # NVD's row that holds the version may end inclusively while another row names the fix of the branch
        near = [one.row.fixed for one in claims if one.row.fixed.split(".")[:2] == branch]
        above = [one for one in own or near if self.compare(one, self.version) > 0]
        same = [one for one in above if one.split(".")[:2] == branch]
        wide = [one for one in above if one.split(".")[:1] == branch[:1]]
        return min(same or wide or above, key=cmp_to_key(self.compare), default="")

    def told(self, said: _Open, cves: Sequence[str]) -> Match:
        """The match as it goes into a finding."""
        head, row = said.candidate.head, said.candidate.row
        status = Status.AFFECTED if row.status is Status.FIXED else row.status
        after = f"{row.last} 之后的版本" if row.last and not said.fixed else ""
        fixed = said.fixed
        if self.software.kind == "postgresql" and fixed.count(".") > 1:
            fixed = fixed.removesuffix(".0")  # third parties write 15.9 as SemVer wants it
        return Match(
            advisory=head.id,
            feed=head.feed,
            cves=named(cves),
            package=self.software.kind,
            source="",
            arch="",
            installed=self.software.version,
            fixed=fixed,
            status=Status.FIXED if said.fixed else status,
            confidence=said.confidence,
            title=head.title,
            severity=head.severity,
            score=head.score,
            url=head.url,
            fix=row.fix or after,
            reboot=row.reboot,
            stream=row.stream,
            aliases=head.aliases,
            location=self.software.location,
        )


def _bounded(row: Affected) -> bool:
    return bool(row.introduced or row.fixed or row.last or row.versions)


def _line(build: str) -> tuple[str, int]:
    """The branch of a SQL Server build: the release, and its service pack (2016) or whether it takes updates (CU)."""
    parts = build.split(".")
    third = int(parts[2][:9]) if len(parts) > 2 and parts[2].isdecimal() else 0  # noqa: PLR2004 - of four numbers
    return parts[0], third // 1000 if parts[0] == "13" else int(third >= _CU_FROM)
