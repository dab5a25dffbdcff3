"""CVE JSON 5 (github.com/CVEProject/cve-schema): OpenSSL's own records, and those of any other numbering authority.

A record's product is brought to `vendor:product` as in CPE. A version range with `changes` becomes one row for each
stretch; what is said to be unaffected becomes rows that take back what a lesser source claims. Ranges of commits are
left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from agent.advisories import fields
from agent.advisories.source import Source
from agent.model import streams
from agent.model.advisory import Advisory, Affected, Authority, CveNote, Header, Record, Scheme, Status

_CVE = re.compile(r"CVE-\d{4}-\d{4,12}").fullmatch
_VERSION = re.compile(r"[vV]?\d[\w.+~:-]{0,79}").fullmatch
_OPEN = frozenset({"", "*", "0", "0.0", "0.0.0", "-", "n/a", "unspecified", "all", "any", "unknown"})
"""What is written for no bound."""
_METRICS = ("cvssV4_0", "cvssV3_1", "cvssV3_0", "cvssV2_0")
_SHORT = 200
"""Characters of a description that stands in for a title."""
_LAST = "999999"
"""For the star of `lessThanOrEqual: 8.5.*`."""
_SUFFIXES = re.compile(r"_(software_foundation|foundation|corporation|corp|inc|ltd|llc|gmbh|project|by_vmware)\.?$")


class Cve5:
    """One record a file."""

    name = "cve5"

    def recognise(self, head: bytes, name: str) -> bool:  # noqa: ARG002 - the content says enough
        """By the record's type, or by what every record holds."""
        return b'"CVE_RECORD"' in head or (b'"containers"' in head and b'"cna"' in head and b'"cve' in head.lower())

    def read(self, source: Source) -> Iterator[Header | Record]:
        """An `Advisory` and a `CveNote`. Raises FeedError with the record's id."""
        place = ""
        try:
            record = fields.obj(source.json())
            metadata = fields.child(record, "cveMetadata")
            cve = place = _id(metadata)
            containers = fields.child(record, "containers")
            cna = fields.child(containers, "cna")
            who = _slug(fields.text(fields.child(cna, "providerMetadata"), "shortName")) or "unknown"
            vendor = who == "openssl"
            modified = fields.utc(fields.text(metadata, "dateUpdated"))
            published = fields.utc(fields.text(metadata, "datePublished") or fields.text(cna, "datePublic"))
            yield Header(
                feed=f"cve5/{who}",
                scope=cve,
                ecosystem="OpenSSL" if vendor else "CVE",
                authority=Authority.VENDOR if vendor else Authority.THIRD_PARTY,
                date=modified,
            )
            note = _note(cve, metadata, [cna, *fields.children(containers, "adp")])
            yield Advisory(
                id=cve,
                title=note.title,
                severity=note.severity,
                score=note.score,
                vector=note.vector,
                cves=(cve,),
                published=published,
                modified=modified,
                url=_url(cve, cna),
                withdrawn=note.rejected,
                affected=() if note.rejected else tuple(dict.fromkeys(_rows(cna))),
            )
            yield note
        except ValueError as error:
            raise source.error(str(error), place) from error


def _id(metadata: Mapping[str, Any]) -> str:
    cve = fields.text(metadata, "cveId").strip().upper()
    if not _CVE(cve):
        raise ValueError("field 'cveId' holds no CVE id")
    return cve


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9._+-]+", "_", text.strip().lower()).strip("_")[:80]


def _url(cve: str, cna: Mapping[str, Any]) -> str:
    for reference in fields.children(cna, "references"):
        if "vendor-advisory" in fields.texts(reference, "tags"):
            return fields.line(fields.text(reference, "url"))
    return f"https://www.cve.org/CVERecord?id={cve}"


