"""CVRF 1.1 (ICASI; now OASIS) as openEuler and Red Hat publish it: one advisory a document.

openEuler lists files of packages by product, Red Hat relates packages to products. openEuler's hot patches mend a
running program without a restart: they speak of one exact build, name the patch's package, and say nothing of older or
newer builds. Microsoft's monthly CVRF has a shape of its own (`msrc`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.advisories import fields
from agent.advisories.source import Source
from agent.model import streams
from agent.model.advisory import Advisory, Affected, Authority, CveNote, Header, Record, Scheme

if TYPE_CHECKING:
    from lxml import etree

_RPM = re.compile(r"(?P<name>[A-Za-z0-9_.+-]+)-(?P<version>[^-\s/]+-[^-\s/]+)\.(?P<arch>[a-z0-9_]+)\.rpm")
_NEVRA = re.compile(
    r"(?P<name>[A-Za-z0-9_.+-]+)-(?P<epoch>\d+):(?P<version>[^-\s/]+-[^-\s/]+?)"
    r"(?:\.(?P<arch>noarch|src|nosrc|x86_64|i[3-6]86|aarch64|ppc64(?:le)?|ppc|s390x?|ia64))?"
)
_EXTENDED = re.compile(r"-(?P<version>\d+\.\d+)(?:\.\d+)?\.Z\.(?P<kind>EUS|AUS|TUS|E4S)$")
"""`CRB-8.6.0.Z.EUS` is of the extended stream, whatever its CPE says; `.Z.MAIN.EUS` is the main one."""
_HOTPATCH = re.compile(
    r"(?P<fix>patch-(?P<name>[A-Za-z0-9_.+-]+?)-(?P<version>[^-\s]+-[^-\s]+)-(?:ACC|SGL)[^\s/]*)\.(?P<arch>[a-z0-9_]+)\.rpm"
)
_MODULE = re.compile(r"(?P<name>[A-Za-z0-9_.+-]+):(?P<stream>[A-Za-z0-9_.+-]+):\d+:[0-9a-f]+")
_ASIDE = re.compile(r".*-(?:debuginfo|debugsource)(?:-.*)?")
_TAGS = (
    "DocumentTitle",
    "DocumentTracking",
    "Note",
    "AggregateSeverity",
    "FullProductName",
    "Relationship",
    "Vulnerability",
)
_GRADES = ("critical", "important", "high", "moderate", "medium", "low")


@dataclass(frozen=True, slots=True, order=True)
class _Row:
    """A package of one stream."""

    stream: str
    name: str
    version: str
    module: str = ""
    source: bool = False
    fix: str = ""


@dataclass(slots=True)
class _Document:
    """What was read so far."""

    ident: str = ""
    title: str = ""
    published: str = ""
    modified: str = ""
    severity: str = ""
    cves: list[str] = field(default_factory=list)
    notes: list[CveNote] = field(default_factory=list)
    products: dict[str, str] = field(default_factory=dict)
    """ProductID to CPE."""
    rows: dict[_Row, set[str]] = field(default_factory=dict)
    """To architectures."""

    @property
    def publisher(self) -> str:
        if self.ident.startswith("openEuler-HotPatch"):
            return "openeuler-hotpatch"
        return "openeuler" if self.ident.startswith("openEuler") else "redhat"

    def add(self, row: _Row, arch: str) -> None:
        if row.stream and not _ASIDE.fullmatch(row.name):
            self.rows.setdefault(row, set()).add(arch)


class Cvrf:
    """openEuler's and Red Hat's documents."""

    name = "cvrf"

    def recognise(self, head: bytes, name: str) -> bool:  # noqa: ARG002 - the content says enough
        """By the root element, and the publisher: Microsoft's documents are not read here."""
        return b"cvrfdoc" in head[:4096] and b"microsoft" not in head[:8192].lower()

    def read(self, source: Source) -> Iterator[Header | Record]:
        """The header, the advisory, and a note for each CVE that it scores. Raises FeedError with the place."""
        document = _Document()
        place = ""
        try:
            for element in source.elements(f"{{*}}{tag}" for tag in _TAGS):
                kind = _local(element)
                place = f"line {element.sourceline}" if element.sourceline else place
                _READ[kind](document, element)
                if kind == "DocumentTracking":
                    yield _header(document)
            yield _advisory(document)
            yield from document.notes
        except ValueError as error:
            raise source.error(str(error), document.ident or place) from error


