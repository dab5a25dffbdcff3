"""How a verb that reaches targets ends when it is told to: at once, and with nothing of its own left running."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import NoReturn

from agent.cli.main import Exit

_ASKS = (signal.SIGTERM, signal.SIGHUP)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM, and the end of the terminal, interrupt as Ctrl-C does; `nohup` keeps its meaning."""
    before = {number: signal.getsignal(number) for number in _ASKS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def leave() -> NoReturn:
    """End at once: threads may still wait on a target, and all that counts is committed.

    What we started (nmap) is ended first: nothing may knock on hosts when the agent that asked for it has gone.
    """
    for number in (signal.SIGINT, *_ASKS):
        signal.signal(number, signal.SIG_IGN)  # the second Ctrl-C of an impatient hand changes nothing
    for child in _children():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(child, signal.SIGTERM)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(Exit.INCOMPLETE)


def _children() -> list[int]:
    """Processes that this one started, and that have not ended."""
    found = []
    for file in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(word) for word in file.read_text(encoding="ascii").split()]
    return found
