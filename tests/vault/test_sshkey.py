"""What stands in authorized_keys after a change, by a real shell on a home of our own."""

import os
import pwd
import subprocess

import pytest

from agent.vault.drivers import sshkey

USER = pwd.getpwuid(os.geteuid()).pw_name
OTHER = "ssh-rsa AAAAB3other somebody@else"


@pytest.fixture
def home(tmp_path):
    (tmp_path / "bin").mkdir()
    entry = f"{USER}:x:{os.geteuid()}:{os.getegid()}::{tmp_path}/home:/bin/sh"
    (tmp_path / "home").mkdir()
    tool = tmp_path / "bin" / "getent"
    tool.write_text(f"#!/bin/sh\n[ \"$2\" = {USER} ] && echo '{entry}'\n")
    tool.chmod(0o755)
    # as an ordinary user there is nobody to become
    tool = tmp_path / "bin" / "chroot"
    tool.write_text('#!/bin/sh\nshift 2; exec "$@"\n')
    tool.chmod(0o755)
    return tmp_path


def told(home, script):
    return subprocess.run(
        ["sh", "-s"], input=script, text=True, capture_output=True, check=False,
        env={"PATH": f"{home}/bin:/usr/bin:/bin"},
    )  # fmt: skip


def keys(home):
    return (home / "home" / ".ssh" / "authorized_keys").read_text()


def pair():
    return sshkey.public(sshkey.make())


def test_the_first_one_makes_the_file(home):
    new = pair()
    done = told(home, sshkey.add(USER, new))
    assert (done.returncode, done.stderr) == (0, "")
    assert keys(home) == f"{new} secops-agent\n"
    assert (home / "home" / ".ssh").stat().st_mode & 0o777 == 0o700
    assert (home / "home" / ".ssh" / "authorized_keys").stat().st_mode & 0o777 == 0o600


def test_the_new_one_stands_beside_the_old_with_its_options_and_once(home):
    old, new = pair(), pair()
    (home / "home" / ".ssh").mkdir()
    file = home / "home" / ".ssh" / "authorized_keys"
    file.write_text(f'# ours\nfrom="10.0.0.0/8",no-pty {old} job\n{OTHER}')  # no newline at its end
    file.chmod(0o640)
    for _ in range(2):
        assert told(home, sshkey.add(USER, new, old)).returncode == 0
    assert keys(home).splitlines() == [
        "# ours",
        f'from="10.0.0.0/8",no-pty {old} job',
        OTHER,
        f'from="10.0.0.0/8",no-pty {new} job',
    ]
    assert file.stat().st_mode & 0o777 == 0o640
    assert told(home, sshkey.holds(USER, new)).stdout == "yes\n"
    done = told(home, sshkey.remove(USER, [old, pair()]))
    assert done.stdout == "keys 2\n"
    assert keys(home).splitlines() == ["# ours", OTHER, f'from="10.0.0.0/8",no-pty {new} job']
    assert told(home, sshkey.holds(USER, old)).stdout == "no\n"


def test_the_last_one_can_go(home):
    new = pair()
    told(home, sshkey.add(USER, new))
    assert told(home, sshkey.remove(USER, [new])).stdout == "keys 0\n"
    assert keys(home) == ""


def test_a_link_is_not_followed(home):
    (home / "home" / ".ssh").mkdir()
    (home / "elsewhere").write_text("precious\n")
    (home / "home" / ".ssh" / "authorized_keys").symlink_to(home / "elsewhere")
    done = told(home, sshkey.add(USER, pair()))
    assert done.returncode == 4
    assert "is a link" in done.stderr
    assert (home / "elsewhere").read_text() == "precious\n"


def test_nobody_is_refused(home):
    done = told(home, sshkey.add("nobody-here", pair()))
    assert done.returncode == 4
    assert "no such user" in done.stderr
