"""VEX documents, OpenVEX 0.2.0 and CSAF 2.0 (profile `csaf_vex`), from accepted risks or from a run's findings.

An accepted risk says "not affected" only when its approver gave a justification. Without one the target stays
affected and the statement tells why nothing is done. Both bear a note with approver and expiry, so that an
import of the document gives the same exceptions again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from agent.model import vex
from agent.model.finding import FindingState, RiskException
from agent.report.exports.pieces import HERE, dumps, filled, listed
from agent.report.exports.values import document_id, iso, vulnerabilities

if TYPE_CHECKING:
    from agent.model.finding import Finding
    from agent.report.exports.values import Export

CONTEXT = "https://openvex.dev/ns/v0.2.0"
_REMEDIES = {"fixed": "vendor_fix", "": "vendor_fix", "will_not_fix": "no_fix_planned", "end_of_life": "no_fix_planned"}
"""By the vendor's status; empty: an update that the host's own mirror offers."""
_CSAF_STATUS = {
    "not_affected": "known_not_affected",
    "affected": "known_affected",
    "under_investigation": "under_investigation",
}


@dataclass(frozen=True, slots=True)
class Statement:
    """What is said of one vulnerability on one target."""

    target: str
    """Name, or `*` for every target."""
    location: str
    subject: str
    """CVE, advisory or check id."""
    status: str
    """`not_affected`, `affected` or `under_investigation`."""
    text: str
    """Why it does no harm, or what is to be done."""
    is_check: bool = False
    justification: str = ""
    note: str = ""
    """JSON about the accepted risk; empty for a finding."""
    remedy: str = "no_fix_planned"
    """Category of the remedy in CSAF, where the target is affected."""

    @property
    def product(self) -> str:
        """Id of the target, or of the place on it."""
        target = vex.target(self.target)
        return f"{target}:{vex.location(self.location)}" if self.location else target


def from_exceptions(exceptions: Iterable[RiskException]) -> list[Statement]:
    """A statement for each accepted risk; of several for one place the one that lasts longest."""
    best: dict[tuple[str, str, str], RiskException] = {}
    for item in exceptions:
        held = best.setdefault((item.target, item.location, item.subject), item)
        if item.expires > held.expires:
            best[item.target, item.location, item.subject] = item
    return [_accepted(item.target, item.location, item.subject, item) for item in best.values()]


def _accepted(target: str, location: str, subject: str, item: RiskException) -> Statement:
    note = dumps(filled({"approver": item.approver, "expires": item.expires, "filed": item.filed}))
    status = "not_affected" if item.justification else "affected"
    return Statement(target, location, subject, status, item.reason, bool(item.check), item.justification, note)


def from_findings(export: Export) -> list[Statement]:
    """A statement for each CVE (or advisory) of each finding; controls and the like are no vulnerabilities."""
    found: dict[tuple[str, str, str], Statement] = {}
    for item in export.items:
        finding = item.finding
        for one in vulnerabilities(finding):
            exception = item.exceptions.get(one)
            said = _of_finding(finding, one, exception)
            found.setdefault((said.target, said.location, said.subject), said)
    return list(found.values())


def _of_finding(finding: Finding, one: str, exception: RiskException | None) -> Statement:
    if exception:
        return replace(_accepted(finding.target, finding.location, one, exception), is_check=False)
    vendor = finding.remediation.status if finding.remediation else ""
    unsure = finding.state in {FindingState.UNKNOWN, FindingState.MANUAL} or vendor == "under_investigation"
    status = "under_investigation" if unsure else "affected"
    remedy = _REMEDIES.get(vendor, "none_available")
    return Statement(finding.target, finding.location, one, status, finding.remedy or finding.title, remedy=remedy)


def openvex(export: Export, statements: Iterable[Statement]) -> Iterator[str]:
    """An OpenVEX document, statements one by one."""
    every = list(statements)
    frame = {
        "@context": CONTEXT,
        "@id": document_id("openvex", export.run, iso(export.at), *map(repr, every)),
        "author": export.author,
        "timestamp": iso(export.at),
        "version": 1,
        "tooling": f"secops-agent {export.version}".strip(),
        "statements": HERE,
    }
    return listed(frame, map(_openvex, every))


def _openvex(said: Statement) -> dict[str, Any]:
    product: dict[str, Any] = {"@id": vex.target(said.target)}
    if said.target != "*":
        product["identifiers"] = {"purl": f"pkg:generic/{vex.quote(said.target)}"}
    if said.location:
        product["subcomponents"] = [{"@id": vex.location(said.location)}]
    vulnerability = {"@id": vex.check(said.subject) if said.is_check else "", "name": said.subject}
    return filled(
        {
            "vulnerability": filled(vulnerability),
            "products": [product],
            "status": said.status,
            "status_notes": said.note,
            "justification": said.justification,
            "impact_statement": said.text if said.status == "not_affected" else "",
            "action_statement": said.text if said.status == "affected" else "",
        }
    )


def csaf(export: Export, statements: Iterable[Statement]) -> Iterator[str]:
    """A CSAF 2.0 document of the profile VEX, vulnerabilities one by one."""
    by_subject: dict[tuple[str, bool], list[Statement]] = {}
    for said in statements:
        by_subject.setdefault((said.subject, said.is_check), []).append(said)
    every = [said for group in by_subject.values() for said in group]
    tracking = {
        "current_release_date": iso(export.at),
        "generator": {"engine": filled({"name": "secops-agent", "version": export.version})},
        "id": document_id("csaf-vex", export.run, iso(export.at), *map(repr, every)).removeprefix("urn:uuid:"),
        "initial_release_date": iso(export.at),
        "revision_history": [{"date": iso(export.at), "number": "1", "summary": "导出"}],
        "status": "final",
        "version": "1",
    }
    document = {
        "category": "csaf_vex",
        "csaf_version": "2.0",
        "lang": "zh-CN",
        "publisher": {"category": "user", "name": export.author, "namespace": "urn:secops-agent:publisher"},
        "title": f"{export.project} 漏洞状态说明".strip(),
        "tracking": tracking,
    }
    frame = {"document": document, "product_tree": _tree(every), "vulnerabilities": HERE}
    return listed(frame, map(_csaf, by_subject.values()))


def _tree(statements: Iterable[Statement]) -> dict[str, Any]:
    """Targets and places as products, and a place on a target as a relationship of the two."""
    products: dict[str, dict[str, Any]] = {}
    relations: dict[str, dict[str, Any]] = {}
    for said in statements:
        target = vex.target(said.target)
        products.setdefault(target, _product(target, "全部目标" if said.target == "*" else said.target))
        if said.location:
            place = vex.location(said.location)
            products.setdefault(place, _product(place, said.location))
            name = f"{said.target} / {said.location}"
            relations[said.product] = {
                "category": "installed_on",
                "full_product_name": {"name": name, "product_id": said.product},
                "product_reference": place,
                "relates_to_product_reference": target,
            }
    return filled({"full_product_names": list(products.values()), "relationships": list(relations.values())})


def _product(urn: str, name: str) -> dict[str, Any]:
    helper = {"x_generic_uris": [{"namespace": "urn:secops-agent:id", "uri": urn}]}
    return {"name": name, "product_id": urn, "product_identification_helper": helper}


def _csaf(group: list[Statement]) -> dict[str, Any]:
    first = group[0]
    statuses: dict[str, list[str]] = {}
    flags: dict[str, list[str]] = {}
    for said in group:
        statuses.setdefault(_CSAF_STATUS[said.status], []).append(said.product)
        if said.justification:
            flags.setdefault(said.justification, []).append(said.product)
    is_cve = vex.CVE.fullmatch(first.subject) and not first.is_check
    system = vex.CSAF_CHECK if first.is_check else "advisory"
    notes = [{"category": "summary", "text": first.subject}]
    notes += [{"category": "other", "text": said.note, "title": vex.NOTE + said.product} for said in group if said.note]
    return filled(
        {
            "cve": first.subject if is_cve else "",
            "flags": [{"label": label, "product_ids": products} for label, products in flags.items()],
            "ids": [] if is_cve else [{"system_name": system, "text": first.subject}],
            "notes": notes,
            "product_status": statuses,
            "remediations": [_remedy(said) for said in group if said.status == "affected"],
            "threats": [
                {"category": "impact", "details": said.text, "product_ids": [said.product]}
                for said in group
                if said.status == "not_affected"
            ],
        }
    )


def _remedy(said: Statement) -> dict[str, Any]:
    return {"category": said.remedy, "details": said.text, "product_ids": [said.product]}
