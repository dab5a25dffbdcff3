"""Lines of files, mount options, lists of cron, super-servers, the packet filter: broken, hardened, verified, undone."""

import socket

import pytest
from hardening import HostUnderChange, differences, proves
from identity import fixed, judged

from agent.model.change import Item, Skip, TxState, Why

SOURCES = ["10.66.0.0/24", "10.66.1.0/24", "2001:db8::/64"]
FILTERS = "ls -R /etc/secops /etc/systemd/system 2>&1; systemctl is-active secops-firewall secops-inbound"


@pytest.fixture
def under(lab):
    return HostUnderChange(lab.workspace, "hostile-01")


def test_mounts_and_cron_pass_afterwards_and_come_back(under):
    names = ["LIN-IP-B-08", "LIN-IP-B-10"]
    more = "awk '{print $2,$4}' /proc/mounts | grep -E '^/(tmp|dev/shm) '"
    before = under.manifest(more)
    assert judged(under, names) == dict.fromkeys(names, "fail")
    tx = under.harden(*map(fixed, names))
    try:
        assert judged(under, names) == dict.fromkeys(names, "pass")
    finally:
        under.revert(tx)
    assert differences(before, under.manifest(more)) == []


def test_lines_and_keys_are_put_beside_what_others_wrote(under):
    lines = {"path": "/etc/modprobe.d/t.conf", "lines": ["install cramfs /bin/true", "blacklist rds"]}
    journal = {"path": "/etc/systemd/journald.conf.d/t.conf", "section": "Journal", "keys": {"Storage": "persistent"}}
    items = [
        Item("l", "file_line", lines),
        Item("j", "file_line", journal, {"restart": "systemd-journald.service"}),
        Item("c", "file_line", {"path": "/etc/security/limits.d/t.conf", "sep": " ", "keys": {"* hard core": 0}}),
    ]
    proves(
        under,
        items,
        broken="printf '# mine\\nblacklist rds' >/etc/modprobe.d/t.conf; chmod 600 /etc/modprobe.d/t.conf;"
        " mkdir -p /etc/systemd/journald.conf.d; printf '[Journal]\\nStorage=none\\n[Other]\\nStorage=x\\n' >/etc/systemd/journald.conf.d/t.conf",
        mended="rm -rf /etc/modprobe.d/t.conf /etc/systemd/journald.conf.d; systemctl restart systemd-journald",
    )


def test_keys_end_where_they_should(under):
    want = {"path": "/etc/t.conf", "section": "B", "sep": "=", "keys": {"x": 1}}
    under.root(r"printf '[A]\nx = 2\n[B]\n#x=0\nx = 3\nx=4\n' >/etc/t.conf")
    try:
        tx = under.harden(Item("k", "file_line", want))
        assert under.root("cat /etc/t.conf").split("\n") == ["[A]", "x = 2", "[B]", "#x=0", "x=1", "# x=4", ""]
        under.revert(tx)
        assert under.root("cat /etc/t.conf").split("\n") == ["[A]", "x = 2", "[B]", "#x=0", "x = 3", "x=4", ""]
    finally:
        under.root("rm -f /etc/t.conf")


def test_every_interface_gets_a_parameter_and_a_later_file_does_not_take_it_back(under):
    item = Item("s", "sysctl", {"net.ipv4.conf.*.send_redirects": 0})
    keys = "all default lo eth0 host0"
    more = "sysctl -a 2>/dev/null | grep send_redirects"
    was = under.root(more).splitlines()
    proves(
        under,
        [item],
        broken=f"for i in {keys}; do [ ! -e /proc/sys/net/ipv4/conf/$i ] || sysctl -qw net.ipv4.conf.$i.send_redirects=1; done;"
        " echo 'net/ipv4/conf/all/send_redirects = 1' >/etc/sysctl.d/zzz.conf",
        mended="rm -f /etc/sysctl.d/zzz.conf; " + "; ".join(f"sysctl -qw '{line.replace(' ', '')}'" for line in was),
        more=more,
    )


