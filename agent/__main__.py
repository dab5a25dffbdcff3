"""Entry point of the `agent` command."""

from __future__ import annotations

import os
import resource
import sys

_OF_THE_LAB = {"lab", "demo"}
"""Verbs that build root file systems, whose files others must be able to read."""


def main() -> None:
    """Run the command line and leave with its exit code."""
    from agent.cli.main import main as run  # noqa: PLC0415 - nothing is imported before it is needed

    if not _OF_THE_LAB & set(sys.argv[1:]):
        os.umask(0o077)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would hold passwords
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # closed by who called
            # A terminal that has no Chinese shows \\u escapes; that it lacks them is no reason to end.
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    sys.exit(run())


if __name__ == "__main__":
    main()
