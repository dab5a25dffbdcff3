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


class Urgency(StrEnum):
    """When a vulnerability is to be dealt with; the order of work within is `Remediation.risk`."""

    NOW = "now"
    """Known to be exploited (KEV), or critical and likely, on a reachable listener."""
    SOON = "soon"
    """Critical or high and likely to be exploited, or reachable."""
    PLANNED = "planned"

    @property
    def zh(self) -> str:
        """The word used in reports."""
        return {"now": "立即处置", "soon": "优先处置", "planned": "计划处置"}[self.value]


@dataclass(frozen=True, slots=True)
class Remediation:
    """One upgrade and all that it closes on one target: several CVEs that one upgrade closes are one piece of work."""

    package: str
    """Source package, product or Windows product that is upgraded."""
    installed: str
    fixed: str
    """Lowest version that closes everything; empty when no fix is out."""
    status: str
    """`model.advisory.Status` value: `fixed`, or why there is no fix."""
    confidence: str
    """`model.advisory.Confidence` value of the surest source."""
    advisories: tuple[str, ...] = ()
    feeds: tuple[str, ...] = ()
    """Where they come from: feed names; `mirror` for the host's own."""
    packages: tuple[str, ...] = ()
    """Installed binary packages that the upgrade touches, `name version`."""
    cnnvd: tuple[str, ...] = ()
    kev: tuple[str, ...] = ()
    """Those of the CVEs that are known to be exploited."""
    epss: float | None = None
    """Highest probability among the CVEs."""
    score: float | None = None
    """Highest CVSS base score among the CVEs."""
    exposed: bool = False
    """A process of it listens where others can reach it."""
    restart: str = ""
    """`reboot`, `service` or empty when nothing needs it, or nothing is known."""
    fix: str = ""
    """KB or hot patch."""
    urgency: Urgency = Urgency.PLANNED
    risk: float = 0.0
    """Order of work, the highest first: docs/advisories.md tells how it is made."""


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
    remediation: Remediation | None = None
    """The upgrade that closes it, for what advisories were matched to."""

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
