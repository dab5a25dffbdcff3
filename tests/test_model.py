"""The ground: cleaning of hostile text, secrets that stay hidden, keys that stay the same."""

import pickle
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model.asset import Layer
from agent.model.finding import Finding, FindingKind, FindingState
from agent.model.secret import Secret
from agent.model.severity import Severity
from agent.model.text import clean, decode, one_line


@given(st.binary(max_size=400))
def test_whatever_bytes_come_no_control_character_survives(raw):
    shown = clean(decode(raw))
    assert not [c for c in shown if unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"} and c not in "\n\t"]
    assert "\x1b" not in shown


@given(st.text(max_size=2000))
def test_one_line_is_one_line_and_capped(text):
    shown = one_line(text, 50)
    assert "\n" not in shown
    assert len(shown) <= 50 + len("…（全文见证据）")


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"\x1b[31mred\x1b[0m", "red"),
        (b"\x1b]0;title\x07x", "x"),
        ("应急".encode("gbk"), "应急"),
        (b"a\x00b", "a\\x00b"),
        ("a\u202eb".encode(), "a\\x202eb"),
        (b"<script>{{7*7}}", "<script>{{7*7}}"),
    ],
)
def test_hostile_text_becomes_plain(raw, shown):
    assert clean(decode(raw)) == shown


def test_a_secret_shows_itself_nowhere():
    secret = Secret("Zx9!" * 6)
    assert "Zx9" not in f"{secret!r} {secret} {secret:>20}"
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    assert secret == Secret("Zx9!" * 6)
    assert secret != Secret("other")


@pytest.mark.parametrize(
    ("score", "grade"),
    [(10, "超危"), (9, "超危"), (8.9, "高危"), (4, "中危"), (3.9, "低危")],
)
def test_cvss_maps_to_the_grades(score, grade):
    assert Severity.from_cvss(score).zh == grade


def finding(**changes):
    fields = {
        "target": "node-01", "layer": Layer.HOST, "kind": FindingKind.CONTROL, "check": "LIN-IA-A-01", "location": "",
        "title": "t", "severity": Severity.HIGH, "state": FindingState.OPEN, "actual": "a",
        "expected": "e", "remedy": "r",
    }  # fmt: skip
    return Finding(**(fields | changes))


def test_a_findings_key_depends_on_where_and_what_alone():
    assert finding().key == finding(title="other", severity=Severity.LOW, actual="x", evidence=(4,)).key
    keys = {
        finding(**change).key
        for change in ({}, {"target": "x"}, {"check": "x"}, {"location": "x"}, {"layer": Layer.NETWORK})
    }
    assert len(keys) == 5