def _note(cve: str, metadata: Mapping[str, Any], containers: list[dict[str, Any]]) -> CveNote:
    cna = containers[0]
    told = (fields.text(one, "value") for one in fields.children(cna, "descriptions"))
    score, vector, severity = None, "", ""
    for container in containers:
        vectors = []
        for metric in fields.children(container, "metrics"):
            content = fields.child(fields.child(metric, "other"), "content")
            severity = severity or fields.line(fields.text(content, "text")) if "text" in content else severity
            for kind in _METRICS:
                held = fields.child(metric, kind)
                vectors.append(fields.text(held, "vectorString"))
                severity = severity or fields.line(fields.text(held, "baseSeverity"))
        if score is None:
            score, vector = fields.best_score(vectors)
    return CveNote(
        cve=cve,
        title=fields.line(fields.text(cna, "title") or next(told, "")[:_SHORT]),
        score=score,
        vector=vector,
        severity="" if severity.lower() == "unknown" else severity,
        rejected=fields.text(metadata, "state").upper() == "REJECTED",
    )


def _rows(cna: Mapping[str, Any]) -> Iterator[Affected]:
    for one in fields.children(cna, "affected"):
        package = _package(one)
        if not package:
            continue
        if fields.text(one, "defaultStatus") == "affected":
            yield _row(package, "", "", "", "affected")
        for version in fields.children(one, "versions"):
            if fields.text(version, "versionType").lower() != "git":
                yield from _ranges(package, version)


def _package(one: Mapping[str, Any]) -> str:
    for cpe in fields.texts(one, "cpes"):
        if cpe.lower().startswith(("cpe:2.3:a:", "cpe:/a:")) and (name := streams.product(cpe)):
            return fields.line(name)
    vendor = _SUFFIXES.sub("", _slug(fields.text(one, "vendor")))
    product = _slug(fields.text(one, "product"))
    if not vendor or not product or "n_a" in {vendor, product}:
        return ""
    written = f"{vendor}:{product}"
    known = streams.product(f"cpe:2.3:a:{written}:*")
    if known == written:  # no other name is known for it: `apache:apache_tomcat` is `apache:tomcat` in CPE
        known = streams.product(f"cpe:2.3:a:{vendor}:{product.removeprefix(f'{vendor}_')}:*")
    return known


def _ranges(package: str, version: Mapping[str, Any]) -> Iterator[Affected]:
    start = fields.text(version, "version").strip()
    below, upto = fields.text(version, "lessThan").strip(), fields.text(version, "lessThanOrEqual").strip()
    status = fields.text(version, "status")
    if start.startswith("fips-") or not all(
        _VERSION(one.replace("*", "9")) or one.lower() in _OPEN for one in (start, below, upto)
    ):
        return  # OpenSSL's FIPS module counts versions of its own; "before 2.0 RC1" is prose
    for change in fields.children(version, "changes"):
        turn = fields.text(change, "at").strip()
        if _VERSION(turn):
            yield _row(package, start, turn, "", status)
            start, status = turn, fields.text(change, "status")
    if below or upto:
        yield _row(package, start, below, upto, status)
    elif start.lower() in _OPEN:
        yield _row(package, "", "", "", status)
    elif fields.children(version, "changes"):
        yield _row(package, start, "", "", status)
    else:
        yield Affected(
            package=package, stream="cpe", scheme=Scheme.GENERIC, by="product", versions=(fields.line(start),),
            status=Status.NOT_AFFECTED if status == "unaffected" else Status.AFFECTED,
        )  # fmt: skip


def _row(package: str, start: str, below: str, upto: str, status: str) -> Affected:
    fixed = "" if below.lower() in _OPEN else below.replace("*", "0")
    last = "" if fixed or upto.lower() in _OPEN else upto.replace("*", _LAST)
    told = Status.NOT_AFFECTED if status == "unaffected" else Status.FIXED if fixed else Status.AFFECTED
    return Affected(
        stream="cpe",
        package=package,
        scheme=Scheme.GENERIC,
        by="product",
        introduced="" if start.lower() in _OPEN else fields.line(start),
        fixed=fields.line(fixed),
        last=fields.line(last),
        status=told,
    )


FORMATS = (Cve5(),)
