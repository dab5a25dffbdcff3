"""Raise one machine: its namespace and cable, its root, who it is, and systemd in it."""

from __future__ import annotations

import shutil
import socket
import sys
import time
from pathlib import Path

from agent.lab.cache import Cache, inside, overlay_options
from agent.lab.machines import BRIDGE, GATEWAY, INNER_LEG, INNER_NETWORK, MIRROR_PORT, NETWORK, Machine
from agent.lab.record import Record, Thing, leader_of, pid_of
from agent.lab.run import run, write
from agent.model.errors import ToolError

CGROUPS = ("/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup")
"""Where a container's control group is made: the hierarchies of cgroup v1, hybrid and v2 that exist."""


def start(record: Record, machine: str, name: str, marker: str, *command: str, groups: tuple[str, ...] = ()) -> None:
    """Start a program in the background in a session of its own; its output goes to a log below the state folder.

    It writes its own process id down before it becomes the program, so that no process is ever unknown, and joins
    the control groups first.
    """
    pidfile = record.folder / "pids" / name
    log = record.folder / "log" / f"{name}.log"
    for folder in (pidfile.parent, log.parent):
        folder.mkdir(parents=True, exist_ok=True)
    record.add(Thing(machine, "process", str(pidfile), marker))
    joins = "".join(f"echo $$ > {group}/cgroup.procs; " for group in groups)
    script = f'exec > {_quoted(log)} 2>&1 < /dev/null; {joins}echo $$ > "$0" && exec "$@"'
    run("setsid", "--fork", "sh", "-c", script, str(pidfile), *command)


def _control_groups(record: Record, machine: Machine) -> tuple[str, ...]:
    """A control group of its own for each container: in a shared one their systemds would manage each other's units."""
    made = []
    for top in CGROUPS:
        if Path(top, "cgroup.procs").exists():
            path = f"{top}/{machine.netns}"
            record.add(Thing(machine.name, "cgroup", path))
            Path(path).mkdir(exist_ok=True)
            made.append(path)
    return tuple(made)


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "'\\''") + "'"


def raise_bridge(record: Record) -> None:
    """The switch that this machine shares with the lab, and what 23 systemds need of its kernel."""
    limit = Path("/proc/sys/fs/inotify/max_user_instances")
    value = int(limit.read_text(encoding="ascii"))
    if value < 4096:  # noqa: PLR2004 - 128 is the default, past it systemd units of the later hosts fail
        record.add(Thing("", "sysctl", "fs.inotify.max_user_instances", str(value)))
        limit.write_text("4096", encoding="ascii")
    if not Path("/sys/class/net", BRIDGE).exists():
        record.add(Thing("", "link", BRIDGE))
        run("ip", "link", "add", BRIDGE, "type", "bridge")
        run("ip", "addr", "add", f"{GATEWAY}/24", "dev", BRIDGE)
        run("ip", "link", "set", BRIDGE, "up")
        # the inner network is reached through the bastion host alone; without this a packet would leave the machine
        record.add(Thing("", "route", f"unreachable {INNER_NETWORK}"))
        run("ip", "route", "replace", "unreachable", INNER_NETWORK)


def serve_mirror(record: Record, mirror: Path) -> None:
    """Serve the package mirror over HTTP on the bridge, if it is not served yet."""
    pidfile, marker = record.folder / "pids" / "mirror", str(mirror)
    if pid_of(pidfile, marker) is None:
        options = ["--bind", GATEWAY, "--directory", str(mirror), str(MIRROR_PORT)]
        start(record, "", "mirror", marker, sys.executable, "-m", "http.server", *options)
    _wait_port(GATEWAY, MIRROR_PORT, "the package mirror")


