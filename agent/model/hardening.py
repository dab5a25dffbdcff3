"""Hardening as records: who may, what was planned, what was done, how each finding ended."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from agent.model.change import Closure, Planned, Risk, Step, TxState
from agent.model.severity import Severity


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """An account that programs use: nothing that can expire or lock it is done without its owner's window."""

    account: str
    targets: tuple[str, ...]
    """Inventory names; `*`: everywhere."""
    owner: str
    window: str = ""
    """When it may be touched, in words."""
    dependents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """hardening.yaml: what this site wants, and what must be left alone."""

    variables: Mapping[str, object] = field(default_factory=dict)
    """Fill `{{name}}` in a control's fix: `ops_networks`, `log_host`, `ntp_servers`, `app_networks` ..."""
    profile: str = "level-3"
    """`level-3`, `level-3-password` (with the password undertaking), or one that the workspace defines."""
    profiles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Own profiles: name to control ids, `LIN-*` patterns, `!LIN-...` exclusions; they overlay the shipped ones."""
    canary: str = ""
    """Host that goes first; empty: the least important one of the plan."""
    waves: tuple[int, ...] = (1, 3)
    """Sizes of the waves after the canary's; the rest goes in one."""
    ttl: int = 300
    """Seconds after which a target undoes what was not confirmed."""
    leave: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Target (or `*`) to control ids that are not to be mended there."""
    service_accounts: tuple[ServiceAccount, ...] = ()
    keep_accounts: tuple[str, ...] = ()
    """Accounts that no control locks, expires or takes the shell of, besides those that the agent logs in with."""
    probes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Target to further ports (`tcp/8080`) that must answer before and after, besides declared listeners."""


WEAK_PASSWORDS = "weak-passwords"
"""The allowance to hold guesses against the targets' own records of passwords; it changes nothing."""
ALLOWANCES = (WEAK_PASSWORDS,)
"""What is never done unless a signed ticket names it."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A change ticket (工单), as its file says. `tickets/NUMBER.yaml`, signed in `tickets/NUMBER.yaml.sig`."""

    number: str
    title: str
    reference: str
    """The customer's own number or letter."""
    start: datetime
    end: datetime
    """UTC; both from times in Asia/Shanghai."""
    targets: tuple[str, ...]
    controls: tuple[str, ...]
    """Control or check ids, with `*` patterns; `*`: all of the plan."""
    plan_digest: str
    """HardenPlan.digest, or empty when it stands for no particular plan."""
    reboot_application: str = ""
    """Path of the customer's written application for a restart, within the workspace; empty: no reboot."""
    reboot_application_sha256: str = ""
    """Of that file when the ticket was written; empty: the signature covers its name alone."""
    requested_by: str = ""
    allows: tuple[str, ...] = ()
    """What else it allows, of ALLOWANCES."""
    signed: bool = False
    """An approver's signature that verifies, whose key is not the operator's."""
    approver: str = ""
    """Name of who signed; empty: 未验签."""
    doubt: str = ""
    """Why it counts as unsigned; empty when it is signed."""
    sha256: str = ""
    """Of the file's bytes."""


@dataclass(frozen=True, slots=True)
class Leave:
    """What the gates let through: kept with the run and shown in the report."""

    ticket: Ticket | None
    overrides: Mapping[str, str] = field(default_factory=dict)
    """Gate (`unsigned`, `freeze`) to who allowed it."""
    reboot: bool = False
    notes: tuple[str, ...] = ()
    """Sentences that the report must say (未验签 ...)."""
    evidence: tuple[int, ...] = ()
    """Ledger numbers of the sealed ticket and application."""


@dataclass(frozen=True, slots=True)
class HardenPlan:
    """What would be changed; nothing was touched to make it."""

    run: str
    """Id of the hardening run."""
    scan: str
    """Run whose findings it mends."""
    profile: str
    planned: tuple[Planned, ...]
    hosts: Mapping[str, str] = field(default_factory=dict)
    """Target to the host on which its steps run (a database's host)."""
    unread: Mapping[str, str] = field(default_factory=dict)
    """Host to the reason for which its state could not be read."""

    @property
    def steps(self) -> tuple[tuple[Planned, Step], ...]:
        """Every step with what it belongs to."""
        return tuple((one, step) for one in self.planned for step in one.steps)

    @property
    def digest(self) -> str:
        """64 hex digits over every step on every target: what a ticket's approver signs."""
        rows = sorted((one.item.target, one.item.control, step.digest) for one, step in self.steps)
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class TxRecord:
    """One transaction as the store keeps it."""

    id: str
    run: str
    host: str
    group: str
    position: int
    """Order on its host."""
    planned: tuple[Planned, ...]
    """Items with the steps that are in this transaction."""
    state: TxState = TxState.PLANNED
    wave: int = 0
    library: tuple[str, ...] = ()
    sent_at: datetime | None = None
    ended_at: datetime | None = None
    armed_by: str = ""
    """`systemd-run`, `at`, `nohup`; empty: not armed (irreversible, or never begun)."""
    why: str = ""
    """What failed, in the target's words, cleaned."""
    ways: tuple[str, ...] = ()
    """Ways by which a fresh privileged login was had before it was confirmed."""
    digests: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    """Handle number to SHA-256 of its state before and after."""
    evidence: tuple[int, ...] = ()
    """Ledger numbers: what was sent and answered."""
    reverts: str = ""
    """Id of the transaction that this one takes back."""
    reverted_by: str = ""

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps, in order."""
        return tuple(step for one in self.planned for step in one.steps)


@dataclass(frozen=True, slots=True)
class ClosureRecord:
    """How one finding of the scan ended in this hardening run."""

    run: str
    finding: str
    """Key of the finding."""
    target: str
    check: str
    location: str
    title: str
    severity: Severity
    closure: Closure
    reason: str
    before: str
    after: str
    """What the fresh look saw; empty when nobody looked."""
    transactions: tuple[str, ...] = ()
    evidence_before: tuple[int, ...] = ()
    evidence_after: tuple[int, ...] = ()
    due: date | None = None
    """Day by which it must be settled (Asia/Shanghai)."""


@dataclass(frozen=True, slots=True)
class Health:
    """What answered on a host, before or after a wave."""

    host: str
    answered: tuple[str, ...]
    """`tcp/80`, `maria-01`, `login`, `login via bastion-01` ..."""
    silent: tuple[str, ...] = ()
    """The same words, of what did not, each with its reason after a colon."""


@dataclass(frozen=True, slots=True)
class Wave:
    """Hosts that were changed at a time."""

    number: int
    hosts: tuple[str, ...]
    before: tuple[Health, ...] = ()
    after: tuple[Health, ...] = ()
    hurt: tuple[str, ...] = ()
    """What answered before and not after: the roll-out stopped and the wave was undone."""


RISKY = frozenset({Risk.REBOOT})
"""Risks that need the customer's written application."""
