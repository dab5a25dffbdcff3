"""The conversation: sudo in its moods, played by a small sh program that behaves as sudo -S does."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from agent.model.asset import Become, Host
from agent.model.errors import UnreachedError
from agent.model.session import Command
from agent.session import SshSessions
from agent.session.exchange import Plan

# Real sudo is met in the lab; here each of its answers is wanted at will, without root.
SUDO = r"""#!/bin/sh
echo "$*" >> "$0.argv"
mood=$(cat "$0.mood")
ask=yes prompt=
while :; do case $1 in
  -n) ask=no; shift;; -k|-S) shift;; -p) prompt=$2; shift 2;; *) break;; esac; done
case $mood in
  nopasswd) exec "$@";;
  tty) echo "sudo: sorry, you must have a tty to run sudo" >&2; exit 1;;
  lecture) printf 'We trust you have received the usual lecture.\n\n' >&2;;
esac
[ $ask = no ] && { echo "sudo: 需要密码" >&2; exit 1; }
for try in 1 2 3; do
  printf %s "$prompt" >&2
  line= char=x
  while char=$(dd bs=1 count=1 2>/dev/null; echo x); char=${char%x}; [ -n "$char" ]; do
    [ "$char" = "
" ] && break; line=$line$char; done
  [ -z "$char" ] && { echo "sudo: no password was provided" >&2; exit 1; }
  echo "$line" >> "$0.heard"
  [ "$line" = "s3cret \$(id)" ] && exec "$@"
  echo "对不起，请重试。" >&2
done
exit 1
"""


@pytest.fixture
def sudo(tmp_path, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    file = folder / "sudo"
    file.write_text(SUDO)
    file.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)  # as if the agent were not root: then it asks sudo

    def mood(word: str):
        (folder / "sudo.mood").write_text(word)
        return folder

    return mood


@pytest.fixture
def run(workspace, monkeypatch):
    def call(*, password: str = "", script: str = "cat; echo ran", deadline: float = 5):
        host = Host("me", "localhost", transport="local", become=Become(password=bool(password)))
        sessions: SshSessions = workspace(host)
        plan = sessions.plan(replace(host, become=Become()), privileged=True)
        if password:
            from agent.model.secret import Secret  # noqa: PLC0415 - here alone

            plan = Plan(sudo=True, password=Secret(password))
        monkeypatch.setattr(sessions, "plan", lambda _host, privileged: plan if privileged else Plan())
        with sessions.open(host, 5) as session:
            return session.run(Command(script, privileged=True, deadline=deadline))

    return call


PASSWORD = "s3cret $(id)"


def test_sudo_without_password(sudo, run):
    folder = sudo("nopasswd")
    result = run(script="echo ran")
    assert (result.rc, result.stdout, result.stderr) == (0, b"ran\n", b"")
    assert "-n sh -c" in (folder / "sudo.argv").read_text()


def test_sudo_that_wants_a_password_we_do_not_have(sudo, run):
    sudo("asks")
    with pytest.raises(UnreachedError, match="需要密码") as caught:
        run(script="echo ran")
    assert caught.value.reason == "sudo-denied"


@pytest.mark.parametrize("mood", ["asks", "lecture"])
def test_the_password_is_given_once_when_asked_and_never_as_argument(sudo, run, mood):
    folder = sudo(mood)
    result = run(password=PASSWORD, script="echo ran; exit 4")
    assert (result.rc, result.stdout) == (4, b"ran\n")
    assert (folder / "sudo.heard").read_text() == PASSWORD + "\n"
    assert "s3cret" not in (folder / "sudo.argv").read_text()
    assert b"ask-" not in result.stderr
    assert b"mark-" not in result.stderr


def test_a_sudo_that_does_not_ask_never_hears_the_password_nor_does_the_shell(sudo, run):
    folder = sudo("nopasswd")
    result = run(password=PASSWORD, script="echo ran; cat")
    assert (result.rc, result.stdout, result.stderr) == (0, b"ran\n", b"")
    assert not (folder / "sudo.heard").exists()


def test_a_wrong_password_is_tried_once_only(sudo, run):
    folder = sudo("asks")
    with pytest.raises(UnreachedError, match="refused the password") as caught:
        run(password="wrong")
    assert caught.value.reason == "sudo-denied"
    assert (folder / "sudo.heard").read_text() == "wrong\n"


@pytest.mark.parametrize("password", ["", PASSWORD])
def test_sudo_that_wants_a_terminal(sudo, run, password):
    sudo("tty")
    with pytest.raises(UnreachedError, match="you must have a tty") as caught:
        run(password=password)
    assert caught.value.reason == "sudo-denied"


def test_a_target_without_sudo(run, tmp_path, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sh", "env", "timeout", "true"):
        (folder / name).symlink_to(f"/bin/{name}")
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(UnreachedError) as caught:
        run(password=PASSWORD)
    assert caught.value.reason == "sudo-denied"
