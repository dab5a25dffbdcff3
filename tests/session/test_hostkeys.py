"""known_hosts: read as OpenSSH writes it, changed atomically."""

from __future__ import annotations

import subprocess
from dataclasses import replace

import pytest

from agent.model.asset import Host
from agent.model.errors import DeclaredError
from agent.session import KnownHosts

HOST = Host("web-01", "10.0.0.1")


@pytest.fixture
def key(keygen, tmp_path):
    return keygen(tmp_path / "key")


def test_the_fingerprint_is_what_ssh_keygen_says(key, tmp_path):
    said = subprocess.run(
        ["ssh-keygen", "-lf", tmp_path / "key.pub"], capture_output=True, text=True, check=True
    ).stdout
    assert key.fingerprint == said.split()[1]


def test_pinned_keys_are_found_and_ssh_keygen_reads_the_file(key, tmp_path):
    pins = KnownHosts(tmp_path / "known_hosts")
    assert pins.pinned(HOST) == ()
    pins.pin(HOST, key)
    pins.pin(replace(HOST, port=2222), key)
    assert pins.pinned(HOST) == (key,)
    found = subprocess.run(["ssh-keygen", "-F", "[10.0.0.1]:2222", "-f", pins.path], check=True, capture_output=True)
    assert b"ssh-ed25519" in found.stdout
    assert pins.pinned(replace(HOST, address="10.0.0.2", name="web-02")) == ()


def test_hashed_names_by_address_or_inventory_name(key, tmp_path):
    file = tmp_path / "known_hosts"
    file.write_text(f"# a comment\n\n10.0.0.1,web-01 {key.line} comment\n@cert-authority * {key.line}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", file], check=True, capture_output=True)
    assert "10.0.0.1" not in file.read_text()
    pins = KnownHosts(file)
    assert set(pins.pinned(HOST)) == {key}
    assert set(pins.pinned(replace(HOST, address="elsewhere"))) == {key}


def test_a_revoked_key_is_not_pinned(key, tmp_path):
    file = tmp_path / "known_hosts"
    file.write_text(f"10.0.0.1 {key.line}\n@revoked 10.0.0.1 {key.line}\n")
    assert KnownHosts(file).pinned(HOST) == ()


def test_replacing_drops_the_host_s_old_key_and_no_other(key, keygen, tmp_path):
    new = keygen(tmp_path / "new")
    pins = KnownHosts(tmp_path / "known_hosts")
    other = replace(HOST, address="10.0.0.9", name="other")
    pins.pin(HOST, key)
    pins.pin(other, key)
    pins.pin(HOST, new, replace=True)
    assert (pins.pinned(HOST), pins.pinned(other)) == ((new,), (key,))
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".")] == []


@pytest.mark.parametrize(
    "line",
    ["10.0.0.1 ssh-ed25519", "10.0.0.1 ssh-ed25519 !!!", "10.0.0.1 ssh-rsa {blob}", "|1|x {both}", "|1|*|* {both}"],
)
def test_damaged_lines_are_named(key, tmp_path, line):
    file = tmp_path / "known_hosts"
    file.write_text("# fine\n" + line.format(blob=key.line.split()[1], both=key.line) + "\n")
    with pytest.raises(DeclaredError, match="known_hosts:2"):
        KnownHosts(file).pinned(HOST)
