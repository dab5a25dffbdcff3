"""A transaction killed, or its disk filled, before any one command of its scripts: it comes back, and never lies.

A DEBUG trap of bash counts the commands, also in subshells, and acts at the one that is asked for. A few moments of each
script in `make test` ($AGENT_SEED picks them), every one in `make campaign`.
"""

import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest
from faketarget import FakeTarget, put

from agent.model.change import TxState

SEED = os.environ.get("AGENT_SEED", "2027")
KILL = "kill -9 0"
FILL = "cat /dev/zero >{0}/.fill; i=0; while true >{0}/.fill$i; do i=$((i+1)); done"


@pytest.fixture
def target(tmp_path):
    made = FakeTarget(tmp_path / "t", "bash")
    yield made
    made.end()


@pytest.fixture
def small(tmp_path):
    """A target whose whole disk is small."""
    if os.geteuid():
        pytest.skip("needs root")
    (tmp_path / "t").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,nr_inodes=160", "tmpfs", tmp_path / "t"], check=True)
    made = FakeTarget(tmp_path / "t", "bash")
    yield made
    made.end()
    subprocess.run(["umount", "-l", tmp_path / "t"], check=True)


class Moments:
    """Runs scripts with something done before their N-th command."""

    def __init__(self, target: FakeTarget, action: str) -> None:
        self.target, self.action = target, action.format(target.tmp)
        self.counter = target.tmp.parent / "counter"

    def run(self, script: str, moment: int) -> int:
        """Run it; how many commands it had so far."""
        self.counter.write_text("")
        head = f"""_kn() {{ printf x >>{self.counter}; read -r _kc <{self.counter}; [ ${{#_kc}} -ne {moment} ] || {{ {self.action}; }} 2>/dev/null; }}
set -T; trap _kn DEBUG
"""
        self.target.run(head + script, 90)
        return len(self.counter.read_text())


def count(target, script):
    return Moments(target, KILL).run(script, 0)


def moments(target, script, name, few):
    """A seeded few in the plain test, all of them in the campaign; the first and the last always."""
    last = count(target, script)
    assert last > 30, "nothing was counted"
    if os.environ.get("AGENT_MOMENTS") == "all":
        return range(1, last + 1)
    return sorted({1, last, *random.Random(f"{SEED}-{name}").sample(range(1, last + 1), few)})


def ready(target):
    """Two files, one of them new; the transaction; what was before."""
    paths = [target.file("a"), target.etc / "d" / "n"]
    return target.tree(), lambda ttl: target.transaction(*map(put, paths), ttl=ttl)


def reset(target):
    """Room again; the journals of those that are over go, a small disk holds few."""
    for path in target.tmp.glob(".fill*"):
        path.unlink()
    for path in Path(target.root).glob("tx/*"):
        shutil.rmtree(path, ignore_errors=True)


def begins(target, action, few):
    before, make = ready(target)
    first = make(60)
    places = moments(target, first.begin("q7"), f"begin {action}", few)
    assert target.undo(first) is TxState.UNDONE
    seen = set()
    for moment in places:
        tx = make(3)
        Moments(target, action).run(tx.begin("q7"), moment)
        state = target.settled(tx)
        assert state in {TxState.UNDONE, TxState.ABSENT}, (moment, state)
        assert target.tree() == before, moment
        assert target.leavings() == [], moment
        seen.add(state)
        reset(target)
    assert seen == {TxState.UNDONE, TxState.ABSENT}


def confirms(target, action, few):
    before, make = ready(target)
    first = make(60)
    target.begin(first)
    wanted = target.tree()
    places = moments(target, first.confirm("q7"), f"confirm {action}", few)
    assert target.state(first) is TxState.CONFIRMED
    target.file("a")
    (target.etc / "d" / "n").unlink()
    (target.etc / "d").rmdir()
    for moment in places:
        tx = make(2)
        assert not target.begin(tx).failed
        Moments(target, action).run(tx.confirm("q7"), moment)
        state = target.settled(tx)
        assert state in {TxState.UNDONE, TxState.CONFIRMED}, (moment, state)
        assert target.tree() == (wanted if state is TxState.CONFIRMED else before), (moment, state)
        assert target.leavings() == [], (moment, state)
        reset(target)
        target.file("a")
        if state is TxState.CONFIRMED:
            (target.etc / "d" / "n").unlink()
            (target.etc / "d").rmdir()


def undos(target, action, few):
    before, make = ready(target)
    first = make(60)
    target.begin(first)
    places = moments(target, f"set -- agent\n{first.undo_file()}", f"undo {action}", few)
    assert target.state(first) is TxState.UNDONE
    for moment in places:
        tx = make(60)
        assert not target.begin(tx).failed
        Moments(target, action).run(f"set -- agent\n{tx.undo_file()}", moment)
        state = target.undo(tx)
        assert state is TxState.UNDONE, (moment, state)
        assert target.state(tx) is TxState.UNDONE
        assert (target.tree(), target.leavings()) == (before, []), moment
        reset(target)


def test_killed_before_any_command_of_begin_it_comes_back(target):
    begins(target, KILL, 8)


def test_killed_before_any_command_of_the_confirmation_it_is_one_or_the_other(target):
    confirms(target, KILL, 6)


def test_killed_before_any_command_of_the_undo_it_goes_on(target):
    undos(target, KILL, 8)


def test_a_disk_that_fills_before_any_command_of_begin_refuses_or_undoes(small):
    begins(small, FILL, 8)


def test_a_disk_that_fills_before_any_command_of_the_confirmation_is_no_lie(small):
    confirms(small, FILL, 4)


def test_a_disk_that_fills_before_any_command_of_the_undo_does_not_stop_it(small):
    undos(small, FILL, 6)


@pytest.mark.campaign
@pytest.mark.parametrize("action", [KILL, FILL], ids=["kill", "fill"])
@pytest.mark.parametrize("part", [begins, confirms, undos])
def test_every_single_moment(part, action, request, monkeypatch):
    monkeypatch.setenv("AGENT_MOMENTS", "all")
    part(request.getfixturevalue("target" if action == KILL else "small"), action, 0)
