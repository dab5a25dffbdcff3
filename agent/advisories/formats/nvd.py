"""NVD's CVE API 2.0 and its yearly files (nvd.nist.gov/developers/vulnerabilities), and lines of `{"cve": {...}}`.

What NVD says of an application becomes rows of stream `cpe`; operating systems and hardware are left to their makers'
feeds. Notes on how a CPE is read (NISTIR 7695, 7696):

- Exact versions of one product are one row. CPE's update belongs to the version: `2.0:beta1` is `2.0-beta1`,
  `10.0.0:milestone1` is `10.0.0-m1`, `7.2:p2` is `7.2p2`, `1.8.0:update_202` is `1.8.0-update202`.
- `versionStartExcluding` V is a row from V on, and a row that says that V itself is not affected.
- `*` or `-` without a range is a row without bounds: the product agrees, no more is said.
- Of "runs on" conditions (AND, `vulnerable: false`) only the vulnerable part is kept.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import IO, Any, cast

from agent.advisories import fields, jsonstream
from agent.advisories.source import Source
from agent.model import streams
from agent.model.advisory import Advisory, Affected, Authority, CveNote, Header, Record, Scheme, Status

_CVE = re.compile(r"CVE-\d{4}-\d{4,12}").fullmatch
_PARTS = re.compile(r"(?<!\\):")
_METRICS = (("cvssMetricV40", 0), ("cvssMetricV31", 1), ("cvssMetricV30", 2), ("cvssMetricV2", 9))
"""Newest first; version 2 even behind what somebody other than NVD scored."""
_SHORT = 200
"""Characters of a description that stands in for a title."""
_NONE = frozenset({"", "*", "-"})
_FIELDS = 8
"""Fields of a CPE up to its update and edition."""
_LOOK = 4096
"""Bytes that tell lines from a document."""
_TOP = 10
"""The highest CVSS score."""
_API = re.compile(rb'"format"\s*:\s*"NVD_CVE"|"resultsPerPage"\s*:')
_LINE = re.compile(rb'\s*\{\s*"cve"\s*:\s*\{')


class Nvd:
    """A page of the API, a year's file, or lines; of any size."""

    name = "nvd"

    def recognise(self, head: bytes, name: str) -> bool:  # noqa: ARG002 - the content says enough
        """By the API's preface, or by the first line."""
        text = head.removeprefix(b"\xef\xbb\xbf")
        return bool(_LINE.match(text)) or (bool(_API.search(text[:1000])) and b'"vulnerabilities"' in text)

    def read(self, source: Source) -> Iterator[Header | Record]:
        """A `CveNote` for each CVE, and an `Advisory` where applications are named. Raises FeedError with the line."""
        began = False
        for line, value in _entries(source):
            place = f"line {line}"
            try:
                if not began:
                    yield _header(value if isinstance(value, str) else "")
                    began = True
                if not isinstance(value, str):
                    yield from _records(fields.child(fields.obj(value, "an entry"), "cve"))
            except ValueError as error:
                raise source.error(str(error), place) from error
        if not began:
            raise source.error("an NVD document without CVEs")


class _Begun(io.RawIOBase):
    """A stream whose beginning was looked at, whole again."""

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        self._head = head
        self._rest = rest

    def read(self, size: int = -1, /) -> bytes:
        if self._head:
            head, self._head = self._head, b""
            return head
        return self._rest.read(size)


def _entries(source: Source) -> Iterator[tuple[int, Any]]:
    """Lines and entries; the API's timestamp comes as text, before them."""
    head = source.stream.read(_LOOK)
    whole = Source(source.name, cast("IO[bytes]", _Begun(head, source.stream)))
    if _LINE.match(head.removeprefix(b"\xef\xbb\xbf")):
        yield from jsonstream.values(whole)
        return
    for key, line, value in jsonstream.members(whole, into=("vulnerabilities",)):
        if key == "vulnerabilities" or (key == "timestamp" and isinstance(value, str)):
            yield line, value


def _header(date: str) -> Header:
    return Header(
        feed="nvd/nist",
        scope="*",
        ecosystem="NVD",
        authority=Authority.NVD,
        date=fields.utc(date),
        licence="public domain",
    )


def _records(cve: Mapping[str, Any]) -> Iterator[Record]:
    known = fields.text(cve, "id").strip().upper()
    if not _CVE(known):
        raise ValueError("field 'id' holds no CVE id")
    told = (one for one in fields.children(cve, "descriptions") if fields.text(one, "lang") in {"en", ""})
    score, vector, severity = _scored(fields.child(cve, "metrics"))
    note = CveNote(
        cve=known,
        title=fields.line(next((fields.text(one, "value") for one in told), "")[:_SHORT]),
        score=score,
        vector=vector,
        severity=severity,
        rejected=fields.text(cve, "vulnStatus").lower() == "rejected",
    )
    rows = () if note.rejected else _rows(cve)
    if rows or note.rejected:
        yield Advisory(
            id=known,
            title=note.title,
            severity=severity,
            score=score,
            vector=vector,
            cves=(known,),
            published=fields.utc(fields.text(cve, "published")),
            modified=fields.utc(fields.text(cve, "lastModified")),
            url=f"https://nvd.nist.gov/vuln/detail/{known}",
            withdrawn=note.rejected,
            affected=rows,
        )
    yield note