def test_a_parameter_of_the_host_around_is_told(under):
    skip = under.plan(Item("s", "sysctl", {"kernel.randomize_va_space": 1}))["s"]
    assert isinstance(skip, Skip)
    assert skip.why is Why.UNSUPPORTED
    assert "kernel.randomize_va_space" in skip.text


def test_what_comes_in_at_all_is_what_was_declared(lab):
    under = HostUnderChange(lab.workspace, "slow-01", ttl=120)
    items = [
        Item("p", "firewall_rule", {"port": "ssh", "sources": SOURCES}),
        Item("i", "firewall_rule", {"policy": "drop"}, {"listeners": ["tcp/22", "tcp/8080", "udp/161"]}),
    ]
    names = ["LIN-IP-B-03", "LIN-IP-C-01"]
    before = under.manifest(FILTERS)
    assert judged(under, names) == dict.fromkeys(names, "fail")
    tx = under.harden(*items)
    try:
        assert judged(under, names) == dict.fromkeys(names, "pass")
        flushed = under.root("nft flush ruleset; systemctl start nftables; nft list tables; systemctl stop nftables")
        assert "inet secops\n" in flushed
        assert "inet secops_inbound" in flushed, "the system's own filter throws all away and loads ours again"
        assert under.plan(*items)["p"] != (), "stopped for good: seen, and loaded again"
        under.root("systemctl restart secops-firewall secops-inbound")
        assert all(one == () for one in under.plan(*items).values())
    finally:
        under.revert(tx)
    assert differences(before, under.manifest(FILTERS)) == []


def _answers(address, port):
    try:
        socket.create_connection((address, port), timeout=2).close()
    except OSError:
        return False
    return True


def test_an_undeclared_port_is_shut_and_opens_again(under):
    address = under.host.address
    item = Item("i", "firewall_rule", {"policy": "drop"}, {"listeners": ["tcp/22", "tcp/8080"]})
    (step,) = under.steps(item)
    assert "tcp/9000" in step.note
    assert _answers(address, 9000)
    tx = under.transaction([item], [step])
    assert not under.begin(tx).failed
    assert (_answers(address, 9000), _answers(address, 22)) == (False, True)
    assert under.undo(tx) is TxState.UNDONE
    assert _answers(address, 9000)


def test_a_declared_port_keeps_its_unit_and_others_go(under):
    units = r"""for n in a b; do printf '[Socket]\nListenStream=%s\n[Install]\nWantedBy=sockets.target\n' $([ $n = a ] && echo 7001 || echo 7002) \
      >/etc/systemd/system/t$n.socket; printf '[Service]\nExecStart=/bin/cat\n' >/etc/systemd/system/t$n.service; done
    systemctl daemon-reload; systemctl enable --now ta.socket tb.socket 2>/dev/null"""
    want = {"active": False, "enabled": False}
    item = Item("s", "service_state", want, {"names": ["ta.socket", "tb.socket"], "listeners": ["tcp/22", "tcp/7001"]})
    before = under.manifest()
    under.root(units)
    try:
        weak = under.manifest()
        (step,) = under.steps(item)
        assert step.name == "tb.socket"
        assert "tcp/7001" in step.note
        tx = under.transaction([item], [step])
        assert not under.begin(tx).failed
        again = under.plan(item)["s"]
        assert isinstance(again, Skip)
        assert again.why is Why.UNSAFE
        assert under.root("systemctl is-active ta.socket tb.socket; :").split() == ["active", "inactive"]
        assert under.undo(tx) is TxState.UNDONE
        assert differences(weak, under.manifest()) == []
    finally:
        under.root(
            "systemctl disable --now ta.socket tb.socket 2>/dev/null; rm -f /etc/systemd/system/t[ab].*; systemctl daemon-reload"
        )
    assert differences(before, under.manifest()) == []
