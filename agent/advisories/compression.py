"""Decompress as a stream, with bounded memory: gzip, xz, bzip2 and zstd, known by their first bytes."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from typing import IO, TYPE_CHECKING, Protocol

import zstandard

from agent.advisories.limits import BUFFER, MIB, LayerError, buffered

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.advisories.limits import Budget

_MEMORY = 128 * MIB
"""Of a dictionary or window: `xz -9` and `zstd --long=27` need no more."""
_ZSTD_STEP = 1024
"""Bytes given to zstd at once: a block of three bytes may become 128 KiB."""
_MAGIC = (
    (b"\x1f\x8b", "gz"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zst"),
)
_BROKEN = (EOFError, OSError, zlib.error, lzma.LZMAError, zstandard.ZstdError, MemoryError, ValueError)


class _Decompressor(Protocol):
    """What bz2 and lzma have; zstd is brought to it."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Zstd:
    """zstandard's object gives all that the input makes; so it gets little at once, and the rest waits here."""

    def __init__(self) -> None:
        self._inner = zstandard.ZstdDecompressor(max_window_size=_MEMORY).decompressobj()
        self._input, self._at = b"", 0
        self._output = b""

    @property
    def eof(self) -> bool:
        return self._inner.eof and not self._output

    @property
    def needs_input(self) -> bool:
        return not self._output and self._at >= len(self._input)

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data + self._input[self._at :]

    def decompress(self, data: bytes, max_length: int) -> bytes:
        if data:
            self._input, self._at = self._input[self._at :] + data, 0
        while not self._output and self._at < len(self._input) and not self._inner.eof:
            step = self._input[self._at : self._at + _ZSTD_STEP]
            self._at += len(step)
            self._output = self._inner.decompress(step)
        out, self._output = self._output[:max_length], self._output[max_length:]
        return out


_MAKE: dict[str, Callable[[], _Decompressor]] = {
    "bz2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY),
    "zst": _Zstd,
}


def compression(head: bytes) -> str:
    """`gz`, `xz`, `bz2`, `zst`, or empty."""
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if head[:3] == b"BZh" and head[3:4].isdigit() and head[4:10] in {b"1AY&SY", b"\x17rE8P\x90"}:
        return "bz2"
    # A skippable frame of zstd, which pzstd writes first.
    if len(head) > 3 and head[1:4] == b"\x2a\x4d\x18" and head[0] & 0xF0 == 0x50:  # noqa: PLR2004 - RFC 8878, 3.1.2
        return "zst"
    return ""


def decompressed(kind: str, stream: IO[bytes], name: str, depth: int, budget: Budget) -> IO[bytes]:
    """The stream, decompressed; several frames after one another are one. Reading raises LayerError."""
    pull = gzip.GzipFile(fileobj=stream, mode="rb").read if kind == "gz" else _frames(_MAKE[kind], stream)

    def careful(count: int) -> bytes:
        try:
            data = pull(count)
        except LayerError:
            raise
        except _BROKEN as error:
            said = " ".join(str(error).split()) or type(error).__name__
            raise LayerError(f"broken or truncated {kind}: {said}", where=name, depth=depth) from error
        budget.made(len(data))
        return data

    return buffered(careful)


def _frames(make: Callable[[], _Decompressor], stream: IO[bytes]) -> Callable[[int], bytes]:
    """Read frame after frame; zero bytes may pad the end. Raises EOFError when the last frame is not whole."""
    frame = make()

    def pull(count: int) -> bytes:
        nonlocal frame
        while True:
            data = b""
            if frame.eof:
                data = frame.unused_data.lstrip(b"\0") or _after_zeros(stream)
                if not data:
                    return b""
                frame = make()
            elif frame.needs_input:
                data = stream.read(BUFFER)
                if not data:
                    raise EOFError("it ends too early")
            if out := frame.decompress(data, count):
                return out

    return pull


def _after_zeros(stream: IO[bytes]) -> bytes:
    while data := stream.read(BUFFER):
        if rest := data.lstrip(b"\0"):
            return rest
    return b""
