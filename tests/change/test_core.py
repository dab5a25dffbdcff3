"""Transactions on a target in a folder, under every shell: both ways out, the lock, timers, remains, what is refused."""

import os
import re
import signal
import subprocess
import threading
import time

import pytest
from faketarget import SHELLS, FakeTarget, but, put

from agent.change import transaction
from agent.change.transaction import Transaction
from agent.model.change import Act, Handle, Step, TxState
from agent.model.frames import Answer, split

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture(params=SHELLS)
def target(request, tmp_path):
    made = FakeTarget(tmp_path / "t", request.param)
    yield made
    made.end()


@pytest.fixture
def one(tmp_path):
    made = FakeTarget(tmp_path / "t")
    yield made
    made.end()


def test_confirmed_it_stays_undone_it_is_as_before_and_nothing_is_left(target):
    paths = [target.file("a"), target.file("b c'd", "", 0o600), target.etc / "x" / "y" / "new"]
    before = target.tree()
    tx = target.transaction(*map(put, paths))
    assert target.begin(tx) == transaction.Begun(TxState.ARMED, armed_by="nohup")
    wanted = target.tree()
    assert wanted["x/y/new"][1] == b"new\n"
    assert target.undo(tx) is TxState.UNDONE
    assert target.tree() == before, "also the folders that were made for a new file"
    tx = target.transaction(*map(put, paths))
    assert not target.begin(tx).failed
    assert target.confirm(tx) == "confirmed"
    assert (target.undo(tx), target.state(tx)) == (TxState.CONFIRMED, TxState.CONFIRMED)
    # the claim is for good: asked again it says the same
    assert target.ask(tx.confirm("q"), "q")["confirm"].text.strip() == "confirmed"
    assert target.tree() == wanted
    assert target.leavings() == []


def test_a_timer_undoes_what_nobody_confirms(target):
    before = (target.file("a"), target.tree())[1]
    tx = target.transaction(put(target.etc / "a"), put(target.etc / "b"), ttl=1)
    begun = time.monotonic()
    assert not target.begin(tx).failed
    assert target.settled(tx) is TxState.UNDONE
    assert time.monotonic() - begun < 8
    assert (target.tree(), target.leavings()) == (before, [])
    assert target.ask(tx.confirm("q"), "q")["confirm"] == Answer(1, "undone\n", "")


def test_a_confirmed_one_is_put_back_days_later_but_not_what_changed_since(target):
    paths = [target.file("a"), target.file("b"), target.etc / "new" / "folder" / "c"]
    before = target.tree()
    tx = target.transaction(*map(put, paths))
    target.begin(tx)
    target.confirm(tx)
    wanted = target.tree()
    back = target.transaction(transaction.reverting(tx, [1, 2, 3], "files"))
    target.begin(back)
    assert target.undo(back) is TxState.UNDONE
    assert target.tree() == wanted
    paths[1].write_text("hers\n")
    lines = [line.split()[:2] for line in target.ask(tx.compare("q"), "q")["compare"].text.splitlines()]
    assert lines == [["1", "kept"], ["2", "moved"], ["3", "kept"]]
    back = target.transaction(transaction.reverting(tx, [1, 3], "files"))
    assert not target.begin(back).failed
    assert target.confirm(back) == "confirmed"
    assert target.tree() == before | {"b": (before["b"][0], b"hers\n")}
    assert target.leavings() == []


@pytest.mark.parametrize(
    "change",
    [
        {"write": "false"},
        {"write": "echo 'half"},  # a syntax error is a failure like any other
        {"write": "kill -9 $$"},
        {"write": ": >/nonexistent/x"},  # ends a POSIX shell
        {"validate": "exit 3"},
        {"validate": "if"},
        {"acts": (Act("nothing_of_that_name"),)},
    ],
)
def test_a_step_that_fails_is_undone_by_the_target_itself(target, change):
    path = target.file("a")
    before = target.tree()
    tx = target.transaction(put(path), but(put(target.etc / "b"), **change), ttl=2)
    done = target.run(tx.begin("q7"))
    assert target.settled(tx) is TxState.UNDONE
    assert (target.tree(), target.leavings()) == (before, [])
    if "$$" not in change.get("write", ""):
        begun = transaction.begun(split(done.stdout, done.stderr, "q7"))
        assert begun.failed
        assert begun.state is TxState.UNDONE, "by itself, at once"


