"""Read one file out of a .deb on a mirror, as a stream: ar, then data.tar in xz, zstd, gzip or plain.

Standard library and zstandard, not dpkg: the workstation may be of the RPM family.
"""

from __future__ import annotations

import gzip
import http.client
import io
import lzma
import re
import tarfile
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from typing import IO, cast

import zstandard

from agent.model.errors import ToolError
from agent.model.text import decode, one_line

TEXT_LIMIT = 16 * 1024 * 1024
"""Most bytes of an unpacked changelog; the kernel's has about 4 MiB."""
UNPACKED_LIMIT = 4 * 1024 * 1024 * 1024
_CHUNK = 64 * 1024
_AR_HEAD = 60
_NAME = re.compile(r"(?:\./)?usr/share/doc/[a-z0-9][a-z0-9+.-]*/changelog(\.Debian)?(\.gz)?")


class _Source(io.RawIOBase):
    """A bounded, timed stream: at most `size` bytes, before `deadline` (monotonic seconds)."""

    def __init__(self, read: Callable[[int], bytes], size: int, deadline: float) -> None:
        self._read, self._left, self._deadline = read, size, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        if time.monotonic() > self._deadline:
            raise ToolError("the mirror took too long")
        data = self._read(min(len(buffer), self._left))
        self._left -= len(data)
        buffer[: len(data)] = data
        return len(data)


def _exactly(stream: IO[bytes], size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = stream.read(size - len(data))
        if not more:
            raise ToolError("the package breaks off")
        data += more
    return data


def _member(stream: IO[bytes]) -> tuple[str, int]:
    """Skip to data.tar.*; its name and size."""
    if _exactly(stream, 8) != b"!<arch>\n":
        raise ToolError("no Debian package")
    while True:
        head = _exactly(stream, _AR_HEAD)
        name = head[:16].decode("latin-1").strip().rstrip("/")
        if not re.fullmatch(rb"\d+ *", head[48:58]):
            raise ToolError("no Debian package")
        size = int(head[48:58])
        if name.startswith("data.tar"):
            return name, size
        left = size + size % 2
        while left:
            left -= len(_exactly(stream, min(left, _CHUNK)))


def _unpacked(name: str, stream: IO[bytes]) -> IO[bytes]:
    if name.endswith(".xz"):
        return cast("IO[bytes]", lzma.LZMAFile(stream))
    if name.endswith(".zst"):
        return cast("IO[bytes]", zstandard.ZstdDecompressor(max_window_size=2**27).stream_reader(stream))
    if name.endswith(".gz"):
        return cast("IO[bytes]", gzip.GzipFile(fileobj=stream))
    if name == "data.tar":
        return stream
    raise ToolError(f"packed in a way that is not known: {one_line(name, 20)}")


def _text(member: IO[bytes], packed: bool) -> str:
    raw = member.read(TEXT_LIMIT)
    if packed:
        raw = zlib.decompressobj(31).decompress(raw, TEXT_LIMIT)
    return decode(raw)


def read_changelog(stream: IO[bytes], deadline: float) -> str:
    """The changelog in a .deb: `changelog.Debian`, else (a native package) `changelog`.

    Raises:
        ToolError: not a package, broken off, too large, or without a changelog.
    """
    name, size = _member(stream)
    bounded = io.BufferedReader(_Source(stream.read, size, deadline), _CHUNK)
    unpacked = _unpacked(name, cast("IO[bytes]", bounded))
    limited = io.BufferedReader(_Source(unpacked.read, UNPACKED_LIMIT, deadline), _CHUNK)
    fallback = ""
    with tarfile.open(fileobj=limited, mode="r|") as tar:
        for entry in tar:
            hit = _NAME.fullmatch(entry.name)
            member = tar.extractfile(entry) if hit and entry.isreg() else None
            if hit is None or member is None:
                continue
            text = _text(member, bool(hit[2]))
            if hit[1]:
                return text
            fallback = fallback or text
    if not re.match(r"\S+ \([^()\s]+\) [^;\n]*;", fallback):
        raise ToolError("the package holds no changelog")
    return fallback


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A mirror that points elsewhere would lead past the allow-list."""

    def redirect_request(self, *_: object) -> None:
        return None


def changelog(uri: str, *, deadline: float, limit: int) -> str:
    """Fetch a .deb as far as its changelog and return the text.

    Args:
        uri: http or https; the caller has checked its host.
        deadline: monotonic second by which it must be done.
        limit: most bytes read.

    Raises:
        ToolError: not reachable, refused, too slow, too large, broken, or without a changelog.
    """
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)
    try:
        with opener.open(uri, timeout=max(0.1, min(10.0, deadline - time.monotonic()))) as answer:
            source = io.BufferedReader(_Source(answer.read, limit, deadline), _CHUNK)
            return read_changelog(cast("IO[bytes]", source), deadline)
    except urllib.error.HTTPError as error:
        raise ToolError(f"the mirror answers {error.code}") from None
    except (OSError, http.client.HTTPException) as error:
        raise ToolError(f"the mirror cannot be read: {one_line(str(error), 120)}") from None
    except (tarfile.TarError, lzma.LZMAError, zlib.error, zstandard.ZstdError, EOFError, ValueError) as error:
        raise ToolError(f"the package cannot be read: {one_line(str(error), 120)}") from None
