"""The 安全加固报告 from stored records alone: gathered, rendered in three formats, counted back."""

import json
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta

import pytest

from agent.app import App
from agent.cli.main import cli
from agent.declared.workspace import make_workspace
from agent.flows.closing import close
from agent.flows.hardening_report import about_passwords, gather, render
from agent.flows.hardening_rows import leave_of, waves_of
from agent.model.asset import Layer
from agent.model.change import Closure, Handle, Item, Planned, Risk, Skip, Step, TxState, Why
from agent.model.control import Outcome, Verdict
from agent.model.errors import AgentError, StoreError
from agent.model.finding import Finding, FindingKind, FindingState
from agent.model.hardening import HardenPlan, TxRecord
from agent.model.severity import Severity
from agent.report import fonts
from agent.store import changes, runs

AT = datetime(2027, 3, 1, 14, tzinfo=UTC)
HOSTS = (
    "schema_version: 1\nhosts:\n- {name: web-01, address: 192.0.2.1, owner: 张三, layers: [host]}\n"
    "- {name: web-02, address: 192.0.2.2, layers: [host]}\n"
)
WEAK = Finding(
    target="web-01", layer=Layer.HOST, kind=FindingKind.CONTROL, check="LIN-AC-B-01", location="", title="root 登录",
    severity=Severity.HIGH, state=FindingState.OPEN, actual="yes", expected="no", remedy="改", clause="8.1.4.2-b",
    cves=("CVE-2024-3094",), evidence=(1,),
)  # fmt: skip
LENGTH = replace(WEAK, check="LIN-IA-A-05", title="口令最小长度不少于 18 位", actual="minlen=8")
OTHER = replace(WEAK, target="web-02")
HANDLES = (Handle("unit", ("ssh.service",)), Handle("file", ("/etc/ssh/sshd_config",)))
STEP = Step("sshd_option", "sshd", "PermitRootLogin", "yes", "no", "", HANDLES, risk=(Risk.LOCKOUT,))
LEAVE = {
    "ticket": {
        "number": "GD-7", "title": "节前加固", "reference": "函 12", "start": "2027-03-01T13:00:00+00:00",
        "end": "2027-03-01T20:00:00+00:00", "targets": ["*"], "controls": ["*"], "plan_digest": "d" * 64,
        "signed": True, "approver": "赵六", "sha256": "e" * 64,
    },
    "overrides": {"freeze": "张三"}, "reboot": False, "notes": ["冻结期内执行"], "evidence": [1],
}  # fmt: skip
HEALTH = {"host": "web-01", "answered": ["login", "tcp/22"], "silent": []}
WAVES = [{"number": 1, "hosts": ["web-01"], "before": [HEALTH], "after": [HEALTH], "hurt": []}]


@pytest.fixture
def app(tmp_path, monkeypatch):
    monkeypatch.setenv("AGENT_KEYS", str(tmp_path / "keys"))
    root = tmp_path / "w"
    make_workspace(root)
    (root / "inventory" / "hosts.yaml").write_text(HOSTS, encoding="utf-8")
    with (root / "contract.yaml").open("a", encoding="utf-8") as file:
        file.write("hardening: {hosts: 2, databases: 1}\nharden_prefix: XH-HARDEN\n")
    made = App(root, clock=lambda: AT + timedelta(hours=2))
    yield made
    made.close()


def looked(app, name, kind, at, findings, verdicts, seen):
    plan = {"targets": list(seen), "layers": ["host"], "scope": ""}
    tasks = [(target, "host") for target in seen]
    runs.create_run(app.store, name, kind=kind, period="", plan=plan, operator="o", started_at=at, tasks=tasks)
    for target in seen:
        runs.finish_task(app.store, name, target, "host", state="done", at=at, evidence=2)
    summary = {"per_target": {target: {"seen": ["host"], "os": "Debian 12", "evidence": [2]} for target in seen}}
    runs.save_judgement(app.store, name, findings, verdicts, summary)
    runs.close_run(app.store, name, at)


