"""Microsoft's security updates: CVRF 1.1 by month (api.msrc.microsoft.com/cvrf/v3.0/cvrf/2024-Jan), as XML.

One advisory a CVE, one row for each product and remediation: the KB that mends, the build that it brings, the KBs
that it replaces. A product that is affected without a vendor fix (guidance, a feature that was taken out) has no row:
there is nothing to install, and no build tells whether the advice was followed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, cast

from lxml import etree

from agent.advisories import fields
from agent.advisories.source import Source
from agent.model.advisory import Advisory, Affected, Authority, CveNote, Header, Record, Scheme

if TYPE_CHECKING:
    _Element = etree._Element  # noqa: SLF001 - the name that lxml-stubs gives it

KEPT = re.compile(
    r"Windows Server(?!.* for Itanium)[ ,].*"
    r"|Windows 1[01](?: [Vv]ersion \w+)? for x64-based Systems"
    r"|.* on Windows Server(?!.* for Itanium)[ ,].*"
    r"|Microsoft (?:SQL|Exchange) Server .*|Microsoft SharePoint .*"
)
"""Products whose rows are kept: servers with what is on them, and Windows 10 and 11 for x64.

Left out, though the feed has them, to keep the store small (docs/feeds.md): Windows 7 and 8.1, 32-bit and ARM
clients, Itanium, Office, Edge, developer tools, Azure, and Azure Linux (CBL-Mariner), which are half of all.
"""
_CVRF = "{http://www.icasi.org/CVRF/schema/cvrf/1.1}"
_PROD = "{http://www.icasi.org/CVRF/schema/prod/1.1}"
_VULN = "{http://www.icasi.org/CVRF/schema/vuln/1.1}"
_SPACE = {"v": _VULN.strip("{}")}
_BETWEEN = "\ue000"
_TOLD = ("Description", "Supercedence", "RestartRequired", "SubType", "FixedBuild")
"""What is read of a remediation, at once: a call for each would take as long as parsing the document."""
_UPDATE = etree.XPath(
    "concat(" + f", '{_BETWEEN}', ".join(f"v:{one}" for one in _TOLD) + ")", namespaces=_SPACE, smart_strings=False
)
_NUMBERS = etree.XPath("v:ProductID/text()", namespaces=_SPACE, smart_strings=False)
_FIXES = etree.XPath("v:Remediations/v:Remediation[@Type='Vendor Fix']", namespaces=_SPACE)
_GRADED = etree.XPath("v:Threats/v:Threat[@Type='Severity']", namespaces=_SPACE)
_GRADES = etree.XPath(
    "v:Threats/v:Threat[@Type='Severity']/v:Description/text()", namespaces=_SPACE, smart_strings=False
)
_SETS = etree.XPath("v:CVSSScoreSets/v:ScoreSet", namespaces=_SPACE)
_VECTORS = etree.XPath("v:CVSSScoreSets/v:ScoreSet/v:Vector/text()", namespaces=_SPACE, smart_strings=False)
_ID = re.compile(r"(?:CVE-\d{4}-\d{4,12}|ADV\d{6,8})(?!\w)")
_KB = re.compile(r"(?:KB)?(\d{6,7})")
_KBS = re.compile(r"(?<![\d.-])(?:KB)?(\d{6,7})(?![\d.])")
_BUILD = re.compile(r"[\W_]*[vV]?(\d{1,6}\.\d{1,6}\.\d{1,6}\.\d{1,6})[\W_]*")
_SYSTEM = re.compile(r"(?:6\.[0-3]|10\.0)\.(\d+)\.\d+")
_FIRST_BUILD = 6000
"""Vista's; the tools in Microsoft's own updates bear numbers like 1.1.0.0."""
_WORDS = ("Critical", "Important", "Moderate", "Low")
_MOST_SCORE = 10.0


class Msrc:
    """One month in one document."""

    name = "msrc"

    def recognise(self, head: bytes, name: str) -> bool:  # noqa: ARG002 - the content says enough
        """A CVRF document by Microsoft's response centre."""
        return b"cvrfdoc" in head[:4096] and (
            b"secure@microsoft.com" in head[:8192] or b"Microsoft Security Response Center" in head[:8192]
        )

    def read(self, source: Source) -> Iterator[Header | Record]:
        """Advisories and notes of CVEs that concern a kept product. Raises FeedError with the vulnerability."""
        place = ""
        try:
            elements = source.elements((f"{_CVRF}DocumentTracking", f"{_PROD}ProductTree", f"{_VULN}Vulnerability"))
            yield _header(next(elements, None))
            products: dict[str, str] = {}
            for element in elements:
                if element.tag == f"{_PROD}ProductTree":
                    products.update(_products(element))
                elif element.tag == f"{_VULN}Vulnerability":
                    place = _text(element, f"{_VULN}CVE")[:60] or f"line {element.sourceline or 0}"
                    yield from _vulnerability(element, products)
                    place = ""
        except ValueError as error:
            raise source.error(str(error), place) from error


