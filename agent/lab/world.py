"""Raise, show and take down the lab. Every verb can be run again, and mends what an earlier run left."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from agent.lab import boot, databases, identity
from agent.lab.cache import Cache
from agent.lab.machines import MACHINES, TROUBLE, VM, Machine, wanted
from agent.lab.mirror import ensure_mirror
from agent.lab.needs import missing
from agent.lab.profiles import write_workspace
from agent.lab.record import Record, alone, claim, release
from agent.lab.run import explain
from agent.model.errors import RefusedError

Echo = Callable[[str], object]
WORKERS = 4


@dataclass(frozen=True, slots=True)
class MachineState:
    """How one machine of the lab stands."""

    name: str
    address: str
    state: str
    """`up`, `starting` (a listener lacks), `dead` (made, but its process is gone) or `down`."""
    lacks: tuple[str, ...] = ()
    """Listeners that are expected and not there."""

    @property
    def up(self) -> bool:
        """Whether it runs and all that must listen does."""
        return self.state == "up"


def _folder(workspace: Path) -> Path:
    if os.geteuid() != 0:
        raise RefusedError("the lab is root's", remedy="run it as root (try sudo)")
    folder = workspace.resolve() / "state" / "lab"
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def up(workspace: Path, *, trouble: bool = False, vm: bool = False, echo: Echo = print) -> None:
    """Raise what is not up yet; on a running lab it says so and changes nothing.

    Args:
        workspace: whose inventory/known_hosts and state/credentials.yaml are filled.
        trouble: also raise the hosts that misbehave, with their own workspace state/lab/trouble.
        vm: also raise the virtual machine vm-01.
        echo: takes progress, a line at a time.

    Raises:
        RefusedError: this machine cannot hold the lab, or another workspace's lab is up.
        ToolError: something failed; what was made is recorded and cleared by the next `up` or `down`.
    """
    if reasons := missing(vm=vm):
        raise RefusedError("the lab cannot be raised here: " + "; ".join(reasons))
    folder = _folder(workspace)
    with alone():
        claim(folder)
        try:
            _up(workspace.resolve(), folder, trouble=trouble, echo=echo)
            if vm:
                from agent.lab import vm as virtual  # noqa: PLC0415 - the lab's other profiles do without it

                virtual.up(workspace.resolve(), Record(folder), echo)
        except OSError as error:
            raise explain(error) from error


def _up(workspace: Path, folder: Path, *, trouble: bool, echo: Echo) -> None:
    begun = time.monotonic()
    record = Record(folder)
    cache = Cache(record, echo)
    record.clear_below(cache.folder)
    everyone = wanted(trouble=trouble)
    absent = [machine for machine in everyone if not _complete(record, machine)]
    if not absent:
        _publish(workspace, folder, trouble=trouble)
        echo(f"the lab is up already: {len(everyone)} hosts")
        return
    if not any(boot.alive(record, machine) for machine in (*MACHINES, *TROUBLE)):
        record.clear()
    for name in record.machines() & {machine.name for machine in absent}:
        record.clear(name)
    cache.ensure_layers()
    boot.raise_bridge(record)
    boot.serve_mirror(record, ensure_mirror(cache))
    cache.ensure_hosts([machine for machine in absent if machine.kind == "container"])
    lists = boot.make_lists(record, cache)
    echo(f"starting {len(absent)} hosts ...")
    _start(record, cache, absent, lists)
    _publish(workspace, folder, trouble=trouble)
    cache.tidy(everyone)
    echo(f"{len(everyone)} hosts are up after {time.monotonic() - begun:.0f} s")


def _complete(record: Record, machine: Machine) -> bool:
    """Whether nothing is left to do for this machine."""
    return _state(record, machine).state == "up" and databases.filled(record, machine)


def _start(record: Record, cache: Cache, absent: list[Machine], lists: Path) -> None:
    """Cables first, one after the other (the kernel serialises them anyway), then the machines in parallel."""
    for machine in absent:
        boot.cable(record, machine)
    by_name = {machine.name: machine for machine in MACHINES}
    boot.cable_inner(by_name["bastion-01"], by_name["inner-01"])

    def raise_one(machine: Machine) -> None:
        if machine.kind == "container":
            root = boot.mount_root(record, cache, machine, lists)
            identity.personalise(record.folder, machine, root)
            boot.spawn(record, machine, root)
        elif machine.kind.startswith("tarpit"):
            boot.spawn_tarpit(record, machine)

    def finish_one(machine: Machine) -> None:
        boot.wait_ready(machine)
        if machine.name in databases.NAMES:
            databases.fill(record, machine)
        if machine.layer == "rpm":
            boot.enter(record, machine, "dnf", "-q", "makecache", "--refresh")

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(raise_one, absent))
        list(pool.map(finish_one, absent))


def _publish(workspace: Path, folder: Path, *, trouble: bool) -> None:
    """Write pins and credentials where the agent looks for them."""
    made = identity.secrets_of(folder)
    theirs = {name: entry for name, entry in made["databases"].items() if name == databases.TWIN}
    ours = {name: entry for name, entry in made["databases"].items() if name not in theirs}
    identity.merge_pins(workspace / "inventory" / "known_hosts", identity.pins(folder, MACHINES))
    key = identity.ops_key(folder)
    path = workspace / "state" / "credentials.yaml"
    identity.merge_credentials(path, key=key, hosts=made["hosts"], databases=ours)
    if trouble:
        write_workspace(workspace, folder, "trouble", theirs)


def down(workspace: Path, echo: Echo = print) -> None:
    """Take the lab down: no process, mount, namespace or bridge of it stays. Caches, keys and pins do."""
    folder = _folder(workspace)
    record = Record(folder)
    with alone():
        try:
            count = len(record.machines())
            if not record.things():
                echo("the lab is down")
                release(folder)
                return
            boot.remove_lock_files(record)
            record.clear()
            release(folder)
        except OSError as error:
            raise explain(error) from error
    echo(f"the lab is down ({count} hosts)")


def _state(record: Record, machine: Machine) -> MachineState:
    if machine.kind == "vm":
        from agent.lab import vm  # noqa: PLC0415 - the lab's other profiles do without it

        return MachineState(machine.name, machine.address, "up" if vm.answers() else "starting")
    if not boot.alive(record, machine):
        known = machine.name in record.machines()
        return MachineState(machine.name, machine.address, "dead" if known else "down")
    lacks = tuple(sorted(set(machine.listeners) - boot.listening(machine)))
    return MachineState(machine.name, machine.address, "starting" if lacks else "up", lacks)


def status(workspace: Path) -> list[MachineState]:
    """How each machine stands; the troublesome ones only when they were raised."""
    record = Record(_folder(workspace))
    known = record.machines()
    shown = [*MACHINES, *(machine for machine in (*TROUBLE, VM) if machine.name in known)]
    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(lambda machine: _state(record, machine), shown))
