"""The profile with a real virtual machine: for what a container's shared kernel cannot show.

kernel.* and fs.* sysctls, the audit netlink, the clock, reboots and kernel upgrades are
the guest's own. Software emulation, so that it runs without /dev/kvm.
"""

from __future__ import annotations

import shutil
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

from agent.lab import boot, identity
from agent.lab.cache import Cache, key, recipe
from agent.lab.machines import BRIDGE, GATEWAY, MIRROR_PORT, VM, VM_PACKAGES
from agent.lab.profiles import write_workspace
from agent.lab.record import Record, Thing, pid_of
from agent.lab.run import run
from agent.model.errors import ToolError

BOOT_SECONDS = 180.0
"""18 s on an idle machine; much more where two cores carry the whole lab."""
_MARKER = "vmrun.py"


def up(workspace: Path, record: Record, echo: Callable[[str], object]) -> None:
    """Boot vm-01, on the bridge of a lab that is up; on a running one it says so.

    Raises:
        ToolError: it does not answer in time, or a program failed.
    """
    if pid_of(record.folder / "pids" / VM.name, _MARKER) is not None and answers():
        echo(f"{VM.name} is up already")
        return
    record.clear(VM.name)
    cache = Cache(record, echo)
    lowers = [boot.make_lists(record, cache), *_ensure(cache)]
    folder = record.folder / "run" / VM.name
    record.add(Thing(VM.name, "folder", str(folder)))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    echo(f"making the disk of {VM.name} ...")
    _make_disk(cache, lowers, record.folder, folder / "disk.img")
    record.add(Thing(VM.name, "link", VM.veth))
    run("ip", "tuntap", "add", VM.veth, "mode", "tap")
    run("ip", "link", "set", VM.veth, "master", BRIDGE, "up")
    echo(f"booting {VM.name} ...")
    begun = time.monotonic()
    script = str(Path(__file__).with_name(_MARKER))
    boot.start(record, VM.name, VM.name, _MARKER, sys.executable, script, str(folder), VM.veth)
    while not answers():
        if time.monotonic() - begun > BOOT_SECONDS:
            remedy = f"look at state/lab/log/{VM.name}.log"
            raise ToolError(f"no SSH after {BOOT_SECONDS:.0f} s", where=VM.name, remedy=remedy)
        time.sleep(0.5)
    write_workspace(workspace, record.folder, "vm")
    echo(f"{VM.name} is up after {time.monotonic() - begun:.0f} s")


def answers() -> bool:
    """Whether its sshd greets."""
    try:
        with socket.create_connection((VM.address, 22), timeout=2.0) as connection:
            connection.settimeout(5.0)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def _ensure(cache: Cache) -> list[Path]:
    """Build the layer with kernel and audit daemon, and what makes it vm-01; returns the stack."""
    base = cache.path("base", cache.base_key)
    layer_key = key(cache.base_key, *VM_PACKAGES)
    layer = cache.path("vm", layer_key)
    if not layer.exists():
        cache.echo("building layer vm ...")
        cache.install(layer, VM_PACKAGES)
        cache.drop_build()
    host = cache.path(f"host-{VM.name}", key(layer_key, cache.mirror_key, recipe("common.sh"), recipe("vm-01.sh")))
    if not host.exists():
        script = recipe("common.sh") + "\n" + recipe("vm-01.sh")
        cache.build(host, [layer, base], script, env={"NAME": VM.name, "MIRROR": f"http://{GATEWAY}:{MIRROR_PORT}"})
    return [host, layer, base]


def _make_disk(cache: Cache, lowers: list[Path], state: Path, disk: Path) -> None:
    """An ext4 image of the stacked root, with this round's keys in it."""
    with cache.scratch("vm-disk") as scratch, cache.mounted(scratch, lowers) as root:
        identity.personalise(state, VM, root)
        run("mkfs.ext4", "-q", "-F", "-L", "root", "-d", str(root), str(disk), "2G")
