"""Vulnerable packages of a host: one finding for each source package that an upgrade mends, or that nothing mends yet.

What the host's own mirror offers and what feeds say of the same source are one finding. The running kernel only:
headers and tools of the kernel are information, never a finding against the host's kernel; so is a kernel on a
container, which runs another host's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from shlex import quote
from types import MappingProxyType
from typing import TYPE_CHECKING

from agent.judge import priority, remediation, upkeep
from agent.judge.upkeep import CLAUSE, listed
from agent.model import kernels
from agent.model.advisory import Scheme, Status
from agent.model.asset import Layer
from agent.model.facts import Package
from agent.model.finding import Finding, FindingKind, FindingState
from agent.model.text import one_line
from agent.versions import compare

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from agent.model.advisory import CveFacts, Match
    from agent.model.facts import HostFacts, PendingUpdate
    from agent.model.finding import Remediation


_KERNEL = re.compile(r"linux(?:-meta\S*|-\d\S*|-(?:aws|azure|gcp|hwe|oem|oracle|kvm)\S*)?|kernel(?:-\w+)?")
_REBUILD = re.compile(r"\+b\d+$")
_KERNEL_IMAGE = re.compile(
    r"linux-(?:image|modules)-|linux-(?:generic|virtual)|linux-image$|kernel(?:-(?:core|modules\S*|uek|lt|ml))?$"
)


@dataclass(frozen=True, slots=True)
class _Work:
    """All that is known of one source package on a host."""

    source: str
    updates: tuple[PendingUpdate, ...]
    """What the host's mirror offers."""
    matches: tuple[Match, ...]
    """What feeds say, all with a fix or all without."""
    cves: tuple[str, ...]
    plan: Remediation
    offered: tuple[str, ...] = ()
    """Versions of the source that the updates are built from: what advisories are compared with."""

    @property
    def kernel(self) -> bool:
        return _KERNEL.fullmatch(self.source) is not None


def _tool(facts: HostFacts) -> str:
    features = next((subject.features for subject in facts.subjects if subject.kind == "linux"), frozenset())
    if _manager(facts) == "rpm" and "dnf" in features:
        return f"{'yum' if 'yum' in features else 'dnf'} -y upgrade"
    return "apt-get install --only-upgrade"


def _command(facts: HostFacts, updates: Sequence[PendingUpdate]) -> str:
    """The command that closes the finding, exact to the version, each word quoted."""
    tool = _tool(facts)
    if tool.startswith("apt-get"):
        words = [quote(f"{one.package}={one.candidate}") for one in updates]
    else:
        words = [quote(f"{one.package}-{one.candidate.rpartition(':')[2]}") for one in updates]
    return " ".join((tool, *words))


def _package(facts: HostFacts, work: _Work, evidence: tuple[int, ...]) -> Finding:
    updates, plan = work.updates, work.plan
    words = [one.severity for one in updates] + [one.severity for one in work.matches]
    severity, why = remediation.grade(plan.score, words)
    installed = [f"{one.package} {one.installed}" for one in updates] or plan.packages
    running = f"；运行内核 {one_line(facts.kernel, 80)}" if work.kernel else ""
    return Finding(
        target=facts.target,
        layer=Layer.HOST,
        kind=FindingKind.UPDATE,
        check=f"UPDATE:{one_line(work.source, 100)}",
        location=one_line(work.source, 100),
        title=f"{one_line(work.source, 80)} 有未安装的安全更新",
        severity=severity,
        state=FindingState.OPEN,
        actual=f"{listed(installed)}{running}",
        expected=f"{one_line(plan.fixed, 80)} 或更新",
        remedy=_remedy(facts, work),
        clause=CLAUSE,
        cves=work.cves,
        evidence=evidence,
        detail="；".join([why, *_why(facts, work)]),
        remediation=plan,
    )