def _local(element: etree._Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _text(element: etree._Element, *path: str) -> str:
    found = element.find("/".join(f"{{*}}{tag}" for tag in path)) if path else element
    return fields.line(found.text or "") if found is not None else ""


def _title(document: _Document, element: etree._Element) -> None:
    document.title = document.title or _text(element)


def _tracking(document: _Document, element: etree._Element) -> None:
    document.ident = _text(element, "Identification", "ID")
    if not document.ident:
        raise ValueError("a document without an id (DocumentTracking/Identification/ID)")
    document.published = fields.utc(_text(element, "InitialReleaseDate"))
    document.modified = fields.utc(_text(element, "CurrentReleaseDate")) or document.published


def _note(document: _Document, element: etree._Element) -> None:
    if element.get("Title") == "Severity":
        document.severity = _text(element)
    elif element.get("Title") == "Synopsis":
        document.title = _text(element) or document.title


def _severity(document: _Document, element: etree._Element) -> None:
    document.severity = _text(element)


def _product(document: _Document, element: etree._Element) -> None:
    ident, cpe, text = element.get("ProductID") or "", element.get("CPE") or "", _text(element)
    if not text.endswith(".rpm"):
        document.products[ident] = cpe or text
        return
    stream = streams.of_cpe(cpe) or streams.of_name(cpe)
    patch, plain = _HOTPATCH.fullmatch(text), _RPM.fullmatch(text)
    if document.publisher == "openeuler-hotpatch":
        if patch:
            document.add(_Row(stream, patch["name"], patch["version"], fix=patch["fix"]), patch["arch"])
    elif document.publisher == "openeuler" and plain:
        document.add(_Row(stream, plain["name"], plain["version"], source=plain["arch"] == "src"), plain["arch"])


def _relationship(document: _Document, element: etree._Element) -> None:
    package = _NEVRA.fullmatch(element.get("ProductReference") or "")
    platform = element.get("RelatesToProductReference") or ""
    if not package:
        return  # a module as a component of a product
    known = next((ident for ident in (platform, platform.partition(":")[0]) if ident in document.products), "")
    module = _MODULE.fullmatch(platform.removeprefix(known).removeprefix(":")) if known else None
    epoch = "" if package["epoch"] == "0" else f"{package['epoch']}:"
    extended = _EXTENDED.search(known)
    row = _Row(
        f"rhel-{extended['kind'].lower()}:{extended['version']}"
        if extended
        else _stream(document.products.get(known, "")),
        package["name"],
        epoch + package["version"],
        f"{module['name']}:{module['stream']}" if module else "",
        package["arch"] in {"src", "nosrc", None},
    )
    document.add(row, package["arch"] or "src")


def _stream(cpe: str) -> str:
    """Software collections are built for one major version and named apart, so that they stand in its stream."""
    collection = re.match(r"cpe:/a:redhat:rhel_software_collections:[^:]*::el(\d+)", cpe)
    return f"rhel:{collection[1]}" if collection else streams.of_cpe(cpe)


def _vulnerability(document: _Document, element: etree._Element) -> None:
    (cve,) = fields.cves(_text(element, "CVE")) or ("",)
    if not cve:
        return
    document.cves.append(cve)
    impact = _text(element, "Threats", "Threat", "Description")
    if not document.severity or _rank(impact) < _rank(document.severity):
        document.severity = impact or document.severity
    for scores in element.iterfind("{*}CVSSScoreSets/*"):
        text = _text(scores, "BaseScore") or _text(scores, "BaseScoreV3")
        vector = _text(scores, "Vector") or _text(scores, "VectorV3")
        if text:
            vector = f"CVSS:3.1/{vector}" if vector.startswith("AV:") and "/PR:" in vector else vector
            document.notes.append(CveNote(cve, score=float(text), vector=vector, severity=impact))
            break


def _rank(word: str) -> int:
    return _GRADES.index(word.lower()) if word.lower() in _GRADES else len(_GRADES)


_READ = {
    "DocumentTitle": _title,
    "DocumentTracking": _tracking,
    "Note": _note,
    "AggregateSeverity": _severity,
    "FullProductName": _product,
    "Relationship": _relationship,
    "Vulnerability": _vulnerability,
}


def _header(document: _Document) -> Header:
    names = {"openeuler": "openEuler", "openeuler-hotpatch": "openEuler 热补丁", "redhat": "Red Hat"}
    return Header(
        feed=f"cvrf/{document.publisher}",
        scope=document.ident,
        ecosystem=names[document.publisher],
        authority=Authority.VENDOR,
        date=document.modified,
        licence="CC-BY-4.0" if document.publisher == "redhat" else "",
    )


def _advisory(document: _Document) -> Advisory:
    if not document.ident:
        raise ValueError("a document without an id (DocumentTracking/Identification/ID)")
    scores = [one.score for one in document.notes if one.score is not None]
    return Advisory(
        id=document.ident,
        title=document.title,
        severity=document.severity,
        score=max(scores, default=None),
        cves=fields.cves(document.cves),
        published=document.published,
        modified=document.modified,
        url=_url(document),
        affected=tuple(_affected(document.rows)),
    )


def _url(document: _Document) -> str:
    if document.publisher == "redhat":
        return f"https://access.redhat.com/errata/{document.ident}"
    return f"https://www.openeuler.org/zh/security/security-bulletins/detail/?id={document.ident}"


def _affected(rows: dict[_Row, set[str]]) -> Iterable[Affected]:
    """Rows with their architectures where the versions of one package differ between them."""
    versions: dict[tuple[str, str, str, bool], set[str]] = {}
    for row in rows:
        versions.setdefault((row.stream, row.name, row.module, row.source), set()).add(row.version)
    for row, arches in sorted(rows.items()):
        several = len(versions[row.stream, row.name, row.module, row.source]) > 1
        yield Affected(
            stream=row.stream,
            package=row.name,
            scheme=Scheme.RPM,
            by="source" if row.source else "binary",
            fixed="" if row.fix else row.version,
            versions=(row.version,) if row.fix else (),
            modules=(row.module,) if row.module else (),
            modular=bool(row.module) or ".module" in row.version,
            arches=tuple(sorted(arches - {"src", "nosrc"})) if several and not row.source else (),
            fix=row.fix,
        )


FORMATS = (Cvrf(),)
