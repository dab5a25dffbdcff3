"""Shell of the host's resource types on files in a folder, as dash, bash and busybox run it."""

import shutil
import subprocess

import pytest

from agent.change.library import module

SHELLS = [shell for shell in (["dash"], ["bash", "--posix"], ["busybox", "sh"]) if shutil.which(shell[0])]
HEAD = 'TX=t1; R=\n_has() { type "$1" >/dev/null 2>&1; }\n' + module("edit")


@pytest.fixture(params=SHELLS, ids=lambda shell: shell[0])
def sh(request, tmp_path):
    def run(script, *modules):
        text = "\n".join(
            [HEAD.replace("root:root", "$(id -u):$(id -g)"), *map(module, modules), f"cd {tmp_path}", script]
        )
        done = subprocess.run(
            [*request.param, "-s"], input=text, capture_output=True, text=True, timeout=20, check=False
        )
        assert done.returncode == 0, (done.returncode, done.stderr)
        return done.stdout

    run.tmp = tmp_path
    return run


def changed(sh, name, text, script, *modules):
    path = sh.tmp / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    sh(script.replace("FILE", str(path)), *modules)
    return path.read_text()


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("", "[J]\nS=p\n"),
        ("[J]\nS=n\n", "[J]\nS=p\n"),
        ("[J]\nS = n\n S=m\n[K]\nS=k\n", "[J]\nS=p\n#  S=m\n[K]\nS=k\n"),
        ("[K]\nS=k\n", "[K]\nS=k\n[J]\nS=p\n"),
        ("[J]\n#S=n\n[K]\nx=1\n", "[J]\n#S=n\nS=p\n[K]\nx=1\n"),
        ("[J]\nSx=n", "[J]\nSx=n\nS=p\n"),
    ],
)
def test_a_key_is_set_in_its_section(sh, text, after):
    assert changed(sh, "x.conf", text, "l_set FILE J = S p 644", "lines") == after


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("", "* hard core 0\n"),
        ("*\thard   core 100\n* hard cores 5\n", "* hard core 0\n* hard cores 5\n"),
        ("# * hard core 1\n*  hard core 1\n* hard core 2", "# * hard core 1\n* hard core 0\n# * hard core 2\n"),
    ],
)
def test_a_key_of_several_words_is_set(sh, text, after):
    assert changed(sh, "x.conf", text, "l_set FILE '' ' ' '* hard core' 0 644", "lines") == after


@pytest.mark.parametrize(("text", "after"), [("", "b\n"), ("a", "a\nb\n"), ("a\n\n", "a\n\nb\n")])
def test_lines_are_put_behind_what_is_there(sh, text, after):
    script = "l_append FILE 'b\n' 644"
    assert changed(sh, "x", text, script, "lines") == after


INETD = (
    "#telnet\tstream tcp nowait root /x x\n"
    "telnet\tstream\ttcp\tnowait\troot\t/usr/sbin/tcpd\tin.telnetd\namanda dgram udp wait r /a a\n"
)
XINETD = "service telnet\n{\n  disable = no\n  server = /x\n}\nservice other\n{\n  server = /y\n}\n"


def test_an_entry_of_a_super_server_is_commented_out_alone(sh):
    after = changed(sh, "inetd.conf", INETD, "svc_entry_off inetd FILE telnet tcp", "services")
    assert after == INETD.replace("\ntelnet", "\n# telnet")
    after = changed(sh, "telnet", XINETD, "svc_entry_off xinetd FILE telnet tcp", "services")
    assert after == XINETD.replace(
        "  disable = no\n  server = /x\n", "#   disable = no\n  server = /x\n\tdisable = yes\n"
    )


def test_entries_that_are_on_are_told(sh):
    (sh.tmp / "etc/xinetd.d").mkdir(parents=True)
    (sh.tmp / "etc/inetd.conf").write_text(INETD.replace("amanda", "10080"))
    (sh.tmp / "etc/xinetd.d/x").write_text(
        XINETD.replace("disable = no", "disable=yes").replace("server = /y", "port=7070")
    )
    (sh.tmp / "bin").mkdir()
    getent = sh.tmp / "bin/getent"
    getent.write_text("#!/bin/sh\n[ $2 = telnet/tcp ] && echo 'telnet 23/tcp'\n")
    getent.chmod(0o755)
    told = sh(f"R={sh.tmp}; PATH={sh.tmp}/bin:$PATH; svc_inetd", "services").splitlines()
    assert told == [
        "entry inetd /etc/inetd.conf telnet tcp 23",
        "entry inetd /etc/inetd.conf 10080 udp 10080",
        "entry xinetd /etc/xinetd.d/x other tcp 7070",
    ]


@pytest.mark.parametrize(
    ("path", "text", "after"),
    [
        ("/dev/shm", "x / ext4 rw 0 1", "x / ext4 rw 0 1\ntmpfs /dev/shm tmpfs defaults,nodev,noexec 0 0\n"),
        ("/tmp", "x / ext4 rw 0 1\n", "x / ext4 rw 0 1\n"),
        ("/tmp", "x /tmp t exec,rw,nodev 0 1\n", "# x /tmp t exec,rw,nodev 0 1\nx /tmp t rw,nodev,noexec 0 1\n"),
        ("/dev/shm", "#t /dev/shm t d 0 0\nt /dev/shm t dev,suid,exec 0 0\n",
         "#t /dev/shm t d 0 0\n# t /dev/shm t dev,suid,exec 0 0\nt /dev/shm t suid,nodev,noexec 0 0\n"),
    ],
)  # fmt: skip
def test_a_line_of_fstab_gets_the_options(sh, path, text, after):
    (sh.tmp / "fstab").write_text(text)
    sh(module("mounts").replace("/etc/fstab", str(sh.tmp / "fstab")) + f"\nmnt_tab {path} nodev,noexec")
    assert (sh.tmp / "fstab").read_text() == after


def test_a_folder_of_ours_is_anothers_when_it_holds_anothers_file(sh):
    folder = sh.tmp / "u.service.d"
    script = f"h_dir_print {folder}"
    assert sh(script, "h_dir") == "absent\n"
    folder.mkdir(mode=0o755)
    (folder / "secops-x.conf").write_text("")
    assert sh(script, "h_dir").startswith("folder 755 ")
    (folder / "hers.conf").write_text("")
    assert sh(script, "h_dir") == "shared\n"
