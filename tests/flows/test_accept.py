"""A risk is accepted by another person than the one who operates."""

from datetime import UTC, date, datetime

import pytest

from agent.app import App
from agent.declared import load_exceptions
from agent.declared.workspace import make_workspace
from agent.flows.findings import accept
from agent.model.asset import Layer
from agent.model.errors import AgentError
from agent.model.finding import Finding, FindingKind, FindingState
from agent.model.severity import Severity
from agent.store import runs

NOW = datetime(2026, 11, 21, 16, 30, tzinfo=UTC)  # 00:30 of the 22nd in Shanghai
WEAK = Finding(
    target="node-01", layer=Layer.HOST, kind=FindingKind.CONTROL, check="LIN-IA-A-01", location="", title="空口令",
    severity=Severity.CRITICAL, state=FindingState.OPEN, actual="test", expected="空", remedy="锁定",
)  # fmt: skip


@pytest.fixture
def app(tmp_path, monkeypatch):
    monkeypatch.setenv("SUDO_USER", "zhang")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    make_workspace(tmp_path / "w")
    (tmp_path / "w" / "inventory" / "people.yaml").write_text(
        "schema_version: 1\npeople:\n"
        "- {name: 张 三, login: zhang, role: engineer, mail: zhang@example.com}\n"
        "- {name: 王审批, role: approver}\n",
        encoding="utf-8",
    )
    made = App(tmp_path / "w", lambda: NOW)
    plan = {"targets": ["node-01"], "layers": ["host"]}
    runs.create_run(
        made.store, "scan-1", kind="scan", period="", plan=plan, operator="zhang", started_at=NOW,
        tasks=[("node-01", "host")],
    )  # fmt: skip
    runs.save_judgement(made.store, "scan-1", [WEAK], [], {})
    runs.close_run(made.store, "scan-1", NOW)
    yield made
    made.close()


@pytest.mark.parametrize("approver", ["zhang", " ZHANG ", "张三", "张 三", "zhang@example.com", "ｚｈａｎｇ", " "])
def test_nobody_approves_by_another_of_their_own_names(app, approver):
    with pytest.raises(AgentError, match="does not approve"):
        accept(app, WEAK.key, approver=approver, expires=date(2027, 1, 1), reason="旧系统")
    assert load_exceptions(app.root) == ()


def test_another_person_does(app):
    accept(app, WEAK.key[:8], approver="王审批", expires=date(2026, 11, 23), reason="旧系统")
    assert [item.approver for item in load_exceptions(app.root)] == ["王审批"]


def test_the_last_day_must_be_to_come_in_shanghai(app):
    with pytest.raises(AgentError, match="expiry"):
        accept(app, WEAK.key, approver="王审批", expires=date(2026, 11, 22), reason="旧系统")


def test_a_login_is_what_the_system_says_not_what_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.delenv("SUDO_USER", raising=False)
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "boss")
    assert App(tmp_path).operator != "boss"
