"""An export verifies with openssl and sha256sum alone; whatever is changed in it is noticed and named."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import subprocess
import time

import pytest

from agent.ledger import Item, verify_export
from agent.ledger.chain import GENESIS, Checkpoint, entry_hash
from agent.model.errors import IntegrityError, StoreError

SEED = 20261122


def sh(folder, *options, shell=("sh",)):
    """Exit code and output of verify.sh, called from elsewhere as a customer might."""
    result = subprocess.run(
        [*shell, str(folder / "verify.sh"), *options], capture_output=True, text=True, cwd="/", check=False
    )
    assert result.stderr == ""
    return result.returncode, result.stdout


def fits(folder) -> None:
    """Make SHA256SUMS fit again, as whoever edits an export would."""
    lines = [
        f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.relative_to(folder)}\n"
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name != "SHA256SUMS"
    ]
    (folder / "SHA256SUMS").write_text("".join(lines))


class Exported:
    """An export and both ways to verify it."""

    def __init__(self, bench, *, content=True, run=None):
        self.bench = bench
        self.folder = bench.ledger.export(bench.root / "out", run, content=content)
        self.fingerprint = bench.ledger.keys.public.fingerprint

    def python(self):
        return verify_export(self.folder, self.bench.ledger.keys.public, self.bench.ledger.anchor)

    def fails(self, *places, python=None):
        """Both say no, and name the places."""
        code, output = sh(self.folder, "-k", self.fingerprint)
        assert code == 1, output
        for place in places:
            assert f"FAILED  {place}: " in output
        found = self.python()
        assert not found.ok
        assert {flaw.place for flaw in found.flaws} >= set(places if python is None else python), found.flaws

    def lines(self):
        return (self.folder / "ledger.txt").read_text().splitlines(keepends=True)

    def put_lines(self, lines):
        (self.folder / "ledger.txt").write_text("".join(lines))
        fits(self.folder)


@pytest.fixture
def exported(bench):
    bench.fill(4, run="scan-1")
    bench.fill(3, run="scan-2")
    return Exported(bench)


def test_an_export_verifies_both_ways(exported):
    head = exported.bench.ledger.entries()[-1].hash
    code, output = sh(exported.folder, "-k", exported.fingerprint, "-n", head)
    assert (code, output.count("\n")) == (0, 1)
    assert f"verified: 7 entries, head {head}, signed at 2026-11-22T08:00:00" in output
    assert exported.python().ok
    assert {file.name for file in exported.folder.iterdir()} == {
        "ledger.txt", "checkpoint.txt", "checkpoint.sig", "checkpoint-ed25519.sig", "sign.pub", "sign-ed25519.pub",
        "SHA256SUMS", "verify.sh", "contents.txt", "content",
    }  # fmt: skip


def test_without_a_fingerprint_it_says_what_to_compare(exported):
    code, output = sh(exported.folder)
    assert code == 0
    assert f"signed by key {exported.fingerprint}: compare it" in output


@pytest.mark.parametrize("shell", [("dash",), ("bash", "--posix"), ("busybox", "sh")])
def test_in_other_shells(exported, shell):
    if shutil.which(shell[0]) is None:
        pytest.skip(f"{shell[0]} is not installed")
    assert sh(exported.folder, "-k", exported.fingerprint, shell=shell)[0] == 0
    (exported.folder / "checkpoint.sig").unlink()
    assert sh(exported.folder, "-k", exported.fingerprint, shell=shell)[0] == 1


def test_nothing_but_openssl_and_sha256sum_is_needed(exported, tmp_path):
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("sh", "openssl", "sha256sum", "cat", "mkdir", "rm"):
        (tools / tool).symlink_to(shutil.which(tool))
    env = {"PATH": str(tools)}
    command = [str(tools / "sh"), "verify.sh", "-k", exported.fingerprint]
    result = subprocess.run(command, capture_output=True, env=env, cwd=exported.folder, check=False)
    assert (result.returncode, result.stderr) == (0, b"")
    (tools / "openssl").unlink()
    assert subprocess.run(command, capture_output=True, env=env, cwd=exported.folder, check=False).returncode == 2


def test_content_is_exported_only_when_asked_and_only_of_the_run(bench):
    bench.fill(2, run="scan-1")
    bench.ledger.seal("host", b"of scan-2\x00\n\xff", run="scan-2", subject="../../etc/passwd")
    plain = bench.ledger.export(bench.root / "plain")
    assert not (plain / "content").exists()
    assert sh(plain)[0] == 0
    full = bench.ledger.export(bench.root / "full", "scan-2", content=True)
    assert sorted(file.name for file in (full / "content").iterdir()) == ["3.data", "3.head"]
    assert (full / "content" / "3.data").read_bytes() == b"of scan-2\x00\n\xff"
    assert b"../../etc/passwd" in (full / "content" / "3.head").read_bytes()
    assert sh(full)[0] == 0
    assert len((full / "ledger.txt").read_text().splitlines()) == 3, "the chain is always whole"
    assert b"of scan-2" not in b"".join(file.read_bytes() for file in plain.iterdir())


def test_sm3_contents_verify_too(bench):
    bench.algorithm = "SM4-GCM"
    bench.reopen()
    bench.fill(2)
    exported = Exported(bench)
    assert sh(exported.folder, "-k", exported.fingerprint)[0] == 0
    assert exported.python().ok
    (exported.folder / "content" / "2.data").write_bytes(b"edited")
    fits(exported.folder)
    exported.fails("content/2.data")


def test_exporting_signs_an_unsigned_tail_first(bench):
    bench.fill(2)
    bench.ledger.seal("host", b"not yet signed")
    folder = bench.ledger.export(bench.root / "out")
    assert "verified: 3 entries" in sh(folder)[1]


def test_a_ledger_that_does_not_verify_is_not_exported(bench):
    bench.fill()
    bench.ledger.blobs.path(bench.ledger.entries()[2].blob).unlink()
    with pytest.raises(IntegrityError, match="nothing is exported"):
        bench.ledger.export(bench.root / "out")
    assert not (bench.root / "out").exists()


def test_an_existing_folder_is_not_overwritten(bench):
    bench.fill()
    (bench.root / "out").mkdir()
    (bench.root / "out" / "mine").write_text("")
    with pytest.raises(StoreError, match="there already"):
        bench.ledger.export(bench.root / "out")
    assert sorted(path.name for path in bench.root.iterdir()) == ["keys", "out", "state"]


@pytest.mark.parametrize("share", [0.1, pytest.param(1.0, marks=pytest.mark.campaign)])
def test_any_byte_flipped_in_any_file(exported, share):
    rng = random.Random(SEED)
    files = [file for file in sorted(exported.folder.rglob("*")) if file.is_file() and file.name != "verify.sh"]
    flips = [(file, at) for file in files for at in range(file.stat().st_size)]
    for file, at in rng.sample(flips, int(len(flips) * share)):
        whole = file.read_bytes()
        changed = whole[:at] + bytes([whole[at] ^ (1 << rng.randrange(8))]) + whole[at + 1 :]
        file.write_bytes(changed)
        name = str(file.relative_to(exported.folder))
        if name == "SHA256SUMS":
            # The list itself is not signed. What it lists is; a flip in a name or a hash makes it disagree.
            # (A hexadecimal digit in upper case says the same.)
            in_hash = at - (whole.rfind(b"\n", 0, at) + 1) < 64
            same = in_hash and changed.lower() == whole.lower()
            assert sh(exported.folder, "-k", exported.fingerprint)[0] == (0 if same else 1), at
        else:
            exported.fails(name)
        file.write_bytes(whole)
    assert exported.python().ok


@pytest.mark.parametrize("share", [0.02, pytest.param(1.0, marks=pytest.mark.campaign)])
def test_any_byte_flipped_and_the_sums_made_to_fit(exported, share):
    rng = random.Random(SEED)
    files = [
        file
        for file in sorted(exported.folder.rglob("*"))
        if file.is_file() and file.name not in {"verify.sh", "SHA256SUMS"}
    ]
    sums = (exported.folder / "SHA256SUMS").read_bytes()
    flips = [(file, at) for file in files for at in range(file.stat().st_size)]
    for file, at in rng.sample(flips, int(len(flips) * share)):
        whole = file.read_bytes()
        file.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << rng.randrange(8))]) + whole[at + 1 :])
        fits(exported.folder)
        code, output = sh(exported.folder, "-k", exported.fingerprint)
        assert code == 1, (file, at, output)
        assert not exported.python().ok, (file, at)
        file.write_bytes(whole)
        (exported.folder / "SHA256SUMS").write_bytes(sums)
    assert exported.python().ok


def test_an_edited_line_is_named(exported):
    lines = exported.lines()
    lines[2] = lines[2].replace('"run":"scan-1"', '"run":"scan-9"')
    exported.put_lines(lines)
    exported.fails("ledger.txt:3")
    output = sh(exported.folder)[1]
    assert output.count("FAILED") == 1


def test_an_edited_line_with_every_hash_made_to_fit(exported):
    lines, prev = exported.lines(), GENESIS
    lines[2] = lines[2].replace('"run":"scan-1"', '"run":"scan-9"')
    for index, line in enumerate(lines):
        body = line.rstrip("\n").partition(" ")[2]
        prev = entry_hash(prev, body)
        lines[index] = f"{prev} {body}\n"
    exported.put_lines(lines)
    exported.fails("ledger.txt", python=["ledger.txt:7"])


@pytest.mark.parametrize(
    ("edit", "place"),
    [
        (lambda lines: lines[:2] + lines[3:], "ledger.txt:3"),
        (lambda lines: [lines[1], lines[0], *lines[2:]], "ledger.txt:1"),
        (lambda lines: [*lines[:2], lines[1], *lines[2:]], "ledger.txt:3"),
        (lambda lines: [*lines, lines[-1]], "ledger.txt:8"),
        (lambda lines: lines[:-2], "ledger.txt"),
        (lambda lines: [*lines, "\n"], "ledger.txt:8"),
        (lambda lines: [*lines[:3], "zz" * 32 + lines[3][64:], *lines[4:]], "ledger.txt:4"),
    ],
    ids=["deleted", "reordered", "inserted", "appended", "cut", "empty line", "no hash"],
)
def test_lines_moved(exported, edit, place):
    exported.put_lines(edit(exported.lines()))
    exported.fails(place)


@pytest.mark.parametrize(
    "name", ["checkpoint.sig", "checkpoint-ed25519.sig", "checkpoint.txt", "sign.pub", "ledger.txt", "SHA256SUMS"]
)
@pytest.mark.parametrize("empty", [False, True], ids=["missing", "empty"])
def test_a_missing_file_fails_closed(exported, name, empty):
    (exported.folder / name).unlink()
    if empty:
        (exported.folder / name).write_bytes(b"")
    if name != "SHA256SUMS":
        fits(exported.folder)
    exported.fails(name)


def test_swapped_contents(exported):
    one, other = exported.folder / "content" / "1.data", exported.folder / "content" / "2.data"
    kept = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(kept)
    fits(exported.folder)
    exported.fails("content/1.data", "content/2.data")


def test_contents_with_their_index_swapped(exported):
    lines = (exported.folder / "contents.txt").read_text().splitlines()
    first, second = lines[0].split(" ", 1)[1], lines[1].split(" ", 1)[1]
    lines[:2] = [f"1 {second}", f"2 {first}"]
    (exported.folder / "contents.txt").write_text("\n".join(lines) + "\n")
    for kind in ("head", "data"):
        one, other = (exported.folder / "content" / f"{number}.{kind}" for number in (1, 2))
        kept = one.read_bytes()
        one.write_bytes(other.read_bytes())
        other.write_bytes(kept)
    fits(exported.folder)
    exported.fails("contents.txt:1", "contents.txt:2")


def test_contents_removed_or_added(exported):
    (exported.folder / "content" / "3.data").unlink()
    (exported.folder / "content" / "9.data").write_bytes(b"invented")
    (exported.folder / "content" / "10.data").write_bytes(b"invented")
    fits(exported.folder)
    exported.fails("content/3.data", "content")


def test_the_index_of_contents_removed(exported):
    (exported.folder / "contents.txt").unlink()
    fits(exported.folder)
    exported.fails("contents.txt")


def test_a_foreign_key_signed_it_again(exported, other_bench):
    signed = (exported.folder / "checkpoint.txt").read_bytes().replace(b"08:00", b"09:00")
    one, other = other_bench.ledger.keys.sign(signed)
    for name, data in zip(
        ("checkpoint.txt", "checkpoint.sig", "checkpoint-ed25519.sig", "sign.pub", "sign-ed25519.pub"),
        (signed, other, one, *other_bench.ledger.keys.public.pem()),
        strict=True,
    ):
        (exported.folder / name).write_bytes(data)
    fits(exported.folder)
    exported.fails("sign.pub")
    assert {flaw.place for flaw in exported.python().flaws} == {"sign.pub", "checkpoint.sig", "checkpoint-ed25519.sig"}


def test_another_type_of_text_signed_with_our_key(exported):
    text = (exported.folder / "checkpoint.txt").read_bytes().replace(b"checkpoint 1", b"greetings 1")
    one, other = exported.bench.ledger.keys.sign(text)
    for name, data in (("checkpoint.txt", text), ("checkpoint.sig", other), ("checkpoint-ed25519.sig", one)):
        (exported.folder / name).write_bytes(data)
    fits(exported.folder)
    exported.fails("checkpoint.txt")


def test_a_checkpoint_of_another_chain_signed_with_our_key(exported):
    text = Checkpoint(1, 7, "ab" * 32, "2026-11-22T08:00:00.000000Z", GENESIS).text.encode()
    one, other = exported.bench.ledger.keys.sign(text)
    for name, data in (("checkpoint.txt", text), ("checkpoint.sig", other), ("checkpoint-ed25519.sig", one)):
        (exported.folder / name).write_bytes(data)
    fits(exported.folder)
    exported.fails("ledger.txt", python=["ledger.txt:7"])


def test_an_old_export_against_a_newer_head(exported):
    exported.bench.fill(2, run="scan-3")
    found = exported.python()
    assert {flaw.place for flaw in found.flaws} == {"ledger.txt:7"}
    assert "an old export" in found.flaws[0].problem
    assert sh(exported.folder, "-k", exported.fingerprint)[0] == 0, "it is what was signed then"
    head = exported.bench.ledger.entries()[-1].hash
    code, output = sh(exported.folder, "-n", head)
    assert code == 1
    assert "FAILED  ledger.txt: does not contain the head" in output


def test_a_damaged_or_missing_anchor_is_said(exported):
    (exported.bench.keys / "anchor.json").write_bytes(b"{")
    assert {flaw.place for flaw in exported.python().flaws} == {"anchor"}
    (exported.bench.keys / "anchor.json").unlink()
    assert {flaw.place for flaw in exported.python().flaws} == {"anchor"}


def test_hostile_lists_name_nothing_outside(exported):
    (exported.folder / "SHA256SUMS").write_text(f"{'0' * 64}  ../state/agent.db\n{'0' * 64}  /etc/passwd\n")
    found = exported.python()
    assert {"SHA256SUMS:1", "SHA256SUMS:2", "SHA256SUMS"} <= {flaw.place for flaw in found.flaws}


@pytest.mark.parametrize("name", ["SHA256SUMS", "checkpoint.txt", "ledger.txt", "contents.txt"])
def test_hostile_bytes_do_not_reach_the_terminal(exported, name):
    file = exported.folder / name
    file.write_bytes(file.read_bytes().replace(b"e", b"\x1b]0;pwned\x07\xe3").replace(b"seq 7", b"seq \x1b[31m"))
    if name != "SHA256SUMS":
        fits(exported.folder)
    code, output = sh(exported.folder, "-k", exported.fingerprint)
    assert code == 1
    assert output.replace("\n", "").isprintable()
    assert "\x1b" not in output
    assert not exported.python().ok


def test_300_entries_verify_within_a_second(bench):
    """0.5 s alone on a machine of two cores; the allowance is for what else runs here."""
    bench.ledger.seal_many([Item("host", f"answer {number}".encode(), "r", "s") for number in range(300)])
    folder = bench.ledger.export(bench.root / "out")
    best = 9.0
    for _ in range(3):
        started = time.monotonic()
        assert sh(folder)[0] == 0
        best = min(best, time.monotonic() - started)
    assert best < 1
    lines = (folder / "ledger.txt").read_text().splitlines(keepends=True)
    lines[199] = lines[199].replace('"size":10', '"size":11')
    (folder / "ledger.txt").write_text("".join(lines))
    fits(folder)
    assert "FAILED  ledger.txt:200: " in sh(folder)[1]


def test_nothing_is_left_in_the_temporary_folder(exported, tmp_path):
    env = os.environ | {"TMPDIR": str(tmp_path / "tmp")}
    (tmp_path / "tmp").mkdir()
    subprocess.run(["sh", exported.folder / "verify.sh"], check=True, env=env, capture_output=True)
    (exported.folder / "ledger.txt").write_text("x\n")
    subprocess.run(["sh", exported.folder / "verify.sh"], check=False, env=env, capture_output=True)
    assert list((tmp_path / "tmp").iterdir()) == []
