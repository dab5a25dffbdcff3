"""Encrypted blobs in state/blobs/ab/abcd...: compressed, sealed with a key of their own, addressed by a commitment.

A blob's address is a salted hash of its content, not a bare one: text of low entropy
stays unguessable once salt and key are destroyed. The content is an envelope: one line
of JSON that says whose answer it is, then the payload to the letter.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import zstandard
from cryptography.exceptions import InvalidTag

from agent.ledger.suites import NONCE, Suite, named
from agent.model.errors import IntegrityError, StoreError
from agent.store.errors import from_system
from agent.store.files import fsync_folder, write_private

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import Any

    from agent.ledger.keys import Keys

MAGIC = "agent-blob 1"
COMMITMENT = b"agent-blob-v1\n"
_LEVEL = 3


@dataclass(frozen=True, slots=True)
class BlobRow:
    """What the database keeps of a blob."""

    id: str
    """The commitment, in hexadecimal."""
    salt: bytes
    wrapped_key: bytes
    algorithm: str
    size: int
    """Bytes of the payload."""
    destroyed_at: str
    dedup: str | None
    """Keyed hash of the envelope, by which a duplicate is found; None when a damaged twin holds it."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """What was sealed."""

    head: Mapping[str, str]
    """`kind` and `subject`."""
    payload: bytes

    def pack(self) -> bytes:
        """Return the line of JSON, a newline, the payload."""
        line = json.dumps(dict(self.head), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return line.encode() + b"\n" + self.payload

    @classmethod
    def unpack(cls, data: bytes) -> Envelope:
        """Read it back. Raises ValueError."""
        line, _, payload = data.partition(b"\n")
        head = json.loads(line)
        if not isinstance(head, dict):
            raise ValueError("the envelope has no head")  # noqa: TRY004 - one error for every damage
        return cls(head, payload)


def commitment(suite: Suite, salt: bytes, envelope: bytes) -> str:
    r"""Address of an envelope: hash of `agent-blob-v1 \n salt_hex \n envelope`, which a shell can recompute."""
    return suite.hash(COMMITMENT, salt.hex().encode(), b"\n", envelope)


class Blobs:
    """The blob folder. Writing is durable when `put` returns; the row is the caller's to commit."""

    def __init__(self, folder: Path, keys: Keys, suite: Suite) -> None:
        """Seal with `suite`; reading follows each blob's own header."""
        self.folder = folder
        self.suite = suite
        self._keys = keys
        self._derived: dict[tuple[str, str], bytes] = {}

    def path(self, blob: str) -> Path:
        """Where a blob lies."""
        return self.folder / blob[:2] / blob

    def tag(self, envelope: bytes, suite: Suite | None = None) -> str:
        """Return the keyed hash by which a duplicate is found without its clear text."""
        suite = suite or self.suite
        return suite.mac(self._key(suite, "dedup", 32), envelope)

    def put(self, envelope: bytes, size: int, tag: str | None) -> BlobRow:
        """Encrypt and write: temporary file, fsync, rename, fsync of the folder.

        Raises:
            StoreError: disk full or not writable.
        """
        suite = self.suite
        salt = secrets.token_bytes(32)
        blob = commitment(suite, salt, envelope)
        key = secrets.token_bytes(suite.key_size)
        header = f"{MAGIC} {suite.name} zstd\n".encode()
        packed = zstandard.ZstdCompressor(level=_LEVEL).compress(envelope)
        sealed = header + suite.seal(key, secrets.token_bytes(NONCE), packed, header + blob.encode())
        wrapped = suite.seal(self._key(suite, "wrap"), secrets.token_bytes(NONCE), key, f"key {blob}".encode())
        self._write(blob, sealed)
        return BlobRow(blob, salt, wrapped, suite.name, size, "", tag)

    def get(self, row: BlobRow) -> Envelope:
        """Read, decrypt and check a blob.

        Raises:
            IntegrityError: missing, changed, swapped, or not what its row says.
            StoreError: it cannot be read.
        """
        where = f"blob {row.id}"
        if row.destroyed_at:
            raise IntegrityError("is marked as destroyed", where=where)
        sealed = self._read(row.id, where)
        suite = named(row.algorithm)
        header, _, body = sealed.partition(b"\n")
        if header != f"{MAGIC} {row.algorithm} zstd".encode():
            raise IntegrityError(f"the header is not that of {row.algorithm!r}", where=where)
        try:
            key = suite.unseal(self._key(suite, "wrap"), row.wrapped_key, f"key {row.id}".encode())
            data = _inflate(suite.unseal(key, body, header + b"\n" + row.id.encode()))
            envelope = Envelope.unpack(data)
        except (InvalidTag, ValueError, zstandard.ZstdError) as error:
            raise IntegrityError("does not decrypt: it or its key was changed or swapped", where=where) from error
        if commitment(suite, row.salt, data) != row.id:
            raise IntegrityError("content or salt differs from its address", where=where)
        if row.size != len(envelope.payload):
            raise IntegrityError(f"has {len(envelope.payload)} bytes, its row says {row.size}", where=where)
        return envelope

    def discard(self, blob: str) -> None:
        """Remove a blob that was written but never came to have a row."""
        with suppress(OSError):
            self.path(blob).unlink()

    @contextmanager
    def session(self) -> Iterator[None]:
        """Hold the folder while writing, so that nobody sweeps what is under way."""
        lock = self._lock(fcntl.LOCK_SH)
        try:
            yield
        finally:
            os.close(lock)

    def sweep(self) -> int:
        """Remove temporary files that a killed process left; does nothing while somebody writes.

        Whole blobs stay, with or without a row: evidence is never removed on a guess.
        """
        if not (self.folder / "tmp").is_dir():
            return 0
        try:
            lock = self._lock(fcntl.LOCK_EX | fcntl.LOCK_NB)
        except StoreError:
            return 0
        try:
            orphans = list((self.folder / "tmp").iterdir())
            for orphan in orphans:
                orphan.unlink(missing_ok=True)
            return len(orphans)
        finally:
            os.close(lock)

    def _lock(self, how: int) -> int:
        try:
            if not (self.folder / "tmp").is_dir():
                for folder in (self.folder, self.folder / "tmp"):
                    folder.mkdir(mode=0o700, exist_ok=True)
                fsync_folder(self.folder.parent)
            handle = os.open(self.folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise from_system(error, str(self.folder)) from error
        try:
            fcntl.flock(handle, how)
        except OSError as error:
            os.close(handle)
            raise from_system(error, str(self.folder)) from error
        return handle

    def _write(self, blob: str, sealed: bytes) -> None:
        final = self.path(blob)
        new = self.folder / "tmp" / secrets.token_hex(12)
        try:
            final.parent.mkdir(mode=0o700, exist_ok=True)
            write_private(new, sealed)
            new.rename(final)
            fsync_folder(final.parent)
            # Costs nothing unless somebody has just made a folder in it.
            fsync_folder(self.folder)
        except OSError as error:
            with suppress(OSError):
                new.unlink(missing_ok=True)
            raise from_system(error, str(final)) from error

    def _read(self, blob: str, where: str) -> bytes:
        try:
            return self.path(blob).read_bytes()
        except FileNotFoundError as error:
            raise IntegrityError("is missing", where=where) from error
        except OSError as error:
            raise from_system(error, where) from error

    def _key(self, suite: Suite, purpose: str, size: int | None = None) -> bytes:
        known = self._derived.get((suite.name, purpose))
        if known is None:
            known = self._derived[suite.name, purpose] = suite.derive(self._keys.kek, purpose, size)
        return known


def row_of(values: Mapping[str, Any]) -> BlobRow:
    """Make a BlobRow of a database row."""
    return BlobRow(**{**values, "salt": bytes(values["salt"]), "wrapped_key": bytes(values["wrapped_key"])})


def _inflate(packed: bytes) -> bytes:
    # One whole frame that says its size: what is authenticated was written by `put`.
    return zstandard.ZstdDecompressor().decompress(packed, allow_extra_data=False)
