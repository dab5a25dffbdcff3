"""VEX documents that people bring, OpenVEX and CSAF-VEX, read into accepted risks.

Only `not_affected` lifts a finding: it becomes an exception. A statement of ours that a risk is taken (status
affected, with our note) does too. All else is listed with the reason why it is left out. A product that is no
target of the inventory is refused: what was meant for it must not be lost, nor fall on another.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packageurl import PackageURL

from agent.declared.problems import Problem, raise_problems
from agent.declared.vexcsaf import csaf
from agent.declared.vexopen import openvex
from agent.declared.vexwords import Said
from agent.model.errors import DeclaredError
from agent.model.finding import Justification, RiskException
from agent.model.text import clean, one_line
from agent.model.vex import CVE, location_of, target_of

MAX_BYTES = 32 * 1024 * 1024
_SHOWN = 30
"""Most targets that a remedy lists."""
_LONGEST = 400
"""Most characters of a text in exceptions.yaml."""
_LEFT = {
    "affected": "says affected: only not_affected lifts a finding",
    "fixed": "says fixed: the next scan tells whether it is",
    "under_investigation": "is still under investigation",
}


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A statement that becomes no exception."""

    where: str
    target: str
    subject: str
    reason: str


@dataclass(frozen=True, slots=True)
class VexRead:
    """What a VEX document gives."""

    format: str
    """`openvex` or `csaf-vex`."""
    exceptions: tuple[RiskException, ...]
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True, slots=True)
class Terms:
    """What a VEX document does not say: who allows it, and until when. An empty word is looked for in our own notes."""

    approver: str = ""
    expires: str = ""
    """ISO day."""
    filed: str = ""


