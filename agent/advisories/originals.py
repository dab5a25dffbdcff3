"""Keep the files that feeds were imported from, so that all of them can be bundled and carried on.

They lie under state/feeds/ by the SHA-256 of their content, compressed when they were not; what nothing stored comes
from any more is removed.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from typing import IO, TYPE_CHECKING

import zstandard

from agent.advisories.archive import archive
from agent.advisories.compression import compression
from agent.advisories.limits import BUFFER
from agent.model.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

MAX_KEPT = 4 * 1024 * 1024 * 1024
"""Bytes of all kept files; what would go beyond is imported but not kept."""
_PACKED = ".zst"


def is_packed(head: bytes) -> bool:
    """Whether compressing it again would gain nothing."""
    return bool(compression(head)) or archive(head) == "zip"


class Originals:
    """The folder of kept files."""

    def __init__(self, state: Path) -> None:
        """Of a workspace's state folder; made on first use."""
        self.folder = state / "feeds"

    def keep(self, stream: IO[bytes], limit: int = MAX_KEPT) -> tuple[str, int]:
        """Keep a file; its SHA-256 and size. Nothing is kept when the folder would outgrow the limit.

        Raises:
            StoreError: the folder cannot be written, the disk is full.
        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            left = limit - sum(file.stat().st_size for file in self.folder.iterdir())
            new = self.folder / f".{secrets.token_hex(8)}"
            try:
                sha256, size, packed = _write(new, stream, left)
                if new.stat().st_size <= left:
                    new.rename(self.folder / (sha256 + (_PACKED if packed else "")))
            finally:
                new.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(
                f"cannot keep an imported file ({error.strerror or error})",
                where=str(self.folder),
                remedy="free space (`df -h`), then import again: the feeds are as they were before",
            ) from error
        return sha256, size

    def has(self, sha256: str) -> bool:
        """Whether it was kept."""
        return any((self.folder / name).is_file() for name in (sha256, sha256 + _PACKED))

    def open(self, sha256: str) -> IO[bytes]:
        """The content of a kept file. Raises OSError."""
        plain = self.folder / sha256
        if plain.is_file():
            return plain.open("rb")
        packed = (self.folder / (sha256 + _PACKED)).open("rb")
        return zstandard.ZstdDecompressor().stream_reader(packed, closefd=True)

    def tidy(self, wanted: Collection[str]) -> None:
        """Remove what is not wanted, also what an import left behind that was killed."""
        if self.folder.is_dir():
            for file in self.folder.iterdir():
                if file.name.removesuffix(_PACKED) not in wanted:
                    file.unlink(missing_ok=True)


def _write(new: Path, stream: IO[bytes], left: int) -> tuple[str, int, bool]:
    """Hash all of it; write while there is room. SHA-256, size, and whether it was compressed here."""
    digest, size = hashlib.sha256(), 0
    chunk = stream.read(BUFFER)
    packer = None if is_packed(chunk) else zstandard.ZstdCompressor(level=6).compressobj()
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        while chunk:
            digest.update(chunk)
            size += len(chunk)
            if file.tell() <= left:
                file.write(packer.compress(chunk) if packer else chunk)
            chunk = stream.read(BUFFER)
        if packer and file.tell() <= left:
            file.write(packer.flush())
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest(), size, packer is not None
