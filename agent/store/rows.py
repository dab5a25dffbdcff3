"""Findings and verdicts as rows, and back."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import Any

from agent.model.asset import Layer
from agent.model.control import Verdict
from agent.model.errors import StoreError
from agent.model.finding import Finding, FindingKind, FindingState, Remediation, Urgency
from agent.model.severity import Severity

VERDICT_FIELDS = tuple(each.name for each in fields(Verdict))


def finding_to_json(finding: Finding) -> str:
    """Write the whole dataclass as JSON."""
    return json.dumps(asdict(finding), ensure_ascii=False, sort_keys=True)


def finding_from_json(text: str) -> Finding:
    """Read what `finding_to_json` wrote.

    Raises:
        StoreError: the text is no finding.
    """
    try:
        raw = json.loads(text)
        return Finding(
            **{
                **raw,
                "layer": Layer(raw["layer"]),
                "kind": FindingKind(raw["kind"]),
                "severity": Severity(raw["severity"]),
                "state": FindingState(raw["state"]),
                "cves": tuple(raw["cves"]),
                "evidence": tuple(raw["evidence"]),
                "remediation": _remediation(raw.get("remediation")),
            }
        )
    except (ValueError, TypeError, KeyError) as error:
        raise StoreError(
            f"a stored finding cannot be read: {error}", remedy="judge the run again from its evidence"
        ) from error


def _remediation(raw: dict[str, Any] | None) -> Remediation | None:
    if raw is None:
        return None
    listed = {name: tuple(value) for name, value in raw.items() if isinstance(value, list)}
    return Remediation(**{**raw, **listed, "urgency": Urgency(raw["urgency"])})


def finding_row(run_id: str, position: int, finding: Finding) -> dict[str, Any]:
    """Make a row of table finding."""
    return {
        "run": run_id,
        "key": finding.key,
        "position": position,
        "target": finding.target,
        "layer": finding.layer.value,
        "kind": finding.kind.value,
        "check": finding.check,
        "location": finding.location,
        "severity": finding.severity.value,
        "state": finding.state.value,
        "body": finding_to_json(finding),
    }


def verdict_row(run_id: str, verdict: Verdict) -> dict[str, Any]:
    """Make a row of table verdict."""
    return {**asdict(verdict), "outcome": verdict.outcome.value, "run": run_id}
