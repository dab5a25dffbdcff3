"""Raise, show and take down the lab. Every verb can be run again, and mends what an earlier run left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from agent.lab import boot, databases, identity
from agent.lab.cache import Cache
from agent.lab.machines import MACHINES, TROUBLE, Machine, wanted
from agent.lab.mirror import ensure_mirror
from agent.lab.needs import missing
from agent.lab.record import Record, alone, claim, release
from agent.lab.run import explain
from agent.lab.trouble import write_workspace
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


def _folder(workspace: Path) -> Path:
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

                virtual.up(folder, Record(folder), echo)
        except OSError as error:
            raise explain(error) from error


def _up(workspace: Path, folder: Path, *, trouble: bool, echo: Echo) -> None:
    begun = time.monotonic()
    record = Record(folder)
    everyone = wanted(trouble=trouble)
    absent = [machine for machine in everyone if _state(record, machine).state != "up"]
    if not absent:
        echo(f"the lab is up already: {len(everyone)} hosts")
        return
    if not any(boot.alive(record, machine) for machine in (*MACHINES, *TROUBLE)):
        record.clear()
    for machine in absent:
        record.clear(machine.name)
    cache = Cache(record, echo)
    cache.ensure_layers()
    boot.raise_bridge(record)
    boot.serve_mirror(record, ensure_mirror(cache))
    for machine in absent:
        if machine.kind == "container":
            cache.ensure_host(machine)
    lists = boot.make_lists(record, cache)
    echo(f"starting {len(absent)} hosts ...")
    _start(record, cache, folder, absent, lists)
    secrets = databases.ready(record, [machine for machine in absent if machine.kind == "container"])
    _publish(workspace, folder, absent, secrets, trouble=trouble)
    for machine in everyone:
        cache.tidy_host(machine)
    cache.tidy()
    echo(f"{len(everyone)} hosts are up after {time.monotonic() - begun:.0f} s")


def _start(record: Record, cache: Cache, folder: Path, absent: list[Machine], lists: Path) -> None:
    """Cables first, one after the other (the kernel serialises them anyway), then the machines in parallel."""
    for machine in absent:
        boot.cable(record, machine)
    by_name = {machine.name: machine for machine in MACHINES}
    boot.cable_inner(by_name["bastion-01"], by_name["inner-01"])

    def raise_one(machine: Machine) -> None:
        if machine.kind == "container":
            root = boot.mount_root(record, cache, machine, lists)
            passwords = identity.personalise(folder, machine, root)
            _keep(folder, machine.name, passwords)
            boot.spawn(record, machine, root)
        elif machine.kind.startswith("tarpit"):
            boot.spawn_tarpit(record, machine)

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(raise_one, absent))
        list(pool.map(boot.wait_ready, absent))


def _keep(folder: Path, name: str, passwords: dict[str, str]) -> None:
    """Remember a machine's login password until the credentials file is written."""
    if "ops" in passwords:
        path = folder / "keys" / f"{name}.password"
        identity.write(path, passwords["ops"], mode=0o600)


def _publish(
    workspace: Path, folder: Path, absent: Iterable[Machine], secrets: dict[str, dict[str, str]], *, trouble: bool
) -> None:
    """Write pins and credentials where the agent looks for them."""
    hosts: dict[str, dict[str, str]] = {}
    for machine in absent:
        path = folder / "keys" / f"{machine.name}.password"
        if path.exists():
            secret = path.read_text(encoding="utf-8")
            hosts[machine.name] = {"login": secret, "sudo": secret}
            path.unlink()
    identity.merge_pins(workspace / "inventory" / "known_hosts", identity.pins(folder, MACHINES))
    ours = {name: secret for name, secret in secrets.items() if name != databases.TWIN}
    key = identity.ops_key(folder)
    identity.merge_credentials(workspace / "state" / "credentials.yaml", key=key, hosts=hosts, databases=ours)
    if trouble:
        write_workspace(workspace, folder, {name: secret for name, secret in secrets.items() if name == databases.TWIN})


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
    if not boot.alive(record, machine):
        known = machine.name in record.machines()
        return MachineState(machine.name, machine.address, "dead" if known else "down")
    lacks = tuple(sorted(set(machine.listeners) - boot.listening(machine)))
    return MachineState(machine.name, machine.address, "starting" if lacks else "up", lacks)


def status(workspace: Path) -> list[MachineState]:
    """How each machine stands; the troublesome ones only when they were raised."""
    record = Record(_folder(workspace))
    known = record.machines()
    shown = [*MACHINES, *(machine for machine in TROUBLE if machine.name in known)]
    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(lambda machine: _state(record, machine), shown))
