"""Declared YAML files, read with care: every value knows its line, every refusal says what to do.

The dialect is YAML 1.2's core schema, cut down so that a value means one thing:

- keys are always text;
- `true`, `false`, `null`, `~` and decimal numbers are typed; all else is text. So `no`, `on`, a date
  and a file mode such as `0600` stay as written (YAML 1.1 would make False, True, a date and 384 of them);
- anchors, aliases, tags, merge keys, several documents, duplicate keys, control and bidi characters are refused.
"""

from __future__ import annotations

import json
import math
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pydantic
import yaml

from agent.declared.problems import Problem, raise_problems, translate
from agent.model.errors import DeclaredError
from agent.model.text import clean

MAX_BYTES = 2 * 1024 * 1024
MAX_DEPTH = 40
MAX_NODES = 200_000

Loc = tuple[str | int, ...]
M = TypeVar("M", bound=pydantic.BaseModel)

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})?\.[0-9]+(?:[eE][-+]?[0-9]{1,3})?")
_WORDS = {"true": True, "True": True, "false": False, "False": False, "null": None, "~": None, "": None}


def dotted(loc: Sequence[str | int]) -> str:
    """Show a location as people write it: `hosts[3].port`."""
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


@dataclass(frozen=True)
class Document:
    """A YAML file as plain dicts, lists and scalars, with the line of each node."""

    path: Path
    data: object
    """dict, list, str, int, float, bool or None; None for a file that holds nothing."""
    lines: dict[Loc, int] = field(default_factory=dict, repr=False)
    """First line (from 1) of each node, by location; a mapping's value has its key's line."""

    def line(self, loc: Loc) -> int:
        """Line of the node, or of the nearest node above that the file holds."""
        for end in range(len(loc), 0, -1):
            if loc[:end] in self.lines:
                return self.lines[loc[:end]]
        return 1

    def where(self, loc: Loc) -> str:
        """`FILE:LINE: field.path`, the field left out for the whole document."""
        place = f"{self.path}:{self.line(loc)}"
        return f"{place}: {dotted(loc)}" if loc else place


def _refuse(path: Path, mark: object, message: str, remedy: str) -> DeclaredError:
    line = getattr(mark, "line", None)
    return DeclaredError(message, where=f"{path}:{line + 1}" if line is not None else str(path), remedy=remedy)


def _read(path: Path) -> str:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise DeclaredError("is not a regular file", where=str(path), remedy="put a YAML file there")
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise DeclaredError(
            "file not found", where=str(path), remedy="write it; `agent init DIR` makes a commented example"
        ) from None
    except (OSError, ValueError) as error:
        raise DeclaredError(
            f"cannot be read: {getattr(error, 'strerror', None) or error}",
            where=str(path),
            remedy="check the path, its owner and mode",
        ) from None
    return decode(raw, path)


def decode(raw: bytes, path: Path) -> str:
    """Decode a declared file's bytes. Raises DeclaredError when too large or not UTF-8."""
    if len(raw) > MAX_BYTES:
        raise DeclaredError(
            f"is larger than {MAX_BYTES // 1024 // 1024} MiB", where=str(path), remedy="split it or cut it down"
        )
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise DeclaredError(
            "is not UTF-8 text", where=f"{path}:{line}", remedy="save it as UTF-8 (iconv -f gb18030 -t utf-8)"
        ) from None


def _scalar(text: str) -> str | int | float | bool | None:
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    return text


@dataclass
class _Open:
    """A collection under construction."""

    value: dict[str, object] | list[object]
    loc: Loc
    key: str | None = None


