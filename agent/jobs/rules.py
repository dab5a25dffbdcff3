"""Which rows come into being, which are over, and which may be run now."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import Connection, insert, update

from agent.jobs.planned import Planned, midnight
from agent.jobs.rows import Policy, Slot, end_row, read_rows
from agent.store.schema import job_slot
from agent.store.times import to_text

UNPLANNED = "no longer planned: the period was moved or removed"
BLANK = {"attempt": 0, "owner": "", "lease_until": "", "not_before": "", "finished_at": "", "result": ""}


def done_by(planned: Planned, rows: Iterable[Slot]) -> Slot | None:
    """Return the row by which a job is done: its own, or, after its dates moved, one finished within the new window."""
    for row in rows:
        if row.job != planned.job or row.state != "done":
            continue
        if row.due_at == planned.due_at:
            return row
        if row.finished_at and midnight(planned.period.lead_from) <= row.finished_at < planned.until:
            return row
    return None


def _materialise(connection: Connection, planned: Sequence[Planned], now: datetime) -> list[Slot]:
    """Write a row for each job whose time has come; take back a row whose period was moved away and back."""
    rows = read_rows(connection)
    have = {row.key: row for row in rows}
    new = []
    for one in planned:
        row = have.get((one.job, one.due_at))
        if one.due_at > now or one.waiting or done_by(one, rows):
            continue
        if row is None:
            new.append(BLANK | {"job": one.job, "due_at": to_text(one.due_at), "state": "due"})
        elif row.state == "missed" and row.result == UNPLANNED:
            values = BLANK | {"state": "due", "attempt": row.attempt}
            connection.execute(update(job_slot).where(job_slot.c.id == row.id).values(values))
    if new:
        connection.execute(insert(job_slot), new)
    return read_rows(connection)


def _superseded(one: Planned, rows: Sequence[Slot], planned: Sequence[Planned]) -> Planned | None:
    """Catch-up runs the latest scan only; one that counts for a round of its own is not dropped for another's."""
    live = {row.key for row in rows if row.state in {"due", "claimed", "done"}}
    later = [
        other
        for other in planned
        if other.kind == "scan"
        and other.due_at > one.due_at
        and (other.job, other.due_at) in live
        and not other.waiting
        and one.period.counts in {"extra", other.period.counts}
    ]
    return max(later, key=lambda other: other.due_at, default=None)


def _over(one: Planned, rows: Sequence[Slot], planned: Sequence[Planned], now: datetime) -> str:
    """Say why a job that has not been run never will be; empty when it still may."""
    if one.kind == "scan":
        if one.until <= now:
            return f"the period ended on {one.period.end} before a scan was done"
        later = _superseded(one, rows, planned)
        return f"caught up by {later.job}, which is later" if later else ""
    scans = [row for row in rows if row.job == f"scan:{one.period.id}"]
    gone = {"missed", "failed"} if one.until <= now else {"missed"}
    return "there is no scan to report on" if scans and all(row.state in gone for row in scans) else ""


def _close(
    connection: Connection, rows: Sequence[Slot], planned: Sequence[Planned], policy: Policy, now: datetime
) -> None:
    known = {(one.job, one.due_at): one for one in planned}
    for row in rows:
        if not row.free(now):
            continue
        one = known.get(row.key)
        reason = _over(one, rows, planned, now) if one else UNPLANNED
        if reason:
            end_row(connection, row.id, "missed", reason, now)
        elif row.attempt >= policy.attempts:
            words = f"given up after {row.attempt} attempts: {row.result or 'the process died each time'}"
            end_row(connection, row.id, "failed", words, now)


def settle(
    connection: Connection, planned: Sequence[Planned], policy: Policy, now: datetime
) -> list[tuple[Slot, Planned]]:
    """Bring the rows up to date; return those that may be run, the earliest first. Needs a write transaction."""
    rows = _materialise(connection, planned, now)
    # Twice: a scan that is missed in the first pass takes its report with it in the second.
    for _ in range(2):
        _close(connection, rows, planned, policy, now)
        rows = read_rows(connection)
    known = {(one.job, one.due_at): one for one in planned if not one.waiting}
    scanned = {one.period.id for one in planned if one.kind == "scan" and done_by(one, rows)}
    ready = []
    for row in rows:
        one = known.get(row.key)
        if one is None or not row.free(now) or (row.not_before is not None and row.not_before > now):
            continue
        if one.kind == "report" and one.period.id not in scanned:
            continue
        ready.append((row, one))
    return ready
