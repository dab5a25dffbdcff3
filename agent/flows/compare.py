"""What changed between rounds: 新增, 已修复, 仍存在, 复现, and 未复核 for what was not seen this time."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from agent.model.asset import Layer
from agent.model.finding import Change, Finding, FindingKind, FindingState
from agent.model.report import ChangeRow, TrendPoint
from agent.model.severity import Severity
from agent.store import runs

if TYPE_CHECKING:
    from agent.app import App

HISTORY = 12
"""Earlier rounds that are looked at for recurrence and for the trend."""
FARTHEST = 200
"""Rounds looked back through for targets that the nearest ones, of a few targets each, did not see."""
_OF_UPDATES = ("base", "dpkg", "rpm", "apt-policy", "apt-show", "apt-sources", "dnf-list", "dnf-cves", "dnf-check",
               "updates", "packages")  # fmt: skip
_OF_LISTENERS = ("base", "ss")
_KERNEL = re.compile(r"UPDATE:(?:linux|kernel)(?:-\S+)?")
_LIFECYCLE = "endoflife.date"
"""In the source of an end of life that an imported table told, and in that table's name."""
_BY_NMAP = ("EXP-MISMATCH", "EXP-SSH-WEAK", "EXP-TLS-WEAK", "EXP-TLS-CERT")
"""Exposures that only the look from outside can tell."""


@dataclass(frozen=True)
class Round:
    """One finished round, as far as a comparison needs it."""

    id: str
    label: str
    findings: tuple[Finding, ...]
    seen: frozenset[tuple[str, str]]
    """(target, layer) that were really seen."""
    judged: frozenset[tuple[str, str, str]] = frozenset()
    """(target, control, location) that got a verdict, whatever it was."""
    scanned: frozenset[str] = frozenset()
    """Targets that nmap saw."""
    feeds: frozenset[str] = frozenset()
    """Feeds of advisories that it was judged with."""
    evidence: frozenset[int] = frozenset()
    """Ledger numbers of the answers that it was judged from."""

    @cached_property
    def unsure(self) -> frozenset[str]:
        """Keys of findings whose check errored."""
        return frozenset(item.key for item in self.findings if item.state is FindingState.UNKNOWN)

    @cached_property
    def waiting(self) -> frozenset[str]:
        """Targets that wait for a restart."""
        return frozenset(item.target for item in self.findings if item.check == "REBOOT-REQUIRED")

    @cached_property
    def blind(self) -> frozenset[tuple[str, str]]:
        """(target, section) without an answer: what would be judged from it says nothing this time."""
        return frozenset((item.target, item.location) for item in self.findings if item.check == "COV-SECTION")

    @cached_property
    def old_lists(self) -> frozenset[str]:
        """Targets whose package lists are too old, or gone: that nothing is pending says nothing there."""
        return frozenset(item.target for item in self.findings if item.check == "COV-LISTS")

    @cached_property
    def open_cves(self) -> dict[tuple[str, str, str], frozenset[str]]:
        """CVEs that are open, by target, location and package, under whatever check."""
        found: dict[tuple[str, str, str], frozenset[str]] = {}
        for item in self.open.values():
            if item.remediation:
                place = _place(item)
                found[place] = found.get(place, frozenset()) | frozenset(item.cves)
        return found

    def holds(self, finding: Finding) -> bool:
        """Whether the weakness is open here, by its key or as a CVE that has changed its check.

        What had no fix (`NOFIX:openssl`) and got one (`UPDATE:openssl`) is the same weakness.
        """
        if finding.key in self.open:
            return True
        return bool(finding.remediation and self.open_cves.get(_place(finding), frozenset()) & set(finding.cves))

    @cached_property
    def open(self) -> dict[str, Finding]:
        """Weaknesses that were there, by key."""
        return {
            item.key: item
            for item in self.findings
            if item.kind is not FindingKind.COVERAGE and item.state is not FindingState.UNKNOWN
        }

    def looked_at(self, finding: Finding) -> bool:
        """Whether this round really looked for that weakness, so that its absence means that it is gone."""
        if (finding.target, finding.layer.value) not in self.seen or finding.key in self.unsure:
            return False
        if finding.evidence and self.evidence.issuperset(finding.evidence):
            return False  # the same answers judged again: a judgement has changed, nobody looked at the target
        if finding.kind is FindingKind.CONTROL:
            return (finding.target, finding.check, finding.location) in self.judged
        needed: tuple[str, ...]
        if finding.kind is FindingKind.EXPOSURE:
            if finding.check in _BY_NMAP and finding.target not in self.scanned:
                return False
            needed = _OF_LISTENERS
        else:
            old_kernel = _KERNEL.fullmatch(finding.check) and finding.target in self.waiting  # installed, not running
            if old_kernel or not self._told_again(finding):
                return False  # nobody was there who could have told it again
            needed = ("base", "stale") if finding.check == "STALE-LIBRARIES" else _OF_UPDATES
        return not any((finding.target, section) in self.blind for section in needed)

    def _told_again(self, finding: Finding) -> bool:
        """Whether one of those who told of an update, or of an end of life, was there to tell it again."""
        if finding.check == "EOL":
            return _LIFECYCLE not in finding.detail or any(_LIFECYCLE in feed for feed in self.feeds)
        if finding.remediation is None:
            return True
        feeds = set(finding.remediation.feeds) - {"mirror"}
        if not feeds and finding.remediation.feeds:
            return finding.target not in self.old_lists
        return not feeds or bool(feeds & self.feeds)


