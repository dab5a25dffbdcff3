"""Which source a Debian or Ubuntu binary package is built from, for lists that do not tell (`dpkg -l`).

The table is of Debian 12 (tools/debian_sources.py); a library of another soname (`libssl1.1`, `libssl3t64`) goes by its
stem, where that is built from one source only. What is in no table is taken for a source of its own name.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_END = re.compile(r"(?:t64)?$")
_STEM = re.compile(r"[\d.]+(?:t64)?$")


@cache
def _table() -> tuple[dict[str, str], dict[str, str]]:
    """Binary to source, and stem to source."""
    exact: dict[str, str] = {}
    stems: dict[str, set[str]] = {}
    for line in files(__package__).joinpath("debian-sources.txt").read_text("utf-8").splitlines():
        source, colon, binaries = line.partition(": ")
        if colon and not line.startswith("#"):
            exact |= dict.fromkeys(binaries.split(), source)
    for binary, source in exact.items():
        if binary.startswith("lib") and _stem(binary) != binary:
            stems.setdefault(_stem(binary), set()).add(source)
    return exact, {stem: next(iter(sources)) for stem, sources in stems.items() if len(sources) == 1}


def _stem(name: str) -> str:
    return _STEM.sub("", name)


def source(binary: str) -> str:
    """The source of a binary package; its own name where nothing is known."""
    exact, stems = _table()
    if re.match(r"linux-image-(?:unsigned-)?\d", binary):
        return "linux"
    plain = _END.sub("", binary)
    return (
        exact.get(binary)
        or exact.get(plain)
        or (stems.get(_stem(binary)) if binary.startswith("lib") else "")
        or binary
    )
