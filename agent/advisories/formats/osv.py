"""OSV records (ossf.github.io/osv-schema, 1.x): one alone, an array, or one a line.

Feed `osv/ECOSYSTEM`, scope the record's id where it comes alone, else the file's name. A header precedes the first
record of an ecosystem and stands again where a dump comes back to one: the same (feed, scope) goes on. Records are
upserted by id and `modified`; a dump is no snapshot, since nothing in it says that it is whole.

Not kept: GIT ranges, packages of layered products that have no stream, `versions` where ranges say the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cmp_to_key
from itertools import chain, islice
from typing import Any

from agent import versions
from agent.advisories import fields, jsonstream
from agent.advisories.formats import osv_distro
from agent.advisories.formats.osv_distro import Ecosystem
from agent.advisories.source import Source
from agent.model import streams
from agent.model.advisory import Advisory, Affected, Header, Record, Scheme, Status

Range = tuple[str, str, str]
"""introduced, fixed, last."""
_KEYS = (b'"affected"', b'"summary"', b'"details"', b'"withdrawn"', b'"schema_version"')
_WORD = re.compile(r"(Critical|Important|Moderate|Low|Medium|High|None):", re.IGNORECASE)
_EVENTS = {"introduced", "fixed", "last_affected", "limit"}
_TITLE = 200


class Osv:
    """Every ecosystem of OSV."""

    name = "osv"

    def recognise(self, head: bytes, name: str) -> bool:  # noqa: ARG002 - the content says enough
        """By the required keys and one more: an index of bare ids and times is no feed."""
        start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
        if not re.match(rb"(?:\[\s*)?\{\s*\"", start) or b'"id"' not in head or b'"modified"' not in head:
            return False
        return any(key in head for key in _KEYS) and b'"document"' not in head[:200]

    def read(self, source: Source) -> Iterator[Header | Record]:
        """A header for each ecosystem, an `Advisory` a record. Raises FeedError with line and id."""
        records = jsonstream.values(source)
        start = list(islice(records, 2))
        if not start:
            raise source.error("holds no record")
        current: Ecosystem | None = None
        for line, value in chain(start, records):
            name = ""
            try:
                record = fields.obj(value)
                name = fields.required(record, "id")
                publisher = _publisher(record, name, current)
                if publisher != current:
                    current = publisher
                    yield _header(publisher, name if len(start) == 1 else fields.line(source.base))
                yield _advisory(record, name)
            except ValueError as error:
                raise source.error(str(error), f"line {line}" + (f" {name}" if name else "")) from error


def _header(publisher: Ecosystem, scope: str) -> Header:
    return Header(
        feed=publisher.feed,
        scope=scope,
        ecosystem=fields.line(publisher.name),
        authority=publisher.authority,
        licence=publisher.licence,
    )


def _publisher(record: dict[str, Any], name: str, current: Ecosystem | None) -> Ecosystem:
    """By the first package; a record that names none (a withdrawn one) belongs to those around it."""
    for entry in fields.children(record, "affected"):
        if ecosystem := fields.word(fields.text(fields.child(entry, "package"), "ecosystem"), "an ecosystem"):
            return osv_distro.of_name(ecosystem)
    return current or osv_distro.of_id(name)


def _advisory(record: dict[str, Any], name: str) -> Advisory:
    summary = fields.line(fields.text(record, "summary"))
    entries = fields.children(record, "affected")
    aliases = fields.texts(record, "aliases") + fields.texts(record, "upstream")
    cves = fields.cves([name, *aliases]) or fields.cves(fields.texts(record, "related"))
    severity, vectors = _severity(record, entries, summary)
    score, vector = fields.best_score(vectors)
    withdrawn = fields.utc(fields.text(record, "withdrawn"))
    return Advisory(
        id=name,
        title=summary or fields.line(fields.text(record, "details").strip().partition("\n")[0][:_TITLE]) or name,
        severity=severity,
        score=score,
        vector=vector,
        cves=cves,
        aliases=tuple(
            dict.fromkeys(
                alias for raw in aliases if (alias := fields.word(raw, "an alias")) and not fields.cves(alias)
            )
        ),
        published=fields.utc(fields.text(record, "published")),
        modified=fields.utc(fields.text(record, "modified")),
        url=_url(record, name),
        withdrawn=bool(withdrawn),
        affected=_affected(record, entries, summary),
    )


def _url(record: dict[str, Any], name: str) -> str:
    """The publisher's own page, else an advisory's or a report's of another: AlmaLinux lists Red Hat's first."""
    found = [
        (fields.text(one, "type") == "ADVISORY", url)
        for one in fields.children(record, "references")
        if (url := fields.link(fields.text(one, "url")))
    ]
    own = (name, name.replace(":", "-"))
    ranked = sorted(found, key=lambda one: (not (one[0] and any(part in one[1] for part in own)), not one[0]))
    return next((url for advisory, url in ranked if advisory or "/CVE-" in url), ranked[0][1] if ranked else "")


def _severity(record: dict[str, Any], entries: list[dict[str, Any]], summary: str) -> tuple[str, list[str]]:
    """The publisher's word and all CVSS vectors."""
    listed = fields.children(record, "severity")
    for entry in entries if not listed else ():
        listed = listed or fields.children(entry, "severity")
    vectors: list[str] = []
    words: list[str] = []
    for one in listed:
        kind = fields.text(one, "type")
        (vectors if kind.startswith("CVSS") else words).append(fields.text(one, "score"))
    said = [fields.child(record, "database_specific").get("severity")]
    said += [hit[1] if (hit := _WORD.match(summary)) else "", *words]
    said += [fields.child(entry, "ecosystem_specific").get("urgency") for entry in entries[:1]]
    word = next((one for one in said if one and isinstance(one, str)), "")
    return fields.line(word)[:40], vectors


