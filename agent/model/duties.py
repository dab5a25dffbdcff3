"""What the contract and the customer ask for, by when, and what follows when it is late."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from agent.model.severity import Severity

DAYS: Mapping[Severity, int] = {Severity.CRITICAL: 3, Severity.HIGH: 7, Severity.MEDIUM: 30, Severity.LOW: 90}
"""Days in which a finding is mended where contract.yaml names none; 提示 has no day."""


@dataclass(frozen=True, slots=True)
class Escalation:
    """Who is told how long before a day passes."""

    days: int
    """Calendar days before the due day; 0: on the day itself."""
    role: str
    """A role of people.yaml."""


@dataclass(frozen=True, slots=True)
class Penalty:
    """What the contract takes for a breach."""

    on: str
    """`rectification`, `delivery`, `outage`, `staff`, `subcontracting`, `confidentiality` or `acceptance`."""
    percent: Decimal
    """Of the contract's sum."""
    clause: str
    """Where the contract says so, in its words."""


@dataclass(frozen=True, slots=True)
class Quota:
    """How much hardening the contract buys; None: it says nothing."""

    hosts: int | None = None
    databases: int | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """The contract's rules on mending; all of them come from contract.yaml."""

    rectification: Mapping[Severity, int] = field(default_factory=lambda: dict(DAYS))
    escalation: tuple[Escalation, ...] = ()
    """The earliest first."""
    penalties: tuple[Penalty, ...] = ()
    amount: Decimal | None = None
    """Contract sum, CNY."""
    hardening: Quota = field(default_factory=Quota)

    @property
    def soon(self) -> int:
        """Days before a due day from which on somebody is to be told."""
        return max((step.days for step in self.escalation), default=0)

    def penalty(self, on: str) -> str:
        """What the contract takes for that breach, in Chinese; empty when contract.yaml names nothing."""
        for each in self.penalties:
            if each.on == on:
                share = f"合同总价的 {each.percent.normalize():f}%"
                whole = f"（{self.amount * each.percent / 100:,.2f} 元）" if self.amount is not None else ""
                return f"{share}{whole}，依据：{each.clause}"
        return ""


@dataclass(frozen=True, slots=True)
class Order:
    """A rectification order (整改单) of the customer, as orders.yaml says."""

    number: str
    title: str
    received: date
    due: date
    """Last day on which it is in time (Asia/Shanghai)."""
    targets: tuple[str, ...]
    """Inventory names; `*`: all."""
    checks: tuple[str, ...] = ()
    """Control or check ids, with `*` patterns."""
    cves: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    """Keys of findings, or their beginnings."""
    notice: str = ""
    """File of the customer's notice, within the workspace."""
    settled: date | None = None
    """Day on which the customer took it as done."""
    settled_by: str = ""
    """Who of the customer said so."""


PARTS = ("ticket", "backup", "action", "check", "undo")
"""What has to be there for a hardening to count, in the order of the work."""
PARTS_ZH = {"ticket": "工单", "backup": "备份", "action": "变更", "check": "复查", "undo": "可回退"}


@dataclass(frozen=True, slots=True)
class Gap:
    """One thing that is missing."""

    part: str
    """One of PARTS."""
    text: str
    """What exactly, in Chinese."""


@dataclass(frozen=True, slots=True)
class Earned:
    """One target: whether its hardening counts, and why not."""

    target: str
    kind: str
    """`host` or `database`."""
    gaps: tuple[Gap, ...]
    transactions: tuple[str, ...]
    """Confirmed and still in force."""
    handles: int = 0
    """Pieces of state that were captured."""
    oneway: tuple[str, ...] = ()
    """What was done that cannot be undone (package upgrades), named; counted apart."""

    @property
    def counts(self) -> bool:
        """Whether it is credited."""
        return not self.gaps

    def has(self, part: str) -> bool:
        """Whether that part is there."""
        return all(gap.part != part for gap in self.gaps)


@dataclass(frozen=True, slots=True)
class Credit:
    """A hardening run held against the contract."""

    rows: tuple[Earned, ...]
    quota: Quota

    def done(self, kind: str) -> int:
        """Targets of that kind which count."""
        return sum(row.counts for row in self.rows if row.kind == kind)

    def wanted(self, kind: str) -> int | None:
        """How many the contract buys; None: contract.yaml says nothing."""
        return self.quota.hosts if kind == "host" else self.quota.databases

    def credited(self, kind: str) -> int:
        """What is set against the contract: never more than it buys."""
        wanted = self.wanted(kind)
        return self.done(kind) if wanted is None else min(self.done(kind), wanted)

    def surplus(self, kind: str) -> int:
        """What was done beyond the contract (增补)."""
        return self.done(kind) - self.credited(kind)

    def lacking(self, kind: str) -> int:
        """What the contract still waits for."""
        return (self.wanted(kind) or 0) - self.credited(kind)
