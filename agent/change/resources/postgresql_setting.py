"""PostgreSQL: settings of the server, by ALTER SYSTEM.

fix: {resource: pg_setting, want: {log_connections: "on", idle_session_timeout: {between: [1, 1800000], value: 30min}}}

`want`: settings and wishes (agent.change.wishes); numbers of a wish are in the setting's own unit (pg_settings.unit), a
value may name another. What only a start sets is done with the leave to restart, else it is told. A setting of an
extension that is not loaded is told too; `append` adds a library whose file lies on the host.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from shlex import quote

from agent.change.contract import Facts, FixError
from agent.change.pgread import PgSeen, PgSetting, acts_of, people, pg_seen, port_of, stands
from agent.change.sqlquote import pg_name, pg_text
from agent.change.wishes import Wish, listed, wish
from agent.model.change import Handle, Item, Risk, Skip, Step, Why
from agent.model.frames import Answer

_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)?")
_QUANTITY = re.compile(r"(-?\d+(?:\.\d+)?)\s*([A-Za-z]*)")
_BASE = re.compile(r"(\d*)([A-Za-z]+)")
_TIME = {"us": 1, "ms": 10**3, "s": 10**6, "min": 60 * 10**6, "h": 3600 * 10**6, "d": 86400 * 10**6}
_ROOM = {"B": 1, "kB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40}
_PACKAGES = {
    "credcheck": "postgresql-{0}-credcheck（或 credcheck_{0}）",
    "pgaudit": "postgresql-{0}-pgaudit（或 pgaudit_{0}）",
}
_PARTS = 10000
"""server_version_num is the major version times this, since 10."""


def measured(value: str, unit: str) -> str:
    """A value with a unit of its own, as pg_settings shows it, in the setting's unit; as it is where that cannot be told."""
    told = _QUANTITY.fullmatch(value.strip())
    base = _BASE.fullmatch(unit)
    if not told or not base:
        return value
    table = next((each for each in (_TIME, _ROOM) if base[2] in each), {})
    one = table.get(told[2] or "")
    if one is None:
        return value
    found = Decimal(told[1]) * one / (int(base[1] or 1) * table[base[2]])
    return str(int(found.to_integral_value()))


def _said(value: str, setting: PgSetting) -> str:
    """As pg_settings would show it."""
    if setting.kind == "bool":
        word = value.strip().lower()
        return "on" if word in {"on", "true", "yes", "1", "t", "y"} else "off" if word else ""
    return measured(value, setting.unit) if setting.kind in {"integer", "real"} else value


def _fits(made: Wish, value: str, setting: PgSetting) -> bool:
    now = _said(value, setting)
    return made.fits(now) or (made.kind in {"is", "one_of"} and now in {_said(each, setting) for each in made.args})


def _needed(made: Wish, setting: PgSetting) -> bool:
    """Whether it is not as wanted now, or would not be after the next start."""
    if not _fits(made, setting.value, setting):
        return True
    return setting.start is not None and not _fits(made, setting.start, setting)


class PgSettings:
    """pg_setting: see the module's text."""

    name = "pg_setting"
    library = ("splice", "postgresql")

    def check(self, item: Item) -> None:
        """Raises FixError."""
        if not isinstance(item.want, dict) or not item.want:
            raise FixError('fix.want: write {log_connections: "on"}')
        for name, written in item.want.items():
            if not _NAME.fullmatch(str(name)):
                raise FixError(f"fix.want: {name!r} is no setting")
            made = wish(f"fix.want.{name}", written)
            if made.kind == "append" and name != "shared_preload_libraries":
                raise FixError(f"fix.want.{name}: only shared_preload_libraries is a list of libraries")

    def read(self, item: Item, facts: Facts) -> str:
        """See postgresql.sh: the same for every item of a server."""
        del facts
        return f"pg_look {port_of(item)} || exit 0; pg_settings && pg_sessions"

    def plan(self, item: Item, answer: Answer, facts: Facts) -> tuple[Step, ...] | Skip:
        """One step a setting."""
        del facts
        if answer.rc:
            return Skip(Why.ERROR, "没有读到数据库的参数")
        seen = pg_seen(answer.text)
        if skip := seen.unusable(item):
            return skip
        wishes = {str(name): wish(str(name), written) for name, written in item.want.items()}
        missing = [name for name in wishes if name not in seen.settings]
        if missing:
            return _missing(missing, seen)
        todo = {name: made for name, made in wishes.items() if _needed(made, seen.settings[name])}
        refused = _refused(item, todo, seen)
        if refused:
            return refused
        return tuple(_step(item, seen, name, made) for name, made in todo.items())


def _missing(names: list[str], seen: PgSeen) -> Skip:
    extension = names[0].partition(".")[0]
    if "." in names[0]:
        where = (
            "库文件已在，先加入 shared_preload_libraries 并重启"
            if extension in seen.libraries
            else "主机上也没有它的库文件，先安装"
        )
        return Skip(Why.UNSUPPORTED, f"扩展 {extension} 未加载，没有参数 {'、'.join(names)}；{where}")
    return Skip(Why.UNSUPPORTED, f"此版本（{seen.version // _PARTS}）没有参数 {'、'.join(names)}")