def planned():
    item = Item(
        "i1", "sshd_option", None, target="web-01", control="LIN-AC-B-01", title="root 登录", findings=(WEAK.key,)
    )
    rest = replace(item, id="i2", control="LIN-IA-A-05", findings=(LENGTH.key,))
    gone = replace(item, id="i3", target="web-02", findings=(OTHER.key,))
    return (
        Planned(item, (STEP,)),
        Planned(rest, skip=Skip(Why.MANUAL, "由人工处理")),
        Planned(gone, skip=Skip(Why.ERROR, "主机未能读取")),
    )


@pytest.fixture
def run(app):
    """A finished hardening: one finding mended, one left, one host never reached."""
    for number in range(3):
        app.ledger.seal("host", f"answer {number}".encode(), run="scan-1", subject="web-01")
    extra = replace(WEAK, check="LIN-AC-C-01")
    looked(app, "scan-1", "scan", AT - timedelta(hours=9), [WEAK, LENGTH, OTHER, extra], [], ("web-01", "web-02"))
    body = {
        "scan": "scan-1", "profile": "level-3", "plan_digest": "d" * 64, "leave": LEAVE, "waves": WAVES,
        "verify": "verify-1", "stopped": "", "hosts": {}, "unread": {"web-02": "timeout"},
    }  # fmt: skip
    runs.create_run(
        app.store, "harden-1", kind="harden", period="", plan=body, operator="root", started_at=AT, tasks=()
    )
    verdicts = [
        Verdict("LIN-AC-B-01", "web-01", "", Outcome.PASS, "no", "no"),
        Verdict("LIN-IA-A-05", "web-01", "", Outcome.FAIL, "minlen=8", "不小于 18"),
    ]
    later = AT + timedelta(hours=1)
    looked(app, "verify-1", "verify", later, [replace(LENGTH, evidence=(2,))], verdicts, ("web-01",))
    record = TxRecord(
        "h1-sshd", "harden-1", "web-01", "sshd", 1, planned()[:1], TxState.CONFIRMED, 1, (), AT, AT, "systemd-run",
        ways=("192.0.2.1:22",), digests={1: ("a" * 64, "b" * 64), 2: ("c" * 64, "d" * 64)}, evidence=(3,),
    )  # fmt: skip
    changes.add(app.store, [record])
    plan = HardenPlan("harden-1", "scan-1", "level-3", planned())
    close(app, plan, [record], "verify-1")
    runs.close_run(app.store, "harden-1", AT + timedelta(hours=2))
    return "harden-1"


def test_everything_is_gathered_from_the_records(app, run):
    report = gather(app, run)
    assert report.number == "XH-HARDEN-20270301-EN-1"
    assert {each.target: each.closure for each in report.closures if each.check == "LIN-AC-B-01"} == {
        "web-01": Closure.FIXED,
        "web-02": Closure.LEFT,
    }
    assert [target.name for target in report.targets] == ["web-01", "web-02"]
    assert (report.targets[0].os, report.targets[1].unread) == ("Debian 12", "timeout")
    assert report.leave.ticket.approver == "赵六"
    assert report.leave.ticket.end == datetime(2027, 3, 1, 20, tzinfo=UTC)
    (item,) = [each for each in report.items if each.check == "LIN-AC-B-01"]
    assert (item.cves, item.targets, Risk.LOCKOUT in item.risk) == (("CVE-2024-3094",), ("web-01", "web-02"), True)
    (tx,) = report.transactions
    # the file is put back before the unit: numbers follow the order of restoring, not that of the step
    assert [(one.kind, one.before[0]) for one in tx.handles] == [("file", "a"), ("unit", "c")]
    assert [(row.control, row.outcome) for row in report.passwords] == [("LIN-IA-A-05", Outcome.FAIL)]
    assert report.waves[0].after[0].answered == ("login", "tcp/22")
    assert report.scan_findings == 4
    assert "另有 1 项发现不在本次加固的选择之内" in report.notes[0]
    assert {number for number, _what, _hash in report.evidence} == {1, 2, 3}


