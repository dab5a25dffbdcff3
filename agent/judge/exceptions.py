"""Which accepted risk covers what, and what that makes of a finding; pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from agent.model.finding import Finding, FindingKind, FindingState, RiskException

EVERY = "*"
"""Name of every target at once."""
_SHOWN = 8
"""Most ids that one note lists."""


def in_force(exception: RiskException, today: str) -> bool:
    """Whether it covers on that ISO day of Asia/Shanghai; the day of its expiry is the last."""
    return exception.expires >= today


MIRROR = "mirror"
"""The host's own mirror among a remediation's feeds."""


def advisories(finding: Finding) -> tuple[str, ...]:
    """The advisories that a finding rests on."""
    return finding.remediation.advisories if finding.remediation else ()


def covers(exception: RiskException, finding: Finding) -> bool:
    """Whether it speaks of the finding, or of one of its advisories or CVEs; its expiry is not looked at.

    A check is accepted at exactly one location; an advisory or CVE wherever it is found unless a location is given.
    """
    if exception.target not in {EVERY, finding.target}:
        return False
    if exception.check:
        return (exception.check, exception.location) == (finding.check, finding.location)
    if exception.location not in {"", finding.location}:
        return False
    if exception.advisory:
        return exception.advisory == finding.check or exception.advisory in advisories(finding)
    return exception.cve in finding.cves


@dataclass(frozen=True, slots=True)
class Standing:
    """What exceptions make of a finding."""

    accepted: bool = False
    """Every part of it is covered."""
    by: Mapping[str, RiskException] = field(default_factory=dict)
    """Check, advisory or CVE id to the exception that covers it."""

    def of(self, cve: str) -> RiskException | None:
        """The exception that covers this CVE, by name or with the whole finding."""
        if cve in self.by or not self.accepted:
            return self.by.get(cve)
        return next(iter(self.by.values()))


def standing(finding: Finding, exceptions: Iterable[RiskException]) -> Standing:
    """Weigh the exceptions that cover a finding; the caller leaves out the expired.

    A finding of several CVEs is accepted when each of them is, or its check, or each of its advisories: one
    CVE accepted out of three leaves two to be mended. What could not be judged is never accepted: a risk was
    taken, not that nobody knows whether it is there. That something was not seen can be taken.
    """
    if finding.state is FindingState.UNKNOWN and finding.kind is not FindingKind.COVERAGE:
        return Standing()
    by: dict[str, RiskException] = {}
    for item in exceptions:
        if covers(item, finding) and (item.subject not in by or by[item.subject].expires < item.expires):
            by[item.subject] = item
    if finding.check in by:
        return Standing(accepted=True, by={finding.check: by[finding.check]})
    plan = finding.remediation
    if plan and not plan.complete:
        return Standing(by=by)  # what else the upgrade mends nobody knows, so that nobody can have accepted it
    parts = [finding.cves]
    if not (plan and MIRROR in plan.feeds):
        parts.append(advisories(finding))  # what the mirror offers besides is in none of them
    return Standing(accepted=any(part and all(each in by for each in part) for part in parts), by=by)


def by_subject(exceptions: Iterable[RiskException]) -> dict[str, list[RiskException]]:
    """Index exceptions for `candidates`."""
    index = defaultdict(list)
    for item in exceptions:
        index[item.subject].append(item)
    return index


def candidates(index: Mapping[str, Sequence[RiskException]], finding: Finding) -> list[RiskException]:
    """Exceptions that may cover a finding, so that many of either cost no more than few."""
    words = (finding.check, *advisories(finding), *finding.cves)
    return [item for word in dict.fromkeys(words) for item in index.get(word, ())]


def mark(findings: Iterable[Finding], exceptions: Iterable[RiskException], today: str) -> list[Finding]:
    """Mark what is accepted on that day; the detail says which exception covers all or a part, or has expired."""
    index = by_subject(exceptions)
    marked = []
    for finding in findings:
        near = candidates(index, finding)
        marked.append(_marked(finding, near, today) if near else finding)
    return marked


def _marked(finding: Finding, near: Sequence[RiskException], today: str) -> Finding:
    found = standing(finding, (item for item in near if in_force(item, today)))
    if found.accepted:
        return replace(
            finding, state=FindingState.ACCEPTED, detail=_joined(finding.detail, _words("例外", found.by.values()))
        )
    lines = []
    if found.by:
        whole = finding.cves if any(cve in found.by for cve in finding.cves) else advisories(finding)
        left = [each for each in whole if each not in found.by]
        rest = f"；其余未接受：{_listed(left)}" if left else ""
        lines = _words(f"例外仅覆盖 {_listed(found.by)}", found.by.values())
        lines[-1] += rest
    expired = [item for item in near if covers(item, finding) and not in_force(item, today)]
    gone = {item.subject: item for item in sorted(expired, key=lambda item: item.expires)}
    lines += [
        f"例外已过期：{subject}，{item.reason}（批准人 {item.approver}，有效至 {item.expires}）"
        for subject, item in gone.items()
        if subject not in found.by
    ]
    return replace(finding, detail=_joined(finding.detail, lines)) if lines else finding


def _words(label: str, held: Iterable[RiskException]) -> list[str]:
    reasons = dict.fromkeys((item.reason, item.approver, item.expires) for item in held)
    return [f"{label}：{why}（批准人 {who}，有效至 {until}）" for why, who, until in reasons]


def _listed(ids: Iterable[str]) -> str:
    every = list(ids)
    text = "、".join(every[:_SHOWN])
    return f"{text} 等 {len(every)} 个" if len(every) > _SHOWN else text


def _joined(detail: str, lines: Iterable[str]) -> str:
    return "\n".join(filter(None, (detail, *lines)))
