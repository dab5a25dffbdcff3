"""What one file may become: sizes, ratios and counts beyond which it is a bomb; and streams that count."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from agent.advisories.source import FeedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Buffer

MIB = 1024 * 1024
BUFFER = 128 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds for one outer file."""

    total: int = 32 * 1024 * MIB
    """Decompressed bytes of all layers. Red Hat's VEX archive, the largest that is known, has some 20 GB."""
    ratio: int = 500
    """Decompressed bytes for one that was read. Real feeds reach 280; deflate's most is 1,032."""
    ratio_from: int = 64 * MIB
    """Decompressed bytes before the ratio counts: small documents of nothing harm nobody."""
    members: int = 2_000_000
    member_tables: int = 256 * MIB
    """Bytes of a zip's list of members."""
    held: int = 64 * MIB
    """Bytes of a zip within another archive: it is read from its end, so it has to be held."""
    layers: int = 8
    """Compression and archives within each other."""
    archives: int = 3
    """Archives within each other."""


class LayerError(FeedError):
    """A layer (compression, archive) is broken, or a limit is passed: everything that it holds is refused.

    Attributes:
        depth: which layer; 0 is the outer file.
    """

    def __init__(self, message: str, *, where: str, depth: int, remedy: str = "") -> None:
        super().__init__(
            message, where=where, remedy=remedy or "get the file again from its publisher and compare its checksum"
        )
        self.depth = depth


class Budget:
    """Counts what is read of one outer file and what becomes of it."""

    def __init__(self, name: str, limits: Limits) -> None:
        """Begin at nothing."""
        self.name = name
        self.limits = limits
        self.begin()

    def begin(self) -> None:
        """Count anew: the file is read from its beginning."""
        self.read = 0
        self._made = 0
        self._members = 0

    def made(self, count: int) -> None:
        """Count decompressed bytes. Raises LayerError for a bomb."""
        self._made += count
        if self._made > self.limits.total:
            raise self._bomb(f"it holds more than {self.limits.total // MIB} MiB")
        if self._made > self.limits.ratio_from and self._made > self.limits.ratio * self.read:
            raise self._bomb(f"a decompression bomb: {self._made // MIB} MiB out of {self.read // 1024} KiB")

    def member(self) -> None:
        """Count a member of an archive. Raises LayerError when there are too many."""
        self._members += 1
        if self._members > self.limits.members:
            raise self._bomb(f"more than {self.limits.members} members")

    def _bomb(self, message: str) -> LayerError:
        return LayerError(message, where=self.name, depth=0, remedy="do not import it; ask where it comes from")


class Pulled(io.RawIOBase):
    """A readable stream out of a function that gives up to n bytes, and none at the end."""

    def __init__(self, pull: Callable[[int], bytes]) -> None:
        """Wrap it."""
        self._pull = pull

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Buffer) -> int:
        """Fill the buffer, or less."""
        view = memoryview(buffer).cast("B")
        data = self._pull(len(view))
        view[: len(data)] = data
        return len(data)


def buffered(pull: Callable[[int], bytes]) -> IO[bytes]:
    """A buffered stream out of a function."""
    return io.BufferedReader(Pulled(pull), BUFFER)


def behind(head: bytes, stream: IO[bytes]) -> IO[bytes]:
    """The stream with what was already read of it put back."""
    rest = [head]

    def pull(count: int) -> bytes:
        if rest:
            data, left = rest[0][:count], rest[0][count:]
            rest[:] = [left] if left else []
            return data or stream.read(count)
        return stream.read(count)

    return buffered(pull)


def drain(stream: IO[bytes]) -> None:
    """Read to the end, so that checksums are checked and truncation shows."""
    while stream.read(BUFFER):
        pass
