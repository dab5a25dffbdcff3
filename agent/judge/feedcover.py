"""Whether any feed speaks of a system, and how old it is: 无漏洞库 is a finding, never zero findings (rule 7). Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from agent.judge import coverage
from agent.model import kernels
from agent.model.asset import Layer
from agent.model.severity import Severity
from agent.model.text import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agent.model.facts import HostFacts
    from agent.model.finding import Finding

STALE_DAYS = 30
"""A feed whose newest record is older says too little about what is known today."""
FEW = 50
"""A feed with fewer advisories for a system is a sample or a customer's own table, not what its maker has published."""
_REMEDY = "从厂商或监管渠道取得该系统的漏洞库，离线带入后执行 agent feeds import，再执行 agent findings rejudge"


def age_days(newest: str, now: datetime) -> int | None:
    """Days since a feed's newest record; None when it bears no date."""
    try:
        return (now - datetime.fromisoformat(newest)).days
    except (ValueError, TypeError):
        return None


def judge(
    target: str,
    layer: Layer,
    system: str,
    there: Sequence[str],
    streams: Mapping[str, str],
    sizes: Mapping[str, int],
    now: datetime,
    evidence: tuple[int, ...],
    *,
    mirror: bool,
) -> list[Finding]:
    """What the feeds do not cover of one target.

    Args:
        target: inventory name.
        layer: on which the gap is shown.
        system: what it is, for people.
        there: streams that were matched; empty: no feed speaks of it.
        streams: every stream with the time of its newest record.
        sizes: every stream with the number of its advisories.
        now: aware UTC.
        evidence: ledger numbers.
        mirror: whether the host's own mirror told its pending updates, which covers a part.
    """
    if not there:
        part = "仅按主机自身软件源列出待装更新" if mirror else "软件漏洞未作匹配"
        return [
            coverage.finding(
                target=target,
                layer=layer,
                check="COV-FEED",
                location="",
                title=f"无漏洞库：{system}",
                severity=Severity.LOW if mirror else Severity.HIGH,
                actual=f"已导入的漏洞库均不含该系统，{part}；不得视为无漏洞",
                remedy=_REMEDY,
                evidence=evidence,
            )
        ]
    count = sum(sizes.get(stream, 0) for stream in there)
    small = [_small(target, layer, system, count, evidence)] if count < FEW else []
    ages = {stream: age_days(streams.get(stream, ""), now) for stream in there}
    known = [age for age in ages.values() if age is not None]
    if known and min(known) <= STALE_DAYS:
        return small
    newest = max((streams.get(stream, "") for stream in there), default="")
    told = f"最新一条为 {newest[:10]}，距今 {min(known)} 天" if known else "未标明日期，无法得知新旧"
    return [
        *small,
        coverage.finding(
            target=target,
            layer=layer,
            check="COV-FEED-AGE",
            location="",
            title=f"漏洞库过旧：{'、'.join(there)}",
            severity=Severity.MEDIUM,
            actual=f"{told}（上限 {STALE_DAYS} 天），其后公布的漏洞未能匹配",
            remedy=_REMEDY,
            evidence=evidence,
            detail=f"判定时间 {now.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
        ),
    ]


def kernel(facts: HostFacts, system: str, evidence: tuple[int, ...]) -> list[Finding]:
    """That the running kernel belongs to no installed package: no advisory was compared with it.

    It was built by hand, or its package was removed while it runs. A container has no kernel of its own.
    """
    container = any("container" in subject.features for subject in facts.subjects)
    if container or not facts.kernel or not facts.packages:
        return []
    if any(kernels.runs(one, facts.kernel) for one in facts.packages):
        return []
    return [
        coverage.finding(
            target=facts.target,
            layer=Layer.HOST,
            check="COV-KERNEL",
            location="",
            title=f"运行中的内核未作漏洞匹配：{system}",
            severity=Severity.MEDIUM,
            actual=f"运行内核 {one_line(facts.kernel, 80)} 不属任何已安装的软件包，不得视为无漏洞",
            remedy="核实内核来源；软件包已卸载的，重启到已安装的内核后复扫；自行编译的，人工核对内核公告",
            evidence=evidence,
        )
    ]


def _small(target: str, layer: Layer, system: str, count: int, evidence: tuple[int, ...]) -> Finding:
    return coverage.finding(
        target=target,
        layer=layer,
        check="COV-FEED-SMALL",
        location="",
        title=f"漏洞库不完整：{system}",
        severity=Severity.MEDIUM,
        actual=f"已导入的漏洞库只有 {count} 条公告涉及该系统，未列出的漏洞不得视为没有",
        remedy=_REMEDY,
        evidence=evidence,
    )
