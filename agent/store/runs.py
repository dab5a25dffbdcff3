"""Runs and what belongs to them: tasks, findings, verdicts; and changelogs that were fetched once."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, RowMapping, Table, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from agent.model.control import Outcome, Verdict
from agent.model.errors import StoreError
from agent.store import schema
from agent.store.rows import VERDICT_FIELDS, finding_from_json, finding_row, verdict_row
from agent.store.times import from_text, to_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from agent.model.finding import Finding
    from agent.store.engine import Store

STATES = ("open", "observed", "judged", "closed")
"""The states of a run, in order."""


@dataclass(frozen=True, slots=True)
class Run:
    """One round of work and how far it came."""

    id: str
    kind: str
    """`scan`, or `rejudge` for a second judgement over the evidence of a scan (`plan["of"]`)."""
    period: str
    """Period id; empty for a round outside any period."""
    plan: Mapping[str, Any]
    """What was asked for, as it was given to `create_run`; a resumed run reads it back."""
    operator: str
    state: str
    """One of STATES."""
    started_at: datetime
    finished_at: datetime | None
    summary: Mapping[str, Any] = field(default_factory=dict)

    @property
    def observed(self) -> str:
        """The run under which the evidence was sealed: its own, or the one that is judged again."""
        return str(self.plan.get("of", self.id))


@dataclass(frozen=True, slots=True)
class Task:
    """One target looked at in one way. A killed run does only those that still wait."""

    target: str
    kind: str
    """`host`, `database` or `network`."""
    state: str
    """`waiting`, `done` or `unreached`."""
    at: datetime | None = None
    evidence: int | None = None
    """Ledger sequence number of what the target answered."""
    nonce: str = ""
    reason: str = ""
    """A `model.observation.Reason` value when unreached."""
    detail: str = ""


def create_run(
    store: Store,
    run_id: str,
    *,
    kind: str,
    period: str,
    plan: Mapping[str, Any] | str,
    operator: str,
    started_at: datetime,
    tasks: Iterable[tuple[str, str]],
) -> Run:
    """Write a run and its waiting tasks (target, kind) in one transaction.

    Args:
        plan: a JSON object, as a mapping or as its text.

    Raises:
        StoreError: the id is taken, a task occurs twice, or the database cannot be written.
    """
    text = plan if isinstance(plan, str) else json.dumps(plan, ensure_ascii=False)
    row = {
        "id": run_id,
        "kind": kind,
        "period": period,
        "plan": text,
        "operator": operator,
        "state": "open",
        "started_at": to_text(started_at),
        "finished_at": "",
        "summary": "{}",
    }
    waiting = [{"run": run_id, "target": target, "kind": each, "state": "waiting"} for target, each in tasks]
    try:
        with store.write() as connection:
            connection.execute(insert(schema.run).values(row))
            _insert(connection, schema.task, waiting)
    except IntegrityError as error:
        raise StoreError(
            "the run exists already, or one of its tasks is named twice", where=run_id, remedy="run the verb again"
        ) from error
    return run_by_id(store, run_id)


def run_by_id(store: Store, run_id: str) -> Run:
    """Return the run.

    Raises:
        StoreError: there is none with this id.
    """
    with store.read() as connection:
        row = connection.execute(select(schema.run).where(schema.run.c.id == run_id)).mappings().first()
    if row is None:
        raise StoreError("no such run", where=run_id, remedy="see `agent findings runs`")
    return _run(row)


def latest_runs(store: Store, kind: str, period: str | None = None) -> list[Run]:
    """Return runs of that kind (and period), the newest first."""
    query = select(schema.run).where(schema.run.c.kind == kind)
    if period is not None:
        query = query.where(schema.run.c.period == period)
    query = query.order_by(schema.run.c.started_at.desc(), schema.run.c.id.desc())
    with store.read() as connection:
        return [_run(row) for row in connection.execute(query).mappings()]


def tasks(store: Store, run_id: str) -> list[Task]:
    """Return the run's tasks, by target and kind."""
    query = select(schema.task).where(schema.task.c.run == run_id).order_by(schema.task.c.target, schema.task.c.kind)
    with store.read() as connection:
        return [
            Task(
                target=row["target"],
                kind=row["kind"],
                state=row["state"],
                at=from_text(row["at"]) if row["at"] else None,
                evidence=row["evidence"],
                nonce=row["nonce"],
                reason=row["reason"],
                detail=row["detail"],
            )
            for row in connection.execute(query).mappings()
        ]


def finish_task(
    store: Store,
    run_id: str,
    target: str,
    kind: str,
    *,
    state: str,
    at: datetime,
    evidence: int | None = None,
    nonce: str = "",
    reason: str = "",
    detail: str = "",
) -> None:
    """Say that a task is done, or why its target was not reached.

    Raises:
        StoreError: the run has no such task, or the database cannot be written.
    """
    values = {
        "state": state,
        "at": to_text(at),
        "evidence": evidence,
        "nonce": nonce,
        "reason": reason,
        "detail": detail,
    }
    key = (schema.task.c.run == run_id, schema.task.c.target == target, schema.task.c.kind == kind)
    with store.write() as connection:
        changed = connection.execute(update(schema.task).where(*key).values(values)).rowcount
    if changed != 1:
        raise StoreError(f"no task {kind} for target {target!r} in this run", where=run_id)


