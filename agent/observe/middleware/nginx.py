"""nginx: directive lines (`nginx.awk`) to the table `nginx`. Fields: kind, context, name, arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_LEAST = 3
"""Kind, context and name."""


def _directives(lines: Sequence[Sequence[str]]) -> list[tuple[str, str]]:
    return [(line[2], " ".join(line[3:])) for line in lines if line[0] in {"D", "B"} and len(line) >= _LEAST]


def table(lines: Sequence[Sequence[str]]) -> dict[str, str]:
    """Directive to its values over all levels, each value once, joined by newline; blocks too (`location /x`)."""
    found: dict[str, dict[str, None]] = {}
    for name, value in _directives(lines):
        found.setdefault(name, {})[value] = None
    return {name: "\n".join(values) for name, values in found.items()}


def features(lines: Sequence[Sequence[str]]) -> frozenset[str]:
    """`tls` when a server listens with TLS, `autoindex` and the like are read from the table instead."""
    tls = any(
        (name == "listen" and "ssl" in value.split()) or (name, value) == ("ssl", "on")
        for name, value in _directives(lines)
    )
    return frozenset({"tls"} if tls else ())
