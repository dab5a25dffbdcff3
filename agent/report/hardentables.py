"""Tables of the 安全加固报告 beside its closures: password policy, health, credit; pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from agent.model.control import Outcome
from agent.model.duties import PARTS, PARTS_ZH, Earned
from agent.model.hardening import Health
from agent.model.hardenreport import HardenReport, PasswordRow
from agent.report.hardenview import CreditRow, HealthRow, PolicyRow, PolicyTarget, QuotaRow
from agent.report.view import Count
from agent.report.words import KINDS, percent


def policy(passwords: Iterable[PasswordRow]) -> tuple[PolicyRow, ...]:
    """One row a control, over all targets on which it was judged."""
    groups: dict[str, list[PasswordRow]] = defaultdict(list)
    for each in passwords:
        groups[each.control].append(each)
    rows = []
    for control, found in sorted(groups.items()):
        judged = [each for each in found if each.outcome is not Outcome.NOT_APPLICABLE]
        passed = sum(each.outcome is Outcome.PASS for each in judged)
        failing = tuple(
            f"{each.target}：{_said(each.outcome, each.actual)}" for each in judged if each.outcome is not Outcome.PASS
        )
        if judged:
            first = judged[0]
            rows.append(
                PolicyRow(
                    control, first.title, first.expected, passed, len(judged), percent(passed, len(judged)), failing
                )
            )
    return tuple(rows)


def _said(outcome: Outcome, actual: str) -> str:
    word = {Outcome.FAIL: "", Outcome.MANUAL: "待人工判定", Outcome.ERROR: "未能判定"}.get(outcome, "")
    return " ".join(filter(None, (word, actual))) or "未达标"


def policy_targets(names: Iterable[str], passwords: Iterable[PasswordRow]) -> tuple[PolicyTarget, ...]:
    """One row a target; one that nobody looked at afterwards is 未复查, never 达标."""
    counted: dict[str, Counter[Outcome]] = {name: Counter() for name in names}
    for each in passwords:
        if each.target in counted:
            counted[each.target][each.outcome] += 1
    rows = []
    for name, mine in counted.items():
        others = mine[Outcome.MANUAL] + mine[Outcome.ERROR]
        judged = mine[Outcome.PASS] + mine[Outcome.FAIL] + others
        word, css = ("达标", "good") if judged and mine[Outcome.PASS] == judged else ("未达标", "high")
        if not judged:
            word, css = "未复查", "unknown"
        elif not mine[Outcome.FAIL] and others:
            word, css = "待判定", "medium"
        rows.append(
            PolicyTarget(name, mine[Outcome.PASS], mine[Outcome.FAIL], others, mine[Outcome.NOT_APPLICABLE], word, css)
        )
    return tuple(rows)


def health(report: HardenReport) -> Iterable[HealthRow]:
    """What answered before and after, a row for each host of each wave."""
    for wave in report.waves:
        after = {each.host: each for each in wave.after}
        before = {each.host: each for each in wave.before}
        for host in dict.fromkeys((*wave.hosts, *before, *after)):
            then, now = before.get(host), after.get(host)
            lost = [each for each in then.answered if now and each not in now.answered] if then else []
            if not now:
                word, css = "未复测", "unknown"
            elif lost:
                word, css = f"变差：{'、'.join(lost)}", "high"
            else:
                word, css = "未变差", "good"
            yield HealthRow(wave.number, host, _probe(then), _probe(now), word, css)


def _probe(health: Health | None) -> str:
    if health is None:
        return "没有记录"
    parts = [f"有应答：{'、'.join(health.answered)}" if health.answered else ""]
    parts.append(f"无应答：{'、'.join(health.silent)}" if health.silent else "")
    return "；".join(filter(None, parts)) or "没有探测对象"


def earned(row: Earned) -> CreditRow:
    """A target held against the contract."""
    return CreditRow(
        row.target,
        KINDS.get(row.kind, row.kind),
        tuple(Count("有" if row.has(part) else "缺", "good" if row.has(part) else "high", 1, "") for part in PARTS),
        "计入" if row.counts else "不计入",
        "good" if row.counts else "high",
        "；".join(f"{PARTS_ZH[gap.part]}：{gap.text}" for gap in row.gaps),
        "；".join(row.oneway),
    )


def quota(report: HardenReport) -> tuple[QuotaRow, ...]:
    """What the contract buys, and what of it is done."""
    rows = []
    for kind, label in (("host", "主机安全加固（台次）"), ("database", "数据库安全加固（个）")):
        wanted = report.credit.wanted(kind)
        rows.append(
            QuotaRow(
                label,
                "未约定" if wanted is None else str(wanted),
                report.credit.done(kind),
                report.credit.credited(kind),
                report.credit.surplus(kind),
                report.credit.lacking(kind),
                sum(len(each.oneway) for each in report.credit.rows if each.kind == kind),
            )
        )
    return tuple(rows)
