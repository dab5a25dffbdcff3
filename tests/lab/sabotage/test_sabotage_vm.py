"""The power of a real machine is cut, and its real disk filled: what a container's shared kernel cannot show.

qemu is killed by the id that the lab recorded; the lab's own runner boots the same disk again. What the guest had not put
on its disk is lost, so that a token or an undo that only lay in memory would be found out here.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import time
from pathlib import Path

import pytest
from hardening import HostUnderChange, differences
from sabotage import BREAKS, HARMLESS

from agent import lab as world
from agent.change.transaction import Transaction
from agent.lab.machines import VM
from agent.lab.record import Record, leader_of, pid_of
from agent.model.change import Step, TxState
from agent.model.errors import AgentError

ROOT = Path(__file__).resolve().parents[3]
LONG = 240.0
"""Seconds that the emulated machine may take to boot and undo."""
pytestmark = pytest.mark.campaign


@pytest.fixture(scope="module")
def vm(lab):
    if not shutil.which("qemu-system-x86_64"):
        pytest.skip("packages missing: apt-get install qemu-system-x86")
    record = Record(lab.workspace / "state" / "lab")
    was_up = VM.name in record.machines()
    world.up(lab.workspace, vm=True)
    under = HostUnderChange(lab.workspace / "state" / "lab" / "vm", VM.name, ttl=600)
    patiently(under.root, "rm -rf /var/lib/secops-agent; find /etc -name '*secops*' -delete; sync")
    yield under
    if not was_up:
        record.clear(VM.name)


def patiently(call, *args):
    """The call, again until it answers: an emulated machine is slow after a boot. It must do no harm twice."""
    until = time.monotonic() + LONG
    while True:
        try:
            return call(*args)
        except AgentError:
            if time.monotonic() > until:
                raise
            time.sleep(3.0)


def manifest(vm: HostUnderChange) -> list[str]:
    """Of /etc alone, but for what auditd writes there at each boot."""
    lines = "cd / && find etc -xdev ! -path 'etc/audit/audit.rules*' -printf '%y %m %U:%G %p %l\\n' | sort"
    bytes_ = "find etc -xdev -type f ! -path 'etc/audit/audit.rules*' -print0 | sort -z | xargs -0 sha256sum"
    return patiently(vm.root, f"{lines}; {bytes_}").splitlines()


def cut_power(vm: HostUnderChange) -> None:
    """Kill qemu; the lab's runner starts it again."""
    record = Record(ROOT / "state" / "lab")
    runner = pid_of(record.folder / "pids" / VM.name, "vmrun.py")
    assert runner, "the machine is not up"
    os.kill(leader_of(runner), signal.SIGKILL)
    vm.app.sessions.close()


def calm(vm: HostUnderChange) -> None:
    """Wait until its boot is over."""
    patiently(
        vm.root,
        "t=0; while [ $t -lt 90 ] && ! systemctl is-system-running | grep -qE 'running|degraded'; do t=$((t+1)); sleep 1; done",
    )


def begun(vm: HostUnderChange, step: Step, ttl: int = 600) -> Transaction:
    tx = Transaction(f"v{secrets.token_hex(5)}", (step,), ("sshd",), ttl=ttl)
    calm(vm)
    found = vm.begin(tx)
    assert (found.failed, found.state) == ("", TxState.ARMED)
    return tx


def settled(vm: HostUnderChange, tx: Transaction) -> TxState:
    until = time.monotonic() + LONG
    while True:
        try:
            if (state := vm.state(tx)).settled:
                return state
        except (AgentError, AssertionError):
            state = TxState.UNKNOWN
        assert time.monotonic() < until, state
        time.sleep(2.0)


@pytest.mark.parametrize("name", ["ops-expired", "pam-deny-account", "sudo-gone", "ops-keys-moved"])
def test_power_that_is_cut_the_moment_it_is_armed_comes_back_with_the_undo(vm, name):
    before = manifest(vm)
    step = BREAKS[name]
    # made durable by itself, as another program's own sync would: the token must have been on the disk before it
    tx = Transaction(
        f"v{secrets.token_hex(5)}",
        (Step(step.resource, step.group, step.name, "", "", f"{{ {step.write}\n}} && sync", handles=step.handles),),
        ttl=600,
    )
    calm(vm)
    vm.begin(tx)
    cut_power(vm)
    assert settled(vm, tx) is TxState.UNDONE
    assert differences(before, manifest(vm)) == []


def test_power_that_is_cut_in_the_middle_of_the_undo(vm):
    before = manifest(vm)
    tx = begun(vm, HARMLESS)
    vm.root(f"setsid /bin/sh /var/lib/secops-agent/tx/{tx.id}/undo.sh agent >/dev/null 2>&1 & sleep 0.7")
    cut_power(vm)
    assert settled(vm, tx) is TxState.UNDONE
    assert differences(before, manifest(vm)) == []


def test_what_was_confirmed_stays_confirmed_when_the_power_is_cut_the_next_moment(vm):
    before = manifest(vm)
    tx = begun(vm, HARMLESS)
    assert vm.confirm(tx) == "confirmed"
    cut_power(vm)
    assert settled(vm, tx) is TxState.CONFIRMED
    assert any("sabotage.d/new.conf" in line for line in differences(before, manifest(vm)))
    calm(vm)
    vm.revert(tx)
    vm.root("rmdir /etc/sabotage.d")
    assert differences(before, manifest(vm)) == []


def test_a_reboot_while_it_is_armed(vm):
    before = manifest(vm)
    tx = begun(vm, HARMLESS)
    vm.root("(sleep 1; systemctl reboot) >/dev/null 2>&1 &")
    time.sleep(10.0)
    assert settled(vm, tx) is TxState.UNDONE
    assert differences(before, manifest(vm)) == []


def test_a_real_disk_that_is_full_to_the_last_byte(vm):
    before = manifest(vm)
    tx = begun(vm, HARMLESS, ttl=45)
    vm.root("cat /dev/zero >/full 2>/dev/null; cat /dev/zero >/var/full2 2>/dev/null; df / | tail -1")
    try:
        late = Transaction(f"v{secrets.token_hex(5)}", (BREAKS["sudo-gone"],), ttl=600)
        assert vm.begin(late).busy == tx.id
        assert settled(vm, tx) is TxState.UNDONE
        assert vm.begin(late).failed
        assert vm.state(late) is TxState.ABSENT
        assert differences(before, manifest(vm)) == []
    finally:
        patiently(vm.root, "rm -f /full /var/full2")
