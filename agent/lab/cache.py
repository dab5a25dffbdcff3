"""Root file systems, built once and stacked: base, service layer, planted host.

Each is a folder under the cache, named by a hash of its recipe and of what it stands
on, and appears there by one rename when it is complete. Nothing secret is built in:
keys and passwords are made at each `up`.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from agent.lab.machines import BASE_PACKAGES, GATEWAY, LAYERS, MIRROR_PORT, Machine
from agent.lab.record import Record, Thing
from agent.lab.run import ROOM, run, write
from agent.lab.sources import Sources, machine_sources
from agent.model.errors import ToolError

SUITE = "bookworm"
NEEDED = 3_000_000_000
"""Bytes that must be free before the first build: layers, mirror, downloads, and what the hosts write."""
TIED = ("setpriv", "--pdeathsig", "KILL")
"""Ends a build when the process that wanted it is killed."""
Echo = Callable[[str], object]


def cache_folder() -> Path:
    """$AGENT_LAB_CACHE, or /var/cache/secops-lab."""
    return Path(os.environ.get("AGENT_LAB_CACHE", "/var/cache/secops-lab"))


def recipe(name: str) -> str:
    """Text of a file under agent/lab/plant; empty when there is none."""
    file = resources.files("agent.lab") / "plant" / name
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def key(*parts: str) -> str:
    """Short hash over recipe texts, in order."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def overlay_options(lowers: Sequence[Path], upper: Path | None = None, work: Path | None = None) -> str:
    """Options of an overlay mount; the first lower lies on top. Paths may hold the characters that mount splits at."""

    def escaped(path: Path) -> str:
        return re.sub(r"([\\:,])", r"\\\1", str(path))

    options = "lowerdir=" + ":".join(escaped(lower) for lower in lowers)
    if upper and work:
        options += f",upperdir={escaped(upper)},workdir={escaped(work)}"
    return options


