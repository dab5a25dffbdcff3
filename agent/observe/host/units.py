"""Pure reader of systemd's units: what `systemctl list-unit-files` would say, worked out from files and links."""

from __future__ import annotations

from collections.abc import Mapping

_ROWS = 3
_FOLDERS = ("/etc/systemd/system/", "/run/systemd/system/", "/run/systemd/generator", "")
"""Where a unit's file is looked for, first match wins."""


def _rank(path: str) -> int:
    return next(at for at, folder in enumerate(_FOLDERS) if folder in path)


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _template(name: str) -> str:
    """`getty@tty1.service` is an instance of `getty@.service`."""
    stem, at, rest = name.partition("@")
    return f"{stem}@.{rest.rpartition('.')[2]}" if at else name


def _units(text: str) -> tuple[dict[str, tuple[str, str]], dict[str, str], set[str]]:
    """Of each unit its file (path, link); enabled units with how; units with something to install."""
    files: dict[str, tuple[str, str]] = {}
    enabled: dict[str, str] = {}
    install: set[str] = set()
    for line in text.splitlines():
        row = line.split("\t")
        if len(row) == _ROWS:
            kind, path, link = row
            how = "enabled" if "/etc/systemd/system/" in path else "enabled-runtime"
            names = {_name(path), _template(_name(path))}
            if kind == "l" and _rank(path) < 2 and link != "/dev/null" and _name(link) != _name(path):  # noqa: PLR2004 - /etc and /run
                enabled.setdefault(_name(link), how)  # an alias, made when the unit was enabled
            if kind == "w":
                for name in names:
                    enabled.setdefault(name, how)
            elif _name(path) not in files or _rank(path) < _rank(files[_name(path)][0]):
                files[_name(path)] = (path, link if kind == "l" else "")
        elif ":" in line:
            install.add(_name(line.partition(":")[0]))
    return files, enabled, install


def _state(name: str, path: str, link: str, enabled: Mapping[str, str], install: set[str], masked: set[str]) -> str:
    if link == "/dev/null":
        return "masked-runtime" if "/run/systemd/" in path else "masked"
    if "/run/systemd/generator" in path:
        return "generated"
    if link and _name(link) != name and _template(_name(link)) != _template(name):
        return "masked" if _name(link) in masked else "alias"
    return enabled.get(name) or ("disabled" if name in install else "static")


def service(text: str) -> dict[str, str]:
    """Unit to `enabled active`; services without their suffix, sockets with it."""
    listed, _, units = text.partition("\n--\n")
    files, enabled, install = _units(listed)
    masked = {name for name, (_, link) in files.items() if link == "/dev/null"}
    table: dict[str, list[str]] = {}
    for name, (path, link) in files.items():
        table[name] = [_state(name, path, link, enabled, install, masked), "inactive"]
    for line in units.splitlines():
        fields = line.replace("●", " ").replace("*", " ", 1).split()
        if len(fields) > 3 and fields[1] != "not-found":  # noqa: PLR2004 - unit, load, active, sub
            state = enabled.get(fields[0]) or table.get(_template(fields[0]), ["transient"])[0]
            table.setdefault(fields[0], [state, ""])[1] = fields[2]
    for name, (_, link) in files.items():
        if table[name][0] == "alias" and _name(link) in table:
            table[name][1] = table[_name(link)][1]
    return {name.removesuffix(".service"): " ".join(state) for name, state in table.items()}
