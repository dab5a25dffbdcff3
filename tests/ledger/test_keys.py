from __future__ import annotations

import multiprocessing
import os
import subprocess

import pytest

from agent.ledger import init_keys, keys_folder, load_keys
from agent.model.errors import RefusedError, StoreError
from agent.model.secret import Secret


def test_made_keys_are_private_and_come_back(tmp_path):
    made = init_keys(tmp_path / "a" / "keys")
    loaded = load_keys(tmp_path / "a" / "keys")
    assert loaded.kek == made.kek
    assert loaded.public.fingerprint == made.public.fingerprint
    assert (tmp_path / "a" / "keys").stat().st_mode & 0o777 == 0o700
    modes = {file.name: file.stat().st_mode & 0o777 for file in (tmp_path / "a" / "keys").iterdir()}
    assert modes == {"kek.key": 0o400, "signing.sealed": 0o400, "ecdsa.pub": 0o600, "ed25519.pub": 0o600}
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["keys"]


def test_both_signatures_are_good_over_what_was_signed_alone(tmp_path):
    keys = init_keys(tmp_path / "keys")
    one, other = keys.sign(b"text")
    assert keys.public.ed25519_ok(one, b"text")
    assert keys.public.ecdsa_ok(other, b"text")
    for signature in (b"", one[:-1], other):
        assert not keys.public.ed25519_ok(signature, b"text")
    for signature in (b"", other[:-1], one):
        assert not keys.public.ecdsa_ok(signature, b"text")
    assert not keys.public.ed25519_ok(one, b"texts")
    assert not keys.public.ecdsa_ok(other, b"texts")


def test_keys_are_never_replaced(tmp_path):
    made = init_keys(tmp_path / "keys")
    assert init_keys(tmp_path / "keys").kek == made.kek
    (tmp_path / "keys" / "signing.sealed").unlink()
    with pytest.raises(RefusedError, match="missing"):
        init_keys(tmp_path / "keys")
    assert not (tmp_path / "keys" / "signing.sealed").exists()


def test_keys_of_two_folders_differ(tmp_path):
    one, other = init_keys(tmp_path / "one"), init_keys(tmp_path / "other")
    assert one.kek != other.kek
    assert one.public.fingerprint != other.public.fingerprint


def test_nothing_of_a_key_is_shown(tmp_path):
    keys = init_keys(tmp_path / "keys")
    assert keys.kek.hex() not in repr(keys)
    assert repr(keys.kek)[2:-1] not in repr(keys)
    assert "Private" not in repr(keys)


def test_a_passphrase_protects_the_keys(tmp_path):
    made = init_keys(tmp_path / "keys", Secret("correct horse battery staple"))
    assert not (tmp_path / "keys" / "kek.key").exists()
    assert load_keys(tmp_path / "keys", Secret("correct horse battery staple")).kek == made.kek
    with pytest.raises(RefusedError, match="passphrase is wrong"):
        load_keys(tmp_path / "keys", Secret("correct horse battery stable"))
    with pytest.raises(RefusedError, match="a passphrase is needed"):
        load_keys(tmp_path / "keys")
    for file in (tmp_path / "keys").iterdir():
        assert made.kek not in file.read_bytes()
        assert made.kek.hex().encode() not in file.read_bytes()


@pytest.mark.parametrize("name", ["kek.key", "signing.sealed", ""])
def test_keys_open_to_others_are_refused(tmp_path, name):
    init_keys(tmp_path / "keys")
    (tmp_path / "keys" / name).chmod(0o750)
    with pytest.raises(RefusedError, match="open to others") as caught:
        load_keys(tmp_path / "keys")
    assert "chmod" in caught.value.remedy


