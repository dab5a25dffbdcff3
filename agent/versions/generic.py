"""Order of dotted upstream versions (Scheme.GENERIC): what SemVer, Maven, OpenSSL and Oracle have in common.

- Numbers by value; zeros at the end count for nothing (`12.2.1.3` is `12.2.1.3.0`).
- Before the release: dev < alpha < beta < milestone < pre < rc < snapshot (`9.0.0.M1`, `10.1.0-M5`, `2.0-beta9`).
- `RELEASE`, `Final` and `GA` say nothing (`5.3.17.RELEASE` is 5.3.17).
- After it: letters (`1.0.2` < `1.0.2k` < `1.0.2za`, `7.4` < `7.4p1`), any other word, then a further number.
- What follows `+` is a build's name (SemVer 10). A leading `v` is none of the version.
"""

from __future__ import annotations

import re
from functools import lru_cache

Key = tuple[tuple[int, int, str], ...]

_WORD = re.compile(r"([0-9]+)|([a-z]+)|([^0-9a-z]+)")
_BEFORE = {
    "dev": 0, "nightly": 0, "preview": 0, "alpha": 1, "a": 1, "ea": 1, "beta": 2, "b": 2, "milestone": 3, "m": 3,
    "pre": 4, "prerelease": 4, "rc": 5, "cr": 5, "c": 5, "candidate": 5, "snapshot": 6,
}  # fmt: skip
_ATTACHED = {"a", "b", "c", "m"}
"""Single letters that mean a pre-release only with a number behind them: `2.0b9`, but `1.0.2b` is a patch."""
_RELEASE = {"release", "final", "ga", "stable"}
_EARLY, _END, _LATE, _NUMBER = 0, 1, 2, 3
_LONGEST = 200
"""Characters of a version that count: no maker needs more, a hostile feed or host may send more."""


def _tokens(text: str) -> list[tuple[int, int, str]]:
    parts = [hit for hit in _WORD.finditer(text) if hit[1] or hit[2]]
    found: list[tuple[int, int, str]] = []
    for turn, hit in enumerate(parts):
        digits, word = hit[1], hit[2]
        if digits:
            digits = digits.lstrip("0")
            found.append((_NUMBER, len(digits), digits))
            continue
        behind = turn + 1 < len(parts) and bool(parts[turn + 1][1])
        if word in _RELEASE or (word == "v" and not found):
            continue
        if word in _BEFORE and (word not in _ATTACHED or behind):
            found.append((_EARLY, _BEFORE[word], ""))
        else:
            found.append((_LATE, 0, word))
    return found


@lru_cache(maxsize=65536)
def key(version: str) -> Key:
    """Sort key of a version; a text without digit or letter is before everything but its like."""
    text = version.strip().lower().partition("+")[0][:_LONGEST]
    kept: list[tuple[int, int, str]] = []
    for token in [*_tokens(text), (_END, 0, "")]:
        if token[0] != _NUMBER:
            while kept and kept[-1] == (_NUMBER, 0, ""):
                kept.pop()
        kept.append(token)
    return tuple(kept)


def compare(left: str, right: str) -> int:
    """-1, 0 or 1. Total over any text, transitive, and never raises."""
    one, two = key(left), key(right)
    return (one > two) - (one < two)
