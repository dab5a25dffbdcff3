"""What the lab has made on this machine, written down before it is made, so that a crash leaves nothing unknown."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from agent.lab.run import run, write
from agent.model.errors import RefusedError

LOCK = Path("/run/lock/agentlab.lock")
OWNER = Path("/run/agentlab.owner")
"""Names the workspace whose lab is up: bridge and addresses exist once on a machine."""


@dataclass(frozen=True, slots=True)
class Thing:
    """One thing that has to be gone after `down`."""

    machine: str
    """Name of the machine that it belongs to; empty for what all share."""
    kind: str
    """`process`, `mount`, `netns`, `link`, `route`, `cgroup`, `sysctl` or `folder`."""
    name: str
    """Pid file, mount point, name, or path."""
    detail: str = ""
    """process: text that its command line holds; sysctl: the value to put back."""


class Record:
    """The journal at state/lab/made.jsonl."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "made.jsonl"
        self._lock = threading.Lock()

    def add(self, thing: Thing) -> None:
        """Write a thing down, durably, before it is made."""
        with self._lock, self.path.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(asdict(thing)) + "\n")
            handle.flush()
            os.fsync(handle.fileno())

    def things(self) -> list[Thing]:
        """All that was written down, oldest first; a line torn by a crash named nothing that was made."""
        if not self.path.exists():
            return []
        found = []
        for line in self.path.read_text(encoding="utf-8").splitlines():
            try:
                found.append(Thing(**json.loads(line)))
            except (ValueError, TypeError):
                continue
        return found

    def machines(self) -> set[str]:
        """Names of the machines of which something was written down."""
        return {thing.machine for thing in self.things() if thing.machine}

    def runs(self) -> bool:
        """Whether a process that was written down still runs; without one there is no lab, only what it left."""
        processes = [thing for thing in self.things() if thing.kind == "process"]
        return any(pid_of(Path(thing.name), thing.detail) is not None for thing in processes)

    def clear(self, machine: str | None = None) -> None:
        """Undo what was written down, newest first; of one machine, or all (None)."""
        self._undo(lambda thing: machine is None or thing.machine == machine)

    def clear_below(self, folder: Path) -> None:
        """Undo what lies below a folder: a build's scratch, when the build is over or died."""
        self._undo(lambda thing: Path(thing.name).is_relative_to(folder))

    def _undo(self, which: Callable[[Thing], bool]) -> None:
        mine = [thing for thing in self.things() if which(thing)]
        for kind in ("process", "mount", "link", "netns", "route", "folder", "cgroup", "sysctl"):
            for thing in dict.fromkeys(reversed([thing for thing in mine if thing.kind == kind])):
                _remove(thing)
        with self._lock:
            rest = [thing for thing in self.things() if thing not in mine]
            write(self.path, "".join(json.dumps(asdict(thing)) + "\n" for thing in rest), mode=0o600)
            if not rest:
                self.path.unlink()


def pid_of(pidfile: Path, marker: str) -> int | None:
    """The recorded process if it still runs and is the one recorded, else None."""
    try:
        pid = int(pidfile.read_text(encoding="ascii"))
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return None
    return pid if marker.encode() in command else None


def leader_of(pid: int) -> int | None:
    """The container's own process 1: the child of its systemd-nspawn."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except OSError:
        return None
    return int(children[0]) if children else None


def _remove(thing: Thing) -> None:
    """Undo one thing; a thing that was never made, or is gone, is no error."""
    match thing.kind:
        case "process":
            _end(Path(thing.name), thing.detail)
        case "mount":
            for option in ("--verbose", "--lazy"):
                if is_mounted(Path(thing.name)):
                    run("umount", option, thing.name, check=False)
        case "cgroup":
            _remove_groups(Path(thing.name))
        case "folder":
            shutil.rmtree(thing.name, ignore_errors=True)
        case "sysctl":
            run("sysctl", "-qw", f"{thing.name}={thing.detail}", check=False)
        case _:
            run("ip", *_IP[thing.kind], *thing.name.split(" "), check=False)


_IP = {"netns": ("netns", "delete"), "link": ("link", "delete"), "route": ("route", "del")}


def _remove_groups(top: Path) -> None:
    """Remove a control group and those below it; only empty ones can be removed, leaves first."""
    if top.is_dir():
        for folder, _, _ in os.walk(top, topdown=False):
            with suppress(OSError):
                Path(folder).rmdir()


def _end(pidfile: Path, marker: str) -> None:
    """End a recorded process, its container first; what it held is thrown away, so nothing is asked to shut down."""
    pid = pid_of(pidfile, marker)
    if pid is not None:
        if "--machine=" in marker and (leader := leader_of(pid)) is not None:
            _kill(leader)
            _wait_gone(pidfile, marker, 3.0)
        if pid_of(pidfile, marker) is not None:
            _kill(pid)
            _wait_gone(pidfile, marker, 3.0)
    pidfile.unlink(missing_ok=True)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _wait_gone(pidfile: Path, marker: str, seconds: float) -> None:
    end = time.monotonic() + seconds
    while pid_of(pidfile, marker) is not None and time.monotonic() < end:
        time.sleep(0.02)


def is_mounted(path: Path) -> bool:
    """Whether something is mounted exactly there."""
    wanted = str(path).replace("\\", "\\134").replace(" ", "\\040").replace("\t", "\\011")
    with Path("/proc/self/mounts").open(encoding="utf-8", errors="surrogateescape") as mounts:
        return any(line.split(" ")[1] == wanted for line in mounts)


@contextmanager
def alone() -> Iterator[None]:
    """Hold the machine-wide lock: one `up` or `down` at a time."""
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    with LOCK.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def claim(folder: Path) -> None:
    """Note that this workspace's lab is the one on this machine; what a dead lab of another left is cleared away.

    Raises:
        RefusedError: another workspace's lab is up.
    """
    if OWNER.exists():
        owner = Path(OWNER.read_text(encoding="utf-8").strip())
        if owner != folder and (owner / "made.jsonl").exists():
            if Record(owner).runs():
                raise RefusedError(
                    "the lab of another workspace is up on this machine",
                    where=str(owner.parent.parent),
                    remedy=f"agent -C {owner.parent.parent} lab down",
                )
            Record(owner).clear()
    write(OWNER, f"{folder}\n")


def release(folder: Path) -> None:
    """Take the note away if it is ours."""
    if OWNER.exists() and OWNER.read_text(encoding="utf-8").strip() == str(folder):
        OWNER.unlink()
