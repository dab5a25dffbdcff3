"""Group commit: threads that arrive while one commits are committed together by the next."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Work = TypeVar("Work")
Done = TypeVar("Done")


@dataclass
class _Ticket(Generic[Work, Done]):
    work: Work
    done: Done | None = None
    error: BaseException | None = None
    finished: bool = field(default=False)


class Gatherer(Generic[Work, Done]):
    """Calls `together` with the work of all threads that wait; each thread gets its own result or the common error."""

    def __init__(self, together: Callable[[Sequence[Work]], Sequence[Done]]) -> None:
        """`together` must be all or nothing and return one result for each piece of work."""
        self._together = together
        self._waiting: list[_Ticket[Work, Done]] = []
        self._list = threading.Lock()
        self._turn = threading.Lock()

    def do(self, work: Work) -> Done:
        """Return the result for this work; raises what `together` raised."""
        ticket: _Ticket[Work, Done] = _Ticket(work)
        with self._list:
            self._waiting.append(ticket)
        with self._turn:
            if not ticket.finished:
                self._lead()
        if ticket.error is not None:
            raise ticket.error
        return ticket.done  # type: ignore[return-value]  # set wherever there is no error

    def _lead(self) -> None:
        with self._list:
            group, self._waiting = self._waiting, []
        try:
            results = self._together([ticket.work for ticket in group])
            for ticket, result in zip(group, results, strict=True):
                ticket.done = result
        except BaseException as error:  # noqa: BLE001 - handed to each thread of the group, the leader among them
            for ticket in group:
                ticket.error = error
        for ticket in group:
            ticket.finished = True
