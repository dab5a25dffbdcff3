"""A started command under asyncssh, and the event loop in a thread that feeds it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from agent.session.deadline import Deadline

_T = TypeVar("_T")
_ENOUGH = 1 << 26
"""Bytes unread at which the far side is told to wait."""


class Loop:
    """An event loop in a thread; `do` waits for a coroutine no longer than the deadline."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        self.loop.run_forever()
        self.loop.close()

    def do(self, work: Awaitable[_T], clock: Deadline, doing: str) -> _T:
        """Wait for an awaitable. Raises UnreachedError(`timeout`) and what the awaitable raises."""

        async def wait() -> _T:
            return await work  # asyncssh hands out awaitables that are no coroutines

        future = asyncio.run_coroutine_threadsafe(wait(), self.loop)
        try:
            return future.result(max(clock.remaining(), 0.001))
        except concurrent.futures.TimeoutError:
            future.cancel()
            raise clock.error(doing) from None

    def soon(self, call: Callable[..., object], *arguments: object) -> None:
        """Call in the loop's thread without waiting."""
        with contextlib.suppress(RuntimeError):  # the loop has ended, and with it all that there was to call
            self.loop.call_soon_threadsafe(call, *arguments)

    def stop(self) -> None:
        """End what is still going on, then the loop and its thread."""

        async def end() -> None:
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=1) if tasks else None
            self.loop.stop()

        work = end()
        try:
            asyncio.run_coroutine_threadsafe(work, self.loop)
        except RuntimeError:
            work.close()  # stopped before


class LegacyStream:
    """A started command; what comes is kept by the loop's thread until it is asked for."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._come = threading.Condition()
        self._out, self._err = bytearray(), bytearray()
        self._over = False
        self.channel: Any = None

    # The callbacks of asyncssh.SSHClientSession, called in the loop's thread.
    def connection_made(self, channel: Any) -> None:  # noqa: ANN401 - asyncssh has no types here
        """Keep the channel."""
        self.channel = channel

    def session_started(self) -> None:
        """Nothing to do yet."""

    def exit_status_received(self, status: int) -> None:
        """The channel keeps it."""

    def exit_signal_received(self, *details: object) -> None:
        """No exit code then."""

    def data_received(self, data: bytes, kind: int | None) -> None:
        """Keep data; `kind` is None for stdout."""
        with self._come:
            (self._out if kind is None else self._err).extend(data)
            if len(self._out) + len(self._err) > _ENOUGH:
                self.channel.pause_reading()
            self._come.notify_all()

    def pause_writing(self) -> None:
        """The window of the far side is full; asyncssh keeps what is written."""

    def resume_writing(self) -> None:
        """It has room again."""

    def eof_received(self) -> bool:
        """Keep our own direction open until the end."""
        return True

    def connection_lost(self, error: Exception | None) -> None:
        """The channel is closed; nothing more comes."""
        del error
        with self._come:
            self._over = True
            self._come.notify_all()

    # The Stream of exchange.py, called in the session's thread.
    def send(self, data: bytes, clock: Deadline) -> None:
        """Hand over all; the loop sends it as the window allows."""
        clock.check("sending the script")
        self._loop.soon(self.channel.write, data)

    def end(self) -> None:
        """Close standard input."""
        self._loop.soon(self.channel.write_eof)

    def receive(self, timeout: float) -> tuple[bytes, bytes]:
        """What has come on stdout and stderr."""
        with self._come:
            if not (self._out or self._err or self._over):
                self._come.wait(timeout)
            out, err = bytes(self._out), bytes(self._err)
            self._out.clear()
            self._err.clear()
        return out, err

    @property
    def finished(self) -> bool:
        """The channel is closed and read out."""
        with self._come:
            return self._over and not (self._out or self._err)

    def status(self, timeout: float) -> int | None:
        """Exit code; None when there came none."""
        del timeout  # it comes before the channel closes
        code = self.channel.get_exit_status()
        return int(code) if code is not None and code >= 0 else None

    def abort(self) -> None:
        """Close the channel."""
        self._loop.soon(self.channel.abort)
