"""Accounts of somebody who leaves: closed so that nothing is left by which to come in, later deleted.

No control's fix names these: flows.offboarding makes the items. want: {state: locked} or {state: deleted};
options: `account` (a user, a role), `host` (MySQL and MariaDB: the host part), `keep` (never touched).

On a host the password is locked, the account expired, its keys, cron tables and at jobs taken away, lines of sudoers that
name it removed, its processes ended; in a database ACCOUNT LOCK or NOLOGIN, and its sessions ended. All but the sessions
can be put back. Deleting cannot be undone, and is done only to what is closed already.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from shlex import quote

from agent.change.contract import Facts, FixError
from agent.change.mysqlread import BUILT_IN, MyAccount, MySeen, my_seen
from agent.change.pgread import BOOTSTRAP, PgRole, PgSeen, pg_seen, port_of, stands
from agent.change.sqlquote import my_account, pg_name, pg_text, plain
from agent.model.change import Act, Handle, Item, Risk, Skip, Step, Why
from agent.model.frames import Answer

FOREVER = "账号删除后不能恢复（家目录已归档）"
_NAME = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]*\$?")
_HOME = re.compile(r"/(home|export|data)/[^\x00-\x1f\x7f]+")
_VISUDO = "if _has visudo; then visudo -cq >&2; fi"
_OPEN = "未处于关闭状态：先执行 offboard --apply"


def _checked(item: Item) -> None:
    if item.want not in ({"state": "locked"}, {"state": "deleted"}):
        raise FixError("want: {state: locked} or {state: deleted}")
    if not item.options.get("account"):
        raise FixError("options.account: name the account")


@dataclass
class _Seen:
    account: bool = False
    gone: bool = False
    uid: str = ""
    home: str = ""
    closed: bool = False
    twins: list[str] = field(default_factory=list)
    mates: list[str] = field(default_factory=list)
    files: list[tuple[str, str]] = field(default_factory=list)
    """(key, cron, at, sudo, odd or hard; path)."""
    runs: bool = False


def _seen(text: str) -> _Seen:
    seen = _Seen()
    for line in text.splitlines():
        match line.split("\t"):
            case ["acct", _, uid, _, _, home, kind, _, _, _, _, expires]:
                seen.account, seen.uid, seen.home = True, uid, home
                seen.closed = kind.startswith("locked") and expires == "1"
            case ["gone"]:
                seen.gone = True
            case ["runs"]:
                seen.runs = True
            case ["twin", name]:
                seen.twins.append(name)
            case ["mate", name]:
                seen.mates.append(name)
            case [("key" | "cron" | "at" | "sudo" | "odd" | "hard") as what, path] if path.startswith("/"):
                seen.files.append((what, path))
    return seen


class LeaveHost:
    """leave_host: an account of a system."""

    name = "leave_host"
    library = ("account", "h_account", "leaving")

    def check(self, item: Item) -> None:
        """Raises FixError."""
        _checked(item)

    def read(self, item: Item, facts: Facts) -> str:
        """See leaving.sh: lv_look."""
        del facts
        return f"lv_look {quote(item.options['account'])}"

    def plan(self, item: Item, answer: Answer, facts: Facts) -> tuple[Step, ...] | Skip:
        """What is still to be taken away; the processes last, when nobody can come in anew."""
        name, seen = str(item.options["account"]), _seen(answer.text)
        if answer.rc or not (seen.account or seen.gone):
            return Skip(Why.ERROR, "没有读到账户")
        if skip := _untouchable(name, seen, {"root", facts["login"], *item.options.get("keep", ())} - {""}):
            return skip
        if item.want["state"] == "deleted":
            return _deletion(item, name, seen)
        steps = list(_files(item, name, seen))
        if seen.account and not seen.closed:
            lock = f"acct_close {quote(name)} && acct_ends {quote(name)}"
            steps.insert(0, _step(item, name, "可登录", "口令锁定、账号到期", lock, Handle("account", (name,))))
        if seen.account and (seen.runs or not seen.closed):
            steps.append(_step(item, f"{name} 的会话", "可有会话", "结束", f"lv_end {seen.uid}"))
        left = _by_hand(seen)
        if left and not steps:
            return Skip(Why.MANUAL, left)
        return tuple(replace(each, note=left) for each in steps)


def _untouchable(name: str, seen: _Seen, kept: set[str]) -> Skip | None:
    if name in kept or seen.uid == "0":
        return Skip(Why.UNSAFE, "root、程序登录或登记保留的账户")
    if not _NAME.fullmatch(name):
        return Skip(Why.UNSAFE, "账户名含异常字符")
    if seen.twins:
        return Skip(Why.UNSAFE, f"与 {'、'.join(seen.twins)} 共用一个编号")
    return None


def _by_hand(seen: _Seen) -> str:
    """What of an account no program takes away; empty when there is nothing."""
    words = {"odd": "是符号链接，公钥由人移除", "hard": "的 User_Alias 只有此人或含多段，由人改写"}
    told = [f"{path} {words[what]}" for what, path in seen.files if what in words]
    if seen.mates:
        shared = "、".join(seen.mates)
        told += [f"{path} 所在家目录与 {shared} 共用，公钥由人核对" for what, path in seen.files if what == "key"]
    return "；".join(told)


def _files(item: Item, name: str, seen: _Seen) -> list[Step]:
    words = {"key": "公钥文件", "cron": "定时任务", "at": "一次性任务"}
    steps = []
    for what, path in seen.files:
        file = Handle("file", (path,))
        if what in {"odd", "hard"} or (what == "key" and seen.mates):
            continue
        if what == "sudo":
            write = f"lv_unsudo {quote(path)} {quote(name)} {quote(seen.uid or '-')}"
            step = _step(item, path, f"有 {name} 的 sudo 授权", "移除", write, file)
            steps.append(replace(step, validate=_VISUDO))
        else:
            steps.append(_step(item, path, f"{words[what]}存在", "移除（回退时恢复）", f"rm -f {quote(path)}", file))
    return steps


def _deletion(item: Item, name: str, seen: _Seen) -> tuple[Step, ...] | Skip:
    if seen.gone:
        return ()
    if not seen.closed or seen.runs or seen.files:
        return Skip(Why.UNSAFE, _OPEN)
    own = _HOME.fullmatch(seen.home) and ".." not in seen.home and not seen.mates
    after = "删除，连同家目录" if own else "删除，家目录留下"
    write = f"lv_delete {quote(name)}{' -r' if own else ''}"
    return (_step(item, name, "已关闭", after, write, irreversible=FOREVER),)


def _step(item: Item, name: str, before: str, after: str, write: str, *handles: Handle, irreversible: str = "") -> Step:
    return Step(
        item.resource,
        "accounts",
        name,
        before,
        after,
        write,
        handles=handles,
        risk=(Risk.ACCOUNT_EXPIRY,),
        irreversible=irreversible,
    )


class LeaveMysql:
    """leave_mysql: an account of MySQL or MariaDB."""

    name = "leave_mysql"
    library = ("mysql", "account", "leaving")
    alone = True

    def check(self, item: Item) -> None:
        """Raises FixError."""
        _checked(item)

    def read(self, item: Item, facts: Facts) -> str:
        """As mysql_account."""
        del facts
        return f"my_look {_port(item)} || exit 0\nmy_accounts"

    def plan(self, item: Item, answer: Answer, facts: Facts) -> tuple[Step, ...] | Skip:
        """One step, or none."""
        del facts
        seen = my_seen(answer.text)
        user, host = str(item.options["account"]), str(item.options.get("host", ""))
        one = next((each for each in seen.accounts if (each.user, each.host) == (user, host)), None)
        if skip := _my_unable(item, seen, one, readable=not answer.rc):
            return skip
        if one is None:
            return ()
        return self._deletion(item, seen, one) if item.want["state"] == "deleted" else self._closing(item, seen, one)

    def _deletion(self, item: Item, seen: MySeen, one: MyAccount) -> tuple[Step, ...] | Skip:
        if not one.locked:
            return Skip(Why.UNSAFE, _OPEN)
        if one.name in seen.definers:
            return Skip(Why.UNSAFE, "是视图、过程、触发器或事件的定义者，先改定义者")
        drop = quote(f"DROP USER IF EXISTS {my_account(one.user, one.host)};")
        return (self._step(item, one.name, "已锁定", "删除", f"my_do {_port(item)} {drop}", FOREVER, seen.unit),)

    def _closing(self, item: Item, seen: MySeen, one: MyAccount) -> tuple[Step, ...] | Skip:
        other = any(each.user == one.user and each.host != one.host and not each.locked for each in seen.accounts)
        busy = not other and any(user == one.user for user, _, _ in seen.sessions)
        if one.locked and not busy:
            return ()
        if not seen.dump:
            return Skip(Why.UNSUPPORTED, "没有 mysqldump/mariadb-dump，无法留底")
        lock = quote(f"ALTER USER {my_account(one.user, one.host)} ACCOUNT LOCK;")
        port = _port(item)
        write = f"my_do {port} {lock} && lv_mykill {port} {one.user.encode().hex().upper()}"
        before = "已锁定，仍有会话" if one.locked else "可登录"
        return (self._step(item, one.name, before, "锁定、会话结束", write, "", seen.unit, one.user, one.host),)

    def _step(
        self, item: Item, name: str, before: str, after: str, write: str, irreversible: str, unit: str, *who: str
    ) -> Step:
        port = _port(item)
        return Step(
            self.name,
            "mysql",
            name,
            before,
            after,
            write,
            handles=(Handle("mysqluser", (my_account(*who), *who, port)),) if who else (),
            acts=(Act("mysql", (port, unit)),),
            risk=(Risk.ACCOUNT_EXPIRY,),
            irreversible=irreversible,
            confirm=f"my_stands {port} {quote(item.subject.get('account', ''))}",
        )


def _my_unable(item: Item, seen: MySeen, one: MyAccount | None, *, readable: bool) -> Skip | None:
    if not readable:
        return Skip(Why.ERROR, "没有读到账户")
    if skip := seen.unusable(_port(item)):
        return skip
    if not seen.accounts:
        return Skip(Why.ERROR, "没有读到账户")
    if one is None:
        return None
    kept = {*BUILT_IN, "root", "", item.subject.get("account", ""), *item.options.get("keep", ())}
    if not plain(one.user + one.host) or one.user in kept or one.name == seen.me:
        return Skip(Why.UNSAFE, "数据库自身、扫描、登记保留或本程序所用的账户")
    return Skip(Why.UNSUPPORTED, "只读实例（从库），账户在主库上改") if seen.replica else None


def _port(item: Item) -> str:
    return item.subject.get("port", "") or "3306"


class LeavePg:
    """leave_pg: a role of PostgreSQL."""

    name = "leave_pg"
    library = ("splice", "postgresql", "account", "leaving")
    alone = True

    def check(self, item: Item) -> None:
        """Raises FixError."""
        _checked(item)

    def read(self, item: Item, facts: Facts) -> str:
        """As pg_role."""
        del facts
        return f"pg_look {port_of(item)} || exit 0; pg_roles && pg_sessions"

    def plan(self, item: Item, answer: Answer, facts: Facts) -> tuple[Step, ...] | Skip:
        """One step, or none."""
        del facts
        if answer.rc:
            return Skip(Why.ERROR, "没有读到角色")
        seen = pg_seen(answer.text)
        role = seen.roles.get(str(item.options["account"]))
        if skip := _pg_unable(item, seen, role):
            return skip
        return self._steps(item, role, busy=any(each.role == role.name for each in seen.sessions)) if role else ()

    def _steps(self, item: Item, role: PgRole, *, busy: bool) -> tuple[Step, ...] | Skip:
        port, name = port_of(item), role.name
        if item.want["state"] == "deleted":
            if role.login or busy:
                return Skip(Why.UNSAFE, _OPEN)
            drop = f"pg_do {port} postgres {quote(f'DROP ROLE {pg_name(name)};')}"
            return (self._step(item, name, "不可登录", "删除", drop, FOREVER),)
        if not role.login and not busy:
            return ()
        lock = quote(f"ALTER ROLE {pg_name(name)} NOLOGIN;")
        ends = quote(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename={pg_text(name)};")  # noqa: S608 - quoted
        write = f"pg_do {port} postgres {lock} && pg_do {port} postgres {ends} >/dev/null && _nap"
        before = "可登录" if role.login else "不可登录，仍有会话"
        return (self._step(item, name, before, "不可登录、会话结束", write, "", Handle("pgrole", (name, port))),)

    def _step(
        self, item: Item, name: str, before: str, after: str, write: str, irreversible: str, *handles: Handle
    ) -> Step:
        return Step(
            self.name,
            "postgresql",
            name,
            before,
            after,
            write,
            handles=handles,
            risk=(Risk.ACCOUNT_EXPIRY,),
            irreversible=irreversible,
            confirm=stands(item),
        )


def _pg_unable(item: Item, seen: PgSeen, role: PgRole | None) -> Skip | None:
    if skip := seen.unusable(item):
        return skip
    if role is None:
        return None if seen.roles else Skip(Why.ERROR, "没有读到角色")
    kept = {item.subject.get("account"), seen.me, *item.options.get("keep", ())}
    if not plain(role.name) or role.oid == BOOTSTRAP or role.name in kept:
        return Skip(Why.UNSAFE, "数据库自身、扫描、登记保留或本程序所用的角色")
    return Skip(Why.UNSUPPORTED, "备库只读，请在主库上执行") if seen.standby else None


RESOURCES = (LeaveHost(), LeaveMysql(), LeavePg())
