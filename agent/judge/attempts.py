"""What was tried for each finding: of every step the newest attempt counts; pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from agent.model.change import Planned, Risk, Step, TxState
from agent.model.hardening import TxRecord

NEVER = frozenset({TxState.PLANNED, TxState.ABSENT, TxState.OPENED})
"""States of a transaction that changed nothing."""
OPEN = {
    TxState.SENT: "已下发，结果未知",
    TxState.ARMED: "已执行，尚未确认，到时自动撤销",
    TxState.UNDOING: "正在撤销",
    TxState.BROKEN: "撤销未能全部完成，须人工核对",
    TxState.UNFINISHED: "不可回退的操作中途停止",
    TxState.UNKNOWN: "目标未能联系上，状态未知",
}
"""States of one of which nobody can say that it ended well, in the report's words."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What was tried for one finding."""

    every: tuple[TxRecord, ...]
    done: tuple[TxRecord, ...]
    """Confirmed and still in force."""
    undone: tuple[TxRecord, ...]
    """Undone by the target, or taken back later."""
    unsettled: tuple[TxRecord, ...]
    never: tuple[TxRecord, ...]
    last: datetime | None
    """When the last of them, or what took it back, ended; None: nothing was begun, or no end is known."""
    ended: bool
    """Whether all that was begun has an end."""
    steps: tuple[tuple[Planned, Step], ...]
    """Those that are in force."""

    @property
    def waits(self) -> tuple[str, ...]:
        """Names of settings in force that act only after a restart which no transaction made."""
        return tuple(dict.fromkeys(step.name for one, step in self.steps if _waits(one, step)))


class Attempts:
    """A run's transactions by finding."""

    def __init__(self, transactions: Sequence[TxRecord]) -> None:
        self.records = {record.id: record for record in transactions}
        self._of: dict[str, list[TxRecord]] = defaultdict(list)
        for record in transactions:
            if not record.reverts:
                for key in dict.fromkeys(key for one in record.planned for key in one.item.findings):
                    self._of[key].append(record)

    def at(self, key: str) -> Tried:
        """All attempts at a finding."""
        every = sorted(self._of.get(key, ()), key=_turn)
        newest: dict[tuple[str, str, str], TxRecord] = {}
        for record in every:
            for one in record.planned:
                if key in one.item.findings:
                    newest |= dict.fromkeys(((step.resource, step.group, step.name) for step in one.steps), record)
        count = tuple({record.id: record for record in newest.values()}.values())
        begun = [record for record in every if record.state not in NEVER]
        back = [self.records.get(record.reverted_by) for record in begun if record.reverted_by]
        moments = [each.ended_at if each else None for each in (*begun, *back)]
        known = [moment for moment in moments if moment]
        done = tuple(each for each in count if each.state is TxState.CONFIRMED and not each.reverted_by)
        return Tried(
            every=tuple(every),
            done=done,
            undone=tuple(each for each in count if each.state is TxState.UNDONE or each.reverted_by),
            unsettled=tuple(each for each in count if each.state in OPEN and not each.reverted_by),
            never=tuple(each for each in count if each.state in NEVER),
            last=max(known, default=None),
            ended=len(known) == len(moments),
            steps=tuple(
                (one, step) for tx in done for one in tx.planned if key in one.item.findings for step in one.steps
            ),
        )


def _turn(record: TxRecord) -> tuple[str, int]:
    return record.sent_at.isoformat() if record.sent_at else "", record.position


def _waits(one: Planned, step: Step) -> bool:
    """Whether a confirmed step takes effect at a restart that the transaction did not make."""
    risks = {*step.risk, *one.item.risk}
    if Risk.REBOOT in risks:
        return True
    return Risk.RESTART in risks and not any("restart" in act.verb for act in step.acts)
