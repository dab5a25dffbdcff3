"""Problems of a declared file, gathered so that one run names them all, and pydantic's words made plain."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.model.errors import DeclaredError

SHOWN = 50
"""Most problems that one error lists; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a declared file."""

    where: str
    """`FILE:LINE: field.path`."""
    message: str
    remedy: str


def raise_problems(path: Path, problems: Sequence[Problem]) -> None:
    """Raise one DeclaredError that lists every problem; return when there is none."""
    if not problems:
        return
    if len(problems) == 1:
        only = problems[0]
        raise DeclaredError(only.message, where=only.where, remedy=only.remedy)
    lines = [f"{p.where}: {p.message} (remedy: {p.remedy})" for p in problems[:SHOWN]]
    if len(problems) > SHOWN:
        lines.append(f"... and {len(problems) - SHOWN} more")
    raise DeclaredError(
        f"{len(problems)} problems\n  " + "\n  ".join(lines), where=str(path), remedy="mend each line named above"
    )


def _resolve(node: Mapping[str, Any], schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Follow `$ref` and unions to the plain schemas that a node may be."""
    if "$ref" in node:
        return _resolve(schema.get("$defs", {}).get(node["$ref"].rsplit("/", 1)[-1], {}), schema)
    unions: Iterable[Mapping[str, Any]] = [*node.get("anyOf", ()), *node.get("oneOf", ()), *node.get("allOf", ())]
    return [plain for choice in unions for plain in _resolve(choice, schema)] or [node]


def known_keys(schema: Mapping[str, Any], loc: Sequence[str | int]) -> list[str]:
    """Keys that the JSON Schema knows in the mapping at `loc`; empty when it cannot tell."""
    nodes = _resolve(schema, schema)
    for part in loc:
        found: list[Mapping[str, Any]] = []
        for node in nodes:
            if isinstance(part, int):
                step = node.get("items")
            else:
                step = node.get("properties", {}).get(part) or node.get("additionalProperties")
            if isinstance(step, dict):
                found += _resolve(step, schema)
        # A tagged union puts its tag into pydantic's location: it is no step in the file.
        nodes = found or nodes
    return sorted({key for node in nodes for key in node.get("properties", {})})


def translate(kind: str, message: str, loc: Sequence[str | int], schema: Mapping[str, Any]) -> tuple[str, str]:
    """Return message and remedy in plain words. No value is shown: a password may stand in the wrong place."""
    if kind == "extra_forbidden":
        known = known_keys(schema, loc[:-1])
        near = difflib.get_close_matches(str(loc[-1]), known, n=1)
        guess = f"did you mean `{near[0]}`? " if near else "remove it; "
        return "unknown key", guess + (f"known keys: {', '.join(known)}" if known else "no key is known here")
    if kind == "missing":
        return "is missing", f"add `{loc[-1] if loc else ''}:`"
    if kind in {"model_type", "model_attributes_type", "dict_type"}:
        known = known_keys(schema, loc)
        return "must be a mapping (`key: value`)", f"known keys: {', '.join(known)}" if known else "write `key: value`"
    text = message.removeprefix("Value error, ").removeprefix("Assertion failed, ")
    text, _, remedy = text.partition(" || ")
    return text, remedy or "correct the value on this line"
