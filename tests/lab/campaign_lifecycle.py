"""The lab's whole life, for a machine on which nobody else uses it: python -m pytest tests/lab/campaign_lifecycle.py

Not collected by a plain pytest: it takes the lab down several times. $AGENT_SEED repeats a run.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent import lab as world
from agent.lab.machines import MACHINES

ROOT = Path(__file__).resolve().parents[2]
SEED = int(os.environ.get("AGENT_SEED", str(time.time_ns() % 100_000)))
pytestmark = [pytest.mark.campaign, pytest.mark.lab]


def left_behind() -> list[str]:
    """Everything of a lab that this machine still holds."""
    found = [line for line in Path("/proc/self/mounts").read_text().splitlines() if line.startswith("agentlab ")]
    found += [str(path) for path in Path("/run/netns").glob("agentlab-*")]
    found += [path.name for path in Path("/sys/class/net").iterdir() if path.name.startswith(("agentlab", "al-"))]
    found += [str(path) for path in Path("/sys/fs/cgroup").glob("**/agentlab-*")]
    found += [str(path) for path in Path("/run/systemd/nspawn/propagate").glob("agentlab-*")]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if b"--machine=agentlab-" in command or b"agentlab-vm-01" in command:
            found.append(f"{process.name}: {command!r}")
    routes = subprocess.run(["ip", "route"], capture_output=True, text=True, check=True).stdout
    return found + [line for line in routes.splitlines() if "10.66." in line]


def test_down_leaves_nothing_and_a_second_up_is_quick():
    world.up(ROOT)
    world.down(ROOT)
    assert left_behind() == []
    begun = time.monotonic()
    world.up(ROOT)
    assert time.monotonic() - begun < 25
    world.down(ROOT)
    assert left_behind() == []


@pytest.mark.parametrize("attempt", range(10))
def test_up_after_a_kill_at_a_random_moment_mends_everything(attempt):
    moment = random.Random(f"{SEED}-{attempt}").uniform(0.3, 12.0)
    print(f"seed {SEED}, killed after {moment:.1f} s")  # noqa: T201 - the campaign's log
    world.down(ROOT)
    process = subprocess.Popen([sys.executable, "-m", "agent", "-C", ROOT, "lab", "up"], stdout=subprocess.DEVNULL)
    time.sleep(moment)
    process.send_signal(signal.SIGKILL)
    process.wait()
    world.up(ROOT)
    assert {state.state for state in world.status(ROOT)} == {"up"}
    assert len(world.status(ROOT)) == len(MACHINES)
    world.down(ROOT)
    assert left_behind() == []
