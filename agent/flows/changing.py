"""Change one host: its transactions in order, each begun, looked at over fresh logins, confirmed or undone.

Every step is written down before it is taken, so that whoever comes after a kill knows what to ask the host.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from agent.change.contract import Facts
from agent.change.facts import facts_section
from agent.change.registry import registry
from agent.change.transaction import Transaction, begun, digests, state_of, states
from agent.flows import ways
from agent.flows.planning import DEADLINE, judged, library_of, reading_script, reads_of
from agent.model.change import GROUPS, Planned, Risk, TxState, Why
from agent.model.errors import AgentError, UnreachedError
from agent.model.frames import Answer, Section, split
from agent.model.hardening import Leave, TxRecord
from agent.model.session import Command
from agent.model.text import one_line
from agent.store import changes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from agent.app import App
    from agent.model.asset import Host
    from agent.model.ports import Session

SPARE = 30.0
"""Seconds before a target's timer within which nothing of ours is begun any more."""
SLOW = 3600.0
"""Seconds that what cannot be undone (a package upgrade) may take."""
NO_LOGIN = "新登录失败"
OTHERWISE = "已无需更改，或现状与批准的方案不同"
_SETTLE = 60.0
"""Seconds beyond the timer in which a target that does not answer is asked again."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to a transaction, for whoever watches."""

    host: str
    group: str
    state: str
    """A `TxState` value, or `begin`, `look`."""
    detail: str = ""


Watcher = Callable[[Event], None]


def records_of(run_id: str, planned: Iterable[Planned], homes: Mapping[str, str]) -> list[TxRecord]:
    """Transactions of a plan: a group a host each; items of their own by themselves; apart, what cannot be undone."""
    bundles: dict[tuple[str, str, int], list[Planned]] = defaultdict(list)
    for turn, one in enumerate(planned, 1):
        for group in dict.fromkeys(step.group for step in one.steps):
            steps = tuple(step for step in one.steps if step.group == group)
            place = turn if getattr(registry()[one.item.resource], "alone", False) else 0
            if any(step.irreversible for step in steps):
                place = -1  # all together: one run of the package manager
            bundles[homes[one.item.target], group, place].append(replace(one, steps=steps))
    records = []
    order = sorted(bundles, key=lambda key: (key[0], GROUPS.index(key[1]), key[2]))
    for position, (host, group, turn) in enumerate(order, 1):
        mine = bundles[host, group, turn]
        records.append(
            TxRecord(
                new_id(run_id), run_id, host, group, position, tuple(mine), library=library_of(p.item for p in mine)
            )
        )
    return records


def new_id(run_id: str) -> str:
    """An id for a transaction: unique for all times, and a name that a folder and a unit may bear."""
    return f"{run_id.rpartition('-')[2]}-{secrets.token_hex(5)}"


def leave_to_dict(leave: Leave) -> dict[str, Any]:
    """What the gates let through, for a run's row."""
    body = asdict(leave)
    if leave.ticket:
        body["ticket"] |= {"start": leave.ticket.start.isoformat(), "end": leave.ticket.end.isoformat()}
    return body


