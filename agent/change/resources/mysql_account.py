"""MySQL and MariaDB: accounts and what they may do.

fix: {resource: mysql_account, select: anonymous, want: {state: absent}}

select and want: anonymous, remote_root: {state: absent}; empty_password: {state: locked} (an anonymous account is dropped);
any_host: {host: NETWORK} (one); global_privileges: {revoke: [FILE, SUPER, ...]}; mysql_schema:
{revoke: [INSERT, ...]}; lifetime: {days: 30}.

Nobody is touched whom the server or its package made for itself, whom we log in as, or whom `keep` and the scans' own
account name (narrowing and revoking aside); nobody is dropped or renamed who is the definer of a view, routine, trigger or
event, or is logged in. Who is left out is told by name. Each item is a transaction of its own, planned anew before it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from shlex import quote

from agent.change.contract import Facts, FixError
from agent.change.mysqlread import BUILT_IN, LOCAL, MyAccount, MySeen, MyVar, my_seen
from agent.change.sqlquote import my_account, my_name, plain
from agent.model.change import Act, Handle, Item, Risk, Skip, Step, Why
from agent.model.frames import Answer

_GLOBAL = ("SUPER", "FILE", "PROCESS", "SHUTDOWN", "RELOAD", "CREATE USER", "GRANT OPTION")
_SCHEMA = ("INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER")
_BARE = ("", "mysql_native_password", "mysql_old_password", "ed25519", "caching_sha2_password", "sha256_password")
"""Plugins for which an empty string is an open door."""
_FORMS = {
    "anonymous": {"state"},
    "remote_root": {"state"},
    "empty_password": {"state"},
    "any_host": {"host"},
    "global_privileges": {"revoke"},
    "mysql_schema": {"revoke"},
    "lifetime": {"days"},
}
_MARGIN = 1


class MysqlAccount:
    """mysql_account: see the module's text."""

    name = "mysql_account"
    library = ("mysql",)
    alone = True

    def check(self, item: Item) -> None:
        """Raises FixError."""
        select, want = item.options.get("select"), item.want
        if select not in _FORMS:
            raise FixError(f"fix.select: {select!r}; known: {', '.join(_FORMS)}")
        if not isinstance(want, dict) or set(want) != _FORMS[str(select)]:
            raise FixError(f"fix.want: {select} takes {', '.join(_FORMS[str(select)])}")
        state = "locked" if select == "empty_password" else "absent"
        if "state" in want and want["state"] != state:
            raise FixError(f"fix.want.state: {state}")
        allowed = _GLOBAL if select == "global_privileges" else _SCHEMA
        if "revoke" in want and (not want["revoke"] or set(want["revoke"]) - set(allowed)):
            raise FixError(f"fix.want.revoke: of {', '.join(allowed)}")
        if "days" in want and not 1 <= int(str(want["days"])) <= 365:  # noqa: PLR2004 - a year
            raise FixError("fix.want.days: 1 to 365")
        if "host" in want:
            _network(want["host"])

    def read(self, item: Item, facts: Facts) -> str:
        """Lines of words between tabs; see agent.change.mysqlread."""
        del facts
        port = quote(item.subject.get("port", "") or "3306")
        return f"my_look {port} || exit 0\nmy_tell default_password_lifetime\nmy_accounts"

    def plan(self, item: Item, answer: Answer, facts: Facts) -> tuple[Step, ...] | Skip:
        """One step an account that may be touched; who may not is told."""
        seen, port = my_seen(answer.text), item.subject.get("port", "") or "3306"
        if skip := seen.unusable(port):
            return skip
        if not seen.accounts:
            return Skip(Why.ERROR, "没有读到账户")
        chosen = [each for each in seen.accounts if not each.role and _SELECTS[str(item.options["select"])](each, seen)]
        if not chosen:
            return ()
        if seen.replica:
            return Skip(Why.UNSUPPORTED, "只读实例（从库），账户在主库上改")
        if not seen.dump:
            return Skip(Why.UNSUPPORTED, "没有 mysqldump/mariadb-dump，无法留底")
        refused = {each.name: reason for each in chosen if (reason := _refused(each, item, seen, facts))}
        told = "；".join(f"{name} 未动：{reason}" for name, reason in sorted(refused.items()))
        steps = tuple(_step(each, item, seen, port, told) for each in chosen if each.name not in refused)
        return steps or Skip(Why.UNSAFE, told)


