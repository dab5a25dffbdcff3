"""Accounts as they were found, held against who may have them. Pure: facts, people and the day are given."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agent.model.holder import Flaw, Found, Holding

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import date
    from typing import Protocol

    from agent.model.facts import DatabaseFacts, HostFacts

    class Person(Protocol):
        """What is asked of somebody in people.yaml."""

        @property
        def name(self) -> str:
            """As reports call the person."""
            ...

        @property
        def login(self) -> str:
            """OS login; empty for one who does not operate."""
            ...

        @property
        def accounts(self) -> tuple[str, ...]:
            """`USER@WHERE` that the person may have."""
            ...

        @property
        def privileged(self) -> tuple[str, ...]:
            """Those that may have full rights."""
            ...

        @property
        def until(self) -> date | None:
            """Last day; None: not known yet."""
            ...

        def here(self, day: date) -> bool:
            """Whether the person works here on that day."""
            ...


IDLE = 90
"""Days without a login after which an account is dormant."""
DEFAULTS = frozenset({
    "admin", "administrator", "guest", "test", "demo", "user", "oracle", "ftp", "ftpuser", "mysql", "postgres",
    "tomcat", "nagios", "zabbix", "git", "deploy", "pi", "ubuntu", "centos", "debian", "ec2-user", "vagrant",
    "support", "sa",
})  # fmt: skip
"""Names that installers and images make, and that are tried first."""
_CLOSED = frozenset({"nologin", "false", "sync", "shutdown", "halt"})
_ADMIN_GROUPS = frozenset({"sudo", "wheel", "admin"})
_FULL = re.compile(r"^(?P<who>[^\s=]+)\s+\S+\s*=.*\bALL\s*$")
_MYSQL = frozenset({"mariadb", "mysql"})
_MYSQL_FULL = {11: "SUPER", 10: "GRANT OPTION", 9: "FILE", 12: "CREATE USER"}
"""Column of observe.database's `privileges` answer, after user and host, to its name."""
_POSTGRESQL_FULL = (("SUPERUSER", 2), ("CREATEROLE", 3), ("BYPASSRLS", 6))
"""Attribute and its column of observe.database's `accounts` answer."""
_POSTGRESQL_ROLES = frozenset({"pg_execute_server_program", "pg_read_server_files", "pg_write_server_files"})
"""Built-in roles whose members reach the server's own files and programs."""


def on_host(facts: HostFacts) -> list[Found]:
    """Accounts of a host in the order of /etc/passwd."""
    sudoers = next((one.tables.get("sudoers", {}) for one in facts.subjects if one.kind == "linux"), {})
    full = _sudo(sudoers.values())
    by_id: dict[int, list[str]] = {}
    for one in facts.accounts:
        by_id.setdefault(one.uid, []).append(one.name)
    found = []
    for one in facts.accounts:
        closed = one.shell.rpartition("/")[2] in _CLOSED
        password = one.hash_kind not in {"", "locked", "disabled"}
        ended = one.ends_days is not None and one.ends_days < 0
        ways = [
            *(["open"] if one.hash_kind == "none" else ["password"] if password else []),
            *(["key"] if one.keys else []),
        ]
        rights = [
            *(["uid 0"] if one.uid == 0 else []),
            *(["sudo"] if one.name in full or f"#{one.uid}" in full else []),
            *(f"sudo（{group} 组）" for group in one.groups if f"%{group}" in full),
        ]
        found.append(
            Found(
                facts.target,
                one.name,
                one.name,
                "linux",
                () if closed or ended else tuple(ways),
                tuple(rights),
                one.changed_days,
                one.login_days,
                tuple(name for name in by_id[one.uid] if name != one.name),
                one.key_names,
                "已到期" if ended else "已锁定" if one.hash_kind == "locked" else "",
            )
        )
    return found


