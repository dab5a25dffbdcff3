from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from agent.app import App
from agent.cli.main import cli, main
from agent.ledger import keys_folder, open_ledger
from agent.store.engine import open_store

HOSTILE = b"uid=0(root)\x1b]0;pwned\x07\x1b[31m\xe2\x80\xae \xd6\xd0\xce\xc4 <script>\n"


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.delenv("AGENT_KEYS", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    root = tmp_path / "ws"
    (root / "inventory").mkdir(parents=True)
    (root / "inventory" / "hosts.yaml").write_text("hosts: []\n")
    with open_store(root / "state") as store:
        ledger = open_ledger(root / "state", keys_folder(root), store, clock=lambda: datetime(2026, 11, 22, tzinfo=UTC))
        ledger.seal("host", HOSTILE, run="scan-1", subject="web01")
        ledger.seal("host", b"of another run", run="scan-2", subject="web02")
        ledger.checkpoint()
    return root


@pytest.fixture
def run(workspace):
    def call(*words: str):
        runner = CliRunner()
        words = ("-C", str(workspace), "evidence", *words)
        return runner.invoke(cli, words, standalone_mode=False, catch_exceptions=False)

    return call


def test_verify_says_so(run):
    result = run("verify")
    assert result.return_value == 0
    assert result.output.splitlines()[0] == "2 entries, 2 blobs, 1 checkpoints"
    assert result.output.splitlines()[-1] == "verified"
    assert "2026-11-22 08:00:00 (Asia/Shanghai)" in result.output


def test_every_flaw_is_printed_and_the_exit_code_is_2(run, workspace, capsys):
    blobs = list((workspace / "state" / "blobs").glob("??/*"))
    for blob in blobs:
        blob.write_bytes(b"agent-blob 1 AES-256-GCM zstd\nx")
    assert main(["-C", str(workspace), "evidence", "verify"]) == 2
    output = capsys.readouterr().out
    for blob in blobs:
        assert f"FLAW  blob {blob.name}: " in output
    assert output.endswith("NOT VERIFIED: 2 flaws\n")
    result = run("verify", "--json")
    answer = json.loads(result.output)
    assert (result.return_value, answer["ok"], len(answer["flaws"])) == (2, False, 2)
    assert {flaw["place"] for flaw in answer["flaws"]} == {f"blob {blob.name}" for blob in blobs}


def test_verify_as_json(run):
    answer = json.loads(run("verify", "--json").output)
    assert (answer["ok"], answer["entries"], answer["checkpoints"], answer["flaws"]) == (True, 2, 1, [])
    assert answer["head_at"] == "2026-11-22T00:00:00+00:00"


def test_show_is_clean_by_default(run):
    output = run("show", "1").output
    assert "subject  web01" in output
    assert "run      scan-1" in output
    assert "\x1b" not in output
    assert "\x07" not in output
    assert "\u202e" not in output
    assert "uid=0(root)" in output


def test_show_raw_is_to_the_letter(run):
    assert run("show", "1", "--raw").stdout_bytes == HOSTILE


def test_show_as_json(run):
    answer = json.loads(run("show", "2", "--json").output)
    assert (answer["seq"], answer["subject"], answer["text"], answer["kind"]) == (2, "web02", "of another run", "host")


def test_show_what_is_not_there(workspace, capsys):
    assert main(["-C", str(workspace), "evidence", "show", "9"]) == 2
    assert "entry 9: there is no such entry" in capsys.readouterr().err


def test_list_all_or_one_run(run):
    assert len(run("list").output.splitlines()) == 2
    (line,) = run("list", "--run", "scan-2").output.splitlines()
    assert line.split()[0] == "2"
    entries = [json.loads(line) for line in run("list", "--json").output.splitlines()]
    assert [entry["seq"] for entry in entries] == [1, 2]
    assert entries[1]["prev"] == entries[0]["hash"]


def test_an_export_verifies_here_and_at_the_customer(run, tmp_path):
    out = tmp_path / "out"
    fingerprint = json.loads(run("export", str(out), "--json").output)["fingerprint"]
    assert run("verify", str(out)).return_value == 0
    subprocess.run(["sh", str(out / "verify.sh"), "-k", fingerprint], check=True, capture_output=True)
    assert not (out / "content").exists()
    (out / "ledger.txt").write_text((out / "ledger.txt").read_text().replace("scan-2", "scan-9"))
    result = run("verify", str(out))
    assert result.return_value == 2
    assert "FLAW  ledger.txt:2: does not have its hash" in result.output


def test_an_export_with_content_of_one_run(run, tmp_path):
    output = run("export", str(tmp_path / "out"), "--run", "scan-2", "--with-content").output
    assert (tmp_path / "out" / "content" / "2.data").read_bytes() == b"of another run"
    assert not (tmp_path / "out" / "content" / "1.data").exists()
    assert "verify with: sh" in output


def test_an_export_of_no_run_is_refused(workspace, tmp_path, capsys):
    assert main(["-C", str(workspace), "evidence", "export", str(tmp_path / "out"), "--run", "scan-9"]) == 2
    assert "no entry belongs to run 'scan-9'" in capsys.readouterr().err


def test_missing_keys_are_an_error_with_a_remedy(workspace, capsys):
    keys_folder(workspace).rename(workspace / "hidden")
    assert main(["-C", str(workspace), "evidence", "verify"]) == 2
    assert "remedy: put the key folder back" in capsys.readouterr().err


def test_the_app_opens_the_same_ledger(workspace):
    app = App(workspace)
    assert [entry.seq for entry in app.ledger.entries()] == [1, 2]