def _network(written: object) -> ipaddress.IPv4Network:
    """The one network of `want.host`. Raises FixError."""
    one = written[0] if isinstance(written, list) and len(written) == 1 else written
    try:
        return ipaddress.IPv4Network(str(one), strict=False)
    except ValueError:
        raise FixError("fix.want.host: one IPv4 network (several need accounts of their own, by hand)") from None


def _effective(account: MyAccount, seen: MySeen) -> int:
    if account.lifetime is not None:
        return account.lifetime
    days = seen.vars.get("default_password_lifetime", MyVar(None)).value or ""
    return int(days) if re.fullmatch(r"[0-9]{1,9}", days) else 0


def _administers(account: MyAccount) -> bool:
    return (
        account.user == "root" or account.user in BUILT_IN or (account.user == "mysql" and account.host == "localhost")
    )


_SELECTS: Mapping[str, Callable[[MyAccount, MySeen], bool]] = {
    "anonymous": lambda one, _: one.user == "",
    "remote_root": lambda one, _: one.user == "root" and not one.local,
    "empty_password": lambda one, _: one.empty and not one.locked and one.plugin in _BARE,
    "any_host": lambda one, _: one.host == "%",
    "global_privileges": lambda one, _: bool(one.privileges) and not _administers(one),
    "mysql_schema": lambda one, _: bool(one.schemas) and not (one.user == "root" or one.user in BUILT_IN),
    "lifetime": lambda one, seen: (
        not one.locked and one.user not in {*BUILT_IN, ""} and not 1 <= _effective(one, seen) <= 30  # noqa: PLR2004 - the control's own
    ),
}


def _refused(account: MyAccount, item: Item, seen: MySeen, facts: Facts) -> str:
    """Why this account must be left alone; empty when it may be touched."""
    select = str(item.options["select"])
    if not plain(account.user) or not plain(account.host):
        return "账户名含控制字符"
    if account.user in BUILT_IN or account.name == seen.me:
        return "数据库自身或本程序所用的管理账户"
    reasons: Mapping[str, Callable[[], str]] = {
        "global_privileges": lambda: "",
        "mysql_schema": lambda: _wide(account),
        "lifetime": lambda: _too_old(account, item, int(str(item.want["days"]))),
        "any_host": lambda: _narrowable(account, item, seen, facts),
    }
    return reasons.get(select, lambda: _closable(account, item, seen))()


def _wide(account: MyAccount) -> str:
    others = [schema for schema in account.schemas if schema != "mysql"]
    return "授权对象是通配的库名，收回会波及其他库，由人改写授权" if others else ""


def _closable(account: MyAccount, item: Item, seen: MySeen) -> str:
    """Why an account must be neither dropped nor locked."""
    if account.user and account.user in {item.subject.get("account", ""), *item.options.get("keep", ())} - {"root"}:
        return "登记的服务账户或扫描账户"
    if account.user == "root" and account.local:
        return "本机管理账户，锁定后无法进入；为它设口令或改用 unix_socket"
    return _used(account, seen)


def _used(account: MyAccount, seen: MySeen) -> str:
    if account.name in seen.definers:
        return "是视图、过程、触发器或事件的定义者"
    remote = [
        address for user, address, _ in seen.sessions if user == account.user and (address in LOCAL) == account.local
    ]
    return f"正有会话（来自 {'、'.join(sorted(set(remote)))}）" if remote else ""


