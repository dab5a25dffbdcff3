"""A JSON document written piece by piece: its frame around one long list, so that memory holds one element."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

HERE = "\u0000elements\u0000"
"""Stands for the list while the frame is written; no cleaned text holds a NUL."""


def dumps(value: object, indent: int | None = None) -> str:
    """JSON as UTF-8 text; keys keep their order, so that equal contents are equal bytes."""
    return json.dumps(value, ensure_ascii=False, indent=indent)


def filled(values: Mapping[str, Any]) -> dict[str, Any]:
    """The entries that say something: no empty text, list or mapping, no None."""
    return {key: value for key, value in values.items() if value not in ("", None, (), [], {})}


def listed(frame: object, elements: Iterable[object]) -> Iterator[str]:
    """The frame, in which `HERE` is replaced by the elements, one a line."""
    before, _, after = dumps(frame, 1).partition(dumps(HERE))
    yield before + "["
    lead = "\n"
    for element in elements:
        yield lead + dumps(element)
        lead = ",\n"
    yield f"\n]{after}\n"
