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
    complete: bool = True
    """False: the mirror's candidate mends more than its CVEs tell, since its changelog was not had."""
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


class Justification(StrEnum):
    """Why a vulnerability that is present does no harm: the labels that OpenVEX and CSAF share."""

    COMPONENT_NOT_PRESENT = "component_not_present"
    CODE_NOT_PRESENT = "vulnerable_code_not_present"
    CODE_NOT_IN_EXECUTE_PATH = "vulnerable_code_not_in_execute_path"
    CODE_NOT_CONTROLLABLE = "vulnerable_code_cannot_be_controlled_by_adversary"
    MITIGATED = "inline_mitigations_already_exist"

    @property
    def zh(self) -> str:
        """The word used in reports."""
        return {
            "component_not_present": "受影响的组件不存在",
            "vulnerable_code_not_present": "有漏洞的代码不存在",
            "vulnerable_code_not_in_execute_path": "有漏洞的代码不会被执行",
            "vulnerable_code_cannot_be_controlled_by_adversary": "攻击者无法控制有漏洞的代码",
            "inline_mitigations_already_exist": "已有缓解措施",
        }[self.value]


@dataclass(frozen=True, slots=True)
class RiskException:
    """An accepted risk (exceptions.yaml) of a check, an advisory or a CVE; an expired one covers nothing."""

    target: str
    """Name of a target; `*`: every target."""
    check: str
    """Check id; empty when it is about an advisory or a CVE."""
    location: str
    """With a check: exactly this place. With an advisory or a CVE: only this place, or anywhere when empty."""
    reason: str
    approver: str
    expires: str
    """ISO date, last day in Asia/Shanghai on which it covers."""
    filed: str = ""
    advisory: str = ""
    cve: str = ""
    justification: str = ""
    """A `Justification` value: it is said to do no harm. Empty: it may, and the risk is taken."""

    @property
    def subject(self) -> str:
        """The check, advisory or CVE that it is about."""
        return self.check or self.advisory or self.cve