def _sudo(rules: Iterable[str]) -> frozenset[str]:
    """Users, `%groups` and `#ids` that a rule gives all commands."""
    named: set[str] = set()
    aliases: dict[str, list[str]] = {}
    for rule in rules:
        alias = re.match(r"User_Alias\s+(\w+)\s*=\s*(.+)$", rule)
        if alias:
            aliases[alias[1]] = [word.strip() for word in alias[2].split(",")]
            continue
        hit = _FULL.match(rule)
        if hit and not rule.startswith(("Defaults", "Host_Alias", "Runas_Alias", "Cmnd_Alias", "@", "#")):
            named |= {word.strip() for word in hit["who"].split(",")}
    return frozenset(word for name in named for word in aliases.get(name, [name]))


def on_database(facts: DatabaseFacts, rows: Mapping[str, Sequence[Sequence[object]]]) -> list[Found]:
    """Accounts of a database.

    Args:
        facts: which one.
        rows: answers of observe.database's own queries by name (`accounts`, `privileges`, `memberships`).
    """
    if facts.engine == "postgresql":
        roles = [row for row in rows.get("accounts", ()) if len(row) > 9]  # noqa: PLR2004 - its columns
        full = {_word(row[0]): tuple(word for word, at in _POSTGRESQL_FULL if _yes(row[at])) for row in roles}
        groups: dict[str, list[str]] = {}
        for row in (row for row in rows.get("memberships", ()) if len(row) > 1):
            groups.setdefault(_word(row[0]), []).append(_word(row[1]))
        return [_role(facts, row, _reached(_word(row[0]), full, groups)) for row in roles]
    rights = {}
    for row in rows.get("privileges", ()):
        mine = [name for column, name in sorted(_MYSQL_FULL.items()) if len(row) > column + 2 and _yes(row[column + 2])]
        rights[_word(row[0]), _word(row[1])] = tuple(mine)
    found = []
    for row in rows.get("accounts", ()):
        user, part = _word(row[0]), _word(row[1])
        if _yes(row[-1]):
            continue  # a role
        plugin = _word(row[2])
        local = "socket" in plugin
        locked = _yes(row[4])
        secret = str(row[3] or 0) not in {"0", ""}
        way = "local" if local else "password" if secret else "open"
        found.append(
            Found(
                facts.target,
                f"{user}@{part}",
                user,
                facts.engine,
                () if locked else (way,),
                rights.get((user, part), ()),
                state="已锁定" if locked else "",
            )
        )
    return found


