"""Recorded evidence judged again with newer feeds: what is new is told, the closed round stays as it was."""

import json
import shutil
import subprocess

import pytest

from agent.app import App
from agent.cli.main import main
from agent.declared.workspace import make_workspace
from agent.flows import brought, compare, feeds, report
from agent.flows.findings import explain
from agent.flows.rejudge import rejudge
from agent.judge import packages
from agent.model.errors import AgentError
from agent.model.finding import Change
from agent.observe import host as hosts
from agent.store import runs

HOSTS = "schema_version: 1\nhosts:\n- {name: far-01, address: 192.0.2.1}\n"

pytestmark = pytest.mark.skipif(not shutil.which("dpkg-query"), reason="this machine has no dpkg to read a list of")


@pytest.fixture
def app(tmp_path, monkeypatch):
    monkeypatch.setenv("AGENT_KEYS", str(tmp_path / "keys"))
    make_workspace(tmp_path / "w")
    (tmp_path / "w" / "inventory" / "hosts.yaml").write_text(HOSTS, encoding="utf-8")
    made = App(tmp_path / "w")
    yield made
    made.close()


@pytest.fixture(scope="module")
def answer(tmp_path_factory):
    """What the real collector says of this very machine."""
    folder = tmp_path_factory.mktemp("collected")
    make_workspace(folder / "w")
    (folder / "w" / "inventory" / "hosts.yaml").write_text(HOSTS, encoding="utf-8")
    script = brought.collector(App(folder / "w"), "far-01")
    subprocess.run(["sh", "-s", folder / "answer.txt"], input=script.encode(), capture_output=True, check=True)
    return folder / "answer.txt"


@pytest.fixture
def first(app, answer):
    """A judged round, without any feed."""
    return brought.take(app, brought.check(app, answer), "王工").run


def the_system(app, first):
    """A package of the recorded host, and the stream of its system."""
    (task,) = [task for task in runs.tasks(app.store, first) if task.kind == "host"]
    facts = hosts.facts("far-01", app.ledger.open(task.evidence))
    one = next(item for item in facts.packages if item.name == "dpkg")
    return packages.choices(packages.listing_of(facts))[0][0], one


def imported(app, tmp_path, stream, *rows):
    path = tmp_path / "own.csv"
    lines = ["os,advisory,package,source,fixed,cves,severity,date"]
    lines += [
        f"{stream},{advisory},{package},yes,{fixed},{cve},High,2026-01-02" for advisory, package, fixed, cve in rows
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    feeds.take_in(app, [path])


def checks(app, run):
    return {item.check: item for item in runs.findings(app.store, run)}


def test_without_a_feed_the_round_says_so(app, first):
    assert "COV-FEED" in checks(app, first)
    assert not report.scan_report(app, first).feeds


def test_a_newer_feed_tells_what_is_new_and_the_closed_round_stays(app, first, tmp_path):
    stream, package = the_system(app, first)
    before = runs.findings(app.store, first)
    imported(app, tmp_path, stream, ("OUR-1", package.source, "99:1", "CVE-2099-9001"))
    again = rejudge(app, first)
    (new,) = [
        row.finding for row in again.changes if row.change is Change.NEW and row.finding.check.startswith("UPDATE:")
    ]
    assert new.check == f"UPDATE:{package.source}"
    assert "CVE-2099-9001" in new.cves
    assert new.remediation.advisories == ("OUR-1",)
    assert "COV-FEED" not in checks(app, again.run)
    assert runs.findings(app.store, first) == before
    assert explain(app, again.run, new.key).evidence
    told = report.scan_report(app, again.run)
    assert [row.feed for row in told.feeds] == ["plain/own"]
    assert told.evidence
    assert f"重新判定批次 {first}" in again.summary.notes[0]


def test_a_feed_that_is_gone_closes_nothing(app, first, tmp_path):
    stream, package = the_system(app, first)
    imported(app, tmp_path, stream, ("OUR-1", package.source, "99:1", "CVE-2099-9001"))
    told = rejudge(app, first).run
    for path in app.state.glob("feeds.db*"):
        path.unlink()
    again = rejudge(app, told)
    (row,) = [row for row in again.changes if row.finding.check == f"UPDATE:{package.source}"]
    assert row.change is Change.UNSEEN


def test_what_a_feed_takes_back_is_gone_but_not_fixed(app, first, tmp_path):
    stream, package = the_system(app, first)
    imported(app, tmp_path, stream, ("OUR-1", package.source, "99:1", "CVE-2099-9001"))
    told = rejudge(app, first).run
    imported(app, tmp_path, stream, ("OUR-2", package.source, "0.1", "CVE-2099-9001"))
    again = rejudge(app, told)
    (row,) = [row for row in again.changes if row.finding.check == f"UPDATE:{package.source}"]
    assert row.change is Change.UNSEEN  # nobody looked at the host again
    assert row.finding.check not in checks(app, again.run)


def test_a_judgement_is_compared_with_no_later_look(app, first, capsys):
    plan = runs.run_by_id(app.store, first).plan
    runs.create_run(
        app.store, "scan-later", kind="scan", period="", plan=plan, operator="o", started_at=app.clock(), tasks=[],
    )  # fmt: skip
    runs.close_run(app.store, "scan-later", app.clock())
    again = rejudge(app, first)
    assert [one.id for one in compare.earlier_rounds(app, again.run)] == [first]
    assert main(["-C", str(app.root), "findings", "runs", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["run"], row.get("of")) for row in rows] == [(again.run, first), ("scan-later", None), (first, None)]


def test_a_round_that_is_not_finished_is_not_judged_again(app):
    runs.create_run(
        app.store, "scan-open", kind="scan", period="", plan={"layers": [], "targets": []}, operator="o",
        started_at=app.clock(), tasks=[("far-01", "host")],
    )  # fmt: skip
    with pytest.raises(AgentError, match="not finished"):
        rejudge(app, "scan-open")
