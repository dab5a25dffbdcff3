"""edit.sh and the handles of files: what is written, kept, refused, and put back, under every shell."""

import os
import subprocess

import pytest
from faketarget import ME, SHELLS, FakeTarget, put

from agent.change.library import module, modules, ranked
from agent.model.change import Handle, Step, TxState


@pytest.fixture(params=SHELLS)
def target(request, tmp_path):
    made = FakeTarget(tmp_path / "t", request.param)
    yield made
    made.end()


def edit(target, script, code=0):
    """Run one with the library; its standard error."""
    done = target.run(f"TX=t1; TXROOT={target.root}; PATH={target.path}\n{modules(())}\n({script}\n)\n")
    assert done.returncode == code, done.stderr
    return done.stderr.decode()


@pytest.mark.parametrize(
    ("text", "key", "sep", "value", "wanted"),
    [
        ("", "A", " ", "1", "A 1\n"),
        ("#A 0\nA 2\n  a 3\nB 4", "A", " ", "1", "#A 0\nA 1\n#   a 3\nB 4\n"),
        ("A = 2\n; A = 3\n", "A", " = ", "a/b&\\1 $x `y`", "A = a/b&\\1 $x `y`\n; A = 3\n"),
        ("AB=1\n", "A", "=", "1", "AB=1\nA=1\n"),
        ("A\t1\nx\n\n\n", "A", "\\t", "7", "A\t7\nx\n\n\n"),
        ("x", "A", " ", "1", "x\nA 1\n"),
    ],
)
def test_one_line_of_a_key_gets_the_value_and_the_others_are_commented_out(target, text, key, sep, value, wanted):
    path = target.file("conf", text)
    target.file("value", value)
    edit(target, f"e_key {path} '{sep}' {key} \"$(cat {target.etc}/value)\"")
    assert path.read_text() == wanted
    assert path.stat().st_mode & 0o777 == 0o640
    edit(target, f"e_key {path} '{sep}' {key} \"$(cat {target.etc}/value)\"")
    assert path.read_text() == wanted, "the second time changes nothing"


def test_a_key_is_commented_out_and_the_last_line_stays_as_it_is(target):
    path = target.file("conf", "A 1\n a=2\nAB 3\nC")
    edit(target, f"e_drop {path} A")
    assert path.read_text() == "# A 1\n#  a=2\nAB 3\nC\n"
    edit(target, f"e_drop {target.etc}/none A")
    assert not (target.etc / "none").exists()


def test_an_awk_that_dies_empties_nothing(target):
    path = target.file("conf", "A 1\n")
    target.program("awk", "echo half; exit 137")
    edit(target, f"e_key {path} ' ' A 2", 1)
    edit(target, f"e_drop {path} A", 1)
    assert path.read_text() == "A 1\n"


def test_content_is_renamed_into_place_through_links_and_into_new_folders(target):
    path = target.file("real", "old\n", 0o604)
    (target.etc / "link").symlink_to("real")
    inode = path.stat().st_ino
    edit(target, f"echo new | e_put {target.etc}/link")
    assert (target.etc / "link").is_symlink()
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new\n", 0o604)
    assert path.stat().st_ino != inode
    edit(target, f"umask 077; echo x | e_put {target.etc}/a/b/c 600 {ME}")
    assert (target.etc / "a/b/c").stat().st_mode & 0o777 == 0o600
    assert (target.etc / "a/b").stat().st_mode & 0o777 == 0o755, "a folder that others must enter"
    edit(target, f"echo x | e_put {target.etc}/a", 1)
    assert sorted(os.listdir(target.etc)) == ["a", "link", "real"], "nothing half-made stays"


def test_mode_owner_and_bytes_come_back_as_they_were(target):
    path = target.file("a", "\x00\xff bytes\n", 0o4750)
    (target.etc / "l").symlink_to("/nowhere at all")
    before = target.tree()
    script = f"echo x >{path}; chmod 600 {path}; rm {target.etc}/l; echo file >{target.etc}/l; mkdir {target.etc}/d; echo y >{target.etc}/d/n"
    handles = tuple(Handle("file", (str(target.etc / name),)) for name in ("a", "l", "d/n"))
    tx = target.transaction(Step("t", "files", "a", "", "", script, handles=handles))
    assert not target.begin(tx).failed
    assert target.undo(tx) is TxState.UNDONE
    assert target.tree() == before


