"""Redis on cache-01 (no password, weak, and a second one built by hand) and cache-02 (a password, right)."""

import socket

import pytest
from hardening import HostUnderChange, differences, proves
from middleware import judged, of

from agent.model.change import Item, Skip, TxState, Why

CONF = "/etc/redis/redis.conf"
HAND = "/usr/local/redis/redis.conf"
SAVE = f"mkdir -p /run/keep && cp -a {CONF} /run/keep/redis.conf"
BACK = f"cp -a /run/keep/redis.conf {CONF}; rm -rf /run/keep; systemctl restart redis-server; sleep 1"


def answers(address, word=b"PING"):
    """What a client on the network is told."""
    with socket.create_connection((address, 6379), timeout=5) as link:
        link.sendall(word + b"\r\n")
        return link.recv(200).decode()


def running(under, conf, *keys):
    """Running values, asked as the agent asks."""
    from agent.change.library import modules  # noqa: PLC0415 - what the target runs, once here

    ask = "; ".join(f'echo "{key}=$(rd_get {conf} {key})"' for key in keys)
    said = under.root(f"TX=none; TXROOT=/none\n{modules(('splice', 'mw', 'redis'))}\n{ask}")
    return dict(line.partition("=")[::2] for line in said.splitlines())


def test_every_redis_control_that_can_be_mended_on_the_weak_host_passes_and_comes_back(lab):
    under = HostUnderChange(lab.workspace, "cache-01")
    names = ("RDS-IA-B-01", "RDS-AU-A-01")
    assert judged(under, names, CONF) == dict.fromkeys(names, "fail")
    items = [of(control, CONF) for control in names]
    before, was = under.manifest(), running(under, CONF, "timeout", "logfile", "bind")
    under.root("redis-cli set secops-test kept")
    try:
        tx = under.harden(*items)
        try:
            assert judged(under, names, CONF) == dict.fromkeys(names, "pass")
            assert running(under, CONF, "timeout", "logfile") == {
                "timeout": "900",
                "logfile": "/var/log/redis/redis-server.log",
            }
            assert answers(under.host.address) == "+PONG\r\n"
            assert under.root("redis-cli get secops-test").strip() == "kept"
        finally:
            under.revert(tx)
        assert running(under, CONF, "timeout", "logfile", "bind") == was
        assert under.root("redis-cli get secops-test").strip() == "kept"
    finally:
        under.root("redis-cli del secops-test; rm -f /var/log/redis/redis-server.log /var/lib/redis/dump.rdb")
    assert differences(before, under.manifest()) == []
    assert judged(under, names, CONF) == dict.fromkeys(names, "fail")


def test_an_instance_built_by_hand_is_mended_too_without_a_restart(lab):
    under = HostUnderChange(lab.workspace, "cache-01")
    item = of("RDS-IA-B-01", HAND, restart=False)
    proves(
        under,
        [item],
        broken=f"cp -a {HAND} /run/keep.hand",
        mended=f"cp -a /run/keep.hand {HAND}; rm -f /run/keep.hand; redis-cli -p 6380 config set timeout 0",
        more=f"sha256sum {HAND}; redis-cli -p 6380 config get timeout; systemctl show -p MainPID redis-hand",
    )


@pytest.mark.parametrize(
    ("control", "broken"),
    [
        ("RDS-IA-B-01", f"sed -i 's/^timeout .*/timeout 0/' {CONF}"),
        ("RDS-AU-A-01", f"sed -i 's/^logfile .*/logfile \"\"/' {CONF}"),
        ("RDS-IP-B-01", f"echo 'enable-debug-command yes' >>{CONF}"),
        ("RDS-IP-C-01", f"sed -i 's/^bind .*/bind 0.0.0.0/; s/^protected-mode .*/protected-mode no/' {CONF}"),
        ("RDS-BK-A-01", f"echo 'save \"\"' >>{CONF}"),
        ("RDS-AC-F-01", f"chmod 644 {CONF}; chown root:root {CONF}; chmod 755 /etc/redis"),
    ],
)
def test_a_control_is_mended_with_a_password_in_the_way_and_taken_back(lab, control, broken):
    under = HostUnderChange(lab.workspace, "cache-02")
    item = of(control, CONF)
    broken = f"{SAVE}; {broken}; systemctl restart redis-server; sleep 1"
    keys = ("timeout", "logfile", "bind", "protected-mode", "appendonly", "enable-debug-command")
    mended = f"{BACK}; chmod 2770 /etc/redis; rm -rf /var/lib/redis/appendonlydir /var/lib/redis/dump.rdb"
    under.root(broken)
    try:
        assert judged(under, [control], CONF) == {control: "fail"}
        was = running(under, CONF, *keys)
        tx = under.harden(item)
        assert judged(under, [control], CONF) == {control: "pass"}
        assert answers(under.host.address).startswith("-NOAUTH")
        assert running(under, CONF, "port") == {"port": "6379"}
        under.revert(tx)
        assert judged(under, [control], CONF) == {control: "fail"}
        assert running(under, CONF, *keys) == was
    finally:
        under.root(mended)
    proves(under, [item], broken=broken, mended=mended, more="ls -A /var/lib/redis")


def test_what_would_cut_off_clients_or_lose_data_is_not_done(lab):
    weak = HostUnderChange(lab.workspace, "cache-01")
    found = weak.plan(of("RDS-IP-C-01", CONF))["RDS-IP-C-01"]
    assert isinstance(found, Skip)
    assert found.why is Why.UNSAFE
    assert "口令" in found.text
    found = weak.plan(of("RDS-AU-A-01", CONF, restart=False))["RDS-AU-A-01"]
    assert isinstance(found, Skip)
    assert found.why is Why.EXCLUDED
    weak.root("redis-cli -p 6380 set secops-test lost")  # this one saves nothing
    try:
        found = weak.plan(of("RDS-AU-A-01", HAND))["RDS-AU-A-01"]
        assert isinstance(found, Skip)
        assert found.why is Why.UNSAFE
        assert "未持久化" in found.text
    finally:
        weak.root("redis-cli -p 6380 del secops-test")


def test_the_password_is_in_nothing_that_is_read_or_written_and_on_no_command_line(lab):
    under = HostUnderChange(lab.workspace, "cache-02")
    item = Item("t", "redis_directive", {"timeout": 600}, location=CONF)
    secret = under.root(f"sed -n 's/^requirepass //p' {CONF}").strip()
    from agent.change.library import modules  # noqa: PLC0415
    from agent.change.registry import registry  # noqa: PLC0415
    from agent.change.splice import shown  # noqa: PLC0415

    read = registry()["redis_directive"]
    script = f"R=; TX=none; TXROOT=/none\n{modules(read.library)}\nset -x\n{read.read(item, under.facts)}"
    said = under.root(script)
    files, missing = shown(said.splitlines())
    assert not missing
    assert len(secret) > 10
    assert secret not in said + files[CONF].text
    (step,) = under.steps(item)
    assert secret not in step.write
    tx = under.transaction([item], [step])
    assert not under.begin(tx).failed
    assert running(under, CONF, "timeout") == {"timeout": "600"}
    assert under.undo(tx) is TxState.UNDONE
    assert running(under, CONF, "timeout") == {"timeout": "900"}
