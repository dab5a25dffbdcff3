"""sshd on real hosts: node-03 is weak as the lab plants it, node-01 has an Include at the head of its file."""

import pytest
from hardening import HostUnderChange, differences, proves
from identity import fixed, judged

from agent.model.change import Item, Skip, TxState, Why

CONTROLS = (
    "LIN-AC-B-01",
    "LIN-IA-A-16",
    "LIN-IA-B-05",
    "LIN-IA-B-06",
    "LIN-IA-B-08",
    "LIN-IA-C-02",
    "LIN-IA-C-03",
    "LIN-IA-C-04",
)


def test_every_sshd_control_that_fails_passes_afterwards_and_comes_back(lab):
    under = HostUnderChange(lab.workspace, "node-03")
    assert judged(under, CONTROLS) == dict.fromkeys(CONTROLS, "fail")
    items = [fixed(control) for control in CONTROLS]
    before = under.manifest()
    tx = under.harden(*items)
    try:
        assert judged(under, CONTROLS) == dict.fromkeys(CONTROLS, "pass")
    finally:
        under.revert(tx)
    assert differences(before, under.manifest()) == []
    assert judged(under, CONTROLS) == dict.fromkeys(CONTROLS, "fail")


def test_a_drop_in_of_ours_is_read_first_and_the_losers_stay(lab):
    under = HostUnderChange(lab.workspace, "node-01")
    (step,) = under.steps(fixed("LIN-AC-B-01"))
    assert step.handles[0].args == ("/etc/ssh/sshd_config.d/00-secops.conf",)
    proves(
        under,
        [fixed("LIN-AC-B-01"), fixed("LIN-IA-C-03")],
        broken="printf 'PermitRootLogin yes\\nMACs hmac-sha1,hmac-sha2-256\\n' >/etc/ssh/sshd_config.d/50-cloud-init.conf; systemctl reload ssh; sleep 1",
        mended="rm -f /etc/ssh/sshd_config.d/50-cloud-init.conf; systemctl reload ssh; sleep 1",
        more="sshd -T -C user=root,host=localhost,addr=127.0.0.1 | sort",
    )


def test_a_drop_in_that_is_read_before_ours_is_beaten_at_the_head_of_the_main_file(lab):
    under = HostUnderChange(lab.workspace, "sudo-01")
    under.root("echo 'MaxAuthTries 9' >>/etc/ssh/sshd_config.d/00-lab.conf")
    before = under.manifest()
    try:
        item = fixed("LIN-IA-B-05")
        (step,) = under.steps(item)
        assert step.source == "/etc/ssh/sshd_config.d/00-lab.conf:3"
        assert step.handles[0].args == ("/etc/ssh/sshd_config",)
        tx = under.harden(item)
        assert judged(under, ["LIN-IA-B-05"]) == {"LIN-IA-B-05": "pass"}
        under.revert(tx)
        assert differences(before, under.manifest()) == []
    finally:
        under.root("sed -i '/MaxAuthTries/d' /etc/ssh/sshd_config.d/00-lab.conf; systemctl reload ssh; sleep 1")


def test_a_match_block_is_told_and_not_changed(lab):
    under = HostUnderChange(lab.workspace, "node-01")
    before = under.manifest()
    try:
        under.root("printf '\\nMatch User root\\n  MaxAuthTries 9\\n' >>/etc/ssh/sshd_config")
        item = fixed("LIN-IA-B-05")
        (step,) = under.steps(item)
        assert "/etc/ssh/sshd_config:" in step.note
        tx = under.transaction([item], [step])
        assert not under.begin(tx).failed
        left = under.plan(item)[item.id]
        assert isinstance(left, Skip)
        assert left.why is Why.MANUAL
        assert under.undo(tx) is TxState.UNDONE
    finally:
        under.root(
            "sed -i '/^Match User root$/,$d' /etc/ssh/sshd_config; sed -i '$d' /etc/ssh/sshd_config; systemctl reload ssh; sleep 1"
        )
    assert differences(before, under.manifest()) == []


@pytest.mark.parametrize(
    "damage",
    [
        "echo 'Sillyness yes' >>/etc/ssh/sshd_config",
        "echo 'MACs hmac-sha1,hmac-sha2-256' >/etc/ssh/sshd_config.d/00-0.conf",
    ],
)
def test_a_configuration_that_is_not_sound_or_does_not_count_is_undone_at_once(lab, damage):
    under = HostUnderChange(lab.workspace, "node-01")
    before = under.manifest()
    item = fixed("LIN-IA-C-03")
    steps = under.steps(item)
    under.root(damage)
    try:
        tx = under.transaction([item], steps)
        assert under.begin(tx).failed
        assert under.state(tx) is TxState.UNDONE
    finally:
        under.root(
            "sed -i '/^Sillyness/d' /etc/ssh/sshd_config; rm -f /etc/ssh/sshd_config.d/00-0.conf; systemctl reload ssh; sleep 1"
        )
    assert differences(before, under.manifest()) == []


def test_the_agent_is_never_locked_out_by_algorithms_that_it_needs(lab):
    under = HostUnderChange(lab.workspace, "node-03")
    item = fixed("LIN-IA-C-02")
    legacy = Item("l", item.resource, item.want, {**item.options, "legacy": True})
    found = under.plan(legacy)["l"]
    assert isinstance(found, Skip)
    assert found.why is Why.UNSAFE


def test_what_is_weak_only_for_us_is_seen_by_asking_with_our_account_and_address(lab):
    under = HostUnderChange(lab.workspace, "node-02")
    before = under.manifest()
    item = fixed("LIN-IA-B-05")
    try:
        under.root(
            "printf 'MaxAuthTries 3\\n\\nMatch User ops Address 10.66.0.1\\n  MaxAuthTries 9\\n' >/etc/ssh/sshd_config.d/50-x.conf"
        )
        found = under.plan(item)[item.id]
        assert isinstance(found, Skip)
        assert found.why is Why.MANUAL
        assert "50-x.conf:4" in found.text
    finally:
        under.root("rm -f /etc/ssh/sshd_config.d/50-x.conf")
    assert differences(before, under.manifest()) == []
