"""MySQL and MariaDB: global variables, now and from the next start on.

fix: {resource: mysql_variable, want: {wait_timeout: {between: [60, 1800], value: 1800}}, plugin: simple_password_check}

`want`: variables and wishes (agent.change.wishes); of several names the server knows what it knows, the others are passed
over, so one entry serves MySQL 5.7, 8 and MariaDB. `plugin`: of MariaDB, loaded when it is not. `apply: restart`: a
variable that only a start sets may be set by one; without the leave to restart it is told and not done.

MySQL 8 keeps a value by SET PERSIST; MariaDB and MySQL 5.7 in a file of ours in the folder of settings that is read last.
"""

from __future__ import annotations

import re
from shlex import quote

from agent.change.contract import Facts, FixError
from agent.change.mysqlread import MyAccount, MySeen, MyVar, my_seen
from agent.change.sqlquote import my_text
from agent.change.wishes import Wish, wish
from agent.model.change import Act, Handle, Item, Risk, Skip, Step, Why
from agent.model.frames import Answer

_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)?")
_READ_ONLY = frozenset({"log_bin", "secure_file_priv", "bind_address"})
"""Of MySQL, which has no list of them that can be asked."""
_FOLDER = "/var/lib/mysql-files"
_MARGIN = 1
"""Days that must be left of a password's age when a limit is set."""
_RESTART = "须重启数据库，本次未获准重启（--restart）"


class MysqlVariable:
    """mysql_variable: see the module's text."""

    name = "mysql_variable"
    library = ("mysql",)

    def check(self, item: Item) -> None:
        """Raises FixError."""
        if not isinstance(item.want, dict) or not item.want:
            raise FixError('fix.want: write {local_infile: "OFF"}')
        for name, written in item.want.items():
            if not _NAME.fullmatch(str(name)):
                raise FixError(f"fix.want: {name!r} is no variable")
            made = wish(f"fix.want.{name}", written)
            if made.kind == "append" or not re.fullmatch(r"[A-Za-z0-9_.,:/ -]*", made.value):
                raise FixError(f"fix.want.{name}: a number, a word or a list of words")
        plugin = item.options.get("plugin", "")
        if plugin and not re.fullmatch(r"[a-z_]+", str(plugin)):
            raise FixError(f"fix.plugin: {plugin!r}")

    def read(self, item: Item, facts: Facts) -> str:
        """Lines of words between tabs; see agent.change.mysqlread."""
        del facts
        names = " ".join(quote(str(name)) for name in item.want)
        lines = [f"my_look {quote(item.subject.get('port', '') or '3306')} || exit 0", f"my_tell have_ssl {names}"]
        plugin = str(item.options.get("plugin", ""))
        if plugin:
            lines.append(f"printf 'plugin\\t{plugin}\\t%s\\n' \"$(my_plugin {plugin})\"")
            lines.append(
                f"d=$(my_ask 'SELECT @@plugin_dir;'); if [ -e \"$d/{plugin}.so\" ]; then printf 'so\\t{plugin}\\n'; fi"
            )
        if set(item.want) & _GUARDED:
            lines.append("my_accounts")
        return "\n".join(lines)

    def plan(self, item: Item, answer: Answer, facts: Facts) -> tuple[Step, ...] | Skip:
        """One step a variable."""
        del facts
        seen, port = my_seen(answer.text), item.subject.get("port", "") or "3306"
        if skip := seen.unusable(port):
            return skip
        plugin = str(item.options.get("plugin", ""))
        missing = bool(plugin) and seen.plugins.get(plugin) != "ACTIVE"
        if missing and (skip := _no_plugin(plugin, seen)):
            return skip
        wishes = {str(name): wish(str(name), written) for name, written in item.want.items()}
        known = {name: seen.vars.get(name, MyVar(None)) for name in wishes}
        if not missing and all(var.value is None for var in known.values()):
            return Skip(Why.UNSUPPORTED, f"此版本没有 {'、'.join(wishes)}，或提供它的组件未加载")
        todo = {
            name: wishes[name]
            for name, var in known.items()
            if (missing or var.value is not None) and _needed(var, wishes[name])
        }
        if not todo:
            return ()
        refused = _refused(item, todo, seen, known)
        if refused:
            return refused
        return tuple(
            _step(item, seen, port, name, made, known[name], plugin if missing else "") for name, made in todo.items()
        )


def _needed(var: MyVar, made: Wish) -> bool:
    """Whether it is not as wanted now, or would not be after the next start."""
    if var.value is None or not made.fits(var.value):
        return True
    start = var.at_start()
    return start is not None and start != var.value and not made.fits(start)


def _no_plugin(plugin: str, seen: MySeen) -> Skip | None:
    if not seen.mariadb:
        return Skip(Why.UNSUPPORTED, f"{plugin} 是 MariaDB 的插件；MySQL 社区版需另装同类组件或旁路审计")
    if plugin not in seen.libraries:
        return Skip(Why.UNSUPPORTED, f"插件目录中没有 {plugin}.so，先安装提供它的软件包")
    return None


def _static(name: str, var: MyVar, seen: MySeen) -> bool:
    return var.read_only or (not seen.mariadb and name in _READ_ONLY)


