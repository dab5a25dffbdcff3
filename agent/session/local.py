"""The machine itself as a target: the same conversation with a child process."""

from __future__ import annotations

import contextlib
import os
import selectors
import shlex
import signal
import subprocess
import time

from agent.session.deadline import Deadline

_BLOCK = 1 << 18


class LocalStream:
    """A child process in its own session, so that all of it can be ended."""

    def __init__(self, line: str) -> None:
        # The words are ours (exchange.Plan.line); split as the login shell would, no shell in between.
        self._child = subprocess.Popen(  # noqa: S603 - see above
            shlex.split(line),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env={"PATH": os.environ.get("PATH", os.defpath), "HOME": os.environ.get("HOME", "/")},
        )
        self._wait = selectors.DefaultSelector()
        for name in ("stdout", "stderr"):
            pipe = getattr(self._child, name)
            os.set_blocking(pipe.fileno(), False)
            self._wait.register(pipe, selectors.EVENT_READ, name)
        assert self._child.stdin  # noqa: S101 - PIPE was asked for
        self._stdin = self._child.stdin
        os.set_blocking(self._stdin.fileno(), False)
        self._early: dict[str, bytearray] = {"stdout": bytearray(), "stderr": bytearray()}

    def send(self, data: bytes, clock: Deadline) -> None:
        """Write all, taking in what the child says meanwhile so that neither waits for the other."""
        rest = memoryview(data)
        while rest:
            clock.check("the shell does not read the script")
            try:
                rest = rest[os.write(self._stdin.fileno(), rest) :]
            except BlockingIOError:
                self._take(0.01)

    def end(self) -> None:
        """Close standard input."""
        with contextlib.suppress(OSError):
            self._stdin.close()

    def _take(self, timeout: float) -> None:
        for key, _ in self._wait.select(timeout):
            with contextlib.suppress(BlockingIOError):
                data = os.read(key.fd, _BLOCK)
                self._early[key.data] += data
                if not data:
                    self._wait.unregister(key.fileobj)

    def receive(self, timeout: float) -> tuple[bytes, bytes]:
        """What has come on stdout and stderr."""
        if not any(self._early.values()):
            self._take(timeout)
        out, err = bytes(self._early["stdout"]), bytes(self._early["stderr"])
        self._early = {"stdout": bytearray(), "stderr": bytearray()}
        return out, err

    @property
    def finished(self) -> bool:
        """Both pipes are at their end and read out."""
        return not self._wait.get_map() and not any(self._early.values())

    def status(self, timeout: float) -> int | None:
        """Exit code; None when a signal ended the child."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self._child.wait(timeout)
            return code if code >= 0 else None
        return None

    def abort(self) -> None:
        """End the child and all that it started."""
        if self._child.poll() is None:
            for number in (signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._child.pid, number)
                until = time.monotonic() + 1
                while self._child.poll() is None and time.monotonic() < until:
                    time.sleep(0.01)
        self._wait.close()
        for pipe in (self._child.stdin, self._child.stdout, self._child.stderr):
            with contextlib.suppress(OSError):
                if pipe:
                    pipe.close()


class LocalConnection:
    """Offers what a connection offers, on this machine."""

    banner = ""
    alive = True

    def start(self, line: str, clock: Deadline) -> LocalStream:
        """Start a child."""
        clock.check("starting the shell")
        return LocalStream(line)

    def kill(self) -> None:
        """Nothing is held open."""

    def close(self) -> None:
        """Nothing is held open."""
