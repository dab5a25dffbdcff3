"""Entry point of the `agent` command."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and leave with its exit code."""
    from agent.cli.main import main as run  # noqa: PLC0415 - nothing is imported before it is needed

    sys.exit(run())


if __name__ == "__main__":
    main()