def _refused(item: Item, todo: dict[str, Wish], seen: MySeen, known: dict[str, MyVar]) -> Skip | None:
    """Why these variables must be left alone here."""
    on_line = [name for name in todo if name in seen.args]
    if on_line:
        return Skip(Why.MANUAL, f"{'、'.join(on_line)} 由启动命令行给定，改 systemd 单元或启动脚本")
    if skip := _no_place(seen):
        return skip
    if any(_static(name, known[name], seen) for name in todo):
        if not item.options.get("restart"):
            return Skip(Why.EXCLUDED, f"{'、'.join(todo)} {_RESTART}")
        if not seen.unit:
            return Skip(Why.MANUAL, f"{'、'.join(todo)} 须重启，而该实例不由 systemd 管理，由人重启")
    said = [f"{name}：{why}" for name, made in todo.items() if name in _GUARDS and (why := _GUARDS[name](seen, made))]
    return Skip(Why.UNSAFE, "；".join(said)) if said else None


def _no_place(seen: MySeen) -> Skip | None:
    """Why nothing can be kept for the next start."""
    if seen.persists:
        return None
    if seen.args & {"defaults_file", "defaults_group_suffix", "defaults_extra_file"} or seen.servers > 1:
        return Skip(Why.MANUAL, "本机有多个实例，或实例用自己的配置文件启动，公共配置目录不归它独用，由人写入")
    return None if seen.dropin else Skip(Why.UNSUPPORTED, "主配置文件没有 !includedir，无处放置持久设置")


def _expires(seen: MySeen, made: Wish) -> str:
    """A global age expires at once whoever has none of his own and an older password, or none that is dated."""
    days = int(made.value)
    old = [
        each.name
        for each in seen.accounts
        if not each.role
        and not each.locked
        and each.lifetime is None
        and (each.age is None or not 0 <= each.age <= days - _MARGIN)
    ]
    return (
        f"设置后这些账户立即过期（ERROR 1820）：{'、'.join(sorted(old))}；先轮换其口令并逐账户设有效期" if old else ""
    )


def _plaintext(seen: MySeen, made: Wish) -> str:
    """TLS may be asked of all only where it is offered and everybody from elsewhere is asked already."""
    del made
    have = seen.vars.get("have_ssl", MyVar(None)).value
    if have is not None and have != "YES":
        return "服务端还没有配置 TLS 证书"
    bare = [each.name for each in seen.accounts if _comes_bare(each)]
    if bare:
        return f"不能确认这些账户都走 TLS：{'、'.join(sorted(bare))}；先逐账户 REQUIRE SSL 并验证"
    return ""


def _comes_bare(account: MyAccount) -> bool:
    return not (account.role or account.locked or account.ssl or account.host == "localhost")


def _asleep(seen: MySeen, made: Wish) -> str:
    long = sorted({f"{user}@{address}" for user, address, idle in seen.sessions if idle > int(made.value)})
    return f"现有会话空闲已超过 {made.value} 秒（连接池）：{'、'.join(long)}；先调小其最大空闲时间" if long else ""


_GUARDS = {
    "default_password_lifetime": _expires,
    "require_secure_transport": _plaintext,
    "wait_timeout": _asleep,
}
_GUARDED = frozenset(_GUARDS)


def _step(item: Item, seen: MySeen, port: str, name: str, made: Wish, var: MyVar, plugin: str) -> Step:
    static = _static(name, var, seen)
    writes, handles = [], []
    if plugin:
        writes.append(f"my_plug {port} {plugin}")
        handles.append(Handle("mysqlplugin", (plugin, port)))
    if name == "secure_file_priv" and made.value == _FOLDER:
        writes.append(f"{{ [ -d {_FOLDER} ] || install -d -o mysql -g mysql -m 750 {_FOLDER}; }}")
    # what only a start sets cannot be put back before it: the file and the running unit are its state
    running = Handle("mysqlrun", (seen.unit, seen.socket or "-"))
    handles.append(running if static else Handle("mysqlvar", (name, port)))
    if seen.persists:
        word = "PERSIST_ONLY" if static else "PERSIST"
        value = made.value if re.fullmatch(r"\d+", made.value) else my_text(made.value)
        writes.append(f"my_do {port} {quote(f'SET {word} {name} = {value};')}")
        handles.append(Handle("mysqlpersist", (name, port)))
    else:
        ours = item.options.get("plugin")
        value = {"log_bin": "binlog"}.get(name, made.value)
        writes.append(f"my_keep {quote(seen.dropin)} {'loose_' if ours else ''}{name} {quote(value)}")
        if not static:
            writes.append(f"my_set {port} {name} {quote(made.value)}")
        handles.insert(0, Handle("file", (seen.dropin,)))
        writes.append(f"my_kept {name} {quote(value)}")
    acts = ((Act("restart", (seen.unit,)),) if static else ()) + (Act("mysql", (port, seen.unit)),)
    return Step(
        "mysql_variable",
        "mysql",
        name,
        "插件未加载" if plugin else (var.value or "空" if var.value is not None else "未设置"),
        made.value,
        " && ".join(writes),
        handles=tuple(handles),
        source=_source(var),
        acts=acts,
        risk=(*item.risk, *((Risk.RESTART,) if static and Risk.RESTART not in item.risk else ())),
        note=_NOTES.get(name, ""),
        confirm=f"my_stands {port} {quote(item.subject.get('account', ''))}",
    )


_NOTES = {
    "log_bin": "二进制日志占用磁盘；撤销后已写的 binlog.* 仍留在数据目录",
    "server_audit_logging": "审计日志写在数据目录 server_audit.log；撤销后日志保留",
    "max_password_errors": "超限的账户须 FLUSH PRIVILEGES 解锁",
    "wait_timeout": "只影响新会话",
}


def _source(var: MyVar) -> str:
    if var.configured is not None:
        return f"配置文件：{var.configured}"
    return {"SQL": "运行时设置", "DYNAMIC": "运行时设置", "PERSISTED": "mysqld-auto.cnf"}.get(var.origin, "默认值")


RESOURCES = (MysqlVariable(),)