def _reached(name: str, full: Mapping[str, Sequence[str]], groups: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Its own rights, then those of the roles it is in, at any depth: SET ROLE reaches what is not inherited."""
    rights = list(full.get(name, ()))
    seen, ahead = {name}, sorted(groups.get(name, ()))
    while ahead:
        role = ahead.pop(0)
        if role in seen:
            continue
        seen.add(role)
        rights += [f"{word}（经 {role}）" for word in full.get(role, ())]
        if role in _POSTGRESQL_ROLES:
            rights.append(role)
        ahead += sorted(groups.get(role, ()))
    return tuple(rights)


def _role(facts: DatabaseFacts, row: Sequence[object], rights: tuple[str, ...]) -> Found:
    name = _word(row[0])
    can, secret = _yes(row[1]), row[9] != "none"
    ways = ("password",) if can and secret else ("local",) if can else ()
    until = f"有效期至 {row[7]}" if row[7] and can else ""
    return Found(facts.target, name, name, facts.engine, ways, rights, state=until if can else "不可登录")


def _word(value: object) -> str:
    return "" if value is None else str(value)


def _yes(value: object) -> bool:
    return value is True or str(value).lower() in {"y", "1", "true", "t", "yes"}


def reconcile(
    found: Sequence[Found],
    people: Sequence[Person],
    day: date,
    groups: Mapping[str, Collection[str]],
    managed: Mapping[str, str],
    services: Collection[tuple[str, str]] = (),
    own: Collection[str] = (),
) -> list[Holding]:
    """Whose each account is, and what is wrong with it.

    One that nobody can log in with is clean unless it has id 0 or shares its id. A managed account has full rights only
    where a person's `privileged` or the service register says so: who answers for it (`person`) does not bless them.

    Args:
        found: what the targets have.
        people: people.yaml.
        day: today in Asia/Shanghai.
        groups: target to its groups.
        managed: `USER@TARGET` of the accounts under management to who answers for them.
        services: (user, target or `*`) of the service-account register.
        own: `USER@TARGET` by which the agent itself logs in.
    """
    usable = {(one.target, one.name) for one in found if one.ways}
    return [_held(one, usable, people, day, groups, managed, services, own) for one in found]


def seats(one: Found, groups: Mapping[str, Collection[str]]) -> set[str]:
    """Every `USER@WHERE` of people.yaml that means this account."""
    return {f"{one.user}@{place}" for place in (one.target, "*", *groups.get(one.target, ()))}


def _held(
    one: Found,
    usable: Collection[tuple[str, str]],
    people: Sequence[Person],
    day: date,
    groups: Mapping[str, Collection[str]],
    managed: Mapping[str, str],
    services: Collection[tuple[str, str]],
    own: Collection[str],
) -> Holding:
    mine_at = seats(one, groups)
    answers = managed.get(one.id, "")
    mine = [
        person
        for person in people
        if not mine_at.isdisjoint((*person.accounts, *person.privileged))
        or answers in {person.name, person.login} - {""}
    ]
    here = [person for person in mine if person.here(day)]
    service = not {(one.user, one.target), (one.user, "*")}.isdisjoint(services) or one.id in own
    allowed = any(not mine_at.isdisjoint(person.privileged) for person in here)
    closed = not any((one.target, name) in usable for name in (one.name, *one.twins))
    known = service or one.id in managed
    flaws = list(_flaws(one, mine, here, known=known, allowed=allowed or service, closed=closed))
    return Holding(one, tuple(person.name for person in here), one.id in managed, tuple(flaws))


def builtin(one: Found) -> bool:
    """Whether it belongs to the system or the server itself, where it is reached from its own host alone."""
    if one.kind in _MYSQL:
        local = one.name.rpartition("@")[2] in {"localhost", "127.0.0.1", "::1"}
        return local and one.user in {"root", "mysql", "mariadb.sys", "mysql.sys", "mysql.session", "mysql.infoschema"}
    return one.user == {"linux": "root", "postgresql": "postgres"}.get(one.kind)


def _flaws(
    one: Found, mine: Sequence[Person], here: Sequence[Person], *, known: bool, allowed: bool, closed: bool
) -> Iterator[tuple[Flaw, str]]:
    usable = [way for way in one.ways if way != "local"]
    own_part = builtin(one)
    if mine and not here and usable:
        yield Flaw.ORPHANED, "、".join(person.name for person in mine)
    elif not mine and usable and not known and not own_part:
        yield Flaw.UNKNOWN, f"可登录方式：{'、'.join(one.ways)}"
    if usable and len(here) > 1:
        yield Flaw.SHARED, "、".join(person.name for person in here)
    if one.twins:
        yield Flaw.SHARED, f"同一编号：{'、'.join(one.twins)}" + ("（均无登录方式）" if closed else "")
    if usable and one.idle is not None and one.idle > IDLE:
        yield Flaw.DORMANT, f"{one.idle} 天未登录"
    if usable and one.idle == -1 and one.age is not None and one.age > IDLE:
        yield Flaw.DORMANT, f"从未在终端登录，口令已 {one.age} 天"
    known_to_all = one.user.lower() in {*DEFAULTS, ""} or (one.kind in _MYSQL and one.user == "root")
    if usable and known_to_all and not own_part:
        yield Flaw.DEFAULT, one.name or "匿名"
    if "open" in one.ways:
        yield Flaw.OPEN, "口令为空"
    if one.rights and not allowed and not own_part and (one.ways or "uid 0" in one.rights):
        yield Flaw.PRIVILEGED, "、".join(one.rights)
