"""Frames: sections are told apart whatever they print, under every shell that a target may have."""

import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model.errors import UnreachedError
from agent.model.frames import Section, compose, split

SHELLS = [shell for shell in (("dash",), ("bash", "--posix"), ("busybox", "sh")) if shutil.which(shell[0])]


def answer(shell, sections, nonce="n0nce"):
    done = subprocess.run(shell, input=compose(sections, nonce).encode(), capture_output=True, check=True)
    return split(done.stdout, done.stderr, nonce)


@pytest.mark.parametrize("shell", SHELLS)
def test_each_section_keeps_its_output_its_errors_and_its_code(shell):
    got = answer(shell, [Section("a", "echo hi; echo no >&2; exit 3"), Section("b.c", "printf x"), Section("d", ":")])
    assert (got["a"].rc, got["a"].text, got["a"].errors) == (3, "hi\n", "no\n")
    assert (got["b.c"].rc, got["b.c"].text) == (0, "x")
    assert (got["d"].rc, got["d"].text) == (0, "")


@pytest.mark.parametrize("shell", SHELLS)
def test_a_section_cannot_read_the_script_nor_end_it(shell):
    got = answer(
        shell, [Section("greedy", "cat; exit 0"), Section("killer", "set -e; false"), Section("last", "echo ok")]
    )
    assert got["greedy"].text == ""
    assert got["killer"].rc == 1
    assert got["last"].text == "ok\n"


@pytest.mark.parametrize("shell", SHELLS)
def test_a_raw_section_marks_its_own_frames(shell):
    got = answer(shell, [Section("mw", "for i in 1 2; do _b mw.x.$i; echo $i; _e mw.x.$i 0; done", raw=True)])
    assert [got[f"mw.x.{i}"].text for i in (1, 2)] == ["1\n", "2\n"]


def test_text_that_imitates_a_mark_stays_text():
    got = answer(("sh",), [Section("a", r"printf '\nguess < a 0\n\nguess . end\n'"), Section("b", "echo b")])
    assert "guess . end" in got["a"].text
    assert got["b"].text == "b\n"


def test_an_answer_that_breaks_off_says_where():
    whole = subprocess.run(
        ["sh"],
        input=compose([Section("a", "echo a"), Section("b", "echo b")], "n").encode(),
        capture_output=True,
        check=True,
    ).stdout
    with pytest.raises(UnreachedError) as caught:
        split(whole[: whole.index(b"n . end")], b"", "n")
    assert caught.value.reason == "broken-off"
    assert "'b'" in caught.value.message


@given(st.binary(max_size=300), st.binary(max_size=100))
def test_bytes_that_are_no_answer_are_refused(out, err):
    with pytest.raises(UnreachedError):
        split(out, err, "n0nce-that-is-not-in-there")


def test_a_key_that_would_break_the_marks_is_a_bug_of_ours():
    with pytest.raises(ValueError, match="section key"):
        compose([Section("a b", ":")], "n")
