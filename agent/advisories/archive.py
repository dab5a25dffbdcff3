"""Members of archives, one after the other: tar from a stream, zip from a file. Nothing is ever written to disk.

Names that lead out of an archive, links and devices are refused all the same: an archive that has them was not made
by a publisher of feeds.
"""

from __future__ import annotations

import re
import stat
import struct
import tarfile
import zipfile
import zlib
from typing import IO, TYPE_CHECKING

from agent.advisories.limits import BUFFER, MIB, LayerError, buffered, drain
from agent.model.text import decode, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.advisories.limits import Budget

BLOCK = tarfile.BLOCKSIZE
_MAX_HEADER = MIB
"""Bytes of a tar's extended header: names and times."""
_END, _END_SIZE = b"PK\x05\x06", 22
_ZIP_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2}
_ENCRYPTED = 0x1
_UNIX = 3

Member = tuple[str, IO[bytes]]


def archive(head: bytes) -> str:
    """`zip`, `tar`, or empty, by the first bytes."""
    if head.startswith((b"PK\x03\x04", _END)):
        return "zip"
    if len(head) >= BLOCK and any(head[:BLOCK]):
        try:
            tarfile.TarInfo.frombuf(head[:BLOCK], "utf-8", "surrogateescape")
        except tarfile.HeaderError:
            return ""
        return "tar"
    return ""


def _safe(name: str, where: str, depth: int) -> str:
    """The member's name, to be shown. Raises LayerError for one that leads out of the archive."""
    shown = one_line(decode(name.encode("utf-8", "surrogateescape")))
    parts = name.replace("\\", "/").split("/")
    if ".." in parts or name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", name) or "\0" in name:
        raise _hostile(f"a member's name leads out of the archive: {shown}", where, depth)
    return shown.removeprefix("./")


def _hostile(message: str, where: str, depth: int) -> LayerError:
    return LayerError(message, where=where, depth=depth, remedy="do not import it; ask where it comes from")


class _Tar:
    """Reads a tar forward. The standard library's reader keeps every header, and takes those of any size."""

    def __init__(self, stream: IO[bytes], name: str, depth: int, budget: Budget) -> None:
        self._stream = stream
        self._name = name
        self._depth = depth
        self._budget = budget
        self._left = 0
        """Bytes of the present member, with its padding, that were not read."""

    def members(self) -> Iterator[Member]:
        """Regular files; folders are passed over."""
        long_name, extended = "", {}
        while (info := self._header()) is not None:
            self._budget.member()
            if info.type == tarfile.GNUTYPE_LONGNAME:
                long_name = self._text(info).rstrip("\0")
            elif info.type in {tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE}:
                extended = _pax(self._text(info))
            elif info.type == tarfile.XGLTYPE:
                self._text(info)
            else:
                name = _safe(extended.get("path") or long_name or info.name, self._name, self._depth)
                size = self._size(extended["size"]) if "size" in extended else info.size
                long_name, extended = "", {}
                if info.type not in {tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE, tarfile.DIRTYPE}:
                    raise _hostile(f"{name} is a link, a device or a sparse file", self._name, self._depth)
                if info.type != tarfile.DIRTYPE:
                    yield f"{self._name}!{name}", self._body(size)
                    self._skip()

    def _header(self) -> tarfile.TarInfo | None:
        block = self._exactly(BLOCK)
        if not any(block):
            # The rest is padding; read, so that the checksum of a compression around it is looked at.
            drain(self._stream)
            return None
        try:
            info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            raise self._broken(str(error)) from error
        if info.size < 0:
            raise self._broken("a member of negative size")
        return info

    def _size(self, said: str) -> int:
        # `isdigit` takes digits that `int` does not, and `int` refuses very long numbers.
        if not re.fullmatch("[0-9]{1,19}", said):
            raise self._broken("a member's size is no number")
        return int(said)

    def _text(self, info: tarfile.TarInfo) -> str:
        if info.size > _MAX_HEADER:
            raise self._broken(f"an extended header of more than {_MAX_HEADER >> 20} MiB")
        data = self._exactly(info.size)
        self._exactly(-info.size % BLOCK)
        return data.decode("utf-8", "surrogateescape")

    def _exactly(self, count: int) -> bytes:
        data = self._stream.read(count) if count else b""
        if len(data) < count:
            raise self._broken("it ends too early")
        return data

    def _body(self, size: int) -> IO[bytes]:
        self._left = size + -size % BLOCK
        end = -size % BLOCK

        def pull(count: int) -> bytes:
            data = self._stream.read(min(count, self._left - end)) if self._left > end else b""
            if not data and self._left > end:
                raise self._broken("it ends too early")
            self._left -= len(data)
            return data

        return buffered(pull)

    def _skip(self) -> None:
        while self._left:
            data = self._stream.read(min(BUFFER, self._left))
            if not data:
                raise self._broken("it ends too early")
            self._left -= len(data)

    def _broken(self, message: str) -> LayerError:
        return LayerError(f"broken or truncated tar: {message}", where=self._name, depth=self._depth)


