"""Which kernels are installed, and whether the one that runs is the newest of them. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cmp_to_key

from agent.model.facts import Package
from agent.versions import dpkg, rpm

_IMAGE = re.compile(r"linux-image-(?:unsigned-)?(\d\S*)")
_RPM_KERNELS = {"kernel", "kernel-core", "kernel-uek", "kernel-lt", "kernel-ml"}


def _order(packages: tuple[Package, ...]) -> Callable[[str, str], int]:
    """Order of kernel releases as the host's package manager has it."""
    return dpkg.compare if any(one.manager == "dpkg" and _IMAGE.match(one.name) for one in packages) else rpm.compare


def kernels(packages: tuple[Package, ...], base: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Releases of installed kernels, as `uname -r` would say them, oldest first."""
    found = set(base.get("boot", ()))
    for one in packages:
        image = _IMAGE.fullmatch(one.name)
        if one.manager == "dpkg" and image and not image[1].endswith("-dbg"):
            found.add(image[1])
        elif one.manager == "rpm" and one.name in _RPM_KERNELS:
            found.add(f"{one.version.rpartition(':')[2]}.{one.arch}")
    order = _order(packages)
    return tuple(sorted((one for one in found if "rescue" not in one), key=cmp_to_key(order)))


def reboot(
    packages: tuple[Package, ...], base: Mapping[str, tuple[str, ...]], installed: tuple[str, ...]
) -> bool | None:
    """Whether the host waits for a restart: its own flag, or a newer kernel than the one that runs. None: unknown."""
    running = base.get("kernel", ("",))[0]
    if base.get("reboot"):
        return True
    if "container" in base.get("has", ()):
        return False
    if not running or not installed:
        return None
    flavour = running.rpartition("-")[2]
    order = _order(packages)
    same = installed if order is rpm.compare else [one for one in installed if one.endswith(flavour)]
    if any(order(one, running) > 0 for one in same):
        return True
    image = next((one for one in packages if one.name == f"linux-image-{running}"), None)
    built = re.search(r"\bDebian (\S+)", base.get("build", ("",))[0])
    return bool(image and built and dpkg.compare(image.version, built[1]) > 0)
