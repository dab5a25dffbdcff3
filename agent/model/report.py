"""What the scan report is rendered from: plain values, all text cleaned, nothing to look up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from agent.model.control import Verdict
from agent.model.finding import Change, Finding, RiskException
from agent.model.observation import Unreached


@dataclass(frozen=True, slots=True)
class Parties:
    """Who appears on the cover; from contract.yaml."""

    project: str
    customer: str
    vendor: str
    classification: str = "内部资料"
    """`内部资料` or `商业秘密`; never 秘密★ unless the customer says so."""
    number_prefix: str = "SCAN"


@dataclass(frozen=True, slots=True)
class TargetRow:
    """One target of the run."""

    name: str
    address: str
    kind: str
    """`host` or `database`."""
    os: str
    """Operating system or engine with version; empty when not seen."""
    zone: str
    owner: str
    importance: str
    layers: tuple[str, ...]
    """Layers declared, as `Layer` values."""
    seen: tuple[str, ...]
    """Layers that were seen this time."""
    passed: int
    failed: int
    manual: int
    not_applicable: int
    errored: int
    evidence: tuple[int, ...]
    subjects: tuple[str, ...] = ()
    """Middleware instances and the like, `kind version location`."""


@dataclass(frozen=True, slots=True)
class ToolRow:
    """A tool that was used."""

    name: str
    version: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class FeedRow:
    """A feed of advisories as it was when the round was judged; days are ISO, in Asia/Shanghai."""

    ecosystem: str
    feed: str
    source: str
    """File or bundle that it came in."""
    records: int
    newest: str
    age_days: int | None
    """Days from the newest record to the judgement; None when it bears no date."""
    licence: str
    sha256: str
    """The first 12 digits."""
    signature: str
    imported: str
    """Day and who."""


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """A finding compared with the last round."""

    change: Change
    finding: Finding


@dataclass(frozen=True, slots=True)
class TrendPoint:
    """Counts of one earlier round, oldest first, for the trend chart."""

    label: str
    critical: int
    high: int
    medium: int
    low: int


@dataclass(frozen=True, slots=True)
class RevisionRow:
    """One line of 修订记录; dates are ISO days in Asia/Shanghai."""

    version: str
    date: str
    author: str
    what: str


@dataclass(frozen=True, slots=True)
class ScanReport:
    """The whole of one 漏洞扫描报告."""

    number: str
    parties: Parties
    period_title: str
    period_dates: str
    period_status: str
    run: str
    started: datetime
    finished: datetime
    """UTC; renderers show Asia/Shanghai."""
    operator: str
    scope: str
    """What was asked for: whole inventory, or the selection."""
    agent_version: str
    targets: tuple[TargetRow, ...]
    findings: tuple[Finding, ...]
    """Sorted by target order, then severity; every one becomes a row: the reconciliation gate counts them."""
    verdicts: tuple[Verdict, ...]
    unreached: tuple[Unreached, ...]
    exceptions: tuple[RiskException, ...]
    changes: tuple[ChangeRow, ...]
    """Empty when there is no earlier round."""
    previous_run: str
    trend: tuple[TrendPoint, ...]
    tools: tuple[ToolRow, ...]
    feeds: tuple[FeedRow, ...]
    """Empty: no feed was imported; what hosts' own mirrors say is all that was known."""
    ledger_head: str
    ledger_seq: int
    key_fingerprint: str
    """SHA-256 over the public signing keys: what `verify.sh -k` is given."""
    evidence: tuple[tuple[int, str, str], ...]
    """(sequence number, what it is, hash) of each entry of this run."""
    notes: tuple[str, ...] = ()
    """Plain sentences that the report must say (connect scan instead of SYN, dirty clock ...)."""
    authorization: str = ""
    """What authorises the scan (contract clause, notice, ticket); empty: the report says that none was given."""
    revisions: tuple[RevisionRow, ...] = ()
    """Empty: the report says V1.0, first edition."""
