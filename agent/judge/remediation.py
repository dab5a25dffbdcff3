"""From matches to remediations: one upgrade of one source package, and everything that it closes. Pure."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

from agent.judge import priority
from agent.judge.speakers import cve_order
from agent.model.advisory import Confidence, Scheme
from agent.model.finding import Remediation
from agent.model.severity import Severity
from agent.versions import compare

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from agent.model.advisory import CveFacts, Match

GRADES = {
    "critical": Severity.CRITICAL,
    "超危": Severity.CRITICAL,
    "important": Severity.HIGH,
    "major": Severity.HIGH,
    "high": Severity.HIGH,
    "高危": Severity.HIGH,
    "moderate": Severity.MEDIUM,
    "medium": Severity.MEDIUM,
    "中危": Severity.MEDIUM,
    "low": Severity.LOW,
    "低危": Severity.LOW,
    "negligible": Severity.LOW,
    "minor": Severity.LOW,
    "none": Severity.LOW,
    "unimportant": Severity.LOW,
}
"""Vendors' own words for a grade."""
_REBOOT = frozenset({"glibc", "systemd", "dbus", "dbus-broker", "linux-firmware", "microcode_ctl", "intel-microcode"})
"""Sources whose code every process, or the machine itself, holds until it is started again."""


def ordered(cves: Iterable[str]) -> tuple[str, ...]:
    """CVE ids, each once, by year and number."""
    return tuple(sorted(set(cves), key=cve_order))


def scores(cves: Iterable[str], matches: Iterable[Match], facts: Mapping[str, CveFacts]) -> float | None:
    """The highest CVSS base score among the CVEs; an advisory's own where no CVE of it has one."""
    found = [facts[cve].score for cve in cves if cve in facts and facts[cve].score is not None]
    found = found or [one.score for one in matches if one.score is not None]
    return max((one for one in found if one is not None), default=None)


def grade(score: float | None, words: Iterable[str]) -> tuple[Severity, str]:
    """The grade and where it is from: CVSS, else the vendor's word, else high."""
    if score is not None:
        return Severity.from_cvss(score), f"严重程度按 CVSS 基础评分 {score:.1f} 映射"
    known = [GRADES[word.lower()] for word in words if word.lower() in GRADES]
    if known:
        worst = min(known, key=lambda one: one.rank)
        return worst, f"严重程度取自厂商公告（{worst.zh}）"
    return Severity.HIGH, "厂商公告未给出该更新的严重程度，按安全更新一律计为高危"


def newest(scheme: Scheme, versions: Iterable[str]) -> str:
    """The newest of versions; empty when there is none."""
    return reduce(lambda a, b: a if compare(scheme, a, b) >= 0 else b, (one for one in versions if one), "")


def make(
    package: str,
    scheme: Scheme,
    matches: Sequence[Match],
    facts: Mapping[str, CveFacts],
    *,
    cves: Sequence[str] = (),
    candidate: str = "",
    exposed: bool = False,
    kernel: bool = False,
) -> Remediation:
    """The remediation of one package.

    Args:
        package: source package, product or Windows product.
        scheme: how its versions are ordered.
        matches: of this package, all with a fix or all without.
        facts: of the CVEs.
        cves: further CVEs that the host's own mirror names.
        candidate: version that the host's own mirror offers; empty: none.
        exposed: a process of it can be reached.
        kernel: it is the running kernel.
    """
    every = ordered([*cves, *(cve for one in matches for cve in one.cves)])
    known = [facts[cve] for cve in every if cve in facts]
    kev = tuple(one.cve for one in known if one.kev)
    epss = max((one.epss for one in known if one.epss is not None), default=None)
    score = scores(every, matches, facts)
    severity, _ = grade(score, [one.severity for one in matches])
    sure = {one.confidence for one in matches} | ({Confidence.MIRROR} if candidate else set())
    fixed = newest(scheme, [*(one.fixed for one in matches), candidate])
    aliases = {name for one in matches for name in one.aliases if name.startswith("CNNVD-")}
    reboot = kernel or package in _REBOOT or any(one.reboot for one in matches)
    return Remediation(
        package=package,
        installed="、".join(sorted({one.installed for one in matches})),
        fixed=fixed,
        status=matches[0].status.value if matches else "fixed",
        confidence=min(sure, key=lambda one: one.rank).value if sure else "",
        advisories=tuple(sorted({one.advisory for one in matches})),
        feeds=tuple(sorted({one.feed for one in matches} | ({"mirror"} if candidate else set()))),
        packages=tuple(sorted({f"{one.package} {one.installed}" for one in matches})),
        cnnvd=tuple(sorted({one.cnnvd for one in known if one.cnnvd} | aliases)),
        kev=kev,
        epss=epss,
        score=score,
        exposed=exposed,
        restart="" if not fixed and not any(one.fix for one in matches) else ("reboot" if reboot else "service"),
        fix="、".join(sorted({one.fix for one in matches if one.fix})),
        urgency=priority.urgency(severity, epss, kev=bool(kev), exposed=exposed),
        risk=priority.risk(score, epss, kev=bool(kev), exposed=exposed),
    )
