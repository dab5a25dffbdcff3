"""What opens the vault, in which order, and key files that are not their owner's alone."""

from __future__ import annotations

import os
import stat

import pytest

from agent.model.errors import RefusedError, StoreError
from agent.model.secret import Secret
from agent.vault import keyfile, slots


def _find(tmp_path, environ=None, said=None):
    warned = []
    key = keyfile.find(tmp_path / "vault.key", environ or {}, lambda: said, warned.append)
    return key, warned


def test_systemd_comes_before_the_file_before_the_prompt_before_the_environment(tmp_path):
    environ = {keyfile.VARIABLE: "from the environment"}
    key, warned = _find(tmp_path, environ)
    assert (key.passphrase, len(warned)) == (Secret("from the environment"), 1)
    key, warned = _find(tmp_path, environ, Secret("said"))
    assert (key.passphrase, warned) == (Secret("said"), [])
    public = keyfile.write(tmp_path / "vault.key")
    key, warned = _find(tmp_path, environ, Secret("said"))
    assert (slots.public_of(key.private), key.passphrase, warned) == (public, None, [])
    given = tmp_path / "credentials"
    given.mkdir()
    other = keyfile.write(given / keyfile.CREDENTIAL)
    key, _ = _find(tmp_path, environ | {"CREDENTIALS_DIRECTORY": str(given)})
    assert slots.public_of(key.private) == other
    assert key.private.hex() not in repr(key)


def test_where_nothing_opens_it_says_so(tmp_path):
    with pytest.raises(RefusedError, match="locked") as caught:
        _find(tmp_path)
    assert caught.value.remedy


def test_a_key_file_is_made_once_and_is_its_owners_alone(tmp_path):
    file = tmp_path / "keys" / "vault.key"
    keyfile.write(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o400
    with pytest.raises(RefusedError, match="already"):
        keyfile.write(file)
    (tmp_path / "plain").write_text("")
    with pytest.raises(StoreError, match="cannot write"):
        keyfile.write(tmp_path / "plain" / "vault.key")


@pytest.mark.parametrize("mode", [0o440, 0o404, 0o620, 0o401])
def test_one_that_others_may_read_is_refused(tmp_path, mode):
    file = tmp_path / "vault.key"
    keyfile.write(file)
    file.chmod(mode)
    with pytest.raises(RefusedError, match="open to others"):
        keyfile.read(file)


def test_a_link_a_folder_and_what_is_no_key_are_refused(tmp_path):
    file = tmp_path / "vault.key"
    keyfile.write(file)
    (tmp_path / "link").symlink_to(file)
    with pytest.raises(RefusedError, match="cannot be read"):
        keyfile.read(tmp_path / "link")
    with pytest.raises(RefusedError, match="no plain file"):
        keyfile.read(tmp_path)
    for text in ("", "zz", "00" * 31, "\N{SNOWMAN}"):
        other = tmp_path / "other"
        other.write_text(text, encoding="utf-8")
        other.chmod(0o600)
        with pytest.raises(RefusedError, match="no key"):
            keyfile.read(other)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_anothers_key_file_is_refused(tmp_path):
    file = tmp_path / "vault.key"
    keyfile.write(file)
    os.chown(file, 12345, 12345)
    with pytest.raises(RefusedError, match="belongs to user id 12345"):
        keyfile.read(file)
