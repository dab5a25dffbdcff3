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
        """Lines `UNIT LOADSTATE ACTIVE ENABLED` of the units that are there."""
        del facts
        units = " ".join(quote(name) for name in _names(item))
        return (
            '[ -d "$R/run/systemd/system" ] || exit 2\n'
            f"for u in {units}; do\n"
            '  l=$(systemctl show -p LoadState "$u" 2>/dev/null); l=${l#LoadState=}\n'
            '  [ "$l" != not-found ] && [ -n "$l" ] || continue\n'
            '  a=$(systemctl is-active "$u" 2>/dev/null); e=$(systemctl is-enabled "$u" 2>/dev/null)\n'
            '  echo "$u $l ${a:-unknown} ${e:-unknown}"\n'
            "done"
        )

    def plan(self, item: Item, answer: Answer, facts: Facts) -> tuple[Step, ...] | Skip:
        """One step a unit."""
        del facts
        names = _names(item)
        found = {}
        for line in answer.text.splitlines():
            match line.split():
                case [unit, load, active, enabled] if unit in names:
                    found[unit] = (load, active, enabled)
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


def _names(item: Item) -> list[str]:
    names: Sequence[object] = item.options.get("names") or SELECTS.get(str(item.options.get("select", "")), ())
    return [name if "." in name.rsplit("@", 1)[-1] else f"{name}.service" for name in map(str, names)]


_AT_BOOT = {"enabled", "enabled-runtime", "alias", "static", "indirect", "generated"}


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
    if (
        "enabled" in want
        and want["enabled"] != (enabled in _AT_BOOT)
        and enabled not in {"masked", "static", "generated"}
    ):
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
