"""Windows builds: four numbers, the last of which is the update build revision (UBR)."""

from __future__ import annotations

import re

_BUILD = re.compile(r"\d{1,6}(?:\.\d{1,6}){1,3}")


def parse(text: str) -> tuple[int, ...] | None:
    """Numbers of a build, four of them; None when it is none."""
    if not _BUILD.fullmatch(text.strip()):
        return None
    numbers = [int(part) for part in text.strip().split(".")]
    return tuple(numbers + [0] * (4 - len(numbers)))


def compare(left: str, right: str) -> int:
    """Order of two builds; a text that is none sorts before every build."""
    one, two = parse(left) or (), parse(right) or ()
    return (one > two) - (one < two)
