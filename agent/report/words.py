"""Words and orders of the report that are the same in every one."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from agent.model.finding import Finding, FindingKind, FindingState

MANY = 8
"""CVE ids in a row; what goes beyond stands in the appendix."""

SHANGHAI = ZoneInfo("Asia/Shanghai")

STATES = {
    FindingState.OPEN: "待整改",
    FindingState.MANUAL: "待人工判定",
    FindingState.UNKNOWN: "未能判定",
    FindingState.ACCEPTED: "已接受风险",
}
KINDS = {"host": "主机", "database": "数据库"}
IMPORTANCE = {"core": "核心", "important": "重要", "normal": "一般"}

# GB/T 22239-2019, 8.1.4 安全计算环境: its control points.
CLAUSES = {
    "8.1.4.1": "身份鉴别",
    "8.1.4.2": "访问控制",
    "8.1.4.3": "安全审计",
    "8.1.4.4": "入侵防范",
    "8.1.4.5": "恶意代码防范",
    "8.1.4.6": "可信验证",
    "8.1.4.7": "数据完整性",
    "8.1.4.8": "数据保密性",
    "8.1.4.9": "数据备份恢复",
    "8.1.4.10": "剩余信息保护",
    "8.1.4.11": "个人信息保护",
}
_BY_KIND = {
    FindingKind.CONTROL: "其他安全配置",
    FindingKind.UPDATE: "软件漏洞（待更新）",
    FindingKind.EXPOSURE: "网络暴露面",
    FindingKind.COVERAGE: "扫描覆盖",
}
# Clauses that speak of accounts and their passwords: 8.1.4.1 a, b and 8.1.4.2 a to d.
_ACCOUNT_CLAUSES = ("8.1.4.1-a", "8.1.4.1-b", "8.1.4.2-a", "8.1.4.2-b", "8.1.4.2-c", "8.1.4.2-d")
_ACCOUNT_WORDS = ("账号", "账户", "帐号", "帐户", "用户", "角色", "口令", "密码", "UID", "root", "登录")


def category(finding: Finding) -> str:
    """Control point of the finding's clause, else a word for its kind."""
    if finding.kind is FindingKind.CONTROL and finding.clause:
        return CLAUSES.get(finding.clause.split("-")[0], _BY_KIND[FindingKind.CONTROL])
    return _BY_KIND[finding.kind]


def about_accounts(finding: Finding) -> bool:
    """Whether a control's finding is about accounts, their passwords or privileges."""
    return (
        finding.kind is FindingKind.CONTROL
        and finding.clause.startswith(_ACCOUNT_CLAUSES)
        and any(word in finding.title for word in _ACCOUNT_WORDS)
    )


def percent(part: int, whole: int) -> str:
    """Share with one decimal; — when there is no whole."""
    return f"{100 * part / whole:.1f}%" if whole else "—"


def beijing(moment: datetime) -> str:
    """Date and time in Asia/Shanghai, to the second."""
    return moment.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S")


def day(moment: datetime) -> str:
    """The day in Asia/Shanghai as a Chinese date."""
    local = moment.astimezone(SHANGHAI)
    return f"{local.year}年{local.month}月{local.day}日"


def iso_day(moment: datetime) -> str:
    """The day in Asia/Shanghai, ISO 8601."""
    return moment.astimezone(SHANGHAI).date().isoformat()


def spans(numbers: Iterable[int]) -> str:
    """Numbers as spans: 3-5、8; — for none."""
    return _spans(tuple(numbers))


@lru_cache(maxsize=1024)  # findings of one target cite the same evidence
def _spans(numbers: tuple[int, ...]) -> str:
    ordered = sorted(set(numbers))
    parts: list[str] = []
    index = 0
    while index < len(ordered):
        end = index
        while end + 1 < len(ordered) and ordered[end + 1] == ordered[end] + 1:
            end += 1
        parts.append(str(ordered[index]) if end == index else f"{ordered[index]}-{ordered[end]}")
        index = end + 1
    return "、".join(parts) or "—"


def names(values: Iterable[str], most: int = 30) -> str:
    """Distinct names in order, joined; beyond `most` only how many there are."""
    distinct = list(dict.fromkeys(values))
    shown = "、".join(distinct[:most])
    return f"{shown} 等 {len(distinct)} 个" if len(distinct) > most else shown
