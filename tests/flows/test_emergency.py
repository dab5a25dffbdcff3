"""The leak procedure: what is done, what is locked, what stands in the record, and that it can go on."""

import json

import pytest
import yaml
from rotationplace import Place

from agent.cli.main import cli
from agent.declared.incidents import load_incident, new_incident
from agent.flows.emergency import respond
from agent.flows.passwords import chosen
from agent.model.errors import AgentError, DeclaredError
from agent.vault.vault import CURRENT


@pytest.fixture
def place(tmp_path, monkeypatch):
    return Place(tmp_path, monkeypatch)


def incident(place):
    now = place.app.clock()
    return new_incident(place.app.root, now.date(), now.isoformat(), "tester", "笔记本遗失")


def by_account(found):
    return {one.account: one for one in found.measures}


def test_all_get_new_passwords_a_service_account_too(place):
    place.rotate("one@here-01")
    (place.target.folder / "one.sessions").write_text("192.0.2.9\t2027-03-01\tsshd\n")
    found = respond(place.app, incident(place), chosen(place.app, ["here-01", "admin@VPN"]))
    ends = {name: one.ended for name, one in by_account(found).items()}
    assert ends == {
        "one@here-01": "rotated",
        "two@here-01": "rotated",
        "prog@here-01": "rotated",
        "admin@VPN": "manual",
    }
    assert by_account(found)["one@here-01"].sessions == ("192.0.2.9 2027-03-01 sshd",)
    assert by_account(found)["one@here-01"].left  # nobody asked to end them
    assert place.states("one@here-01") == ["previous", CURRENT]


def test_the_record_is_kept_and_sealed_without_a_secret(place):
    found = respond(place.app, incident(place), chosen(place.app, ["one@here-01"]))
    file = place.app.root / "incidents" / f"{found.id}.yaml"
    assert found.id == "INC-20270301-01"
    assert file.stat().st_mode & 0o777 == 0o600
    assert load_incident(place.app.root, found.id) == found
    entry = next(entry for entry in place.app.ledger.entries() if entry.kind == "incident")
    body = json.loads(place.app.ledger.open(entry.seq))
    assert body["measures"][0]["ended"] == "rotated"
    texts = [place.app.vault.reveal(row).reveal() for row in place.rows("one@here-01")]
    assert not [text for text in texts if text in file.read_text(encoding="utf-8") + json.dumps(body)]
    assert incident(place).id == "INC-20270301-02"


def test_what_cannot_be_changed_is_locked_only_when_asked(place):
    place.target.faults = {"one": "refuses", "prog": "refuses"}
    found = respond(place.app, incident(place), chosen(place.app, ["here-01"]))
    assert not by_account(found)["one@here-01"].locked
    assert not by_account(found)["one@here-01"].settled
    found = respond(place.app, found, chosen(place.app, ["here-01"]), lock=True)
    assert by_account(found)["one@here-01"].locked
    assert place.target.held("one") == "locked"
    assert not by_account(found)["prog@here-01"].locked  # a program logs in with it
    assert place.target.held("prog") != "locked"


def test_it_goes_on_with_what_is_left_and_leaves_the_settled_alone(place):
    place.target.faults = {"one": "refuses"}
    found = respond(place.app, incident(place), chosen(place.app, ["one@here-01", "two@here-01"]))
    before = place.states("two@here-01")
    place.target.faults = {}
    found = respond(place.app, found, chosen(place.app, ["one@here-01", "two@here-01"]))
    assert {one.ended for one in found.measures} == {"rotated"}
    assert place.states("two@here-01") == before


def test_sessions_are_ended_when_asked(place):
    place.rotate("one@here-01")
    (place.target.folder / "one.sessions").write_text("192.0.2.9\t2027-03-01\tsshd\n")
    found = respond(place.app, incident(place), chosen(place.app, ["one@here-01"]), end_sessions=True)
    one = by_account(found)["one@here-01"]
    assert one.sessions
    assert not one.left


def test_a_host_that_is_down_does_not_hold_back_the_record(place):
    hosts = place.root / "inventory" / "hosts.yaml"
    text = (
        hosts.read_text(encoding="utf-8") + "- {name: down-01, address: 127.0.0.1, port: 9, owner: 张三, zone: dmz}\n"
    )
    hosts.write_text(text, encoding="utf-8")
    accounts = place.root / "inventory" / "accounts.yaml"
    accounts.write_text(accounts.read_text(encoding="utf-8") + "- {user: x, on: [down-01]}\n", encoding="utf-8")
    place.again()
    found = respond(place.app, incident(place), chosen(place.app, ["one@here-01", "x@down-01"]))
    ends = {name: one.ended for name, one in by_account(found).items()}
    assert ends == {"one@here-01": "rotated", "x@down-01": "unreached"}


@pytest.mark.parametrize("name", ["INC-1", "../hosts", "INC-20270301-01/../../x"])
def test_a_name_that_is_none_is_refused(place, name):
    with pytest.raises(AgentError, match="no such incident"):
        load_incident(place.app.root, name)


def test_a_file_that_somebody_spoilt_is_named(place):
    found = incident(place)
    file = place.app.root / "incidents" / f"{found.id}.yaml"
    body = yaml.safe_load(file.read_text(encoding="utf-8")) | {"reson": "x"}
    file.write_text(yaml.safe_dump(body), encoding="utf-8")
    with pytest.raises(DeclaredError, match="reson"):
        load_incident(place.app.root, found.id)


def test_on_the_command_line(place, monkeypatch, capsys):
    monkeypatch.setattr(place.app, "require_ops_location", lambda: None)
    words = ["password", "emergency", "--account", "here-01"]
    with pytest.raises(AgentError, match="a reason is wanted"):
        cli.main(words, standalone_mode=False, obj=place.app)
    assert not (place.app.root / "incidents").exists()
    assert cli.main([*words, "--reason", "遗失"], standalone_mode=False, obj=place.app) == 0
    out = capsys.readouterr().out
    assert "one@here-01: 已轮换并验证" in out
    assert "INC-20270301-01" in out
    place.target.faults = {"one": "refuses"}
    assert cli.main([*words, "--reason", "遗失"], standalone_mode=False, obj=place.app) == 1
    assert (
        cli.main(["password", "emergency", "--incident", "INC-20270301-02"], standalone_mode=False, obj=place.app) == 1
    )


def test_what_was_shut_comes_first_with_an_order_that_lets_nobody_in(place):
    place.rotate()
    place.target.faults["two"] = "refuses"
    found = respond(place.app, incident(place), chosen(place.app, ["here-01", "admin@VPN"]), lock=True)
    first = found.measures[0]
    assert (first.account, first.locked) == ("two@here-01", True)
    assert [task.split(" ")[0] for task in first.tasks[:3]] == ["usermod", "agent", "新口令核实后：usermod"]
    assert by_account(found)["admin@VPN"].tasks == ("agent password manual 'admin@VPN'",)
    assert load_incident(place.app.root, found.id) == found
