"""What is run on a target and what came back."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Command:
    """One exec on a target: a POSIX sh script fed by standard input, never by argv."""

    script: str
    privileged: bool = False
    """Run it as root (sudo) where the host declares a way; else as the login user."""
    deadline: float = 120.0
    """Seconds for the whole call, connection included."""
    limit: int = 8 * 1024 * 1024
    """Most bytes of standard output accepted; more is `Reason.TOO_MUCH`."""


@dataclass(frozen=True, slots=True)
class Result:
    """Bytes as they came; nothing is decoded or cleaned here."""

    rc: int
    stdout: bytes
    stderr: bytes
    seconds: float