class Cache:
    """The cache of one `up`: builds what is missing, hands out folders."""

    def __init__(self, record: Record, echo: Echo) -> None:
        self.folder = cache_folder()
        self.record = record
        self.echo = echo
        self.layers = self.folder / "layers"
        self.layers.mkdir(parents=True, exist_ok=True)
        self.built = 0
        self._sources: Sources | None = None

    @property
    def base_key(self) -> str:
        """Of the base root file system."""
        return key(SUITE, *BASE_PACKAGES, recipe("base.sh"))

    def layer_key(self, layer: str) -> str:
        """Of a service layer; the base's own for `base`."""
        return self.base_key if layer == "base" else key(self.base_key, *LAYERS[layer])

    @property
    def mirror_key(self) -> str:
        """Of the package mirror: it holds what is pending on any layer."""
        return key("layout 2", *(self.layer_key(layer) for layer in LAYERS), recipe("rpm-packages.yaml"))

    def host_key(self, machine: Machine) -> str:
        """Of a planted host."""
        plant = recipe(f"{machine.plant}.sh")
        return key(self.layer_key(machine.layer), self.mirror_key, recipe("common.sh"), plant, machine.name)

    def path(self, name: str, digest: str) -> Path:
        """Where a layer lies."""
        return self.layers / f"{name}-{digest}"

    def lowers(self, machine: Machine) -> list[Path]:
        """The folders that a machine's root is stacked of, topmost first."""
        stack = [self.path(f"host-{machine.name}", self.host_key(machine))]
        if machine.layer != "base":
            stack.append(self.path(machine.layer, self.layer_key(machine.layer)))
        return [*stack, self.path("base", self.base_key)]

    @property
    def mirror(self) -> Path:
        """Where the package mirror lies."""
        return self.folder / f"mirror-{self.mirror_key}"

    # --- building ---------------------------------------------------------------

    def ensure_layers(self) -> None:
        """Build the base and the service layers that are missing, two at a time."""
        base = self.path("base", self.base_key)
        if not base.exists():
            free = shutil.disk_usage(self.folder).free
            if free < NEEDED:
                raise ToolError(f"only {free / 1e9:.1f} GB are free", where=str(self.folder), remedy=ROOM)
            self.echo("building the base root file system ...")
            self._bootstrap(base)
        absent = [layer for layer in LAYERS if not self.path(layer, self.layer_key(layer)).exists()]
        if absent:
            self.sources()
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(self._install, absent))

    def _install(self, layer: str) -> None:
        """A service layer."""
        self.echo(f"building layer {layer} ...")
        self.install(self.path(layer, self.layer_key(layer)), LAYERS[layer])

    def install(self, target: Path, packages: Sequence[str]) -> None:
        """A layer over the base with these packages, as Debian installs them."""
        sources = self.sources()
        archives = sources.folder / f"archives-{target.name}" / "partial"
        archives.mkdir(parents=True, exist_ok=True)
        script = (
            "export DEBIAN_FRONTEND=noninteractive\n"
            f"apt-get -qq -y -o Dir::Cache::archives=/run/agentlab/{archives.parent.name} install {' '.join(packages)}"
        )
        base = self.path("base", self.base_key)
        self.build(target, [base], script, binds=sources.binds, env={"APT_CONFIG": sources.inside_main})

    def ensure_hosts(self, machines: Sequence[Machine]) -> None:
        """Plant the hosts that are not planted yet, two at a time; needs the mirror to be served."""
        absent = [machine for machine in machines if not self.lowers(machine)[0].exists()]
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(self._plant, absent))

    def _plant(self, machine: Machine) -> None:
        """A host: what common.sh and its own script do to its layer."""
        self.echo(f"planting {machine.name} ...")
        target, *below = self.lowers(machine)
        script = recipe("common.sh") + "\n" + recipe(f"{machine.plant}.sh")
        self.build(target, below, script, env={"NAME": machine.name, "MIRROR": f"http://{GATEWAY}:{MIRROR_PORT}"})

    def build(
        self,
        target: Path,
        lowers: list[Path],
        script: str,
        *,
        binds: Sequence[str] = (),
        env: dict[str, str] | None = None,
    ) -> str:
        """Run a script as root inside the stacked root file systems; what it changed becomes the layer `target`.

        Returns what it printed.

        Raises:
            ToolError: the script failed; nothing is left.
        """
        self.built += 1
        with self.scratch(target.name) as scratch, self.mounted(scratch, lowers) as root:
            guard = root / "usr/sbin/policy-rc.d"
            write(guard, "#!/bin/sh\nexit 101\n", mode=0o755)
            said = inside(root, script, binds=binds, env=env)
            guard.unlink(missing_ok=True)
            run("umount", str(root))
            (scratch / "upper").replace(target)
            return said

    @contextmanager
    def scratch(self, name: str) -> Iterator[Path]:
        """A folder of the cache for one build, gone afterwards whatever happens."""
        folder = self.folder / "scratch" / name
        shutil.rmtree(folder, ignore_errors=True)
        self.record.add(Thing("", "folder", str(folder)))
        for part in ("upper", "work", "root"):
            (folder / part).mkdir(parents=True)
        try:
            yield folder
        finally:
            self.record.clear_below(folder)

    @contextmanager
    def mounted(self, scratch: Path, lowers: list[Path]) -> Iterator[Path]:
        """Mount an overlay in a scratch folder."""
        root = scratch / "root"
        self.record.add(Thing("", "mount", str(root)))
        options = overlay_options(lowers, scratch / "upper", scratch / "work")
        run("mount", "-t", "overlay", "agentlab", "-o", options, str(root))
        try:
            yield root
        finally:
            if os.path.ismount(root):
                run("umount", str(root), check=False)
            if os.path.ismount(root):
                run("umount", "--lazy", str(root), check=False)

    def _bootstrap(self, target: Path) -> None:
        """The base: minbase of the main suite alone, with nothing of this machine left in it."""
        self.built += 1
        sources = machine_sources(self.folder / "build", SUITE)
        with self.scratch("bootstrap") as scratch:
            root = scratch / "base"
            run(
                *TIED, "mmdebstrap", "--variant=minbase", "--mode=root", f"--include={','.join(BASE_PACKAGES)}",
                f"--aptopt={sources.folder / 'acquire.conf'}", SUITE, str(root), str(sources.folder / "main.list"),
            )  # fmt: skip
            inside(root, recipe("base.sh"))
            root.replace(target)

    def sources(self) -> Sources:
        """This machine's own package sources for a build inside a layer, their lists fetched once."""
        if self._sources is None:
            self._sources = machine_sources(self.folder / "build", SUITE)
            with self.scratch("lists") as scratch, self.mounted(scratch, [self.path("base", self.base_key)]) as root:
                inside(
                    root, "apt-get -qq update", binds=self._sources.binds, env={"APT_CONFIG": self._sources.inside_all}
                )
        return self._sources

    def drop_build(self) -> None:
        """Remove what was downloaded for a build."""
        shutil.rmtree(self.folder / "build", ignore_errors=True)
        self._sources = None

    def tidy(self, machines: Sequence[Machine]) -> None:
        """Remove layers, mirrors and planted hosts of earlier recipes that no mount uses."""
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace")
        current = {self.mirror, *(folder for machine in machines for folder in self.lowers(machine))}
        current |= {self.path(layer, self.layer_key(layer)) for layer in LAYERS}
        stems = {path.name.rsplit("-", 1)[0] for path in current}
        for folder in (*self.layers.iterdir(), *self.folder.glob("mirror-*")):
            if folder.name.rsplit("-", 1)[0] in stems and folder not in current and str(folder) not in mounts:
                shutil.rmtree(folder, ignore_errors=True)


def inside(root: Path, script: str, *, binds: Sequence[str] = (), env: dict[str, str] | None = None) -> str:
    """Run a POSIX sh script as root in a root file system, with this machine's network; leaves no mount."""
    command = [
        *TIED,
        "systemd-nspawn",
        "-q",
        "--register=no",
        "--keep-unit",
        "--as-pid2",
        "--pipe",
        "--resolv-conf=off",
    ]
    command += ["--timezone=off", "-D", str(root), f"--machine=agentlab-build-{root.parent.name}"[:74]]
    command += [f"--bind{bind}" for bind in binds]
    command += [f"--setenv={name}={value}" for name, value in (env or {}).items()]
    try:
        return run(*command, "/bin/sh", "-eus", stdin=script)
    except ToolError as error:
        raise ToolError(error.message, where=f"building {root.parent.name}", remedy=error.remedy) from error
