"""What was not seen, each with its reason (rule 3): it never counts as clean and never as fixed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.model.asset import Layer
from agent.model.finding import Finding, FindingKind, FindingState
from agent.model.severity import Severity
from agent.model.text import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agent.model.facts import DatabaseFacts, HostFacts, NetworkFacts
    from agent.model.observation import Unreached

_EMPTY: Mapping[str, tuple[int, ...]] = {}
_MEDIUM = ("dpkg", "rpm", "apt", "dnf", "updates", "packages", "users", "ss", "base", "conf", "middleware")
"""Sections without which whole groups of findings are missing; the rest is low."""
_CHANGELOG = "changelog "
"""Begins the section of a candidate's changelog; the source's name follows."""
_SHOWN = 12
_REASONS = 3
_ZH = {
    "apt-policy": "待装更新（apt）",
    "audit": "审计状态",
    "base": "系统标识",
    "conf": "配置文件",
    "dnf-check": "待装更新（dnf/yum）",
    "dnf-cves": "待装更新的 CVE（dnf/yum）",
    "dnf-list": "安全公告（dnf/yum）",
    "dpkg": "已装软件包（dpkg）",
    "file": "文件权限",
    "firewall": "防火墙规则",
    "middleware": "中间件",
    "mount": "挂载选项",
    "rpm": "已装软件包（rpm）",
    "service": "系统服务",
    "setuid": "特权文件",
    "ss": "监听端口",
    "sshd": "SSH 服务有效配置",
    "stale": "运行中的旧库",
    "sysctl": "内核参数",
    "updates": "待装更新",
    "users": "账户与口令属性",
}


def finding(
    *,
    target: str,
    layer: Layer,
    check: str,
    location: str,
    title: str,
    severity: Severity,
    actual: str,
    remedy: str,
    evidence: tuple[int, ...],
    detail: str = "",
) -> Finding:
    """One coverage finding: state unknown, expected is always that the thing be seen."""
    return Finding(
        target=target,
        layer=layer,
        kind=FindingKind.COVERAGE,
        check=check,
        location=one_line(location),
        title=one_line(title),
        severity=severity,
        state=FindingState.UNKNOWN,
        actual=one_line(actual),
        expected="能够采集并判定",
        remedy=remedy,
        evidence=evidence,
        detail=one_line(detail),
    )


def _unreached(one: Unreached, evidence: tuple[int, ...]) -> Finding:
    return finding(
        target=one.target,
        layer=one.layer,
        check="COV-UNREACHED",
        location="",
        title=f"{one.layer.zh}层面未能检查：{one.reason.zh}",
        severity=Severity.HIGH,
        actual=f"{one.reason.zh}（{one.reason.value}）：{one.detail}",
        remedy="排除原因后对该目标复扫；在此之前，上一轮发现的问题不得视为已修复",
        evidence=evidence,
    )


def _section(target: str, layer: Layer, section: str, why: str, evidence: tuple[int, ...]) -> Finding:
    """`section` is a key of unseen; what follows a blank names the file or source that is meant."""
    base, _, rest = section.partition(" ")
    heavy = any(base == name or base.startswith(f"{name}-") for name in _MEDIUM)
    name = _ZH.get(base, base)
    return finding(
        target=target,
        layer=layer,
        check="COV-SECTION",
        location=section,
        title=f"未能采集：{name}{' ' + rest if rest else ''}",
        severity=Severity.MEDIUM if heavy else Severity.LOW,
        actual=why,
        remedy="按原因处理（权限、程序缺失、超时或仓库不可达）后复扫",
        evidence=evidence,
    )


def _host(host: HostFacts, evidence: tuple[int, ...]) -> list[Finding]:
    """Sections of one host that gave no answer."""
    found = _changelogs(host, evidence)
    for section, why in host.unseen.items():
        if not section.startswith(_CHANGELOG):
            layer = Layer.MIDDLEWARE if section.startswith("middleware") else Layer.HOST
            found.append(_section(host.target, layer, section, why, evidence))
    return found


def _changelogs(host: HostFacts, evidence: tuple[int, ...]) -> list[Finding]:
    """Changelogs that could not be had: offline every candidate's, so they are one finding."""
    lost = {section.partition(" ")[2]: why for section, why in host.unseen.items() if section.startswith(_CHANGELOG)}
    if not lost:
        return []
    reasons = list(dict.fromkeys(why.rpartition(": ")[2] for why in lost.values()))[:_REASONS]  # without the addresses
    more = f" 等 {len(lost)} 个" if len(lost) > _SHOWN else ""
    return [
        finding(
            target=host.target,
            layer=Layer.HOST,
            check="COV-CHANGELOG",
            location="",
            title=f"{len(lost)} 个待装更新的更新日志未能取得，其修复的 CVE 可能不全",
            severity=Severity.LOW,
            actual=f"{'、'.join(list(lost)[:_SHOWN])}{more}；{'；'.join(reasons)}",
            remedy="使软件源可达后复扫；离线的，导入该系统的漏洞库，以其公告所列 CVE 为准",
            evidence=evidence,
        )
    ]


def _network(one: NetworkFacts, evidence: tuple[int, ...]) -> list[Finding]:
    if one.up and not one.timed_out:
        return []
    why = "扫描超过时限，未列出的端口是未检查，不是关闭" if one.timed_out else "扫描工具认为该地址不在线"
    return [
        finding(
            target=one.target,
            layer=Layer.NETWORK,
            check="COV-NETWORK",
            location="",
            title="网络层面未检查完整",
            severity=Severity.MEDIUM,
            actual=why,
            remedy="确认网络可达后复扫，或放宽单机时限",
            evidence=evidence,
        )
    ]


def judge(
    unreached: Sequence[Unreached],
    hosts: Sequence[HostFacts] = (),
    databases: Sequence[DatabaseFacts] = (),
    networks: Sequence[NetworkFacts] = (),
    evidence: Mapping[str, tuple[int, ...]] = _EMPTY,
) -> list[Finding]:
    """One finding for each target's layer, section, or scan that was not seen.

    Args:
        unreached: targets' layers without an answer; two of one layer become one finding.
        hosts: facts whose `unseen` names sections without an answer.
        databases: the same for databases.
        networks: what nmap gave up on.
        evidence: ledger numbers by target name.
    """
    found: dict[str, Finding] = {}

    def add(one: Finding) -> None:
        found.setdefault(one.key, one)

    for lost in unreached:
        add(_unreached(lost, evidence.get(lost.target, ())))
    for host in hosts:
        for one in _host(host, evidence.get(host.target, ())):
            add(one)
    for database in databases:
        for section, why in database.unseen.items():
            add(_section(database.target, Layer.DATABASE, section, why, evidence.get(database.target, ())))
    for network in networks:
        for one in _network(network, evidence.get(network.target, ())):
            add(one)
    return list(found.values())
