"""Answers that a person collected by hand: sealed with who brought them, judged as a round of their own."""

import json
import shutil
import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from agent.app import App
from agent.declared.workspace import make_workspace
from agent.flows import brought, report
from agent.model.asset import Layer
from agent.model.errors import AgentError
from agent.model.finding import FindingKind
from agent.model.frames import Section, compose
from agent.observe import byhand
from agent.store import runs

SHELLS = [shell for shell in ("dash", "bash", "busybox") if shutil.which(shell)]
NONCE = "0123456789abcdef01234567"
HOSTS = """\
schema_version: 1
hosts:
- {name: far-01, address: 192.0.2.1}
- {name: far-02, address: 192.0.2.2, layers: [host]}
- {name: seen-01, address: 192.0.2.3, layers: [network]}
"""
BASE = Section("base", "echo uid=0; date +now=%s; echo kernel=6.1.0")


@pytest.fixture
def app(tmp_path, monkeypatch):
    monkeypatch.setenv("AGENT_KEYS", str(tmp_path / "keys"))
    make_workspace(tmp_path / "w")
    (tmp_path / "w" / "inventory" / "hosts.yaml").write_text(HOSTS, encoding="utf-8")
    made = App(tmp_path / "w")
    yield made
    made.close()


def ran(script, path, shell="sh"):
    words = ["busybox", "sh"] if shell == "busybox" else [shell]
    subprocess.run([*words, "-s", path], input=script.encode(), capture_output=True, check=True)
    return path


@pytest.fixture
def answer(tmp_path):
    def make(target="far-01", sections=(BASE,), name="answer.txt", change=str):
        script = byhand.script(compose(sections, NONCE), nonce=NONCE, target=target, made="2026-11-21T16:30:00Z")
        return ran(change(script), tmp_path / name)

    return make


@pytest.mark.parametrize("shell", SHELLS)
def test_the_real_script_of_this_machine_becomes_a_judged_round(app, tmp_path, shell):
    path = ran(brought.collector(app, "far-01"), tmp_path / "answer.txt", shell)
    done = brought.take(app, brought.check(app, path), "王工")
    assert not done.known
    run = runs.run_by_id(app.store, done.run)
    assert (run.kind, run.state, run.plan["scope"]) == ("scan", "closed", "带回的采集结果")
    assert run.plan["layers"] == [Layer.HOST, Layer.MIDDLEWARE]
    assert done.summary.complete
    assert done.summary.per_target["far-01"].seen == ("host", "middleware")
    assert any(item.kind is FindingKind.CONTROL for item in runs.findings(app.store, done.run))
    assert sum(done.summary.verdicts.values()) > 50
    assert app.ledger.verify().ok


def test_who_brought_it_is_sealed_and_stands_in_the_report(app, answer):
    done = brought.take(app, brought.check(app, answer()), "王工\x1b[31m\n换行")
    kinds = {entry.kind: entry.seq for entry in app.ledger.entries(done.run) if entry.blob}
    record = json.loads(app.ledger.open(kinds["brought"]))
    assert record["by"] == "王工 换行"
    assert (record["target"], record["nonce"], record["file"]) == ("far-01", NONCE, "answer.txt")
    assert record["sha256"] == done.checked.answer.sha256
    (task,) = runs.tasks(app.store, done.run)
    assert (task.state, task.evidence) == ("done", kinds["host"])
    (note,) = (item for item in report.scan_report(app, done.run).notes if "far-01" in item)
    assert "由 王工 换行 于 " in note
    assert "不是签名" in note
    assert record["sha256"] in note


def test_the_same_answer_again_is_told_with_its_round(app, answer, tmp_path):
    path = answer()
    first = brought.take(app, brought.check(app, path), "a")
    copy = tmp_path / "copy.txt"
    copy.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    again = brought.take(app, brought.check(app, copy), "b")
    assert (again.run, again.known) == (first.run, True)
    assert len(runs.latest_runs(app.store, "scan")) == 1


def test_an_import_that_was_cut_off_is_ended_by_the_next(app, answer, monkeypatch):
    checked = brought.check(app, answer())
    with monkeypatch.context() as broken:
        broken.setattr(brought, "judge", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            brought.take(app, checked, "a")
    assert runs.latest_runs(app.store, "scan")[0].state == "open"
    done = brought.take(app, checked, "a")
    assert not done.known
    assert [run.state for run in runs.latest_runs(app.store, "scan")] == ["closed"]
    assert sum(entry.kind == "host" for entry in app.ledger.entries(done.run)) == 1


def refused(app, path, target="", **more):
    with pytest.raises(AgentError) as caught:
        brought.check(app, path, target, **more)
    assert runs.latest_runs(app.store, "scan") == []
    return str(caught.value)


def test_an_answer_of_a_host_that_is_not_declared(app, answer):
    told = refused(app, answer("stranger"))
    assert "no host named 'stranger' in inventory/hosts.yaml" in told
    assert "remedy: declare it there" in told


def test_an_answer_of_another_host(app, answer):
    assert "is of 'far-01'" in refused(app, answer(), "far-02")


def test_an_answer_for_any_host_needs_to_be_told_whose_it_is(app, answer):
    assert "--target NAME" in refused(app, answer(""))
    assert brought.check(app, answer("", name="b.txt"), "far-02").host.name == "far-02"


def test_a_host_without_those_levels(app, answer):
    assert "without host and middleware level" in refused(app, answer("seen-01"))


def test_a_collector_that_did_not_end(app, answer):
    path = answer(change=lambda script: script.replace("%s . end", "%s . no"))
    assert "did not come to its end" in refused(app, path)


def test_an_old_answer_is_taken_only_when_asked_for(app, answer):
    path = answer()
    app.clock = lambda: datetime.now(UTC) + timedelta(days=31, minutes=1)
    assert "taken 31 days ago" in refused(app, path)
    done = brought.take(app, brought.check(app, path, old=True), "a")
    assert "距导入 31 天" in done.summary.notes[-1]


def test_an_answer_older_than_a_later_look_is_no_fresh_look(app, answer):
    early = answer(name="early.txt")
    subprocess.run(["sleep", "1.1"], check=True)  # the host's clock tells whole seconds
    late = answer(name="late.txt")
    first = brought.take(app, brought.check(app, late), "a")
    with pytest.raises(AgentError, match=f"a later look at far-01 is recorded: {first.run}"):
        brought.check(app, early)
    assert brought.check(app, early, old=True)


def test_a_clock_that_is_ahead_is_told(app, answer):
    path = answer()
    app.clock = lambda: datetime.now(UTC) - timedelta(days=3)
    done = brought.take(app, brought.check(app, path), "a")
    assert "时钟比本机快" in done.summary.notes[-1]


def test_what_is_no_file(app, tmp_path):
    assert "cannot be read" in refused(app, tmp_path / "none.txt")
    assert "cannot be read" in refused(app, tmp_path)


def test_a_script_for_a_host_that_is_not_declared_is_not_made(app):
    with pytest.raises(AgentError, match="no host named"):
        brought.collector(app, "stranger")
