"""How the mending of each finding ended, from records alone; pure.

已修复 is said only where a look that began after the last change looked at that very thing and no longer finds it.
What was changed and not seen again is 无法验证, never mended.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Protocol

from agent.judge.attempts import OPEN, Attempts, Tried
from agent.judge.exceptions import by_subject, candidates, in_force, standing
from agent.model.change import Closure, Planned, Skip, Why
from agent.model.control import Outcome, Verdict
from agent.model.finding import Finding, FindingKind, FindingState, RiskException
from agent.model.hardening import ClosureRecord, TxRecord

REBOOT = "REBOOT-REQUIRED"
STALE = "STALE-LIBRARIES"
_NOFIX = "NOFIX:"


class Look(Protocol):
    """A round of looking, as `flows.compare.Round` is one."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Everything that it found."""
        ...

    def looked_at(self, finding: Finding) -> bool:
        """Whether it really looked for that weakness."""
        ...

    def holds(self, finding: Finding) -> bool:
        """Whether the weakness is open in it."""
        ...


@dataclass(frozen=True)
class Fresh:
    """The look after the change."""

    look: Look
    began: datetime
    """UTC; what was changed later it has not seen."""
    verdicts: Mapping[tuple[str, str, str], Verdict] = field(default_factory=dict)
    """By target, control and location."""
    evidence: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Ledger numbers of what each target answered."""


def verdicts_by_place(verdicts: Iterable[Verdict]) -> dict[tuple[str, str, str], Verdict]:
    """Index verdicts for `Fresh`."""
    return {(each.target, each.control, each.location): each for each in verdicts}


class _Closing:
    """One run's closures."""

    def __init__(
        self,
        planned: Iterable[Planned],
        transactions: Sequence[TxRecord],
        fresh: Fresh | None,
        exceptions: Sequence[RiskException],
        today: str,
    ) -> None:
        self.fresh = fresh
        self.attempts = Attempts(transactions)
        self.accepted = by_subject(each for each in exceptions if in_force(each, today))
        self.skips: dict[str, Skip] = {}
        self.planned: set[str] = set()
        for one in planned:
            for key in one.item.findings:
                if one.skip:
                    self.skips.setdefault(key, one.skip)
                else:
                    self.planned.add(key)
        found = fresh.look.findings if fresh else ()
        self.after = {each.key: each for each in found}
        self.waits = {each.target: each for each in found if each.check == REBOOT}
        self.stale = {each.target: each for each in found if each.check == STALE}

    def seen_after(self, tried: Tried) -> bool:
        """Whether the fresh look came after all that was done for the finding."""
        return self.fresh is not None and tried.ended and (tried.last is None or self.fresh.began >= tried.last)

    def gone(self, finding: Finding) -> bool:
        """Whether the fresh look proves that it is no longer there."""
        fresh = self.fresh
        if fresh is None or not fresh.look.looked_at(finding) or fresh.look.holds(finding):
            return False
        if finding.kind is FindingKind.CONTROL:
            verdict = self.verdict(finding)
            return verdict is not None and verdict.outcome in {Outcome.PASS, Outcome.NOT_APPLICABLE}
        return True

    def held(self, finding: Finding) -> bool:
        """Whether the fresh look still finds it."""
        return self.fresh is not None and self.fresh.look.holds(finding)

    def verdict(self, finding: Finding) -> Verdict | None:
        """What the fresh look said of a control's finding."""
        place = (finding.target, finding.check, finding.location)
        return self.fresh.verdicts.get(place) if self.fresh and finding.kind is FindingKind.CONTROL else None

    def waiting(self, finding: Finding, tried: Tried) -> str:
        """What a restart would bring into force; empty when none is waited for."""
        held = self.held(finding)
        if finding.check in {REBOOT, STALE}:
            now = self.after.get(finding.key)
            return f"重启后生效：{now.actual}" if held and now else ""
        if not tried.done:
            return ""
        plan = finding.remediation
        if finding.kind is FindingKind.UPDATE and plan:
            if plan.restart == "reboot" and finding.target in self.waits:
                return f"软件包已升级，运行的仍是旧内核：{self.waits[finding.target].actual}"
            if not held and finding.target in self.stale:
                return f"软件包已升级，主机上仍有进程在使用被替换的文件：{self.stale[finding.target].actual}"
            return ""
        return f"设置已写入，重启后生效：{'、'.join(tried.waits)}" if held and tried.waits else ""

    def ended(self, finding: Finding) -> tuple[Closure, str]:
        """How it ended, and why it is said."""
        tried = self.attempts.at(finding.key)
        later = self.seen_after(tried)
        waits = self.waiting(finding, tried) if later else ""
        if waits:
            return Closure.REBOOT, waits
        if later and finding.kind is not FindingKind.COVERAGE and self.gone(finding):
            return Closure.FIXED, _mended(finding, tried)
        return self._accepted(finding) or self._unmended(finding, tried, later=later)

    def _accepted(self, finding: Finding) -> tuple[Closure, str] | None:
        taken = standing(finding, candidates(self.accepted, finding))
        if not taken.accepted:
            return None
        one = next(iter(taken.by.values()))
        return Closure.ACCEPTED, f"{one.reason}（批准人 {one.approver}，有效至 {one.expires}）"

    def _unmended(self, finding: Finding, tried: Tried, *, later: bool) -> tuple[Closure, str]:
        if finding.kind is FindingKind.COVERAGE:
            return self._of_coverage(finding)
        if tried.undone:
            return Closure.ROLLED_BACK, "；".join(self._undone(each) for each in tried.undone)
        if tried.unsettled or tried.done:
            return self._changed(finding, tried, later=later)
        return self._left(finding, tried)

    def _changed(self, finding: Finding, tried: Tried, *, later: bool) -> tuple[Closure, str]:
        states = [f"事务 {each.id} {OPEN[each.state]}{_because(each)}" for each in tried.unsettled]
        if later and self.held(finding):
            return Closure.FAILED, "；".join([*states, "变更后复查仍发现"])
        return Closure.UNVERIFIED, "；".join([*states, self._unseen(finding, later=later)])

    def _unseen(self, finding: Finding, *, later: bool) -> str:
        if self.fresh is None:
            return "变更后没有复查"
        if not later:
            return "复查早于最后一次变更，不能证明"
        now = self.after.get(finding.key)
        if now and now.state is FindingState.UNKNOWN:
            return f"复查时未能判定：{now.actual or now.detail}"
        return "复查没有看到该处（目标或层面未扫描，或该项没有结论）"

    def _undone(self, record: TxRecord) -> str:
        if not record.reverted_by:
            return f"事务 {record.id} 已撤销{_because(record)}"
        by = self.attempts.records.get(record.reverted_by)
        return f"事务 {record.id} 已由 {record.reverted_by} 回退{_because(by) if by else ''}"

    def _left(self, finding: Finding, tried: Tried) -> tuple[Closure, str]:
        if tried.never:
            told = dict.fromkeys(each.why or "已计划，没有执行" for each in tried.never)
            return Closure.LEFT, f"未执行：{'；'.join(told)}"
        skip = self.skips.get(finding.key)
        if (skip and skip.why is Why.NO_FIX) or (not skip and finding.check.startswith(_NOFIX)):
            return Closure.NO_FIX, skip.text if skip else "厂商尚无可用的修复"
        if skip:
            return Closure.LEFT, f"{skip.why.zh}：{skip.text}" if skip.text else skip.why.zh
        return Closure.LEFT, "已计划，没有执行" if finding.key in self.planned else "不在本次加固计划内"

    def _of_coverage(self, finding: Finding) -> tuple[Closure, str]:
        """What was not seen is no weakness: seeing it now mends nothing."""
        if self.fresh and finding.key in self.after:
            return Closure.LEFT, "扫描覆盖事项：复查时仍未看到"
        skip = self.skips.get(finding.key)
        return Closure.LEFT, f"扫描覆盖事项，不是弱点，由下一轮扫描处理{'；' + skip.text if skip and skip.text else ''}"

    def after_words(self, finding: Finding, closure: Closure) -> str:
        """What the fresh look saw; empty when it saw nothing of it."""
        verdict, now = self.verdict(finding), self.after.get(finding.key)
        if verdict and verdict.outcome is Outcome.NOT_APPLICABLE:
            return f"不适用{'：' + verdict.reason if verdict.reason else ''}"
        if verdict and verdict.outcome is not Outcome.ERROR:
            return verdict.actual or ("符合" if verdict.outcome is Outcome.PASS else "")
        if now:
            return now.actual
        return "未再发现" if closure is Closure.FIXED or self.gone(finding) else ""


