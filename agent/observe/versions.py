"""Debian version order behind a cached key (univers), for texts that a target or a mirror wrote."""

from __future__ import annotations

from functools import cmp_to_key, lru_cache

from univers.debian import Version, compare_versions


@lru_cache(maxsize=65536)
def _parsed(text: str) -> Version | None:
    try:
        return Version.from_string(text)
    except (ValueError, TypeError, AttributeError):
        return None


def compare(left: str, right: str) -> int:
    """Order of two Debian versions; a text that is none sorts before every version, and as text among its like."""
    one, two = _parsed(left), _parsed(right)
    if one is None or two is None:
        return (one is not None) - (two is not None) or (left > right) - (left < right)
    return int(compare_versions(one, two))


key = cmp_to_key(compare)
"""Sort key of Debian versions."""