class HostChange:
    """The transactions of one host, one after the other."""

    def __init__(
        self, app: App, host: Host, watch: Watcher, *, approved: Collection[tuple[str, str, str]], wave: int = 0
    ) -> None:
        """Take what was approved as (target, control, digest of a step); whatever else comes up is left alone."""
        self.app, self.host, self.watch, self.approved, self.wave = app, host, watch, approved, wave
        self.homes = {host.name: host.name} | {db.name: host.name for db in ways.databases_on(app, host)}

    def run(self, records: Sequence[TxRecord]) -> list[TxRecord]:
        """Do them all; what is undone does not keep the next from being tried, an unknown end does."""
        done: list[TxRecord] = []
        waiting = list(records)
        while waiting:
            record = replace(waiting.pop(0), wave=self.wave)
            ended = self.one(record)
            if ended.state is TxState.UNDONE and len(ended.planned) > 1 and not _of_connection(ended):
                parts = self._apart(ended)
                ended = replace(ended, why=f"{ended.why}（逐项重做）")
                changes.save(self.app.store, ended)
                changes.add(self.app.store, parts)
                waiting = [*parts, *waiting]
            done.append(ended)
            if ended.state in {TxState.UNKNOWN, TxState.BROKEN, TxState.ARMED, TxState.UNDOING}:
                break
        return done

    def _apart(self, record: TxRecord) -> list[TxRecord]:
        """One transaction an item, so that the one that cannot be done does not hold back the rest."""
        return [
            TxRecord(
                new_id(record.run),
                record.run,
                record.host,
                record.group,
                record.position,
                (one,),
                library=record.library,
            )
            for one in record.planned
        ]

    def one(self, record: TxRecord) -> TxRecord:
        """Do one transaction; its record as it stands at the end."""
        sent = record
        try:
            with ways.fresh(self.app, self.host) as first:  # kept open: a session outlives a dead listener
                planned = self._again(record, first)
                if not planned:
                    return self._end(record, TxState.ABSENT, OTHERWISE)
                self._fallen(record, planned)
                sent = replace(record, planned=planned, state=TxState.SENT, sent_at=self.app.clock())
                changes.save(self.app.store, sent)
                return self._begun(sent, first)
        except UnreachedError as error:
            why = one_line(f"{error.reason}: {error.message}")
            if sent is record:
                return self._end(record, TxState.ABSENT, why)
            return self.settle(replace(sent, why=why))

    def _again(self, record: TxRecord, session: Session) -> tuple[Planned, ...]:
        """The steps that are still to be done, read anew, and approved."""
        items = [one.item for one in record.planned]
        answers = self._ask(session, lambda nonce: reading_script(items, nonce), DEADLINE)
        kept = []
        for one in judged(items, answers)[1]:
            steps = tuple(
                step
                for step in one.steps
                if step.group == record.group and (one.item.target, one.item.control, step.digest) in self.approved
            )
            if steps:
                kept.append(replace(one, steps=steps))
        return tuple(kept)

    def _fallen(self, record: TxRecord, planned: Sequence[Planned]) -> None:
        """Keep a record of the steps that were planned and are not sent: none is left without a word."""
        sent = {(one.item.id, step.name) for one in planned for step in one.steps}
        fallen = []
        for one in record.planned:
            steps = tuple(step for step in one.steps if (one.item.id, step.name) not in sent)
            if steps:
                fallen.append(replace(one, steps=steps))
        if fallen:
            apart = replace(record, id=new_id(record.run), planned=tuple(fallen))
            changes.add(self.app.store, [apart])
            self._end(apart, TxState.ABSENT, OTHERWISE)

    def transaction(self, record: TxRecord) -> Transaction:
        """What is sent to the target."""
        return Transaction(record.id, record.steps, record.library, ttl=self.app.policy.ttl)

    def _begun(self, record: TxRecord, first: Session) -> TxRecord:
        tx = self.transaction(record)
        limit = SLOW if tx.irreversible else max(self.app.policy.ttl - SPARE, SPARE)
        self.watch(Event(self.host.name, record.group, "begin", f"{len(record.steps)} steps"))
        answers = self._ask(first, tx.begin, limit)
        record = self._sealed(record, "change-begin", answers)
        start = begun(answers)
        record = replace(record, armed_by=start.armed_by)
        if start.failed:
            return self._failed(record, f"{start.failed}: {one_line(start.why, 300)}", start.state)
        if tx.irreversible:
            return self._looked_only(record, tx, start.state)
        try:
            why, record = self._confirmed(record, tx)
        except UnreachedError as error:
            why = one_line(f"{NO_LOGIN}：{error.message}")
        if not why:
            return self._end(record, TxState.CONFIRMED)
        return self._undone(record, tx, first, why)

    def _failed(self, record: TxRecord, why: str, state: TxState) -> TxRecord:
        """The target stopped by itself; where it says no final word it is asked until it does."""
        if state.settled:
            return self._end(record, state, why)
        return self.settle(replace(record, why=why))

    def _confirmed(self, record: TxRecord, tx: Transaction) -> tuple[str, TxRecord]:
        """Look over fresh logins and claim it; (why it must be undone, the record). Raises UnreachedError."""
        self.watch(Event(self.host.name, record.group, "look"))
        with ways.fresh(self.app, self.host) as second:
            why, record = self._looked(record, tx, second)
            if why:
                return why, record
            good, bad = ways.ways_in(self.app, self.host, first=False)
            record = replace(record, ways=(f"login {ways.ways(self.host)[0]}", *good))
            if bad:
                return f"{NO_LOGIN}：{'；'.join(bad)}", record
            if silent := self._databases(record):
                return f"数据库不再应答：{silent}", record
            answer = self._ask(second, tx.confirm, ways.LOGIN)
        record = self._sealed(record, "change-confirm", answer)
        state = state_of(answer.get("confirm"))
        return ("" if state is TxState.CONFIRMED else f"未能确认（{state.value}）"), record

    def _databases(self, record: TxRecord) -> str:
        """Databases whose own settings were changed and that the scan's account cannot use any more."""
        if record.group not in {"mysql", "postgresql"}:
            return ""
        mine = {one.item.target for one in record.planned}
        silent = [
            (db, ways.no_database(self.app, db)) for db in ways.databases_on(self.app, self.host) if db.name in mine
        ]
        return "；".join(f"{db.name}: {why}" for db, why in silent if why)

    def _looked(self, record: TxRecord, tx: Transaction, session: Session) -> tuple[str, TxRecord]:
        """Read again by the code that planned: nothing that was done may be left to do."""
        answers = self._ask(session, lambda nonce: tx.look(nonce, self._reads(record)), SPARE * 2)
        record = self._sealed(record, "change-look", answers)
        if not answers["who"].text.startswith("0\n"):
            return f"{NO_LOGIN}：没有得到 root 权限", record
        for key, answer in answers.items():
            if key.startswith("confirm.") and answer.rc:
                return f"复核未通过：{one_line(answer.errors or answer.text)[-200:]}", record
        if "left" in answers and answers["left"].rc and not tx.irreversible:
            return "复核时事务已不在", record
        record = replace(record, digests=digests(answers["left"]) if "left" in answers else {})
        return self._judged(record, answers), record

    def _reads(self, record: TxRecord) -> list[Section]:
        return [facts_section(), *reads_of([one.item for one in record.planned], Facts({}))]

    def _judged(self, record: TxRecord, answers: Mapping[str, Answer]) -> str:
        """Why the second reading does not bear out what was done; empty when it does."""
        names = {(one.item.id, step.name) for one in record.planned for step in one.steps}
        for again in judged([one.item for one in record.planned], answers)[1]:
            left = [step.name for step in again.steps if (again.item.id, step.name) in names]
            if left:
                return f"重读后仍未生效：{'、'.join(left)}"
            if again.skip and again.skip.why is Why.ERROR:
                return f"重读失败：{again.skip.text}"
        return ""

    def _looked_only(self, record: TxRecord, tx: Transaction, state: TxState) -> TxRecord:
        """What cannot be undone is looked at all the same: its record says what did not take effect."""
        good, bad = ways.ways_in(self.app, self.host)
        record = replace(record, ways=tuple(good))
        why = f"{NO_LOGIN}：{'；'.join(bad)}" if bad else ""
        with contextlib.suppress(UnreachedError), ways.fresh(self.app, self.host) as second:
            said, record = self._looked(record, tx, second)
            why = why or said
        return self._end(record, state, why)

    def _undone(self, record: TxRecord, tx: Transaction, first: Session, why: str) -> TxRecord:
        """Have the target undo it now, over the session that is still open; else wait for its own timer."""
        record = replace(record, why=why)
        try:
            answers = self._ask(first, tx.undo, SPARE * 4)
            record = self._sealed(record, "change-undo", answers)
            words = answers["undo"].text.split()
            state = TxState(words[-1]) if words else TxState.UNKNOWN
            if state.settled or state is TxState.BROKEN:
                return self._end(record, state, why)
        except (UnreachedError, ValueError):
            pass
        return self.settle(record)

    def settle(self, record: TxRecord) -> TxRecord:
        """Ask the target how a transaction stands until it says a final word, or its timer is long over."""
        until = time.monotonic() + self.app.policy.ttl + _SETTLE
        while True:
            state = self._state(record)
            if state is TxState.OPENED and time.monotonic() < until:
                state = TxState.UNKNOWN  # whoever began it may still be about to arm it
            if state.settled or state is TxState.BROKEN:
                return self._end(record, state, record.why)
            if time.monotonic() >= until:
                return self._end(record, state if state is not TxState.ARMED else TxState.UNKNOWN, record.why)
            time.sleep(2)

    def _state(self, record: TxRecord) -> TxState:
        """How the target says that it stands; one that is armed and nobody's is undone on the spot."""
        try:
            with ways.fresh(self.app, self.host) as session:
                answers = self._ask(session, lambda nonce: states([record.id], nonce), ways.LOGIN)
                state = state_of(answers.get(f"tx.{record.id}"))
                if state is TxState.ARMED:
                    answers = self._ask(session, self.transaction(record).undo, SPARE * 4)
                    words = answers["undo"].text.split()
                    state = TxState(words[-1]) if words else TxState.UNKNOWN
                return state
        except (AgentError, ValueError):
            return TxState.UNKNOWN

    def _ask(self, session: Session, script: Callable[[str], str], seconds: float) -> Mapping[str, Answer]:
        nonce = secrets.token_hex(16)
        result = session.run(Command(script(nonce), privileged=True, deadline=seconds))
        return split(result.stdout, result.stderr, nonce)

    def _sealed(self, record: TxRecord, kind: str, answers: Mapping[str, Answer]) -> TxRecord:
        """Seal what the target answered, and write down that it did."""
        body = {
            "transaction": record.id,
            "host": record.host,
            "at": self.app.clock().isoformat(),
            "operator": self.app.operator,
            "steps": [[step.resource, step.name, step.before, step.after, step.write] for step in record.steps],
            "answers": {key: [answer.rc, answer.text, answer.errors] for key, answer in answers.items()},
        }
        payload = json.dumps(body, ensure_ascii=False, sort_keys=True).encode(errors="surrogatepass")
        seq = self.app.ledger.seal(kind, payload, run=record.run, subject=record.host).seq
        record = replace(record, evidence=(*record.evidence, seq))
        changes.save(self.app.store, record)
        return record

    def _end(self, record: TxRecord, state: TxState, why: str = "") -> TxRecord:
        record = replace(record, state=state, why=why, ended_at=self.app.clock())
        changes.save(self.app.store, record)
        self.watch(Event(self.host.name, record.group, state.value, why))
        return record


def _of_connection(record: TxRecord) -> bool:
    """Whether it was undone for a reason that each of its items alone would meet as well."""
    return record.why.startswith(NO_LOGIN) and not any(Risk.LOCKOUT in step.risk for step in record.steps)