@lru_cache(maxsize=16384)
def build(text: str, product: str = "") -> str:
    """A fixed build as four plain numbers (`15.01.2507.035` is 15.1.2507.35); empty when it is no such thing.

    For an operating system it must be one of Windows: its records also hold versions of single tools. A list of
    builds, a URL and a version of three numbers say nothing that could be compared.
    """
    hit = _BUILD.fullmatch(text.strip())
    if not hit:
        return ""
    found = ".".join(str(int(part)) for part in hit[1].split("."))
    if product.startswith("Windows "):
        system = _SYSTEM.fullmatch(found)
        return found if system and int(system[1]) >= _FIRST_BUILD else ""
    return found


def _text(element: _Element, path: str) -> str:
    return (element.findtext(path) or "").strip()


def _header(tracking: _Element | None) -> Header:
    if tracking is None or tracking.tag != f"{_CVRF}DocumentTracking":
        raise ValueError("a CVRF document that does not begin with its DocumentTracking")
    scope = fields.word(_text(tracking, f"{_CVRF}Identification/{_CVRF}ID"), "the document's ID")
    if not scope:
        raise ValueError("DocumentTracking without an ID")
    dates = [_text(tracking, f"{_CVRF}CurrentReleaseDate"), _text(tracking, f"{_CVRF}InitialReleaseDate")]
    dates += [one.text or "" for one in tracking.iterfind(f"{_CVRF}RevisionHistory/{_CVRF}Revision/{_CVRF}Date")]
    return Header(
        feed="msrc/microsoft",
        scope=scope,
        ecosystem="Windows",
        authority=Authority.VENDOR,
        date=max(fields.utc(one) for one in dates),
        licence="Microsoft",
        snapshot=True,
    )


def _products(tree: _Element) -> dict[str, str]:
    """Every product's id to its exact name, runs of blanks folded; empty for one that is not kept."""
    found = {}
    for one in tree.iter(f"{_PROD}FullProductName"):
        name = fields.word(" ".join((one.text or "").split()), "a product's name")
        found[one.get("ProductID", "")] = name if KEPT.fullmatch(name) else ""
    return found


def _vulnerability(element: _Element, products: Mapping[str, str]) -> Iterator[Record]:
    name = _text(element, f"{_VULN}CVE")
    hit = _ID.match(name)
    if not hit:
        raise ValueError("a vulnerability without the id of a CVE or an advisory")
    if hit[0] != name:
        return  # `CVE-2023-38039 mariner - do not use this one`: Microsoft's own working copy
    rows = _rows(element, products)
    if not rows:
        return
    score, vector = _score(element, products)
    cves = (name,) if name.startswith("CVE-") else ()
    title = fields.line(_text(element, f"{_VULN}Title")) or name
    severity = _severity(element, products)
    dates = sorted(
        moment
        for one in element.iterfind(f"{_VULN}RevisionHistory/{_VULN}Revision/{_CVRF}Date")
        if (moment := fields.utc(one.text or ""))
    )
    yield Advisory(
        id=name,
        title=title,
        severity=severity,
        score=score,
        vector=vector,
        cves=cves,
        published=dates[0] if dates else "",
        modified=dates[-1] if dates else "",
        url=f"https://msrc.microsoft.com/update-guide/vulnerability/{name}",
        affected=rows,
    )
    if cves:
        yield CveNote(name, title=title, score=score, vector=vector, severity=severity)


