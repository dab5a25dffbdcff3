"""Audit, the clock and the kernel's own parameters: what only a machine with a kernel of its own shows."""

import pytest
from hardening import HostUnderChange, differences
from identity import fixed, judged

from agent.lab.machines import VM
from agent.lab.record import Record
from agent.model.change import Item, Skip, TxState

pytestmark = pytest.mark.campaign  # minutes on an emulated machine

AUDIT = ("LIN-AU-A-03", "LIN-AU-A-04", "LIN-AU-A-05", "LIN-AU-C-04", "LIN-AU-D-01")
RULES = "auditctl -s | grep -E '^(enabled|failure|rate_limit|backlog_limit|backlog_wait_time) '; auditctl -l"


@pytest.fixture
def vm(lab):
    if VM.name not in Record(lab.workspace / "state" / "lab").machines():
        pytest.skip("the virtual machine is not up: agent lab up --vm")
    return HostUnderChange(lab.workspace / "state" / "lab" / "vm", VM.name, ttl=120)


def test_audit_is_mended_and_comes_back(vm):
    before = vm.manifest(RULES)
    vm.root("auditctl -e 0 >/dev/null; chmod 755 /sbin/auditctl; chmod 644 /etc/audit/auditd.conf")
    names = [*AUDIT, "LIN-AU-A-02"]
    items = [fixed(name) for name in names]
    try:
        weak = vm.manifest(RULES)
        assert judged(vm, names) == dict.fromkeys(names, "fail")
        tx = vm.harden(*items)
        try:
            assert judged(vm, names) == dict.fromkeys(names, "pass")
        finally:
            vm.revert(tx)
        assert differences(weak, vm.manifest(RULES)) == []
    finally:
        vm.root("auditctl -e 1 >/dev/null; chmod 640 /etc/audit/auditd.conf")
    assert differences(before, vm.manifest(RULES)) == []


def test_rules_that_another_file_has_are_not_written_twice(vm):
    before = vm.manifest(RULES)
    item = fixed("LIN-AU-A-03")
    vm.root("echo '-w /etc/passwd  -p wa -k identity' >/etc/audit/rules.d/40-other.rules")
    try:
        weak = vm.manifest(RULES)
        (step,) = vm.steps(item)
        assert "/etc/passwd" not in step.write
        tx = vm.transaction([item], [step])
        assert not vm.begin(tx).failed
        assert vm.plan(item)[item.id] == ()
        assert vm.root("auditctl -l | grep -c identity").strip() == "4"
        assert vm.undo(tx) is TxState.UNDONE
        assert differences(weak, vm.manifest(RULES)) == []
    finally:
        vm.root("rm -f /etc/audit/rules.d/40-other.rules")
    assert differences(before, vm.manifest(RULES)) == []


def test_parameters_of_the_kernel_itself(vm):
    more = "sysctl kernel.randomize_va_space fs.suid_dumpable kernel.printk"
    broken = "sysctl -qw kernel.randomize_va_space=1 fs.suid_dumpable=1; printf '#x\\nfs.suid_dumpable=1\\n' >>/etc/sysctl.conf"
    was = vm.root(f"{more} | sed 's/ = /=/; s/\t/ /g'").splitlines()
    copy = "cp -a /etc/sysctl.conf /root/sysctl.conf.was"
    items = [fixed("LIN-IP-B-05"), Item("p", "sysctl", {"kernel.printk": "3 4 1 7"})]
    before = vm.manifest(more)
    vm.root(f"{copy}; {broken}")
    try:
        weak = vm.manifest(more)
        assert judged(vm, ["LIN-IP-B-05"]) == {"LIN-IP-B-05": "fail"}
        steps = vm.steps(*items)
        assert [(step.name, step.after) for step in steps] == [
            ("kernel.randomize_va_space", "2"), ("fs.suid_dumpable", "0"), ("kernel.printk", "3 4 1 7"),
        ]  # fmt: skip
        tx = vm.harden(*items)
        assert judged(vm, ["LIN-IP-B-05"]) == {"LIN-IP-B-05": "pass"}
        assert "# fs.suid_dumpable=1" in vm.root("cat /etc/sysctl.conf")
        assert "= 0" in vm.root("sysctl -q --system >/dev/null; sysctl fs.suid_dumpable"), (
            "what is read last says the same"
        )
        vm.root("sysctl -qw kernel.sysrq=438 2>/dev/null; :")
        vm.revert(tx)
        assert differences(weak, vm.manifest(more)) == []
    finally:
        vm.root("mv -f /root/sysctl.conf.was /etc/sysctl.conf; " + "; ".join(f"sysctl -qw '{line}'" for line in was))
    assert differences(before, vm.manifest(more)) == []


def test_a_unit_that_is_masked_is_taken_out_of_its_mask_only_where_there_is_one(vm):
    found = vm.plan(fixed("LIN-AU-B-01"))["LIN-AU-B-01"]
    there = vm.root(
        "ls /usr/lib/systemd/system/systemd-timesyncd.service /lib/systemd/system/systemd-timesyncd.service 2>/dev/null; :"
    )
    assert isinstance(found, Skip) == (not there.strip())
