"""Run the virtual machine, again after each reboot, with the newest kernel that its own disk holds.

Run by file: python vmrun.py FOLDER TAP. FOLDER holds disk.img. A guest that reboots
ends qemu (-no-reboot); the kernel that the guest installed meanwhile is then read from
its disk, so that a kernel upgrade takes effect as it does on hardware.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path


def newest(disk: Path, link: str) -> str:
    """Where a symbolic link in the root of the disk's file system leads."""
    said = subprocess.run(["debugfs", "-R", f"stat {link}", str(disk)], capture_output=True, text=True, check=True)
    found = re.search(r'link dest: "([^"]+)"', said.stdout)
    if not found:
        raise SystemExit(f"no {link} on {disk}")
    return "/" + found.group(1).lstrip("/")


def boot(folder: Path, tap: str) -> None:
    """Boot once and wait until the guest reboots or powers off."""
    disk = folder / "disk.img"
    for link in ("/vmlinuz", "/initrd.img"):
        dump = f"dump {newest(disk, link)} {folder}{link}"
        subprocess.run(["debugfs", "-R", dump, str(disk)], capture_output=True, check=True)
    subprocess.run(
        [
            "setpriv", "--pdeathsig", "KILL",
            "qemu-system-x86_64", "-name", "agentlab-vm-01", "-accel", "tcg,thread=multi", "-cpu", "max",
            "-m", "1024", "-smp", "2", "-nographic", "-no-reboot",
            "-kernel", str(folder / "vmlinuz"), "-initrd", str(folder / "initrd.img"),
            "-append", "root=/dev/vda rw console=ttyS0 quiet",
            "-drive", f"file={disk},if=virtio,format=raw",
            "-netdev", f"tap,id=lab,ifname={tap},script=no,downscript=no",
            "-device", "virtio-net-pci,netdev=lab,romfile=",
        ],
        stdin=subprocess.DEVNULL,
        check=False,
    )  # fmt: skip


if __name__ == "__main__":
    while True:
        boot(Path(sys.argv[1]), sys.argv[2])
        time.sleep(1.0)
