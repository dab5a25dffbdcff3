"""The lab itself: everything is up, reachable, and as tests/lab/expected.yaml says."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from agent import lab as world
from agent.lab.databases import NAMES
from agent.lab.machines import MACHINES, TROUBLE

HERE = Path(__file__).parent
PLANTED = yaml.safe_load((HERE / "expected.yaml").read_text(encoding="utf-8"))["planted"]
PROBES = yaml.safe_load((HERE / "probes.yaml").read_text(encoding="utf-8"))
HOST_OF = {name: host for host, name in NAMES.items()}
CLIENT = {
    "maria": ("mariadb", "-NB"),
    "pg": ("runuser", "-u", "postgres", "--", "psql", "-qXAt", "-d", "warnings"),
}


def _answer(lab, target: str, probe: dict[str, str]) -> str:
    if "sql" in probe:
        client = CLIENT[target.partition("-")[0]]
        return lab.enter(HOST_OF[target], *client, stdin=probe["sql"] + ";\n")
    return lab.enter(target, "sh", "-c", f"{{ {probe['sh']}; }} || true")


@pytest.mark.parametrize("line", PLANTED, ids=lambda line: f"{line['check']}-{line['weak']}")
def test_what_is_planted_is_wrong_on_the_weak_one_and_right_on_its_twin(lab, line):
    probe = PROBES[line["check"]]
    weak, twin = _answer(lab, line["weak"], probe), _answer(lab, line["twin"], probe)
    assert re.search(probe["weak"], weak, re.MULTILINE), f"{line['weak']}: {weak!r}"
    assert not re.search(probe["weak"], twin.strip(), re.MULTILINE), f"{line['twin']}: {twin!r}"


def test_every_machine_is_up(lab):
    states = {state.name: state.state for state in world.status(lab.workspace)}
    assert len(states) >= len(MACHINES) + len(TROUBLE)
    assert {name for name, state in states.items() if state != "up"} <= {"vm-01"}


def test_up_again_says_so_and_is_quick(lab):
    said: list[str] = []
    begun = time.monotonic()
    world.up(lab.workspace, trouble=True, echo=said.append)
    assert said == ["the lab is up already: 30 hosts"]
    assert time.monotonic() - begun < 15


def _ssh(lab, workspace: Path, address: str, command: str, *options: str) -> subprocess.CompletedProcess:
    argv = ["ssh", "-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "ConnectTimeout=15"]
    argv += ["-o", f"UserKnownHostsFile={workspace / 'inventory' / 'known_hosts'}", "-i", str(lab.key), *options]
    return subprocess.run([*argv, f"ops@{address}", command], capture_output=True, timeout=60, check=False)


OWN_WAY = {"sudo-01", "inner-01", "legacy-01"}


@pytest.mark.parametrize("machine", [m for m in MACHINES if m.name not in OWN_WAY], ids=lambda machine: machine.name)
def test_ops_logs_in_with_the_pinned_key_and_has_sudo(lab, machine):
    done = _ssh(lab, lab.workspace, machine.address, "hostname; sudo -n id -u")
    assert done.stdout.decode().split() == [machine.name, "0"], done.stderr


def test_inner_host_is_reached_through_the_bastion_only(lab):
    known = lab.workspace / "inventory" / "known_hosts"
    jump = f"ssh -F none -o UserKnownHostsFile={known} -i {lab.key} -W %h:%p ops@10.66.0.31"
    done = _ssh(lab, lab.workspace, "10.66.1.32", "hostname", "-o", f"ProxyCommand={jump}")
    assert done.stdout.decode().split() == ["inner-01"], done.stderr
    with pytest.raises(OSError, match=r"unreachable|No route"):
        socket.create_connection(("10.66.1.32", 22), timeout=5)


def test_legacy_host_speaks_only_what_is_old(lab):
    modern = _ssh(lab, lab.workspace, "10.66.0.43", "true")
    assert modern.returncode == 255
    old = ("-oHostKeyAlgorithms=ssh-rsa", "-oKexAlgorithms=diffie-hellman-group14-sha1", "-oCiphers=aes128-cbc")
    done = _ssh(lab, lab.workspace, "10.66.0.43", "hostname", *old, "-oMACs=hmac-sha1")
    assert done.stdout.decode().split() == ["legacy-01"], done.stderr


def test_sudo_host_refuses_the_key_and_sudo_without_a_password(lab):
    assert _ssh(lab, lab.workspace, "10.66.0.45", "true").returncode == 255
    assert "password is required" in lab.enter("sudo-01", "sh", "-c", "runuser -u ops -- sudo -n id 2>&1 || true")


def test_slow_host_takes_two_seconds_to_answer(lab):
    begun = time.monotonic()
    assert _ssh(lab, lab.workspace, "10.66.0.46", "true").returncode == 0
    assert time.monotonic() - begun > 2


def test_hostile_host_greets_with_markup_escapes_templates_controls_and_gbk(lab):
    with socket.create_connection(("10.66.0.44", 9000), timeout=10) as connection:
        greeting = b"".join(iter(lambda: connection.recv(4096), b""))
    for part in (b"<script>", b"\x1b[2J", b"{{7*7}}", b"\x08", "北京".encode("gbk")):
        assert part in greeting
    assert b"<script>" in _ssh(lab, lab.workspace, "10.66.0.44", "cat /etc/os-release").stdout


def _within(connection: socket.socket, seconds: float) -> bytes:
    """What arrives in that time."""
    received = b""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        connection.settimeout(left)
        try:
            received += connection.recv(4096)
        except TimeoutError:
            break
    return received


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("half-01", "break"),
        ("changed-01", "key"),
        ("sudodeny-01", "sudo"),
        ("silent-01", "silence"),
        ("drip-01", "drip"),
    ],
)
def test_each_troublesome_host_troubles_in_its_own_way(lab, name, what):
    address = next(machine.address for machine in TROUBLE if machine.name == name)
    if what == "break":
        done = _ssh(lab, lab.trouble, address, "seq 1 100000")
        assert done.returncode != 0
        assert 0 < len(done.stdout) < 10_000
    elif what == "key":
        assert b"REMOTE HOST IDENTIFICATION HAS CHANGED" in _ssh(lab, lab.trouble, address, "true").stderr
    elif what == "sudo":
        assert _ssh(lab, lab.trouble, address, "sudo -n true").returncode == 1
    else:
        with socket.create_connection((address, 22), timeout=5) as connection:
            connection.settimeout(2.5)
            received = _within(connection, 2.5)
        assert (len(received) == 0) if what == "silence" else (1 <= len(received) <= 4)


@pytest.mark.usefixtures("lab")
def test_refusing_host_refuses():
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("10.66.0.62", 22), timeout=5)


def test_hosts_have_no_route_outside(lab):
    assert "default" not in lab.enter("node-01", "ip", "route")
