"""The virtual machine shows what the containers' shared kernel cannot."""

from __future__ import annotations

import subprocess

import pytest

from agent import lab as world
from agent.lab.machines import VM
from agent.lab.needs import VM_PACKAGES, _have
from agent.lab.record import Record


@pytest.fixture(scope="module")
def vm(lab):
    if lacking := [package for program, package in VM_PACKAGES.items() if not _have(program)]:
        pytest.skip(f"packages missing: apt-get install {' '.join(lacking)}")
    record = Record(lab.workspace / "state" / "lab")
    was_up = VM.name in record.machines()
    world.up(lab.workspace, vm=True)

    def ssh(command: str) -> str:
        known = lab.workspace / "state" / "lab" / "vm" / "inventory" / "known_hosts"
        argv = ["ssh", "-F", "none", "-o", "BatchMode=yes", "-o", f"UserKnownHostsFile={known}", "-i", str(lab.key)]
        argv += [f"ops@{VM.address}", command]
        return subprocess.run(argv, capture_output=True, text=True, timeout=120, check=True).stdout

    yield ssh
    if not was_up:
        record.clear(VM.name)


def test_a_kernel_setting_the_audit_netlink_and_the_clock_are_its_own(lab, vm):
    assert vm("sudo sysctl -w kernel.dmesg_restrict=1 fs.suid_dumpable=0").split()[-1] == "0"
    assert "enabled 1" in vm("sudo auditctl -s")
    assert vm("sudo date -u -s @1800000000 >/dev/null; date +%s").startswith("18000000")
    # what the same commands say in a container
    refused = lab.enter("node-01", "sh", "-c", "sysctl -w kernel.dmesg_restrict=1 2>&1 || true")
    assert "ead-only" in refused or "permission denied" in refused


def test_its_systemd_runs_without_failed_units_and_its_own_kernel(vm):
    assert vm("systemctl is-system-running").strip() == "running"
    assert "cloud" in vm("uname -r")
