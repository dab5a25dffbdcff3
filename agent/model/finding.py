"""A finding: something to be mended, decided or looked at, with a key that is stable over rounds."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from agent.model.asset import Layer
from agent.model.severity import Severity


class FindingKind(StrEnum):
    """Where a finding comes from."""

    CONTROL = "control"
    UPDATE = "update"
    EXPOSURE = "exposure"
    COVERAGE = "coverage"
    """Something that was not seen: unreached, errored, stale. Never counts as fixed."""


class FindingState(StrEnum):
    """What is to be done with it."""

    OPEN = "open"
    MANUAL = "manual"
    """Needs a person's judgement (op manual)."""
    UNKNOWN = "unknown"
    """The check errored or the layer was not seen."""
    ACCEPTED = "accepted"
    """An unexpired exception covers it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One row of the report. All text is cleaned."""

    target: str
    layer: Layer
    kind: FindingKind
    check: str
    """Control id, advisory id (else `UPDATE:<source package>`), or exposure/coverage check id."""
    location: str
    """Instance, package, port or file; empty for the whole target."""
    title: str
    severity: Severity
    state: FindingState
    actual: str
    expected: str
    remedy: str
    clause: str = ""
    cves: tuple[str, ...] = ()
    evidence: tuple[int, ...] = ()
    """Ledger sequence numbers of what it was judged from."""
    detail: str = ""

    @property
    def key(self) -> str:
        """16 hex digits of SHA-256 over target, layer, check and location: the same in every round."""
        text = f"{self.target}\n{self.layer.value}\n{self.check}\n{self.location}"
        return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]


class Change(StrEnum):
    """Difference of a finding between two rounds."""

    NEW = "新增"
    FIXED = "已修复"
    REMAINS = "仍存在"
    RECURS = "复现"
    UNSEEN = "未复核"
    """Was there, and its target or layer was not seen this time: never counted as fixed."""


@dataclass(frozen=True, slots=True)
class RiskException:
    """An accepted risk (exceptions.yaml); an expired one covers nothing."""

    target: str
    check: str
    location: str
    reason: str
    approver: str
    expires: str
    """ISO date, last day in Asia/Shanghai on which it covers."""
    filed: str = ""
