"""What a host has yet to do besides security updates: other updates, restarts, and lists grown old. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.judge import coverage
from agent.model.asset import Layer
from agent.model.finding import Finding, FindingKind, FindingState
from agent.model.severity import Severity
from agent.model.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from agent.model.facts import HostFacts, PendingUpdate

CLAUSE = "8.1.4.4-e"
"""GB/T 22239-2019: known vulnerabilities are found and mended in time."""
STALE_DAYS = 7
"""Package lists older than this say too little about what is pending."""
_SHOWN = 12
"""Packages named in a row; the rest is counted."""


def listed(words: Iterable[str], cap: int = _SHOWN) -> str:
    """Words in a row, the first dozen named and the rest counted."""
    every = [one_line(word, 80) for word in words]
    more = f" 等 {len(every)} 项" if len(every) > cap else ""
    return "、".join(every[:cap]) + more


def others(facts: HostFacts, updates: Sequence[PendingUpdate], evidence: tuple[int, ...]) -> Finding:
    """Updates that mend no vulnerability, or do not act on the running kernel: one piece of information."""
    return Finding(
        target=facts.target,
        layer=Layer.HOST,
        kind=FindingKind.UPDATE,
        check="UPDATES-OTHER",
        location="",
        title="有未安装的一般更新（非安全更新，或不作用于运行中的内核）",
        severity=Severity.INFO,
        state=FindingState.OPEN,
        actual=f"{len(updates)} 个软件包：{listed(f'{one.package} {one.candidate}' for one in updates)}",
        expected="在维护窗口内随例行升级安装",
        remedy="纳入下一次例行升级",
        clause=CLAUSE,
        evidence=evidence,
    )


def restart(facts: HostFacts, evidence: tuple[int, ...]) -> list[Finding]:
    """What is installed and does not run yet."""
    found = []
    if facts.reboot_required:
        newest = facts.kernels[-1] if facts.kernels else ""
        found.append(
            Finding(
                target=facts.target,
                layer=Layer.HOST,
                kind=FindingKind.UPDATE,
                check="REBOOT-REQUIRED",
                location="",
                title="已安装的更新需重启主机后生效",
                severity=Severity.MEDIUM,
                state=FindingState.OPEN,
                actual=f"运行内核 {one_line(facts.kernel, 80)}"
                + (f"，已安装 {one_line(newest, 80)}" if newest else ""),
                expected="运行已安装的最新内核与系统组件",
                remedy="取得甲方书面申请后，在维护窗口内重启主机",
                clause=CLAUSE,
                evidence=evidence,
            )
        )
    if facts.stale_libraries:
        found.append(
            Finding(
                target=facts.target,
                layer=Layer.HOST,
                kind=FindingKind.UPDATE,
                check="STALE-LIBRARIES",
                location="",
                title="进程仍在使用已被更新替换的程序或库",
                severity=Severity.MEDIUM,
                state=FindingState.OPEN,
                actual=listed(facts.stale_libraries),
                expected="没有进程使用已被替换的文件",
                remedy="在维护窗口内重启上述服务；无法单独重启的，重启主机（须甲方书面申请）",
                clause=CLAUSE,
                evidence=evidence,
            )
        )
    return found


def lists(facts: HostFacts, evidence: tuple[int, ...], now: datetime) -> list[Finding]:
    """A gap, where the host's package lists are too old to tell what is pending."""
    age = facts.lists_age_days
    if age is not None and age <= STALE_DAYS:
        return []
    actual = "无法得知软件包列表的更新时间" if age is None else f"软件包列表已有 {age:.0f} 天未刷新"
    finding = coverage.finding(
        target=facts.target,
        layer=Layer.HOST,
        check="COV-LISTS",
        location="",
        title="软件包列表过旧或时间不明，待装更新可能不全",
        severity=Severity.MEDIUM,
        actual=actual,
        remedy="在主机上刷新软件包列表（apt-get update 或 dnf makecache）后复扫；扫描本身不改动主机",
        evidence=evidence,
        detail=f"判定时间 {now:%Y-%m-%d %H:%M} UTC，上限 {STALE_DAYS} 天",
    )
    return [finding]
