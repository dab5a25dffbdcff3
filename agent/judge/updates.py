"""Pending updates of the host's own mirror: one finding for each source package, and what waits for a restart.

The running kernel only: headers and tools of the kernel are information, never a finding
against the host's kernel; so is a kernel on a container, which runs another host's.
"""

from __future__ import annotations

import re
from shlex import quote
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

_KERNEL_SIDE = re.compile(
    r"linux-(?:libc-dev|headers|perf|tools|doc|kbuild|cpupower|source|compiler)\b.*"
    r"|kernel-(?:headers|devel|tools|doc|debug|abi)\b.*|perf|bpftool|python3?-perf"
)
_KERNEL = re.compile(r"linux(?:-signed\S*|-meta\S*)?|kernel(?:-core|-modules\S*|-uek|-lt|-ml)?")
_GRADES = {
    "critical": Severity.CRITICAL,
    "important": Severity.HIGH,
    "high": Severity.HIGH,
    "moderate": Severity.MEDIUM,
    "medium": Severity.MEDIUM,
    "low": Severity.LOW,
}
_ORDER = ("critical", "important", "high", "moderate", "medium", "low")
_SHOWN = 12
"""Packages named in a row; the rest is counted."""


def _source(update: PendingUpdate) -> str:
    name = update.source or update.package
    return "linux" if re.fullmatch(r"linux-signed\S*", name) else name


def _listed(words: Iterable[str], cap: int = _SHOWN) -> str:
    every = [one_line(word, 80) for word in words]
    more = f" 等 {len(every)} 项" if len(every) > cap else ""
    return "、".join(every[:cap]) + more


def _command(facts: HostFacts, updates: Sequence[PendingUpdate]) -> str:
    """The command that closes the finding, exact to the version, each word quoted."""
    features = next((subject.features for subject in facts.subjects if subject.kind == "linux"), frozenset())
    rpm = any(one.manager == "rpm" for one in facts.packages) and "dnf" in features
    if rpm:
        words = [quote(f"{one.package}-{one.candidate.rpartition(':')[2]}") for one in updates]
        return " ".join(("yum" if "yum" in features else "dnf", "-y", "upgrade", *words))
    words = [quote(f"{one.package}={one.candidate}") for one in updates]
    return " ".join(("apt-get install --only-upgrade", *words))


def _severity(updates: Sequence[PendingUpdate]) -> tuple[Severity, str]:
    grades = {one.severity.lower() for one in updates if one.severity.lower() in _GRADES}
    for grade in _ORDER:
        if grade in grades:
            return _GRADES[grade], f"严重程度取自厂商公告（{grade.capitalize()}）"
    return Severity.HIGH, "厂商公告未给出该更新的严重程度，按安全更新一律计为高危"


def _package(facts: HostFacts, source: str, updates: Sequence[PendingUpdate], evidence: tuple[int, ...]) -> Finding:
    severity, why = _severity(updates)
    cves = tuple(sorted({cve for one in updates for cve in one.cves}, key=_cve_order))
    advisories = sorted({name for one in updates for name in one.advisories})
    first = updates[0]
    running = f"；运行内核 {one_line(facts.kernel, 80)}" if _KERNEL.fullmatch(source) else ""
    detail = [why, f"来源：{_listed(dict.fromkeys(one.origin for one in updates if one.origin)) or '未知'}"]
    if advisories:
        detail.append(f"公告：{_listed(advisories)}")
    if not cves:
        unread = facts.unseen.get(f"changelog {source}", "")
        detail.append(f"CVE 未能查明：{one_line(unread)}" if unread else "更新日志与公告未列出 CVE 编号")
    return Finding(
        target=facts.target,
        layer=Layer.HOST,
        kind=FindingKind.UPDATE,
        check=f"UPDATE:{one_line(source, 100)}",
        location=one_line(source, 100),
        title=f"{one_line(source, 80)} 有未安装的安全更新",
        severity=severity,
        state=FindingState.OPEN,
        actual=f"{_listed(f'{one.package} {one.installed}' for one in updates)}{running}",
        expected=f"{one_line(first.candidate, 80)} 或更新",
        remedy=f"执行 {_command(facts, updates)}，随后重启使用它的服务" + ("并重启主机" if running else ""),
        clause=CLAUSE,
        cves=cves,
        evidence=evidence,
        detail="；".join(detail),
    )


def _cve_order(cve: str) -> tuple[int, int, str]:
    hit = re.fullmatch(r"CVE-(\d{4})-(\d{4,9})", cve)
    return (int(hit[1]), int(hit[2]), cve) if hit else (0, 0, cve)


def _others(facts: HostFacts, updates: Sequence[PendingUpdate], evidence: tuple[int, ...]) -> Finding:
    return Finding(
        target=facts.target,
        layer=Layer.HOST,
        kind=FindingKind.UPDATE,
        check="UPDATES-OTHER",
        location="",
        title="有未安装的一般更新（非安全更新，或不作用于运行中的内核）",
        severity=Severity.INFO,
        state=FindingState.OPEN,
        actual=f"{len(updates)} 个软件包：{_listed(f'{one.package} {one.candidate}' for one in updates)}",
        expected="在维护窗口内随例行升级安装",
        remedy="纳入下一次例行升级",
        clause=CLAUSE,
        evidence=evidence,
    )


def _split(facts: HostFacts) -> tuple[dict[str, list[PendingUpdate]], list[PendingUpdate]]:
    """Security updates by source, and the rest."""
    container = any("container" in subject.features for subject in facts.subjects)
    secure: dict[str, list[PendingUpdate]] = {}
    rest = []
    for one in facts.pending:
        source = _source(one)
        kernel = _KERNEL.fullmatch(source) is not None
        image = re.fullmatch(r"linux-image-(?:unsigned-)?(\d\S*)", one.package)
        other = image is not None and image[1] != facts.kernel
        aside = _KERNEL_SIDE.fullmatch(one.package) or (kernel and (container or other))
        if (one.security or one.cves) and not aside:
            secure.setdefault(source, []).append(one)
        else:
            rest.append(one)
    return secure, rest


def _restart(facts: HostFacts, evidence: tuple[int, ...]) -> list[Finding]:
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
                actual=_listed(facts.stale_libraries),
                expected="没有进程使用已被替换的文件",
                remedy="在维护窗口内重启上述服务；无法单独重启的，重启主机（须甲方书面申请）",
                clause=CLAUSE,
                evidence=evidence,
            )
        )
    return found


def _lists(facts: HostFacts, evidence: tuple[int, ...], now: datetime) -> list[Finding]:
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


def judge(facts: HostFacts, evidence: tuple[int, ...], now: datetime) -> list[Finding]:
    """Findings on updates of one host, sorted by severity and source.

    Args:
        facts: with CVEs filled where changelogs were had (observe.changelog.enrich).
        evidence: ledger numbers of what the facts were read from.
        now: aware UTC; only shown, ages are measured on the host.
    """
    secure, rest = _split(facts)
    found = [_package(facts, source, updates, evidence) for source, updates in secure.items()]
    found.sort(key=lambda one: (one.severity.rank, one.check))
    found += _restart(facts, evidence)
    if rest:
        found.append(_others(facts, rest, evidence))
    return found + _lists(facts, evidence, now)
