"""Units: whether they run, and whether they start at boot.

fix: {resource: service_state, want: {active: false, enabled: false}, names: [telnet.socket, rpcbind.service]}
fix: {resource: service_state, want: {masked: true}, names: [ctrl-alt-del.target]}
fix: {resource: service_state, want: {active: false, enabled: false}, select: plaintext_protocols}

Switching off takes every named unit that is there; switching on takes the first of the names that is. A unit that
carries our own way in is never touched.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from shlex import quote

from agent.change.contract import Facts, FixError
from agent.model.change import Act, Handle, Item, Risk, Skip, Step, Why
from agent.model.frames import Answer

_UNIT = re.compile(r"[A-Za-z0-9@][A-Za-z0-9:_.@\\-]*")
_OURS = re.compile(r"^(ssh|sshd|dbus|systemd-.*|network.*|NetworkManager|polkit|getty@.*)(\.service|\.socket)?$")
_PLAINTEXT = (
    "telnet.socket", "telnetd.service", "rsh.socket", "rlogin.socket", "rexec.socket", "tftp.socket", "tftpd-hpa.service",
    "vsftpd.service", "xinetd.service", "inetd.service", "openbsd-inetd.service", "inetutils-inetd.service",
)  # fmt: skip
SELECTS = {"plaintext_protocols": _PLAINTEXT}


class ServiceState:
    """service_state: see the module."""

    name = "service_state"
    library = ()

    def check(self, item: Item) -> None:
        """Raises FixError."""
        want = item.want
        if not isinstance(want, dict) or not want or set(want) - {"active", "enabled", "masked"}:
            raise FixError("fix.want: write {active: true, enabled: true}, or {masked: true}")
        if not all(isinstance(value, bool) for value in want.values()):
            raise FixError("fix.want: active, enabled and masked are true or false")
        names = _names(item)
        if not names:
            raise FixError(f"fix.names: list units, or fix.select one of {', '.join(SELECTS)}")
        for name in names:
            if not _UNIT.fullmatch(name):
                raise FixError(f"fix.names: {name!r} is no unit")

    def read(self, item: Item, facts: Facts) -> str:
        """Lines `at PATH LINK`, `rc NAME` and `unit UNIT LOAD ACTIVE` of all units: the same for every item, so read once.

        Links tell what starts at boot as `systemctl is-enabled` would, which takes 10 ms a unit (systemd.unit(5)).
        """
        del item, facts
        return _READ

    def plan(self, item: Item, answer: Answer, facts: Facts) -> tuple[Step, ...] | Skip:
        """One step a unit."""
        del facts
        names = _names(item)
        found = _found(answer.text, names)
        on = item.want.get("active") or item.want.get("enabled")
        if on:
            unit = next((name for name in names if name in found), "")
            if not unit:
                return Skip(Why.UNSUPPORTED, f"主机上没有这些服务：{'、'.join(names)}；先安装")
            step = _step(item, unit, *found[unit])
            return (step,) if step else ()
        if any(_OURS.match(unit) for unit in found):
            return Skip(Why.UNSAFE, "这是登录所依赖的服务")
        steps = [_step(item, unit, *state) for unit, state in found.items()]
        return tuple(step for step in steps if step)


_READ = r"""[ -d "$R/run/systemd/system" ] || exit 2
for d in /etc/systemd/system /usr/lib/systemd/system /lib/systemd/system; do
  [ -d "$R$d" ] && { [ "$d" != /lib/systemd/system ] || [ ! -L "$R/lib" ]; } || continue
  find "$R$d" -maxdepth 2 \( -name '*.service' -o -name '*.socket' -o -name '*.target' \) -printf "at $d/%P %l\n"
done
for f in "$R"/etc/rc3.d/S*; do if [ -L "$f" ]; then f=${f##*/S[0-9][0-9]}; echo "rc $f"; fi; done
systemctl list-units --all --plain --no-legend --no-pager --type=service,socket,target 2>/dev/null |
  awk '{print "unit",$1,$2,$3}'"""


def _found(text: str, names: list[str]) -> dict[str, tuple[str, str, str]]:
    """(load, active, enabled) of the named units that are there; an alias stands under the unit's own name."""
    units = _Units(text)
    found = {}
    for name in names:
        real = units.alias.get(name, name)
        load, active = units.loaded.get(real, ("not-found", "inactive"))
        if name in units.masked or real in units.masked:
            found[name] = ("masked", active, "masked")
        elif real in units.files or load not in {"not-found", ""}:
            found[real] = ("loaded", active, units.enabled(real))
    return found


_KEPT = {"ctrl-alt-del.target"}
"""Aliases that are wanted under their own name: masking the alias leaves the unit behind it alone."""


class _Units:
    """What the read told."""

    def __init__(self, text: str) -> None:
        self.files: set[str] = set()
        self.masked: set[str] = set()
        self.wanted: set[str] = set()
        self.alias: dict[str, str] = {}
        self.scripts: set[str] = set()
        self.loaded: dict[str, tuple[str, str]] = {}
        for line in text.splitlines():
            match line.split(" "):
                case ["at", path, link]:
                    self._file(path, link)
                case ["rc", name]:
                    self.scripts.add(f"{name}.service")
                case ["unit", unit, load, active]:
                    self.loaded[unit] = (load, active)

    def _file(self, path: str, link: str) -> None:
        folder, _, unit = path.rpartition("/")
        if folder.endswith((".wants", ".requires")):
            if folder.startswith("/etc/"):
                self.wanted.add(unit)
            return
        self.files.add(unit)
        target = link.rpartition("/")[2]
        if link == "/dev/null":
            self.masked.add(unit)
        elif link and target != unit and unit not in _KEPT:
            self.alias[unit] = target

    def enabled(self, unit: str) -> str:
        """`enabled` or `disabled`, as something starts it at boot or nothing does."""
        names = {unit, *(alias for alias, real in self.alias.items() if real == unit)}
        native = unit in self.files
        return "enabled" if names & self.wanted or (not native and unit in self.scripts) else "disabled"


def _names(item: Item) -> list[str]:
    names: Sequence[object] = item.options.get("names") or SELECTS.get(str(item.options.get("select", ""))) or ()
    return [name if "." in name.rsplit("@", 1)[-1] else f"{name}.service" for name in map(str, names)]


def _step(item: Item, unit: str, load: str, active: str, enabled: str) -> Step | None:
    want = item.want
    word = quote(unit)
    todo = []
    after = []
    if want.get("masked"):
        if load == "masked" or enabled == "masked":
            return None
        todo.append(f"systemctl mask {word}")
        after.append("masked")
    if "enabled" in want and want["enabled"] != (enabled == "enabled") and enabled != "masked":
        todo.append(f"systemctl {'enable' if want['enabled'] else 'disable'} {word}")
        after.append("enabled" if want["enabled"] else "disabled")
    running = active in {"active", "activating", "reloading"}
    if "active" in want and want["active"] != running:
        todo.append(f"systemctl {'start' if want['active'] else 'stop'} {word}")
        after.append("active" if want["active"] else "inactive")
    if not todo:
        return None
    stem = unit.rsplit(".", 1)[0]
    return Step(
        "service_state",
        "services",
        unit,
        f"{enabled} {active}",
        " ".join(after),
        " &&\n".join(f"{each} 2>&1" for each in todo),
        handles=(Handle("links", (stem,)), Handle("unit", (unit,))),
        source="systemctl",
        acts=(Act("daemon_reload"),),
        risk=tuple(dict.fromkeys([*item.risk, *([] if want.get("active", True) else [Risk.APP_BREAK])])),
    )


RESOURCES = (ServiceState(),)
