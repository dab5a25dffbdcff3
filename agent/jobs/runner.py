"""Run what is due, each job once, however many processes ask at the same time."""

from __future__ import annotations

import os
import secrets
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from agent.jobs.claims import Claim, claim, fail, finish, release, renew
from agent.jobs.planned import Planned
from agent.jobs.rows import Policy
from agent.model.errors import AgentError
from agent.model.ports import Clock
from agent.model.text import one_line
from agent.store.engine import Store

Runner = Callable[[str], str]
"""Takes the job's name, returns a line for its record, raises when it failed."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What became of one job that this process took."""

    job: str
    state: str
    """`done`, `due` (failed, tried again later), `failed` (given up: an alarm) or `lost` (taken over by another)."""
    attempt: int
    result: str


def _myself() -> str:
    return f"{socket.gethostname()[:60]}:{os.getpid()}:{secrets.token_hex(6)}"


@contextmanager
def _heartbeat(store: Store, held: Claim, clock: Clock, policy: Policy) -> Iterator[None]:
    """Renew the lease at a third of its length for as long as the block runs."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(policy.lease.total_seconds() / 3):
            # A disk that is full for a moment must not end the heartbeat.
            with suppress(AgentError):
                if not renew(store, held, clock(), policy):
                    return

    thread = threading.Thread(target=beat, name=f"heartbeat {held.planned.job}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _execute(store: Store, held: Claim, clock: Clock, runner: Runner, policy: Policy) -> Ran:
    job = held.planned.job
    try:
        with _heartbeat(store, held, clock, policy):
            result = runner(job)
    except Exception as error:  # noqa: BLE001 - whatever a job dies of, the next one has its turn
        reason = one_line(str(error) if isinstance(error, AgentError) else f"{type(error).__name__}: {error}")
        return Ran(job, fail(store, held, clock(), reason, policy), held.attempt, reason)
    except BaseException:
        release(store, held)
        raise
    state = "done" if finish(store, held, clock(), result) else "lost"
    return Ran(job, state, held.attempt, one_line(result))


def run_due(
    store: Store,
    planned: Sequence[Planned],
    clock: Clock,
    runner: Runner,
    *,
    policy: Policy | None = None,
    told: Callable[[Planned], None] = lambda _planned: None,
) -> list[Ran]:
    """Run each job that is due and free, the earliest first, until none is left.

    Args:
        planned: all jobs, from `plan(periods)`.
        clock: the present, aware.
        runner: does a job; an exception means another attempt after a wait.
        told: called before each job begins.

    Raises:
        StoreError: the database cannot be read or written.
    """
    policy = policy or Policy()
    owner = _myself()
    ran = []
    while held := claim(store, planned, clock(), owner, policy):
        told(held.planned)
        ran.append(_execute(store, held, clock, runner, policy))
    return ran
