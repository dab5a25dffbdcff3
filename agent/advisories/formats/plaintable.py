"""CSV, YAML and JSON lines as one table: rows of text by column name, each with its line. For files of people."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from agent.advisories import fields
from agent.advisories.source import Source

MAX_BYTES = 32 * 1024 * 1024
MAX_DEPTH = 5
"""`{advisories: [{cves: [...]}]}` and one to spare."""
_SEPARATORS = ",;\t"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
Row = tuple[int, dict[str, str]]
"""Line, and values by the column's name as written."""


def text(source: Source) -> str:
    """The whole file as text: UTF-8 with BOM or without, else GB 18030. Raises FeedError."""
    raw = source.stream.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise source.error(f"more than {MAX_BYTES >> 20} MiB", remedy="split the file")
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise source.error("neither UTF-8 nor GB 18030", remedy="save it as UTF-8 (in Excel: CSV UTF-8)")


def decoded(head: bytes) -> str:
    """The beginning of a file as text, a character that is cut off left out."""
    whole = head[: head.rfind(b"\n") + 1] or head
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return whole.decode(encoding)
        except UnicodeDecodeError:
            continue
    return whole.decode("utf-8", "ignore")


def first_line(text: str) -> str:
    """The first line that holds something."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def separator(header: str) -> str:
    """The one that the header has most of; a comma when it has none."""
    return max(_SEPARATORS, key=header.count)


def cells(header: str) -> list[str]:
    """Column names of a CSV header; empty for what is none."""
    try:
        found = next(csv.reader([header], delimiter=separator(header), strict=True), [])
    except csv.Error:
        return []
    return [one.strip() for one in found]


def from_csv(source: Source, content: str) -> Iterator[Row]:
    """Rows under a header. Raises FeedError with the line: bad quotes, more values than columns, a column twice."""
    header = first_line(content)
    reader = csv.reader(io.StringIO(content), delimiter=separator(header), strict=True)
    names: list[str] = []
    try:
        for values in reader:
            if not any(value.strip() for value in values):
                continue
            place = f"line {reader.line_num}"
            if not names:
                names = [one.strip() for one in values]
                while names and not names[-1]:
                    names.pop()
                if len(set(names)) < len(names):
                    raise source.error("a column stands twice, or has no name", place, "name every column once")
                continue
            if any(value.strip() for value in values[len(names) :]):
                raise source.error(
                    f"{len(values)} values under {len(names)} columns",
                    place,
                    'quote a value that holds a separator: "a,b"',
                )
            yield reader.line_num, {name: value.strip() for name, value in zip(names, values, strict=False)}
    except csv.Error as error:
        raise source.error(f"not CSV: {error}", f"line {reader.line_num}", "mend the quotes of this row") from error


def from_lines(source: Source, content: str) -> Iterator[Row]:
    """One JSON object a line. Raises FeedError with line and column."""
    for number, line in enumerate(content.split("\n"), 1):
        if line.strip():
            place = f"line {number}"
            record = source.parse(line.strip().encode("utf-8", "surrogatepass"), place)
            if not isinstance(record, dict):
                raise source.error("not an object of columns and values", place, 'write {"os": ..., "package": ...}')
            yield (
                number,
                {
                    name: _value(source, value, f"{place}, column {fields.line(name)[:60]}")
                    for name, value in record.items()
                },
            )


def _value(source: Source, value: Any, place: str) -> str:  # noqa: ANN401 - what JSON holds
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ", ".join(value)
    if isinstance(value, str):
        return value.strip()
    raise source.error(f"{fields.kind(value)} instead of text", place, "write the value in quotes")


@dataclass(slots=True)
class _Open:
    """A YAML collection under construction."""

    value: dict[str, Any] | list[Any]
    line: int
    key: str | None = None


def from_yaml(source: Source, content: str) -> Iterator[Row]:
    """A list of mappings, alone or under `advisories`. Every scalar is text: `fixed: 1.10` stays 1.10.

    Raises:
        FeedError: with the line: no such YAML, an anchor, alias or tag, too deep, a key twice.
    """
    try:
        found = _built(source, content)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}" if mark else ""
        raise source.error(
            f"not YAML: {fields.line(error.problem or '')}", place, "check indentation, colons and quotes"
        ) from error
    except (yaml.YAMLError, ValueError) as error:
        raise source.error(
            f"not YAML: {fields.line(str(error))[:200]}", remedy="remove what is not plain text"
        ) from error
    if isinstance(found, _Open) and isinstance(found.value, dict) and list(found.value) == ["advisories"]:
        found = found.value["advisories"]
    if not isinstance(found, _Open) or not isinstance(found.value, list):
        raise source.error(
            "not a list of advisories", "line 1", "write `- os: ...`, or `advisories:` and a list under it"
        )
    for one in found.value:
        if not isinstance(one, _Open) or not isinstance(one.value, dict):
            raise source.error("an entry without columns", f"line {found.line}", "write `- os: ...`, one column a line")
        yield one.line, {name: _plain(source, value, one.line, name) for name, value in one.value.items()}


def _plain(source: Source, value: Any, line: int, name: str) -> str:  # noqa: ANN401 - a built node
    if isinstance(value, str):
        return value.strip()
    if isinstance(value.value, list) and all(isinstance(one, str) for one in value.value):
        return ", ".join(value.value)
    place = f"line {line}, column {fields.line(name)[:60]}"
    raise source.error("a collection instead of text", place, "write one value, or a list of them in brackets")


def _built(source: Source, content: str) -> _Open | str | None:
    """Build from the parser's events: no recursion, no object of a class, no alias to multiply."""
    root: _Open | str | None = None
    stack: list[_Open] = []
    for event in yaml.parse(content, Loader=_LOADER):
        line = getattr(event.start_mark, "line", 0) + 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) or getattr(event, "tag", None):
            raise source.error("an anchor, alias or tag", f"line {line}", "write the value out")
        if isinstance(event, yaml.DocumentStartEvent) and root is not None:
            raise source.error("a second document begins", f"line {line}", "keep one document in a file")
        if isinstance(event, yaml.CollectionEndEvent):
            stack.pop()
            continue
        if isinstance(event, yaml.ScalarEvent):
            plain_null = event.implicit[0] and event.value in {"~", "null"}
            node: _Open | str = "" if plain_null else event.value
        elif isinstance(event, yaml.CollectionStartEvent):
            node = _Open({} if isinstance(event, yaml.MappingStartEvent) else [], line)
        else:
            continue
        if not stack:
            root = node
        else:
            _put(source, stack[-1], node, line)
        if isinstance(node, _Open):
            stack.append(node)
            if len(stack) > MAX_DEPTH:
                raise source.error("nested too deep", f"line {line}", "write a flat list of columns")
    return root


def _put(source: Source, into: _Open, node: _Open | str, line: int) -> None:
    if isinstance(into.value, list):
        into.value.append(node)
    elif into.key is None:
        if not isinstance(node, str) or node in into.value:
            raise source.error("a key that stands twice or is no text", f"line {line}", "name every column once")
        into.key = node
    else:
        into.value[into.key] = node
        into.key = None
