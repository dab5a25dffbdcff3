"""Which ports a network scan asks for: nmap's own most frequent ones, united with those that hosts told us of."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from agent.model.errors import ToolError

TOP = 1000
_LARGEST = 65535
_FIELDS = 3


def _services_file() -> Path:
    program = shutil.which("nmap")
    beside = [Path(program).resolve().parent.parent / "share" / "nmap"] if program else []
    for folder in (*beside, Path("/usr/share/nmap"), Path("/usr/local/share/nmap")):
        if (folder / "nmap-services").is_file():
            return folder / "nmap-services"
    raise ToolError("nmap-services is nowhere to be found", remedy="install nmap (apt-get install nmap)")


@lru_cache(maxsize=4)
def top(count: int = TOP) -> frozenset[int]:
    """The `count` TCP ports most often open, by nmap-services' frequencies, as `--top-ports` takes them.

    Raises:
        ToolError: the file is missing or holds no frequencies.
    """
    file = _services_file()
    rows = []
    for line in file.read_text("utf-8", "replace").splitlines():
        fields = line.split("\t")
        if line.startswith("#") or len(fields) < _FIELDS or not fields[1].endswith("/tcp"):
            continue
        try:
            rows.append((float(fields[2]), int(fields[1].removesuffix("/tcp"))))
        except ValueError:
            continue
    if len(rows) < count:
        raise ToolError("holds too few frequencies", where=str(file), remedy="install nmap anew")
    # nmap leaves the order of equals open; the lower port first keeps ours the same everywhere.
    rows.sort(key=lambda row: (-row[0], row[1]))
    return frozenset(port for _, port in rows[:count])


def ranges(ports: Iterable[int]) -> str:
    """A port list for `-p`, runs of neighbours folded: `22,80-82`. Raises ToolError on a number that is no port."""
    folded: list[list[int]] = []
    for port in sorted(set(ports)):
        if not 0 < port <= _LARGEST:
            raise ToolError(f"{port} is no port", remedy="ports are 1 to 65535")
        if folded and folded[-1][1] == port - 1:
            folded[-1][1] = port
        else:
            folded.append([port, port])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in folded)
