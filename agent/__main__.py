"""Entry point of the `agent` command."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_PR_SET_DUMPABLE = 4
"""Of linux/prctl.h."""
_OF_THE_LAB = {"lab", "demo"}
"""Verbs that build root file systems, whose files others must be able to read."""


def main() -> None:
    """Run the command line and leave with its exit code."""
    from agent.cli.main import main as run  # noqa: PLC0415 - nothing is imported before it is needed

    if _verb(sys.argv[1:]) not in _OF_THE_LAB:
        _close()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # closed by who called
            # A terminal that has no Chinese shows \\u escapes; that it lacks them is no reason to end.
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    sys.exit(run())


def _verb(words: Sequence[str]) -> str:
    """The first word that is neither an option nor the folder of -C."""
    rest = iter(words)
    for word in rest:
        if word == "-C":
            next(rest, "")
        elif not word.startswith("-"):
            return word
    return ""


def _close() -> None:
    """Nothing that this process or its children write, and nothing in its memory, is for others of this machine.

    No core files (a crash would write passwords down), no debugger of the same user (prctl(2), PR_SET_DUMPABLE;
    a child is its own program again and keeps the other two), files for their owner alone.
    """
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, AttributeError):  # a C library without prctl: the limit stands
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


if __name__ == "__main__":
    main()
