"""Make a bundle: of feed files, or of all that this workspace has imported."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import IO, TYPE_CHECKING

import zstandard

from agent.advisories import formats, seal
from agent.advisories.archive import BLOCK
from agent.advisories.intake import files_of, shown_name
from agent.advisories.layers import open_outer, walk
from agent.advisories.limits import BUFFER, Budget, Limits
from agent.advisories.originals import Originals, is_packed
from agent.advisories.seal import Bundle, BundleFile, BundleInfo, Signer, fingerprint, open_bundle
from agent.advisories.source import FeedError
from agent.model.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from agent.advisories.formats import Format
    from agent.advisories.store import FeedStore


__all__ = ["Bundle", "BundleFile", "BundleInfo", "Signer", "fingerprint", "make_bundle", "open_bundle"]


@dataclass(frozen=True, slots=True)
class _Part:
    """A file that goes in."""

    name: str
    feeds: tuple[str, ...]
    open: Callable[[], IO[bytes]]


class _Names:
    """A visitor that only learns which formats a file holds."""

    def __init__(self, known: Sequence[Format]) -> None:
        self._known = known
        self.found: set[str] = set()

    def part(self) -> AbstractContextManager[None]:
        return nullcontext()

    def document(self, name: str, head: bytes, stream: IO[bytes]) -> None:  # noqa: ARG002 - the walk's form
        if head:
            self.found.update([one.name for one in self._known if one.recognise(head, name)][:1])

    def refuse(self, name: str, error: FeedError) -> None:
        """The importing side tells it again, with its reason."""


def make_bundle(
    paths: Sequence[Path],
    out: Path,
    *,
    signer: Signer,
    who: str,
    at: datetime,
    store: FeedStore | None = None,
    known: Sequence[Format] | None = None,
) -> BundleInfo:
    """Write a bundle, whole or not at all; the same files, person and time make the same bytes.

    Args:
        paths: feed files and folders; none: everything that `store` still holds something of.
        out: the bundle; one that is there is replaced.
        signer: the workspace's key.
        who, at: for the manifest.
        store: where no paths are given.
        known: formats; None: all.

    Raises:
        FeedError: a path cannot be read, or nothing is left to bundle.
        StoreError: the bundle cannot be written.
    """
    parts, left_out = _of_paths(paths, formats.ALL if known is None else known) if paths else _of_store(store)
    if not parts:
        raise FeedError("there is nothing to bundle", where=str(out), remedy="import feeds first, or name feed files")
    files = tuple(_measured(number, part) for number, part in enumerate(parts, 1))
    made = at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    info = BundleInfo(made, who, fingerprint(signer.public), files, left_out)
    try:
        _write(out, info, parts, signer)
    except OSError as error:
        raise StoreError(
            f"cannot write the bundle ({error.strerror or error})", where=str(out), remedy="see the space with `df -h`"
        ) from error
    return info


def _of_paths(paths: Sequence[Path], known: Sequence[Format]) -> tuple[list[_Part], tuple[str, ...]]:
    parts, left_out = [], []
    for path in paths:
        for file in files_of(path):
            shown = shown_name(file)
            names = _Names(known)
            budget = Budget(shown, Limits())
            with open_outer(file, budget) as stream:
                walk(shown, stream, names, budget)
            if names.found:
                parts.append(_Part(file.name, tuple(sorted(names.found)), partial(_opened, file)))
            else:
                left_out.append(shown)
    return parts, tuple(left_out)


def _opened(file: Path) -> IO[bytes]:
    return file.open("rb")


def _of_store(store: FeedStore | None) -> tuple[list[_Part], tuple[str, ...]]:
    parts, left_out = [], []
    if store is not None:
        kept = Originals(store.state)
        for sha256, (name, _, feeds) in sorted(store.originals().items(), key=lambda item: (item[1][0], item[0])):
            if kept.has(sha256):
                parts.append(_Part(name, feeds, partial(kept.open, sha256)))
            else:
                left_out.append(f"{name} (sha256 {sha256}): it was too large to be kept")
    return parts, tuple(left_out)


def _measured(number: int, part: _Part) -> BundleFile:
    packed, size, sha256 = _pour(part, lambda _: None)
    # The name is for people; it has to go through every tool that reads a tar.
    base = re.sub(r"[^A-Za-z0-9._-]+", "_", part.name)[-64:].lstrip(".") or "feed"
    return BundleFile(f"feeds/{number:04d}/{base}{'.zst' if packed else ''}", size, sha256, part.feeds)


def _pour(part: _Part, write: Callable[[bytes], object]) -> tuple[bool, int, str]:
    """Write a file, compressed when it was not; whether it was compressed, size and SHA-256 of what was written."""
    digest, size = hashlib.sha256(), 0

    def put(data: bytes) -> None:
        nonlocal size
        size += len(data)
        digest.update(data)
        write(data)

    with part.open() as stream:
        chunk = stream.read(BUFFER)
        packer = None if is_packed(chunk) else zstandard.ZstdCompressor(level=9).compressobj()
        while chunk:
            put(packer.compress(chunk) if packer else chunk)
            chunk = stream.read(BUFFER)
        if packer:
            put(packer.flush())
    return packer is not None, size, digest.hexdigest()


def _write(out: Path, info: BundleInfo, parts: Sequence[_Part], signer: Signer) -> None:
    manifest, signature = seal.sealed(info, signer)
    new = out.with_name(f".{out.name}.{secrets.token_hex(6)}")
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            for name, data in ((seal.MANIFEST, manifest), (seal.SIGNATURE, signature)):
                file.write(seal.header(name, len(data)) + data + bytes(-len(data) % BLOCK))
            for told, part in zip(info.files, parts, strict=True):
                file.write(seal.header(told.name, told.size))
                if _pour(part, file.write)[1:] != (told.size, told.sha256):
                    raise FeedError("it changed while it was bundled", where=part.name, remedy="bundle it again")
                file.write(bytes(-told.size % BLOCK))
            file.write(seal.END)
            file.flush()
            os.fsync(file.fileno())
        new.rename(out)
    finally:
        new.unlink(missing_ok=True)
