import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import insert

from agent.app import App
from agent.cli import doctor
from agent.cli.main import cli
from agent.declared import opslocation
from agent.declared.workspace import make_workspace
from agent.store.schema import ledger_entry

NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(opslocation, "local_addresses", lambda: ("10.66.0.9",))
    monkeypatch.setenv("AGENT_KEYS", str(tmp_path / "keys"))
    monkeypatch.setenv("SUDO_USER", "wangwu")
    folder = tmp_path / "ws"
    make_workspace(folder)
    opslocation.make_key(tmp_path / "approver.pem")
    opslocation.designate(folder, [], tmp_path / "approver.pem")
    people = "schema_version: 1\npeople: [{name: 王五, role: engineer, login: wangwu}]\n"
    (folder / "inventory/people.yaml").write_text(people, "utf-8")
    hosts = "schema_version: 1\nhosts: [{name: a, address: 10.66.0.11}]\n"
    (folder / "inventory/hosts.yaml").write_text(hosts, "utf-8")
    return folder


def states(root: Path, now: datetime = NOW) -> dict[str, str]:
    app = App(root, lambda: now)
    try:
        return {one.name: one.state for one in doctor.examine(app)}
    finally:
        app.close()


def test_a_fit_workspace_has_no_failure_and_says_what_is_not_there_yet(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "state/credentials.yaml").write_text("hosts: {}\n")
    (root / "state/credentials.yaml").chmod(0o600)
    found = states(root)
    found.pop("nmap")
    found.pop("fonts")
    found.pop("disk")
    assert {name for name, state in found.items() if state != "ok"} == {"feeds"}
    app = App(root, lambda: NOW)
    code = cli.main(["doctor", "--json"], obj=app, standalone_mode=False)
    shown = json.loads(capsys.readouterr().out)
    assert code == (2 if any(row["state"] == "fail" for row in shown) else 1)
    assert "no vulnerability feed" in next(row for row in shown if row["name"] == "feeds")["detail"]


def _open_state(root: Path) -> None:
    (root / "state").chmod(0o755)


def _loose_credentials(root: Path) -> None:
    (root / "state/credentials.yaml").write_text("hosts: {}\n")
    (root / "state/credentials.yaml").chmod(0o644)


def _unsigned(root: Path) -> None:
    (root / "inventory/ops-location.yaml.sig").unlink()


def _broken_inventory(root: Path) -> None:
    (root / "inventory/hosts.yaml").write_text("hosts: [")


def _loose_key(root: Path) -> None:
    folder = root.parent / "keys"
    folder.mkdir(mode=0o700)
    (folder / "kek.key").write_text("x")
    (folder / "kek.key").chmod(0o644)


@pytest.mark.parametrize(
    ("spoil", "name"),
    [
        (_open_state, "file modes"),
        (_loose_credentials, "file modes"),
        (_unsigned, "ops location"),
        (_broken_inventory, "workspace"),
        (_loose_key, "keys"),
    ],
)
def test_each_fault_is_found(root: Path, spoil: Callable[[Path], None], name: str) -> None:
    app = App(root, lambda: NOW)
    assert not [one for one in doctor.examine(app) if one.name == name and one.state == "fail"]
    app.close()
    spoil(root)
    app = App(root, lambda: NOW)
    (fault,) = [one for one in doctor.examine(app) if one.name == name and one.state == "fail"]
    assert fault.remedy
    assert cli.main(["doctor"], obj=app, standalone_mode=False) == 2
    app.close()


def test_keys_inside_state_are_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "state/keys").mkdir(mode=0o700)
    monkeypatch.setenv("AGENT_KEYS", str(root / "state/keys"))
    assert states(root)["keys"] == "fail"


def _sealed(root: Path, at: str) -> None:
    app = App(root)
    row = {"seq": 1, "at": at, "kind": "x", "run": "", "blob": "", "size": 0, "prev": "0" * 64, "hash": "1" * 64}
    with app.store.write() as connection:
        connection.execute(insert(ledger_entry).values(row))
    app.close()


def test_a_clock_behind_the_last_evidence_is_refused(root: Path) -> None:
    _sealed(root, "2026-11-22T00:01:00.000000Z")
    assert states(root)["clock"] == "ok"
    assert states(root, NOW.replace(day=21))["clock"] == "fail"


def test_a_clock_of_another_age_is_refused(root: Path) -> None:
    assert states(root, datetime(1970, 1, 1, tzinfo=UTC))["clock"] == "fail"


def test_evidence_without_its_keys_is_a_failure(root: Path) -> None:
    assert states(root)["keys"] == "ok"
    _sealed(root, "2026-11-21T00:01:00.000000Z")
    assert states(root)["keys"] == "fail"


@pytest.mark.parametrize(
    ("script", "state"),
    [
        ("echo 'Nmap version 7.93 ( https://nmap.org )'", "ok"),
        ("echo 'Nmap version 6.40'", "warn"),
        ("echo hello", "fail"),
        (None, "fail"),
    ],
)
def test_nmap_by_its_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None, state: str) -> None:
    if script:
        (tmp_path / "nmap").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "nmap").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    (found,) = doctor.nmap()
    assert found.state == state


@pytest.mark.parametrize(("free", "state"), [(1 << 20, "fail"), (1 << 30, "warn"), (100 << 30, "ok")])
def test_disk_space(root: Path, monkeypatch: pytest.MonkeyPatch, free: int, state: str) -> None:
    usage = doctor.shutil.disk_usage(root)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _path: usage._replace(free=free))
    assert states(root)["disk"] == state


def test_a_stranger_is_told_so(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "nobody-known")
    assert states(root)["operator"] == "warn"
    assert os.environ["SUDO_USER"] == "nobody-known"
