"""What the 安全加固报告 is rendered from: plain values, all text cleaned, nothing to look up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from agent.model.change import Risk, TxState
from agent.model.control import Outcome
from agent.model.duties import Credit
from agent.model.hardening import ClosureRecord, Leave, Wave
from agent.model.report import Parties, RevisionRow
from agent.model.severity import Severity


@dataclass(frozen=True, slots=True)
class HardenTarget:
    """One target of the run."""

    name: str
    address: str
    kind: str
    """`host` or `database`."""
    host: str
    """On which its steps ran."""
    os: str
    zone: str
    owner: str
    importance: str
    unread: str = ""
    """Why its state could not be read when it was planned; empty: it could."""


@dataclass(frozen=True, slots=True)
class ItemRow:
    """One thing that was to be mended, over all targets."""

    check: str
    title: str
    severity: Severity
    clause: str
    cves: tuple[str, ...]
    risk: tuple[Risk, ...]
    method: str
    """How its value is read, before and after, in Chinese."""
    remedy: str
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StepRow:
    """One value that was changed, or was to be."""

    transaction: str
    target: str
    control: str
    title: str
    resource: str
    group: str
    name: str
    before: str
    after: str
    source: str
    state: TxState
    """Of its transaction."""
    reverted_by: str = ""
    irreversible: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class HandleRow:
    """A piece of state that was captured before the first write."""

    kind: str
    name: str
    before: str
    """SHA-256 of its state; empty: not told."""
    after: str


@dataclass(frozen=True, slots=True)
class TxRow:
    """One transaction, as an operation."""

    id: str
    host: str
    group: str
    wave: int
    state: TxState
    sent_at: datetime | None
    """UTC; renderers show Asia/Shanghai."""
    ended_at: datetime | None
    steps: int
    armed_by: str
    ways: tuple[str, ...]
    why: str
    evidence: tuple[int, ...]
    handles: tuple[HandleRow, ...]
    irreversible: tuple[str, ...]
    reverts: str
    reverted_by: str


@dataclass(frozen=True, slots=True)
class PasswordRow:
    """One control of the password policy on one target, as the look after the change judged it."""

    control: str
    title: str
    expected: str
    target: str
    location: str
    outcome: Outcome
    actual: str


@dataclass(frozen=True, slots=True)
class HardenReport:
    """The whole of one 安全加固报告."""

    number: str
    parties: Parties
    period_title: str
    run: str
    scan: str
    verify: str
    """Run of the look after the change; empty: nobody looked."""
    profile: str
    started: datetime
    finished: datetime
    operator: str
    agent_version: str
    plan_digest: str
    scan_findings: int
    """Findings of the scan, in scope or not."""
    leave: Leave | None
    """What the gates let through; None: the run keeps nothing of it."""
    stopped: str
    """Why the roll-out stopped; empty: it went through."""
    targets: tuple[HardenTarget, ...]
    closures: tuple[ClosureRecord, ...]
    """Every one becomes a row: the reconciliation gate counts them."""
    items: tuple[ItemRow, ...]
    steps: tuple[StepRow, ...]
    transactions: tuple[TxRow, ...]
    passwords: tuple[PasswordRow, ...]
    waves: tuple[Wave, ...]
    credit: Credit
    ledger_head: str
    ledger_seq: int
    key_fingerprint: str
    evidence: tuple[tuple[int, str, str], ...]
    """(sequence number, what it is, hash) of each entry that the report cites."""
    notes: tuple[str, ...] = ()
    revisions: tuple[RevisionRow, ...] = ()