def _remedy(facts: HostFacts, work: _Work) -> str:
    after = "，随后重启使用它的服务" + ("并重启主机" if work.plan.restart == "reboot" else "")
    scheme = _scheme(facts)
    if work.updates and all(compare(scheme, one, work.plan.fixed) >= 0 for one in work.offered):
        return f"执行 {_command(facts, work.updates)}{after}"
    names = " ".join(quote(name) for name in dict.fromkeys(one.package for one in work.matches))
    tool = _tool(facts)
    lacks = (
        f"主机当前软件源只提供到 {one_line(remediation.newest(scheme, work.offered), 80)}"
        if work.updates
        else "主机当前软件源未提供该版本"
    )
    return f"{lacks}：先更新（离线）软件源，再执行 {tool} {names}，升级到 {one_line(work.plan.fixed, 80)} 或更新{after}"


def _why(facts: HostFacts, work: _Work) -> list[str]:
    """Where it is from and how sure it is, in the words of the report."""
    plan = work.plan
    origins = [one.origin for one in work.updates if one.origin]
    told = [f"来源：{listed(dict.fromkeys([*origins, *(one.feed for one in work.matches)])) or '未知'}"]
    advisories = sorted({*plan.advisories, *(name for one in work.updates for name in one.advisories)})
    if advisories:
        told.append(f"公告：{listed(advisories)}")
    if plan.kev:
        told.append(f"已知被利用（KEV）：{listed(plan.kev)}")
    if plan.epss is not None:
        told.append(f"EPSS 最高 {plan.epss:.1%}")
    if plan.exposed:
        told.append("其服务对外监听")
    unread = facts.unseen.get(f"changelog {work.source}", "")
    if work.cves and unread:
        told.append(f"候选版本的更新日志未能取得，CVE 可能不全：{one_line(unread.rpartition(': ')[2], 120)}")
    if not work.cves:
        told.append(f"CVE 未能查明：{one_line(unread)}" if unread else "更新日志与公告未列出 CVE 编号")
    return told


def _unfixed(facts: HostFacts, work: _Work, evidence: tuple[int, ...]) -> Finding:
    plan = work.plan
    severity, why = remediation.grade(plan.score, [one.severity for one in work.matches])
    said: dict[str, list[str]] = {}
    for one in work.matches:
        said.setdefault(one.status.zh, []).extend(one.cves or (one.advisory,))
    return Finding(
        target=facts.target,
        layer=Layer.HOST,
        kind=FindingKind.UPDATE,
        check=f"NOFIX:{one_line(work.source, 100)}",
        location=one_line(work.source, 100),
        title=f"{one_line(work.source, 80)} 受漏洞影响，厂商尚无可用修复",
        severity=severity,
        state=FindingState.OPEN,
        actual=listed(plan.packages),
        expected="厂商发布修复后升级；在此之前有缓解措施或经批准的例外",
        remedy="评估是否可停用或隔离；按厂商建议缓解，或由甲方批准例外（exceptions.yaml）并设到期日",
        clause=CLAUSE,
        cves=work.cves,
        evidence=evidence,
        detail="；".join(
            [why, *(f"{word}：{listed(remediation.ordered(cves))}" for word, cves in said.items()), *_why(facts, work)]
        ),
        remediation=plan,
    )


def _built_from(own: Package | None, candidate: str) -> str:
    """The source's version of a candidate, where the installed one tells how the two differ.

    Debian's `postgresql` 15+248+deb12u2 is built from postgresql-common 248+deb12u2; a rebuild adds `+b1`.
    """
    if own is None or own.manager != "dpkg":
        return candidate
    plain = _REBUILD.sub("", own.version)
    before = plain.removesuffix(own.source_version)
    if before == plain or not candidate.startswith(before):
        return candidate
    return _REBUILD.sub("", candidate).removeprefix(before)


