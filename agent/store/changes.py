"""Transactions and closures of hardening runs."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from agent.model.change import Act, Closure, Handle, Item, Planned, Risk, Skip, Step, TxState, Why
from agent.model.errors import StoreError
from agent.model.hardening import ClosureRecord, HardenPlan, TxRecord
from agent.model.severity import Severity
from agent.store import schema
from agent.store.times import from_text, to_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from agent.store.engine import Store


def planned_to_dict(planned: Planned) -> dict[str, Any]:
    """For JSON."""
    return asdict(planned)


def planned_from_dict(raw: Mapping[str, Any]) -> Planned:
    """Read it back. Raises KeyError, TypeError, ValueError for anything else."""
    item = dict(raw["item"])
    item["findings"] = tuple(item["findings"])
    item["risk"] = tuple(Risk(each) for each in item["risk"])
    skip = raw.get("skip")
    return Planned(
        Item(**item),
        tuple(_step(each) for each in raw["steps"]),
        Skip(Why(skip["why"]), skip["text"]) if skip else None,
    )


def plan_of(run_id: str, plan: Mapping[str, Any]) -> HardenPlan:
    """The plan that a hardening run's row keeps."""
    planned = tuple(planned_from_dict(one) for one in plan["planned"])
    return HardenPlan(run_id, plan["scan"], plan["profile"], planned, plan["hosts"], plan["unread"])


def _step(raw: Mapping[str, Any]) -> Step:
    values = dict(raw)
    values["handles"] = tuple(Handle(each["kind"], tuple(each["args"])) for each in raw["handles"])
    values["acts"] = tuple(Act(each["verb"], tuple(each["args"])) for each in raw["acts"])
    values["risk"] = tuple(Risk(each) for each in raw["risk"])
    return Step(**values)


def add(store: Store, records: Iterable[TxRecord]) -> None:
    """Write transactions that are to be done, before any target is touched.

    Raises:
        StoreError: an id is taken, or the run is not known.
    """
    rows = [_row(record) for record in records]
    if not rows:
        return
    try:
        with store.write() as connection:
            connection.execute(insert(schema.change_tx), rows)
    except IntegrityError as error:
        raise StoreError(
            "a transaction of that id exists already, or its run does not", remedy="run the verb again"
        ) from error


def save(store: Store, record: TxRecord) -> None:
    """Write how a transaction stands now.

    Raises:
        StoreError: it was never added.
    """
    row = _row(record)
    with store.write() as connection:
        done = connection.execute(
            update(schema.change_tx).where(schema.change_tx.c.id == record.id).values(row)
        ).rowcount
    if done != 1:
        raise StoreError("no such transaction", where=record.id)


def of_run(store: Store, run_id: str) -> list[TxRecord]:
    """The run's transactions, by host and position."""
    table = schema.change_tx
    return _records(
        store, select(table).where(table.c.run == run_id).order_by(table.c.host, table.c.position, table.c.id)
    )


def unsettled(store: Store) -> list[TxRecord]:
    """Transactions of any run that were sent, and about which nothing final is known."""
    table = schema.change_tx
    open_states = [state.value for state in TxState if not state.settled and state is not TxState.PLANNED]
    return _records(store, select(table).where(table.c.state.in_(open_states)).order_by(table.c.sent_at))


def by_id(store: Store, tx_id: str) -> TxRecord:
    """One transaction. Raises StoreError when there is none."""
    found = _records(store, select(schema.change_tx).where(schema.change_tx.c.id == tx_id))
    if not found:
        raise StoreError("no such transaction", where=tx_id, remedy="see `agent harden --list RUN`")
    return found[0]


def close(store: Store, run_id: str, records: Sequence[ClosureRecord]) -> None:
    """Keep the closures of a run, in place of earlier ones."""
    rows = []
    for record in records:
        body = asdict(record)
        body["due"] = record.due.isoformat() if record.due else ""
        rows.append(
            {
                "run": run_id,
                "finding": record.finding,
                "target": record.target,
                "closure": record.closure.value,
                "body": json.dumps(body, ensure_ascii=False, sort_keys=True),
            }
        )
    with store.write() as connection:
        connection.execute(delete(schema.closure).where(schema.closure.c.run == run_id))
        if rows:
            connection.execute(insert(schema.closure), rows)


def closures(store: Store, run_id: str) -> list[ClosureRecord]:
    """How the run's findings ended, by target and finding."""
    table = schema.closure
    query = select(table.c.body).where(table.c.run == run_id).order_by(table.c.target, table.c.finding)
    found = []
    with store.read() as connection:
        for body in connection.execute(query).scalars():
            raw = json.loads(body)
            raw["severity"], raw["closure"] = Severity(raw["severity"]), Closure(raw["closure"])
            raw["due"] = date.fromisoformat(raw["due"]) if raw["due"] else None
            for name in ("transactions", "evidence_before", "evidence_after"):
                raw[name] = tuple(raw[name])
            found.append(ClosureRecord(**raw))
    return found


def note(store: Store, run_id: str, more: Mapping[str, Any]) -> None:
    """Add to what an open run says of itself (`run.plan`); a closed run is left alone.

    Raises:
        StoreError: there is no such run, or it is closed.
    """
    table = schema.run
    with store.write() as connection:
        text = connection.execute(select(table.c.plan).where(table.c.id == run_id, table.c.state != "closed")).scalar()
        if text is None:
            raise StoreError("no such open run", where=run_id)
        plan = json.dumps({**json.loads(text), **more}, ensure_ascii=False)
        connection.execute(update(table).where(table.c.id == run_id).values(plan=plan))


def _row(record: TxRecord) -> dict[str, Any]:
    body = {
        "planned": [planned_to_dict(one) for one in record.planned],
        "wave": record.wave,
        "library": record.library,
        "armed_by": record.armed_by,
        "why": record.why,
        "ways": record.ways,
        "digests": {str(number): pair for number, pair in record.digests.items()},
        "evidence": record.evidence,
        "reverts": record.reverts,
        "reverted_by": record.reverted_by,
    }
    return {
        "id": record.id,
        "run": record.run,
        "host": record.host,
        "grp": record.group,
        "position": record.position,
        "state": record.state.value,
        "sent_at": to_text(record.sent_at) if record.sent_at else "",
        "ended_at": to_text(record.ended_at) if record.ended_at else "",
        "body": json.dumps(body, ensure_ascii=False),  # in its own order: what is planned from it has the same digests
    }


def _records(store: Store, query: Any) -> list[TxRecord]:  # noqa: ANN401 - a select
    found = []
    with store.read() as connection:
        for row in connection.execute(query).mappings():
            body = json.loads(row["body"])
            found.append(
                TxRecord(
                    id=row["id"],
                    run=row["run"],
                    host=row["host"],
                    group=row["grp"],
                    position=row["position"],
                    planned=tuple(planned_from_dict(one) for one in body["planned"]),
                    state=TxState(row["state"]),
                    wave=body["wave"],
                    library=tuple(body["library"]),
                    sent_at=from_text(row["sent_at"]) if row["sent_at"] else None,
                    ended_at=from_text(row["ended_at"]) if row["ended_at"] else None,
                    armed_by=body["armed_by"],
                    why=body["why"],
                    ways=tuple(body["ways"]),
                    digests={int(number): (pair[0], pair[1]) for number, pair in body["digests"].items()},
                    evidence=tuple(body["evidence"]),
                    reverts=body["reverts"],
                    reverted_by=body["reverted_by"],
                )
            )
    return found
