"""What packages.sh printed of a host's packages, and how their versions are compared. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from agent.model.advisory import Scheme
from agent.versions import compare

RESOURCES = ()
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]{0,120}")
"""A package's name, of dpkg and of rpm; nothing in it means anything to a shell."""
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+~:_^-]{0,150}")
_REBUILT = re.compile(r"\.centos(?=\.\d|$)|\.(?:rocky|alma)(?:\.\d+)*$")
_MINOR = re.compile(r"(\.el\d+)_\d+")
_SHOWN = 12
_REVISION = re.compile(r"-[^-]*$")


@dataclass(frozen=True, slots=True)
class Installed:
    """One package that is there."""

    name: str
    version: str
    source: str
    """Version of the source package (dpkg); the same as `version` on rpm."""
    status: str
    """dpkg's two letters: `ii` is well; `iF`, `iU`, `iH` are halfway."""
    arch: str = ""
    """Of an rpm, of which several may be there at once."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What the host's sources offer of one package."""

    candidate: str
    highest: str
    """Higher than the candidate where a pin holds it back."""


@dataclass(slots=True)
class State:
    """Everything that was said."""

    manager: str = ""
    total: int = 0
    """Packages that the database holds; 0: it could not be read."""
    installed: list[Installed] = field(default_factory=list)
    offers: dict[str, Offer] = field(default_factory=dict)
    sources: dict[tuple[str, str], str] = field(default_factory=dict)
    """(name, version) of what is offered to the version of its source."""
    holds: set[str] = field(default_factory=set)
    locks: list[str] = field(default_factory=list)
    """Patterns of dnf's and yum's version lock."""
    excludes: list[str] = field(default_factory=list)
    metas: dict[str, set[str]] = field(default_factory=dict)
    """Metapackage of kernels to the kernels that it names."""
    broken: list[str] = field(default_factory=list)
    """Packages that dpkg left half configured or half installed."""
    unmet: list[str] = field(default_factory=list)
    unended: bool = False
    """yum left a transaction unfinished."""
    busy: str = ""
    """`PID PROGRAM` that holds the database."""
    space: dict[str, int] = field(default_factory=dict)
    """Mount point to free kB."""
    lists: tuple[int, int] = (0, 0)
    """Age of the package lists in seconds, and how many there are."""
    sim: list[tuple[str, str, str, str]] = field(default_factory=list)
    """(what, name, version now, version then) of the simulation."""
    errors: list[str] = field(default_factory=list)
    """What the simulation complained of."""
    unsimulated: bool = False
    again: dict[str, bool] = field(default_factory=dict)
    """Package to whether the very version can be had again."""
    units: dict[str, list[str]] = field(default_factory=dict)
    needs: dict[str, list[str]] = field(default_factory=dict)
    """Package to the ports (`tcp/23`) that stand on it."""
    strays: list[str] = field(default_factory=list)
    """Programs that no package holds."""

    def of(self, name: str) -> list[Installed]:
        """What is there under that name."""
        return [one for one in self.installed if one.name == name]

    def held(self, name: str) -> str:
        """Why a package must not be touched, in words; empty when it may."""
        if name in self.holds:
            return "被 apt-mark hold 保持"
        for pattern in self.locks:
            bare = pattern.lstrip("!")
            if fnmatchcase(name, bare) or re.match(rf"(?:\d+:)?{re.escape(name)}-(?:\d+:)?[\d*]", bare):
                return "被 versionlock 锁定"
        if any(fnmatchcase(name, pattern) for pattern in self.excludes):
            return "被 exclude= 排除"
        return ""


def parsed(text: str) -> State:
    """Read the lines; what is no line of ours is passed over."""
    state = State()
    for line in text.splitlines():
        word, *rest = line.split()[:8] or [""]
        _line(state, word, rest, line)
    return state


def _line(state: State, word: str, rest: list[str], line: str) -> None:  # noqa: C901, PLR0912 - one case a kind of line
    match [word, *rest]:
        case ["manager", manager]:
            state.manager = manager if manager in {"apt", "dnf", "yum"} else ""
        case ["total", count] if count.isdigit():
            state.total = int(count)
        case ["have", name, version, ("again" | "lost") as word] if _named(name, version):
            state.installed.append(Installed(name, version, version, "ii"))
            state.again[name] = word == "again"
        case ["have", name, version, _, source, status, *arch] if _named(name, version):
            state.installed.append(Installed(name, version, source, status, "".join(arch)))
        case ["can", name, candidate, highest] if _named(name, candidate):
            state.offers[name] = Offer(candidate, highest)
        case ["source", name, version, source]:
            state.sources[name, version] = source
        case ["hold", name]:
            state.holds.add(name)
        case ["lock", pattern]:
            state.locks.append(pattern)
        case ["exclude", pattern]:
            state.excludes.append(pattern)
        case ["meta", meta, kernel] if NAME.fullmatch(meta):
            state.metas.setdefault(meta, set()).add(kernel)
        case ["broken", name]:
            state.broken.append(name)
        case ["deps", *_]:
            state.unmet.append(line[5:])
        case ["unended", *_]:
            state.unended = True
        case ["busy", *_]:
            state.busy = line[5:]
        case ["space", where, free] if free.isdigit():
            state.space[where] = int(free)
        case ["lists", age, count] if age.isdigit() and count.isdigit():
            state.lists = (int(age), int(count))
        case ["unlisted"]:
            state.lists = (state.lists[0], 0)
        case ["sim", "error", *_]:
            state.errors.append(line[10:])
        case ["sim", what, name, *versions]:
            old, new, *_ = [*versions, "", ""]
            state.sim.append((what, name, old, new))
        case ["unsimulated"]:
            state.unsimulated = True
        case ["unit", name, unit]:
            state.units.setdefault(name, []).append(unit)
        case ["need", name, port]:
            state.needs.setdefault(name, []).append(port)
        case ["stray", path]:
            state.strays.append(path)


def _named(name: str, version: str) -> bool:
    return NAME.fullmatch(name) is not None and _VERSION.fullmatch(version) is not None


def at_least(manager: str, version: str, wanted: str) -> bool:
    """Whether a version reaches the wanted one, as advisories are compared (docs/advisories.md).

    On rpm a wanted version without an epoch (openEuler names files) is compared without, and a rebuild's mark
    (`.centos`) not at all.
    """
    if manager == "apt":
        return compare(Scheme.DPKG, version, wanted) >= 0
    if ":" not in wanted:
        version = version.rpartition(":")[2]
    if compare(Scheme.RPM, version, wanted) >= 0:
        return True
    if not _REBUILT.search(version):
        return False
    plain = [_MINOR.sub(r"\1", _REBUILT.sub("", each)) for each in (version, wanted)]
    return compare(Scheme.RPM, *plain) >= 0


def upstream(version: str) -> str:
    """The maker's version: without epoch and revision."""
    return _REVISION.sub("", version.rpartition(":")[2])


def upstream_at_least(version: str, wanted: str) -> bool:
    """Whether the maker's version reaches the wanted one."""
    return compare(Scheme.GENERIC, upstream(version), wanted) >= 0


def short(words: list[str]) -> str:
    """Words in a row, the first dozen shown and the rest counted."""
    more = f" 等 {len(words)} 项" if len(words) > _SHOWN else ""
    return "、".join(word[:160] for word in words[:_SHOWN]) + more