def _affected(record: dict[str, Any], entries: list[dict[str, Any]], summary: str) -> tuple[Affected, ...]:
    rows: list[Affected] = []
    named = osv_distro.modules(summary)
    for entry in entries:
        package = fields.child(entry, "package")
        ecosystem = fields.word(fields.text(package, "ecosystem"), "an ecosystem")
        publisher = osv_distro.of_name(ecosystem)
        if publisher.name == "Bitnami":
            rows += _products(record, entry, package)
        elif ecosystem and (stream := osv_distro.stream(ecosystem, publisher)):
            rows += _rows(entry, package, stream, publisher, named)
    if any(row.modular and not row.modules for row in rows):
        named = osv_distro.unsaid_modules(summary, [(row.package, row.fixed) for row in rows if row.modular])
        return tuple(replace(row, modules=named) if row.modular and not row.modules else row for row in rows)
    return tuple(rows)


def _rows(
    entry: dict[str, Any], package: dict[str, Any], stream: str, publisher: Ecosystem, named: tuple[str, ...]
) -> Iterator[Affected]:
    name = fields.required(package, "name")
    scheme, by = publisher.scheme, publisher.by
    specific = fields.child(entry, "ecosystem_specific")
    unfixed = Status.END_OF_LIFE if specific.get("urgency") == "end-of-life" else Status.AFFECTED
    if publisher.name == "Red Hat" and (module := osv_distro.purl_module(fields.text(package, "purl"))):
        named = (fields.word(module, "a module"),)
    found = _ranges(entry, scheme)
    for introduced, fixed, last in found or ():
        modular = scheme is Scheme.RPM and ".module" in fixed
        yield Affected(
            stream, name, scheme, by, introduced, fixed, last,
            status=Status.FIXED if fixed else unfixed,
            modules=named if modular else (),
            modular=modular,
        )  # fmt: skip
        if publisher.name == "openEuler" and fixed:
            yield from _binaries(specific, stream, fixed)
    if found is None and (listed := tuple(fields.word(one, "a version") for one in fields.texts(entry, "versions"))):
        yield Affected(stream, name, scheme, by, versions=listed, status=unfixed)