def _rows(element: _Element, products: Mapping[str, str]) -> tuple[Affected, ...]:
    """One a product and fix; the same fix told twice is one."""
    found: dict[Affected, None] = {}
    for remediation in cast("list[_Element]", _FIXES(element)):
        names = _kept(remediation, products)
        if names:
            update, supersedes, reboot, told = _update(cast("str", _UPDATE(remediation)))
            for name in names:
                fixed = build(told, name)
                if update or fixed:
                    found[_row(name, fixed, update, supersedes, reboot)] = None
    return tuple(found)


@lru_cache(maxsize=16384)
def _update(text: str) -> tuple[str, tuple[str, ...], bool, str]:
    """KB, what it replaces, whether it needs a restart, and the build that it brings as it is written."""
    description, superseded, restart, kind, told = (part.strip() for part in text.split(_BETWEEN, len(_TOLD) - 1))
    hit = _KB.fullmatch(description)
    update = f"KB{hit[1]}" if hit else ""
    # `5032197`, `3139852; 3145739`, `MS16-104, 3185319`
    kbs = dict.fromkeys(f"KB{number}" for number in _KBS.findall(superseded))
    # a hot patch needs no restart by its nature, though its record often says so
    reboot = restart.lower() == "yes" and "hotpatch" not in kind.lower()
    return update, tuple(one for one in kbs if one != update), reboot, told


@lru_cache(maxsize=16384)
def _row(name: str, fixed: str, update: str, supersedes: tuple[str, ...], reboot: bool) -> Affected:
    """Kept, because one update mends a hundred CVEs of its month."""
    return Affected(
        f"windows:{name}", name, Scheme.WINDOWS, by="product", fixed=fixed, fix=update,
        supersedes=supersedes, reboot=reboot,
    )  # fmt: skip


def _kept(element: _Element, products: Mapping[str, str]) -> list[str]:
    """The kept products that an element lists."""
    names = []
    for text in cast("list[str]", _NUMBERS(element)):
        number = text.strip()
        if number not in products:
            raise ValueError(f"product {fields.line(number)[:60]!r} is not in the product tree")
        if products[number]:
            names.append(products[number])
    return names


def _severity(element: _Element, products: Mapping[str, str]) -> str:
    """Microsoft's one word, or of several the worst for a kept product; empty when it graded none."""
    found = {one.strip() for one in cast("list[str]", _GRADES(element))}
    if len(found) > 1:
        threats = cast("list[_Element]", _GRADED(element))
        found = {_text(one, f"{_VULN}Description") for one in threats if _kept(one, products)}
    return next((word for word in _WORDS if word in found), "")


def _score(element: _Element, products: Mapping[str, str]) -> tuple[float | None, str]:
    """The one CVSS vector, or of several the highest for a kept product; without a vector the bare score."""
    vectors = {one.strip() for one in cast("list[str]", _VECTORS(element))}
    if len(vectors) == 1:
        score, vector = fields.best_score(vectors)
        if score is not None:
            return score, vector
    sets = [one for one in cast("list[_Element]", _SETS(element)) if _kept(one, products)]
    score, vector = fields.best_score({_text(one, f"{_VULN}Vector") for one in sets})
    if score is None:
        written = {_text(one, f"{_VULN}BaseScore") for one in sets}
        score = max((one for text in written if (one := _number(text)) is not None), default=None)
    return score, vector


def _number(text: str) -> float | None:
    found = fields.number({"BaseScore": text}, "BaseScore")
    if found is not None and not 0 <= found <= _MOST_SCORE:
        raise ValueError(f"a CVSS base score of {found:g}")
    return found


FORMATS = (Msrc(),)
