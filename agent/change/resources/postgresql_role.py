"""PostgreSQL: what roles may do, and what everybody (PUBLIC) may.

fix: {resource: pg_role, want: {superuser: "no"}}           every role but the one that initdb made
fix: {resource: pg_role, select: expired, want: {login: "no"}}
fix: {resource: pg_role, want: {not_in: [pg_read_server_files]}}   of roles that are no superusers
fix: {resource: pg_acl, want: {schema: public, revoke: CREATE}}
fix: {resource: pg_acl, want: {relations: all, revoke: ALL}}

Never touched: the role of the scans, the server's own, roles that are connected now, and a superuser in whose name
functions, subscriptions or event triggers run. Passwords and their days are nobody's want here.
"""

from __future__ import annotations

from shlex import quote

from agent.change.contract import Facts, FixError
from agent.change.pgread import BOOTSTRAP, PgOpen, PgRole, PgSeen, people, pg_seen, port_of, stands
from agent.change.sqlquote import pg_name, plain
from agent.model.change import Handle, Item, Skip, Step, Why
from agent.model.frames import Answer

_FLAGS = {
    "superuser": ("NOSUPERUSER", "超级用户"),
    "createrole": ("NOCREATEROLE", "可建角色"),
    "bypassrls": ("NOBYPASSRLS", "可绕过行级安全"),
    "login": ("NOLOGIN", "可登录"),
}
_GROUPS = frozenset({"pg_execute_server_program", "pg_read_server_files", "pg_write_server_files"})
_OWNED = {
    "pg_proc": "函数",
    "pg_subscription": "订阅",
    "pg_event_trigger": "事件触发器",
    "pg_foreign_data_wrapper": "外部数据包装器",
}
_MOST = 50
"""Relations that one item changes at most; more is work for who knows the application."""
_READ_ONLY = "备库只读，请在主库上执行"


class PgRoles:
    """pg_role: see the module's text."""

    name = "pg_role"
    library = ("splice", "postgresql")

    def check(self, item: Item) -> None:
        """Raises FixError."""
        want = item.want
        if not isinstance(want, dict) or not want:
            raise FixError('fix.want: write {superuser: "no"}')
        if "not_in" in want:
            groups = want["not_in"]
            if len(want) > 1 or not isinstance(groups, list) or not groups or not set(groups) <= _GROUPS:
                raise FixError(f"fix.want.not_in: alone, of {', '.join(sorted(_GROUPS))}")
        elif not set(want) <= set(_FLAGS) or set(want.values()) != {"no"}:
            raise FixError(f'fix.want: {", ".join(_FLAGS)}, each "no" in quotes')
        if item.options.get("select", "") not in {"", "expired"} or (
            "login" in want and not item.options.get("select")
        ):
            raise FixError("fix.select: expired, and never login without it")

    def read(self, item: Item, facts: Facts) -> str:
        """See postgresql.sh: the same for every item of a server."""
        del facts
        return f"pg_look {port_of(item)} || exit 0; pg_roles && pg_sessions"

    def plan(self, item: Item, answer: Answer, facts: Facts) -> tuple[Step, ...] | Skip:
        """One step a role."""
        del facts
        if answer.rc:
            return Skip(Why.ERROR, "没有读到角色")
        seen = pg_seen(answer.text)
        if skip := seen.unusable(item):
            return skip
        meant = [role for role in seen.roles.values() if _meant(item, role)]
        if meant and seen.standby:
            return Skip(Why.UNSUPPORTED, _READ_ONLY)
        refused = [text for text in (_refused(item, role, seen) for role in meant) if text]
        if refused:
            return Skip(Why.UNSAFE, "；".join(refused[:5]))
        return tuple(_role_step(item, role) for role in meant)


def _flags(item: Item, role: PgRole) -> list[str]:
    now = {
        "superuser": role.superuser,
        "createrole": role.createrole,
        "bypassrls": role.bypassrls,
        "login": role.login,
    }
    return [name for name in item.want if now.get(name)]


def _meant(item: Item, role: PgRole) -> bool:
    if role.oid == BOOTSTRAP or role.name.startswith("pg_"):
        return False
    if "not_in" in item.want:
        return not role.superuser and bool(set(role.groups) & set(item.want["not_in"]))
    if item.options.get("select") == "expired" and not role.expired:
        return False
    if "superuser" not in item.want and "login" not in item.want and role.superuser:
        return False  # a superuser may all of it anyway: another control's work
    return bool(_flags(item, role))


def _refused(item: Item, role: PgRole, seen: PgSeen) -> str:
    """Why a role must be left alone."""
    if not plain(role.name):
        return "有角色名含控制字符"
    if role.name in {item.subject.get("account"), seen.me}:
        return f"{role.name} 是扫描账户或服务端自用角色，不改动"
    if "login" in item.want and role.name in item.options.get("keep", ()):
        return f"{role.name} 是登记的服务账户"
    if any(each.role == role.name for each in seen.sessions):
        return f"{role.name} 现有会话，先与使用者确认"
    if "superuser" in item.want and role.owned:
        owned = people(_OWNED.get(each, each) for each in role.owned)
        return f"{role.name} 拥有以其身份运行的{owned}，收回超级用户后可能失效，先改属主"
    return ""


