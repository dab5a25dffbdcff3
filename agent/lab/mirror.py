"""The intranet's package mirror: what is pending on any host, as a site mirrors it, served on the bridge.

One apt repository with the security suite's updates and one repository for each
RPM family. Built once for a set of layers, from what apt downloads.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from agent.lab.cache import Cache, inside
from agent.lab.machines import LAYERS, VM_PACKAGES
from agent.lab.rpmrepo import build_repositories
from agent.lab.run import run, write
from agent.model.errors import ToolError

RELEASE = {
    "Origin": "Debian",
    "Label": "Debian-Security",
    "Suite": "oldstable-security",
    "Codename": "bookworm-security",
    "Components": "main",
}


_EPOCH = re.compile(r"_\d+%3a")
"""apt names what it downloads with the version's epoch; a mirror's pool names its files without."""


def ensure_mirror(cache: Cache) -> Path:
    """Build the mirror if it is missing; return its folder."""
    if cache.mirror.exists():
        return cache.mirror
    cache.echo("building the package mirror ...")
    with cache.scratch("mirror") as scratch:
        folder = scratch / "new"
        pool = folder / "debian-security" / "pool"
        pool.mkdir(parents=True)
        for package in _download_pending(cache):
            shutil.copy2(package, pool / _EPOCH.sub("_", package.name))
        _index(folder / "debian-security")
        build_repositories(folder, scratch)
        run("chmod", "-R", "a+rX", str(folder))
        folder.replace(cache.mirror)
    cache.drop_build()
    return cache.mirror


def _download_pending(cache: Cache) -> list[Path]:
    """Every package file that an upgrade of any layer would install."""
    sources = cache.sources()
    pending = sources.folder / "pending"
    shutil.rmtree(pending, ignore_errors=True)
    (pending / "partial").mkdir(parents=True)
    base = cache.path("base", cache.base_key)
    download = "apt-get -qq -y --download-only -o Dir::Cache::archives=/run/agentlab/pending"
    for layer in ("base", *LAYERS):
        lowers = [base] if layer == "base" else [cache.path(layer, cache.layer_key(layer)), base]
        script = f"{download} dist-upgrade"
        if layer == "base":
            script += f"\n{download} install {VM_PACKAGES[0]}"  # the newest kernel, for the virtual machine's upgrades
        with cache.scratch(f"pending-{layer}") as scratch, cache.mounted(scratch, lowers) as root:
            inside(root, script, binds=sources.binds, env={"APT_CONFIG": sources.inside_all})
    packages = sorted(pending.glob("*.deb"))
    if not packages:
        raise ToolError("no security update is pending on any layer: the security suite answered nothing")
    return packages


def _index(repository: Path) -> None:
    """Packages and Release, as apt wants them."""
    architecture = run("dpkg", "--print-architecture").strip()
    suite = repository / "dists" / RELEASE["Suite"]
    listing = run("sh", "-c", 'cd "$1" && apt-ftparchive packages pool', "sh", str(repository))
    write(suite / "main" / f"binary-{architecture}" / "Packages", listing)
    options = [f"-oAPT::FTPArchive::Release::{name}={value}" for name, value in RELEASE.items()]
    options.append(f"-oAPT::FTPArchive::Release::Architectures={architecture}")
    write(suite / "Release", run("apt-ftparchive", *options, "release", str(suite)))
