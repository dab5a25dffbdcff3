"""Take back what was changed, days later as well: what still is as we left it; the rest is told, not touched."""

from __future__ import annotations

import secrets
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agent.change.transaction import Transaction, reverting, state_of, states
from agent.flows import closing, ways
from agent.flows.changing import HostChange, Watcher, leave_to_dict, new_id
from agent.flows.held import held
from agent.model.change import Item, Planned, TxState
from agent.model.errors import AgentError, UnreachedError
from agent.model.frames import Answer, Section, split
from agent.model.hardening import HardenPlan, Leave, TxRecord
from agent.model.session import Command
from agent.model.text import one_line
from agent.store import changes, runs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from agent.app import App
    from agent.model.asset import Host
    from agent.model.ports import Session


@dataclass(frozen=True, slots=True)
class TakenBack:
    """What became of one transaction that was to be taken back."""

    record: TxRecord
    """The old one."""
    by: TxRecord | None
    """The one that took it back; None when nothing was left to put back, or nothing could be."""
    kept: tuple[str, ...] = ()
    """Handles that were put back, `KIND ARG`."""
    moved: tuple[str, ...] = ()
    """Handles that somebody changed since: left alone."""
    why: str = ""
    """Why it was not taken back, or not whole."""

    @property
    def whole(self) -> bool:
        """Whether everything is as it was before."""
        return not self.why and not self.moved


def take_back(app: App, records: Iterable[TxRecord], watch: Watcher, *, run: str = "") -> list[TakenBack]:
    """Undo confirmed transactions, host by host side by side, the newest first.

    Args:
        run: the run under which the undoing is kept; empty: the transaction's own.
    """
    by_host: dict[str, list[TxRecord]] = defaultdict(list)
    for record in records:
        by_host[record.host].append(record)
    hosts = [app.inventory.host(name) for name in by_host]
    with ThreadPoolExecutor(max(len(hosts), 1)) as pool:
        done = pool.map(lambda host: _of_host(app, host, by_host[host.name], watch, run), hosts)
        return [one for of_host in done for one in of_host]


def _of_host(app: App, host: Host, records: Sequence[TxRecord], watch: Watcher, run: str) -> list[TakenBack]:
    newest = sorted(records, key=lambda one: (str(one.sent_at), one.position), reverse=True)
    return [_one(app, host, record, watch, run) for record in newest]


def _one(app: App, host: Host, record: TxRecord, watch: Watcher, run: str) -> TakenBack:
    if any(step.irreversible for step in record.steps):
        reasons = "；".join(dict.fromkeys(step.irreversible for step in record.steps if step.irreversible))
        return TakenBack(record, None, why=f"不可回退：{reasons}")
    old = Transaction(record.id, record.steps, record.library, ttl=app.policy.ttl)
    try:
        lines, state = _compared(app, host, old)
    except UnreachedError as error:
        return TakenBack(record, None, why=one_line(f"{error.reason}: {error.message}"))
    if state is not TxState.CONFIRMED:
        return TakenBack(record, None, why=f"目标上的记录为 {state.value}，没有可用的备份")
    kept = [number for number, (word, _) in lines.items() if word == "kept"]
    moved = tuple(name for word, name in lines.values() if word in {"moved", "unknown"})
    names = tuple(lines[number][1] for number in kept)
    if not kept:
        return TakenBack(record, None, moved=moved)
    step = reverting(old, kept, record.group)
    item = Item("revert", "revert", None, target=host.name, control=record.id, title=f"撤销 {record.id}")
    run_id = run or record.run
    back = TxRecord(
        new_id(run_id),
        run_id,
        host.name,
        record.group,
        record.position,
        (Planned(item, (step,)),),
        library=record.library,
        reverts=record.id,
    )
    changes.add(app.store, [back])
    ended = _Back(app, host, watch, approved=()).one(back)
    if ended.state is TxState.CONFIRMED:
        changes.save(app.store, replace(record, reverted_by=ended.id))
        return TakenBack(record, ended, names, moved)
    return TakenBack(record, ended, (), moved, ended.why or ended.state.value)


