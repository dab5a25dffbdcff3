"""What of the lab is pure: that its data agree, and that its pieces of text are right."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from lxml import etree

from agent.lab import identity, machines, needs
from agent.lab.cache import key, overlay_options, recipe
from agent.lab.databases import NAMES
from agent.lab.machines import LAYERS, MACHINES, TROUBLE
from agent.lab.profiles import inventory
from agent.lab.record import Record, Thing, pid_of
from agent.lab.rpmrepo import spec, updateinfo
from agent.lab.run import run, write
from agent.lab.sources import machine_sources, one_line_sources
from agent.model.errors import ToolError

ROOT = Path(__file__).resolve().parents[2]


def _declared(name: str) -> dict:
    return yaml.safe_load((ROOT / "inventory" / name).read_text(encoding="utf-8"))


def test_the_inventory_declares_exactly_the_machines_that_the_lab_makes():
    declared = {host["name"]: host["address"] for host in _declared("hosts.yaml")["hosts"]}
    assert declared == {machine.name: machine.address for machine in MACHINES}
    assert len(declared) == 23


UNDECLARED = {"node-05": {"tcp/23", "tcp/111", "udp/111"}, "app-01": {"tcp/8005", "tcp/8009"}}
"""What runs and nobody declared: telnet, rpcbind, Tomcat's shutdown port and AJP are weaknesses, not services."""


def test_the_inventory_expects_what_the_machines_listen_on():
    document = _declared("hosts.yaml")
    for host in document["hosts"]:
        machine = next(machine for machine in MACHINES if machine.name == host["name"])
        group = document["groups"][host["groups"][0]]
        expected = set(host.get("listeners") or group["listeners"])
        assert expected | UNDECLARED.get(host["name"], set()) == set(machine.listeners), host["name"]


def test_the_inventory_declares_the_three_databases_on_their_hosts():
    declared = {entry["name"]: entry["host"] for entry in _declared("databases.yaml")["databases"]}
    assert declared == {name: host for host, name in NAMES.items() if host != "db-04"}


def test_trouble_has_a_workspace_of_its_own_that_shares_no_name_or_address():
    hosts = inventory("trouble")["hosts.yaml"]["hosts"]
    assert [host["name"] for host in hosts] == [machine.name for machine in TROUBLE]
    assert not {host["address"] for host in hosts} & {machine.address for machine in MACHINES}


@pytest.mark.parametrize("machine", [*MACHINES, *TROUBLE], ids=lambda machine: machine.name)
def test_each_machine_has_its_recipe_its_layer_and_names_that_fit(machine):
    if machine.kind == "container":
        assert recipe(f"{machine.plant}.sh")
    assert machine.layer == "base" or machine.layer in LAYERS
    assert len(machine.veth) <= 15
    assert machine.netns.startswith("agentlab-")


def test_every_planted_line_names_targets_of_the_lab_and_has_a_probe():
    folder = ROOT / "tests" / "lab"
    planted = yaml.safe_load((folder / "expected.yaml").read_text(encoding="utf-8"))["planted"]
    probes = yaml.safe_load((folder / "probes.yaml").read_text(encoding="utf-8"))
    known = {machine.name for machine in (*MACHINES, *TROUBLE)} | set(NAMES.values())
    assert {line[role] for line in planted for role in ("weak", "twin")} <= known
    assert {line["check"] for line in planted} == set(probes)


def test_a_changed_recipe_changes_the_key_and_parts_do_not_run_together():
    assert key("a", "b") == key("a", "b")
    assert key("a", "b") != key("ab")
    assert key("a", "b") != key("a", "c")


def test_overlay_options_escape_what_mount_splits_at():
    options = overlay_options([Path("/a:b"), Path("/c,d")], Path("/u\\x"), Path("/w"))
    assert options == "lowerdir=/a\\:b:/c\\,d,upperdir=/u\\\\x,workdir=/w"


SOURCES = """\
# a comment
Types: deb deb-src
URIs: http://mirror.example.invalid/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/k.gpg

Enabled: no
Types: deb
URIs: http://off.example.invalid/debian
Suites: bookworm
Components: main

Types: deb
URIs: http://mirror.example.invalid/debian-security
# inside
Suites: bookworm-security
Components: main contrib
"""


def test_sources_of_both_forms_are_read_and_disabled_ones_are_not(tmp_path):
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text("deb http://one.example.invalid/d trixie main # note\n#deb http://x y z\n")
    (tmp_path / "sources.list.d" / "debian.sources").write_text(SOURCES)
    signed = "deb [signed-by=/usr/share/keyrings/k.gpg] http://mirror.example.invalid/debian"
    assert list(one_line_sources(tmp_path)) == [
        "deb http://one.example.invalid/d trixie main",
        f"{signed} bookworm main",
        f"{signed} bookworm-updates main",
        "deb http://mirror.example.invalid/debian-security bookworm-security main contrib",
    ]


def test_a_machine_without_the_suite_gets_a_remedy(tmp_path):
    (tmp_path / "sources.list").write_text("deb http://one.example.invalid/d noble main\n")
    with pytest.raises(ToolError, match="no apt source of Debian bookworm") as caught:
        machine_sources(tmp_path / "out", "bookworm", etc=tmp_path)
    assert "debian.sources" in caught.value.remedy


def _family() -> dict:
    return yaml.safe_load(recipe("rpm-packages.yaml"))["centos7"]


