"""`agent feeds`, as a person uses it."""

import gzip
import json
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner
from feedsamples import kev

from agent.app import App
from agent.cli.main import cli, main
from agent.declared.workspace import make_workspace


@pytest.fixture
def agent(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("AGENT_KEYS", str(tmp_path / "keys"))
    make_workspace(tmp_path / "w")

    def call(*words):
        code = main(["-C", str(tmp_path / "w"), "feeds", *map(str, words)])
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    (folder / "kev.json.gz").write_bytes(gzip.compress(kev("CVE-2026-0001", "CVE-2026-0002")))
    return folder


def test_an_empty_store_says_what_to_do(agent):
    code, out, _ = agent("status")
    assert code == 1
    assert "no feed was imported yet" in out
    assert "agent feeds import PATH..." in out
    code, out, _ = agent("status", "--json")
    assert (code, json.loads(out)) == (1, {"digest": "", "feeds": []})


def test_an_import_shows_what_came_in_and_status_shows_what_is_there(agent, disk):
    code, out, err = agent("import", disk)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[1].split()[0] == "kev/cisa"
    assert "2 (+2)" in lines[1]
    assert "documents: 1 new, 0 replaced, 0 unchanged, 0 older" in lines
    assert "records: added 2 exploited; removed none" in lines
    code, out, _ = agent("import", disk, "--json")
    said = json.loads(out)
    assert (code, said["feeds"], said["result"]["unchanged"]) == (0, [], 1)
    code, out, _ = agent("status")
    row = out.splitlines()[1]
    assert "kev/cisa" in row
    assert "kev.json.gz" in row


def test_the_age_is_told_and_a_stale_feed_is_work_left(tmp_path, agent, disk):
    agent("import", disk)
    for now, code, words in ((25, 0, "5 d "), (62, 1, "42 d STALE")):
        clock = datetime.fromtimestamp(datetime(2026, 11, 1, tzinfo=UTC).timestamp() + (now - 1) * 86400 + 43200, UTC)
        app = App(tmp_path / "w", lambda clock=clock: clock)
        done = CliRunner().invoke(cli, ["feeds", "status"], obj=app, standalone_mode=False, catch_exceptions=False)
        app.close()
        assert done.return_value == code
        assert words in done.output


def test_a_broken_member_is_named_and_the_exit_code_is_3(agent, disk):
    (disk / "bad.json.gz").write_bytes((disk / "kev.json.gz").read_bytes()[:-20])
    (disk / "NOTE").write_text("no feed", encoding="utf-8")
    code, out, _ = agent("import", disk)
    assert code == 3
    assert "bad.json.gz" in next(line for line in out.splitlines() if line.startswith("refused: "))
    assert "1 files are no feed of a known format (-v lists them)" in out
    code, out, _ = agent("import", disk, "-v")
    assert code == 3
    assert f"no feed: {disk / 'NOTE'}" in out
    assert "left out: " in out


def test_a_broken_file_that_was_named_changes_nothing(agent, disk):
    bad = disk / "bad.json.gz"
    bad.write_bytes((disk / "kev.json.gz").read_bytes()[:-20])
    code, out, err = agent("import", disk / "kev.json.gz", bad)
    assert (code, out) == (2, "")
    assert f"agent: {bad}" in err
    assert "remedy: " in err
    assert agent("status")[0] == 1
    for what in (disk / "none", "/dev/null"):
        assert agent("import", what)[0] == 2


def test_a_bundle_is_made_told_and_taken(agent, disk, tmp_path, monkeypatch, capsys):
    agent("import", disk)
    code, out, _ = agent("bundle", tmp_path / "b.tar")
    assert code == 0
    assert "kev/cisa" in out
    code, said, _ = agent("bundle", tmp_path / "c.tar", disk, "--json")
    mark = json.loads(said)["fingerprint"]
    assert f"agent feeds import b.tar --trust {mark}" in out
    monkeypatch.setenv("AGENT_KEYS", str(tmp_path / "keys2"))
    make_workspace(tmp_path / "w2")
    there = ["-C", str(tmp_path / "w2"), "feeds", "import", str(tmp_path / "b.tar")]
    assert main(there) == 2
    assert mark in capsys.readouterr().err
    assert main([*there, "--trust", "abc"]) == 2
    assert "64 hexadecimal digits" in capsys.readouterr().err
    assert main([*there, "--trust", mark.upper()]) == 0
    assert main(["-C", str(tmp_path / "w2"), "feeds", "status", "--json"]) in {0, 1}
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["feeds"][0]["signature"] == mark