def _wait_port(address: str, port: int, what: str, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((address, port), timeout=1.0).close()
        except OSError as error:
            if time.monotonic() > end:
                raise ToolError(f"{what} does not answer on {address}:{port}") from error
            time.sleep(0.05)
        else:
            return


def cable(record: Record, machine: Machine) -> None:
    """A network namespace with one end of a cable, the other in the bridge."""
    name = machine.netns
    record.add(Thing(machine.name, "netns", name))
    run("ip", "netns", "add", name)
    if not machine.inner:
        record.add(Thing(machine.name, "link", machine.veth))
        run("ip", "link", "add", machine.veth, "type", "veth", "peer", "name", "eth0", "netns", name)
        run("ip", "link", "set", machine.veth, "master", BRIDGE, "up")
        _address(name, "eth0", machine.address)
    run("ip", "-n", name, "link", "set", "lo", "up")


def _address(netns: str, device: str, address: str) -> None:
    run("ip", "-n", netns, "addr", "add", f"{address}/24", "dev", device)
    run("ip", "-n", netns, "link", "set", device, "up")


def cable_inner(bastion: Machine, inner: Machine) -> None:
    """A wire between the bastion host and the inner one: the inner network touches nothing else."""
    if "eth0" in run("ip", "-n", inner.netns, "-o", "link", "show"):
        return
    run(
        "ip",
        "link",
        "add",
        "eth1",
        "netns",
        bastion.netns,
        "type",
        "veth",
        "peer",
        "name",
        "eth0",
        "netns",
        inner.netns,
    )
    _address(bastion.netns, "eth1", INNER_LEG)
    _address(inner.netns, "eth0", inner.address)
    run("ip", "-n", inner.netns, "route", "add", NETWORK, "via", INNER_LEG)


def mount_root(record: Record, cache: Cache, machine: Machine, lists: Path) -> Path:
    """Stack the machine's root; what it writes goes to a fresh folder that is thrown away."""
    folder = record.folder / "run" / machine.name
    record.add(Thing(machine.name, "folder", str(folder)))
    shutil.rmtree(folder, ignore_errors=True)
    for part in ("upper", "work", "root"):
        (folder / part).mkdir(parents=True)
    root = folder / "root"
    record.add(Thing(machine.name, "mount", str(root)))
    options = overlay_options([lists, *cache.lowers(machine)], folder / "upper", folder / "work")
    run("mount", "-t", "overlay", "agentlab", "-o", options, str(root))
    inside(
        root, "apt-cache -q gencaches >/dev/null"
    )  # as `apt-get update` leaves it: else each question builds it anew
    return root


def spawn(record: Record, machine: Machine, root: Path) -> None:
    """Start systemd in the machine's namespace."""
    marker = f"--machine={machine.netns}"
    record.add(Thing(machine.name, "folder", f"/run/systemd/nspawn/propagate/{machine.netns}"))
    start(
        record, machine.name, machine.name, marker,
        "env", "SYSTEMD_NSPAWN_API_VFS_WRITABLE=network",
        "systemd-nspawn", "-q", "--register=no", "--keep-unit", "--boot", "-D", str(root),
        f"--network-namespace-path=/run/netns/{machine.netns}", marker, f"--hostname={machine.name}",
        "--resolv-conf=off", "--timezone=off", "--console=read-only", "--capability=CAP_NET_ADMIN",
        groups=_control_groups(record, machine),
    )  # fmt: skip


def spawn_tarpit(record: Record, machine: Machine) -> None:
    """Start the process that accepts and misbehaves in the machine's namespace."""
    mode = machine.kind.partition(":")[2]
    script = Path(__file__).with_name("tarpit.py")
    marker = f"{machine.address}:22"
    start(
        record, machine.name, machine.name, marker,
        "ip", "netns", "exec", machine.netns, sys.executable, str(script), mode, marker,
    )  # fmt: skip


def enter(record: Record, machine: Machine, *command: str, stdin: str = "") -> str:
    """Run a program as root in a running machine; secrets go through its standard input.

    Raises:
        ToolError: the machine is not running, or the program failed.
    """
    nspawn = pid_of(record.folder / "pids" / machine.name, f"--machine={machine.netns}")
    leader = leader_of(nspawn) if nspawn else None
    if leader is None:
        raise ToolError("its container is gone", where=machine.name, remedy=f"see state/lab/log/{machine.name}.log")
    return run("nsenter", "-t", str(leader), "-m", "-u", "-i", "-n", "-p", "--", *command, stdin=stdin)


def alive(record: Record, machine: Machine) -> bool:
    """Whether the machine's process runs (for an empty one: whether its namespace is there)."""
    if machine.kind == "empty":
        return Path("/run/netns", machine.netns).exists()
    marker = f"{machine.address}:22" if machine.kind.startswith("tarpit") else f"--machine={machine.netns}"
    return pid_of(record.folder / "pids" / machine.name, marker) is not None


def listening(machine: Machine) -> set[str]:
    """What listens in a machine's namespace, as `tcp/22`."""
    found = set()
    for line in run("ip", "netns", "exec", machine.netns, "ss", "-ltnuH", check=False).splitlines():
        fields = line.split()
        found.add(f"{fields[0]}/{fields[4].rsplit(':', 1)[1]}")
    return found


def wait_ready(machine: Machine, seconds: float = 90.0) -> None:
    """Wait until all that must listen does.

    Raises:
        ToolError: it does not in time; names what lacks.
    """
    end = time.monotonic() + seconds
    while lacking := set(machine.listeners) - listening(machine):
        if time.monotonic() > end:
            raise ToolError(
                f"{', '.join(sorted(lacking))} does not listen after {seconds:.0f} s",
                where=machine.name,
                remedy=f"look at state/lab/log/{machine.name}.log",
            )
        time.sleep(0.2)


def remove_lock_files(record: Record) -> None:
    """Remove the lock files that systemd-nspawn leaves beside its roots."""
    for file in (record.folder / "run").glob("*/.#*.lck"):
        file.unlink(missing_ok=True)


def make_lists(record: Record, cache: Cache) -> Path:
    """Fetch the mirror's package lists as of now, once for all hosts, into a layer that lies over their roots.

    Each round has a folder of its own: those of hosts that are up already stay as they are.
    """
    lists = record.folder / "run" / f"lists-{time.time_ns()}"
    record.add(Thing("", "folder", str(lists)))
    node = cache.path("base", cache.base_key)
    sources = f"deb [trusted=yes] http://{GATEWAY}:{MIRROR_PORT}/debian-security oldstable-security main\n"
    with cache.scratch("fresh-lists") as scratch, cache.mounted(scratch, [node]) as root:
        write(root / "etc/apt/sources.list", sources)
        inside(root, "apt-get -qq update")
        shutil.copytree(scratch / "upper/var/lib/apt/lists", lists / "var/lib/apt/lists")
    return lists
