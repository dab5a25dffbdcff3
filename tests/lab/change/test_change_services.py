"""Services, file modes, the packet filter, logs on a real host that the lab plants weak, and the controls themselves."""

import pytest
from hardening import HostUnderChange, differences, proves
from identity import fixed, judged

from agent.model.change import Item, Skip, Why

SOURCES = ["10.66.0.0/24", "10.66.1.0/24"]
WEAK = {
    "LIN-IP-B-01": {},
    "LIN-IP-B-02": {},
    "LIN-IA-C-01": {},
    "LIN-AU-C-01": {},
    "LIN-AU-C-03": {},
    "LIN-IP-B-04": {},
}


def test_what_node_05_has_wrong_passes_afterwards_and_comes_back(lab):
    under = HostUnderChange(lab.workspace, "node-05")
    filters = [
        Item("f1", "firewall_rule", {"port": "ssh", "sources": SOURCES}),
        Item("f2", "log_forward", {"target": "10.66.0.1", "port": 6514, "protocol": "tcp"}),
    ]
    names = [*WEAK, "LIN-IP-B-03", "LIN-IP-C-01", "LIN-AU-C-02"]
    assert judged(under, names) == dict.fromkeys(names, "fail")
    before = under.manifest()
    items = [*(fixed(name) for name in WEAK), *filters]
    tx = under.harden(*items)
    try:
        assert judged(under, names) == dict.fromkeys(names, "pass")
        assert [one for one in under.plan(*items).values() if one != ()] == []
    finally:
        under.revert(tx)
    assert differences(before, under.manifest()) == []
    assert judged(under, names) == dict.fromkeys(names, "fail")


def test_the_filter_shuts_out_whom_it_should_and_is_refused_where_that_is_us(lab):
    under = HostUnderChange(lab.workspace, "node-05")
    away = Item("f", "firewall_rule", {"port": "ssh", "sources": ["192.0.2.0/24"]})
    skip = under.plan(away)["f"]
    assert isinstance(skip, Skip)
    assert skip.why is Why.UNSAFE
    proves(
        under,
        [Item("f", "firewall_rule", {"port": "ssh", "sources": SOURCES})],
        broken="nft add table inet other; nft add chain inet other x",
        mended="nft delete table inet other",
        more="nft list ruleset; ls -la /etc/secops 2>&1",
    )


def test_a_mode_is_lowered_never_raised_and_links_are_followed(lab):
    under = HostUnderChange(lab.workspace, "node-05")
    want = {
        "/opt/t/a": "0640 root",
        "/opt/t/b": "0640 root:adm",
        "/opt/t/link": "0600 root",
        "/opt/t/none": "0600 root",
    }
    item = Item("m", "file_mode", want)
    proves(
        under,
        [item],
        broken="mkdir -p /opt/t; cd /opt/t; touch a b c; chmod 666 a; chmod 600 b; chown ops:ops a; chmod 4777 c; ln -s c link",
        mended="rm -rf /opt/t",
        more="ls -lan /opt/t 2>&1",
    )


def test_modes_end_where_they_should(lab):
    under = HostUnderChange(lab.workspace, "node-05")
    under.root("mkdir -p /opt/t; cd /opt/t; touch a b; chmod 666 a; chmod 600 b; chown ops:ops a")
    try:
        tx = under.harden(Item("m", "file_mode", {"/opt/t/*": "0640 root:adm"}))
        assert under.root("cd /opt/t; stat -c '%n %a %U:%G' *").split("\n")[:2] == ["a 640 root:adm", "b 600 root:adm"]
        under.revert(tx)
        assert under.root("cd /opt/t; stat -c '%n %a %U:%G' *").split("\n")[:2] == ["a 666 ops:ops", "b 600 root:root"]
    finally:
        under.root("rm -rf /opt/t")


@pytest.mark.parametrize("name", ["ssh", "sshd.service", "dbus.socket", "systemd-logind"])
def test_what_carries_our_way_in_is_never_switched_off(lab, name):
    under = HostUnderChange(lab.workspace, "node-05")
    item = Item("s", "service_state", {"active": False, "enabled": False}, {"names": [name]})
    skip = under.plan(item)["s"]
    assert isinstance(skip, Skip)
    assert skip.why is Why.UNSAFE


def test_a_unit_that_is_not_there_is_done_when_off_is_wanted_and_told_when_on_is(lab):
    under = HostUnderChange(lab.workspace, "node-05")
    off = Item("off", "service_state", {"active": False, "enabled": False}, {"names": ["nowhere.socket"]})
    on = Item("on", "service_state", {"active": True, "enabled": True}, {"names": ["nowhere"]})
    planned = under.plan(off, on)
    assert planned["off"] == ()
    assert planned["on"].why is Why.UNSUPPORTED


def test_masking_and_switching_on_come_back(lab):
    under = HostUnderChange(lab.workspace, "node-05")
    proves(
        under,
        [
            Item("m", "service_state", {"masked": True}, {"names": ["ctrl-alt-del.target"]}),
            Item("on", "service_state", {"active": True, "enabled": True}, {"names": ["cron"]}),
        ],
        broken="systemctl disable --now cron 2>/dev/null",
        mended="systemctl enable --now cron 2>/dev/null",
    )