def set_state(store: Store, run_id: str, state: str) -> None:
    """Move a run to `open`, `observed` or `judged`; closing is `close_run`'s.

    Raises:
        StoreError: there is no such run, or it is closed.
    """
    _change(store, run_id, {"state": state})


def close_run(store: Store, run_id: str, at: datetime) -> None:
    """Finish a run; nothing in it changes afterwards.

    Raises:
        StoreError: there is no such run, or it is closed already.
    """
    _change(store, run_id, {"state": "closed", "finished_at": to_text(at)})


def save_judgement(
    store: Store,
    run_id: str,
    findings: Sequence[Finding],
    verdicts: Sequence[Verdict],
    summary: Mapping[str, Any],
) -> None:
    """Keep a judgement in one transaction, in place of an earlier one of that run.

    Raises:
        StoreError: there is no such run, it is closed, or two findings (verdicts) claim the same place.
    """
    rows = [finding_row(run_id, position, finding) for position, finding in enumerate(findings)]
    _refuse_twins(
        run_id, "findings", [row["key"] for row in rows], [f"{f.target} {f.check} {f.location}" for f in findings]
    )
    places = [(verdict.target, verdict.control, verdict.location) for verdict in verdicts]
    _refuse_twins(run_id, "verdicts", places, [" ".join(place) for place in places])
    with store.write() as connection:
        _change_in(
            connection, run_id, {"state": "judged", "summary": json.dumps(summary, ensure_ascii=False, sort_keys=True)}
        )
        for table in (schema.finding, schema.verdict):
            connection.execute(delete(table).where(table.c.run == run_id))
        _insert(connection, schema.finding, rows)
        _insert(connection, schema.verdict, [verdict_row(run_id, verdict) for verdict in verdicts])


def findings(store: Store, run_id: str) -> list[Finding]:
    """Return the run's findings in the order in which they were saved."""
    query = select(schema.finding.c.body).where(schema.finding.c.run == run_id).order_by(schema.finding.c.position)
    with store.read() as connection:
        return [finding_from_json(body) for body in connection.execute(query).scalars()]


def verdicts(store: Store, run_id: str) -> list[Verdict]:
    """Return the run's verdicts by target, control and location."""
    table = schema.verdict
    query = select(table).where(table.c.run == run_id).order_by(table.c.target, table.c.control, table.c.location)
    with store.read() as connection:
        return [
            Verdict(**{name: row[name] for name in VERDICT_FIELDS} | {"outcome": Outcome(row["outcome"])})
            for row in connection.execute(query).mappings()
        ]


def changelog(store: Store, source: str, version: str) -> str | None:
    """Return the changelog that was fetched for a source package's version; None when it never was."""
    table = schema.changelog
    query = select(table.c.text).where(table.c.source == source, table.c.version == version)
    with store.read() as connection:
        text: str | None = connection.execute(query).scalar()
    return text


def keep_changelog(store: Store, source: str, version: str, text: str, at: datetime) -> None:
    """Keep a changelog, in place of an earlier one of the same version."""
    table = schema.changelog
    with store.write() as connection:
        connection.execute(delete(table).where(table.c.source == source, table.c.version == version))
        connection.execute(insert(table).values(source=source, version=version, text=text, fetched_at=to_text(at)))


def _run(row: RowMapping) -> Run:
    return Run(
        id=row["id"],
        kind=row["kind"],
        period=row["period"],
        plan=json.loads(row["plan"]),
        operator=row["operator"],
        state=row["state"],
        started_at=from_text(row["started_at"]),
        finished_at=from_text(row["finished_at"]) if row["finished_at"] else None,
        summary=json.loads(row["summary"]),
    )


def _change(store: Store, run_id: str, values: Mapping[str, str]) -> None:
    with store.write() as connection:
        _change_in(connection, run_id, values)


def _change_in(connection: Connection, run_id: str, values: Mapping[str, str]) -> None:
    table = schema.run
    changed = connection.execute(
        update(table).where(table.c.id == run_id, table.c.state != "closed").values(values)
    ).rowcount
    if changed == 1:
        return
    there = connection.execute(select(table.c.state).where(table.c.id == run_id)).scalar()
    raise StoreError("no such run" if there is None else "the run is closed; it is never changed again", where=run_id)


def _refuse_twins(run_id: str, what: str, keys: Sequence[object], names: Sequence[str]) -> None:
    seen: set[object] = set()
    for key, name in zip(keys, names, strict=True):
        if key in seen:
            raise StoreError(f"two {what} claim the same place ({name})", where=run_id)
        seen.add(key)


def _insert(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(insert(table), rows)