def test_updateinfo_is_xml_that_names_the_cve_and_the_fixed_package():
    tree = etree.fromstring(updateinfo(_family()).encode())
    update = next(node for node in tree if node.findtext("id") == "RHSA-2023:1335")
    assert [node.get("id") for node in update.iter("reference")] == ["CVE-2023-0286"]
    package = next(node for node in update.iter("package") if node.get("name") == "openssl")
    assert (package.get("epoch"), package.get("version"), package.get("release")) == ("1", "1.0.2k", "26.el7_9")


def test_spec_names_source_epoch_and_every_binary_package():
    source = next(source for source in _family()["sources"] if source["source"] == "openssl")
    text = spec(source, source["release"], "CentOS")
    for line in (
        "Name: openssl",
        "Epoch: 1",
        "Release: 25.el7_9",
        "%package -n openssl-libs",
        "%files -n openssl-libs",
    ):
        assert line in text.splitlines()


def test_passwords_have_four_classes_and_differ():
    made = {identity.password(18) for _ in range(50)}
    assert len(made) == 50
    for secret in made:
        assert len(secret) == 18
        assert any(c.islower() for c in secret)
        assert any(c.isupper() for c in secret)
        assert any(c.isdigit() for c in secret)
        assert any(not c.isalnum() for c in secret)


def test_credentials_are_merged_into_a_file_that_only_its_owner_reads(tmp_path):
    path = tmp_path / "state" / "credentials.yaml"
    path.parent.mkdir()
    path.write_text("hosts: {other: {login: x}}\nkeys: {other: /k}\n")
    identity.merge_credentials(path, key=Path("/key"), hosts={"sudo-01": {"login": "a", "sudo": "b"}}, databases={})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    document = yaml.safe_load(path.read_text())
    assert document["hosts"] == {"other": {"login": "x"}, "sudo-01": {"login": "a", "sudo": "b"}}
    assert document["keys"] == {"other": "/k"}
    assert document["key"] == "/key"


def test_pins_replace_the_labs_own_lines_and_keep_others(tmp_path):
    path = tmp_path / "known_hosts"
    path.write_text("elsewhere ssh-ed25519 AAAA\nweb-01,10.66.0.11 ssh-ed25519 OLD\n")
    identity.merge_pins(path, "web-01,10.66.0.11 ssh-ed25519 NEW\n")
    assert path.read_text() == "elsewhere ssh-ed25519 AAAA\nweb-01,10.66.0.11 ssh-ed25519 NEW\n"


def test_the_journal_survives_a_torn_line_and_forgets_what_it_cleared(tmp_path):
    record = Record(tmp_path)
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder, machine in zip(folders, ("a", "b"), strict=True):
        folder.mkdir()
        record.add(Thing(machine, "folder", str(folder)))
    with record.path.open("a") as handle:
        handle.write('{"machine": "c", "ki')
    assert record.machines() == {"a", "b"}
    record.clear("a")
    assert [folder.exists() for folder in folders] == [False, True]
    record.clear()
    assert not folders[1].exists()
    assert not record.path.exists()


def test_a_process_that_took_over_a_recorded_id_is_not_ours(tmp_path):
    pidfile = tmp_path / "pid"
    pidfile.write_text("1\n")
    assert pid_of(pidfile, "--machine=agentlab-nothing") is None
    pidfile.write_text("not a number")
    assert pid_of(pidfile, "") is None


def test_a_program_that_fails_says_what_it_said_last_and_never_its_input():
    with pytest.raises(ToolError, match="exit code 3: sorry") as caught:
        run("sh", "-c", "cat >/dev/null; echo sorry >&2; exit 3", stdin="hunter2")
    assert "hunter2" not in str(caught.value)
    with pytest.raises(ToolError, match="is not installed"):
        run("no-such-program-here")


def test_a_full_disk_gets_a_remedy():
    with pytest.raises(ToolError) as caught:
        run("sh", "-c", "echo 'x: No space left on device' >&2; exit 1")
    assert "disk space" in caught.value.remedy


def test_files_are_never_there_with_a_wider_mode(tmp_path):
    write(tmp_path / "deep" / "secret", "x", mode=0o600)
    assert stat.S_IMODE((tmp_path / "deep" / "secret").stat().st_mode) == 0o600


def test_missing_packages_are_those_of_missing_programs(monkeypatch):
    monkeypatch.setattr(needs, "_have", lambda program: program not in ("mmdebstrap", "rpmbuild"))
    assert {"mmdebstrap", "rpm"} <= set(needs.missing_packages()) <= {"mmdebstrap", "rpm", "debian-archive-keyring"}
    monkeypatch.setattr(needs, "_have", lambda program: program != "qemu-system-x86_64")
    assert "qemu-system-x86" in needs.missing_packages(vm=True)
    assert "qemu-system-x86" not in needs.missing_packages()


def test_without_root_the_reason_is_one_line(monkeypatch):
    monkeypatch.setattr(needs.os, "geteuid", lambda: 1000)
    reasons = needs.missing()
    assert any(reason.startswith("not root") for reason in reasons)
    assert all("\n" not in reason for reason in reasons)


def test_no_secret_and_no_mirror_stands_in_a_recipe():
    for file in (ROOT / "agent" / "lab" / "plant").iterdir():
        text = file.read_text(encoding="utf-8")
        assert "BEGIN" not in text
        assert "debian.org" not in text
    assert machines.GATEWAY == "10.66.0.1"


def test_the_agents_key_is_made_once_by_however_many_want_it(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: identity.ops_key(tmp_path).with_suffix(".pub").read_text(), range(8)))
    assert len(set(made)) == 1
