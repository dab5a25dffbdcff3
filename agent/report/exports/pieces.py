"""A JSON document written piece by piece: its frame around one long list, so that memory holds one element."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

HERE = "\u0000elements\u0000"
"""Stands for the list while the frame is written; no cleaned text holds a NUL."""


def dumps(value: object) -> str:
    """JSON as UTF-8 text; keys keep their order, so that equal contents are equal bytes."""
    return json.dumps(value, ensure_ascii=False)


def filled(values: Mapping[str, Any]) -> dict[str, Any]:
    """The entries that say something: no empty text, list or mapping, no None."""
    return {key: value for key, value in values.items() if value not in ("", None, (), [], {})}


def listed(frame: Mapping[str, object], elements: Iterable[object]) -> Iterator[str]:
    """The frame, one key a line, in which `HERE` is replaced by the elements, one a line."""
    lines = ",\n".join(f"{dumps(key)}: {dumps(value)}" for key, value in frame.items())
    before, _, after = f"{{\n{lines}\n}}".partition(dumps(HERE))
    yield before + "["
    lead = "\n"
    for element in elements:
        yield lead + dumps(element)
        lead = ",\n"
    yield f"\n]{after}\n"