def read_vex(path: Path, targets: Collection[str], terms: Terms) -> VexRead:
    """Read a document; nothing is written.

    Args:
        path: an OpenVEX or CSAF-VEX file; its content tells which.
        targets: names of the inventory.
        terms: approver and expiry of what becomes an exception.

    Raises:
        DeclaredError: it is no such document, is not valid, or names a product that is no target.
        OSError: it cannot be read.
    """
    data = _json(path)
    if "openvex" in str(data.get("@context", "")):
        kind, said = "openvex", openvex(data, path)
    elif isinstance(data.get("document"), dict) and "csaf_version" in data["document"]:
        kind, said = "csaf-vex", csaf(data, path)
    else:
        raise DeclaredError(
            "is neither OpenVEX nor CSAF",
            where=str(path),
            remedy="bring JSON with `@context` or `document.csaf_version`",
        )
    problems: list[Problem] = []
    placed = [(one, place) for one in said for place in [_place(one, targets, problems)] if place]
    raise_problems(path, problems)
    left: list[LeftOut] = []
    exceptions = [_exception(one, place, terms) for one, place in _standing(placed, left) if _lifts(one, place, left)]
    return VexRead(kind, tuple(dict.fromkeys(exceptions)), tuple(left))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _json(path: Path) -> dict[str, Any]:
    if path.stat().st_size > MAX_BYTES:
        raise DeclaredError(f"is larger than {MAX_BYTES >> 20} MiB", where=str(path), remedy="split it")
    try:
        data = json.loads(path.read_text("utf-8-sig"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        reason = (
            "is nested too deep" if isinstance(error, RecursionError) else f"is not JSON: {one_line(str(error), 200)}"
        )
        raise DeclaredError(reason, where=str(path), remedy="bring the document as it was published") from None
    if not isinstance(data, dict):
        raise DeclaredError("is no JSON object", where=str(path), remedy="bring an OpenVEX or CSAF-VEX document")
    return data


@dataclass(frozen=True, slots=True)
class _Place:
    target: str
    location: str
    purl: str
    """Package URL of the component, when the place was told by one."""
    check: str
    advisory: str
    cve: str

    @property
    def subject(self) -> str:
        return self.check or self.advisory or self.cve


def _place(said: Said, targets: Collection[str], problems: list[Problem]) -> _Place | None:
    """Where a statement belongs; what is not understood becomes a problem."""
    target = next((name for name in map(target_of, said.products) if name in targets or name == "*"), "")
    if not target:
        known = sorted(targets)
        more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
        remedy = f"name the product urn:secops-agent:target:NAME; targets: {', '.join(known[:_SHOWN])}{more}"
        shown = one_line(said.products[0], 120) if said.products else "nothing"
        problems.append(Problem(said.where, f"the product {shown!r} is no target of the inventory", remedy))
        return None
    location, purl = _component(said.component)
    if said.component and not location:
        shown = one_line(said.component[0], 120)
        remedy = "name it urn:secops-agent:location:PLACE or by a package URL"
        problems.append(Problem(said.where, f"the component {shown!r} is not understood", remedy))
        return None
    cves = [name.upper() for name in (said.name, *said.aliases) if CVE.fullmatch(name.upper())]
    cve = "" if said.check else next(iter(cves), "")
    words = (said.check, "" if said.check or cve else said.name, cve)
    for text in (*words, location):
        if clean(text) != text or len(text) > _LONGEST:
            problems.append(Problem(said.where, f"{one_line(text, 80)!r} is no usable name", "use plain, short text"))
            return None
    if not any(words):
        problems.append(Problem(said.where, "names no vulnerability", "name a CVE or an advisory"))
        return None
    return _Place(target, location, purl, *words)


def _component(ids: Iterable[str]) -> tuple[str, str]:
    """Location and package URL that a component's ids tell."""
    for one in ids:
        if location_of(one):
            return location_of(one), ""
        if one.startswith("pkg:"):
            try:
                return PackageURL.from_string(one).name, one
            except ValueError:
                continue
    return "", ""


def _standing(placed: Iterable[tuple[Said, _Place]], left: list[LeftOut]) -> list[tuple[Said, _Place]]:
    """Statements that no later one of the same document replaces or takes back."""
    ordered = sorted(placed, key=lambda pair: pair[0].at)
    last = {(place.target, place.subject, place.location): said for said, place in ordered}
    found = []
    for said, place in ordered:
        latest = last[place.target, place.subject, place.location]
        whole = last.get((place.target, place.subject, ""), said)
        if latest is not said:
            left.append(LeftOut(said.where, place.target, place.subject, f"is replaced by {_field(latest)}"))
        elif not _harmless(whole) and _harmless(said) and whole.at >= said.at:
            words = f"is taken back by {_field(whole)}, which says {whole.status} of the whole target"
            left.append(LeftOut(said.where, place.target, place.subject, words))
        else:
            found.append((said, place))
    return found


def _field(said: Said) -> str:
    return said.where.rpartition(": ")[2]


def _harmless(said: Said) -> bool:
    """Whether it lifts a finding: not affected, or a risk that was taken here."""
    return said.status == "not_affected" or (said.status == "affected" and bool(said.text and _note(said)))


def _note(said: Said) -> dict[str, str]:
    """Our own note on an accepted risk; empty for what others wrote."""
    try:
        found = json.loads(said.note)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        return {}
    return found if {"approver", "expires"} <= found.keys() else {}


def _lifts(said: Said, place: _Place, left: list[LeftOut]) -> bool:
    """Whether it becomes an exception; else it is listed with the reason."""
    reason = "" if _harmless(said) else _LEFT[said.status]
    if said.status == "not_affected" and not (said.justification or said.text):
        reason = "says not_affected without saying why"
    if reason:
        left.append(LeftOut(said.where, place.target, place.subject, reason))
    return not reason


def _exception(said: Said, place: _Place, terms: Terms) -> RiskException:
    note = _note(said)
    approver, expires = terms.approver or note.get("approver", ""), terms.expires or note.get("expires", "")
    if not approver or not expires:
        raise DeclaredError(
            "an accepted risk needs who allows it and until when",
            where=said.where,
            remedy="give --approver NAME and --expires YYYY-MM-DD",
        )
    label = said.justification if said.status == "not_affected" else ""
    if label and label not in set(Justification):
        known = ", ".join(Justification)
        raise DeclaredError(f"unknown justification {one_line(label, 80)!r}", where=said.where, remedy=f"use {known}")
    reason = said.text or Justification(label).zh
    return RiskException(
        target=place.target,
        check=place.check,
        location=place.location,
        reason=_short(f"{reason}（{place.purl}）" if place.purl else reason),
        approver=_short(approver),
        expires=_short(expires),
        filed=_short(note.get("filed", "") if note else terms.filed),
        advisory=place.advisory,
        cve=place.cve,
        justification=label,
    )


def _short(text: str) -> str:
    text = one_line(text, 10 * _LONGEST)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
