"""Debian version order behind a cached key (univers), for texts that a target or a mirror wrote."""

from __future__ import annotations

from functools import cmp_to_key, lru_cache
from typing import Any

from univers import debian

_DEBIAN: Any = debian
"""univers carries no types."""


@lru_cache(maxsize=65536)
def _parsed(text: str) -> Any:  # noqa: ANN401 - a Version of univers, or None
    try:
        return _DEBIAN.Version.from_string(text)
    except (ValueError, TypeError, AttributeError):
        return None


def compare(left: str, right: str) -> int:
    """Order of two Debian versions; a text that is none sorts before every version, and as text among its like."""
    one, two = _parsed(left), _parsed(right)
    if one is None or two is None:
        return (one is not None) - (two is not None) or (left > right) - (left < right)
    return int(_DEBIAN.compare_versions(one, two))


key = cmp_to_key(compare)
"""Sort key of Debian versions."""
