"""Pinned host keys: an OpenSSH known_hosts file, read strictly and written atomically."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.model.asset import Host
from agent.model.errors import DeclaredError, UnreachedError
from agent.model.observation import Reason

_HASHED_FIELDS = 4
_PLAIN_FIELDS = 3


@dataclass(frozen=True, slots=True)
class HostKey:
    """A server's public key as SSH sends it."""

    kind: str
    """`ssh-ed25519`, `ecdsa-sha2-nistp256`, `ssh-rsa` ..."""
    blob: bytes

    @property
    def fingerprint(self) -> str:
        """`SHA256:...`, as ssh-keygen -l prints it."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")

    @property
    def line(self) -> str:
        """Type and base64, the second half of a known_hosts line."""
        return f"{self.kind} {base64.b64encode(self.blob).decode()}"


@dataclass(frozen=True, slots=True)
class _Entry:
    names: str
    key: HostKey
    revoked: bool

    def names_any(self, wanted: Iterable[str]) -> bool:
        if not self.names.startswith("|1|"):
            return not set(self.names.split(",")).isdisjoint(wanted)
        salt, digest = (base64.b64decode(part) for part in self.names.split("|")[2:])
        return any(hmac.compare_digest(hmac.digest(salt, name.encode(), "sha1"), digest) for name in wanted)


def _names(host: Host) -> tuple[str, ...]:
    """Under these a host's key may be pinned; the first is the one that `trust` writes."""
    address = host.address if host.port == 22 else f"[{host.address}]:{host.port}"  # noqa: PLR2004 - SSH's own port
    return (address, host.name)


def _entry(text: str, where: str) -> _Entry | None:
    fields = text.split()
    marker = fields.pop(0) if fields[0].startswith("@") else ""
    if marker == "@cert-authority":
        return None  # certificates are not used; such a line pins no key
    if len(fields) < _PLAIN_FIELDS or marker not in {"", "@revoked"}:
        raise DeclaredError("not a known_hosts line", where=where, remedy="expected: NAMES TYPE BASE64")
    names, kind, encoded = fields[:_PLAIN_FIELDS]
    try:
        blob = base64.b64decode(encoded, validate=True)
        if names.startswith("|"):
            parts = names.split("|")
            if len(parts) != _HASHED_FIELDS or parts[1] != "1":
                raise ValueError(names)  # noqa: TRY301 - joined with what b64decode raises
            base64.b64decode(parts[2], validate=True)
            base64.b64decode(parts[3], validate=True)
    except (binascii.Error, ValueError) as error:
        raise DeclaredError("damaged base64", where=where, remedy="remove the line and run `agent trust`") from error
    if blob[4 : 4 + len(kind)] != kind.encode():
        raise DeclaredError(f"the key is not of the type {kind}", where=where, remedy="remove it and run `agent trust`")
    return _Entry(names, HostKey(kind, blob), marker == "@revoked")


def compare(host: Host, key: HostKey, pinned: Sequence[HostKey]) -> None:
    """Refuse a key that is not pinned.

    Raises:
        UnreachedError: `host-key-unknown` or `host-key-changed`, naming the fingerprints.
    """
    if key in pinned:
        return
    if not pinned:
        remedy = f"compare it at the console, then: agent trust {host.name} --fingerprint {key.fingerprint}"
        raise UnreachedError(
            Reason.HOST_KEY_UNKNOWN, f"no host key is pinned; it shows {key.kind} {key.fingerprint}", remedy=remedy
        )
    old = ", ".join(f"{one.kind} {one.fingerprint}" for one in pinned)
    raise UnreachedError(
        Reason.HOST_KEY_CHANGED,
        f"the host key has changed: pinned {old}; shown {key.kind} {key.fingerprint}",
        remedy=f"find out why; if it is right: agent trust {host.name} --replace --fingerprint {key.fingerprint}",
    )


class KnownHosts:
    """The workspace's inventory/known_hosts. Re-read when it changed on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp: tuple[int, int] | None = None
        self._entries: tuple[_Entry, ...] = ()

    def _load(self) -> tuple[_Entry, ...]:
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return ()
        stamp = (status.st_mtime_ns, status.st_size)
        if stamp != self._stamp:
            lines = self.path.read_text("utf-8", "replace").splitlines()
            parsed = (
                _entry(line, f"{self.path}:{number}")
                for number, line in enumerate(lines, 1)
                if line.strip() and not line.lstrip().startswith("#")
            )
            self._entries, self._stamp = tuple(entry for entry in parsed if entry), stamp
        return self._entries

    def pinned(self, host: Host) -> tuple[HostKey, ...]:
        """Keys pinned for a host, by its address and port or its inventory name; revoked ones left out.

        Raises:
            DeclaredError: the file holds a damaged line (`FILE:LINE`).
        """
        names = _names(host)
        entries = [entry for entry in self._load() if entry.names_any(names)]
        revoked = {entry.key for entry in entries if entry.revoked}
        return tuple(entry.key for entry in entries if entry.key not in revoked)

    def pin(self, host: Host, key: HostKey, *, replace: bool = False) -> None:
        """Add a key durably: temporary file, fsync, rename. `replace` first drops what was pinned for the host."""
        lines = self.path.read_text("utf-8").splitlines() if self.path.exists() else []
        kept = []
        for number, line in enumerate(lines, 1):
            plain = bool(line.strip()) and not line.lstrip().startswith("#")
            entry = _entry(line, f"{self.path}:{number}") if plain else None
            if replace and entry and not entry.revoked and entry.names_any(_names(host)):
                continue
            kept.append(line)
        kept.append(f"{_names(host)[0]} {key.line}")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        _write(self.path, "\n".join(kept) + "\n")


def _write(path: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
