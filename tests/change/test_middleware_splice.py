"""Pieces of a file replaced on a target: by offset, together, and not in a file that is another by now."""

import hashlib
import os
import shlex
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.change.library import modules
from agent.change.splice import Edit, Shown, shown, spliced, write

SHELLS = pytest.mark.parametrize("shell", [["dash"], ["bash"], ["busybox", "sh"]], ids=lambda each: each[0])


def run(shell, folder, script):
    (folder / "d").mkdir(exist_ok=True)
    head = f"R=; TX=none; TXROOT=/none\n{modules(('splice', 'mw'))}\nD={shlex.quote(str(folder / 'd'))}\n"
    return subprocess.run(
        [*shell, "-c", head + script], capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"}
    )


def file_of(path):
    data = path.read_bytes()
    return Shown(str(path), str(path), hashlib.sha256(data).hexdigest(), data.decode("latin-1"))


@SHELLS
def test_several_writes_of_one_transaction_are_put_together(shell, tmp_path):
    path = tmp_path / "a b'c.conf"
    path.write_bytes(b"one two\nthree \xff four")
    path.chmod(0o640)
    file = file_of(path)
    first, second = (
        [Edit(0, 3, "1"), Edit(19, 0, "$x `y`\n'")],
        [Edit(4, 3, ""), Edit(0, 3, "1"), Edit(19, 0, "second")],
    )
    done = run(shell, tmp_path, f"{write(file, first)} && {write(file, second)}")
    assert done.returncode == 0, done.stderr
    assert path.read_bytes() == b"1 \nthree \xff fou$x `y`\n'secondr"
    assert path.stat().st_mode & 0o777 == 0o640
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a b'c.conf", "d"]


@SHELLS
def test_another_file_or_the_same_place_twice_is_refused(shell, tmp_path):
    path = tmp_path / "f"
    path.write_text("one two")
    file = file_of(path)
    done = run(shell, tmp_path, f"{write(file, [Edit(0, 3, 'x')])} && {write(file, [Edit(0, 3, 'y')])}")
    assert done.returncode != 0
    assert path.read_text() == "x two"
    path.write_text("somebody else's")
    done = run(shell, tmp_path, write(file, [Edit(4, 3, "y")]))
    assert "is not the file that was looked at" in done.stderr
    assert path.read_text() == "somebody else's"


@SHELLS
def test_a_link_that_somebody_put_beside_the_file_is_not_followed(shell, tmp_path):
    path, trap = tmp_path / "f", tmp_path / "trap"
    path.write_text("one")
    trap.write_text("kept")
    (tmp_path / ".f.new").symlink_to(trap)
    done = run(shell, tmp_path, write(file_of(path), [Edit(0, 3, "two")]))
    assert done.returncode == 0, done.stderr
    assert (path.read_text(), trap.read_text()) == ("two", "kept")


@SHELLS
@pytest.mark.parametrize("text", ["", "\n", "a", "a\n", "a\n\nb\xff"])
def test_a_file_is_shown_whole(shell, tmp_path, text):
    path = tmp_path / "f"
    path.write_bytes(text.encode("latin-1"))
    files, missing = shown(run(shell, tmp_path, f"splice_show {path} '{{ print }}'").stdout.splitlines())
    assert (files[str(path)].text, missing) == (text, [])


@given(st.text(max_size=200))
def test_no_answer_makes_the_reading_fail(text):
    files, missing = shown(f"file\t/a\t/a\t{'0' * 64}\t4\n{text}\n.end".splitlines())
    assert len(files) + len(missing) >= 0
    shown(text.splitlines())


def test_pieces_that_overlap_are_refused():
    assert spliced("abc", [Edit(3, 0, "d"), Edit(0, 1, "x"), Edit(1, 0, "y")]) == "xybcd"
    for bad in ([Edit(0, 2, ""), Edit(1, 1, "")], [Edit(2, 2, "")]):
        with pytest.raises(ValueError, match="overlaps"):
            spliced("abc", bad)
