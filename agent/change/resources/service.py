"""Units: whether they run, and whether they start at boot.

fix: {resource: service_state, want: {active: false, enabled: false}, names: [telnet.socket, rpcbind.service]}
fix: {resource: service_state, want: {masked: true}, names: [ctrl-alt-del.target]}
fix: {resource: service_state, want: {active: false, enabled: false}, select: plaintext_protocols}

Switching off takes every named unit that is there; switching on takes the one of the names that runs, else the first
that is there, and takes a mask away. Never touched: a unit that carries our own way in, and one that answers at a port
which the inventory declares. A super-server (inetd, xinetd) that serves others, too, stays: its plain-text entries go.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from shlex import quote

from agent.change.contract import Facts, FixError
from agent.change.unitread import Entry, State, Units
from agent.model.change import Act, Handle, Item, Risk, Skip, Step, Why
from agent.model.frames import Answer

_UNIT = re.compile(r"[A-Za-z0-9@][A-Za-z0-9:_.@\\-]*")
_OURS = re.compile(r"^(ssh|sshd|dbus|systemd-.*|network.*|NetworkManager|polkit|getty@.*)(\.service|\.socket)?$")
_PLAINTEXT = (
    "telnet.socket", "telnetd.service", "rsh.socket", "rlogin.socket", "rexec.socket", "tftp.socket", "tftpd-hpa.service",
    "vsftpd.service", "proftpd.service", "pure-ftpd.service",
    "xinetd.service", "inetd.service", "openbsd-inetd.service", "inetutils-inetd.service",
)  # fmt: skip
SELECTS = {"plaintext_protocols": _PLAINTEXT}
_SUPER = {
    "xinetd.service": "xinetd", "inetd.service": "inetd", "openbsd-inetd.service": "inetd",
    "inetutils-inetd.service": "inetd", "rlinetd.service": "inetd",
}  # fmt: skip
_PLAIN_ENTRIES = frozenset(
    {
        "telnet", "ftp", "shell", "login", "exec", "rsh", "rlogin", "rexec", "tftp", "finger", "talk", "ntalk", "echo",
        "discard", "daytime", "chargen", "time", "netstat", "systat", "uucp", "rsync", "pop3", "imap",
    }
)  # fmt: skip
"""Names of /etc/services: passwords in the clear, or of no use but to an attacker."""


class ServiceState:
    """service_state: see the module."""

    name = "service_state"
    library = ("services",)

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
        """All units, ports and entries: the same for every item, so read once a host. See `Units`."""
        del item, facts
        return '[ -d "$R/run/systemd/system" ] || exit 2\nsvc_units; svc_ports; svc_inetd'

    def plan(self, item: Item, answer: Answer, facts: Facts) -> tuple[Step, ...] | Skip:
        """One step a unit, or an entry of a super-server."""
        del facts
        units = Units(answer.text)
        names = _names(item)
        found = units.found(names)
        if item.want.get("active") or item.want.get("enabled"):
            return _on(item, names, found)
        if any(_OURS.match(unit) for unit in found):
            return Skip(Why.UNSAFE, "这是登录所依赖的服务")
        needed: list[str] = []
        steps = [step for unit, state in found.items() for step in _off(item, unit, state, units, needed)]
        told = (
            f"清单申报的端口或别的业务由其提供，先确认业务并更新资产清单：{'、'.join(dict.fromkeys(needed))}"
            if needed
            else ""
        )
        if told and not steps:
            return Skip(Why.UNSAFE, told)
        return tuple(step if not told else _told(step, f"保留：{told}") for step in steps)


def _names(item: Item) -> list[str]:
    names: Sequence[object] = item.options.get("names") or SELECTS.get(str(item.options.get("select", ""))) or ()
    return [name if "." in name.rsplit("@", 1)[-1] else f"{name}.service" for name in map(str, names)]


def _on(item: Item, names: Sequence[str], found: dict[str, State]) -> tuple[Step, ...] | Skip:
    there = {unit: state for unit, state in found.items() if state.there}
    by = sorted(there, key=lambda unit: (not there[unit].running, there[unit].enabled == "masked"))
    if not by:
        return Skip(Why.UNSUPPORTED, f"主机上没有这些服务：{'、'.join(names)}；先安装")
    step = _step(item, by[0], there[by[0]])
    return (step,) if step else ()


def _off(item: Item, unit: str, state: State, units: Units, needed: list[str]) -> list[Step]:
    """What is to be done about one unit; what must stay is added to `needed`."""
    server = _SUPER.get(unit, "")
    declared = {str(each) for each in item.options.get("listeners", ())} | {f"tcp/{item.options.get('ssh_port', 22)}"}
    entries = [entry for entry in units.entries if entry.server == server]
    surplus = [entry for entry in entries if entry.service in _PLAIN_ENTRIES and entry.address not in declared]
    if server and entries != surplus:
        if not state.running and state.enabled != "enabled":
            return []
        needed += [f"{entry.service}（{entry.address}）" for entry in entries if entry not in surplus]
        return [_entry(item, unit, entry) for entry in surplus]
    serves = sorted(units.ports.get(unit, set()) & declared)
    step = _step(item, unit, state)
    if step and serves:
        needed.append(f"{unit}（{'、'.join(serves)}）")
        return []
    return [step] if step else []


def _entry(item: Item, unit: str, entry: Entry) -> Step:
    words = " ".join(map(quote, (entry.server, entry.file, entry.service, entry.protocol)))
    return Step(
        "service_state",
        "services",
        f"{entry.server} {entry.service}",
        f"on（{entry.address}）",
        "off",
        f"svc_entry_off {words}",
        handles=(Handle("file", (entry.file,)), Handle("unit", (unit,))),
        source=entry.file,
        acts=(Act("reload", (unit,)),),
        risk=tuple(dict.fromkeys([*item.risk, Risk.APP_BREAK])),
        note=f"{unit} 还提供别的服务，本身保留",
    )


def _step(item: Item, unit: str, state: State) -> Step | None:
    want = item.want
    word = quote(unit)
    masked = state.enabled == "masked"
    todo = []
    after = []
    if want.get("masked"):
        if masked:
            return None
        todo.append(f"systemctl mask {word}")
        after.append("masked")
    if masked and (want.get("active") or want.get("enabled")):
        todo.append(f"systemctl unmask {word}")
    if "enabled" in want and (state.enabled != "enabled" if want["enabled"] else state.enabled == "enabled"):
        todo.append(f"systemctl {'enable' if want['enabled'] else 'disable'} {word}")
        after.append("enabled" if want["enabled"] else "disabled")
    if "active" in want and want["active"] != state.running:
        todo.append(f"systemctl {'start' if want['active'] else 'stop'} {word}")
        after.append("active" if want["active"] else "inactive")
    if not todo:
        return None
    return Step(
        "service_state",
        "services",
        unit,
        f"{state.enabled} {state.active}",
        " ".join(after),
        " &&\n".join(f"{each} 2>&1" for each in todo),
        handles=(Handle("links", (unit.rsplit(".", 1)[0],)), Handle("unit", (unit,))),
        source="systemctl",
        acts=(Act("daemon_reload"),),
        risk=tuple(dict.fromkeys([*item.risk, *([] if want.get("active", True) else [Risk.APP_BREAK])])),
    )


def _told(step: Step, text: str) -> Step:
    return replace(step, note="；".join(part for part in (step.note, text) if part))


RESOURCES = (ServiceState(),)
