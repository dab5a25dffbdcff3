"""The credentials file: what it gives, and everything it refuses."""

from __future__ import annotations

import os

import pytest

from agent.model.asset import Database, Host
from agent.model.errors import UnreachedError
from agent.session import FileCredentials

HOST = Host("web-01", "10.0.0.1")


def made(tmp_path, text: str, mode: int = 0o600) -> FileCredentials:
    file = tmp_path / "credentials.yaml"
    file.write_text(text)
    file.chmod(mode)
    return FileCredentials(file)


def refused(call) -> str:
    with pytest.raises(UnreachedError) as caught:
        call()
    assert caught.value.reason == "credential-missing"
    assert caught.value.remedy
    return str(caught.value)


def test_passwords_are_the_text_that_was_written(tmp_path):
    source = made(tmp_path, "hosts: {web-01: {login: 007, sudo: no}}\ndatabases: {db: {password: 1e3}}\n")
    assert source.password(HOST, "login").reveal() == "007"
    assert source.password(HOST, "sudo").reveal() == "no"
    assert source.password(Database("db", "mysql", "web-01"), "database").reveal() == "1e3"
    assert "007" not in repr(source.password(HOST, "login"))


def test_keys_are_found_beside_the_file_and_overridden_by_name(tmp_path):
    for name in ("usual", "special"):
        (tmp_path / name).write_text("key")
        (tmp_path / name).chmod(0o600)
    source = made(tmp_path, "key: usual\nkeys: {db-01: special}\n")
    assert source.key_file(HOST) == str(tmp_path / "usual")
    assert source.key_file(Host("db-01", "10.0.0.2")) == str(tmp_path / "special")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o622, 0o700])
def test_a_file_open_to_others_is_refused(tmp_path, mode):
    text = refused(made(tmp_path, "hosts: {}", mode).check)
    assert f"{mode:04o}" in text
    assert "chmod 600" in text


def test_a_file_of_another_owner_is_refused(tmp_path, monkeypatch):
    source = made(tmp_path, "hosts: {}")
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    assert f"belongs to uid {owner}" in refused(source.check)


def test_a_private_key_open_to_others_is_refused(tmp_path):
    (tmp_path / "key").write_text("key")
    (tmp_path / "key").chmod(0o644)
    assert "0644" in refused(lambda: made(tmp_path, "key: key").key_file(HOST))


def test_what_is_missing_says_what_to_add(tmp_path):
    source = made(tmp_path, "hosts: {web-01: {login: x}}\n")
    assert "add `hosts: {web-01: {sudo: ...}}`" in refused(lambda: source.password(HOST, "sudo"))
    assert "add `key: PATH`" in refused(lambda: source.key_file(HOST))
    assert "cannot be read" in refused(FileCredentials(tmp_path / "none").check)
    assert "not a plain file" in refused(FileCredentials(tmp_path).check)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("hosts: {web-01: {login: x}}\nmore: 1\n", ":2: more"),
        ("hosts:\n  web-01:\n    pasword: x\n", ":3: hosts.web-01.pasword"),
        ("hosts: [a]\n", ":1: hosts"),
        ("hosts:\n  web-01: {login: [s3cret]}\n", ":2: hosts.web-01.login"),
        ("key: ''\n", ":1: key"),
    ],
)
def test_wrong_fields_are_named_by_line(tmp_path, text, place):
    assert place in refused(made(tmp_path, text).check)


def test_a_yaml_error_never_quotes_the_secret(tmp_path):
    text = refused(made(tmp_path, "hosts: {web-01: {login: s3cret'@: x: y}}\n  bad").check)
    assert "s3cret" not in text
    assert "credentials.yaml:" in text
