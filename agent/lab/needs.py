"""What the lab needs of this machine: programs, the Debian packages that hold them, and rights."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

PACKAGES = {
    "mmdebstrap": "mmdebstrap",
    "systemd-nspawn": "systemd-container",
    "ip": "iproute2",
    "ssh-keygen": "openssh-client",
    "openssl": "openssl",
    "nsenter": "util-linux",
    "apt-ftparchive": "apt-utils",
    "dpkg-deb": "dpkg",
    "rpmbuild": "rpm",
    "createrepo_c": "createrepo-c",
    "nmap": "nmap",
}
"""Program -> the Debian or Ubuntu package that brings it."""

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
"""Debian's archive keys; Ubuntu has them in a package of its own."""

VM_PACKAGES = {"qemu-system-x86_64": "qemu-system-x86", "mkfs.ext4": "e2fsprogs"}
"""The same for the profile with a real virtual machine."""


def _have(program: str) -> bool:
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is not None


def missing_packages(*, vm: bool = False) -> list[str]:
    """Debian packages to install before the lab can be raised, sorted, each once."""
    wanted = {**PACKAGES, **(VM_PACKAGES if vm else {})}
    absent = {package for program, package in wanted.items() if not _have(program)}
    if not KEYRING.exists():
        absent.add("debian-archive-keyring")
    return sorted(absent)


def missing(*, vm: bool = False) -> list[str]:
    """One-line reasons why the lab cannot be raised here; empty when it can."""
    reasons = []
    if sys.platform != "linux":
        return ["not Linux: the lab needs Linux namespaces and overlayfs"]
    if os.geteuid() != 0:
        reasons.append("not root: mounts, network namespaces and systemd-nspawn need root (try sudo)")
    if "overlay" not in Path("/proc/filesystems").read_text(encoding="ascii") and os.geteuid() != 0:
        reasons.append("no overlayfs in this kernel (try: modprobe overlay)")
    elif os.geteuid() == 0 and not _overlay_works():
        reasons.append("overlayfs cannot be mounted here (a container without CAP_SYS_ADMIN, or no such module)")
    if packages := missing_packages(vm=vm):
        reasons.append(f"packages missing: apt-get install {' '.join(packages)}")
    return reasons


def _overlay_works() -> bool:
    """Whether the kernel knows overlayfs (loading the module if need be) and lets us mount."""
    from agent.lab.run import run  # noqa: PLC0415 - run is needed by root alone

    if "overlay" not in Path("/proc/filesystems").read_text(encoding="ascii"):
        run("modprobe", "overlay", check=False)
    if "overlay" not in Path("/proc/filesystems").read_text(encoding="ascii"):
        return False
    # CapEff bit 21 is CAP_SYS_ADMIN
    status = Path("/proc/self/status").read_text(encoding="ascii")
    effective = next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff"))
    return bool(int(effective, 16) >> 21 & 1)


if __name__ == "__main__":
    sys.stdout.write(" ".join(missing_packages(vm="--vm" in sys.argv)) + "\n")
