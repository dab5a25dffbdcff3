"""Which hardenings count for the contract, and what the others lack; pure.

One host-time (or database) counts only with all of: a signed ticket that covers it, a backup, a confirmed change, a
later look with evidence, and the proof that it can be undone. Everything else is a gap that names what is missing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from agent.model.change import TxState
from agent.model.duties import Credit, Earned, Gap, Quota
from agent.model.hardening import ClosureRecord, Leave, TxRecord

EVERY = "*"
_LOST = frozenset({TxState.SENT, TxState.ARMED, TxState.UNDOING, TxState.BROKEN, TxState.UNKNOWN})


def credit(
    targets: Mapping[str, str],
    quota: Quota,
    leave: Leave | None,
    transactions: Sequence[TxRecord],
    closures: Iterable[ClosureRecord],
) -> Credit:
    """Weigh a run.

    Args:
        targets: name to `host` or `database`, those that are to be weighed, in order.
        quota: what the contract buys.
        leave: what the gates let through; None: nothing is known.
        transactions: the run's.
        closures: how its findings ended.
    """
    by_target: dict[str, list[TxRecord]] = defaultdict(list)
    for record in transactions:
        if not record.reverts:
            for name in dict.fromkeys(one.item.target or record.host for one in record.planned):
                by_target[name].append(record)
    checked: dict[str, list[ClosureRecord]] = defaultdict(list)
    for closure in closures:
        checked[closure.target].append(closure)
    rows = [_earned(name, kind, leave, by_target[name], checked[name]) for name, kind in targets.items()]
    return Credit(tuple(rows), quota)


def _earned(
    name: str, kind: str, leave: Leave | None, transactions: Sequence[TxRecord], closures: Sequence[ClosureRecord]
) -> Earned:
    done = [each for each in transactions if each.state is TxState.CONFIRMED and not each.reverted_by]
    oneway = [each for each in done if any(step.irreversible for step in each.steps)]
    undoable = [each for each in done if each not in oneway]
    broken = [each for each in transactions if each.state in _LOST]
    gaps = [
        *_ticket(name, leave, done),
        *_backup(undoable, oneway),
        *_action(done, broken),
        *_check(done, closures),
        *_undo(undoable),
    ]
    upgrades = [
        f"{step.name}（{step.before} → {step.after}）：{step.irreversible}"
        for each in oneway
        for one in each.planned
        if (one.item.target or each.host) == name
        for step in one.steps
    ]
    return Earned(
        name,
        kind,
        tuple(gaps),
        tuple(each.id for each in done),
        sum(len(_handles(each)) for each in undoable),
        tuple(dict.fromkeys(upgrades)),
    )


def _handles(record: TxRecord) -> set[object]:
    return {handle for step in record.steps for handle in step.handles}


def _uncaptured(record: TxRecord) -> int:
    """Handles without a digest of their state before; they are numbered from 1."""
    return sum(not record.digests.get(number, ("", ""))[0] for number in range(1, len(_handles(record)) + 1))


def _ticket(name: str, leave: Leave | None, done: Sequence[TxRecord]) -> list[Gap]:
    ticket = leave.ticket if leave else None
    if leave is None or ticket is None:
        return [Gap("ticket", "没有工单")]
    gaps = []
    if not ticket.signed:
        gaps.append(Gap("ticket", f"工单 {ticket.number} 未验签"))
    if EVERY not in ticket.targets and name not in ticket.targets:
        gaps.append(Gap("ticket", f"工单 {ticket.number} 不含该目标"))
    if not leave.evidence:
        gaps.append(Gap("ticket", f"工单 {ticket.number} 没有封存为证据"))
    late = [each.id for each in done if each.sent_at and not ticket.start <= each.sent_at <= ticket.end]
    if late:
        gaps.append(Gap("ticket", f"不在工单时间内执行：{'、'.join(late)}"))
    return gaps


def _backup(undoable: Sequence[TxRecord], oneway: Sequence[TxRecord]) -> list[Gap]:
    if any(_handles(each) and _uncaptured(each) < len(_handles(each)) for each in undoable):
        return []
    return [Gap("backup", "只有不可回退的变更，没有变更前的备份" if oneway else "没有变更前的备份与摘要")]


def _action(done: Sequence[TxRecord], broken: Sequence[TxRecord]) -> list[Gap]:
    gaps = [] if done else [Gap("action", "没有已确认的变更")]
    if broken:
        names = "、".join(f"{each.id}（{each.state.value}）" for each in broken)
        gaps.append(Gap("action", f"事务没有了结：{names}"))
    return gaps


def _check(done: Sequence[TxRecord], closures: Sequence[ClosureRecord]) -> list[Gap]:
    names = {each.id for each in done}
    changed = [each for each in closures if names & set(each.transactions)]
    if not changed:
        return [Gap("check", "变更没有对应的闭环记录")]
    blind = sum(not each.evidence_after for each in changed)
    return [Gap("check", f"{blind} 项变更没有复查证据（共 {len(changed)} 项）")] if blind else []


def _undo(undoable: Sequence[TxRecord]) -> list[Gap]:
    if not undoable:
        return [Gap("undo", "没有可回退的变更，无从证明")]
    gaps = []
    lacking = [f"{each.id} 缺 {_uncaptured(each)} 项" for each in undoable if _uncaptured(each)]
    bare = [each.id for each in undoable if not _handles(each)]
    unarmed = [each.id for each in undoable if not each.armed_by]
    if lacking:
        gaps.append(Gap("undo", f"变更前摘要不全：{'、'.join(lacking)}"))
    if bare:
        gaps.append(Gap("undo", f"没有登记所改对象：{'、'.join(bare)}"))
    if unarmed:
        gaps.append(Gap("undo", f"没有布设自动撤销：{'、'.join(unarmed)}"))
    return gaps
