"""CSAF 2.0 (OASIS): security advisories and VEX of Red Hat, openEuler, SUSE and whoever publishes for a system we know.

A document is one advisory. Its rows are its product statuses, brought together over architectures and CVEs:

- `fixed`, `first_fixed`, `recommended`: mended in that version. The source package is left out where a binary package
  of the same version is listed: the list then says exactly which of its packages are concerned.
- `known_affected`: with the word of the remediation ("Will not fix", "Fix deferred", "Out of support scope"); up to
  the version, where one is named.
- `known_not_affected`: from that version on, or whichever.

Packages with debugging symbols are left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from agent.advisories import fields
from agent.advisories.formats.csaftree import Component, Tree
from agent.advisories.source import MAX_DOCUMENT, Source
from agent.model.advisory import Advisory, Affected, Authority, CveNote, Header, Record, Scheme, Status

_CVE = re.compile(r"CVE-\d{4}-\d{4,12}").fullmatch
_FIXED = ("fixed", "first_fixed", "recommended")
_AFFECTED = ("known_affected", "first_affected", "last_affected")
_SYMBOLS = re.compile(r"-(debuginfo|debugsource)(-|$)")
_SHORT = 200
"""Characters of a description that stands in for a title."""
_COMMA = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|,(?=\s*[\]}])', re.DOTALL)
"""A text, closed or not, or a comma before the end of a list or object."""
_WHO = {"redhat": "redhat", "red hat": "redhat", "openeuler": "openeuler", "suse": "suse"}
_NAMES = {"redhat": "Red Hat", "openeuler": "openEuler", "suse": "SUSE"}
_LICENCES = {"redhat": "CC-BY-4.0", "suse": "CC-BY-4.0"}
_WORDS = {
    "will not fix": Status.WILL_NOT_FIX,
    "out of support scope": Status.END_OF_LIFE,
    "fix deferred": Status.DEFERRED,
    "under investigation": Status.UNDER_INVESTIGATION,
}

_Key = tuple[str, str, str, str, Status, str, bool]
"""Stream, package, by, version, status, module, reboot: what rows are brought together by."""


class Csaf:
    """One document a file."""

    name = "csaf"

    def recognise(self, head: bytes, name: str) -> bool:  # noqa: ARG002 - the content says enough
        """By the key that every document must have."""
        return b'"csaf_version"' in head

    def read(self, source: Source) -> Iterator[Header | Record]:
        """An `Advisory` and a `CveNote` for each of its CVEs. Raises FeedError with the vulnerability."""
        place = ""
        try:
            root = fields.obj(_json(source), "the document")
            document = fields.child(root, "document")
            tracking = fields.child(document, "tracking")
            known = _known(tracking)
            yield _header(document, tracking, known)
            vulnerabilities = fields.children(root, "vulnerabilities")
            place = known
            rows = _Rows(Tree(fields.child(root, "product_tree")))
            notes = []
            for number, one in enumerate(vulnerabilities, 1):
                place = f"{known}, vulnerabilities[{number}]"
                notes.append(_note(one))
                rows.add(one)
            place = known
            yield _advisory(document, tracking, known, notes, rows.rows())
            yield from (note for note, _ in notes if note.cve)
        except ValueError as error:
            raise source.error(str(error), place) from error


def _json(source: Source) -> object:
    """The document; openEuler's generator leaves a comma before the end of some lists, which is passed over."""
    raw = source.stream.read(MAX_DOCUMENT + 1)
    if len(raw) > MAX_DOCUMENT:
        raise source.error(f"one JSON document of more than {MAX_DOCUMENT >> 20} MiB")
    try:
        found: object = json.loads(raw)
    except json.JSONDecodeError:
        found = source.parse(_COMMA.sub(lambda hit: b"" if hit[0] == b"," else hit[0], raw))
    except (ValueError, RecursionError):
        found = source.parse(raw)
    return found


def _known(tracking: Mapping[str, Any]) -> str:
    if known := fields.line(fields.text(tracking, "id")):
        return known
    raise ValueError("a CSAF document without a tracking id")


def _header(document: Mapping[str, Any], tracking: Mapping[str, Any], known: str) -> Header:
    publisher = fields.child(document, "publisher")
    name = fields.line(fields.text(publisher, "name"))
    told = f"{fields.text(publisher, 'namespace')} {name}".lower()
    who = next((who for word, who in _WHO.items() if word in told), "")
    who = who or re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "unknown"
    return Header(
        feed=f"csaf-vex/{who}" if _CVE(known.upper()) else f"csaf/{who}",
        scope=known,
        ecosystem=_NAMES.get(who, name),
        authority=Authority.VENDOR if fields.text(publisher, "category") == "vendor" else Authority.THIRD_PARTY,
        date=fields.utc(fields.text(tracking, "current_release_date")),
        licence=_LICENCES.get(who, ""),
    )


def _advisory(
    document: Mapping[str, Any],
    tracking: Mapping[str, Any],
    known: str,
    notes: list[tuple[CveNote, str]],
    rows: tuple[Affected, ...],
) -> Advisory:
    severity = fields.line(fields.text(fields.child(document, "aggregate_severity"), "text"))
    scored = [note for note, _ in notes if note.score is not None]
    score, vector = fields.best_score(note.vector for note in scored)
    if score is None and scored:
        score = max(note.score for note in scored if note.score is not None)
    own = (one for one in fields.children(document, "references") if fields.text(one, "category") == "self")
    title = notes[0][0].title if notes and _CVE(known.upper()) else ""
    return Advisory(
        id=known,
        title=title or fields.line(fields.text(document, "title")),
        severity=severity or next((word for _, word in notes if word), ""),
        score=score,
        vector=vector,
        cves=fields.cves([note.cve for note, _ in notes]),
        published=fields.utc(fields.text(tracking, "initial_release_date")),
        modified=fields.utc(fields.text(tracking, "current_release_date")),
        url=fields.line(next((fields.text(one, "url") for one in own), "")),
        affected=rows,
    )


