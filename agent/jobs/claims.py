"""Durable slots: claimed with a lease, fenced by the attempt number, closed once.

Every change happens in one write transaction, and writers take turns, so that no
two processes hold one job. A process that lost its lease can write nothing more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, update

from agent.jobs.planned import Planned
from agent.jobs.rows import Policy, Slot, read_rows
from agent.jobs.rules import settle
from agent.model.errors import AgentError
from agent.model.text import one_line
from agent.store.engine import Store
from agent.store.schema import job_slot
from agent.store.times import to_text

_T = job_slot.c


@dataclass(frozen=True, slots=True)
class Claim:
    """A slot that this process may run until the lease ends."""

    slot: int
    planned: Planned
    owner: str
    attempt: int
    """Fencing token: who holds an older one can no longer write."""


def claim(store: Store, planned: Sequence[Planned], now: datetime, owner: str, policy: Policy) -> Claim | None:
    """Take the earliest job that is due and free; None when there is none.

    Args:
        now: aware time.
        owner: names this process and no other.

    Raises:
        StoreError: the database cannot be written.
    """
    with store.write() as connection:
        ready = settle(connection, planned, policy, now)
        if not ready:
            return None
        row, one = ready[0]
        values = {
            "state": "claimed",
            "owner": owner,
            "attempt": row.attempt + 1,
            "lease_until": to_text(now + policy.lease),
            "not_before": "",
        }
        connection.execute(update(job_slot).where(_T.id == row.id).values(values))
        return Claim(row.id, one, owner, row.attempt + 1)


def _fenced(store: Store, held: Claim, values: Mapping[str, object]) -> bool:
    where = (_T.id == held.slot, _T.state == "claimed", _T.owner == held.owner, _T.attempt == held.attempt)
    with store.write() as connection:
        return connection.execute(update(job_slot).where(*where).values(**values)).rowcount == 1


def renew(store: Store, held: Claim, now: datetime, policy: Policy) -> bool:
    """Prolong the lease; False when somebody else has taken the job over."""
    return _fenced(store, held, {"lease_until": to_text(now + policy.lease)})


def finish(store: Store, held: Claim, now: datetime, result: str) -> bool:
    """Record the job as done; False when somebody else has taken it over."""
    values = {"state": "done", "finished_at": to_text(now), "lease_until": "", "result": one_line(result)}
    return _fenced(store, held, values)


def fail(store: Store, held: Claim, now: datetime, reason: str, policy: Policy) -> str:
    """Record a failed attempt; return `due` (tried again after a wait), `failed` (given up) or `lost`."""
    values: dict[str, object] = {"lease_until": "", "result": one_line(reason)}
    state = "failed" if held.attempt >= policy.attempts else "due"
    values["state"] = state
    values["finished_at" if state == "failed" else "not_before"] = to_text(
        now if state == "failed" else now + policy.wait(held.attempt)
    )
    return state if _fenced(store, held, values) else "lost"


def release(store: Store, held: Claim) -> bool:
    """Give an interrupted job back at once; the attempt counts, for it is the fencing token."""
    return _fenced(store, held, {"state": "due", "lease_until": "", "owner": "", "result": "interrupted"})


def _by_hand(store: Store, planned: Planned, change: Callable[[Slot | None], Mapping[str, object]]) -> None:
    with store.write() as connection:
        row = next((r for r in read_rows(connection) if r.key == (planned.job, planned.due_at)), None)
        values = {"owner": "", "lease_until": "", "not_before": "", "attempt": 0, **change(row)}
        if row is None:
            key = {"job": planned.job, "due_at": to_text(planned.due_at)}
            connection.execute(insert(job_slot).values(**key, **values))
        else:
            connection.execute(update(job_slot).where(_T.id == row.id).values(**values))


def mark_done(store: Store, planned: Planned, now: datetime, result: str) -> None:
    """Record that a job was done by hand (`agent scan --period NAME`), so that it is not run again.

    Raises:
        AgentError: it is being run right now, or done already.
    """

    def change(row: Slot | None) -> Mapping[str, object]:
        if row and (row.state == "done" or (row.state == "claimed" and not row.free(now))):
            raise AgentError(f"{planned.job} is {row.state} already", remedy="see `agent schedule show`")
        return {"state": "done", "finished_at": to_text(now), "result": one_line(result)}

    _by_hand(store, planned, change)


def retry(store: Store, planned: Planned) -> None:
    """Let a job that was given up or missed be tried again.

    Raises:
        AgentError: it is neither failed nor missed.
    """

    def change(row: Slot | None) -> Mapping[str, object]:
        if row is None or row.state not in {"failed", "missed"}:
            raise AgentError(f"{planned.job} is not failed or missed", remedy="see `agent schedule show`")
        return {"state": "due", "finished_at": "", "result": row.result}

    _by_hand(store, planned, change)