def close(
    run: str,
    findings: Iterable[Finding],
    planned: Iterable[Planned],
    transactions: Sequence[TxRecord],
    fresh: Fresh | None,
    exceptions: Sequence[RiskException],
    today: date,
    due: Mapping[str, date],
) -> list[ClosureRecord]:
    """Say of every finding that was in scope how it ended, one record each, in their order.

    Args:
        run: the hardening run.
        findings: of the scan, those in scope.
        planned: what each led to, skips included.
        transactions: the run's, reverting ones included.
        fresh: the look after the change; None when nobody looked.
        exceptions: accepted risks; expired ones cover nothing.
        today: Asia/Shanghai.
        due: day by which a finding must be settled, by key.
    """
    closing = _Closing(planned, transactions, fresh, exceptions, today.isoformat())
    records = []
    for finding in {each.key: each for each in findings}.values():
        closure, reason = closing.ended(finding)
        after = closing.after_words(finding, closure)
        records.append(
            ClosureRecord(
                run=run,
                finding=finding.key,
                target=finding.target,
                check=finding.check,
                location=finding.location,
                title=finding.title,
                severity=finding.severity,
                closure=closure,
                reason=reason,
                before=finding.actual,
                after=after,
                transactions=tuple(each.id for each in closing.attempts.at(finding.key).every),
                evidence_before=finding.evidence,
                evidence_after=fresh.evidence.get(finding.target, ()) if fresh and after else (),
                due=due.get(finding.key),
            )
        )
    return records


def fixed(records: Collection[ClosureRecord]) -> int:
    """How many are 已修复."""
    return sum(each.closure is Closure.FIXED for each in records)


def _because(record: TxRecord) -> str:
    return f"：{record.why}" if record.why else ""


def _mended(finding: Finding, tried: Tried) -> str:
    if tried.done:
        return "复查未再发现"
    if tried.undone:
        return "复查未再发现；本次对它的变更已撤销，由其他变更消除"
    if finding.state is FindingState.UNKNOWN:
        return "上次未能判定，复查符合要求"
    return "复查未再发现；本次没有单独对它执行变更"
