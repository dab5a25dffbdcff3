"""What `pam_look` and its fellows of pam.sh told, as values. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from agent.change import pamtext

FILES = {
    "auth": ("system-auth", "password-auth", "common-auth"),
    "account": ("system-auth", "password-auth", "common-account"),
    "password": ("system-auth", "password-auth", "common-password"),
}
"""Where the stacks are that services include: of the RHEL family, openEuler, Kylin, UOS, and of Debian."""
LOOKED = ("system-auth", "password-auth", "common-auth", "common-account", "common-password", "su")
PACKAGES = {
    "pam_pwquality.so": "libpam-pwquality（Debian 系）或 libpwquality",
    "pam_faillock.so": "pam 1.1.8 以上（Debian 11 起的 libpam-modules）",
    "pam_pwhistory.so": "pam 或 libpam-modules",
    "pam_wheel.so": "pam 或 libpam-modules",
}
"""What brings a module."""


@dataclass
class PamFile:
    """One file of /etc/pam.d, links followed."""

    name: str
    path: str
    sha256: str
    lines: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether these lines are the file, byte by byte, and each stands for itself."""
        text = "\n".join(self.lines) + "\n"
        same = hashlib.sha256(text.encode(errors="replace")).hexdigest() == self.sha256
        return same and not pamtext.continued(self.lines)

    def has(self, kind: str, module: str) -> bool:
        """Whether a module stands in its stack of that type."""
        return any(line.module == module for line in pamtext.stack(self.lines, kind))


@dataclass
class PamSeen:
    """All of it."""

    owner: str = ""
    """authselect, pam-auth-update or direct; empty: nothing was told."""
    modules: set[str] = field(default_factory=set)
    files: dict[str, PamFile] = field(default_factory=dict)
    conf: list[tuple[str, str]] = field(default_factory=list)
    """File and active line, in the order of reading."""
    words: dict[str, list[str]] = field(default_factory=dict)
    """Further lines of one word and a value."""

    def of(self, kind: str) -> list[PamFile]:
        """The files that hold a type's stack here."""
        return [self.files[name] for name in FILES[kind] if name in self.files]

    def first(self, word: str) -> str:
        """A further line's value; empty when it was not told."""
        return next(iter(self.words.get(word, ())), "")

    def settings(self) -> dict[str, tuple[str, str]]:
        """Key to value and file, the last one wins; a bare word has the value `on`."""
        found = {}
        for file, line in self.conf:
            key, equals, value = line.partition("#")[0].partition("=")
            if key.strip():
                found[key.strip()] = (value.strip() if equals else "on", file)
        return found

    def args(self, kinds: Sequence[str], module: str) -> dict[str, tuple[str, str]]:
        """Arguments of a module's lines: key to value and the file's path."""
        found = {}
        for kind in kinds:
            for file in self.of(kind):
                for line in pamtext.stack(file.lines, kind):
                    if line.module == module:
                        pairs = (each.partition("=") for each in line.args)
                        found.update({key: (value if equals else "on", file.path) for key, equals, value in pairs})
        return found


def pam_seen(text: str) -> PamSeen:
    """Read the lines; what is not understood is passed over."""
    seen = PamSeen()
    file: PamFile | None = None
    for line in text.splitlines():
        word, _, rest = line.partition("\t")
        if word == "l" and file is not None:
            file.lines.append(rest)
        elif word == "file" and rest.count("\t") == 2:  # noqa: PLR2004 - columns
            name, path, sha256 = rest.split("\t")
            file = seen.files[name] = PamFile(name, path, sha256)
        elif word == "owner":
            seen.owner = rest
        elif word == "module":
            seen.modules.add(rest)
        elif word == "conf":
            path, _, setting = rest.partition("\t")
            seen.conf.append((path, setting))
        elif rest:
            seen.words.setdefault(word, []).append(rest)
    return seen


Strict = Callable[[str | None, str], bool]
"""Whether a value (None: not set) is as wanted or stricter."""


def strictness(
    least: Sequence[str], most: Sequence[str], between: Sequence[str], on: Mapping[str, bool]
) -> dict[str, Strict]:
    """Rules by key: at least, at most, between 1 and what is wanted, switched on (with what holds when it is not set)."""

    def number(text: str | None) -> int | None:
        try:
            return int(text or "")
        except ValueError:
            return None

    def at_least(now: str | None, want: str) -> bool:
        return (value := number(now)) is not None and value >= int(want)

    def at_most(now: str | None, want: str) -> bool:
        return (value := number(now)) is not None and value <= int(want)

    def within(now: str | None, want: str) -> bool:
        return (value := number(now)) is not None and 1 <= value <= int(want)

    def switched(preset: bool) -> Strict:
        return lambda now, _want: preset if now is None else now not in {"0", ""}

    rules: dict[str, Strict] = {}
    rules.update(dict.fromkeys(least, at_least))
    rules.update(dict.fromkeys(most, at_most))
    rules.update(dict.fromkeys(between, within))
    return rules | {key: switched(preset) for key, preset in on.items()}
