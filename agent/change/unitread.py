"""What `services.sh` told of units, ports and super-servers. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

_KEPT = {"ctrl-alt-del.target"}
"""Aliases that are wanted under their own name: masking the alias leaves the unit behind it alone."""
_ENTRY = re.compile(r"[A-Za-z0-9_./+-]+")


@dataclass(frozen=True, slots=True)
class State:
    """One unit."""

    active: str = "inactive"
    enabled: str = "disabled"
    """`enabled`, `disabled`, or `masked`."""
    there: bool = True
    """False: masked, and no unit of that name behind the mask."""

    @property
    def running(self) -> bool:
        """Whether it runs or is about to."""
        return self.active in {"active", "activating", "reloading"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A service that a super-server begins when somebody calls."""

    server: str
    """`inetd` or `xinetd`."""
    file: str
    service: str
    protocol: str
    port: str

    @property
    def address(self) -> str:
        """As the inventory writes a listener."""
        return f"{self.protocol}/{self.port}"


class Units:
    """Read the lines; what is not understood is passed over."""

    def __init__(self, text: str) -> None:
        self.files: set[str] = set()
        self.masked: set[str] = set()
        self.wanted: set[str] = set()
        self.alias: dict[str, str] = {}
        self.scripts: set[str] = set()
        self.loaded: dict[str, tuple[str, str]] = {}
        self.ports: dict[str, set[str]] = {}
        self.entries: list[Entry] = []
        for line in text.splitlines():
            match line.split(" "):
                case ["at", path, link]:
                    self._file(path, link)
                case ["rc", name]:
                    self.scripts.add(f"{name}.service")
                case ["unit", unit, load, active]:
                    self.loaded[unit] = (load, active)
                case ["serves", unit, address]:
                    self.ports.setdefault(unit, set()).add(address)
                case ["entry", "inetd" | "xinetd" as server, file, service, protocol, port] if _ENTRY.fullmatch(
                    service
                ) and re.fullmatch(r"/etc/x?inetd\.(conf|d/[A-Za-z0-9_.-]+)", file):
                    self.entries.append(Entry(server, file, service, protocol, port))

    def _file(self, path: str, link: str) -> None:
        folder, _, unit = path.rpartition("/")
        if folder.endswith((".wants", ".requires")):
            if folder.startswith("/etc/"):
                self.wanted.add(unit)
            return
        if link == "/dev/null":
            self.masked.add(unit)
            return
        self.files.add(unit)
        target = link.rpartition("/")[2]
        if link and target != unit and unit not in _KEPT:
            self.alias[unit] = target

    def found(self, names: list[str]) -> dict[str, State]:
        """The named units that are there; an alias stands under the unit's own name."""
        found = {}
        for name in names:
            real = self.alias.get(name, name)
            load, active = self.loaded.get(real, ("not-found", "inactive"))
            if name in self.masked or real in self.masked:
                found[name] = State(active, "masked", there=real in self.files)
            elif real in self.files or real in self.scripts or load not in {"not-found", ""}:
                found[real] = State(active, self._enabled(real))
        return found

    def _enabled(self, unit: str) -> str:
        """`enabled` or `disabled`, as something starts it at boot or nothing does."""
        names = {unit, *(alias for alias, real in self.alias.items() if real == unit)}
        native = unit in self.files
        return "enabled" if names & self.wanted or (not native and unit in self.scripts) else "disabled"
