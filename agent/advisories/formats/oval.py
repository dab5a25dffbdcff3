"""OVAL 5, patches and vulnerabilities: Red Hat (v1, v2), Oracle, Anolis, openEuler, AlmaLinux, Debian, Ubuntu.

A document is read once, from front to back: definitions come first and refer to tests, objects and states behind them,
so each definition is kept in short form until the end. 180 MB as Red Hat has for one release take 140 MiB of memory so.

A file is a feed of its own (`oval/redhat/rhel-8-including-unpatched`): one publisher's files say different things under
the same CVE, each for another release. Files of an errata system (Oracle's, Red Hat's v1 by advisory) are one feed, as
an advisory is the same in each.

- The streams of Red Hat's definitions are those of their CPEs: criteria name the major version only, even of extended
  streams. Others are told by their criteria.
- A definition without rows (layered products without a stream of their own) is left out, as are builds that are not
  compared with normal ones: Oracle's ksplice and FIPS packages.
- Debian tests names of source packages. "Earlier than 0" stands for not affected and for unfixed alike, so it says
  nothing. Ubuntu's kernels are tested by what runs; there the comment names source and version.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from agent.advisories import fields
from agent.advisories.formats import oval_criteria, oval_tests
from agent.advisories.formats.oval_rows import Rows, affected
from agent.advisories.source import Source
from agent.model.advisory import Advisory, Authority, Header, Record, Status

if TYPE_CHECKING:
    from lxml import etree

_WHO = {
    "com.redhat": ("redhat", "Red Hat"),
    "com.oracle": ("oracle", "Oracle Linux"),
    "cn.openanolis": ("anolis", "Anolis OS"),
    "org.openeuler": ("openeuler", "openEuler"),
    "com.huawei": ("euleros", "EulerOS"),
    "org.almalinux": ("almalinux", "AlmaLinux"),
    "org.debian": ("debian", "Debian"),
    "com.ubuntu": ("ubuntu", "Ubuntu"),
    "org.opensuse": ("suse", "SUSE"),
}
_ERRATA = "Errata System"
"""How generators end that write whole advisories."""
_LICENCES = {"redhat": "CC-BY-4.0"}
_DPKG = {"debian", "ubuntu"}
_CLASSES = {"patch", "vulnerability"}
_NAMED = re.compile(r"\s*(?P<id>[A-Za-z]+(?:-[A-Za-z]+)?-\d{2,}[\d:.-]*\d)")
"""An id at the beginning of a title: `DSA-5417-1 openssl -- security update`, `openEuler-SA-2022-1693`."""
_TITLE = re.compile(r"\s*(?:Unaffected components for:\s*)?(?P<rest>.*?)(?:\s*\([A-Za-z]+\))?\s*", re.DOTALL)
_SHORT = 200
"""Characters of a description that stands in for a title."""
_ENDING = re.compile(r"(?:\.oval)?\.xml$")
_PACKED = re.compile(r"\.(?:gz|bz2|xz|zst)$")
_STATES = {
    "affected": Status.AFFECTED,
    "fix deferred": Status.DEFERRED,
    "will not fix": Status.WILL_NOT_FIX,
    "out of support scope": Status.END_OF_LIFE,
    "under investigation": Status.UNDER_INVESTIGATION,
    "not affected": Status.NOT_AFFECTED,
}


@dataclass(frozen=True, slots=True)
class Definition:
    """A definition in short form: its advisory without rows, and where they will come from."""

    advisory: Advisory
    place: str
    patch: bool
    unaffected: bool
    cpes: tuple[str, ...]
    leaves: tuple[oval_criteria.Leaf, ...]
    platform: tuple[str, ...]
    """As the metadata print it."""
    resolutions: dict[str, Status] = field(default_factory=dict)
    """By component: what becomes of a package without a fix."""
    scores: dict[str, tuple[str, str]] = field(default_factory=dict)
    """CVSS vector and severity by CVE, where a definition is of a package."""


class Oval:
    """One document a file."""

    name = "oval"

    def recognise(self, head: bytes, name: str) -> bool:  # noqa: ARG002 - the content says enough
        """By the root element."""
        return re.search(rb"<(?:[\w-]+:)?oval_definitions[\s>]", head) is not None

    def read(self, source: Source) -> Iterator[Header | Record]:
        """An `Advisory` for each patch, or each CVE. Raises FeedError with line and definition."""
        reading = _Reading(source)
        place = ""
        try:
            for element in source.elements(f"{{*}}{tag}" for tag in ("generator", "definition", *oval_tests.TAGS)):
                place = f"line {element.sourceline}"
                kind = str(element.tag).rpartition("}")[2]
                if kind == "generator":
                    reading.date = fields.utc(element.findtext("{*}timestamp") or "")
                    reading.whole = (element.findtext("{*}product_name") or "").strip().endswith(_ERRATA)
                elif kind == "definition":
                    yield from reading.definition(element, place)
                else:
                    reading.tests.take(kind, element)
            yield from reading.header("")
            for ident, same in reading.definitions.items():
                for one in same:
                    place = one.place
                    reading.resolve(one)
                yield from reading.rows.advisory(ident)
            yield from reading.rows.others()
        except ValueError as error:
            raise source.error(str(error), place) from error


class _Reading:
    """What is known while a document is read."""

    def __init__(self, source: Source) -> None:
        self.base = _PACKED.sub("", source.base)
        self.date = ""
        self.whole = False
        """Advisories are the same in each file of the publisher."""
        self.who = ""
        self.tests = oval_tests.Tests()
        self.definitions: dict[str, list[Definition]] = {}
        """By advisory: affected and unaffected packages of one CVE stand in two."""
        self.rows = Rows()
        self._known: dict[str, str] = {}
        self._wheres: dict[oval_criteria.Where, oval_criteria.Where] = {}

    def header(self, ident: str) -> Iterator[Header]:
        """The header, once, when a definition's id has told whose document it is."""
        if self.who:
            return
        space = ident.removeprefix("oval:").partition(":")[0]
        prefix = next((one for one in _WHO if space == one or space.startswith(f"{one}.")), "")
        plain = re.sub(r"[^a-z0-9]+", "-", space.lower()).strip("-")[:40] or "unknown"
        self.who, name = _WHO.get(prefix, (plain, space))
        part = "" if self.whole else f"/{fields.line(_ENDING.sub('', self.base))}"
        yield Header(
            feed=f"oval/{self.who}{part}",
            scope=fields.line(self.base),
            ecosystem=fields.line(name) or "OVAL",
            authority=Authority.VENDOR if prefix else Authority.THIRD_PARTY,
            date=self.date,
            licence=_LICENCES.get(self.who, ""),
            snapshot=True,
        )

    def definition(self, element: etree._Element, place: str) -> Iterator[Header]:
        """Keep a definition."""
        ident = fields.word(element.get("id", ""), "a definition's id")
        yield from self.header(ident)
        if element.get("class", "") not in _CLASSES:
            return
        one = _definition(element, ident, place)
        same = tuple(self._shared(leaf) for leaf in one.leaves)
        self.tests.wanted.update(leaf.test for leaf in same)
        self.definitions.setdefault(one.advisory.id, []).append(replace(one, leaves=same))

    def _shared(self, leaf: oval_criteria.Leaf) -> oval_criteria.Leaf:
        """With one copy of what many tests have in common."""
        name, version = (self._known.setdefault(text, text) for text in leaf.told)
        return oval_criteria.Leaf(
            self._wheres.setdefault(leaf.where, leaf.where),
            self._known.setdefault(leaf.test, leaf.test),
            leaf.said,
            (name, version),
        )

    def resolve(self, one: Definition) -> None:
        """Turn a definition's tests into rows."""
        for leaf in one.leaves:
            package = self.tests.package(leaf.test)
            if package is None and leaf.told[0] and not self.tests.has(leaf.test):
                package = oval_tests.told(*leaf.told, dpkg=self.who in _DPKG)
            self.rows.add(one, leaf, affected(one, leaf, package, self.who, self.base))


