"""One absolute deadline for a whole call, and a watchdog that enforces it from outside."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from agent.model.errors import UnreachedError
from agent.model.observation import Reason


class Deadline:
    """A point in monotonic time; every wait of a call asks it how long it may still take."""

    __slots__ = ("_until", "seconds")

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._until = time.monotonic() + seconds

    def remaining(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self._until - time.monotonic())

    @property
    def expired(self) -> bool:
        """Whether nothing is left."""
        return time.monotonic() >= self._until

    def check(self, doing: str) -> None:
        """Raise UnreachedError(`timeout`) when nothing is left; `doing` names the step."""
        if self.expired:
            raise self.error(doing)

    def error(self, doing: str) -> UnreachedError:
        """The error that says at which step the time ran out."""
        return UnreachedError(Reason.TIMEOUT, f"no answer within {self.seconds:g} s ({doing})")


class Watchdog:
    """Ends a blocking call when its deadline passes.

    A read time-out restarts with each byte that drips in, and some waits of the
    libraries have no limit at all; closing the socket under them ends every one.
    """

    def __init__(self, clock: Deadline, kill: Callable[[], None], *, grace: float = 0.0) -> None:
        self.fired = False
        self._kill = kill
        self._timer = threading.Timer(clock.remaining() + grace, self._bite)
        self._timer.daemon = True

    def _bite(self) -> None:
        self.fired = True
        with contextlib.suppress(Exception):  # what is closed already cannot be closed again, and that is well
            self._kill()

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