def test_exactly_one_of_two_holds_the_target(target):
    path = target.file("a")
    txs = [target.transaction(put(path, f"by {number}")) for number in range(4)]
    answers = {}

    def begin(tx):
        answers[tx.id] = target.begin(tx)

    threads = [threading.Thread(target=begin, args=(tx,)) for tx in txs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    won = [tx for tx in txs if not answers[tx.id].failed]
    assert len(won) == 1, answers
    assert all(answers[tx.id].state is TxState.ABSENT for tx in txs if tx not in won)
    assert path.read_text() == f"by {txs.index(won[0])}\n"
    assert [answers[tx.id] for tx in txs if tx not in won and not answers[tx.id].busy] == []
    assert target.undo(won[0]) is TxState.UNDONE
    assert target.leavings() == []


def test_one_that_is_armed_holds_it_and_one_that_died_does_not(one):
    path = one.file("a")
    first, second = one.transaction(put(path)), one.transaction(put(path, "two"))
    one.begin(first)
    assert one.begin(second).busy == first.id
    os.unlink(f"{one.root}/lock")  # even where the lock itself was lost
    assert one.begin(second).busy == first.id
    assert not os.path.lexists(f"{one.root}/lock")
    one.undo(first)
    assert not one.begin(second).failed
    one.undo(second)
    assert one.leavings() == []


def test_one_that_was_killed_while_it_opened_holds_nothing_up(one):
    path = one.file("a")
    tx = one.transaction(put(path))
    script = tx.begin("q7").replace("h_file_save() {", "h_file_save() { touch $TXROOT/slow; sleep 30")
    child = subprocess.Popen([one.bin / "sh", "-s"], stdin=subprocess.PIPE, start_new_session=True)
    child.stdin.write(one.script(script).encode())
    child.stdin.close()
    for _ in range(100):
        if os.path.exists(f"{one.root}/slow"):
            break
        time.sleep(0.05)
    other = one.transaction(put(path, "two"))
    assert one.begin(other).busy == tx.id, "it lives, however long it takes"
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    assert not one.begin(other).failed
    assert one.state(tx) is TxState.ABSENT
    one.undo(other)
    assert one.leavings() == []


def test_sent_twice_it_writes_once(one):
    path = one.file("a", "0\n")
    add = Step(
        "t", "files", "a", "", "", f"{{ cat {path}; echo 1; }} | e_put {path}", handles=(Handle("file", (str(path),)),)
    )
    tx = one.transaction(add)
    one.begin(tx)
    again = one.begin(tx)
    assert again.failed == "open"
    assert path.read_text() == "0\n1\n"
    assert one.state(tx) is TxState.ARMED
    one.undo(tx)
    assert path.read_text() == "0\n"


def test_a_timer_that_comes_before_the_token_ends_it(one):
    path = one.file("a")
    tx = one.transaction(put(path), ttl=1)
    slow = one.script(tx.begin("q7")).replace('  mv "$D/opening" "$D/token"', '  sleep 3; mv "$D/opening" "$D/token"')
    assert slow.count("sleep 3; mv") == 2  # in the script, and in the undo that it writes
    answers = one.ask(slow, "q7")
    assert answers["arm"].rc == 74
    assert answers["step.1"].rc == 9
    assert path.read_text() == "old\n"
    assert one.state(tx) is TxState.ABSENT
    assert one.leavings() == []


def test_a_writer_that_still_writes_when_the_timer_comes_is_ended_with_all_its_children(target):
    path = target.file("a")
    before = target.tree()
    loop = f"(while :; do echo child >>{path}; sleep 0.05 2>/dev/null || sleep 1; done) & timeout 20 sh -c 'while :; do echo x >>{path}; sleep 1; done'"
    tx = target.transaction(but(put(path), write=loop), ttl=2)
    done = target.run(tx.begin("q7"), 15)
    assert done.returncode == -signal.SIGKILL
    assert target.settled(tx) is TxState.UNDONE
    time.sleep(1.5)
    assert (target.tree(), target.leavings()) == (before, [])


def test_what_cannot_be_put_back_is_broken_told_held_and_tried_again(one):
    path = one.file("sub/a")
    before = one.tree()
    tx = one.transaction(put(path), ttl=60)
    one.begin(tx)
    journal = f"{one.root}/tx/{tx.id}"
    os.rename(f"{journal}/1.cap", f"{journal}/aside")
    os.rename(f"{journal}/1.stage", f"{journal}/aside2")
    (one.tmp / "var/tx" / tx.id / "1.cap").write_text("damaged")
    answer = one.ask(tx.undo("q7"), "q7")["undo"]
    assert answer.text.split()[-1] == "broken"
    assert f"1 differs file {path}" in answer.text
    assert one.state(tx) is TxState.BROKEN
    assert one.begin(one.transaction(put(path))).busy == tx.id
    assert one.leavings(0) != [], "its boot units and its lock stay"
    os.rename(f"{journal}/aside", f"{journal}/1.cap")
    assert one.undo(tx) is TxState.UNDONE
    assert (one.tree(), one.leavings()) == (before, [])


def test_acts_that_fail_in_an_undo_do_not_hide_that_all_is_put_back(one):
    path = one.file("a")
    tx = one.transaction(but(put(path), acts=(Act("daemon_reload"),)))
    one.begin(tx)
    (one.tmp / "systemd").mkdir()
    one.program("systemctl", "exit 1")
    answer = one.ask(tx.undo("q7"), "q7")["undo"]
    assert "applying it failed" in answer.text
    assert answer.text.split()[-1] == "undone"
    assert path.read_text() == "old\n"


@ROOT
@pytest.mark.parametrize("flag", ["i", "a"])
@pytest.mark.parametrize("what", ["file", "folder"])
def test_an_immutable_file_or_folder_is_refused_before_anything_is_armed(target, flag, what):
    path = target.file("sub/a")
    held = path if what == "file" else path.parent
    if subprocess.run(["chattr", f"+{flag}", held], capture_output=True, check=False).returncode:
        pytest.skip("this file system knows no attributes")
    try:
        begun = target.begin(target.transaction(put(target.etc / "b"), put(path)))
    finally:
        subprocess.run(["chattr", f"-{flag}", held], check=True)
    assert begun.failed == "capture"
    assert f"{held} cannot be changed: immutable" in begun.why
    assert (begun.state, begun.armed_by) == (TxState.ABSENT, "")
    assert target.leavings() == []


@ROOT
def test_a_file_that_is_a_mount_point_is_refused(one):
    path = one.file("a")
    subprocess.run(["mount", "--bind", one.file("b"), path], check=True)
    try:
        begun = one.begin(one.transaction(put(path)))
    finally:
        subprocess.run(["umount", path], check=True)
    assert "is a mount point" in begun.why
    assert begun.state is TxState.ABSENT


def test_folders_devices_and_links_under_a_handle_are_refused_or_kept(target):
    os.mkdir(target.etc / "d")
    os.mkfifo(target.etc / "p")
    for name in ("d", "p"):
        begun = target.begin(target.transaction(put(target.etc / name)))
        assert (begun.failed, begun.state) == ("capture", TxState.ABSENT)
    path = target.file("a")
    (target.etc / "l").symlink_to("a")
    before = target.tree()
    link = Step("t", "files", "l", "", "", f"rm {target.etc}/l; mkdir {target.etc}/l; ln -sf {target.etc}/l {path}",
                handles=(Handle("file", (str(target.etc / "l"),)), Handle("file", (str(path),))))  # fmt: skip
    tx = target.transaction(link)
    assert not target.begin(tx).failed
    assert target.undo(tx) is TxState.UNDONE
    assert {name: what for name, what in target.tree().items() if ".secops-" not in name} == before


@ROOT
def test_a_journal_on_another_file_system_stages_beside_the_file_and_takes_it_away(target):
    path = target.file("a")
    before = target.tree()
    os.mkdir(target.root)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", target.root], check=True)
    try:
        for last in (target.confirm, target.undo):
            tx = target.transaction(put(path), put(target.etc / "n"))
            assert not target.begin(tx).failed
            assert (target.etc / f".a.{tx.id}").read_text() == "old\n"
            last(tx)
            assert target.leavings() == []
            assert [name for name in target.tree() if name.startswith(".")] == []
            path.write_text("old\n")
            (target.etc / "n").unlink(missing_ok=True)
        tx = target.transaction(put(path), ttl=1)
        target.begin(tx)
        assert target.settled(tx) is TxState.UNDONE
        assert target.tree() == before
    finally:
        subprocess.run(["umount", "-l", target.root], check=True)


def test_what_a_killed_writer_left_beside_a_file_goes_with_the_undo(target):
    path = target.file("a")
    before = target.tree()
    tx = target.transaction(but(put(path), write=f"true >{path}; (echo part; kill -9 $$) | e_put {path}"), ttl=1)
    target.run(tx.begin("q7"))
    assert target.settled(tx) is TxState.UNDONE
    assert target.tree() == before


def test_of_what_cannot_be_undone_the_journal_says_whether_it_ended(target):
    path = target.file("a")
    step = but(put(path), irreversible="a package", handles=())
    tx = target.transaction(step)
    begun = target.begin(tx)
    assert (begun.failed, begun.state) == ("", TxState.CONFIRMED)
    dead = target.transaction(but(step, write="kill -9 $$"))
    target.run(dead.begin("q7"))
    assert target.state(dead) is TxState.UNFINISHED
    failed = target.transaction(but(step, write="exit 4"))
    assert target.begin(failed).state is TxState.UNFINISHED, "a dead one holds nothing up"
    assert [line for line in target.leavings(0) if not line.endswith("writer")] == []


# --- timers


AT = r"""
D={tmp}/jobs; mkdir -p $D
case $1 in
  -l) for j in $D/*; do [ -e "$j" ] && printf '%s\tMon Nov 23 02:00:00 2026 a root\n' "${{j##*/}}"; done ;;
  now) [ -e $D/7 ] && exit 1; cat >$D/7; echo 'warning: commands will be executed using /bin/sh' >&2; echo 'job 7 at Mon Nov 23 02:00:00 2026' >&2
       echo "$*" >{tmp}/asked; (sleep {sleep}; [ -e $D/7 ] && mv $D/7 $D/.run && exec {sh} $D/.run) </dev/null >/dev/null 2>&1 & ;;
esac
"""


def with_at(target, sleep):
    target.program("at", AT.format(tmp=target.tmp, sleep=sleep, sh=target.bin / "sh"))
    target.program("atrm", f"rm {target.tmp}/jobs/$1")
    target.program("pgrep", "exit 0")
    return target


def test_at_undoes_at_the_second_though_its_clock_has_minutes(target):
    path = with_at(target, 0).file("a")
    tx = target.transaction(put(path), ttl=3, arm=("systemd-run", "at"))
    begun = time.monotonic()
    assert target.begin(tx).armed_by == "at"
    assert (target.tmp / "asked").read_text() == "now\n"
    time.sleep(1.5)
    assert target.state(tx) is TxState.ARMED
    assert target.settled(tx) is TxState.UNDONE
    assert time.monotonic() - begun < 7
    assert path.read_text() == "old\n"
    assert target.leavings() == []


def test_a_job_of_at_is_taken_away_when_it_is_confirmed(target):
    path = with_at(target, 30).file("a")
    tx = target.transaction(put(path), ttl=300, arm=("at",))
    assert target.begin(tx).armed_by == "at"
    assert (target.tmp / "asked").read_text() == "now + 5 minutes\n"
    assert target.confirm(tx) == "confirmed"
    assert list((target.tmp / "jobs").iterdir()) == []
    assert target.leavings() == []


def with_systemd(target, *, run=0):
    (target.tmp / "systemd").mkdir()
    target.program("systemd-run", f'echo "$@" >{target.tmp}/ran; exit {run}')
    target.program("systemctl", f'echo "$@" >>{target.tmp}/told')
    return target


def test_systemd_is_asked_for_a_timer_that_repeats_and_the_boot_units_come_and_go(target):
    path = with_systemd(target).file("a")
    tx = target.transaction(put(path), ttl=77, arm=())
    assert target.begin(tx).armed_by == "systemd-run"
    ran = (target.tmp / "ran").read_text()
    assert f"--unit=secops-undo-{tx.id} --on-active=77 --on-unit-inactive=30" in ran
    wants = target.tmp / "boot" / "multi-user.target.wants"
    assert sorted(os.listdir(wants)) == ["secops-undo-early.service", "secops-undo-late.service"]
    assert "Before=sysinit.target" in (wants / "secops-undo-early.service").read_text()
    assert target.confirm(tx) == "confirmed"
    assert f"stop secops-undo-{tx.id}.timer" in (target.tmp / "told").read_text()
    assert target.leavings() == []


def test_the_next_method_is_tried_and_without_any_nothing_is_changed(target):
    path = with_systemd(target, run=1).file("a")
    tx = target.transaction(put(path), arm=())
    assert target.begin(tx).armed_by == "nohup"
    target.undo(tx)
    begun = target.begin(target.transaction(put(path), arm=("systemd-run", "no-such-way")))
    assert (begun.failed, begun.why, begun.state) == ("arm", "no timer can be had here", TxState.ABSENT)
    assert (path.read_text(), target.leavings()) == ("old\n", [])


def test_a_sleeper_that_logind_would_end_with_the_login_is_no_timer(one):
    path = with_systemd(one, run=1).file("a")
    (one.tmp / "logind.conf").write_text("[Login]\n#KillUserProcesses=no\nKillUserProcesses = yes\n")
    begun = one.begin(one.transaction(put(path), arm=()))
    assert (begun.failed, begun.why, begun.state) == ("arm", "no timer can be had here", TxState.ABSENT)
    (one.tmp / "logind.conf").write_text("[Login]\n#KillUserProcesses=yes\n")
    assert one.begin(one.transaction(put(path), arm=())).armed_by == "nohup"


def test_after_a_reboot_the_boot_script_undoes_early_and_late(target):
    paths = [with_systemd(target).file("a"), target.etc / "b"]
    before = target.tree()
    tx = target.transaction(*map(put, paths))
    target.begin(tx)
    for word in ("early", "late"):
        assert target.tree() != before or word == "late"
        subprocess.run([target.bin / "sh", f"{target.root}/boot.sh", word], check=True, timeout=20)
        assert target.tree() == before, word
    assert target.state(tx) is TxState.UNDONE
    assert target.leavings() == []


def test_without_systemd_cron_undoes_after_a_reboot(one):
    path = one.file("a")
    tx = one.transaction(put(path))
    one.begin(tx)
    when, who, *command = (one.tmp / "cron" / "secops-undo").read_text().split()
    assert (when, who) == ("@reboot", "root")
    subprocess.run(command, check=True, timeout=20)
    assert path.read_text() == "old\n"
    assert one.leavings() == []


def test_a_second_undo_waits_for_the_first_and_takes_over_from_a_dead_one(one):
    path = one.file("a")
    slow = but(put(path), handles=(Handle("file", (str(path),)),), acts=(Act("slow"),))
    tx = Transaction("tslow", (slow,), ttl=60, arm=("nohup",), txroot=one.root)
    script = tx.begin("q7").replace("_me=$$", "_me=$$; act_slow() { [ ! -e $TXROOT/hang ] || sleep 20; }")
    one.ask(script, "q7")
    (one.tmp / "var" / "hang").touch()
    first = subprocess.Popen(
        [one.bin / "sh", f"{one.root}/tx/tslow/undo.sh", "agent"], start_new_session=True, stdout=-3
    )
    time.sleep(1)
    assert len(list((one.tmp / "var/tx/tslow").glob("busy.*"))) == 1
    (one.tmp / "var" / "hang").unlink()
    second = subprocess.Popen(
        [one.bin / "sh", f"{one.root}/tx/tslow/undo.sh", "agent"], stdout=subprocess.PIPE, text=True
    )
    time.sleep(1.5)
    assert second.poll() is None, "it waits"
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    assert second.communicate(timeout=10)[0].split()[-1] == "undone"
    assert one.leavings() == []


def test_a_confirmation_that_was_killed_after_its_claim_is_tidied_up_by_whoever_asks(one):
    path = one.file("a")
    tx = one.transaction(put(path))
    one.begin(tx)
    os.rename(f"{one.root}/tx/{tx.id}/token", f"{one.root}/tx/{tx.id}/claimed.agent")
    assert one.leavings(0) != []
    assert one.state(tx) is TxState.CONFIRMED
    assert (path.read_text(), one.leavings()) == ("new\n", [])


def test_the_whole_undo_file_and_every_script_parse_under_every_shell(target):
    tx = target.transaction(put(target.etc / "a"), but(put(target.etc / "b"), irreversible=""))
    for script in (tx.undo_file(), tx.begin("q"), tx.look("q", []), tx.confirm("q"), tx.undo("q"), tx.compare("q")):
        done = subprocess.run([target.bin / "sh", "-n"], input=script.encode(), capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b"")


def test_a_script_that_arrives_in_part_never_writes_unarmed(one):
    path = one.file("a")
    whole = one.script(one.transaction(put(path), ttl=1).begin("q7"))
    marks = [match.start() for match in re.finditer("_b ", whole)]
    for number, cut in enumerate([*marks, *(mark + 40 for mark in marks), len(whole) // 2, len(whole) * 3 // 4]):
        tx = one.transaction(put(path), ttl=1)
        text = one.script(tx.begin("q7"))[:cut]
        one.run(text)
        state = one.settled(tx)
        assert state in {TxState.UNDONE, TxState.ABSENT}, (number, state)
        assert path.read_text() == "old\n"
    assert one.leavings() == []
