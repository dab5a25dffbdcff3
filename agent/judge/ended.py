"""Findings on what its maker mends no longer, or soon not: an end of life is never "clean" (rule 7). Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.judge import coverage
from agent.judge.lifecycle import Phase
from agent.judge.upkeep import CLAUSE
from agent.model.finding import Finding, FindingKind, FindingState
from agent.model.severity import Severity
from agent.model.text import one_line

if TYPE_CHECKING:
    from agent.judge.lifecycle import Support
    from agent.model.asset import Layer

_GRADES = {Phase.ENDED: Severity.HIGH, Phase.EXTENDED: Severity.MEDIUM, Phase.ENDING: Severity.LOW}
_REMEDIES = {
    Phase.ENDED: "制定迁移或升级计划；迁移前隔离、缩小暴露面，或由甲方批准例外并设到期日",
    Phase.EXTENDED: "核实是否已购买或启用扩展支持；没有的，按已停止维护处理并计划升级",
    Phase.ENDING: "在停止维护前完成升级，纳入下一维护窗口的计划",
}


def judge(
    target: str, layer: Layer, name: str, location: str, support: Support, evidence: tuple[int, ...]
) -> list[Finding]:
    """The finding on one system or product; none while it is supported.

    Args:
        target: inventory name.
        layer: on which it is shown.
        name: what it is, for people.
        location: empty for the system; the instance of a product.
        support: of judge.lifecycle.
        evidence: ledger numbers.
    """
    if support.phase is Phase.SUPPORTED:
        return []
    if support.phase is Phase.UNKNOWN:
        if location:
            return []  # a library that no table lists is no gap of this round
        return [
            coverage.finding(
                target=target,
                layer=layer,
                check="COV-EOL",
                location="",
                title=f"维护期未知：{one_line(name, 80)}",
                severity=Severity.LOW,
                actual=support.reason or "生命周期表没有该系统",
                remedy="向厂商核实停止维护日期；可导入 endoflife.date 或在漏洞库中补录",
                evidence=evidence,
            )
        ]
    ends = f"公开维护截止 {support.eol}" if support.eol else "公开维护已截止"
    more = f"，扩展支持截止 {support.extended}" if support.extended else ""
    checked = f"（核对于 {support.checked}）" if support.checked else ""
    return [
        Finding(
            target=target,
            layer=layer,
            kind=FindingKind.UPDATE,
            check="EOL",
            location=one_line(location),
            title=f"{one_line(name, 80)} {support.phase.zh}",
            severity=_GRADES[support.phase],
            state=FindingState.OPEN,
            actual=f"{ends}{more}" + (f"；{support.reason}" if support.reason else ""),
            expected="运行厂商仍在维护的版本",
            remedy=_REMEDIES[support.phase],
            clause=CLAUSE,
            evidence=evidence,
            detail=f"依据：{one_line(support.source) or '未注明'}{checked}",
        )
    ]