def _pax(text: str) -> dict[str, str]:
    """Records `LENGTH KEY=VALUE` of an extended header (POSIX.1-2001, pax)."""
    return dict(found.groups() for found in re.finditer(r"^\d+ ([^=\n]+)=(.*)$", text, re.MULTILINE))  # type: ignore[misc]


def tar_members(stream: IO[bytes], name: str, depth: int, budget: Budget) -> Iterator[Member]:
    """Names (`ARCHIVE!MEMBER`) and streams; a stream is good until the next is asked for. Raises LayerError."""
    yield from _Tar(stream, name, depth, budget).members()


def zip_members(file: IO[bytes], name: str, depth: int, budget: Budget) -> Iterator[Member]:
    """Names (`ARCHIVE!MEMBER`) and streams of a seekable zip. Raises LayerError."""
    _check_tables(file, name, depth, budget)
    try:
        with zipfile.ZipFile(file) as opened:
            members = opened.infolist()
            for info in members:
                budget.member()
                _check_member(info, _safe(info.filename, name, depth), name, depth)
            for info in members:
                if not info.is_dir():
                    where = f"{name}!{_safe(info.filename, name, depth)}"
                    yield where, _zip_body(opened, info, where, depth, budget)
    except _BROKEN_ZIP as error:
        raise LayerError(f"broken or truncated zip: {_said(error)}", where=name, depth=depth) from error


_BROKEN_ZIP = (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError, zlib.error)


def _said(error: BaseException) -> str:
    return one_line(str(error)) or type(error).__name__


def _check_tables(file: IO[bytes], name: str, depth: int, budget: Budget) -> None:
    """The list of members is read into memory whole: look at its size first (APPNOTE.TXT 4.3.16)."""
    length = file.seek(0, 2)
    file.seek(max(0, length - 65536 - _END_SIZE))
    tail = file.read(65536 + _END_SIZE)
    at = tail.rfind(_END)
    if at < 0 or len(tail) < at + _END_SIZE:
        raise LayerError("broken or truncated zip: its list of members is missing", where=name, depth=depth)
    size = struct.unpack_from("<L", tail, at + 12)[0]
    if (length if size == 0xFFFFFFFF else size) > budget.limits.member_tables:  # noqa: PLR2004 - zip64 says so
        raise LayerError(
            "a zip with too long a list of members", where=name, depth=depth, remedy="unpack it and name the folder"
        )


def _check_member(info: zipfile.ZipInfo, shown: str, name: str, depth: int) -> None:
    if not info.filename:  # a name is cut at its first NUL; `ZipInfo.is_dir` would fail
        raise _hostile("a member without a name", name, depth)
    mode = info.external_attr >> 16
    if info.create_system == _UNIX and stat.S_IFMT(mode) not in {0, stat.S_IFREG, stat.S_IFDIR}:
        raise _hostile(f"{shown} is a link or a device", name, depth)
    if info.flag_bits & _ENCRYPTED:
        raise LayerError(f"{shown} is encrypted", where=name, depth=depth, remedy="unpack it and name the folder")
    if info.compress_type not in _ZIP_METHODS:
        raise LayerError(
            f"{shown} is compressed by method {info.compress_type}",
            where=name,
            depth=depth,
            remedy="unpack it and name the folder, or pack it with deflate",
        )


def _zip_body(opened: zipfile.ZipFile, info: zipfile.ZipInfo, where: str, depth: int, budget: Budget) -> IO[bytes]:
    member = opened.open(info)

    def pull(count: int) -> bytes:
        try:
            data = member.read(count)
        except _BROKEN_ZIP as error:
            raise LayerError(f"broken or truncated zip: {_said(error)}", where=where, depth=depth) from error
        budget.made(len(data))
        return data

    return buffered(pull)
