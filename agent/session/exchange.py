"""The conversation with a shell: raise privilege, feed the script, read both streams under limits.

The same for every transport. The far side runs

    [sudo ...] sh -c 'echo MARK >&2; exec [timeout ...] sh -s'

and MARK, a nonce, is the proof that the shell has the privilege that was asked
for: no message of sudo is interpreted, so its language does not matter. A
password is sent only after sudo has asked for it with our own prompt, and the
script only after MARK, so that neither can ever be read as the other.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Protocol

from agent.model.errors import UnreachedError
from agent.model.observation import Reason
from agent.model.secret import Secret
from agent.model.text import decode, one_line
from agent.session.deadline import Deadline

_SLACK = 2
"""Seconds by which the far side's own timeout is later than ours, so that ours is the one that speaks."""


class Stream(Protocol):
    """A started command on any transport."""

    def send(self, data: bytes, clock: Deadline) -> None:
        """Write to standard input. Raises UnreachedError, OSError or EOFError."""
        ...

    def end(self) -> None:
        """Close standard input."""
        ...

    def receive(self, timeout: float) -> tuple[bytes, bytes]:
        """What has come on stdout and stderr; both empty at the time-out or at the end."""
        ...

    @property
    def finished(self) -> bool:
        """Both streams are at their end and read out."""
        ...

    def status(self, timeout: float) -> int | None:
        """Exit code, None when the far side never told one."""
        ...

    def abort(self) -> None:
        """End the command; safe at any time."""
        ...


@dataclass(frozen=True, slots=True)
class Plan:
    """How the shell is reached."""

    sudo: bool = False
    password: Secret | None = None
    mark: bytes = field(default_factory=lambda: b"mark-" + secrets.token_hex(12).encode())
    prompt: bytes = field(default_factory=lambda: b"ask-" + secrets.token_hex(12).encode())

    def line(self, seconds: float) -> str:
        """The command line for the login shell; single quotes only, so that csh and fish read it alike."""
        limit = int(seconds) + _SLACK
        shell = (
            f"sh -c 'echo {self.mark.decode()} >&2; "
            # Tried first: an old busybox has no -k, and a target may have no timeout at all.
            "if timeout -k 1 9 true </dev/null >/dev/null 2>&1; "
            f"then exec timeout -k 5 {limit} sh -s; else exec sh -s; fi'"
        )
        if not self.sudo:
            return shell
        if self.password is None:
            return f"sudo -n {shell}"
        # -k: neither use nor leave a cached grant on the target.
        return f"env LC_ALL=C sudo -k -S -p {self.prompt.decode()} {shell}"


class _Reader:
    """Collects both streams and stops at the limit."""

    def __init__(self, stream: Stream, clock: Deadline, limit: int) -> None:
        self.stream, self.clock, self.limit = stream, clock, limit
        self.out, self.err = bytearray(), bytearray()

    def more(self, doing: str) -> bool:
        """Take in what comes next; False at the end."""
        if self.stream.finished:
            return False
        self.clock.check(doing)
        out, err = self.stream.receive(self.clock.remaining())
        self.out += out
        self.err += err
        if len(self.out) > self.limit or len(self.err) > self.limit:
            raise UnreachedError(Reason.TOO_MUCH, f"more than {self.limit} bytes of output")
        return True

    def last_words(self) -> str:
        """The last line that the far side said, for the operator."""
        lines = [line for line in (bytes(self.err) or bytes(self.out)).splitlines() if line.strip()]
        return one_line(decode(lines[-1]), 200) if lines else "it said nothing"


def _raise_privilege(plan: Plan, reader: _Reader, password: Secret) -> None:
    """Answer sudo's one question, if it asks, and wait for the mark."""
    asked = False
    while plan.mark not in reader.err:
        if plan.prompt in reader.err:
            reader.err[:] = reader.err.replace(plan.prompt, b"", 1)
            if asked:
                # One attempt is ours; a second would count towards locking the account.
                reader.stream.end()
                while reader.more("sudo refused the password"):
                    pass
                raise UnreachedError(Reason.SUDO_DENIED, "sudo refused the password")
            asked = True
            reader.stream.send(password.reveal().encode() + b"\n", reader.clock)
        elif not reader.more("waiting for sudo"):
            return


def converse(stream: Stream, plan: Plan, script: str, clock: Deadline, limit: int) -> tuple[int, bytes, bytes]:
    """Feed the script, return exit code, stdout and stderr (without our mark).

    Raises:
        UnreachedError: `sudo-denied`, `too-much-output`, `broken-off` or `timeout`.
    """
    reader = _Reader(stream, clock, limit)
    if plan.password is not None:
        _raise_privilege(plan, reader, plan.password)
    if not stream.finished:
        try:
            stream.send(script.encode(), clock)
            stream.end()
        except (OSError, EOFError):
            pass  # the shell ended before it read all; what it said, and its exit code, tell why
    while reader.more("reading the answer"):
        pass
    code = stream.status(clock.remaining())
    head, mark, tail = bytes(reader.err).partition(plan.mark + b"\n")
    if code is None:
        clock.check("reading the answer")
        raise UnreachedError(Reason.BROKEN_OFF, f"the connection ended in mid-answer ({reader.last_words()})")
    if not mark:
        reason = Reason.SUDO_DENIED if plan.sudo else Reason.BROKEN_OFF
        who = "sudo" if plan.sudo else "the login shell"
        raise UnreachedError(reason, f"{who} did not run our shell (exit code {code}): {reader.last_words()}")
    return code, bytes(reader.out), head + tail