def _split(facts: HostFacts, fixable: Collection[str]) -> tuple[dict[str, list[PendingUpdate]], list[PendingUpdate]]:
    """Security updates by source, and the rest.

    An update that the mirror does not call one of security (a point release's) is one where feeds know what it mends.
    """
    container = in_container(facts)
    secure: dict[str, list[PendingUpdate]] = {}
    rest = []
    for one in facts.pending:
        source = kernels.source_name(one.source or one.package)
        offered = Package(one.package, one.installed, "", one.source or one.package, "", _manager(facts))
        image = kernels.release_of(offered) if offered.manager == "dpkg" else ""
        aside = kernels.of_kernel(offered) and (
            container or not _KERNEL_IMAGE.match(one.package) or (image and image != facts.kernel)
        )
        if (one.security or one.cves or source in fixable) and not aside:
            secure.setdefault(source, []).append(one)
        else:
            rest.append(one)
    return secure, rest


def judge(
    facts: HostFacts,
    evidence: tuple[int, ...],
    now: datetime,
    matches: Sequence[Match] = (),
    cves: Mapping[str, CveFacts] = MappingProxyType({}),
) -> list[Finding]:
    """Findings on vulnerable packages of one host, the most urgent first, then what waits for a restart.

    Args:
        facts: with CVEs filled where changelogs were had (observe.changelog.enrich).
        evidence: ledger numbers of what the facts were read from.
        now: aware UTC; only shown, ages are measured on the host.
        matches: of installed packages (judge.packages).
        cves: facts of the CVEs that the matches and the mirror name.
    """
    by_source: dict[tuple[str, bool], list[Match]] = {}
    for one in matches:
        by_source.setdefault((one.source, one.status is Status.FIXED), []).append(one)
    secure, rest = _split(facts, {source for source, fixable in by_source if fixable})
    reach = priority.reachable(facts)
    found = [
        _package(
            facts,
            _work(facts, source, secure.get(source, ()), by_source.get((source, True), ()), cves, reach),
            evidence,
        )
        for source in dict.fromkeys([*secure, *(source for source, fixable in by_source if fixable)])
    ]
    found += [
        _unfixed(facts, _work(facts, source, (), unfixed, cves, reach), evidence)
        for (source, fixable), unfixed in by_source.items()
        if not fixable
    ]
    found.sort(key=lambda one: (one.severity.rank, -(one.remediation.risk if one.remediation else 0), one.check))
    found += upkeep.restart(facts, evidence)
    if rest:
        found.append(upkeep.others(facts, rest, evidence))
    return found + upkeep.lists(facts, evidence, now)


def _work(
    facts: HostFacts,
    source: str,
    updates: Sequence[PendingUpdate],
    matches: Sequence[Match],
    cves: Mapping[str, CveFacts],
    reach: frozenset[str],
) -> _Work:
    scheme = _scheme(facts)
    named = [cve for one in updates for cve in one.cves]
    own = {one.name: one for one in facts.packages} if updates else {}
    offered = tuple(_built_from(own.get(one.package), one.candidate) for one in updates)
    plan = remediation.make(
        source,
        scheme,
        matches,
        cves,
        cves=named,
        candidate=remediation.newest(scheme, offered),
        exposed=bool(reach & {source, *(one.package for one in updates), *(one.package for one in matches)}),
        kernel=_KERNEL.fullmatch(source) is not None,
    )
    if updates and not matches:
        installed = tuple(sorted(f"{one.package} {one.installed}" for one in updates))
        named_by = tuple(sorted({name for one in updates for name in one.advisories}))
        plan = replace(plan, packages=installed, installed=updates[0].installed, advisories=named_by)
    if updates and (facts.unseen.get(f"changelog {source}") or not named):
        plan = replace(plan, complete=False)
    every = remediation.ordered([*named, *(cve for one in matches for cve in one.cves)])
    return _Work(source, tuple(updates), tuple(matches), every, plan, offered)


def in_container(facts: HostFacts) -> bool:
    """Whether the kernel that runs is another machine's."""
    return any("container" in subject.features for subject in facts.subjects)


def _manager(facts: HostFacts) -> str:
    return "rpm" if any(one.manager == "rpm" for one in facts.packages) else "dpkg"


def _scheme(facts: HostFacts) -> Scheme:
    return Scheme.RPM if _manager(facts) == "rpm" else Scheme.DPKG
