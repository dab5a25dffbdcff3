"""What the lab wrote down it can undo: on real mounts, namespaces, links and processes, beside the lab."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent.lab import boot, needs
from agent.lab import record as records
from agent.lab.record import Record, Thing, claim, is_mounted, pid_of
from agent.model.errors import RefusedError

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0 or not needs._overlay_works(), reason="needs root and overlayfs"),
]
NETNS, LINK = "agentlab-selftest", "al-selftest"


@pytest.fixture
def record(tmp_path):
    made = Record(tmp_path)
    yield made
    made.clear()


def _sleeper(record: Record) -> Path:
    boot.start(record, "m", "sleeper", "86399.5", "sleep", "86399.5")
    pidfile = record.folder / "pids" / "sleeper"
    end = time.monotonic() + 5
    while pid_of(pidfile, "86399.5") is None:
        assert time.monotonic() < end
        time.sleep(0.02)
    return pidfile


def test_everything_that_was_recorded_is_gone_after_clear(record, tmp_path):
    pidfile = _sleeper(record)
    pid = pid_of(pidfile, "86399.5")
    mount = tmp_path / "with a space"
    mount.mkdir()
    record.add(Thing("m", "mount", str(mount)))
    subprocess.run(["mount", "-t", "tmpfs", "agentlab", mount], check=True)
    record.add(Thing("m", "netns", NETNS))
    subprocess.run(["ip", "netns", "add", NETNS], check=True)
    record.add(Thing("m", "link", LINK))
    subprocess.run(["ip", "link", "add", LINK, "type", "bridge"], check=True)
    assert is_mounted(mount)
    record.clear()
    assert not Path(f"/proc/{pid}").exists() or Path(f"/proc/{pid}/cmdline").read_bytes() == b""
    assert not is_mounted(mount)
    assert not Path("/run/netns", NETNS).exists()
    assert not Path("/sys/class/net", LINK).exists()
    assert record.things() == []


def test_a_lab_that_runs_keeps_the_machine_and_a_dead_one_is_cleared_away(record, tmp_path, monkeypatch):
    monkeypatch.setattr(records, "OWNER", tmp_path / "owner")
    claim(record.folder)
    pidfile = _sleeper(record)
    record.add(Thing("m", "netns", NETNS))
    subprocess.run(["ip", "netns", "add", NETNS], check=True)
    other = tmp_path / "other" / "state" / "lab"
    with pytest.raises(RefusedError, match="another workspace"):
        claim(other)
    os.kill(pid_of(pidfile, "86399.5"), signal.SIGKILL)
    end = time.monotonic() + 5
    while record.runs():
        assert time.monotonic() < end
        time.sleep(0.02)
    claim(other)
    assert records.OWNER.read_text(encoding="utf-8") == f"{other}\n"
    assert not Path("/run/netns", NETNS).exists()
    assert record.things() == []


def test_what_was_recorded_but_never_made_is_no_error(record, tmp_path):
    for kind, name in (("mount", tmp_path / "x"), ("netns", NETNS), ("link", LINK), ("process", tmp_path / "p")):
        record.add(Thing("m", kind, str(name)))
    record.clear()
    assert record.things() == []


def test_one_machine_is_cleared_and_the_others_stay(record):
    pidfile = _sleeper(record)
    record.add(Thing("other", "netns", NETNS))
    record.clear("other")
    assert pid_of(pidfile, "86399.5") is not None


def test_a_killed_build_takes_its_container_with_it():
    """The build's container is tied to the process that wanted it (setpriv --pdeathsig)."""
    script = (
        "import subprocess; child = subprocess.Popen(['setpriv', '--pdeathsig', 'KILL', 'sleep', '86398.5']); "
        "print(child.pid, flush=True); child.wait()"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    time.sleep(0.3)
    assert Path(f"/proc/{child}").exists()
    parent.kill()
    parent.wait()
    end = time.monotonic() + 5
    while Path(f"/proc/{child}").exists() and time.monotonic() < end:
        time.sleep(0.02)
    assert not Path(f"/proc/{child}").exists()
