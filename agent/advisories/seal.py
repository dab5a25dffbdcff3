"""One signed, dated file that carries feeds over the air gap.

A bundle is a tar: `manifest.json` (who made it, when, each file's name, size, SHA-256 and feeds), `signature.json`
(Ed25519 over the manifest), then the feed files, those that were not compressed as .zst. Every byte of it is told by
the manifest or covered by the signature, and nothing of it is imported before all of it was verified.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from dataclasses import asdict, dataclass
from typing import IO, TYPE_CHECKING, Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from agent.advisories.archive import BLOCK
from agent.advisories.limits import BUFFER, MIB
from agent.advisories.source import FeedError
from agent.model.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from typing_extensions import Buffer

MANIFEST, SIGNATURE = "manifest.json", "signature.json"
VERSION = "agent-feeds-bundle/1"
END = bytes(2 * BLOCK)
_SIGNED = b"agent feeds bundle 1\n"
"""Put before the manifest when it is signed: the key signs other things too."""
_MAX_MANIFEST = 64 * MIB


class Signer(Protocol):
    """Signs for whoever makes a bundle; the workspace's own key, handed in."""

    @property
    def public(self) -> Ed25519PublicKey:
        """The half that others verify with."""
        ...

    def sign(self, data: bytes) -> bytes:
        """An Ed25519 signature."""
        ...


@dataclass(frozen=True, slots=True)
class BundleFile:
    """A feed file in a bundle."""

    name: str
    """In the bundle: `feeds/0001/kev.json.gz`."""
    size: int
    sha256: str
    feeds: tuple[str, ...]
    """Formats or feeds that it was recognised as."""


@dataclass(frozen=True, slots=True)
class BundleInfo:
    """What a bundle says of itself."""

    made: str
    """UTC."""
    by: str
    fingerprint: str
    """SHA-256 of the signing key's PEM: `sha256sum ed25519.pub`."""
    files: tuple[BundleFile, ...]
    left_out: tuple[str, ...] = ()
    """When it was made: what could not go in, no feed or not kept."""


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose bundles are taken."""

    keys: tuple[Ed25519PublicKey, ...] = ()
    fingerprint: str = ""
    """Of one more key, which the bundle brings itself; compared by a person."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle whose signature and hashes were found good."""

    info: BundleInfo
    begin: int
    """Offset of the first feed file's header."""

    def files(self, file: IO[bytes], name: str) -> Iterator[tuple[str, IO[bytes]]]:
        """Each feed file's name behind the bundle's, and its bytes, seekable."""
        at = self.begin
        for one in self.info.files:
            yield f"{name}!{one_line(one.name)}", io.BufferedReader(_Window(file, at + BLOCK, one.size), BUFFER)
            at += BLOCK + one.size + -one.size % BLOCK


class _Window(io.RawIOBase):
    """A part of a file as a file."""

    def __init__(self, file: IO[bytes], begin: int, size: int) -> None:
        self._file, self._begin, self._size, self._at = file, begin, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = max(0, offset + (0, self._at, self._size)[whence])
        return self._at

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer).cast("B")
        self._file.seek(self._begin + self._at)
        data = self._file.read(max(0, min(len(view), self._size - self._at)))
        view[: len(data)] = data
        self._at += len(data)
        return len(data)


def fingerprint(key: Ed25519PublicKey) -> str:
    """SHA-256 of the key's PEM text, as `sha256sum ed25519.pub` tells it."""
    return hashlib.sha256(pem(key)).hexdigest()


def pem(key: Ed25519PublicKey) -> bytes:
    """The key as a PEM file."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def header(name: str, size: int) -> bytes:
    """The one header that a member of a bundle has: no byte of a bundle is left to choice."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def is_bundle(file: IO[bytes]) -> bool:
    """Whether a file begins as a bundle does. It is left at its beginning."""
    file.seek(0)
    head = file.read(BLOCK)
    file.seek(0)
    name = MANIFEST.encode() + b"\0"
    return head.startswith(name) and head[257:262] == b"ustar"


def open_bundle(path: Path, trusted: Sequence[Ed25519PublicKey], trust_key: str = "") -> Bundle:
    """Verify a bundle, all of it.

    Args:
        path: of the bundle.
        trusted: keys whose bundles are taken.
        trust_key: fingerprint of one more.

    Raises:
        FeedError: no bundle, an unknown key, or what does not fit, by name.
    """
    shown = one_line(str(path))
    try:
        with path.open("rb") as file:
            return verified(file, shown, Trust(tuple(trusted), trust_key))
    except OSError as error:
        raise FeedError(
            f"cannot be read ({error.strerror or error})", where=shown, remedy="check its owner and mode"
        ) from error


