"""Rotation as a story: the order of its steps, and what every kind of failure leaves behind.

Real hosts, and a process that is killed, are in tests/lab.
"""

import json
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rotationplace import Killed, Place, killer

from agent.flows import rotation
from agent.flows.asking import change_of
from agent.flows.passwords import chosen, due, status, unsettled
from agent.flows.rotation import Ended, rotate
from agent.model.account import Managed, Way
from agent.model.errors import StoreError
from agent.model.secret import Secret
from agent.vault.standing import State
from agent.vault.vault import CURRENT, PENDING, VOID, New


@pytest.fixture
def place(tmp_path, monkeypatch):
    return Place(tmp_path, monkeypatch)


def test_a_rotation_changes_proves_and_promotes(place):
    steps = []
    accounts = chosen(place.app, ["one@here-01", "two@here-01"])
    done = rotate(place.app, accounts, lambda event: steps.append(event.step), reason="test")
    assert [(one.ended, one.way) for one in done] == [(Ended.ROTATED, Way.SERVICE)] * 2
    assert steps == ["pend", "pended", "change", "changed", "prove", "proven", "end"]
    assert place.states("one@here-01") == [CURRENT]
    assert place.holds("one@here-01") == [CURRENT]
    assert place.rows("one@here-01")[0].why == "service"
    place.rotate()
    assert place.states("one@here-01") == ["previous", CURRENT]
    assert place.app.ledger.verify().ok


def test_the_evidence_tells_all_but_the_secret(place):
    place.target.faults = {"two": "repeats"}
    place.rotate()
    entries = [entry for entry in place.app.ledger.entries() if entry.kind == "rotation"]
    body = json.loads(place.app.ledger.open(entries[0].seq))
    assert {one["account"]: one["ended"] for one in body["accounts"]} == {
        "one@here-01": "rotated", "two@here-01": "kept",
    }  # fmt: skip
    texts = [
        place.app.vault.reveal(row).reveal() for name in ("one@here-01", "two@here-01") for row in place.rows(name)
    ]
    everything = "".join(
        place.app.ledger.open(entry.seq).decode() for entry in place.app.ledger.entries() if entry.blob
    )
    assert len(texts) == 2
    assert not [text for text in texts if text in everything]
    assert "***" in place.rows("two@here-01")[0].why


def test_a_refusal_keeps_the_old_one(place):
    place.rotate()
    place.target.faults = {"one": "refuses"}
    done = place.rotate()
    assert (done["one@here-01"].ended, done["one@here-01"].why) == (Ended.KEPT, "BAD PASSWORD")
    assert place.states("one@here-01") == [CURRENT, VOID]
    assert place.holds("one@here-01") == [CURRENT]
    assert done["two@here-01"].ended is Ended.ROTATED


def test_one_that_no_login_can_prove_is_told_apart(place):
    place.target.faults = {"one": "barred"}
    done = place.rotate()["one@here-01"]
    assert (done.ended, done.way, done.why) == (Ended.UNPROVEN, Way.IN_PLACE, "not from here")
    assert place.rows("one@here-01")[0].verified_at == ""
    place.target.faults = {"one": "blind"}
    done = place.rotate()["one@here-01"]
    assert (done.ended, done.way) == (Ended.UNPROVEN, Way.NONE)
    assert place.holds("one@here-01") == [CURRENT]


@pytest.mark.parametrize("step", ["pend", "pended", "change", "changed", "prove", "proven"])
@pytest.mark.parametrize("first", [True, False], ids=["no password yet", "after a rotation"])
def test_whatever_a_kill_leaves_the_next_run_settles(place, step, first):
    if not first:
        place.rotate("one@here-01")

    def watch(event):
        if event.step == step:
            raise Killed

    with pytest.raises(Killed):
        rotate(place.app, chosen(place.app, ["one@here-01"]), watch, reason="test")
    place.again()
    assert bool(place.holds("one@here-01")) or not place.target.held("one")
    assert [one.id for one in unsettled(place.app)] == ([] if step == "pend" else ["one@here-01"])
    place.rotate("one@here-01", settle_only=True)
    assert PENDING not in place.states("one@here-01")
    place.rotate("one@here-01")
    assert place.holds("one@here-01") == [CURRENT]
    place.app.vault.check()


@pytest.mark.parametrize("fault", ["dies-before", "dies-after"])
def test_an_answer_that_breaks_off_is_asked_after(place, fault):
    place.rotate("one@here-01")
    place.target.faults = {"one": fault}
    done = place.rotate("one@here-01")["one@here-01"]
    assert done.ended is (Ended.KEPT if fault == "dies-before" else Ended.ROTATED)
    assert place.holds("one@here-01") == [CURRENT]


def test_a_change_that_lands_long_after_is_found(place):
    """A candidate was given up; then the target took it after all."""
    place.rotate("one@here-01")
    place.target.faults = {"one": "dies-before"}
    place.rotate("one@here-01")
    place.target.faults = {}
    late = place.rows("one@here-01")[-1]
    assert late.state == VOID
    (place.target.folder / "one").write_text(place.target.hashed(place.app.vault.reveal(late).reveal()))
    place.again()
    assert place.holds("one@here-01") == [VOID]  # not lost
    assert place.rotate("one@here-01")["one@here-01"].ended is Ended.ROTATED
    assert place.holds("one@here-01") == [CURRENT]