def _narrowable(account: MyAccount, item: Item, seen: MySeen, facts: Facts) -> str:
    if account.user in {"root", ""}:
        return "由删除远程 root、匿名账户的检查项处理"
    network = _network(item.want["host"])
    target = _host(network)
    if any(other.user == account.user and other.host == target for other in seen.accounts):
        return f"已有 {account.user}@{target}，由人合并授权"
    addresses = {address for user, address, _ in seen.sessions if user == account.user}
    if account.user == item.subject.get("account", "") and facts["from"]:
        addresses.add(facts["from"])
    outside = sorted(each for each in addresses if not _inside(each, network))
    if outside:
        return f"正从 {network} 以外使用：{'、'.join(outside)}"
    return "是视图、过程、触发器或事件的定义者" if account.name in seen.definers else ""


def _inside(address: str, network: ipaddress.IPv4Network) -> bool:
    try:
        return ipaddress.ip_address(address) in network
    except ValueError:
        return False


def _host(network: ipaddress.IPv4Network) -> str:
    """As every version writes it: `10.0.0.0/255.255.255.0`."""
    return str(network.network_address) if network.prefixlen == 32 else network.with_netmask  # noqa: PLR2004 - IPv4


def _too_old(account: MyAccount, item: Item, days: int) -> str:
    if account.user in {item.subject.get("account", ""), *item.options.get("keep", ())} - {"", "root"}:
        return "登记的服务账户，有效期随口令轮换设置"
    return (
        ""
        if account.age is not None and 0 <= account.age <= days - _MARGIN
        else "须先轮换口令，否则立即过期（ERROR 1820）"
    )


def _step(account: MyAccount, item: Item, seen: MySeen, port: str, told: str) -> Step:
    select, want, who = str(item.options["select"]), item.want, my_account(account.user, account.host)
    handles = [_handle(account.user, account.host, port)]
    shown = f"{account.user or '匿名'}@{account.host}"
    notes = [told] if told else []
    if "state" in want and (want["state"] == "absent" or not account.user):
        change = (shown, "存在", "删除", f"DROP USER IF EXISTS {who};")
    elif "state" in want:
        change = (shown, "空口令", "锁定", f"ALTER USER {who} ACCOUNT LOCK;")
    elif "host" in want:
        host = _host(_network(want["host"]))
        handles.append(_handle(account.user, host, port))
        change = (f"{account.user} 来源", account.host, host, f"RENAME USER {who} TO {my_account(account.user, host)};")
    elif "days" in want:
        days = int(str(want["days"]))
        now = account.lifetime if account.lifetime is not None else f"全局 {_effective(account, seen)}"
        change = (
            f"{shown} 有效期",
            f"{now} 天",
            f"{days} 天",
            f"ALTER USER {who} PASSWORD EXPIRE INTERVAL {days} DAY;",
        )
    else:
        # the host is in the note: an account may have been narrowed since this was approved
        where, had = (
            ("*.*", account.privileges)
            if select == "global_privileges"
            else (f"{my_name('mysql')}.*", account.schemas["mysql"])
        )
        taken = [each for each in had if each in want["revoke"]]
        notes.append(shown)
        change = (
            f"{account.user} {where.replace('`', '')} 权限", "、".join(taken), "收回", f"REVOKE {', '.join(taken)} ON {where} FROM {who};"
        )  # fmt: skip
    name, before, after, statement = change
    expiry = (Risk.ACCOUNT_EXPIRY,) if "days" in want and Risk.ACCOUNT_EXPIRY not in item.risk else ()
    return Step(
        "mysql_account",
        "mysql",
        name,
        before,
        after,
        f"my_do {port} {quote(statement)}",
        handles=tuple(handles),
        source="mysql 系统库",
        acts=(Act("mysql", (port, seen.unit)),),
        risk=(*item.risk, *expiry),
        note="；".join(notes),
        confirm=f"my_stands {port} {quote(item.subject.get('account', ''))}",
    )


def _handle(user: str, host: str, port: str) -> Handle:
    return Handle("mysqluser", (my_account(user, host), user, host, port))


RESOURCES = (MysqlAccount(),)
