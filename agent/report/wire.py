"""Frozen dataclasses as JSON and back, for the child process: typed, no pickle."""

from __future__ import annotations

import json
import types
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from enum import Enum
from functools import cache
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, date):  # a datetime is one, too
        return value.isoformat()
    if is_dataclass(value):
        return [getattr(value, field.name) for field in fields(value)]
    raise TypeError(f"{type(value).__name__} does not travel to the child")


def encode(value: object) -> bytes:
    """JSON of a dataclass, its fields as an array in declared order; lone surrogates travel escaped."""
    return json.dumps(value, default=_plain, separators=(",", ":")).encode()


@cache
def _reader(kind: Any) -> Callable[[Any], Any]:  # noqa: ANN401, PLR0911 - any annotation of a field, one way each
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        readers = [_reader(hints[field.name]) for field in fields(kind)]
        build: Any = kind
        return lambda data: build(*[read(item) for read, item in zip(readers, data, strict=True)])
    if get_origin(kind) is tuple:
        parts = get_args(kind)
        if parts[-1] is Ellipsis:
            each = _reader(parts[0])
            return lambda data: tuple([each(item) for item in data])
        own = [_reader(part) for part in parts]
        return lambda data: tuple([read(item) for read, item in zip(own, data, strict=True)])
    if isinstance(kind, types.UnionType) and len(get_args(kind)) == 2 and types.NoneType in get_args(kind):  # noqa: PLR2004 - X | None
        some = _reader(next(part for part in get_args(kind) if part is not types.NoneType))
        return lambda data: None if data is None else some(data)
    if kind is datetime or kind is date:
        reader: Callable[[Any], Any] = kind.fromisoformat
        return reader
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind
    if kind in {str, int, float, bool} or isinstance(kind, types.GenericAlias):
        return lambda data: data
    raise TypeError(f"{kind!r} does not travel to the child")


def decode(kind: type[T], data: object) -> T:
    """Build the dataclass from what `encode` wrote and `json.loads` read."""
    read: Any = _reader
    value: T = read(kind)(data)
    return value
