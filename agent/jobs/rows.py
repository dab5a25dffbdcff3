"""Rows of job_slot: one per job and due time.

State of a row: `due` (also while it waits after a failure), `claimed`, then for good
`done`, `failed` (given up: an alarm) or `missed` (never will be run, with the reason).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, select, update

from agent.model.text import one_line
from agent.store.engine import Store
from agent.store.schema import job_slot
from agent.store.times import from_text, to_text

_T = job_slot.c


@dataclass(frozen=True, slots=True)
class Policy:
    """How long a claim holds and how often a failing job is tried."""

    lease: timedelta = timedelta(minutes=10)
    """A claim that is not renewed for so long is free again."""
    first_wait: timedelta = timedelta(minutes=5)
    """Wait after the first failure; doubled after each further one."""
    longest_wait: timedelta = timedelta(hours=4)
    attempts: int = 8
    """After so many attempts the job is `failed`."""

    def wait(self, attempt: int) -> timedelta:
        """How long to wait after that many attempts."""
        return min(self.first_wait * (1 << min(attempt - 1, 20)), self.longest_wait)


@dataclass(frozen=True, slots=True)
class Slot:
    """A row of job_slot."""

    id: int
    job: str
    due_at: datetime
    state: str
    attempt: int
    owner: str
    lease_until: datetime | None
    not_before: datetime | None
    finished_at: datetime | None
    result: str

    @property
    def key(self) -> tuple[str, datetime]:
        """What is unique: the job and its due time."""
        return self.job, self.due_at

    def free(self, now: datetime) -> bool:
        """Whether it waits to be run: due, or claimed by somebody who has gone."""
        gone = self.state == "claimed" and (self.lease_until is None or self.lease_until <= now)
        return self.state == "due" or gone


def _time(text: str) -> datetime | None:
    return from_text(text) if text else None


def read_rows(connection: Connection) -> list[Slot]:
    """Return all rows by due time."""
    found = connection.execute(select(job_slot).order_by(_T.due_at, _T.id)).mappings()
    return [
        Slot(
            id=row["id"],
            job=row["job"],
            due_at=from_text(row["due_at"]),
            state=row["state"],
            attempt=row["attempt"],
            owner=row["owner"],
            lease_until=_time(row["lease_until"]),
            not_before=_time(row["not_before"]),
            finished_at=_time(row["finished_at"]),
            result=row["result"],
        )
        for row in found
    ]


def end_row(connection: Connection, slot: int, state: str, result: str, now: datetime) -> None:
    """Close a row for good."""
    values = {"state": state, "result": one_line(result), "finished_at": to_text(now), "lease_until": "", "owner": ""}
    connection.execute(update(job_slot).where(_T.id == slot).values(values))


def slots(store: Store) -> list[Slot]:
    """Return all rows by due time. Raises StoreError."""
    with store.read() as connection:
        return read_rows(connection)
