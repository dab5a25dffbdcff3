"""The order of work: one upgrade over all targets that need it, the most dangerous first. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from agent.model.advisory import Confidence, Status
from agent.model.finding import Finding, FindingState, Urgency
from agent.model.severity import Severity
from agent.report.view import WorkView
from agent.report.words import MANY, names

WORK = 40
"""Rows of the table; the rest stands in the list of remedies."""
_RESTART = {"reboot": "重启主机", "service": "重启服务", "": "—"}
_SURE = {
    Confidence.VENDOR.value: "厂商公告",
    Confidence.MIRROR.value: "软件源",
    Confidence.CHANGELOG.value: "更新日志",
    Confidence.CPE_EXACT.value: "CPE 精确",
    Confidence.CPE_ROUGH.value: "CPE 粗略",
    "": "—",
}
_WHEN = {urgency: rank for rank, urgency in enumerate(Urgency)}
_RANK = {severity: rank for rank, severity in enumerate(Severity)}


def order(findings: Iterable[Finding]) -> tuple[WorkView, ...]:
    """One row for each upgrade (package and fixed version), by urgency, then risk."""
    groups: dict[tuple[str, str, str], list[Finding]] = defaultdict(list)
    for item in findings:
        plan = item.remediation
        if plan and item.state in {FindingState.OPEN, FindingState.MANUAL}:
            groups[plan.package, plan.fixed, plan.status].append(item)
    return tuple(_row(found) for found in sorted(groups.values(), key=_first))


def _first(found: list[Finding]) -> tuple[int, float, int, str]:
    plans = [item.remediation for item in found if item.remediation]
    when = min(_WHEN[plan.urgency] for plan in plans)
    return when, -max(plan.risk for plan in plans), -len(found), plans[0].package


def _row(found: list[Finding]) -> WorkView:
    plans = [item.remediation for item in found if item.remediation]
    top = min(plans, key=lambda plan: (_WHEN[plan.urgency], -plan.risk))
    kev = {cve for plan in plans for cve in plan.kev}
    every = dict.fromkeys(cve for item in found for cve in item.cves)
    cves = sorted(every, key=lambda cve: cve not in kev)
    scores = [plan.score for plan in plans if plan.score is not None]
    chances = [plan.epss for plan in plans if plan.epss is not None]
    fixed = top.fixed or top.fix or Status(top.status).zh
    return WorkView(
        urgency=top.urgency.zh,
        severity=min((item.severity for item in found), key=_RANK.__getitem__),
        package=top.package,
        fixed=fixed,
        cves=tuple(cves[:MANY]),
        more=max(0, len(cves) - MANY),
        cnnvd=tuple(sorted({name for plan in plans for name in plan.cnnvd}))[:MANY],
        kev=len(kev),
        score=f"{max(scores):.1f}" if scores else "—",
        epss=f"{max(chances):.1%}" if chances else "—",
        exposed=any(plan.exposed for plan in plans),
        restart=_RESTART["reboot" if any(plan.restart == "reboot" for plan in plans) else top.restart],
        confidence=_SURE[top.confidence],
        targets=names(item.target for item in found),
        count=len(found),
    )
