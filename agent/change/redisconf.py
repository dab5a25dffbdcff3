"""redis.conf, parsed so that every directive is known by its place. Pure; any text may come.

One directive a line (redis.conf's head says so); the last one of a name counts, and an include stands for its files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from agent.change.splice import Edit, Shown

_LINE = re.compile(r"^([ \t]*)([A-Za-z][A-Za-z0-9-]*)(?:[ \t]+(.*?))?[ \t\r]*$")
_DEPTH = 8


@dataclass(frozen=True, slots=True)
class Setting:
    """One line that sets something."""

    file: Shown
    name: str
    """In lower case."""
    value: str
    """As it is written, outer quotes of a single word taken off."""
    start: int
    end: int
    """Offsets of the value as it is written."""


class RedisConf:
    """The files of one Redis."""

    def __init__(self, files: Mapping[str, Shown], includes: Mapping[str, tuple[str, ...]], main: str) -> None:
        self.main = files[main]
        self.settings: list[Setting] = []
        """In the order in which Redis reads them."""
        self._read(files, includes, main, 0)

    def _read(self, files: Mapping[str, Shown], includes: Mapping[str, tuple[str, ...]], path: str, depth: int) -> None:
        if depth >= _DEPTH or path not in files:
            return
        file, at = files[path], 0
        for line in file.text.split("\n"):
            hit = _LINE.match(line)
            if hit and hit[2].lower() == "include":
                for each in includes.get(_bare(hit[3] or ""), ()):
                    self._read(files, includes, each, depth + 1)
            elif hit:
                start, end = hit.span(3) if hit[3] else (hit.end(2), hit.end(2))
                self.settings.append(Setting(file, hit[2].lower(), _bare(hit[3] or ""), at + start, at + end))
            at += len(line) + 1

    def last(self, name: str) -> Setting | None:
        """The line that counts."""
        return next((each for each in reversed(self.settings) if each.name == name), None)

    def edit(self, name: str, value: str) -> tuple[Shown, Edit]:
        """What makes `value` count: in the line that counts now, else in a line at the end of the main file."""
        now = self.last(name)
        if now:
            gap = "" if now.end > now.start else " "
            return now.file, Edit(now.start, now.end - now.start, gap + value)
        text = self.main.text
        newline = "" if not text or text.endswith("\n") else "\n"
        return self.main, Edit(len(text), 0, f"{newline}{name} {value}\n")


def _bare(value: str) -> str:
    for quote in "\"'":
        if len(value) > 1 and value[0] == value[-1] == quote and quote not in value[1:-1]:
            return value[1:-1]
    return value