def _note(one: Mapping[str, Any]) -> tuple[CveNote, str]:
    """What it says of the CVE as such, and the vendor's word for its impact."""
    cve = fields.text(one, "cve").strip().upper()
    if cve and not _CVE(cve):
        raise ValueError("field 'cve' holds no CVE id")
    vectors, bases = [], []
    for scores in fields.children(one, "scores"):
        for version in ("cvss_v4", "cvss_v3", "cvss_v2"):
            held = fields.child(scores, version)
            vectors.append(fields.text(held, "vectorString"))
            if (base := fields.number(held, "baseScore")) is not None and 0 <= base <= 10:  # noqa: PLR2004 - CVSS
                bases.append(base)
    score, vector = fields.best_score(vectors)
    impact = (threat for threat in fields.children(one, "threats") if fields.text(threat, "category") == "impact")
    severity = fields.line(next((fields.text(threat, "details") for threat in impact), ""))
    title = fields.line(fields.text(one, "title"))
    if not title or title.upper() == cve:  # openEuler
        told = (note for note in fields.children(one, "notes") if fields.text(note, "category") == "description")
        title = fields.line(next((fields.text(note, "text") for note in told), "")[:_SHORT])
    return CveNote(
        cve=cve,
        title=title,
        score=score if score is not None else max(bases, default=None),
        vector=vector,
        severity=severity,
        rejected=title.lstrip("* ").upper().startswith("REJECT"),
    ), severity


class _Rows:
    """Brings product statuses of all vulnerabilities together to as few rows as say the same."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._found: dict[_Key, tuple[set[str], dict[str, None]]] = {}
        self._binary: set[tuple[str, str, str]] = set()
        self._cves: dict[str, None] = {}

    def add(self, one: Mapping[str, Any]) -> None:
        """All statuses of one vulnerability. Raises ValueError."""
        cve = fields.text(one, "cve").strip().upper()
        self._cves[cve] = None
        words, reboots = _remedies(one)
        statuses = fields.child(one, "product_status")
        for kind in (*_FIXED, *_AFFECTED, "known_not_affected", "under_investigation"):
            for product_id in fields.texts(statuses, kind):
                resolved = self._tree.resolve(product_id)
                if resolved is None or _SYMBOLS.search(resolved[1].name):
                    continue
                status = _status(kind, words.get(product_id))
                if status is not Status.FIXED or resolved[1].version:
                    self._keep(resolved, status, cve, reboot=product_id in reboots and status is Status.FIXED)

    def _keep(self, resolved: tuple[str, Component], status: Status, cve: str, *, reboot: bool) -> None:
        stream, part = resolved
        key = (
            stream, part.name, "source" if part.source else "binary", part.version, status, part.module, reboot,
        )  # fmt: skip
        if not part.source:
            self._binary.add((stream, part.version, status))
        arches, cves = self._found.setdefault(key, (set(), {}))
        arches.add(part.arch)
        cves[cve] = None

    def rows(self) -> tuple[Affected, ...]:
        """The rows, sorted, each with the CVEs and architectures that it does not share with all."""
        everywhere: dict[tuple[str, str, str, str], set[str]] = {}
        for (stream, name, by, _, _, label, _), (arches, _) in self._found.items():
            everywhere.setdefault((stream, name, by, label), set()).update(arches)
        found = []
        for key in sorted(self._found):
            arches, cves = self._found[key]
            stream, name, by, version, status, label, reboot = key
            if by == "source" and version and (stream, version, status) in self._binary:
                continue
            common = by == "source" or "noarch" in arches or arches == everywhere[stream, name, by, label]
            found.append(
                Affected(
                    stream=stream,
                    package=name,
                    scheme=Scheme.RPM,
                    by=by,
                    introduced=version if status is Status.NOT_AFFECTED else "",
                    fixed=version if status is Status.FIXED else "",
                    last="" if status in {Status.NOT_AFFECTED, Status.FIXED} else version,
                    status=status,
                    cves=() if len(cves) == len(self._cves) else fields.cves(cves),
                    modules=(label,) if label else (),
                    modular=bool(label) or ".module" in version,
                    arches=() if common else tuple(sorted(arches)),
                    reboot=reboot,
                )
            )
        return tuple(found)


def _status(kind: str, word: Status | None) -> Status:
    if kind in _FIXED:
        return Status.FIXED
    if kind in _AFFECTED:
        return word or Status.AFFECTED
    return Status.NOT_AFFECTED if kind == "known_not_affected" else Status.UNDER_INVESTIGATION


def _remedies(one: Mapping[str, Any]) -> tuple[dict[str, Status], set[str]]:
    """By product id: what the vendor says instead of a fix; and the products whose fix wants a restart."""
    words: dict[str, Status] = {}
    reboots: set[str] = set()
    for remedy in fields.children(one, "remediations"):
        category = fields.text(remedy, "category")
        products = fields.texts(remedy, "product_ids")
        if category in {"no_fix_planned", "none_available"}:
            told = fields.text(remedy, "details").strip().lower().rstrip(".")
            word = _WORDS.get(told) or (Status.WILL_NOT_FIX if category == "no_fix_planned" else Status.AFFECTED)
            words.update(dict.fromkeys(products, word))
        elif category == "vendor_fix":
            restart = fields.text(fields.child(remedy, "restart_required"), "category")
            if restart in {"machine", "system"}:
                reboots.update(products)
    return words, reboots


FORMATS = (Csaf(),)