def test_credit_stands_on_the_contracts_own_figures(app, run):
    found = gather(app, run).credit
    assert (found.wanted("host"), found.credited("host"), found.lacking("host")) == (2, 1, 1)
    assert found.lacking("database") == 1
    (mine, other) = found.rows
    assert mine.counts
    assert {gap.part for gap in other.gaps} == {"backup", "action", "check", "undo"}


@pytest.mark.skipif(not fonts(), reason="no Chinese font installed (apt install fonts-noto-cjk)")
def test_the_verb_picks_the_kind_by_the_run(app, run, capsys):
    cli.main(args=["report", "--run", run, "--json"], obj=app, standalone_mode=False)
    told = json.loads(capsys.readouterr().out)
    assert told["findings"] == len(changes.closures(app.store, run)) == 3
    assert sorted(told["paths"]) == ["docx", "html", "pdf"]
    assert "harden-XH-HARDEN-20270301-EN-1.pdf" in told["paths"]["pdf"]
    cli.main(args=["report", "harden", "--host", "web-01", "--format", "html"], obj=app, standalone_mode=False)
    assert "rows in each format: 2" in capsys.readouterr().out


def test_a_run_that_is_none_or_not_finished_has_no_report(app, run):
    with pytest.raises(AgentError, match="no hardening"):
        gather(app, "scan-1")
    runs.create_run(app.store, "harden-2", kind="harden", period="", plan={}, operator="o", started_at=AT, tasks=())
    with pytest.raises(AgentError, match="not finished"):
        gather(app, "harden-2")
    with pytest.raises(AgentError, match="no target of this run"):
        render(app, run, ["html"], "nowhere")


def test_a_run_that_keeps_next_to_nothing_is_told_as_such(app):
    app.ledger.seal("host", b"x", run="harden-3")
    runs.create_run(app.store, "harden-3", kind="harden", period="", plan={}, operator="o", started_at=AT, tasks=())
    runs.close_run(app.store, "harden-3", AT)
    report = gather(app, "harden-3")
    assert (report.leave, report.waves, report.closures, report.verify) == (None, (), (), "")
    done = render(app, "harden-3", ["html"])
    text = done.paths["html"].read_text(encoding="utf-8")
    for words in ("没有工单", "没有复查", "没有下发改动", "没有分批推进的记录", "口令策略是否达标无从说明"):
        assert words in text


def test_a_rolled_back_run_says_so(app, run):
    (record,) = changes.of_run(app.store, run)
    changes.save(app.store, replace(record, reverted_by="t9"))
    report = gather(app, run)
    assert any("又被回退" in note and "h1-sshd" in note for note in report.notes)
    assert not report.credit.rows[0].counts


def test_a_ticket_that_cannot_be_read_is_an_error_and_none_is_none():
    assert leave_of(None) is None
    assert leave_of({"ticket": None, "overrides": {"unsigned": "张三"}}).ticket is None
    with pytest.raises(StoreError, match="ticket cannot be read"):
        leave_of({"ticket": {"number": "x"}})
    assert waves_of([{"hosts": ["a"]}])[0].number == 1


def test_the_password_policy_is_its_controls(app):
    mine = {control.id for control in app.controls if about_passwords(control)}
    assert {"LIN-IA-A-05", "LIN-IA-A-10", "LIN-IA-B-02", "LIN-IA-A-13", "MYS-IA-A-04", "PG-IA-A-05"} <= mine
    assert not {"LIN-IA-B-05", "LIN-AC-B-01", "LIN-IA-C-02", "NGX-IA-C-01"} & mine


def test_a_ticket_reads_back_as_it_was_kept():
    held = leave_of(LEAVE)
    body = asdict(held)
    body["ticket"] |= {"start": held.ticket.start.isoformat(), "end": held.ticket.end.isoformat()}
    assert leave_of(json.loads(json.dumps(body))) == held
