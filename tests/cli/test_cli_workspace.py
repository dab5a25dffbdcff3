"""init, inventory, schema: through the parser, as an operator calls them."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.cli.main import main
from agent.declared import opslocation

HERE = ("10.66.0.9",)


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the machine an address that the tests know, whatever it runs on."""
    monkeypatch.setattr(opslocation, "local_addresses", lambda: HERE)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    root = tmp_path / "ws"
    assert main(["init", str(root), "--approver-key", str(tmp_path / "approver.pem")]) == 0
    return root


def hosts(root: Path, *rows: str) -> None:
    text = "schema_version: 1\nhosts:\n" + "".join(f"- {{{row}}}\n" for row in rows)
    (root / "inventory/hosts.yaml").write_text(text, "utf-8")


def test_init_designates_the_ops_location_when_asked(workspace: Path, tmp_path: Path) -> None:
    opslocation.check(workspace, HERE)
    assert (tmp_path / "approver.pem").stat().st_mode & 0o777 == 0o600
    assert not list(workspace.rglob("*.pem"))


def test_init_never_overwrites(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in workspace.rglob("*") if path.is_file()}
    assert main(["init", str(workspace)]) == 2
    assert "will not overwrite" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in workspace.rglob("*") if path.is_file()} == before


def test_init_keeps_the_private_key_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "ws"
    assert main(["init", str(root), "--approver-key", str(root / "state" / "a.pem")]) == 2
    assert "must lie outside the workspace" in capsys.readouterr().err
    (tmp_path / "held.pem").write_text("mine")
    assert main(["init", str(root), "--approver-key", str(tmp_path / "held.pem")]) == 2
    assert main(["init", str(root), "--allow", "10.0.0.1"]) == 2
    assert not root.exists()


def test_without_an_ops_location_ping_refuses_and_names_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, key = str(tmp_path / "ws"), str(tmp_path / "approver.pem")
    assert main(["init", root]) == 0
    assert main(["-C", root, "inventory", "ping"]) == 2
    assert "agent inventory ops-location --approver-key KEY" in capsys.readouterr().err
    assert main(["-C", root, "inventory", "ops-location", "--approver-key", key, "--new-key"]) == 0
    assert main(["-C", root, "inventory", "ping"]) == 0
    assert main(["-C", root, "inventory", "ops-location", "--approver-key", key, "--only"]) == 2
    words = ["inventory", "ops-location", "--approver-key", key, "--only", "--allow", "192.0.2.1"]
    assert main(["-C", root, *words]) == 0
    capsys.readouterr()
    assert main(["-C", root, "inventory", "ping"]) == 2
    assert "not a designated ops location" in capsys.readouterr().err
    inside = ["inventory", "ops-location", "--approver-key", f"{root}/x.pem", "--new-key"]
    assert main(["-C", root, *inside]) == 2


def test_list_shows_defaults_applied(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hosts(workspace, "name: a, address: 10.0.0.1, owner: 张三")
    assert main(["-C", str(workspace), "inventory", "list"]) == 0
    assert "10.0.0.1:22" in capsys.readouterr().out
    assert main(["-C", str(workspace), "inventory", "list", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["kind"], row["port"], row["owner"]) == ("host", 22, "张三")


def test_check_reads_every_file_and_names_each_fault(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-C", str(workspace), "inventory", "check"]) == 0
    hosts(workspace, "name: a, adress: 10.0.0.1")
    (workspace / "contract.yaml").write_text("schema_version: 1\n")
    assert main(["-C", str(workspace), "inventory", "check"]) == 2
    shown = capsys.readouterr().err
    assert "did you mean `address`?" in shown
    assert "project: is missing" in shown


@contextmanager
def server(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            peer, _ = listener.accept()
            with peer:
                answer(peer)

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]


def test_ping_tells_what_answers(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        closed = held.getsockname()[1]
    hostile = b"<script>\x1b[31m notice\r\nSSH-2.0-x\x1b]0;owned\x07\xff\r\n"
    with (
        server(lambda peer: peer.sendall(hostile)) as loud,
        server(lambda peer: peer.sendall(b"220 mail\r\n")) as wrong,
        server(lambda peer: peer.recv(1) and None) as silent,
    ):
        rows = {"loud": loud, "wrong": wrong, "silent": silent, "closed": closed}
        extra = ["name: behind, address: 10.9.9.9, bastion: loud", "name: me, address: 127.0.0.1, transport: local"]
        hosts(workspace, *(f"name: {n}, address: 127.0.0.1, port: {p}" for n, p in rows.items()), *extra)
        begin = time.monotonic()
        assert main(["-C", str(workspace), "inventory", "ping", "--json"]) == 3
        assert time.monotonic() - begin < 8
    found = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert {name: row["state"] for name, row in found.items()} == {
        "loud": "ok",
        "wrong": "silent",
        "silent": "silent",
        "closed": "failed",
        "behind": "skipped",
        "me": "ok",
    }
    assert found["loud"]["detail"].startswith("SSH-2.0-x")
    assert "\x1b" not in str(found)
    assert "220 mail" in found["wrong"]["detail"]
    assert main(["-C", str(workspace), "inventory", "ping", "--target", "nobody"]) == 2
    assert main(["-C", str(workspace), "inventory", "ping", "--target", "me"]) == 0


def test_schema_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    names = capsys.readouterr().out.split()
    for name in names:
        assert main(["schema", name]) == 0
        assert json.loads(capsys.readouterr().out)["type"] == "object"
    assert main(["schema", "nope"]) == 2
    assert names[0] in capsys.readouterr().err