def _role_step(item: Item, role: PgRole) -> Step:
    port, name = port_of(item), pg_name(role.name)
    flags, groups = _flags(item, role), [each for each in item.want.get("not_in", ()) if each in role.groups]
    if "superuser" in flags:  # what is as good as it goes with it
        now = {"createrole": role.createrole, "bypassrls": role.bypassrls}
        flags = list(dict.fromkeys([*flags, *(each for each, on in now.items() if on)]))
        groups = sorted(_GROUPS & set(role.groups))
    words = [_FLAGS[flag][0] for flag in flags]
    statements = [f"ALTER ROLE {name} {' '.join(words)};"] if words else []
    statements += [f"REVOKE {pg_name(group)} FROM {name};" for group in groups]
    before = "、".join([*(_FLAGS[flag][1] for flag in flags), *(f"{group} 的成员" for group in groups)])
    after = "；".join([*([" ".join(words)] if words else []), *(f"REVOKE {group}" for group in groups)])
    return Step(
        "pg_role",
        "postgresql",
        role.name,
        before,
        after,
        f"pg_do {port} postgres {' '.join(map(quote, statements))}",
        handles=(Handle("pgrole", (role.name, port)),),
        source="pg_authid",
        risk=item.risk,
        note=_FLAG_NOTES.get(next(iter(item.want)), ""),
        confirm=stands(item),
    )


_FLAG_NOTES = {
    "superuser": "已授的对象权限不变；缺的按需授予预置角色",
    "login": "只挡登录，所有的对象与权限不变",
    "not_in": "经其他角色间接得到的成员资格不变",
}


class PgAcl:
    """pg_acl: see the module's text."""

    name = "pg_acl"
    library = ("splice", "postgresql")

    def check(self, item: Item) -> None:
        """Raises FixError."""
        if item.want not in ({"schema": "public", "revoke": "CREATE"}, {"relations": "all", "revoke": "ALL"}):
            raise FixError("fix.want: {schema: public, revoke: CREATE} or {relations: all, revoke: ALL}")

    def read(self, item: Item, facts: Facts) -> str:
        """See postgresql.sh: the same for every item of a database."""
        del facts
        return f"pg_look {port_of(item)} || exit 0; pg_public {quote(_database(item))}"

    def plan(self, item: Item, answer: Answer, facts: Facts) -> tuple[Step, ...] | Skip:
        """One step a schema or relation."""
        del facts
        if answer.rc:
            return Skip(Why.ERROR, f"没有读到数据库 {_database(item)} 的授权")
        seen = pg_seen(answer.text)
        if skip := seen.unusable(item):
            return skip
        steps = _schema(item, seen) if "schema" in item.want else _relations(item, seen)
        if isinstance(steps, tuple) and steps and seen.standby:
            return Skip(Why.UNSUPPORTED, _READ_ONLY)
        return steps


def _database(item: Item) -> str:
    name = item.subject.get("dbname", "")
    return name if name and plain(name) else "postgres"


def _schema(item: Item, seen: PgSeen) -> tuple[Step, ...]:
    if _database(item) not in seen.create:
        return ()
    others = people(each for each in seen.create if each != _database(item))
    owners = people(each for each in seen.owners if each != item.subject.get("account"))
    notes = [
        f"其中对象的属主今后不能再建对象，除非单独授权：{owners}" if owners else "",
        f"其他数据库也如此，各登记一条或由人处理：{others}" if others else "",
    ]
    return (_acl_step(item, "schema", "public", "CREATE", "；".join(filter(None, notes)), before="PUBLIC 可建对象"),)


def _relations(item: Item, seen: PgSeen) -> tuple[Step, ...] | Skip:
    brought = people(f"{each.schema}.{each.name}" for each in seen.open if each.extension)
    if brought:
        return Skip(Why.MANUAL, f"由扩展带来、升级时会重新授予：{brought}；核对后登记例外或由人收回")
    if len(seen.open) > _MOST:
        return Skip(Why.MANUAL, f"{len(seen.open)} 个表或视图向 PUBLIC 开放，由应用方定授权后处理")
    if not all(plain(each.schema + each.name) for each in seen.open):
        return Skip(Why.MANUAL, "有名称含控制字符的表")
    return tuple(_relation_step(item, each) for each in seen.open)


def _relation_step(item: Item, each: PgOpen) -> Step:
    name = f"{pg_name(each.schema)}.{pg_name(each.name)}"
    note = "应用若靠 PUBLIC 的授权访问它，先单独授权"
    return _acl_step(item, each.kind, name, "ALL", note, before=f"PUBLIC 可 {each.privileges}")


def _acl_step(item: Item, kind: str, name: str, privilege: str, note: str, *, before: str) -> Step:
    port, database = port_of(item), _database(item)
    where = f"{quote(name)} {port} {quote(database)}"
    return Step(
        "pg_acl",
        "postgresql",
        f"{database} {kind} {name}",
        before,
        f"REVOKE {privilege} FROM PUBLIC",
        f"pg_unpublic {kind} {where} {privilege}",
        handles=(Handle("pgacl", (kind, name, port, database)),),
        source="授权表",
        risk=item.risk,
        note=note,
        confirm=stands(item),
    )


RESOURCES = (PgRoles(), PgAcl())
