"""Judging controls: what applies, what was read, what it comes to; and what findings are made of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.judge.controls import findings, judge
from agent.judge.expect import LIMIT, OPERATORS, compare, wanted
from agent.model.asset import Layer
from agent.model.control import Applies, Control, Expect, Outcome, Read
from agent.model.facts import Reading, Subject
from agent.model.finding import FindingKind, FindingState
from agent.model.severity import Severity

VALUES = {
    "eq": "x", "in": ["x", 1], "ge": 1, "le": 1, "between": [1, 2], "regex": "x+", "not_regex": "x+",
    "mode_max": "0640 root",
}  # fmt: skip


def expectation(op):
    if op == "kv":
        return Expect("kv", keys={"a": Expect("eq", "x"), "b": Expect("ge", 1, absent="fail")})
    if op in {"all", "any"}:
        return Expect(op, every=(Expect("nonempty"), Expect("not_regex", "x")))
    return Expect(op, VALUES.get(op))


def control(expect, read=None, **more):
    return Control(
        id="LIN-X-01", title="t", clause="8.1.4.1-a", severity=Severity.HIGH, target="linux",
        read=read or Read("sh", text="true"), expect=expect, remedy="r", **more,
    )  # fmt: skip


def said(expect, reading):
    subject = Subject("linux", "h", reads={"LIN-X-01": reading} if reading else {})
    return judge(subject, [control(expect)])[0]


operators = st.sampled_from(sorted(OPERATORS))
anything = st.text(st.characters(codec=None, exclude_categories=()), max_size=200)


@given(operators, anything, st.integers(-300, 300).filter(lambda rc: rc not in {0, 1}))
def test_a_read_that_errored_is_an_error_whatever_is_expected(op, text, rc):
    assert said(expectation(op), Reading(text, rc)).outcome is Outcome.ERROR
    assert said(expectation(op), Reading(text, 0, "driver gone")).outcome is Outcome.ERROR
    assert said(expectation(op), None).outcome is Outcome.ERROR


@given(operators, anything, st.sampled_from([0, 1]))
def test_any_text_is_judged_without_raising(op, text, rc):
    verdict = said(expectation(op), Reading(text, rc))
    assert verdict.outcome in Outcome
    assert "\n" not in verdict.actual
    assert len(verdict.actual) < 500


@given(st.dictionaries(anything, anything, max_size=5), operators)
def test_any_table_is_judged_without_raising(table, op):
    verdict = judge(
        Subject("linux", "h", tables={"t": table}),
        [control(expectation(op), Read("table", table="t", keys=("a", "b")))],
    )[0]
    assert verdict.outcome in Outcome
    if not table:
        assert verdict.outcome is not Outcome.PASS


@given(st.text("0123456789-", min_size=1, max_size=6000))
def test_numbers_of_any_length(text):
    for op in ("ge", "le", "between"):
        assert compare(expectation(op), text).outcome in {Outcome.PASS, Outcome.FAIL, Outcome.ERROR}


def test_an_unknown_operator_is_an_error():
    assert said(Expect("almost", "x"), Reading("x")).outcome is Outcome.ERROR


@pytest.mark.parametrize(
    ("expect", "text", "outcome"),
    [
        (Expect("eq", "no"), " no \n", "pass"),
        (Expect("eq", 1), "1", "pass"),
        (Expect("eq", "no"), "No", "fail"),
        (Expect("in", ["a", 2]), "2", "pass"),
        (Expect("ge", 18), "minlen 17", "fail"),
        (Expect("le", -1), "-1", "pass"),
        (Expect("le", 1), "sha-256", "fail"),
        (Expect("ge", 1), "none", "error"),
        (Expect("between", [1, 30]), "99999", "fail"),
        (Expect("empty"), " \n", "pass"),
        (Expect("empty"), "x", "fail"),
        (Expect("nonempty"), "\n", "fail"),
        (Expect("not_regex", "cbc"), "", "error"),
        (Expect("not_regex", "cbc", allow_empty=True), "", "pass"),
        (Expect("not_regex", "^cbc$"), "ctr\ncbc", "fail"),
        (Expect("regex", "x"), "", "fail"),
        (Expect("mode_max", "0640"), "0600 root root", "pass"),
        (Expect("mode_max", "0640"), "0644", "fail"),
        (Expect("mode_max", "0640"), "4640", "fail"),
        (Expect("mode_max", "0640 root"), "0640 ana", "fail"),
        (Expect("mode_max", "0640 root"), "0640", "error"),
        (Expect("mode_max", "0640 root"), "rw-r-----", "error"),
        (Expect("manual"), "", "manual"),
        (Expect("kv", keys={"a": Expect("eq", "1"), "b": Expect("eq", "2")}), "a=1\nb=2", "pass"),
        (Expect("kv", keys={"a": Expect("eq", "1"), "b": Expect("eq", "2")}), "a=1", "error"),
        (Expect("kv", keys={"a": Expect("eq", "9"), "b": Expect("eq", "2")}), "a=1", "fail"),
        (Expect("kv", keys={"a": Expect("eq", "1"), "b": Expect("eq", "2", absent="pass")}), "a=1", "pass"),
        (Expect("kv", keys={"a": Expect("eq", "1")}), "a=1\na=2", "fail"),
        (Expect("all", every=(Expect("nonempty"), Expect("ge", 3))), "2", "fail"),
        (Expect("all", every=(Expect("nonempty"), Expect("ge", 3))), "x", "error"),
        (Expect("any", every=(Expect("empty"), Expect("manual"))), "x", "manual"),
        (Expect("any", every=(Expect("ge", 3), Expect("eq", "never"))), "never", "pass"),
        (Expect("any", every=(Expect("ge", 3), Expect("eq", "never"))), "ever", "error"),
        (Expect("any", every=(Expect("ge", 3), Expect("eq", "never"))), "2", "fail"),
    ],
)
def test_operators(expect, text, outcome):
    assert said(expect, Reading(text)).outcome == outcome


def test_a_value_too_long_is_an_error():
    assert said(Expect("nonempty"), Reading("x" * (LIMIT + 1))).outcome is Outcome.ERROR


@pytest.mark.parametrize(
    ("expect", "text", "actual"),
    [
        (Expect("kv", keys={"a": Expect("eq", "1"), "b": Expect("eq", "2")}), "a=1\nb=3", "b = 3"),
        (Expect("kv", keys={"a": Expect("eq", "1"), "b": Expect("eq", "2", absent="fail")}), "a=1", "a=1"),
        (Expect("not_regex", "^bad"), "good\nbad one\nfine", "bad one"),
        (Expect("any", every=(Expect("not_regex", "^bad"), Expect("manual"))), "good\nbad one", "bad one"),
        (Expect("any", every=(Expect("ge", 9), Expect("eq", "x"))), "1", "1"),
        (Expect("not_regex", "^bad"), "good\nfine", "good；fine"),
    ],
)
def test_what_is_wrong_is_shown_alone(expect, text, actual):
    assert said(expect, Reading(text)).actual == actual


def test_exit_code_one_with_nothing_is_an_answer():
    assert said(Expect("empty"), Reading("", 1)).outcome is Outcome.PASS


TABLE = Read("table", table="sshd", keys=("port",))


@pytest.mark.parametrize(
    ("subject", "outcome", "reason"),
    [
        (Subject("linux", "h", tables={"sshd": {"port": "22"}}), "pass", ""),
        (Subject("linux", "h", tables={"sshd": {"x": "22"}}), "error", "port"),
        (Subject("linux", "h", tables={"sshd": {}}), "error", "port"),
        (Subject("linux", "h"), "error", "sshd"),
        (Subject("linux", "h", missing={"sshd": "exit code 255"}), "error", "exit code 255"),
        (Subject("linux", "h", tables={"sshd": {"port": "22"}}, missing={"sshd": "cut off"}), "error", "cut off"),
    ],
)
def test_tables(subject, outcome, reason):
    verdict = judge(subject, [control(Expect("eq", 22), TABLE)])[0]
    assert verdict.outcome == outcome
    assert reason in verdict.reason


def test_an_empty_table_passes_nothing():
    expect = Expect("kv", keys={"rpcbind": Expect("not_regex", "active", absent="pass")})
    one = control(expect, Read("table", table="service", keys=("rpcbind",)))
    assert judge(Subject("linux", "h", tables={"service": {}}), [one])[0].outcome is Outcome.ERROR
    assert judge(Subject("linux", "h", tables={"service": {"ssh": "enabled active"}}), [one])[0].outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("absent", "outcome"), [("error", Outcome.ERROR), ("fail", Outcome.FAIL), ("pass", Outcome.PASS)]
)
def test_what_a_missing_key_means(absent, outcome):
    one = control(Expect("eq", "1", absent=absent), TABLE)
    assert judge(Subject("linux", "h", tables={"sshd": {"x": "1"}}), [one])[0].outcome is outcome


@pytest.mark.parametrize(
    ("applies", "more", "outcome"),
    [
        (Applies(family=("debian",)), {"family": "debian"}, "pass"),
        (Applies(family=("debian",)), {"family": "rhel"}, "not_applicable"),
        (Applies(family=("debian",)), {}, "error"),
        (Applies(version=">=12,<16"), {"version": "15.4"}, "pass"),
        (Applies(version=">=12,<16"), {"version": "16"}, "not_applicable"),
        (Applies(version=">=10.4"), {"version": "10.11.6-MariaDB-0+deb12u1"}, "pass"),
        (Applies(version="==8"), {"version": "8.0"}, "pass"),
        (Applies(version=">8.0"), {"version": "8"}, "not_applicable"),
        (Applies(version=">=12"), {"version": "unknown"}, "error"),
        (Applies(when=("sshd",)), {"features": frozenset({"sshd"})}, "pass"),
        (Applies(when=("sshd",)), {}, "not_applicable"),
        (Applies(when=("!container",)), {"features": frozenset({"container"})}, "not_applicable"),
        (Applies(when=("!container",)), {}, "pass"),
    ],
)
def test_applies(applies, more, outcome):
    subject = Subject("linux", "h", reads={"LIN-X-01": Reading("x")}, **more)
    verdict = judge(subject, [control(Expect("nonempty"), applies=applies)])[0]
    assert verdict.outcome == outcome
    assert (outcome == "pass") == (not verdict.reason)


def test_other_subjects_controls_are_passed_over():
    assert judge(Subject("nginx", "h"), [control(Expect("empty"))]) == []


def test_findings_of_each_outcome():
    one = control(Expect("ge", 3))
    texts = {"LIN-X-01": "2", "LIN-X-02": "4", "LIN-X-03": "x", "LIN-X-04": "y", "LIN-X-05": "9"}
    controls = [replace(one, id=name) for name in texts]
    controls[3] = replace(controls[3], expect=Expect("manual"))
    controls[4] = replace(controls[4], applies=Applies(when=("tpm",)))
    subject = Subject("linux", "h", "loc", reads={name: Reading(text) for name, text in texts.items()})
    rows = findings(judge(subject, controls), controls, Layer.HOST, (7,))
    assert [(row.check, row.state) for row in rows] == [
        ("LIN-X-01", FindingState.OPEN),
        ("LIN-X-03", FindingState.UNKNOWN),
        ("LIN-X-04", FindingState.MANUAL),
    ]
    first = rows[0]
    assert (first.kind, first.severity, first.layer) == (FindingKind.CONTROL, Severity.HIGH, Layer.HOST)
    assert (first.actual, first.expected, first.remedy, first.evidence) == ("2", "≥ 3", "r", (7,))
    assert (first.target, first.location, first.clause) == ("h", "loc", "8.1.4.1-a")
    assert rows[1].detail


def test_a_verdict_of_an_unknown_control_is_refused():
    verdicts = judge(Subject("linux", "h"), [control(Expect("empty"))])
    with pytest.raises(KeyError):
        findings(verdicts, [], Layer.HOST, ())


@pytest.mark.parametrize("op", sorted(OPERATORS))
def test_what_is_wanted_is_said_for_every_operator(op):
    text = wanted(expectation(op))
    assert text
    assert "{" not in text
    assert wanted(replace(expectation(op), say="own words")) == "own words"


def test_hostile_text_is_cleaned():
    verdict = said(Expect("empty"), Reading("\x1b[31mred\x07\nx\u202ey"))
    assert verdict.actual == "red\\x07；x\\x202ey"


@pytest.mark.parametrize("when", ["sshd", "!container"])
def test_what_could_not_be_looked_for_is_neither_absent_nor_there(when):
    one = control(Expect("eq", "no"), applies=Applies(when=(when,)))
    reading = Reading("no", 0, "")
    known = Subject("linux", "h", reads={"LIN-X-01": reading}, features=frozenset())
    unknown = replace(known, missing={"features": "timed out on the host"})
    (verdict,) = judge(unknown, [one])
    assert (verdict.outcome.value, "timed out" in verdict.reason) == ("error", True)
    (verdict,) = judge(known, [one])
    assert verdict.outcome.value == ("not_applicable" if when == "sshd" else "pass")
