"""Walk through compression and archives, whichever way they are nested, down to the documents within."""

from __future__ import annotations

import io
from typing import IO, TYPE_CHECKING, Protocol

from agent.advisories.archive import archive, tar_members, zip_members
from agent.advisories.compression import compression, decompressed
from agent.advisories.limits import BUFFER, LayerError, behind
from agent.advisories.source import FeedError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from typing_extensions import Buffer

    from agent.advisories.limits import Budget

HEAD = 64 * 1024
"""Bytes by which a format is recognised."""


class Visitor(Protocol):
    """Who is told what the walk finds."""

    def part(self) -> AbstractContextManager[None]:
        """Begin a part that is undone alone when an exception leaves it."""
        ...

    def document(self, name: str, head: bytes, stream: IO[bytes]) -> None:
        """A document; `head` is its beginning, `stream` all of it."""
        ...

    def refuse(self, name: str, error: FeedError) -> None:
        """A member of an archive that was refused; the others count."""
        ...


class Counted(io.RawIOBase):
    """The outer file, read through the budget."""

    def __init__(self, file: IO[bytes], budget: Budget) -> None:
        """Wrap an unbuffered file."""
        self._file = file
        self._budget = budget

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes: outer files are regular files."""
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move."""
        return self._file.seek(offset, whence)

    def fileno(self) -> int:
        """The file's."""
        return self._file.fileno()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()

    def readinto(self, buffer: Buffer) -> int:
        """Fill the buffer, or less. Raises LayerError when the disk fails."""
        view = memoryview(buffer).cast("B")
        try:
            data = self._file.read(len(view))
        except OSError as error:
            said = error.strerror or str(error)
            raise LayerError(f"cannot be read ({said})", where=self._budget.name, depth=0) from error
        view[: len(data)] = data
        self._budget.read += len(data)
        return len(data)


def open_outer(path: Path, budget: Budget) -> io.BufferedReader:
    """An outer file, buffered and counted; unbuffered below, so that what is counted was needed. Raises FeedError."""
    try:
        return io.BufferedReader(Counted(path.open("rb", buffering=0), budget), BUFFER)
    except OSError as error:
        raise FeedError(
            f"cannot be read ({error.strerror or error})", where=budget.name, remedy="check its owner and mode"
        ) from error


def walk(name: str, stream: IO[bytes], visitor: Visitor, budget: Budget, *, depth: int = 0, archives: int = 0) -> None:
    """Tell the visitor every document in a file.

    A broken member is refused alone; a broken layer takes with it all that it holds.

    Args:
        name: of the file, members behind `!`.
        stream: its bytes; seekable when it is an outer file (depth 0).
        visitor: is told.
        budget: of the outer file.
        depth, archives: layers, and archives, around it.

    Raises:
        FeedError: the document, when the file is nothing but one.
        LayerError: this file as a layer, or one around it.
    """
    if depth > budget.limits.layers:
        raise LayerError(f"more than {budget.limits.layers} layers of compression and archives", where=name, depth=0)
    head = stream.read(HEAD)
    if kind := compression(head):
        inner = decompressed(kind, _whole(head, stream, depth), name, depth, budget)
        walk(name, inner, visitor, budget, depth=depth + 1, archives=archives)
        return
    kind = archive(head)
    if not kind:
        visitor.document(name, head, behind(head, stream))
        return
    if archives >= budget.limits.archives:
        raise LayerError(f"more than {budget.limits.archives} archives within each other", where=name, depth=depth)
    whole = _whole(head, stream, depth)
    if kind == "tar":
        members = tar_members(whole, name, depth, budget)
    else:
        members = zip_members(whole if whole is stream else _held(whole, name, depth, budget), name, depth, budget)
    with visitor.part():
        for member, body in members:
            try:
                with visitor.part():
                    walk(member, body, visitor, budget, depth=depth + 1, archives=archives + 1)
            except FeedError as error:
                if isinstance(error, LayerError) and error.depth <= depth:
                    raise
                visitor.refuse(member, error)


def _whole(head: bytes, stream: IO[bytes], depth: int) -> IO[bytes]:
    if depth == 0:
        stream.seek(0)
        return stream
    return behind(head, stream)


def _held(stream: IO[bytes], name: str, depth: int, budget: Budget) -> IO[bytes]:
    data = stream.read(budget.limits.held + 1)
    if len(data) > budget.limits.held:
        raise LayerError(
            f"a zip of more than {budget.limits.held >> 20} MiB within another archive",
            where=name,
            depth=depth,
            remedy="unpack the outer archive and name the folder",
        )
    return io.BytesIO(data)
