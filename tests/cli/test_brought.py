"""`agent collect-script` and `agent observe import`, as a person uses them."""

import json
import subprocess

import pytest

from agent.cli.main import main
from agent.declared.workspace import make_workspace
from agent.model.frames import Section, compose
from agent.observe import byhand

HOSTS = """\
schema_version: 1
hosts:
- {name: far-01, address: 192.0.2.1, layers: [host]}
- {name: far-02, address: 192.0.2.2, layers: [host]}
"""
NONCE = "0123456789abcdef01234567"


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("AGENT_KEYS", str(tmp_path / "keys"))
    make_workspace(tmp_path / "w")
    (tmp_path / "w" / "inventory" / "hosts.yaml").write_text(HOSTS, encoding="utf-8")
    return tmp_path / "w"


@pytest.fixture
def agent(root, capsys):
    def call(*words):
        code = main(["-C", str(root), *map(str, words)])
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def answer(tmp_path):
    def make(target, name="answer.txt"):
        sections = [Section("base", "echo uid=0; date +now=%s; echo kernel=6.1.0")]
        script = byhand.script(compose(sections, NONCE), nonce=NONCE, target=target, made="x")
        subprocess.run(["sh", "-s", tmp_path / name], input=script.encode(), capture_output=True, check=True)
        return tmp_path / name

    return make


def test_the_script_goes_to_standard_output_or_to_a_new_file(agent, tmp_path):
    code, out, err = agent("collect-script", "--target", "far-01")
    assert (code, err) == (0, "")
    assert out.startswith("#!/bin/sh\n")
    assert "# 目标 target: far-01\n" in out
    assert subprocess.run(["sh", "-n"], input=out.encode(), check=True, capture_output=True).stderr == b""
    code, out, err = agent("collect-script", "-o", tmp_path / "c.sh")
    assert (code, out) == (0, "")
    assert f"wrote {tmp_path / 'c.sh'}" in err
    assert "# 目标 target: -\n" in (tmp_path / "c.sh").read_text(encoding="utf-8")
    code, _, err = agent("collect-script", "-o", tmp_path / "c.sh")
    assert code == 2
    assert "will not overwrite" in err


def test_a_misspelt_target_is_told_when_the_script_is_made(agent):
    code, out, err = agent("collect-script", "--target", "fra-01")
    assert (code, out) == (2, "")
    assert "no host named 'fra-01' in inventory/hosts.yaml" in err


def test_an_answer_becomes_a_round_that_findings_and_report_know(agent, answer):
    code, out, _ = agent("observe", "import", answer("far-01"), "--brought-by", "王工")
    assert code in {1, 3}
    assert "target  far-01 (calls itself " in out
    assert "0 days ago" in out
    assert "由 王工 于 " in out
    (run,) = {line.split()[1] for line in out.splitlines() if line.startswith("  run ")}
    code, out, _ = agent("findings", "--run", run)
    assert "far-01" in out


def test_the_same_file_again_says_which_run_has_it(agent, answer):
    path = answer("far-01")
    code, out, _ = agent("observe", "import", path, "--json")
    first = json.loads(out)
    assert first["target"] == "far-01"
    assert first["known"] is False
    again, out, _ = agent("observe", "import", path)
    assert again == code
    assert f"imported before, nothing done: run {first['run']}" in out


def test_of_several_files_none_is_taken_when_one_is_broken(agent, answer, tmp_path):
    good = answer("far-01")
    bad = tmp_path / "bad.txt"
    bad.write_bytes(good.read_bytes()[:-40])
    code, out, err = agent("observe", "import", good, bad)
    assert (code, out) == (2, "")
    assert f"agent: {bad}: breaks off" in err
    assert "remedy: " in err
    _, out, _ = agent("findings", "runs", "--json")
    assert out.strip() in {"", "[]"}
    code, out, _ = agent("observe", "import", good, answer("far-02", "two.txt"), "--json")
    assert [json.loads(line)["target"] for line in out.splitlines()] == ["far-01", "far-02"]


def test_a_target_goes_with_one_file(agent, answer):
    code, _, err = agent("observe", "import", answer(""), answer("", "b.txt"), "--target", "far-01")
    assert code == 2
    assert "one file" in err
    code, out, _ = agent("observe", "import", answer("", "c.txt"), "--target", "far-02", "--json")
    assert json.loads(out)["target"] == "far-02"
