"""Replace pieces of a target's file by byte offsets, as `splice.sh` does there.

What a target shows of a file is its content with every byte that might be a secret covered, length kept. So offsets into
what was shown are offsets into the file, and neither what is read nor what is written holds a secret.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from shlex import quote

_SHA = re.compile(r"[0-9a-f]{64}")
_PATH = re.compile(r"/[^\x00-\x1f\x7f]*")


@dataclass(frozen=True, slots=True)
class Edit:
    """One piece to be replaced; a length of 0 inserts."""

    offset: int
    """In bytes, of the file as it was read."""
    length: int
    text: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A file as the target showed it."""

    path: str
    """As the configuration names it."""
    real: str
    """With links followed."""
    sha: str
    text: str
    """A character a byte (Latin-1), secrets covered."""

    def line(self, offset: int) -> int:
        """The number of the line in which an offset lies, from 1."""
        return self.text.count("\n", 0, offset) + 1

    def at(self, offset: int) -> str:
        """`path:line`, for people."""
        return f"{self.path}:{self.line(offset)}"


def shown(lines: Iterable[str]) -> tuple[dict[str, Shown], list[str]]:
    """Files by the path that names them, and in words what could not be shown. Other lines are passed over."""
    files: dict[str, Shown] = {}
    missing: list[str] = []
    head: list[str] = []
    body: list[str] = []
    for line in lines:
        words = line.split("\t")
        if words[0] in {"lost", "large"} and len(words) > 1:
            missing.append(f"{words[1]}: {'不存在' if words[0] == 'lost' else '过大'}")
        elif words[0] == "file":
            head, body = words[1:], []
        elif line in {".end", ".torn"} and head:
            one = _whole(head, "".join(body)) if line == ".end" else None
            if one is None:
                missing.append(f"{head[0]}: 读取时有变动或内容无法识别")
            else:
                files[one.path] = one
            head = []
        elif head:
            body.append(line)
    if head:
        missing.append(f"{head[0]}: 未读完")
    return files, missing


def _whole(head: Sequence[str], body: str) -> Shown | None:
    """The file, when all that belongs to it is there and of its form."""
    if len(head) != 4 or not head[3].isdecimal() or not _SHA.fullmatch(head[2]):  # noqa: PLR2004 - path, real, sum, size
        return None
    if not (_PATH.fullmatch(head[0]) and _PATH.fullmatch(head[1])):
        return None
    try:
        data = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        return None
    size = int(head[3])
    # awk ends its last line with a newline, whether the file does or not
    if len(data) not in {size, size + 1} or (len(data) > size and not data.endswith(b"\n")):
        return None
    return Shown(head[0], head[1], head[2], data[:size].decode("latin-1"))


def write(file: Shown, edits: Sequence[Edit]) -> str:
    """The shell that does it, with `splice.sh`."""
    pieces = " ".join(f"{edit.offset} {edit.length} {quote(edit.text)}" for edit in edits)
    return f"splice {quote(file.real)} {file.sha} {pieces}"


def spliced(text: str, edits: Iterable[Edit]) -> str:
    """What `splice.sh` makes of it. Raises ValueError when two pieces overlap."""
    made, at = [], 0
    for edit in sorted(edits, key=lambda each: (each.offset, each.length)):
        if edit.offset < at or edit.offset + edit.length > len(text):
            raise ValueError(f"edit at {edit.offset} overlaps another or lies outside")
        made += [text[at : edit.offset], edit.text]
        at = edit.offset + edit.length
    return "".join([*made, text[at:]])
