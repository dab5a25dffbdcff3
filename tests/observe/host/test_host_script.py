"""The script itself, run by real shells: against this machine and against a folder that plays a host."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from agent.model.control import Control, Expect, Read
from agent.model.frames import Section, compose, split
from agent.model.session import Result
from agent.model.severity import Severity
from agent.observe.host import facts, pack, parse, script, shell

NONCE = "0123456789abcdef"
HASHES = {
    "yescrypt": "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7",
    "sha512": "$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/",
    "sha256": "$5$saltsalt$iN1hB6qLuDqTUPqdjTMNrVX.n.jU0uG6jU1GdCwDRE5",
    "md5": "$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/",
    "bcrypt": "$2b$12$abcdefghijklmnopqrstuuMZyhYfsz0y9QW1p2YFf4QYrY1bY7P4W",
    "sm3": "$sm3$saltsalt$abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG",
    "des": "ab1yV4ttWaoJw",
    "none": "",
    "disabled": "*",
}
LOCKED = "!$6$lockedlocked$Rr0nQm.6fL0o8h3q1mFJ0a"
SHELLS = [
    pytest.param(words, id=words[0], marks=pytest.mark.skipif(not shutil.which(words[0]), reason=f"no {words[0]} here"))
    for words in (["dash"], ["bash", "--posix"], ["busybox", "sh"])
]


def control(identity: str, text: str) -> Control:
    return Control(identity, "t", "8.1.4.1-a", Severity.LOW, "linux", Read("sh", text=text), Expect("empty"))


def run(text: str, words=("sh",)) -> Result:
    done = subprocess.run([*words, "-s"], input=text.encode(), capture_output=True, timeout=120, check=False)
    return Result(done.returncode, done.stdout, done.stderr, 0.1)


@pytest.fixture
def root(tmp_path):
    """A folder that plays a host; nothing in it is a real secret."""
    etc = tmp_path / "etc"
    (etc / "pam.d").mkdir(parents=True)
    (etc / "security").mkdir()
    (etc / "os-release").write_text('ID="centos"\nVERSION_ID="7"\nPRETTY_NAME="CentOS Linux 7 (Core)"\n')
    (etc / "login.defs").write_text("# old\nPASS_MAX_DAYS\t30\n")
    (etc / "pam.d" / "system-auth").write_text("password requisite pam_pwquality.so minlen=18\n")
    (etc / "crontab").write_text(
        "MAILTO=root\nDB_PASSWORD=opensesame1\n"
        "1 1 * * * root mysqldump -popensesame2 --password=opensesame3 app\n"
        "2 2 * * * root curl -u joe:opensesame4 https://joe:opensesame5@backup.example/x?token=opensesame6\n"
    )
    names = [*HASHES, "locked"]
    (etc / "passwd").write_text(
        "".join(f"{name}:x:{1000 + at}:100:Private Name:/home/{name}:/bin/bash\n" for at, name in enumerate(names))
    )
    (etc / "group").write_text("users:x:100:\nwheel:x:10:md5\n")
    (etc / "shadow").write_text(
        "".join(f"{name}:{value}:20000:0:30:7:::\n" for name, value in {**HASHES, "locked": LOCKED}.items())
    )
    keys = tmp_path / "home" / "md5" / ".ssh"
    keys.mkdir(parents=True)
    (keys / "authorized_keys").write_text("# mine\nssh-ed25519 AAAA one\n\nssh-ed25519 BBBB two\n")
    return tmp_path


def at(root, sections) -> str:
    text = compose(sections, NONCE)
    assert "; R=\n" in text
    return text.replace("; R=\n", f"; R={root}\n")


@pytest.mark.parametrize("words", SHELLS)
def test_settings_and_accounts_of_a_folder_that_plays_a_host(root, words):
    result = run(at(root, [Section("conf", shell.CONF), Section("users", shell.USERS)]), words)
    found = parse("web-01", result.stdout, result.stderr, NONCE)
    system = found.subjects[0]
    assert (found.os_id, found.family, found.os_version) == ("centos", "rhel", "7")
    assert system.tables["login_defs"] == {"PASS_MAX_DAYS": "30"}
    assert system.tables["pwquality"] == {"minlen": "18"}
    assert {one.name: one.hash_kind for one in found.accounts} == {name: name for name in (*HASHES, "locked")}
    one = next(one for one in found.accounts if one.name == "md5")
    assert (one.keys, one.max_days, one.groups) == (2, 30, ("users", "wheel"))


@pytest.mark.parametrize("words", SHELLS)
def test_no_hash_name_or_password_leaves_the_host(root, words):
    result = run(at(root, shell.sections([], [])), words)
    left = result.stdout + result.stderr
    for value in (*HASHES.values(), LOCKED):
        if len(value) > 1:
            assert value.encode() not in left
            assert value.rpartition("$")[2].encode() not in left
    assert b"Private Name" not in left
    assert b"opensesame" not in left
    assert b"mysqldump" in left


@pytest.mark.parametrize("words", SHELLS)
def test_a_broken_control_spoils_no_other(words):
    controls = [
        control("A", "echo one; exit 1"),
        control("B", "if then 'unclosed"),
        control("C", "cat <<'E'\n$HOME `id`\nE"),
        control("D", "exit 7"),
        control("E", "echo two; cd /nowhere-at-all"),
    ]
    sections = [Section(f"control.{one.id}", one.read.text) for one in controls]
    result = run(compose(sections, NONCE), words)
    reads = parse("h", result.stdout, result.stderr, NONCE).subjects[0].reads
    assert (reads["A"].text, reads["A"].rc, reads["A"].error) == ("one", 1, "")
    assert reads["B"].error.startswith("exit code")
    assert (reads["C"].text, reads["C"].error) == ("$HOME `id`", "")
    assert reads["D"].error == "exit code 7"
    assert reads["E"].text == "two"


def test_this_machine_answers_whole():
    """No network, no root needed: what cannot be seen without privilege says why."""
    wanted = [shell.sections(["net.ipv4.ip_forward"], ["/etc/passwd", "/nowhere"])]
    sections = [section for part in wanted for section in part if section.key != "setuid"]
    result = run(compose(sections, NONCE))
    assert result.rc == 0
    found = facts("here", pack(result, NONCE, "SSH-2.0-x\x1b[31m"))
    system = found.subjects[0]
    assert found.kernel
    assert found.os_id
    assert any(one.uid == 0 for one in found.accounts)
    assert system.tables["file"] == {"/etc/passwd": "0644 root root"}
    assert system.tables["sysctl"]["net.ipv4.ip_forward"] in {"0", "1"}
    assert "stable_secret" not in " ".join(system.tables["sysctl"])
    assert "\x1b" not in found.banner


def test_what_did_not_answer_is_said():
    result = run(
        compose([Section("base", "echo uid=0; echo has=rpm; echo has=sshd"), Section("rpm", "exit 127")], NONCE)
    )
    found = parse("h", result.stdout, result.stderr, NONCE)
    assert found.unseen["rpm"] == "exit code 127"
    assert found.unseen["users"] == "the host did not answer this section"
    assert found.unseen["sshd"]
    assert found.subjects[0].missing["sysctl"] == "the host did not answer this section"
    assert found.lists_age_days is None
    assert found.reboot_required is None


def test_script_holds_each_control_once_and_refuses_a_nonce_that_is_shell():
    text = script([control("LIN-X-01", "echo hi")], NONCE)
    assert len(re.findall(r"^_b control\.LIN-X-01$", text, re.MULTILINE)) == 1
    with pytest.raises(ValueError, match="nonce"):
        script([], "short; rm")
    with pytest.raises(ValueError, match="twice"):
        script([control("A", "x"), control("A", "y")], NONCE)


def test_controls_name_the_files_and_kernel_settings_that_are_read():
    reads = [Read("table", "file", ("/etc/a b",)), Read("table", "sysctl", ("net.ipv4.conf.eth0.rp_filter",))]
    controls = [
        Control(f"X{at}", "t", "c", Severity.LOW, "linux", read, Expect("empty")) for at, read in enumerate(reads)
    ]
    text = script(controls, NONCE)
    assert "/etc/a b" in text
    assert "/proc/sys/net/ipv4/conf/eth0/rp_filter" in text


def test_sealed_streams_stay_with_their_sections():
    result = run(compose([Section("a", "echo out; echo err >&2; exit 3"), Section("b", "echo x")], NONCE))
    answers = split(result.stdout, result.stderr, NONCE)
    assert (answers["a"].rc, answers["a"].text.strip(), answers["a"].errors.strip()) == (3, "out", "err")
    assert answers["b"].errors.strip() == ""