def _definition(element: etree._Element, ident: str, place: str) -> Definition:
    metadata = element.find("{*}metadata")
    if metadata is None:
        raise ValueError(f"definition {ident} without metadata")
    told = metadata.find("{*}advisory")
    title = metadata.findtext("{*}title") or ""
    references = [(one.get("source", ""), one.get("ref_id", ""), one) for one in metadata.iterfind("{*}reference")]
    name, url = _named(ident, title, references)
    entries = [] if told is None else [(fields.cves(one.text or ""), one) for one in told.iterfind("{*}cve")]
    cves = fields.cves([name, *(text for kind, text, _ in references if kind.upper() == "CVE"),
                        *(cve for found, _ in entries for cve in found)])  # fmt: skip
    score, vector = fields.best_score(_vectors(entry for _, entry in entries))
    advisory = Advisory(
        id=name,
        title=_title(title, name, metadata.findtext("{*}description") or ""),
        severity=fields.line("" if told is None else told.findtext("{*}severity") or ""),
        score=score,
        vector=vector,
        cves=cves,
        published=_day(metadata, told, "issued") or _public(told, [entry for _, entry in entries]),
        modified=_day(metadata, told, "updated"),
        url=fields.link(url),
    )
    return Definition(
        advisory,
        f"{place} {name}",
        element.get("class") == "patch",
        ".unaffected:" in ident,
        tuple(dict.fromkeys((one.text or "").strip() for one in _all(told, "{*}affected_cpe_list/{*}cpe"))),
        tuple(oval_criteria.leaves(element)),
        tuple((one.text or "").strip() for one in metadata.iterfind("{*}affected/{*}platform")),
        _resolutions(told),
        {cve: (next(_vectors([entry]), ""), fields.line(entry.get("priority", ""))) for found, entry in entries
         for cve in found},
    )  # fmt: skip