def _place(finding: Finding) -> tuple[str, str, str]:
    return finding.target, finding.location, finding.remediation.package if finding.remediation else ""


def difference(now: Round, earlier: Sequence[Round]) -> tuple[ChangeRow, ...]:
    """Compare a round with the earlier ones, newest first.

    A finding counts as fixed only when this round looked at the very thing (`Round.looked_at`);
    else it is 未复核. Coverage findings are no weaknesses and are left out.
    """
    if not earlier:
        return ()
    rows = [ChangeRow(_since(finding, earlier), finding) for finding in now.open.values()]
    rows += [
        ChangeRow(Change.FIXED if now.looked_at(finding) else Change.UNSEEN, finding)
        for finding in last_known(earlier).values()
        if not now.holds(finding)
    ]
    order = list(Change)
    return tuple(sorted(rows, key=lambda row: (order.index(row.change), row.finding.target, row.finding.severity.rank)))


def _since(finding: Finding, earlier: Sequence[Round]) -> Change:
    baseline = True
    for round_ in earlier:
        if round_.holds(finding):
            return Change.REMAINS if baseline else Change.RECURS
        if round_.looked_at(finding):
            baseline = False
    return Change.NEW


def last_known(earlier: Sequence[Round]) -> dict[str, Finding]:
    """Each weakness that was there when it was last looked at."""
    known: dict[str, Finding] = {}
    gone: set[str] = set()
    for index, round_ in enumerate(earlier):
        for key, finding in round_.open.items():
            if key in known or key in gone:
                continue
            if any(newer.looked_at(finding) for newer in earlier[:index]):
                gone.add(key)
            else:
                known[key] = finding
    return known


def load(app: App, run_id: str) -> Round:
    """One finished round from the store."""
    run = runs.run_by_id(app.store, run_id)
    per_target = run.summary.get("per_target", {})
    unreached = {(item["target"], item["layer"]) for item in run.summary.get("unreached", ())}
    seen = {(name, layer) for name, row in per_target.items() for layer in row["seen"]} - unreached
    scanned = frozenset(name for name, layer in seen if layer == Layer.NETWORK.value)
    judged = frozenset((item.target, item.control, item.location) for item in runs.verdicts(app.store, run_id))
    if Layer.NETWORK.value in run.plan["layers"]:
        # What listens is known from the login too: exposure is judged where nmap has no way to a host.
        logged_in = {(name, Layer.NETWORK.value) for name, row in per_target.items() if Layer.HOST.value in row["seen"]}
        seen |= logged_in - unreached
    feeds = frozenset(row["feed"] for row in run.summary.get("feeds", ()))
    evidence = frozenset(number for row in per_target.values() for number in row.get("evidence", ()))
    findings = tuple(runs.findings(app.store, run_id))
    return Round(run.id, run.id, findings, frozenset(seen), judged, scanned, feeds, evidence)


def earlier_rounds(app: App, run_id: str) -> list[Round]:
    """Finished scans before this one, newest first; before a judgement of recorded answers: up to their own scan."""
    mine = runs.run_by_id(app.store, run_id)
    looked = runs.run_by_id(app.store, mine.observed)
    before = [
        run
        for run in runs.latest_runs(app.store, "scan")
        if run.state == "closed" and run.id != run_id and (run.id == looked.id or run.started_at < looked.started_at)
    ]
    rounds: list[Round] = []
    lacking = set(load(app, run_id).seen)
    for index, run in enumerate(before[:FARTHEST]):
        if index >= HISTORY and not lacking:
            break
        rounds.append(load(app, run.id))
        lacking -= rounds[-1].seen
    return rounds


def trend(rounds: Sequence[Round]) -> tuple[TrendPoint, ...]:
    """Counts by severity, oldest first; what is open alone."""
    points = []
    for round_ in reversed(rounds[:HISTORY]):
        counts = Counter(
            item.severity
            for item in round_.findings
            if item.kind is not FindingKind.COVERAGE and item.state is FindingState.OPEN
        )
        points.append(
            TrendPoint(
                round_.label.removeprefix("scan-")[:13],
                counts[Severity.CRITICAL],
                counts[Severity.HIGH],
                counts[Severity.MEDIUM],
                counts[Severity.LOW],
            )
        )
    return tuple(points)
