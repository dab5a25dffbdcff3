"""The lab that every lab test shares: raised once with the hosts that misbehave, whoever comes first."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from workspaces import Workspace

from agent import lab as world
from agent.lab.boot import enter
from agent.lab.machines import MACHINES, TROUBLE
from agent.lab.record import Record

ROOT = Path(__file__).resolve().parents[2]
USERS = Path("/run/agentlab-test-users")


@dataclass(frozen=True)
class Lab:
    """What a test needs to know of the lab that is up."""

    workspace: Path = ROOT
    trouble: Path = ROOT / "state" / "lab" / "trouble"
    key: Path = ROOT / "state" / "lab" / "keys" / "ops_ed25519"

    def enter(self, name: str, *command: str, stdin: str = "") -> str:
        """Run a program as root inside a machine, past SSH."""
        machine = next(machine for machine in (*MACHINES, *TROUBLE) if machine.name == name)
        return enter(Record(ROOT / "state" / "lab"), machine, *command, stdin=stdin)


def _incapable() -> list[str]:
    """Reasons that lie in this machine, not in what can be installed."""
    return [reason for reason in world.missing() if not reason.startswith("packages missing")]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if "lab" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.lab)


@contextmanager
def _users() -> Iterator[dict]:
    """The test processes that use the lab, changed under a lock; those that died without a word are dropped."""
    with USERS.open("a+", encoding="utf-8") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        handle.seek(0)
        state = json.loads(handle.read() or "{}")
        state = {
            "pids": [pid for pid in state.get("pids", []) if Path(f"/proc/{pid}").exists()],
            "ours": state.get("ours", False),
        }
        yield state
        handle.seek(0)
        handle.truncate()
        handle.write(json.dumps(state))


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Raise the lab, with trouble; the last user takes it down unless it was up before the first came."""
    if reasons := _incapable():
        pytest.skip("; ".join(reasons))
    with _users() as state:
        if not state["pids"]:
            state["ours"] = not any(machine.state == "up" for machine in world.status(ROOT))
        state["pids"].append(os.getpid())
        world.up(ROOT, trouble=True)
    yield Lab()
    with _users() as state:
        state["pids"] = [pid for pid in state["pids"] if pid != os.getpid()]
        if not state["pids"] and state["ours"]:
            world.down(ROOT)


@pytest.fixture(scope="session")
def main(lab, tmp_path_factory):
    """One whole round over the 23 hosts and 3 databases, by the command line."""
    workspace = Workspace(tmp_path_factory.mktemp("round") / "main", lab.workspace)
    workspace.done = workspace.run("scan", "--period", "lianghui")
    workspace.found = workspace.json("findings")
    return workspace
