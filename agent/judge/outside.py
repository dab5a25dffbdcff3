"""Findings on software that no package manager knows: one for each instance, with the upgrade that closes it. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agent.judge import coverage, remediation
from agent.judge.upkeep import CLAUSE, listed
from agent.model.advisory import Confidence, Scheme, Status
from agent.model.finding import Finding, FindingKind, FindingState, Urgency
from agent.model.severity import Severity
from agent.model.text import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agent.model.advisory import CveFacts, Match
    from agent.model.asset import Layer
    from agent.model.facts import Software

_SURE = {
    Confidence.VENDOR.value: "厂商公告",
    Confidence.CPE_EXACT.value: "产品与版本区间一致（CPE 精确）",
    Confidence.CPE_ROUGH.value: "仅产品一致，版本区间不足以确认（CPE 粗略），须人工核实",
}


def findings(
    target: str,
    layer: Layer,
    software: Software,
    matches: Sequence[Match],
    cves: Mapping[str, CveFacts],
    evidence: tuple[int, ...],
) -> list[Finding]:
    """What is open in one product: what an upgrade closes, what nothing closes yet, and what is only likely.

    Args:
        target: inventory name.
        layer: `middleware` or `database`.
        software: the product, outside the package manager.
        matches: of judge.software.
        cves: facts of their CVEs.
        evidence: ledger numbers.
    """
    groups: dict[str, list[Match]] = {}
    for one in matches:
        rough = one.confidence is Confidence.CPE_ROUGH
        groups.setdefault("ROUGH" if rough else "UPDATE" if one.status is Status.FIXED else "NOFIX", []).append(one)
    return [_one(target, layer, software, check, every, cves, evidence) for check, every in sorted(groups.items())]


def _one(
    target: str,
    layer: Layer,
    software: Software,
    check: str,
    matches: Sequence[Match],
    cves: Mapping[str, CveFacts],
    evidence: tuple[int, ...],
) -> Finding:
    plan = remediation.make(software.kind, Scheme.GENERIC, matches, cves, exposed=software.listening)
    severity, why = remediation.grade(plan.score, [one.severity for one in matches])
    if check == "ROUGH":  # a question to a person, which must not stand before answers
        severity, why = Severity.LOW, "仅为待核实的可能，一律计为低危"
        plan = replace(plan, urgency=Urgency.PLANNED, risk=0.0)
    name = f"{software.kind} {one_line(software.version, 60)}".rstrip()
    titles = {
        "UPDATE": f"{name} 有已修复的漏洞，未升级",
        "NOFIX": f"{name} 受漏洞影响，尚无已知的修复版本",
        "ROUGH": f"{name} 可能受漏洞影响，须核实",
    }
    remedies = {
        "UPDATE": f"由其来源（厂商发行包）升级到 {one_line(plan.fixed, 60)} 或同分支更新版本，随后重启该服务",
        "NOFIX": "评估是否可停用或隔离；按厂商建议缓解，或由甲方批准例外（exceptions.yaml）并设到期日",
        "ROUGH": "核对厂商公告与补丁级别；已修复的以例外登记（VEX：不受影响及理由）",
    }
    detail = [why, f"匹配依据：{_SURE[plan.confidence]}", f"来源：{listed(plan.feeds)}", "不属任何软件包"]
    if plan.kev:
        detail.append(f"已知被利用（KEV）：{listed(plan.kev)}")
    if plan.epss is not None:
        detail.append(f"EPSS 最高 {plan.epss:.1%}")
    if plan.exposed:
        detail.append("其服务对外监听")
    return Finding(
        target=target,
        layer=layer,
        kind=FindingKind.UPDATE,
        check=f"{check}:{software.kind}",
        location=one_line(software.location),
        title=titles[check],
        severity=severity,
        state=FindingState.MANUAL if check == "ROUGH" else FindingState.OPEN,
        actual=f"{name}（{one_line(software.location, 200)}）",
        expected=f"{one_line(plan.fixed, 60)} 或更新" if plan.fixed else "没有未处置的已知漏洞",
        remedy=remedies[check],
        clause=CLAUSE,
        cves=remediation.ordered(cve for one in matches for cve in one.cves),
        evidence=evidence,
        detail="；".join(detail),
        remediation=plan,
    )


NO_FEED = "已导入的漏洞库均未收录该产品，不得视为无漏洞"
FEW = 5
"""A product with fewer advisories is in a feed by chance (one of log4j's says nothing of the others)."""


def gap(advisories: int) -> str:
    """Why feeds with so many advisories of a product do not cover it; empty when they do."""
    if advisories >= FEW:
        return ""
    return f"已导入的漏洞库只收录该产品 {advisories} 条公告，未列出的不得视为没有" if advisories else NO_FEED


def unjudged(target: str, layer: Layer, software: Software, why: str, evidence: tuple[int, ...]) -> Finding:
    """A product that could not be matched, or not with enough, with the reason."""
    return coverage.finding(
        target=target,
        layer=layer,
        check=f"COV-SOFTWARE:{software.kind}",
        location=software.location,
        title=f"未能充分匹配漏洞：{software.kind} {one_line(software.version, 60)}".rstrip(),
        severity=Severity.LOW,
        actual=f"{why}（{one_line(software.location, 200)}）",
        remedy="人工核对版本与厂商公告；可用 agent feeds import 导入该产品的漏洞库",
        evidence=evidence,
    )