def _refused(item: Item, todo: dict[str, Wish], seen: PgSeen) -> Skip | None:
    """Why these settings must be left alone here."""
    system = seen.settings.get("allow_alter_system")
    if todo and system and system.value == "off":
        return Skip(Why.MANUAL, "allow_alter_system=off：参数由外部工具管理，在其来源处修改")
    for name, made in todo.items():
        reason = _elsewhere(name, seen) or (_GUARDS[name](seen, made) if name in _GUARDS else None)
        if reason:
            return reason
    cold = [name for name in todo if seen.settings[name].context == "postmaster"]
    if cold and item.options.get("restart") is not True:
        return Skip(Why.MANUAL, f"{'、'.join(cold)} 须重启数据库才生效，本次未获准重启（--restart）")
    if cold and not seen.unit:
        return Skip(Why.MANUAL, f"{'、'.join(cold)} 须重启数据库才生效，而实例不由系统服务启动")
    return None


def _elsewhere(name: str, seen: PgSeen) -> Skip | None:
    """Why ALTER SYSTEM would not reach it."""
    setting = seen.settings[name]
    if setting.context == "internal":
        return Skip(Why.UNSUPPORTED, f"{name} 由编译或建库时决定")
    if setting.source in {"command line", "environment variable"}:
        return Skip(Why.MANUAL, f"{name} 由启动命令行给定（或由集群管理程序下发），在其来源处修改")
    if setting.source in {"user", "database", "database user"}:
        return Skip(Why.MANUAL, f"{name} 被 {seen.me} 或 postgres 库的 ALTER ROLE/DATABASE SET 覆盖，先取消")
    return None


def _tls(seen: PgSeen, made: Wish) -> Skip | None:
    return (
        None
        if made.value != "on" or seen.tls
        else Skip(Why.UNSUPPORTED, "没有服务端证书与私钥（或运行账户读不到），先配置证书")
    )


def _old_tls(seen: PgSeen, made: Wish) -> Skip | None:
    old = people(f"{s.role}@{s.address}" for s in seen.sessions if s.tls and s.tls < made.value)
    return Skip(Why.UNSAFE, f"现有会话用更低的 TLS 版本：{old}；先升级其驱动") if old else None


def _idle(states: str) -> Callable[[PgSeen, Wish], Skip | None]:
    def guard(seen: PgSeen, made: Wish) -> Skip | None:
        most = int(measured(made.value, "s")) if _QUANTITY.fullmatch(made.value) else 0
        long = people(
            f"{s.role}@{s.address or '本机'}"
            for s in seen.sessions
            if re.fullmatch(states, s.state) and s.seconds > most
        )
        return (
            Skip(Why.UNSAFE, f"现有会话空闲已超过 {made.value}：{long}；先调小其连接池的最大空闲时间") if long else None
        )

    return guard


def _library(made: Wish, seen: PgSeen) -> str:
    return next((str(each) for each in made.args if str(each) in seen.libraries), "")


def _preload(seen: PgSeen, made: Wish) -> Skip | None:
    if made.kind != "append" or _library(made, seen):
        return None
    package = _PACKAGES.get(str(made.args[0]), "提供它的软件包").format(seen.version // _PARTS)
    return Skip(Why.UNSUPPORTED, f"主机上没有 {'、'.join(map(str, made.args))} 的库文件，先安装 {package}")


def _archive(seen: PgSeen, made: Wish) -> Skip | None:
    del made
    if seen.archiver:
        return None
    return Skip(Why.MANUAL, "尚无 archive_command：只开 archive_mode 会使 WAL 堆积、写满磁盘；先定归档去处并演练恢复")


_GUARDS: dict[str, Callable[[PgSeen, Wish], Skip | None]] = {
    "shared_preload_libraries": _preload,
    "ssl": _tls,
    "ssl_min_protocol_version": _old_tls,
    "idle_session_timeout": _idle("idle"),
    "idle_in_transaction_session_timeout": _idle("idle in transaction.*"),
    "archive_mode": _archive,
}


def _step(item: Item, seen: PgSeen, name: str, made: Wish) -> Step:
    setting = seen.settings[name]
    cold = setting.context == "postmaster"
    after = made.value
    quoted = ".".join(map(pg_name, name.split(".")))
    write = f"pg_do {port_of(item)} postgres {quote(f'ALTER SYSTEM SET {quoted} = {pg_text(after)};')}"
    if made.kind == "append":
        there, new = listed(setting.start or setting.value), _library(made, seen)
        after = ", ".join(dict.fromkeys([*there, new]))
        write = f"pg_preload {port_of(item)} {quote(new)}"
    others = people(f"{role or '所有角色'}@{database or '所有库'}" for own, role, database in seen.own if own == name)
    own = tuple(risk for risk in item.risk if risk is not Risk.RESTART)
    return Step(
        "pg_setting",
        "postgresql",
        name,
        (setting.value or "（空）") + (setting.unit if _BASE.fullmatch(setting.unit) and setting.value != "0" else ""),
        after,
        write,
        handles=(Handle("pgset", (name, port_of(item))),),
        source=setting.place or {"default": "默认值"}.get(setting.source, setting.source),
        acts=acts_of(item, seen, restart=cold),
        risk=(*own, Risk.RESTART) if cold else own,
        note="；".join(filter(None, [f"另有单独设置：{others}" if others else "", _NOTES.get(name, "")])),
        confirm=stands(item),
    )


_NOTES = {
    "password_encryption": "只影响此后设置的口令；旧口令轮换后才是 scram",
    "logging_collector": "日志改写入数据目录的 log_directory，日志外发须随之调整；撤销后已写的日志保留",
    "log_statement": "改口令的语句须在会话内 SET log_statement='none'，否则口令进日志",
}


RESOURCES = (PgSettings(),)