def _binaries(specific: dict[str, Any], stream: str, fixed: str) -> Iterator[Affected]:
    """The files that openEuler delivers a source package in: rows for lists that do not tell sources."""
    found: dict[str, tuple[str, set[str]]] = {}
    for arch in specific:
        for file in fields.texts(specific, arch) if arch != "src" else ():
            parts = osv_distro.rpm_file(fields.word(file, "a file's name"))
            if parts is None:
                raise ValueError(f"{fields.line(file)[:80]!r} is no RPM's file name")
            name, version, _ = parts
            if name.endswith(("-debuginfo", "-debugsource")):
                continue
            known, arches = found.setdefault(name, (version, set()))
            if version == fixed or (known != fixed and versions.compare(Scheme.RPM, version, known) > 0):
                found[name] = (version, arches)
            arches.add(fields.word(arch, "an architecture"))
    everywhere = {arch for arch in specific if arch not in {"src", "noarch"}}
    for name, (version, arches) in found.items():
        only = () if "noarch" in arches or arches >= everywhere else tuple(sorted(arches))
        yield Affected(stream, name, Scheme.RPM, "binary", fixed=version, arches=only)


def _products(record: dict[str, Any], entry: dict[str, Any], package: dict[str, Any]) -> Iterator[Affected]:
    """Bitnami packs upstream software: its rows are about the product that the CPE names."""
    listed = fields.texts(fields.child(record, "database_specific"), "cpes")
    named = dict.fromkeys(
        streams.product(fields.word(cpe, "a CPE")) for cpe in listed if cpe.startswith(("cpe:2.3:a:", "cpe:/a:"))
    )
    named.pop("", None)
    name = fields.required(package, "name")
    if name.endswith("-min"):
        return  # a cut-down image of a product that has a record of its own, with ranges that are wider
    for product in named or (f"bitnami:{name}",):
        for introduced, fixed, last in _ranges(entry, Scheme.GENERIC) or ():
            yield Affected(
                "cpe", product, Scheme.GENERIC, "product", introduced, fixed, last,
                status=Status.FIXED if fixed else Status.AFFECTED,
            )  # fmt: skip


def _ranges(entry: dict[str, Any], scheme: Scheme) -> list[Range] | None:
    """All intervals of a package; None when it has no ranges but those of git commits."""
    found: list[Range] | None = None
    for one in fields.children(entry, "ranges"):
        if fields.text(one, "type") != "GIT":
            found = (found or []) + _intervals(fields.children(one, "events"), scheme)
    return found


def _intervals(events: list[dict[str, Any]], scheme: Scheme) -> list[Range]:
    """Intervals of an event list, which is in no order (schema, `affected[].ranges[].events`, evaluation)."""
    points: list[tuple[str, str]] = []
    for event in events:
        for kind in event:
            if kind in _EVENTS:
                version = fields.required(event, kind)
                points.append((kind, version.removeprefix("0:") if scheme is Scheme.RPM else version))
    if len(points) > 2:  # noqa: PLR2004 - one interval: nothing to order
        points = _ordered(points, scheme)
    found: list[Range] = []
    opened = None if any(kind == "introduced" for kind, _ in points) else "0"
    for kind, version in points:
        if kind == "introduced":
            opened = version if opened is None else opened
        elif opened is not None and version != "*":
            if version != "0":
                start = "" if opened == "0" else opened
                found.append((start, "", version) if kind == "last_affected" else (start, version, ""))
            opened = None
    if opened is not None and points:
        found.append(("" if opened == "0" else opened, "", ""))
    return found


def _ordered(points: list[tuple[str, str]], scheme: Scheme) -> list[tuple[str, str]]:
    def order(one: tuple[str, str], two: tuple[str, str]) -> int:
        if "0" in {one[1], two[1]}:
            return (one[1] != "0") - (two[1] != "0")
        return versions.compare(scheme, one[1], two[1])

    return sorted(points, key=cmp_to_key(order))


FORMATS = (Osv(),)