def _compared(app: App, host: Host, old: Transaction) -> tuple[dict[int, tuple[str, str]], TxState]:
    """Each handle's number to (`kept`, `moved`, `back` or `unknown`, its name); and how the transaction stands."""
    nonce = secrets.token_hex(16)
    with ways.fresh(app, host) as session:
        told = session.run(Command(states([old.id], nonce), privileged=True, deadline=ways.LOGIN))
        state = state_of(split(told.stdout, told.stderr, nonce).get(f"tx.{old.id}"))
        if state is not TxState.CONFIRMED:
            return {}, state
        result = session.run(Command(old.compare(nonce), privileged=True, deadline=60.0))
        answer = split(result.stdout, result.stderr, nonce)["compare"]
    return _lines(answer), state


def _lines(answer: Answer) -> dict[int, tuple[str, str]]:
    found = {}
    for line in answer.text.splitlines():
        number, _, rest = line.partition(" ")
        word, _, name = rest.partition(" ")
        if number.isdigit():
            found[int(number)] = (word, name)
    return found


class _Back(HostChange):
    """A transaction whose one step puts back a capture; it is confirmed by the same fresh logins."""

    def _again(self, record: TxRecord, session: Session) -> tuple[Planned, ...]:
        """There is nothing to plan: what is put back was captured."""
        del session
        return record.planned

    def _judged(self, record: TxRecord, answers: Mapping[str, Answer]) -> str:
        """The step itself proved that each handle is as it was captured."""
        del record, answers
        return ""

    def _reads(self, record: TxRecord) -> list[Section]:
        """Nothing is read again."""
        del record
        return []


def confirmed(app: App, name: str) -> tuple[str, list[TxRecord]]:
    """The run and the confirmed transactions that a name stands for: a hardening run, or one transaction.

    Raises:
        AgentError: nothing of that name can be taken back.
    """
    try:
        found = [changes.by_id(app.store, name)]
    except AgentError:
        found = changes.of_run(app.store, name)
    mine = [one for one in found if one.state is TxState.CONFIRMED and not one.reverted_by and not one.reverts]
    if not mine:
        raise AgentError("nothing of that name can be taken back", where=name, remedy="see `agent harden --list RUN`")
    return mine[0].run, mine


@dataclass(frozen=True, slots=True)
class Undone:
    """How a roll-back ended."""

    run: str
    results: tuple[TakenBack, ...]

    @property
    def whole(self) -> bool:
        """Whether everything that was asked for is as it was before."""
        return all(one.whole for one in self.results)

    @property
    def settled(self) -> bool:
        """Whether it is known how each ended."""
        return all(one.by is None or one.by.state.settled for one in self.results)


def plan_of(run: str, records: Sequence[TxRecord]) -> HardenPlan:
    """What the gates ask about: the steps that are to be taken back."""
    planned = tuple(one for record in records for one in record.planned)
    return HardenPlan(
        run, "", "", planned, {one.item.target: record.host for record in records for one in record.planned}
    )


def run(app: App, name: str, leave: Leave, watch: Watcher) -> Undone:
    """Take back a hardening run or one transaction, kept as a run of its own.

    Raises:
        AgentError: nothing of that name can be taken back, or another process is at work on it.
        RefusedError: this machine is no designated ops location.
    """
    app.require_ops_location()
    of, records = confirmed(app, name)
    with held(app.state, of):
        now = app.clock()
        run_id = f"rollback-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        body = {"undoes": of, "transactions": [one.id for one in records], "leave": leave_to_dict(leave)}
        runs.create_run(
            app.store,
            run_id,
            kind="rollback",
            period=runs.run_by_id(app.store, of).period,
            plan=body,
            operator=app.operator,
            started_at=now,
            tasks=(),
        )
        undone = Undone(run_id, tuple(take_back(app, records, watch, run=run_id)))
        _close_again(app, of, run_id)
        app.ledger.checkpoint()
        if undone.settled:
            runs.close_run(app.store, run_id, app.clock())
        return undone


def _close_again(app: App, of: str, run_id: str) -> None:
    """Judge anew how the hardening's findings ended, now that some of its changes were taken back."""
    run = runs.run_by_id(app.store, of)
    if run.kind != "harden" or "verify" not in run.plan:
        return
    records = [*changes.of_run(app.store, of), *changes.of_run(app.store, run_id)]
    closing.close(app, changes.plan_of(run.id, run.plan), records, run.plan["verify"])