def verified(file: IO[bytes], name: str, trust: Trust) -> Bundle:
    """Verify an open bundle: signature first, then every file; what does not fit is named. Raises FeedError."""
    if not is_bundle(file):
        raise FeedError("this is no bundle of feeds", where=name, remedy="`agent feeds bundle` makes one")
    manifest, signature = _small(file, MANIFEST, name), _small(file, SIGNATURE, name)
    key = _signer(manifest, signature, name)
    mark = fingerprint(key)
    if mark not in {trust.fingerprint.lower(), *map(fingerprint, trust.keys)}:
        raise FeedError(
            f"the bundle is signed by a key that is not trusted here, {mark}",
            where=name,
            remedy="compare the fingerprint with its maker by another way, then import it with --trust FINGERPRINT",
        )
    info = _info(manifest, mark, name)
    begin = file.tell()
    wrong = [one.name for one in info.files if not _fits(file, one)]
    if wrong:
        raise _hostile(f"{len(wrong)} of {len(info.files)} files do not fit: {', '.join(wrong[:10])}", name)
    if file.read(len(END) + 1) != END:
        raise _hostile("something follows the last file, or the end is missing", name)
    file.seek(0)
    return Bundle(info, begin)


def _small(file: IO[bytes], member: str, name: str) -> bytes:
    """One of the two members that are read whole."""
    block = file.read(BLOCK)
    try:
        size = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape").size
    except tarfile.HeaderError as error:
        raise _hostile(f"{member} is damaged", name) from error
    if not 0 < size <= _MAX_MANIFEST or block != header(member, size):
        raise _hostile(f"{member} is damaged", name)
    data, padding = file.read(size), file.read(-size % BLOCK)
    if len(data) < size or padding != bytes(-size % BLOCK):
        raise _hostile(f"{member} is damaged", name)
    return data


def _signer(manifest: bytes, signature: bytes, name: str) -> Ed25519PublicKey:
    """The key that signed the manifest, known or not."""
    try:
        said = json.loads(signature)
        key, sealed = serialization.load_pem_public_key(said["key"].encode()), bytes.fromhex(said["signature"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, UnsupportedAlgorithm) as error:
        raise _hostile("its signature is damaged", name) from error
    if not isinstance(key, Ed25519PublicKey) or signature != _signature(key, sealed):
        raise _hostile("its signature has another form", name)
    try:
        key.verify(sealed, _SIGNED + manifest)
    except InvalidSignature as error:
        raise _hostile("its signature does not fit its manifest", name) from error
    return key


def _signature(key: Ed25519PublicKey, signature: bytes) -> bytes:
    return _json({"algorithm": "Ed25519", "key": pem(key).decode(), "signature": signature.hex()})


def sealed(info: BundleInfo, signer: Signer) -> tuple[bytes, bytes]:
    """Manifest and signature of a bundle that is being made."""
    files = [asdict(one) for one in info.files]
    manifest = _json({"format": VERSION, "made": info.made, "by": info.by, "files": files})
    return manifest, _signature(signer.public, signer.sign(_SIGNED + manifest))


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True).encode() + b"\n"


def _info(manifest: bytes, mark: str, name: str) -> BundleInfo:
    try:
        said = json.loads(manifest)
        if said["format"] != VERSION:
            raise FeedError(
                f"a bundle of another version, {one_line(str(said['format']))}",
                where=name,
                remedy="use the program version that made it, or a newer one",
            )
        files = tuple(
            BundleFile(str(one["name"]), int(one["size"]), str(one["sha256"]), tuple(map(str, one["feeds"])))
            for one in said["files"]
        )
        return BundleInfo(str(said["made"]), one_line(str(said["by"])), mark, files)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _hostile(f"its manifest is not understood: {error}", name) from error


def _fits(file: IO[bytes], one: BundleFile) -> bool:
    """Whether the next member is this file; the reading goes on behind it either way."""
    fits = file.read(BLOCK) == header(one.name, one.size)
    digest, left = hashlib.sha256(), one.size
    while left and (data := file.read(min(BUFFER, left))):
        digest.update(data)
        left -= len(data)
    padding = -one.size % BLOCK
    return fits and not left and file.read(padding) == bytes(padding) and digest.hexdigest() == one.sha256


def _hostile(message: str, name: str) -> FeedError:
    return FeedError(message, where=name, remedy="do not import it; get it again from whoever made it")
