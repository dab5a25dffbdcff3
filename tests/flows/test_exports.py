"""Accepted risks go in and out: from a run to other tools, from exceptions.yaml to VEX and back."""

import json
from datetime import UTC, date, datetime

import pytest

from agent.app import App
from agent.declared import add_exceptions, load_exceptions
from agent.declared.workspace import make_workspace
from agent.flows import exports
from agent.flows.exceptions import listed, take_in
from agent.flows.findings import Wanted, pick
from agent.flows.judge import accept
from agent.model.asset import Layer
from agent.model.errors import AgentError, DeclaredError
from agent.model.finding import Finding, FindingKind, FindingState, RiskException
from agent.model.severity import Severity
from agent.store import runs

NOW = datetime(2026, 11, 21, 16, 30, tzinfo=UTC)  # 00:30 of the 22nd in Shanghai
PATH = "vulnerable_code_not_in_execute_path"
TWO = Finding(
    target="node-01", layer=Layer.HOST, kind=FindingKind.UPDATE, check="UPDATE:openssl", location="openssl",
    title="openssl", severity=Severity.HIGH, state=FindingState.OPEN, actual="3.0.11", expected="3.0.15", remedy="升级",
    cves=("CVE-2026-0001", "CVE-2026-0002"),
)  # fmt: skip
HELD = (
    RiskException("node-01", "LIN-IA-A-01", "", "旧系统", "王审批", "2027-01-01", "2026-11-01"),
    RiskException("*", "", "", "不可达", "王审批", "2027-01-01", "2026-11-01", cve="CVE-2026-0001", justification=PATH),
    RiskException("node-01", "", "openssl", "等停机", "王审批", "2026-11-22", "", advisory="DSA-1"),
    RiskException("node-09", "", "", "过期", "王审批", "2026-11-21", "", cve="CVE-2026-0002"),
)


@pytest.fixture
def app(tmp_path, monkeypatch):
    monkeypatch.setenv("SUDO_USER", "zhang")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    root = tmp_path / "w"
    make_workspace(root)
    (root / "inventory" / "hosts.yaml").write_text("schema_version: 1\nhosts:\n- {name: node-01, address: 10.0.0.1}\n")
    (root / "inventory" / "databases.yaml").write_text("schema_version: 1\ndatabases: []\n")
    add_exceptions(root, HELD)
    made = App(root, lambda: NOW)
    plan = {"targets": ["node-01"], "layers": ["host"], "scope": "all"}
    runs.create_run(
        made.store, "scan-1", kind="scan", period="", plan=plan, operator="zhang", started_at=NOW,
        tasks=[("node-01", "host")],
    )  # fmt: skip
    per_target = {"node-01": {"os": "Debian GNU/Linux 12 (bookworm)"}}
    runs.save_judgement(
        made.store, "scan-1", accept([TWO], HELD, NOW), [], {"agent_version": "0.1.0", "per_target": per_target}
    )
    runs.close_run(made.store, "scan-1", NOW)
    yield made
    made.close()


def text_of(app, name):
    found, every = pick(app, None, Wanted())
    return "".join(exports.pieces(exports.gather(app, found, every), name))


def test_a_run_is_exported_with_what_was_accepted_of_it(app):
    statements = json.loads(text_of(app, "openvex"))["statements"]
    assert [(one["vulnerability"]["name"], one["status"]) for one in statements] == [
        ("CVE-2026-0001", "not_affected"),
        ("CVE-2026-0002", "affected"),
    ]
    for name in exports.FORMATS:
        assert text_of(app, name) == text_of(app, name)


def test_a_file_is_whole_and_its_owners_alone(tmp_path):
    out = tmp_path / "out.json"
    out.write_text("old")
    assert exports.write(out, iter(["甲", "\udc80"])) == len(out.read_bytes()) == 9
    assert out.read_text("utf-8") == "甲\\udc80"
    assert out.stat().st_mode & 0o777 == 0o600

    def breaks():
        yield "new"
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        exports.write(out, breaks())
    assert out.read_text("utf-8") == "甲\\udc80"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["out.json"]


@pytest.mark.parametrize("name", exports.VEX_FORMATS)
def test_what_is_in_force_comes_back_equal_and_a_second_time_changes_nothing(app, tmp_path, name):
    out, file = tmp_path / "vex.json", app.root / "exceptions.yaml"
    lasting = HELD[:3]  # the third on its last day
    exports.write(out, exports.exceptions_as_vex(app, name))
    file.unlink()
    assert take_in(app, out).added == lasting
    assert load_exceptions(app.root) == lasting
    before = file.read_bytes()
    again = take_in(app, out)
    assert (again.added, again.present, again.left_out) == ((), lasting, ())
    assert file.read_bytes() == before


def openvex(tmp_path, product="urn:secops-agent:target:node-01"):
    path = tmp_path / "vex.json"
    statement = {
        "vulnerability": {"name": "CVE-2026-0009"}, "products": [{"@id": product}], "status": "not_affected",
        "justification": PATH,
    }  # fmt: skip
    path.write_text(json.dumps({"@context": "https://openvex.dev/ns/v0.2.0", "statements": [statement]}))
    return path


def test_who_operates_does_not_approve_and_the_day_must_be_to_come(app, tmp_path):
    before = load_exceptions(app.root)
    with pytest.raises(AgentError, match="does not approve"):
        take_in(app, openvex(tmp_path), approver=" ZHANG", expires=date(2027, 1, 1))
    with pytest.raises(AgentError, match="has passed"):
        take_in(app, openvex(tmp_path), approver="王审批", expires=date(2026, 11, 21))
    with pytest.raises(DeclaredError, match="no target"):
        take_in(app, openvex(tmp_path, "pkg:generic/elsewhere"), approver="王审批", expires=date(2027, 1, 1))
    assert load_exceptions(app.root) == before
    assert len(take_in(app, openvex(tmp_path), approver="王审批", expires=date(2027, 1, 1)).added) == 1


def test_the_list_tells_which_still_cover_and_which_are_for_nobody(app):
    assert [(row.in_force, row.known) for row in listed(app)] == [
        (True, True),
        (True, True),
        (True, True),
        (False, False),
    ]


def test_nothing_to_say_is_refused(app):
    (app.root / "exceptions.yaml").unlink()
    with pytest.raises(AgentError, match="nothing"):
        exports.exceptions_as_vex(app, "csaf-vex")
