"""The engine: registered tasks on a thread pool here; a distributed one comes behind the same door."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from agent.model.errors import AgentError

Task = Callable[[str, str], str]
"""Takes run id and zone, returns a line for the record."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,79}")


class Engine:
    """Runs registered tasks on threads of this process; every zone shares them.

    The payload is the id of a run, never a secret: all else is read from the store.
    """

    def __init__(self, tasks: Mapping[str, Task], workers: int = 4) -> None:
        """Register `tasks` by name; at most `workers` run at once."""
        self._tasks = dict(tasks)
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="engine")

    def submit(self, task_name: str, run_id: str, zone: str) -> Future[str]:
        """Hand in one task.

        Raises:
            AgentError: the task is not registered, or what is given is no id.
        """
        task = self._tasks.get(task_name)
        if task is None:
            known = ", ".join(sorted(self._tasks)) or "none"
            raise AgentError(f"no task {task_name!r} is registered (known: {known})")
        if not _ID.fullmatch(run_id) or (zone and not _ID.fullmatch(zone)):
            raise AgentError("a task takes the id of a run and the name of a zone, nothing else")
        return self._pool.submit(task, run_id, zone)

    def close(self) -> None:
        """Take nothing new, drop what has not begun, wait for what runs; safe to call twice."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Self:
        """Return itself; closed at the end of the block."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """Close the pool."""
        self.close()
