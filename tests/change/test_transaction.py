"""What is composed for a target, and how its answers are read; hostile ones too."""

import pytest

from agent.change import transaction
from agent.change.transaction import Begun, Transaction, begun, digests, reverting, state_of, states
from agent.model.change import Act, Handle, Step, TxState
from agent.model.frames import Answer

STEP = Step(
    "r", "files", "n", "a", "b", "echo 'it''s'", handles=(Handle("file", ("/etc/a b",)), Handle("unit", ("x.service",))),
    validate="true", acts=(Act("reload", ("x.service",)),),
)  # fmt: skip


def ok(text="", errors=""):
    return Answer(0, text, errors)


def test_nothing_is_written_before_it_is_armed_and_every_step_asks_first():
    script = Transaction("t1", (STEP, STEP), ("sshd",)).begin("q")
    places = [
        script.index(f"_b {key}\n")
        for key in ("open", "capture", "arm", "step.1", "step.2", "validate.1", "apply", "state")
    ]
    assert places == sorted(places)
    for key in ("step.1", "step.2", "validate.1", "apply"):
        assert script[script.index(f"_b {key}\n") :].splitlines()[1].endswith("tx_writing || exit 9")
    assert script.index("sshd_main()") < places[0]


def test_handles_and_acts_are_named_once_and_quoted():
    tx = Transaction("t1", (STEP, STEP))
    assert tx.handles == STEP.handles
    assert "  h 1 file '/etc/a b'\n  h 2 unit x.service\n" in tx.preamble()
    assert tx.acts == STEP.acts


def test_the_undo_is_complete_in_itself():
    text = Transaction("t1", (STEP,), ttl=9, arm=("at",)).undo_file()
    for part in ("tx_undo()", "h_file_restore()", "h_unit_restore()", "act_reload()", "TX=t1", "TTL=9"):
        assert part in text
    assert "SECOPS_UNDO_END" not in text


def test_what_cannot_be_undone_is_armed_by_nothing():
    script = Transaction("t1", (Step("r", "packages", "n", "", "", "true", irreversible="why"),)).begin("q")
    assert "_b arm\n" not in script
    assert "tx_oneway" in script


@pytest.mark.parametrize(
    ("answers", "wanted"),
    [
        ({"open": ok(), "arm": ok("armed at 300"), "state": ok("armed\n")}, Begun(TxState.ARMED, armed_by="at")),
        ({"open": Answer(75, "t9\n", ""), "state": ok("absent")}, Begun(TxState.ABSENT, "t9", failed="open", why="another transaction holds the target")),
        ({"open": Answer(75, "", ""), "state": ok("absent")}, Begun(TxState.ABSENT, "?", failed="open", why="another transaction holds the target")),
        ({"open": ok(), "capture": Answer(73, "", "no\n"), "arm": Answer(9, "", ""), "state": ok("absent")}, Begun(TxState.ABSENT, failed="capture", why="no")),
        ({"open": ok(), "arm": ok("armed x y z"), "step.1": Answer(1, "said", ""), "state": ok("undone")}, Begun(TxState.UNDONE, failed="step.1", why="said")),
        ({"open": ok(), "arm": ok(""), "step.1": Answer(4, "", "")}, Begun(TxState.UNKNOWN, failed="step.1", why="exit code 4")),
    ],
)  # fmt: skip
def test_what_begin_answered_is_read(answers, wanted):
    assert begun(answers) == wanted


@pytest.mark.parametrize("text", ["", " \n", "armed?", "ARMED", "\x00", "confirmedx"])
def test_a_state_that_is_none_is_unknown(text):
    assert state_of(ok(text)) is TxState.UNKNOWN
    assert state_of(None) is TxState.UNKNOWN
    assert state_of(ok("broken 3 differs")) is TxState.BROKEN


def test_digests_are_read_and_noise_is_left():
    assert digests(ok("1 aa bb\nnoise\n2 cc -\nx y z\n")) == {1: ("aa", "bb"), 2: ("cc", "-")}


def test_the_target_sweeps_before_it_tells():
    script = states(["t1", "t2"], "q")
    assert (
        script.index("_b sweep\n") < script.index("_b tx.t1\n") < script.index("_b tx.t2\n") < script.index("_b lock\n")
    )


def test_putting_back_is_one_step_with_the_handles_that_are_kept():
    step = reverting(Transaction("t1", (STEP,)), [2], "files")
    assert step.handles == (Handle("unit", ("x.service",)),)
    assert step.acts == STEP.acts
    assert (step.group, step.validate) == ("files", "true")


def test_the_time_and_the_place_are_the_documented_ones():
    assert (transaction.TTL, transaction.TXROOT, transaction.BUSY) == (300, "/var/lib/secops-agent", 75)
