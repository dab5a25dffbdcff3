"""What the template reads besides the report itself: counts, groups and orders, computed once."""

from __future__ import annotations

from dataclasses import dataclass

from agent.model.control import Verdict
from agent.model.finding import Finding
from agent.model.report import TargetRow
from agent.model.severity import Severity


@dataclass(frozen=True, slots=True)
class Count:
    """How many of something, and its share of the whole."""

    label: str
    css: str
    count: int
    percent: str


@dataclass(frozen=True, slots=True)
class FindingView:
    """A finding as a row."""

    number: int
    """Running number over the whole report."""
    key: str
    """The finding's own key, computed once."""
    finding: Finding
    state: str
    change: str
    """Word of the comparison with the last round; empty when there was none."""
    cves: tuple[str, ...]
    """At most `MANY` of them."""
    more: int
    """How many CVEs are left to the appendix."""


@dataclass(frozen=True, slots=True)
class LayerView:
    """One layer of a target, seen or not."""

    label: str
    seen: bool
    why: str
    """Why it was not seen; empty when it was."""
    findings: tuple[FindingView, ...]
    weak: int
    """Those of them that are to be mended."""


@dataclass(frozen=True, slots=True)
class TargetView:
    """A target with everything that is said of it."""

    row: TargetRow
    number: int
    kind: str
    importance: str
    grade: str
    """Word of the worst open finding; 未扫描 when no layer was seen; when nothing is open: 未发现, or 未扫全 when a
    declared layer was not seen."""
    css: str
    counts: tuple[int, ...]
    """Findings to be mended by severity, worst first, 提示 last."""
    total: int
    """Sum of `counts`."""
    others: str
    """Its findings in other states, counted and joined; empty when there are none."""
    layers: tuple[LayerView, ...]
    missing: str
    """Declared layers that were not seen, joined; empty when all were."""
    errors: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True)
class CategoryView:
    """Findings to be mended, by the control point of GB/T 22239-2019, or by their kind."""

    label: str
    counts: tuple[int, ...]
    total: int
    targets: int
    percent: str


@dataclass(frozen=True, slots=True)
class SpreadView:
    """One check over all targets, where it is to be mended."""

    check: str
    title: str
    severity: Severity
    targets: int
    percent: str
    """Share of the run's targets."""
    occurrences: int


@dataclass(frozen=True, slots=True)
class MissingView:
    """A layer of a target that was not seen."""

    target: str
    address: str
    layer: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class ChangeGroup:
    """Findings of one check that changed in the same way."""

    change: str
    check: str
    title: str
    severity: Severity
    targets: str
    count: int


@dataclass(frozen=True, slots=True)
class Remedy:
    """Findings that one piece of work mends."""

    batch: str
    check: str
    title: str
    remedy: str
    severity: Severity
    targets: str
    count: int


@dataclass(frozen=True, slots=True)
class WorkView:
    """One upgrade over all targets that need it, in the order of work."""

    urgency: str
    severity: Severity
    package: str
    fixed: str
    """Version, KB, or what stands in place of a fix."""
    cves: tuple[str, ...]
    """The most dangerous first, at most `MANY`."""
    more: int
    cnnvd: tuple[str, ...]
    kev: int
    """How many of its CVEs are known to be exploited."""
    score: str
    epss: str
    exposed: bool
    restart: str
    confidence: str
    targets: str
    count: int


@dataclass(frozen=True, slots=True)
class CveList:
    """All CVE ids of findings that have too many for their row."""

    check: str
    title: str
    numbers: str
    """Rows that refer to it."""
    cves: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class View:
    """Everything derived from a report."""

    total: int
    weak: int
    """Findings to be mended; grades and charts count these alone."""
    severities: tuple[Count, ...]
    states: tuple[Count, ...]
    grade: str
    css: str
    hosts: int
    databases: int
    complete: int
    """Targets of which every declared layer was seen."""
    layers: tuple[Count, ...]
    """Target-layers seen, of those declared, by layer."""
    checks: tuple[Count, ...]
    """Verdicts by outcome."""
    targets: tuple[TargetView, ...]
    ranking: tuple[TargetView, ...]
    """Worst first."""
    categories: tuple[CategoryView, ...]
    spread: tuple[SpreadView, ...]
    accounts: tuple[FindingView, ...]
    weak_accounts: int
    """Those of them that are to be mended."""
    missing: tuple[MissingView, ...]
    errors: tuple[Verdict, ...]
    first_round: bool
    changes: tuple[Count, ...]
    change_groups: tuple[ChangeGroup, ...]
    remedies: tuple[Remedy, ...]
    work: tuple[WorkView, ...]
    """Vulnerabilities in the order in which to deal with them, the first `WORK`."""
    work_more: int
    cve_lists: tuple[CveList, ...]
    single: str
    """Name of the target when the report is of one alone; else empty."""
