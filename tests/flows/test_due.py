"""From stored rounds to days: since when something is open, what has left the list, what an order changes."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from agent.app import App
from agent.declared import add_exception
from agent.declared.orders import add_order
from agent.declared.workspace import make_workspace
from agent.flows import due
from agent.model.asset import Layer
from agent.model.control import Outcome, Verdict
from agent.model.duties import Order
from agent.model.finding import Finding, FindingKind, FindingState, RiskException
from agent.model.severity import Severity
from agent.store import runs

HOSTS = (
    "schema_version: 1\nhosts:\n- {name: web-01, address: 192.0.2.1, owner: 张三, layers: [host]}\n"
    "- {name: web-02, address: 192.0.2.2, layers: [host]}\n"
)
WEAK = Finding(
    target="web-01", layer=Layer.HOST, kind=FindingKind.CONTROL, check="LIN-AC-B-01", location="", title="root 登录",
    severity=Severity.HIGH, state=FindingState.OPEN, actual="yes", expected="no", remedy="改",
)  # fmt: skip
START = datetime(2027, 3, 1, 17, tzinfo=UTC)
"""01:00 of the 2nd in Shanghai."""
RULES = (
    "amount: 100000\nescalation: [{days: 3, role: engineer}, {days: 0, role: project-manager}]\n"
    "penalties: [{on: rectification, percent: 10, clause: 第八条}]\n"
)
PEOPLE = "schema_version: 1\npeople:\n- {name: 王五, role: engineer}\n"


class Now:
    """A clock that a test sets."""

    def __init__(self):
        self.at = START

    def __call__(self):
        return self.at


@pytest.fixture
def now():
    return Now()


@pytest.fixture
def app(tmp_path, monkeypatch, now):
    monkeypatch.setenv("AGENT_KEYS", str(tmp_path / "keys"))
    root = tmp_path / "w"
    make_workspace(root)
    (root / "inventory" / "hosts.yaml").write_text(HOSTS, encoding="utf-8")
    (root / "inventory" / "people.yaml").write_text(PEOPLE, encoding="utf-8")
    with (root / "contract.yaml").open("a", encoding="utf-8") as file:
        file.write(RULES)
    made = App(root, clock=now)
    yield made
    made.close()


def looked(app, day, *findings, kind="scan", seen=("web-01", "web-02")):
    """A finished round on that day, which judged the control on what it saw."""
    at = START + timedelta(days=day)
    run = f"{kind}-{day:02}"
    plan = {"targets": list(seen), "layers": ["host"], "scope": ""}
    runs.create_run(app.store, run, kind=kind, period="", plan=plan, operator="o", started_at=at, tasks=())
    weak = {finding.target for finding in findings}
    judged = [Verdict(WEAK.check, name, "", Outcome.FAIL if name in weak else Outcome.PASS, "", "") for name in seen]
    per_target = {target: {"seen": ["host"], "evidence": [day]} for target in seen}
    kept = [replace(each, evidence=(day,)) for each in findings]
    runs.save_judgement(app.store, run, kept, judged, {"per_target": per_target})
    runs.close_run(app.store, run, at)
    return run


def days(app):
    return {row.ref: (row.since, row.day, row.left) for row in due.listed(app).rows}


def test_days_count_from_the_first_round_that_saw_it(app, now):
    for day in (0, 2, 4):
        looked(app, day, WEAK)
    now.at = START + timedelta(days=5)
    assert days(app) == {WEAK.key: (date(2027, 3, 2), date(2027, 3, 9), 2)}
    assert due.days(app, "scan-02") == {WEAK.key: date(2027, 3, 9)}


def test_many_rounds_do_not_move_the_day(app, now):
    for day in range(20):
        looked(app, day, WEAK)
    now.at = START + timedelta(days=20)
    assert days(app)[WEAK.key][0] == date(2027, 3, 2)


def test_what_was_gone_in_between_counts_anew_and_what_was_not_seen_does_not(app):
    looked(app, 0, WEAK)
    looked(app, 1, seen=("web-02",))
    looked(app, 2, WEAK)
    assert days(app)[WEAK.key][0] == date(2027, 3, 2)
    looked(app, 3)
    looked(app, 4, WEAK)
    assert days(app)[WEAK.key][0] == date(2027, 3, 6)


def test_a_fresh_look_after_hardening_takes_it_off_the_list(app):
    looked(app, 0, WEAK, replace(WEAK, target="web-02"))
    assert len(days(app)) == 2
    looked(app, 1, kind="verify", seen=("web-01",))
    assert list(days(app)) == [replace(WEAK, target="web-02").key]


def test_exceptions_leave_the_list_and_come_back(app, now):
    looked(app, 0, replace(WEAK, state=FindingState.ACCEPTED))
    assert list(days(app)) == [WEAK.key]  # its exception is no longer in the file
    add_exception(app.root, RiskException("web-01", WEAK.check, "", "迁移前保留", "赵六", "2027-03-10"))
    assert days(app) == {}
    now.at = datetime(2027, 3, 10, 16, tzinfo=UTC)  # the 11th in Shanghai
    assert list(days(app)) == [WEAK.key]


def test_what_a_person_has_to_judge_has_no_day(app):
    looked(app, 0, replace(WEAK, state=FindingState.MANUAL))
    assert days(app) == {}


def test_orders_and_what_is_wrong_with_them(app):
    looked(app, 0, WEAK)
    order = Order("ZG-1", "限期整改", date(2027, 3, 1), date(2027, 3, 4), ("web-01", "gone"), notice="n.pdf")
    add_order(app.root, order)
    found = due.listed(app)
    assert [(row.kind, row.day) for row in found.rows] == [("order", order.due), ("finding", order.due)]
    assert found.notes == ("ZG-1: unknown target 'gone'", "ZG-1: its notice n.pdf is not there")
    assert due.days(app, "scan-00") == {WEAK.key: order.due}
