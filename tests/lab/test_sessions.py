"""Sessions over the lab's real hosts and databases, and over the ones that misbehave."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from agent.declared import load_inventory
from agent.model.errors import ToolError, UnreachedError
from agent.model.session import Command
from agent.observe import network
from agent.session import FileCredentials, SshSessions


def over(folder: Path) -> tuple[SshSessions, object]:
    inventory = load_inventory(folder)
    source = FileCredentials(folder / "state" / "credentials.yaml")
    return SshSessions(inventory, source, folder / "inventory" / "known_hosts"), inventory


@pytest.fixture
def sessions(lab):
    made, inventory = over(lab.workspace)
    made.inventory = inventory
    yield made
    made.close()


@pytest.fixture
def trouble(lab):
    made, inventory = over(lab.trouble)
    made.inventory = inventory
    yield made
    made.close()


def test_every_host_answers_as_root_on_one_connection_each(sessions):
    def ask(host) -> tuple[str, str]:
        with sessions.open(host, 60) as session:
            result = session.run(Command("id -u; hostname; wc -c </etc/shadow", privileged=True, deadline=60))
            assert result.rc == 0, (host.name, result)
            assert result.stderr == b"", (host.name, result)
            return tuple(result.stdout.decode().split()[:2])

    hosts = sessions.inventory.hosts
    assert len(hosts) == 23
    with ThreadPoolExecutor(23) as pool:
        assert list(pool.map(ask, hosts)) == [("0", host.name) for host in hosts]


def test_sudo_with_a_wrong_password_is_denied(sessions, lab, tmp_path):
    host = sessions.inventory.host("sudo-01")
    login = FileCredentials(lab.workspace / "state" / "credentials.yaml").password(host, "login").reveal()
    file = tmp_path / "credentials.yaml"
    file.touch(mode=0o600)
    file.write_text(f"hosts: {{sudo-01: {{login: '{login}', sudo: wrong}}}}\n")
    other = SshSessions(sessions.inventory, FileCredentials(file), lab.workspace / "inventory" / "known_hosts")
    with other.open(host, 30) as session:
        with pytest.raises(UnreachedError) as caught:
            session.run(Command("id", privileged=True))
        assert caught.value.reason == "sudo-denied"
        assert session.run(Command("echo still here")).stdout == b"still here\n"


def test_the_password_leaves_no_trace_on_the_target(sessions, lab):
    host = sessions.inventory.host("sudo-01")
    word = FileCredentials(lab.workspace / "state" / "credentials.yaml").password(host, "sudo").reveal()
    with sessions.open(host, 30) as session:
        look = (
            "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'; ls -A /run/sudo/ts 2>/dev/null"
        )
        result = session.run(Command(look, privileged=True))
    assert b"sh" in result.stdout
    assert word.encode() not in result.stdout + result.stderr


def test_a_slow_login_shell_counts_against_the_deadline_and_no_more(sessions):
    host = sessions.inventory.host("slow-01")
    with sessions.open(host, 30) as session:
        assert session.run(Command("echo in", deadline=20)).stdout == b"in\n"
    with sessions.open(host, 30) as session, pytest.raises(UnreachedError) as caught:
        session.run(Command("echo in", deadline=1.5))
    assert caught.value.reason == "timeout"


def test_every_database_answers_read_only(sessions):
    for database in sessions.inventory.databases:
        with sessions.open_sql(database, 30) as session:
            assert session.query("select 1 + 1") == [(2,)]
            with pytest.raises(ToolError, match="25006"):
                session.query("create table agent_was_here (a int)")


def test_a_wrong_database_password_is_auth_failed(sessions, lab, tmp_path):
    file = tmp_path / "credentials.yaml"
    file.touch(mode=0o600)
    names = [database.name for database in sessions.inventory.databases]
    words = ", ".join(f"{name}: {{password: wrong}}" for name in names)
    file.write_text(f"key: {lab.key}\ndatabases: {{{words}}}\n")
    other = SshSessions(sessions.inventory, FileCredentials(file), lab.workspace / "inventory" / "known_hosts")
    refused = {}
    for database in sessions.inventory.databases:
        try:
            other.open_sql(database, 30).close()
        except UnreachedError as error:
            refused[database.name] = error.reason
    other.close()
    # pg-net trusts whoever comes over the network: planted, so it may let the wrong password in.
    assert refused["maria-01"] == refused["pg-local"] == "auth-failed"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("silent-01", "timeout"),
        ("refuse-01", "refused"),
        ("drip-01", "timeout"),
        ("half-01", "broken-off"),
        ("changed-01", "host-key-changed"),
        ("sudodeny-01", "sudo-denied"),
    ],
)
def test_each_trouble_has_its_reason_within_the_deadline(trouble, name, reason):
    host = trouble.inventory.host(name)
    began = time.monotonic()
    with pytest.raises(UnreachedError) as caught, trouble.open(host, 8) as session:
        session.run(Command("id -u; seq 200000", privileged=True, deadline=8))
    assert caught.value.reason == reason, caught.value
    assert caught.value.where == name
    assert time.monotonic() - began < 10


def test_nmap_sees_every_host_and_the_hostile_one_does_no_harm(sessions):
    hosts = [host for host in sessions.inventory.hosts if not host.bastion]
    targets = {host.name: host.address for host in hosts}
    facts = {item.target: item for item in network.parse(network.scan(targets, [9000]), targets)}
    assert set(facts) == set(targets)
    assert not [name for name, item in facts.items() if item.timed_out]
    for name, item in facts.items():
        ssh = next(port for port in item.ports if port.port == 22)
        assert ssh.state == "open", name
        assert "kex_algorithms" in ssh.scripts["ssh2-enum-algos"], name
    texts = [
        text for port in facts["hostile-01"].ports for text in (port.product, port.version, *port.scripts.values())
    ]
    assert "\x1b" not in "".join(texts)
    assert any(port.port == 9000 and port.state == "open" for port in facts["hostile-01"].ports)


def test_a_host_reached_past_its_port_is_unreachable_or_refused(sessions):
    host = replace(sessions.inventory.host("node-01"), address="10.66.0.250")
    with pytest.raises(UnreachedError) as caught:
        sessions.open(host, 5)
    assert caught.value.reason in {"unreachable", "timeout"}
