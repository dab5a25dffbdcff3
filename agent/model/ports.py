"""Ports: what one column needs of another, injected by `agent.app`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

from agent.model.asset import Database, Host
from agent.model.evidence import Evidence
from agent.model.secret import Secret
from agent.model.session import Command, Result

Done = TypeVar("Done")
Clock = Callable[[], datetime]
"""Returns the present as an aware UTC datetime; injected, never faked by a switch."""


class CredentialSource(Protocol):
    """Where sessions get credentials; first adapter: SSH keys and a 0600 file outside git."""

    def key_file(self, host: Host) -> str:
        """Path of the private key for that host. Raises UnreachedError(CREDENTIAL)."""
        ...

    def kept_keys(self, host: Host) -> tuple[Secret, ...]:
        """Ed25519 private keys (OpenSSH's form) that the vault keeps for that login; tried before the file's."""
        ...

    def password(self, target: Host | Database, purpose: str) -> Secret:
        """Password for `purpose` (`login`, `sudo`, `database`). Raises UnreachedError(CREDENTIAL)."""
        ...


class Session(Protocol):
    """An open way to a host; one connection, many runs, closed by the context manager."""

    banner: str

    def run(self, command: Command) -> Result:
        """Run a script. Raises UnreachedError with its reason."""
        ...

    def close(self) -> None:
        """Close the connection; safe to call twice."""
        ...


class SqlSession(Protocol):
    """An open way to a database, read-only for a scan."""

    def query(self, statement: str) -> Sequence[Sequence[object]]:
        """Rows of one SELECT. Raises AgentError on any driver error (never an empty list instead)."""
        ...

    def close(self) -> None:
        """Close the connection and its tunnel; safe to call twice."""
        ...


class Sessions(Protocol):
    """Opens sessions: knows credentials, pinned host keys, bastions and tunnels."""

    def open(self, host: Host, deadline: float) -> Session:
        """Connect within `deadline` seconds. Raises UnreachedError."""
        ...

    def open_sql(self, database: Database, deadline: float) -> SqlSession:
        """Connect within `deadline` seconds, by tunnel where declared. Raises UnreachedError."""
        ...

    def close(self) -> None:
        """Close what is kept (bastion connections)."""
        ...


class Ledger(Protocol):
    """Seals and opens evidence."""

    def seal(self, kind: str, payload: bytes, *, run: str = "", subject: str = "") -> Evidence:
        """Seal a payload durably; `subject` goes inside the encrypted blob, never into clear metadata."""
        ...

    def open(self, seq: int) -> bytes:
        """The payload of an entry, decrypted and checked. Raises IntegrityError."""
        ...

    def seal_with(self, kind: str, payload: Callable[[str], bytes], work: Callable[[Any], Done]) -> Done:
        """Seal what `payload` makes of the hash before it, and do work in the same transaction: both or neither."""
        ...

    def newest(self, kind: str) -> Evidence | None:
        """The newest entry of a kind, proven to be it. Raises IntegrityError."""
        ...
