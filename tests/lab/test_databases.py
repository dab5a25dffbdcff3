"""The databases of the lab, read over real sessions; what was planted is found, its twin is not reported."""

from contextlib import closing
from pathlib import Path

import pytest
import yaml

from agent.app import App
from agent.judge.controls import judge
from agent.model.control import Outcome
from agent.observe.database import collect, facts

ROOT = Path(__file__).parents[2]
PLANTED = [
    row
    for row in yaml.safe_load((ROOT / "tests/lab/expected.yaml").read_text(encoding="utf-8"))["planted"]
    if row["check"].startswith(("MYS-", "PG-"))
]
PROVEN = {
    "maria-01": ["MYS-IA-A-13", "MYS-IA-A-14", "MYS-IA-C-03", "MYS-IP-C-01", "MYS-DC-B-02", "MYS-AU-A-01"],
    "pg-net": ["PG-IA-A-08", "PG-AU-A-03"],
}
"""Wrong besides what was planted, and found on the same servers."""

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("lab")]


def read(workspace, name):
    """Facts of one database and its outcomes by control."""
    with closing(App(folder=workspace)) as app:
        [database] = [each for each in app.inventory.databases if each.name == name]
        controls = App(folder=ROOT).controls
        session = app.sessions.open_sql(database, 20)
        try:
            found = facts(name, collect(session, database.engine, controls))
        finally:
            session.close()
    return found, {verdict.control: verdict.outcome for verdict in judge(found.subject, controls)}


@pytest.fixture(scope="module")
def seen(lab):
    return {name: read(lab.workspace, name) for name in ("maria-01", "pg-net", "pg-local")}


@pytest.mark.parametrize("name", ["maria-01", "pg-net", "pg-local"])
def test_each_database_answers_every_statement(seen, name):
    found, outcomes = seen[name]
    assert found.version
    assert found.accounts
    assert not found.unseen
    assert [control for control, outcome in outcomes.items() if outcome == Outcome.ERROR] == []


@pytest.mark.parametrize("row", PLANTED, ids=lambda row: row["check"])
def test_what_was_planted_is_found(seen, row):
    assert seen[row["weak"]][1][row["check"]] == Outcome.FAIL, row["what"]


@pytest.mark.parametrize("row", [row for row in PLANTED if row["twin"] == "pg-local"], ids=lambda row: row["check"])
def test_the_twin_is_not_reported(seen, row):
    assert seen[row["twin"]][1][row["check"]] == Outcome.PASS, row["what"]


@pytest.mark.parametrize("name", sorted(PROVEN))
def test_what_a_stock_server_lacks_is_found(seen, name):
    assert {seen[name][1][control] for control in PROVEN[name]} == {Outcome.FAIL}


def test_the_mariadb_twin_is_not_reported(lab):
    _, outcomes = read(lab.trouble, "maria-twin")
    checks = [row["check"] for row in PLANTED if row["twin"] == "maria-twin"]
    assert {check: outcomes[check] for check in checks} == dict.fromkeys(checks, Outcome.PASS)