def _all(told: etree._Element | None, path: str) -> Iterator[etree._Element]:
    return iter(()) if told is None else told.iterfind(path)


def _named(ident: str, title: str, references: list[tuple[str, str, etree._Element]]) -> tuple[str, str]:
    """The advisory's id and link: a reference that is no CVE, then the title, then the CVE, then a package."""
    links = {text: one.get("ref_url", "") for _, text, one in references}
    own = next(
        (text for kind, text, _ in references if kind.upper() not in {"CVE", "PACKAGE"} and _NAMED.match(text)), ""
    )
    hit = _NAMED.match(title)
    name = own or (hit["id"] if hit else "") or next((text for _, text, _ in references if text), "")
    if not name.strip():
        raise ValueError(f"definition {ident} names neither an advisory nor a CVE")
    name = fields.word(name, "an advisory's id")
    return name, links.get(name, "")


def _title(text: str, name: str, description: str) -> str:
    """Without the id; Debian's and Ubuntu's titles tell only package or release, so the description says the rest."""
    text = " ".join(text.split())  # else the pattern tries every way to share long white space
    hit = _TITLE.fullmatch(text)
    rest = fields.line(hit["rest"] if hit else text)
    rest = rest.removeprefix(name).lstrip(" :-") or rest
    if rest.startswith("on Ubuntu "):
        rest = ""
    said = fields.line(description.replace("\\n", "\n").partition("\n")[0])[:_SHORT]
    return rest if " " in rest or not said else f"{rest}: {said}" if rest else said


def _vectors(entries: Iterable[etree._Element]) -> Iterator[str]:
    for one in entries:
        for key in ("cvss_vector", "cvss4", "cvss3", "cvss2"):
            if value := one.get(key):
                yield value


def _day(metadata: etree._Element, told: etree._Element | None, tag: str) -> str:
    found = None if told is None else told.find(f"{{*}}{tag}")
    if found is not None and found.get("date"):
        return fields.utc(found.get("date", ""))
    return fields.utc(metadata.findtext("{*}debian/{*}date") or "") if tag == "issued" else ""


def _public(told: etree._Element | None, entries: list[etree._Element]) -> str:
    """When the CVE was published: Ubuntu's `public_date`, Red Hat's `public="20221209:1000"`."""
    text = "" if told is None else (told.findtext("{*}public_date") or "").removesuffix(" UTC")
    if not text and len(entries) == 1:
        text = entries[0].get("public", "").partition(":")[0]
    return fields.utc(text)


def _resolutions(told: etree._Element | None) -> dict[str, Status]:
    found: dict[str, Status] = {}
    for one in _all(told, "{*}affected/{*}resolution"):
        word = one.get("state", "").strip().lower()
        if word not in _STATES:
            raise ValueError(f"a resolution with the state {fields.line(word)!r}")
        for component in one.iterfind("{*}component"):
            found[(component.text or "").strip().rpartition("/")[2]] = _STATES[word]
    return found


FORMATS = (Oval(),)
