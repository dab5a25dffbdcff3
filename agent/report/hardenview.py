"""What the template of the 安全加固报告 reads besides the report itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from agent.model.hardening import ClosureRecord
from agent.model.hardenreport import HandleRow, HardenTarget, ItemRow, TxRow
from agent.model.severity import Severity
from agent.report.view import Count


@dataclass(frozen=True, slots=True)
class ClosureView:
    """A closure as a row."""

    number: int
    """Running number over the whole report."""
    record: ClosureRecord
    css: str
    method: str
    """How the value is read."""


@dataclass(frozen=True, slots=True)
class ItemView:
    """One thing that was to be mended."""

    number: int
    row: ItemRow
    cves: tuple[str, ...]
    more: int
    impact: str
    targets: str
    count: int
    fixed: int


@dataclass(frozen=True, slots=True)
class ChangeView:
    """One value that changed alike on several targets."""

    control: str
    title: str
    name: str
    before: str
    after: str
    source: str
    method: str
    result: str
    css: str
    targets: str
    count: int
    note: str


@dataclass(frozen=True, slots=True)
class TxView:
    """A transaction with its words."""

    row: TxRow
    group: str
    state: str
    css: str
    answer: str
    """What came back: ways of the fresh login, or why it ended otherwise."""
    handles: tuple[HandleRow, ...]
    undo: str
    """How it is undone."""
    armed: str


@dataclass(frozen=True, slots=True)
class LeftView:
    """What is left, of one check and one reason."""

    state: str
    css: str
    check: str
    title: str
    severity: Severity
    reason: str
    targets: str
    count: int
    due: date | None


@dataclass(frozen=True, slots=True)
class GradeRow:
    """How the findings of one severity ended."""

    severity: Severity
    counts: tuple[int, ...]
    """By `HardenView.states`."""
    total: int
    fixed: str
    """Share that is mended."""


@dataclass(frozen=True, slots=True)
class PolicyRow:
    """One control of the password policy over all targets."""

    control: str
    title: str
    expected: str
    passed: int
    judged: int
    share: str
    failing: tuple[str, ...]
    """`target：actual` of those that do not conform or gave no verdict."""


@dataclass(frozen=True, slots=True)
class PolicyTarget:
    """The password policy on one target."""

    target: str
    passed: int
    failed: int
    others: int
    skipped: int
    word: str
    css: str


@dataclass(frozen=True, slots=True)
class HealthRow:
    """A host before and after its wave."""

    wave: int
    host: str
    before: str
    after: str
    word: str
    css: str


@dataclass(frozen=True, slots=True)
class CreditRow:
    """One target held against the contract."""

    target: str
    kind: str
    parts: tuple[Count, ...]
    """By PARTS: `有` or `缺`."""
    word: str
    css: str
    gaps: str
    oneway: str


@dataclass(frozen=True, slots=True)
class QuotaRow:
    """What the contract buys of one kind, and what is done of it."""

    label: str
    wanted: str
    done: int
    credited: int
    surplus: int
    lacking: int
    oneway: int
    """Upgrades that cannot be undone."""


@dataclass(frozen=True, slots=True)
class HostView:
    """A target with everything that is said of it."""

    row: HardenTarget
    number: int
    kind: str
    importance: str
    wave: str
    counts: tuple[Count, ...]
    """Its closures by state, those that occur."""
    fixed: int
    total: int
    transactions: str
    credit: str
    css: str
    closures: tuple[ClosureView, ...]


@dataclass(frozen=True, slots=True)
class HardenView:
    """Everything derived from a report."""

    total: int
    fixed: int
    share: str
    states: tuple[Count, ...]
    grades: tuple[GradeRow, ...]
    hosts: int
    databases: int
    targets: tuple[HostView, ...]
    items: tuple[ItemView, ...]
    changes: tuple[ChangeView, ...]
    changed: int
    """Values in force."""
    operations: tuple[TxView, ...]
    backups: tuple[TxView, ...]
    failures: tuple[TxView, ...]
    stuck: tuple[LeftView, ...]
    """Closures that a failure left: 回退, 未修复, 无法验证."""
    reboots: tuple[LeftView, ...]
    residual: tuple[LeftView, ...]
    policy: tuple[PolicyRow, ...]
    policy_targets: tuple[PolicyTarget, ...]
    health: tuple[HealthRow, ...]
    credit: tuple[CreditRow, ...]
    quota: tuple[QuotaRow, ...]
    signed: bool
    single: str