def test_neither_holds_so_it_is_given_again(place):
    """Somebody changed it behind our back while a change was open: reconciled through root."""
    with pytest.raises(Killed):
        rotate(place.app, chosen(place.app, ["one@here-01"]), killer("change"), reason="test")
    (place.target.folder / "one").write_text("of somebody else")
    place.again()
    assert place.rotate("one@here-01", settle_only=True)["one@here-01"].ended is Ended.ROTATED
    assert place.holds("one@here-01") == [CURRENT]


def test_where_only_logins_tell_and_none_is_possible_both_are_kept(place):
    place.rotate("one@here-01")
    place.target.faults = {"one": "blind"}
    with pytest.raises(Killed):
        rotate(place.app, chosen(place.app, ["one@here-01"]), killer("changed"), reason="test")
    place.again()
    done = place.rotate("one@here-01")["one@here-01"]
    assert done.ended is Ended.OPEN
    assert place.states("one@here-01") == [CURRENT, PENDING]
    place.target.faults = {}
    assert place.rotate("one@here-01")["one@here-01"].ended is Ended.ROTATED


def test_a_store_that_cannot_be_written_loses_nothing(place, monkeypatch):
    place.rotate("one@here-01")

    def full(*_, **__):
        raise StoreError("the disk is full")

    monkeypatch.setattr(place.app.vault, "promote_all", full)
    with pytest.raises(StoreError):
        place.rotate("one@here-01")
    place.again()
    assert place.holds("one@here-01") == [PENDING]
    assert place.rotate("one@here-01", settle_only=True)["one@here-01"].ended is Ended.ROTATED


def test_a_service_account_without_a_plan_is_left_alone(place):
    done = place.rotate("prog@here-01")["prog@here-01"]
    assert done.ended is Ended.HELD
    assert "dependents" in done.why
    assert place.states("prog@here-01") == []
    assert place.rotate("admin@VPN")["admin@VPN"].ended is Ended.HELD


def test_two_at_once_take_turns(place):
    with rotation.held(place.app.state, "rotation-here-01"):
        done = place.rotate("one@here-01")["one@here-01"]
    assert done.ended is Ended.UNREACHED
    assert place.states("one@here-01") == []


def test_due_at_day_25_so_that_a_failure_has_five_days(place):
    place.app.vault.adopt([New("two@here-01", "dmz", Secret("Quite-old-and-imported-1"))])
    place.rotate("one@here-01")
    standing = {one.account.id: one for one in passwords_status(place)}
    assert standing["one@here-01"].state is State.GOOD
    assert standing["two@here-01"].state is State.DUE  # nobody knows how old it is
    assert standing["prog@here-01"].state is State.HELD
    place.now += timedelta(days=24, hours=23)
    assert "one@here-01" not in [one.id for one in due(place.app)]
    place.now += timedelta(hours=2)
    assert "one@here-01" in [one.id for one in due(place.app)]
    assert {one.account.id: one.left for one in passwords_status(place)}["one@here-01"] == 5
    place.now += timedelta(days=6)
    assert {one.account.id: one.state for one in passwords_status(place)}["one@here-01"] is State.EXPIRED


def passwords_status(place):
    return status(place.app)


FAULTS = st.sampled_from(["", "refuses", "dies-before", "dies-after", "barred", "blind", "repeats"])


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rounds=st.lists(
        st.tuples(FAULTS, FAULTS, st.sampled_from(["", *["pended", "change", "changed", "proven"]])), max_size=4
    )
)
def test_whatever_goes_wrong_in_whatever_order_nothing_is_lost(tmp_path_factory, monkeypatch, rounds):
    place = Place(tmp_path_factory.mktemp("rotation"), monkeypatch)
    names = ("one@here-01", "two@here-01")
    for first, second, killed in rounds:
        place.target.faults = {"one": first, "two": second}
        try:
            rotate(place.app, chosen(place.app, names), killer(killed), reason="test")
        except Killed:
            place.again()
        for name in names:
            assert not place.target.held(name.partition("@")[0]) or place.holds(name), rounds
    place.target.faults = {}
    done = place.rotate(*names)
    assert {one.ended for one in done.values()} == {Ended.ROTATED}
    assert all(place.holds(name) == [CURRENT] for name in names)
    place.app.vault.check()
    place.app.close()


def test_texts_that_ended_are_destroyed_after_their_days(place):
    place.rotate("one@here-01")
    place.rotate("one@here-01")
    assert all(row.sealed for row in place.rows("one@here-01"))
    place.now += timedelta(days=91)
    rotate(place.app, [], reason="到期轮换")  # a day on which nothing is due
    place.rotate("one@here-01")
    assert [(row.state, bool(row.sealed)) for row in place.rows("one@here-01")] == [
        ("previous", False),
        ("previous", True),
        ("current", True),
    ]
    told = [
        json.loads(place.app.ledger.open(entry.seq)) for entry in place.app.ledger.entries() if entry.kind == "vault"
    ]
    assert sum(change["what"] == "destroy" for body in told for change in body["changes"]) == 1


@pytest.mark.parametrize(
    ("account", "days"),
    [
        (Managed("a@here-01", "a", "here-01", "linux"), 30),
        (Managed("a@here-01", "a", "here-01", "linux", service=True, plan="随口令库"), 0),
        (Managed("a@here-01", "a", "here-01", "linux", own_login=True), 0),
        (Managed("a@here-01", "a", "here-01", "linux", enforce=False), 0),
    ],
)
def test_what_would_lock_a_program_or_the_agent_out_never_expires_there(place, account, days):
    assert change_of(place.app, account).days == days