def test_a_link_is_refused(tmp_path):
    init_keys(tmp_path / "keys")
    (tmp_path / "keys" / "kek.key").rename(tmp_path / "elsewhere")
    (tmp_path / "keys" / "kek.key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RefusedError, match="is a link"):
        load_keys(tmp_path / "keys")


def test_the_owner_is_checked(tmp_path, monkeypatch):
    init_keys(tmp_path / "keys")
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(RefusedError, match="belongs to user id"):
        load_keys(tmp_path / "keys")


@pytest.mark.parametrize("text", ["", "zz", "ab" * 31, "é" * 64])
def test_a_damaged_key_file_is_refused(tmp_path, text):
    init_keys(tmp_path / "keys")
    (tmp_path / "keys" / "kek.key").chmod(0o600)
    (tmp_path / "keys" / "kek.key").write_text(text)
    with pytest.raises(RefusedError, match="no key"):
        load_keys(tmp_path / "keys")


def test_a_foreign_kek_does_not_open_the_signing_keys(tmp_path):
    init_keys(tmp_path / "keys")
    init_keys(tmp_path / "other")
    (tmp_path / "keys" / "kek.key").unlink()
    (tmp_path / "other" / "kek.key").rename(tmp_path / "keys" / "kek.key")
    with pytest.raises(RefusedError, match="do not belong"):
        load_keys(tmp_path / "keys")


def test_a_folder_with_other_things_in_it_is_refused(tmp_path):
    (tmp_path / "keys").mkdir(mode=0o700)
    (tmp_path / "keys" / "letter.txt").write_text("dear ...")
    with pytest.raises(RefusedError, match="missing"):
        init_keys(tmp_path / "keys")
    assert [path.name for path in (tmp_path / "keys").iterdir()] == ["letter.txt"]


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot make the keys"):
        init_keys(tmp_path / "file" / "keys")


def _init(folder, start, answers):
    start.wait()
    answers.put(init_keys(folder).kek)


def test_eight_processes_make_the_same_keys(tmp_path):
    context = multiprocessing.get_context("fork")
    start, answers = context.Event(), context.Queue()
    children = [context.Process(target=_init, args=(tmp_path / "keys", start, answers)) for _ in range(8)]
    for child in children:
        child.start()
    start.set()
    keks = {answers.get(timeout=30) for _ in children}
    for child in children:
        child.join()
    assert keks == {load_keys(tmp_path / "keys").kek}
    assert [path.name for path in tmp_path.iterdir()] == ["keys"]


def test_where_the_keys_lie(tmp_path, monkeypatch):
    monkeypatch.delenv("AGENT_KEYS", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    folder = keys_folder(tmp_path / "workspace")
    name = (tmp_path / "workspace" / "state" / "workspace.id").read_text().strip()
    assert folder == tmp_path / "config" / "secops-agent" / name
    assert keys_folder(tmp_path / "workspace") == folder
    assert (tmp_path / "workspace" / "state").stat().st_mode & 0o777 == 0o700
    assert [path.name for path in (tmp_path / "workspace" / "state").iterdir()] == ["workspace.id"]
    (tmp_path / "workspace").rename(tmp_path / "moved")
    assert keys_folder(tmp_path / "moved") == folder, "a workspace may be moved"
    assert keys_folder(tmp_path / "workspace") != folder, "a new one at the same place has keys of its own"
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert keys_folder(tmp_path / "moved") == tmp_path / "home" / ".config" / "secops-agent" / name
    monkeypatch.setenv("AGENT_KEYS", str(tmp_path / "usb"))
    assert keys_folder(tmp_path / "moved") == tmp_path / "usb"


@pytest.mark.parametrize("text", ["", "../../../etc", "0123456789abcdeg"])
def test_a_damaged_workspace_id_names_no_folder(tmp_path, monkeypatch, text):
    monkeypatch.delenv("AGENT_KEYS", raising=False)
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "workspace.id").write_text(text)
    with pytest.raises(StoreError, match="no workspace id"):
        keys_folder(tmp_path)


def test_openssl_reads_the_public_keys(tmp_path):
    keys = init_keys(tmp_path / "keys")
    (tmp_path / "text").write_bytes(b"text")
    (tmp_path / "sig").write_bytes(keys.sign(b"text")[1])
    command = ["openssl", "dgst", "-sha256", "-verify", tmp_path / "keys" / "ecdsa.pub", "-signature", tmp_path / "sig"]
    assert subprocess.run([*command, tmp_path / "text"], capture_output=True, check=True).stdout == b"Verified OK\n"
