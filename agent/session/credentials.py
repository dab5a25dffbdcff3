"""The first credential source: private keys and one 0600 file outside git."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import yaml

from agent.model.asset import Database, Host
from agent.model.errors import UnreachedError
from agent.model.observation import Reason
from agent.model.secret import Secret
from agent.store.files import replace_private

_LARGEST = 1 << 20
_FIELDS = {"hosts": ("login", "sudo"), "databases": ("password",)}


@dataclass(frozen=True, slots=True)
class _Held:
    secrets: dict[tuple[str, str, str], Secret] = field(default_factory=dict)
    """(`hosts` or `databases`, name, field) to its secret."""
    key: str = ""
    keys: dict[str, str] = field(default_factory=dict)


def _refuse(where: str, message: str, remedy: str) -> NoReturn:
    raise UnreachedError(Reason.CREDENTIAL, message, where=where, remedy=remedy)


def private(path: Path, what: str) -> None:
    """Refuse a file that is not ours alone.

    Raises:
        UnreachedError: `credential-missing` when it is missing, no plain file, of another owner,
            or open to group or others.
    """
    try:
        status = path.stat()
    except OSError as error:
        _refuse(str(path), f"{what} cannot be read: {error.strerror}", "name an existing file, or make it (mode 0600)")
    if not stat.S_ISREG(status.st_mode):
        _refuse(str(path), f"{what} is not a plain file", "name a plain file of mode 0600")
    if status.st_uid != os.geteuid():
        _refuse(str(path), f"{what} belongs to uid {status.st_uid}, not to us", f"chown {os.geteuid()} {path}")
    if status.st_mode & 0o177:
        _refuse(str(path), f"{what} has mode {stat.S_IMODE(status.st_mode):04o}", f"chmod 600 {path}")


class FileCredentials:
    """Implements `model.ports.CredentialSource` on a YAML file.

    `hosts: {NAME: {login: ..., sudo: ...}}`, `databases: {NAME: {password: ...}}`,
    `key: PATH` (the private key for every host), `keys: {NAME: PATH}` (of single
    hosts); relative paths start at the file's folder. Read once, on first use.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._held: _Held | None = None
        self._lock = threading.Lock()

    def check(self) -> None:
        """Read the file now. Raises UnreachedError(`credential-missing`) naming file, line, field and remedy."""
        with self._lock:
            if self._held is None:
                self._held = self._read()

    def held(self) -> dict[tuple[str, str, str], Secret]:
        """Every password by (`hosts` or `databases`, name, field). Raises UnreachedError(`credential-missing`)."""
        return dict(self._get().secrets)

    def drop(self, places: Collection[tuple[str, str, str]]) -> None:
        """Write the file anew without some of its passwords; all else stays.

        Args:
            places: as `held` names them.

        Raises:
            UnreachedError, OSError: it cannot be read, or not written; then it is as it was.
        """
        held = self._get()
        body: dict[str, Any] = ({"key": held.key} if held.key else {}) | ({"keys": held.keys} if held.keys else {})
        for (kind, name, purpose), secret in held.secrets.items():
            if (kind, name, purpose) not in places:
                body.setdefault(kind, {}).setdefault(name, {})[purpose] = secret.reveal()
        replace_private(self.path, yaml.safe_dump(body, allow_unicode=True).encode())
        with self._lock:
            self._held = None

    def key_file(self, host: Host) -> str:
        """Path of the private key for that host. Raises UnreachedError(`credential-missing`)."""
        held = self._get()
        named = held.keys.get(host.name, held.key)
        if not named:
            remedy = f"add `key: PATH` or `keys: {{{host.name}: PATH}}`"
            _refuse(str(self.path), f"no private key for {host.name}", remedy)
        path = self.path.parent / Path(named).expanduser()
        private(path, "the private key")
        return str(path)

    def kept_keys(self, host: Host) -> tuple[Secret, ...]:
        """None: here keys are files."""
        del host
        return ()

    def password(self, target: Host | Database, purpose: str) -> Secret:
        """Password for `login`, `sudo` or `database`. Raises UnreachedError(`credential-missing`)."""
        place = ("databases", target.name, "password") if purpose == "database" else ("hosts", target.name, purpose)
        secret = self._get().secrets.get(place)
        if secret is None:
            remedy = f"add `{place[0]}: {{{place[1]}: {{{place[2]}: ...}}}}`"
            _refuse(str(self.path), f"no {purpose} password for {target.name}", remedy)
        return secret

    def _get(self) -> _Held:
        self.check()
        assert self._held is not None  # noqa: S101 - check() has just filled it; this tells the type checker
        return self._held

    def _read(self) -> _Held:
        private(self.path, "the credentials file")
        if self.path.stat().st_size > _LARGEST:
            _refuse(str(self.path), "larger than 1 MiB", "this is no credentials file; name the right one")
        try:
            # Nodes, not values: a password such as 007 or `no` stays the text that was written.
            root = yaml.compose(self.path.read_text("utf-8"), Loader=yaml.SafeLoader)
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            mark = getattr(error, "problem_mark", None)
            where = f"{self.path}:{mark.line + 1}" if mark else str(self.path)
            # The parser's own words may quote the line, and with it a secret.
            raise UnreachedError(
                Reason.CREDENTIAL, "not readable as YAML", where=where, remedy="quote secrets with '...'"
            ) from None
        return self._walk(root)

    def _walk(self, root: yaml.Node | None) -> _Held:
        held = _Held()
        key = ""
        for name, node in self._pairs(root, "the file"):
            if name == "key":
                key = self._scalar(node, "key")
            elif name == "keys":
                held.keys.update({host: self._scalar(path, f"keys.{host}") for host, path in self._pairs(node, "keys")})
            elif name in _FIELDS:
                for target, fields in self._pairs(node, name):
                    for purpose, value in self._pairs(fields, f"{name}.{target}"):
                        if purpose not in _FIELDS[name]:
                            self._wrong(value, f"{name}.{target}.{purpose}", f"fields are {', '.join(_FIELDS[name])}")
                        text = self._scalar(value, f"{name}.{target}.{purpose}")
                        held.secrets[name, target, purpose] = Secret(text)
            else:
                self._wrong(node, name, "sections are hosts, databases, key, keys")
        return _Held(held.secrets, key, held.keys)

    def _wrong(self, node: yaml.Node, place: str, remedy: str) -> NoReturn:
        _refuse(f"{self.path}:{node.start_mark.line + 1}: {place}", "unknown or of the wrong kind", remedy)

    def _pairs(self, node: yaml.Node | None, place: str) -> list[tuple[str, yaml.Node]]:
        if node is None or (isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"):
            return []
        if not isinstance(node, yaml.MappingNode):
            self._wrong(node, place, "write a mapping, NAME: value")
        return [(self._scalar(key, place), value) for key, value in node.value]

    def _scalar(self, node: yaml.Node, place: str) -> str:
        if not isinstance(node, yaml.ScalarNode) or not node.value:
            self._wrong(node, place, "write one text value")
        return str(node.value)
