"""Wiring: from a workspace to the parts that flows need. The only module that knows every column."""

from __future__ import annotations

import getpass
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from agent.model.errors import AgentError
from agent.model.ports import Clock


def _now() -> datetime:
    return datetime.now(UTC)


def find_workspace(start: Path) -> Path:
    """The nearest folder upward that holds `inventory/hosts.yaml`.

    Raises:
        AgentError: there is none.
    """
    for folder in (start, *start.parents):
        if (folder / "inventory" / "hosts.yaml").is_file():
            return folder
    raise AgentError(
        "no workspace here (no inventory/hosts.yaml in this folder or above)",
        where=str(start),
        remedy="run `agent init DIR`, or name one with -C DIR or $AGENT_WORKSPACE",
    )


@dataclass
class App:
    """One invocation: workspace, clock, operator; each part is built on first use."""

    folder: Path | None = None
    """What -C or $AGENT_WORKSPACE named; None: look upward from the current folder."""
    clock: Clock = field(default=_now)

    @cached_property
    def root(self) -> Path:
        """The workspace's folder."""
        named = self.folder or (Path(os.environ["AGENT_WORKSPACE"]) if os.environ.get("AGENT_WORKSPACE") else None)
        if named is None:
            return find_workspace(Path.cwd())
        if not (named / "inventory" / "hosts.yaml").is_file():
            raise AgentError("not a workspace", where=str(named), remedy="run `agent init` there first")
        return named.resolve()

    @cached_property
    def state(self) -> Path:
        """state/, made with mode 0700."""
        folder = self.root / "state"
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    @cached_property
    def operator(self) -> str:
        """The OS login of who runs this."""
        return os.environ.get("SUDO_USER") or getpass.getuser()