def test_a_folder_that_was_removed_comes_back_with_its_file(target):
    path = target.file("d/a")
    tx = target.transaction(
        Step("t", "files", "a", "", "", f"rm -r {path.parent}", handles=(Handle("file", (str(path),)),))
    )
    assert not target.begin(tx).failed
    assert target.undo(tx) is TxState.UNDONE
    assert path.read_text() == "old\n"


def test_mode_and_owner_alone_come_back_and_the_content_is_left(target):
    path = target.file("log", "1\n", 0o644)
    tx = target.transaction(
        Step("t", "files", "a", "", "", f"chmod 600 {path}", handles=(Handle("meta", (str(path),)),))
    )
    target.begin(tx)
    path.write_text("1\n2\n")
    assert target.undo(tx) is TxState.UNDONE
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("1\n2\n", 0o644)
    link = target.etc / "l"
    link.symlink_to(path)
    begun = target.begin(
        target.transaction(Step("t", "files", "a", "", "", ":", handles=(Handle("meta", (str(link),)),)))
    )
    assert begun.failed == "capture", "its target would have got the link's own mode"


def test_enabling_and_masking_come_back_with_their_folders(target):
    boot = target.tmp / "boot"
    (boot / "multi-user.target.wants").mkdir()
    (boot / "multi-user.target.wants" / "sshd.service").symlink_to("/lib/systemd/system/ssh.service")
    (boot / "other.service").symlink_to("/lib/x")

    def seen():
        return {str(path.relative_to(boot)): os.readlink(path) if path.is_symlink() else "" for path in boot.rglob("*")}

    before = seen()
    change = f"cd {boot}; rm -r multi-user.target.wants; mkdir new.target.wants; ln -s /lib/systemd/system/ssh.service new.target.wants/alias; ln -s /dev/null ssh.service"
    tx = target.transaction(Step("t", "services", "ssh", "", "", change, handles=(Handle("links", ("ssh",)),)))
    assert not target.begin(tx).failed
    assert target.undo(tx) is TxState.UNDONE
    found = seen()
    if target.shell == "busybox":  # its find knows no -lname: an alias whose own name tells nothing is not seen
        found.pop("new.target.wants/alias", None), found.pop("new.target.wants", None)
    assert found == before


def test_a_file_that_changes_while_it_is_read_is_not_captured(target):
    path = target.file("a")
    slow = 'read -r _x <"$1.was"'
    tx = target.transaction(put(path))
    answers = target.ask(tx.begin("q7").replace(slow, f'echo more >>{path}; cp -a {path} "$1"; {slow}'), "q7")
    assert answers["capture"].rc == 73
    assert "changes while it is read" in answers["capture"].errors


def test_what_lies_on_the_disk_is_put_back_before_what_runs():
    kinds = ["unit", "nfttable", "sysctl", "links", "file", "meta", "file"]
    order = [handle.kind for handle in ranked(Handle(kind, (str(turn),)) for turn, kind in enumerate(kinds))]
    assert order == ["file", "file", "meta", "links", "sysctl", "nfttable", "unit"]


@pytest.mark.parametrize("name", ["core", "arm", "acts", "edit", "h_file", "h_meta", "h_links", "h_unit", "h_sysctl"])
@pytest.mark.parametrize("shell", [["dash"], ["bash", "--posix"], ["busybox", "sh"]])
def test_every_module_parses(name, shell):
    done = subprocess.run([*shell, "-n"], input=module(name).encode(), capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("name", ["core", "arm", "acts", "edit", "h_file", "h_meta", "h_links", "h_sysctl"])
def test_no_special_builtin_makes_a_file(name):
    """`: >FILE` ends a POSIX shell when the disk is full, and with it whatever would tidy up."""
    for line in module(name).splitlines():
        code = line.split(" #")[0] if not line.startswith("#") else ""
        assert not any(
            part.strip().startswith((": >", ": 2>")) for part in code.replace("&&", ";").replace("||", ";").split(";")
        ), line
