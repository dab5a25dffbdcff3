"""The middleware's piece of the host script: shell and awk of this folder, and the controls' own reads."""

from __future__ import annotations

import re
import shlex
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from agent.model.frames import Section

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.model.control import Control

KINDS = ("nginx", "redis", "tomcat")
_PROGRAMS = ("nginx", "redis", "xml", "sockets")
_BARE = re.compile(r"(?m)^[ \t]*#.*\n|(?<=\n)[ \t]+|^[ \t]+")


@cache
def _text(name: str) -> str:
    """A file of this folder without comment lines and indentation: it is sent to every host."""
    return _BARE.sub("", files(__package__).joinpath(name).read_text(encoding="utf-8"))


def sections(controls: Sequence[Control]) -> list[Section]:
    """One raw section that finds the instances and frames what it reads of each.

    Frames: `mw.KIND.N.meta` (key=value lines), `mw.KIND.N.config` (exit code 2: incomplete, the reason on standard
    error), `mw.KIND.N.control.ID` for each control of that kind that reads by `sh` (with `$PID`, `$EXE`, `$CONF`,
    `$BASE`, `$HOME_DIR`), `mw.owners` (packages), `mw.ignored` (instances in containers).
    """
    lines = [f"awk_{name}={shlex.quote(_text(f'{name}.awk'))}" for name in _PROGRAMS]
    for kind in KINDS:
        lines.append(f"controls_{kind}() {{")
        lines += [
            f"_b $k.control.{control.id}\n(\n{control.read.text}\n) </dev/null\n_e $k.control.{control.id} $?"
            for control in controls
            if control.target == kind and control.read.kind == "sh"
        ]
        lines.append(":\n}")
    return [Section("middleware", "\n".join([*lines, _text("collect.sh")]), raw=True)]
