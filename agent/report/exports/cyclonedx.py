"""CycloneDX 1.6 (ECMA-424): targets with the software concerned, and a VEX part that says what stands in each.

Only what others know by an id is a vulnerability here: a CVE, else an advisory. Findings of configuration,
exposure and coverage are counted in the metadata, for a bill of materials has no place for them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from packageurl import PackageURL

from agent.model import streams
from agent.model.finding import FindingState, Justification, RiskException
from agent.report.exports.pieces import HERE, filled, listed
from agent.report.exports.values import document_id, iso, vulnerabilities

if TYPE_CHECKING:
    from agent.model.finding import Finding
    from agent.report.exports.values import Export, Item, Place

_DEB = {"debian", "ubuntu", "ubuntu-pro"}
_RPM = {
    "rhel", "centos", "centos-stream", "almalinux", "rocky", "oracle", "openeuler", "anolis", "kylin", "euleros",
    "fedora", "amazon", "suse", "opensuse",
}  # fmt: skip
"""Distributions by the purl type of their packages; UOS has both and is told apart by the version alone."""
_VENDORS = {"rhel": "redhat"}
"""Where the purl namespace differs from our name of the distribution."""
_JUSTIFICATIONS = {
    Justification.COMPONENT_NOT_PRESENT: "code_not_present",
    Justification.CODE_NOT_PRESENT: "code_not_present",
    Justification.CODE_NOT_IN_EXECUTE_PATH: "code_not_reachable",
    Justification.CODE_NOT_CONTROLLABLE: "code_not_reachable",
    Justification.MITIGATED: "protected_by_mitigating_control",
}
_SOURCES = (("CVE-", "NVD", "https://nvd.nist.gov/vuln/detail/"), ("CNNVD-", "CNNVD", ""))


@dataclass(frozen=True, slots=True)
class _Stand:
    """What is said of a vulnerability; findings of one vulnerability that say the same are one entry."""

    id: str
    state: str
    justification: str
    response: tuple[str, ...]
    detail: str


@dataclass(frozen=True, slots=True)
class Software:
    """A package, or a product outside the package manager."""

    packaged: bool
    name: str
    version: str
    purl: str


def software(finding: Finding, os: str) -> tuple[Software, ...]:
    """The software that a finding is about, on a system of that name; empty when it names none."""
    upgrade = finding.remediation
    if upgrade is None:
        return ()
    # a package is found at itself; what is outside the package manager, in a file or as an instance
    stream = streams.of_name(os) if finding.location == upgrade.package else ""
    installed = [text.partition(" ")[::2] for text in upgrade.packages if text]
    if not installed:
        installed = [(upgrade.package or finding.check, upgrade.installed)]
    return tuple(_purl(stream, name, version) for name, version in installed)


def _manager(stream: str) -> str:
    distribution = stream.partition(":")[0]
    return "deb" if distribution in _DEB else "rpm" if distribution in _RPM else "generic"


@lru_cache(maxsize=65536)
def _purl(stream: str, name: str, version: str) -> Software:
    kind = _manager(stream)
    distribution, _, release = stream.partition(":") if kind != "generic" else ("", "", "")
    qualifiers = {"distro": f"{distribution}-{release}"} if distribution else {}
    epoch, colon, rest = version.partition(":")
    if kind == "rpm" and colon and epoch.isdigit():
        qualifiers, version = qualifiers | {"epoch": epoch}, rest
    namespace = _VENDORS.get(distribution, distribution) or None
    purl = PackageURL(kind, namespace, name, version or None, qualifiers)
    return Software(kind != "generic", purl.name, purl.version or "", purl.to_string())


def write(export: Export) -> Iterator[str]:
    """The document, vulnerabilities one by one."""
    places = {place.name: place for place in export.places}
    inside: dict[str, dict[str, Software]] = {name: {} for name in places}
    groups: dict[_Stand, list[tuple[Item, tuple[str, ...]]]] = defaultdict(list)
    others: Counter[str] = Counter()
    for item in export.items:
        finding = item.finding
        ids = vulnerabilities(finding)
        if not ids:
            others[finding.kind.value] += 1
            continue
        held = inside.setdefault(finding.target, {})
        refs = []
        place = places.get(finding.target)
        for one in software(finding, place.os if place else ""):
            ref = f"{finding.target}/{one.purl}"
            held[ref] = one
            refs.append(ref)
        for vulnerability in ids:
            groups[_stand(vulnerability, finding, item.exceptions.get(vulnerability))].append(
                (item, tuple(refs) or (finding.target,))
            )
    frame = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": document_id("cyclonedx", export.run),
        "version": 1,
        "metadata": _metadata(export, others),
        "components": [_target(name, places.get(name), held) for name, held in inside.items()],
        "vulnerabilities": HERE,
    }
    return listed(frame, (_vulnerability(stand, found) for stand, found in groups.items()))


def _metadata(export: Export, others: Mapping[str, int]) -> dict[str, Any]:
    tool = {"type": "application", "name": "secops-agent", "version": export.version}
    told = {"secops-agent:run": export.run}
    told |= {f"secops-agent:findings-without-vulnerability:{kind}": str(n) for kind, n in sorted(others.items())}
    return filled(
        {
            "timestamp": iso(export.at),
            "tools": {"components": [filled(tool)]},
            "authors": [{"name": export.author}] if export.author else [],
            "component": {"type": "platform", "name": export.project or "targets", "bom-ref": "/project"},
            "properties": _named(told),
        }
    )


def _named(told: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in told.items() if value]


def _target(name: str, place: Place | None, held: Mapping[str, Software]) -> dict[str, Any]:
    parts: list[dict[str, Any]] = []
    database = place is not None and place.kind == "database"
    if place and place.os and not database:
        parts.append({"type": "operating-system", "bom-ref": f"{name}/os", "name": place.os})
    parts += [
        filled(
            {
                "type": "library" if one.packaged else "application",
                "bom-ref": ref,
                "name": one.name,
                "version": one.version,
                "purl": one.purl,
            }
        )
        for ref, one in held.items()
    ]
    return filled(
        {
            "type": "application" if database else "device",
            "bom-ref": name,
            "name": name,
            "description": place.os if place and database else "",
            "components": parts,
        }
    )


def _stand(one: str, finding: Finding, exception: RiskException | None) -> _Stand:
    upgrade = finding.remediation
    status, confidence = (upgrade.status, upgrade.confidence) if upgrade else ("", "")
    response = ("update",) if status == "fixed" else ("will_not_fix",) if status == "will_not_fix" else ()
    if exception:
        words = f"{exception.reason}（批准人 {exception.approver}，有效至 {exception.expires}）"
        if exception.justification:
            label = _JUSTIFICATIONS[Justification(exception.justification)]
            return _Stand(one, "not_affected", label, (), f"{exception.justification}: {words}")
        return _Stand(one, "exploitable", "", ("will_not_fix",), f"已接受风险：{words}")
    unsure = finding.state in {FindingState.UNKNOWN, FindingState.MANUAL} or status == "under_investigation"
    if unsure or confidence == "cpe-rough":
        return _Stand(one, "in_triage", "", response, "")
    return _Stand(one, "exploitable", "", response, "")


def _vulnerability(stand: _Stand, found: Iterable[tuple[Item, tuple[str, ...]]]) -> dict[str, Any]:
    findings = [item.finding for item, _ in found]
    worst = min(findings, key=lambda finding: finding.severity.rank)
    upgrades = [finding.remediation for finding in findings if finding.remediation]
    advisories = dict.fromkeys(name for upgrade in upgrades for name in upgrade.advisories if name != stand.id)
    remedies = dict.fromkeys(finding.remedy for finding in findings if finding.remedy)
    alone = next((one.remediation for one in findings if one.remediation and len(one.cves) == 1), None)
    analysis = {"state": stand.state, "justification": stand.justification, "response": stand.response}
    told = {
        "secops-agent:kev": "true" if any(stand.id in upgrade.kev for upgrade in upgrades) else "",
        "secops-agent:epss": f"{alone.epss:.10g}" if alone and alone.epss is not None else "",
        "secops-agent:advisories": " ".join(advisories),
        "secops-agent:cnnvd": " ".join(alone.cnnvd) if alone else "",
        "secops-agent:findings": " ".join(dict.fromkeys(finding.key for finding in findings)),
    }
    return filled(
        {
            "bom-ref": document_id("vulnerability", *map(str, (stand.id, stand.state, stand.response, stand.detail))),
            "id": stand.id,
            "source": _source(stand.id),
            "ratings": [_rating(worst, alone.score if alone else None)],
            "description": worst.title,
            "recommendation": "\n".join(remedies),
            "analysis": filled(analysis | {"detail": stand.detail}),
            "affects": [{"ref": ref} for ref in dict.fromkeys(ref for _, refs in found for ref in refs)],
            "properties": _named(told),
        }
    )


def _rating(finding: Finding, score: float | None) -> dict[str, Any]:
    """The grade of the finding; the score only where it is this vulnerability's own and not the worst of several."""
    several = f"取自发现 {finding.check}，为其 {len(finding.cves)} 个漏洞中最高者" if len(finding.cves) > 1 else ""
    return filled(
        {
            "source": {"name": "secops-agent"},
            "score": score,
            "severity": finding.severity.value,
            "method": "other",
            "justification": several,
        }
    )


def _source(one: str) -> dict[str, str]:
    for prefix, name, url in _SOURCES:
        if one.startswith(prefix):
            return filled({"name": name, "url": f"{url}{one}" if url else ""})
    return {}
