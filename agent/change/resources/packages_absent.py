"""Packages that must not be there: removed, their configuration left, if nothing else goes with them.

fix: {resource: package_absent, want: {absent: true}, names: [telnet, nmap], programs: [in.telnetd, nmap]}

`names` are packages, `programs` files of /usr/bin, /usr/sbin and /usr/local: the packages that hold them go. Where the
mirror or the cache has the very version that is installed, its file is fetched before the removal and put back by an
undo; where it has not, the removal cannot be undone and says so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from shlex import quote

from agent.change.contract import Facts, FixError
from agent.change.resources.packages_state import NAME, State, parsed, short
from agent.model.change import Act, Handle, Item, Risk, Skip, Step, Why
from agent.model.frames import Answer

_VITAL = re.compile(
    r"openssh(?:-server|-sftp-server)?|sudo|libpam\S*|pam|login|passwd|shadow-utils|util-linux|libc6|libc-bin|glibc\S*|"
    r"systemd\S*|dbus\S*|bash|dash|coreutils|dpkg|apt|rpm|dnf|yum|sed|grep|gawk|mawk|perl-base|iproute2?|procps\S*|"
    r"linux-image\S*|kernel\S*|grub\S*"
)
"""What a host, or the way into it, stands on: no control removes it."""
_UNIT = re.compile(r"[A-Za-z0-9:_.@\\-]+\.(?:service|socket|timer)")


class PackageAbsent:
    """package_absent: `names` of packages, `programs` whose packages are meant."""

    name = "package_absent"
    library = ("packages", "packages_absent")

    def check(self, item: Item) -> None:
        """Raises FixError."""
        names, programs = _list(item, "names"), _list(item, "programs")
        if not names and not programs:
            raise FixError("fix.names: write names: [telnet, nmap] (packages), or programs: [in.telnetd]")
        for name in (*names, *programs):
            if not NAME.fullmatch(name):
                raise FixError(f"fix.names: {name!r} is no name of a package or a program")
        if vital := [name for name in names if _VITAL.fullmatch(name)]:
            raise FixError(f"fix.names: {vital[0]} is what a host stands on")

    def read(self, item: Item, facts: Facts) -> str:
        """What is there of it, what would go besides, who needs it, how it would come back."""
        del facts
        return f"pk_absent_read {quote(' '.join(_list(item, 'names')))} {quote(' '.join(_list(item, 'programs')))}"

    def plan(self, item: Item, answer: Answer, facts: Facts) -> tuple[Step, ...] | Skip:
        """One step a package."""
        del facts
        state = parsed(answer.text)
        if not state.manager:
            return Skip(Why.UNSUPPORTED, "没有 apt、dnf 或 yum")
        if not state.total:
            return Skip(Why.ERROR, "软件包数据库无法读取")
        names = sorted({one.name for one in state.installed})
        if not names:
            return Skip(Why.MANUAL, f"不属任何软件包，请人工删除：{short(state.strays)}") if state.strays else ()
        return _refused(item, state, names) or tuple(_step(item, state, name, names) for name in names)


def _list(item: Item, key: str) -> list[str]:
    value = item.options.get(key, [])
    return [str(one) for one in value] if isinstance(value, list | tuple) else [str(value)]


def _refused(item: Item, state: State, names: Sequence[str]) -> Skip | None:
    """Why nothing is removed."""
    vital = [name for name in names if _VITAL.fullmatch(name)]
    if vital:
        return Skip(Why.UNSAFE, f"系统赖以运行，不卸载：{short(vital)}")
    others = sorted({name for what, name, _, _ in state.sim if what == "remove"} - set(names))
    if others:
        return Skip(Why.UNSAFE, f"卸载 {short(list(names))} 会连带移除：{short(others)}")
    if state.errors:
        return Skip(Why.UNSAFE, f"模拟卸载未通过：{short(state.errors)}")
    declared = {str(each) for each in item.options.get("listeners", ())}
    needed = [f"{name}（{port}）" for name in names for port in state.needs.get(name, ()) if port in declared]
    if needed:
        return Skip(Why.UNSAFE, f"已申报的监听端口由其提供，先确认业务并更新资产清单：{short(needed)}")
    return None


def _step(item: Item, state: State, name: str, names: Sequence[str]) -> Step:
    version = next(one.version for one in state.installed if one.name == name)
    units = [unit for unit in dict.fromkeys(state.units.get(name, ())) if _UNIT.fullmatch(unit)]
    back = all(state.again.get(each, False) for each in names)
    handles = [Handle("package", (each,)) for each in names]
    for unit in units:
        if "@." not in unit:
            handles += [Handle("links", (unit,)), Handle("unit", (unit,))]
    ports = state.needs.get(name, ())
    notes = [f"其监听的端口将关闭：{short(list(dict.fromkeys(ports)))}"] if ports else []
    if state.strays:
        notes.append(f"不属任何软件包，请人工删除：{short(state.strays)}")
    return Step(
        "package_absent",
        "packages",
        name,
        f"已安装 {version}",
        "未安装（配置保留）",
        f"pk_remove {quote(' '.join(names))} {quote(name)}",
        handles=tuple(handles) if back else (),
        source=state.manager,
        acts=(Act("daemon_reload"),) if units else (),
        risk=tuple(dict.fromkeys((*item.risk, *((Risk.APP_BREAK,) if ports else ())))),
        irreversible="" if back else f"软件源与缓存都没有 {name} {version}，卸载后不能自动装回",
        note="；".join(notes),
    )


RESOURCES = (PackageAbsent(),)