class _Builder:
    """Builds the document from the parser's events: no recursion, so no depth can overrun the stack."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: dict[Loc, int] = {}
        self.stack: list[_Open] = []
        self.root: object = None
        self.documents = 0
        self.nodes = 0

    def feed(self, event: yaml.Event) -> None:
        """Take one event of the parser."""
        mark = event.start_mark
        if isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                raise _refuse(self.path, mark, "a second document begins (`---`)", "keep one document a file")
        elif isinstance(event, yaml.AliasEvent):
            raise _refuse(self.path, mark, "an alias (`*name`) is not accepted", "write the value out")
        elif isinstance(event, yaml.ScalarEvent):
            self._checked(event)
            self._text(event, mark)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._checked(event)
            self._begin({} if isinstance(event, yaml.MappingStartEvent) else [], mark)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self.stack.pop()

    def _checked(self, event: yaml.Event) -> None:
        self.nodes += 1
        mark = event.start_mark
        if self.nodes > MAX_NODES:
            raise _refuse(self.path, mark, f"holds more than {MAX_NODES} values", "split it or cut it down")
        if getattr(event, "anchor", None) is not None:
            raise _refuse(self.path, mark, "an anchor (`&name`) is not accepted", "write the value out where needed")
        if getattr(event, "tag", None) is not None:
            raise _refuse(self.path, mark, "a tag (`!name`) is not accepted", "remove the tag")

    def _place(self, mark: object) -> tuple[_Open | None, Loc]:
        """Return the open collection and the location that the next value in it takes."""
        line = getattr(mark, "line", 0) + 1
        if not self.stack:
            self.lines[()] = line
            return None, ()
        top = self.stack[-1]
        if isinstance(top.value, list):
            loc = (*top.loc, len(top.value))
            self.lines[loc] = line
        else:
            loc = (*top.loc, top.key or "")
        return top, loc

    def _put(self, top: _Open | None, value: object) -> None:
        if top is None:
            self.root = value
        elif isinstance(top.value, list):
            top.value.append(value)
        else:
            top.value[top.key or ""] = value
            top.key = None

    def _awaits_key(self) -> bool:
        return bool(self.stack) and isinstance(self.stack[-1].value, dict) and self.stack[-1].key is None

    def _text(self, event: yaml.ScalarEvent, mark: object) -> None:
        if clean(event.value) != event.value:
            raise _refuse(
                self.path, mark, "holds a control, bidi or unassigned character", "remove the invisible character"
            )
        if self._awaits_key():
            self._key(event.value, mark)
            return
        top, _ = self._place(mark)
        self._put(top, _scalar(event.value) if event.implicit[0] else event.value)

    def _key(self, key: str, mark: object) -> None:
        top = self.stack[-1]
        loc = (*top.loc, key)
        if key == "<<":
            raise _refuse(self.path, mark, "a merge key (`<<`) is not accepted", "write the keys out")
        if key in top.value:
            raise _refuse(
                self.path, mark, f"key {key!r} stands twice (first on line {self.lines[loc]})", "remove one of the two"
            )
        self.lines[loc] = getattr(mark, "line", 0) + 1
        top.key = key

    def _begin(self, value: dict[str, object] | list[object], mark: object) -> None:
        if self._awaits_key():
            raise _refuse(self.path, mark, "a key must be plain text", "quote the key, or mend the brackets")
        if len(self.stack) >= MAX_DEPTH:
            raise _refuse(self.path, mark, f"is nested more than {MAX_DEPTH} levels deep", "flatten it")
        top, loc = self._place(mark)
        self._put(top, value)
        self.stack.append(_Open(value, loc))


def loads(text: str, path: Path) -> Document:
    """Read YAML text; `path` only names it in errors.

    Raises:
        DeclaredError: the text is not the accepted dialect; `where` is FILE:LINE.
    """
    builder = _Builder(path)
    try:
        events: Iterator[yaml.Event] = yaml.parse(text, Loader=_LOADER)
        for event in events:
            builder.feed(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        detail = " ".join(filter(None, (error.context, error.problem)))
        raise _refuse(
            path, mark, f"is not YAML: {clean(detail, 200)}", "check indentation, colons, quotes and brackets"
        ) from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        first = next(iter(str(error).splitlines()), "")
        raise _refuse(path, None, f"is not YAML: {clean(first, 200)}", "remove what is not plain text") from None
    return Document(path, builder.root, builder.lines)


_BREAKS = str.maketrans({char: f"\\u{ord(char):04x}" for char in "\x85\u2028\u2029"})
"""Line breaks to YAML (1.2.2, 5.4 and 1.1) and none to JSON: written raw, they would be folded into a blank."""


def quoted(value: object) -> str:
    """A value as JSON, which is YAML too: what it says reads back as it is, and no word of it becomes markup."""
    return json.dumps(value, ensure_ascii=False).translate(_BREAKS)


def load(path: Path) -> Document:
    """Read a declared file.

    Raises:
        DeclaredError: missing, unreadable, too large, not UTF-8, or not the accepted dialect.
    """
    return loads(_read(path), path)


def parse(document: Document, model: type[M]) -> M:
    """Turn a document into a pydantic model.

    Raises:
        DeclaredError: one error that lists every problem with file, line, field and remedy.
    """
    try:
        return model.model_validate(document.data)
    except pydantic.ValidationError as error:
        raise_problems(document.path, _problems(document, error, model))
        raise AssertionError from None  # raise_problems always raises when there is a problem


def _problems(document: Document, error: pydantic.ValidationError, model: type[M]) -> list[Problem]:
    schema = model.model_json_schema()
    found = []
    for item in error.errors(include_url=False, include_context=False, include_input=False):
        loc = tuple(part for part in item["loc"] if part != "[key]")
        message, remedy = translate(item["type"], item["msg"], loc, schema)
        found.append(Problem(document.where(loc), message, remedy))
    return found
