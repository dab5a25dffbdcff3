"""SARIF 2.1.0 (OASIS): one run, a rule a check, a result a finding, what was accepted as a suppression.

There is no source file: a result stands at logical locations, target / layer / place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from agent.model.finding import FindingState
from agent.model.severity import Severity
from agent.report.exports.pieces import HERE, filled, listed
from agent.report.exports.values import document_id, iso

if TYPE_CHECKING:
    from agent.model.finding import Finding, RiskException
    from agent.report.exports.values import Export, Item

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {
    Severity.CRITICAL: "error",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "note",
    Severity.INFO: "note",
}
_KINDS = {
    FindingState.OPEN: "fail",
    FindingState.ACCEPTED: "fail",
    FindingState.MANUAL: "review",
    FindingState.UNKNOWN: "open",
}
_SCORES = {
    Severity.CRITICAL: 9.5,
    Severity.HIGH: 8.0,
    Severity.MEDIUM: 5.5,
    Severity.LOW: 2.0,
    Severity.INFO: 0.0,
}
"""Where no CVSS score is known: the middle of the grade, for tools that sort by `security-severity`."""


def write(export: Export) -> Iterator[str]:
    """The document, results one by one."""
    rules = list(_rules(item.finding for item in export.items))
    index = {rule["id"]: number for number, rule in enumerate(rules)}
    driver = {
        "name": "secops-agent",
        "version": export.version,
        "semanticVersion": export.version,
        "organization": export.author,
        "rules": rules,
    }
    run = {
        "tool": {"driver": filled(driver)},
        "automationDetails": {
            "id": f"{export.project}/{export.run}",
            "guid": document_id("sarif", export.run).removeprefix("urn:uuid:"),
        },
        "invocations": [
            filled(
                {
                    "executionSuccessful": True,
                    "startTimeUtc": iso(export.started) if export.started else "",
                    "endTimeUtc": iso(export.at),
                }
            )
        ],
        "columnKind": "unicodeCodePoints",
        "results": HERE,
    }
    frame = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return listed(frame, (_result(item, index[item.finding.check]) for item in export.items))


def _message(text: str) -> dict[str, str]:
    """Text as text: braces would be placeholders, brackets before a parenthesis a link (3.11.5, 3.11.6)."""
    return {"text": text.replace("{", "{{").replace("}", "}}").replace("](", "\\](")}


def _score(finding: Finding) -> float:
    known = finding.remediation.score if finding.remediation else None
    return _SCORES[finding.severity] if known is None else known


def _rules(findings: Iterable[Finding]) -> Iterator[dict[str, Any]]:
    worst: dict[str, Finding] = {}
    for finding in findings:
        held = worst.setdefault(finding.check, finding)
        if _score(finding) > _score(held):
            worst[finding.check] = finding
    for check, finding in worst.items():
        properties = {
            "tags": ["security", finding.kind.value, finding.layer.value],
            "security-severity": f"{_score(finding):.1f}",
            "clause": finding.clause,
        }
        yield filled(
            {
                "id": check,
                "shortDescription": _message(finding.title or check),
                "help": _message(finding.remedy) if finding.remedy else None,
                "defaultConfiguration": {"level": _LEVELS[finding.severity]},
                "properties": filled(properties),
            }
        )


def _result(item: Item, rule: int) -> dict[str, Any]:
    finding = item.finding
    kind = _KINDS[finding.state]
    said = [finding.title, f"实际：{finding.actual}" if finding.actual else ""]
    said += [
        f"要求：{finding.expected}" if finding.expected else "",
        f"处置：{finding.remedy}" if finding.remedy else "",
    ]
    name = "/".join(filter(None, (finding.target, finding.layer.value, finding.location)))
    here = {"name": finding.location or finding.target, "fullyQualifiedName": name, "kind": finding.layer.value}
    return {
        "ruleId": finding.check,
        "ruleIndex": rule,
        "kind": kind,
        # the standard keeps every level but `none` for kind `fail`
        "level": _LEVELS[finding.severity] if kind == "fail" else "none",
        "message": _message("\n".join(filter(None, said)) or finding.check),
        "locations": [{"logicalLocations": [here]}],
        "partialFingerprints": {"secopsAgentKey/v1": finding.key},
        # given for every result: an absent list would leave open whether it is suppressed
        "suppressions": _suppressions(item),
        "properties": _properties(finding),
    }


def _suppressions(item: Item) -> list[dict[str, Any]]:
    if item.finding.state is not FindingState.ACCEPTED:
        return []
    held = dict.fromkeys(item.exceptions.values())
    if not held:  # the exception was taken out of the file since; the run still says that it was accepted
        return [{"kind": "external", "status": "accepted", "justification": item.finding.detail}]
    return [_suppression(each) for each in held]


def _suppression(exception: RiskException) -> dict[str, Any]:
    properties = filled(
        {
            "approver": exception.approver,
            "expires": exception.expires,
            "subject": exception.subject,
            "vexJustification": exception.justification,
        }
    )
    return {"kind": "external", "status": "accepted", "justification": exception.reason, "properties": properties}


def _properties(finding: Finding) -> dict[str, Any]:
    upgrade = finding.remediation
    told: dict[str, Any] = {
        "target": finding.target,
        "severity": finding.severity.value,
        "state": finding.state.value,
        "findingKind": finding.kind.value,
        "clause": finding.clause,
        "cves": finding.cves,
        "evidence": finding.evidence,
        "detail": finding.detail,
    }
    if upgrade:
        told |= {
            "advisories": upgrade.advisories,
            "cnnvd": upgrade.cnnvd,
            "kev": upgrade.kev,
            "epss": upgrade.epss,
            "score": upgrade.score,
            "package": upgrade.package,
            "installed": upgrade.installed,
            "fixed": upgrade.fixed,
            "fix": upgrade.fix,
            "vendorStatus": upgrade.status,
            "confidence": upgrade.confidence,
            "urgency": upgrade.urgency.value,
            "restart": upgrade.restart,
        }
    return filled(told)
