"""One process at a time works on a run: a lock that the system takes back when the process dies, however it dies."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from agent.model.errors import AgentError
from agent.store.errors import from_system

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def held(state: Path, run_id: str) -> Iterator[None]:
    """Hold the run for as long as the block lasts.

    Args:
        state: the workspace's state folder.
        run_id: an id that the store knows; it becomes part of a file's name.

    Raises:
        AgentError: another process holds it.
        StoreError: the lock's file cannot be made.
    """
    path = state / f"{run_id}.lock"
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise from_system(error, str(path)) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise AgentError(
            "another process is at work on this run", where=run_id, remedy="wait until it ends, or stop it first"
        ) from None
    try:
        yield
    finally:
        # Whoever opened the same file meanwhile reads the run's state only after it has the lock.
        path.unlink(missing_ok=True)
        os.close(handle)
