"""The software's piece of the host script: shell of this folder, and the names of jar files that are looked for."""

from __future__ import annotations

import re
import shlex
from functools import cache
from importlib.resources import files

from agent.model.frames import Section
from agent.model.products import JARS

_BARE = re.compile(r"(?m)^[ \t]*#.*\n|(?<=\n)[ \t]+|^[ \t]+")
KNOWN = f"^({'|'.join(sorted(JARS))})(-v?[0-9][^/]*)?[.]jar$"
"""POSIX extended expression for a whole file name."""


@cache
def _text(name: str) -> str:
    """A file of this folder without comment lines and indentation: it is sent to every host."""
    return _BARE.sub("", files(__package__).joinpath(name).read_text(encoding="utf-8"))


def sections() -> list[Section]:
    """Raw; the lines of its frames (`sw.servers`, `sw.jars`, `sw.owners`, `sw.asked`) are told in the scripts."""
    parts = [f"known={shlex.quote(KNOWN)}", *(_text(f"{name}.sh") for name in ("servers", "jars", "owners"))]
    return [Section("software", "\n".join(parts), raw=True)]
