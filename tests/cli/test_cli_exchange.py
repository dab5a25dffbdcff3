"""`agent findings export` and `agent exceptions`, as an operator calls them."""

import json
from pathlib import Path

import pytest

from agent.app import App
from agent.cli.main import main
from agent.model.asset import Layer
from agent.model.finding import Finding, FindingKind, FindingState
from agent.model.severity import Severity
from agent.store import runs

WEAK = Finding(
    target="node-01", layer=Layer.HOST, kind=FindingKind.UPDATE, check="UPDATE:openssl", location="openssl",
    title="openssl 待更新", severity=Severity.HIGH, state=FindingState.OPEN, actual="=1+1", expected="", remedy="升级",
    cves=("CVE-2026-0001",),
)  # fmt: skip


@pytest.fixture
def workspace(tmp_path: Path) -> str:
    root = tmp_path / "ws"
    assert main(["init", str(root), "--approver-key", str(tmp_path / "approver.pem")]) == 0
    (root / "inventory" / "hosts.yaml").write_text("schema_version: 1\nhosts:\n- {name: node-01, address: 10.0.0.1}\n")
    app = App(root)
    at = app.clock()
    plan = {"targets": ["node-01"], "layers": ["host"], "scope": "all"}
    runs.create_run(
        app.store, "scan-1", kind="scan", period="", plan=plan, operator="zhang", started_at=at, tasks=[]
    )  # fmt: skip
    runs.save_judgement(app.store, "scan-1", [WEAK], [], {})
    runs.close_run(app.store, "scan-1", at)
    app.close()
    return str(root)


@pytest.mark.parametrize("name", ["json", "csv", "sarif", "cyclonedx", "openvex", "csaf-vex"])
def test_an_export_is_the_same_in_a_file_and_in_a_pipe(workspace, tmp_path, capfdbinary, name):
    out = tmp_path / "out"
    assert main(["-C", workspace, "findings", "export", "--format", name, "-o", str(out)]) == 0
    told = capfdbinary.readouterr()
    assert told.out == b""
    assert str(out).encode() in told.err
    for end in ([], ["-o", "-"]):
        assert main(["-C", workspace, "findings", "export", "--format", name, "--run", "scan-1", *end]) == 0
        assert capfdbinary.readouterr().out == out.read_bytes()
    assert out.stat().st_mode & 0o777 == 0o600


def test_json_lines_are_those_of_the_list(workspace, capfd):
    assert main(["-C", workspace, "findings", "--json"]) == 1
    listed = capfd.readouterr().out
    assert main(["-C", workspace, "findings", "export", "--format", "json"]) == 0
    assert capfd.readouterr().out == listed


def test_an_unknown_run_or_folder_is_told(workspace, tmp_path, capfd):
    assert main(["-C", workspace, "findings", "export", "--format", "csv", "--run", "scan-9"]) == 2
    assert main(["-C", workspace, "findings", "export", "--format", "xml"]) == 2
    assert main(["-C", workspace, "findings", "export", "--format", "csv", "-o", str(tmp_path / "no" / "x")]) == 2
    assert "no such run" in capfd.readouterr().err


def test_exceptions_are_imported_listed_and_exported(workspace, tmp_path, capfd):
    vex = tmp_path / "vex.json"
    product = {"@id": "urn:secops-agent:target:node-01"}
    harmless = {
        "vulnerability": {"name": "CVE-2026-0001"}, "products": [product], "status": "not_affected",
        "justification": "component_not_present",
    }  # fmt: skip
    mended = {"vulnerability": {"name": "CVE-2026-0002"}, "products": [product], "status": "fixed"}
    vex.write_text(json.dumps({"@context": "https://openvex.dev/ns/v0.2.0", "statements": [harmless, mended]}))
    take = ["-C", workspace, "exceptions", "import", str(vex)]
    assert main(take) == 2
    assert "--approver NAME" in capfd.readouterr().err
    assert main([*take, "--approver", "王审批", "--expires", "2099-01-01"]) == 0
    told = capfd.readouterr().out
    assert "added    node-01  CVE-2026-0001" in told
    assert "left out node-01  CVE-2026-0002  says fixed" in told
    assert main(["-C", workspace, "exceptions", "list"]) == 0
    assert "in force" in capfd.readouterr().out
    assert main(["-C", workspace, "exceptions", "list", "--json"]) == 0
    row = json.loads(capfd.readouterr().out)
    assert (row["cve"], row["in_force"], row["known_target"]) == ("CVE-2026-0001", True, True)
    out = tmp_path / "out.json"
    for name in ("openvex", "csaf-vex"):
        assert main(["-C", workspace, "exceptions", "export", "--format", name, "-o", str(out)]) == 0
        assert main(["-C", workspace, "exceptions", "import", str(out)]) == 0
        assert "0 added, 1 present already, 0 left out" in capfd.readouterr().out
