"""A round's own rules, where no target is needed to see them kept."""

import time
from datetime import UTC, datetime

import pytest

from agent.app import App
from agent.cli.main import main
from agent.declared.workspace import make_workspace
from agent.flows import scan
from agent.flows.judge import judge
from agent.model.asset import Layer
from agent.model.errors import ToolError, UnreachedError
from agent.model.session import Result
from agent.observe.host.payload import pack
from agent.store import runs

NOW = datetime(2026, 11, 21, 16, 30, tzinfo=UTC)
HOSTS = """\
schema_version: 1
hosts:
- {name: four-01, address: 192.0.2.1, layers: [network]}
- {name: six-01, address: "2001:db8::1", layers: [network]}
- {name: node-01, address: 192.0.2.3, layers: [host]}
"""


@pytest.fixture
def app(tmp_path, monkeypatch):
    monkeypatch.setenv("AGENT_KEYS", str(tmp_path / "keys"))
    make_workspace(tmp_path / "w")
    (tmp_path / "w" / "inventory" / "hosts.yaml").write_text(HOSTS, encoding="utf-8")
    made = App(tmp_path / "w", lambda: NOW)
    yield made
    made.close()


def begun(app, *names, layers=tuple(Layer)):
    plan = scan.Plan("", names, layers, "选定")
    return plan, scan.begin(app, None, plan)


def test_hosts_of_both_address_families_are_looked_at(app, monkeypatch):
    asked = []

    def nmap(targets, *_ports, **_more):
        asked.append(dict(targets))
        raise ToolError("not here")

    monkeypatch.setattr(scan.network, "scan", nmap)
    plan, run = begun(app, "four-01", "six-01")
    scan._Round(app, run, plan, lambda _: None).collect()
    assert asked == [{"four-01": "192.0.2.1"}, {"six-01": "2001:db8::1"}]


def test_a_remedy_reaches_whoever_reads_why_a_target_was_not_seen(app, monkeypatch):
    def refuse(*_):
        raise UnreachedError("credential-missing", "mode 0644", remedy="chmod 600")

    monkeypatch.setattr(app.sessions, "open", refuse)
    plan, run = begun(app, "node-01")
    scan._Round(app, run, plan, lambda _: None).collect()
    (task,) = runs.tasks(app.store, run)
    assert task.detail == "mode 0644; chmod 600"


def test_one_answer_that_breaks_its_parser_leaves_the_round_standing(app, monkeypatch):
    _, run = begun(app, "node-01")
    sealed = app.ledger.seal("host", pack(Result(0, b"", b"", 1.0), "n" * 24), run=run, subject="node-01").seq
    runs.finish_task(app.store, run, "node-01", "host", state="done", at=NOW, evidence=sealed)

    def choke(*_):
        raise ValueError("Exceeds the limit (4300 digits)")

    monkeypatch.setattr("agent.observe.host.facts", choke)
    summary = judge(app, run)
    assert [(item.target, item.reason.value) for item in summary.unreached] == [("node-01", "internal-error")]
    assert summary.per_target["node-01"].seen == ()


def test_a_database_gets_no_more_than_its_time():
    class Session:
        asked = 0

        def query(self, _statement):
            self.asked += 1
            return [("1",)]

        def close(self):
            pass

    inner = Session()
    bounded = scan._Bounded(inner, time.monotonic() + 60)
    assert bounded.query("SELECT 1") == [("1",)]
    late = scan._Bounded(inner, time.monotonic() - 1)
    with pytest.raises(UnreachedError) as caught:
        late.query("SELECT 1")
    assert (caught.value.reason, inner.asked) == ("timeout", 1)


def test_a_run_that_was_cut_off_can_be_found_again(app, capsys):
    _, run = begun(app, "node-01")
    assert main(["-C", str(app.root), "findings", "runs"]) == 0
    assert f"agent scan --resume {run}" in capsys.readouterr().out