def _scored(metrics: Mapping[str, Any]) -> tuple[float | None, str, str]:
    """Score, vector and severity of the newest CVSS version, NVD's own before others'."""
    best: tuple[tuple[bool, bool, int], tuple[float, str, str]] | None = None
    for key, age in _METRICS:
        for metric in fields.children(metrics, key):
            data = fields.child(metric, "cvssData")
            score = fields.number(data, "baseScore")
            if score is None or not 0 <= score <= _TOP:
                continue
            rank = (key == "cvssMetricV2", fields.text(metric, "type") != "Primary", age)
            severity = fields.text(data, "baseSeverity") or fields.text(metric, "baseSeverity")
            if best is None or rank < best[0]:
                best = rank, (score, fields.line(fields.text(data, "vectorString")), fields.line(severity))
    return best[1] if best else (None, "", "")


def _rows(cve: Mapping[str, Any]) -> tuple[Affected, ...]:
    """Ranges as they come, then each product's exact versions in one row, then what ranges exclude."""
    found: dict[Affected, None] = {}
    exact: dict[str, dict[str, None]] = {}
    spared: dict[str, dict[str, None]] = {}
    for configuration in fields.children(cve, "configurations"):
        for node in fields.children(configuration, "nodes"):
            if node.get("negate") is True:
                continue
            for match in fields.children(node, "cpeMatch"):
                if match.get("vulnerable") is True:
                    _matched(match, found, exact, spared)
    for package, versions in exact.items():
        found[_row(package, versions=tuple(versions))] = None
    for package, versions in spared.items():
        left = tuple(version for version in versions if version not in exact.get(package, {}))
        if left:
            found[_row(package, versions=left, status=Status.NOT_AFFECTED)] = None
    return tuple(found)


def _matched(
    match: Mapping[str, Any],
    found: dict[Affected, None],
    exact: dict[str, dict[str, None]],
    spared: dict[str, dict[str, None]],
) -> None:
    package, version, update = _named(fields.text(match, "criteria"))
    if not package:
        return
    first, after = fields.text(match, "versionStartIncluding"), fields.text(match, "versionStartExcluding")
    below, last = fields.text(match, "versionEndExcluding"), fields.text(match, "versionEndIncluding")
    if version and not (first or after or below or last):
        exact.setdefault(package, {})[_version(version, update)] = None
        return
    row = _row(
        package,
        introduced=fields.line(first or after),
        fixed=fields.line(below),
        last=_version(last, update) if last and not below else "",
    )
    found[row] = None
    if after and not first:
        spared.setdefault(package, {})[fields.line(after)] = None


@lru_cache(maxsize=65536)
def _named(criteria: str) -> tuple[str, str, str]:
    """Product, version and update of an application's CPE; three empty texts for another's. Raises ValueError."""
    if not criteria.startswith("cpe:2.3:a:"):
        return "", "", ""
    package = fields.line(streams.product(criteria))
    parts = _PARTS.split(criteria)
    if not package or len(parts) < _FIELDS:
        raise ValueError(f"no CPE: {fields.line(criteria[:_SHORT])!r}")
    return package, _plain(parts[5]), _plain(parts[6])


def _plain(part: str) -> str:
    """A part of a CPE without its escapes."""
    return "" if part in _NONE else part.replace("\\", "").lower()


@lru_cache(maxsize=65536)
def _version(version: str, update: str) -> str:
    """A version with CPE's update, as its maker writes it."""
    if not update:
        return fields.line(version)
    update = re.sub(r"^milestone_?(?=\d)", "m", update)
    update = re.sub(r"^(update|patch|release_candidate|beta|alpha|rc|sp)_(?=\d)", r"\1", update)
    joint = "" if re.fullmatch(r"p\d+", update) else "-"
    return fields.line(f"{version}{joint}{update}")


def _row(
    package: str,
    *,
    introduced: str = "",
    fixed: str = "",
    last: str = "",
    versions: tuple[str, ...] = (),
    status: Status | None = None,
) -> Affected:
    return Affected(
        stream="cpe",
        package=package,
        scheme=Scheme.GENERIC,
        by="product",
        introduced="" if introduced in {"0", *_NONE} else introduced,
        fixed=fixed,
        last=last,
        versions=versions,
        status=status or (Status.FIXED if fixed else Status.AFFECTED),
    )


FORMATS = (Nvd(),)
