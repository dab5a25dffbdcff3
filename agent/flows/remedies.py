"""From findings that no control made to work: which upgrade closes a vulnerability, and why the rest is none. Pure.

One item a source package: what is held, pinned or missing on the mirror is then told of this one, and the others go on.
All upgrades of a host still are one run of its package manager (agent.change.resources.packages).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agent.change.resources.packages_state import NAME
from agent.model.advisory import Status
from agent.model.asset import Layer
from agent.model.change import Item, Planned, Risk, Skip, Why
from agent.model.finding import FindingKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.model.asset import Inventory
    from agent.model.finding import Finding, Remediation

_RISK = {"reboot": (Risk.REBOOT,), "service": (Risk.RESTART,)}
_BY_CHECK = {
    "REBOOT-REQUIRED": Skip(Why.MANUAL, "待重启：更新已安装，凭甲方书面申请在维护窗口内重启主机后生效"),
    "STALE-LIBRARIES": Skip(Why.MANUAL, "待重启：更新已安装，在维护窗口内重启所列服务（或主机）后生效"),
    "UPDATES-OTHER": Skip(Why.EXCLUDED, "不修复漏洞的一般更新，纳入例行升级"),
}


def planned(findings: Iterable[Finding], inventory: Inventory, *, start: int = 1) -> list[Planned]:
    """One for each finding, in their order: an upgrade, or the reason for none.

    Args:
        findings: of kinds other than `control`; whose target left the inventory, is passed over.
        inventory: tells how each target is reached.
        start: number of the first item's id (`i1`).
    """
    ways = {host.name: host.transport for host in inventory.hosts} | {one.name: "" for one in inventory.databases}
    kept = [finding for finding in findings if finding.target in ways]
    return [_one(finding, ways[finding.target], number) for number, finding in enumerate(kept, start)]


def _one(finding: Finding, transport: str, number: int) -> Planned:
    bare = Item(
        f"i{number}",
        "none",
        None,
        target=finding.target,
        location=finding.location,
        control=finding.check,
        title=finding.title,
        findings=(finding.key,),
    )
    skip = _no_upgrade(finding, transport)
    if skip:
        return Planned(bare, skip=skip)
    plan = finding.remediation
    if plan is None:
        return Planned(bare, skip=_BY_CHECK.get(finding.check, Skip(Why.MANUAL, finding.remedy or "需人工处理")))
    names = [line.split(" ")[0] for line in plan.packages]
    if not all(NAME.fullmatch(name) for name in names):
        return Planned(bare, skip=Skip(Why.ERROR, "软件包名无法识别，请人工核实"))
    # the location is the source package, which is no place on the host
    want = dict.fromkeys(names, plan.fixed)
    return Planned(replace(bare, resource="package", want=want, location="", risk=_RISK.get(plan.restart, ())))


def _no_upgrade(finding: Finding, transport: str) -> Skip | None:
    """Why a finding's remediation is none that we can do; None when it is, or when it has none."""
    plan = finding.remediation
    if transport == "winrm" or finding.kind is not FindingKind.UPDATE:
        text = "Windows 更新尚不能自动安装：按公告安装补丁" if transport == "winrm" else finding.remedy or "需人工处理"
        return Skip(Why.UNSUPPORTED if transport == "winrm" else Why.MANUAL, text)
    if plan is None:
        if finding.check.startswith("UPDATE:"):
            return Skip(Why.MANUAL, "该轮扫描未记录修复版本：重新判定（agent findings rejudge）后再处理")
        return None
    if plan.status != Status.FIXED.value or not plan.fixed:
        return Skip(Why.NO_FIX, f"{_said(plan)}；{finding.remedy}" if finding.remedy else _said(plan))
    if finding.layer is not Layer.HOST or not plan.packages:
        return Skip(Why.MANUAL, f"不是由软件包管理器安装的（{finding.location}）：由其来源升级到 {plan.fixed} 或更新")
    return None


def _said(plan: Remediation) -> str:
    """The vendor's word."""
    try:
        return f"{plan.package} {Status(plan.status).zh}"
    except ValueError:
        return f"{plan.package} 暂无修复"
