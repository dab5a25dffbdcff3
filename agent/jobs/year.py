"""The year at a glance: every planned job and how it stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from agent.jobs.planned import Planned, today
from agent.jobs.rows import Slot, slots
from agent.jobs.rules import done_by
from agent.store.engine import Store


@dataclass(frozen=True, slots=True)
class Row:
    """One job as `agent schedule show` prints it."""

    planned: Planned
    state: str
    """`planned`, `due`, `running`, `retrying`, `done`, `failed`, `missed` or `waiting for confirmation`."""
    attempt: int = 0
    at: datetime | None = None
    """UTC: done, failed or missed since; running: lease until; retrying: not before."""
    result: str = ""


def _row(one: Planned, rows: Sequence[Slot], now: datetime) -> Row:
    done = done_by(one, rows)
    if done:
        return Row(one, "done", done.attempt, done.finished_at, done.result)
    row = next((r for r in rows if r.key == (one.job, one.due_at)), None)
    if row is None or (one.waiting and row.state == "due"):
        return _unwritten(one, now)
    state = row.state
    if state == "claimed":
        state = "due" if row.free(now) else "running"
    elif state == "due" and row.not_before is not None and row.not_before > now:
        state = "retrying"
    at = {"running": row.lease_until, "retrying": row.not_before}.get(state, row.finished_at)
    return Row(one, state, row.attempt, at, row.result)


def _unwritten(one: Planned, now: datetime) -> Row:
    """Say how a job stands that nobody has taken up yet."""
    if one.until <= now:
        return Row(one, "missed", result="the dates were not confirmed in time" if one.waiting else "")
    if one.waiting:
        return Row(one, "waiting for confirmation")
    return Row(one, "due" if one.due_at <= now else "planned")


def overview(store: Store, planned: Sequence[Planned], now: datetime, first: date, last: date) -> list[Row]:
    """Return the jobs due between two days (Asia/Shanghai, both included), by due time. Raises StoreError."""
    rows = slots(store)
    return [_row(one, rows, now) for one in planned if first <= today(one.due_at) <= last]
