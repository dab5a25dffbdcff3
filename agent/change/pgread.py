"""What `pg_look`, `pg_settings`, `pg_roles`, `pg_sessions`, `pg_public` and `pg_rules` of postgresql.sh told, as values. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address
from shlex import quote

from agent.change.sqlquote import plain
from agent.model.change import Act, Item, Skip, Why

BOOTSTRAP = "10"
"""Object id of the role that initdb made: it cannot lose what it may (pg_authid.dat)."""


@dataclass(frozen=True, slots=True)
class PgSetting:
    """One row of pg_settings."""

    value: str
    unit: str = ""
    context: str = ""
    """`postmaster`: only a start sets it; `internal`: nobody does."""
    source: str = ""
    kind: str = ""
    """bool, enum, integer, real, string."""
    pending: bool = False
    place: str = ""
    """`file:line`, when a file gives it."""
    start: str | None = None
    """As the files give it for the next start; None: they do not."""


@dataclass(slots=True)
class PgRole:
    """One role; its password stayed on the host."""

    name: str
    oid: str = ""
    superuser: bool = False
    createrole: bool = False
    bypassrls: bool = False
    login: bool = False
    password: str = ""
    """scram, md5, none, other."""
    expired: bool = False
    owned: tuple[str, ...] = ()
    """Catalogs of what it owns and what runs in its name: pg_proc, pg_subscription ..."""
    groups: tuple[str, ...] = ()
    """Roles that it is a direct member of."""


@dataclass(frozen=True, slots=True)
class PgSession:
    """Who is connected."""

    role: str
    address: str
    """Empty: through the socket."""
    tls: str
    """Version; empty: in the clear."""
    state: str
    seconds: int
    """In this state."""

    @property
    def remote(self) -> bool:
        """Whether it came from another host."""
        try:
            return not ip_address(self.address).is_loopback
        except ValueError:
            return False


@dataclass(frozen=True, slots=True)
class PgRule:
    """One rule of pg_hba.conf as the server reads it."""

    file: str
    line: int
    kind: str
    databases: tuple[str, ...]
    users: tuple[str, ...]
    address: str
    mask: str
    method: str
    error: bool


@dataclass(frozen=True, slots=True)
class PgOpen:
    """What everybody may do to a relation."""

    kind: str
    """table or sequence, as GRANT writes it."""
    schema: str
    name: str
    privileges: str
    extension: bool
    """Whether an extension brought it, and its next update would grant it anew."""


@dataclass(slots=True)
class PgSeen:
    """All of it."""

    state: str = ""
    """`up`, `down`, `refused`; empty: nothing was told."""
    version: int = 0
    """server_version_num."""
    me: str = ""
    standby: bool = False
    superuser: bool = False
    unit: str = ""
    settings: dict[str, PgSetting] = field(default_factory=dict)
    """By name in small letters."""
    own: list[tuple[str, str, str]] = field(default_factory=list)
    """Setting, role, database: set for them alone; empty: for all."""
    libraries: set[str] = field(default_factory=set)
    tls: bool = False
    """Whether the server's account can read certificate and key."""
    archiver: bool = False
    roles: dict[str, PgRole] = field(default_factory=dict)
    sessions: list[PgSession] = field(default_factory=list)
    rules: list[PgRule] = field(default_factory=list)
    ssl: bool = False
    """Whether it speaks TLS now."""
    create: list[str] = field(default_factory=list)
    """Databases where everybody may make objects in public."""
    open: list[PgOpen] = field(default_factory=list)
    owners: list[str] = field(default_factory=list)

    def unusable(self, item: Item) -> Skip | None:
        """Why nothing can be done here."""
        port = port_of(item)
        if self.state == "up":
            if self.superuser:
                return None
            return Skip(Why.UNSUPPORTED, f"经本机套接字登录的 {self.me} 不是超级用户")
        if self.state == "down":
            return Skip(Why.UNSUPPORTED, f"主机上没有（或不止一个）在端口 {port} 运行、有本机套接字的 PostgreSQL")
        if self.state == "refused":
            return Skip(
                Why.UNSUPPORTED, "PostgreSQL 的运行账户不能从本机套接字登录：pg_hba.conf 须有 local all postgres peer"
            )
        return Skip(Why.ERROR, "没有读到数据库状态")


def port_of(item: Item) -> str:
    """Of the cluster."""
    port = item.subject.get("port", "")
    return port if port.isdecimal() else "5432"


def acts_of(item: Item, seen: PgSeen, *, restart: bool = False) -> tuple[Act, ...]:
    """What makes what lies on the disk effective."""
    if restart:
        return Act("restart", (seen.unit,)), Act("pg_up", (port_of(item), seen.unit))
    return (Act("pg_reload", (port_of(item), seen.unit)),)


def stands(item: Item) -> str:
    """What must hold over the fresh login: the server's own account gets in, that of the scans may."""
    return f"pg_stands {port_of(item)} {quote(item.subject.get('account', ''))} {quote(item.subject.get('dbname', ''))}"


def people(names: Iterable[str], most: int = 8) -> str:
    """Names for a text, once each."""
    found = sorted(set(names))
    return "、".join(found[:most]) + (f" 等 {len(found)} 个" if len(found) > most else "")


def pg_seen(text: str) -> PgSeen:
    """Read the lines; what is not understood is passed over."""
    seen = PgSeen()
    for line in text.splitlines():
        try:
            words = line.split("\t")
            _server(seen, words) or _who(seen, words) or _what(seen, words)
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
    return seen


def _hex(text: str) -> str:
    """Raises ValueError."""
    return bytes.fromhex(text).decode()


def _list(text: str) -> tuple[str, ...]:
    return tuple(map(str, json.loads(_hex(text))))


def _server(seen: PgSeen, words: list[str]) -> bool:
    match words:
        case ["down" | "refused" as state]:
            seen.state = state
        case ["up", version, me, standby, superuser, *_]:
            seen.state, seen.version, seen.me = "up", int(version), me
            seen.standby, seen.superuser = standby == "t", superuser == "on"
        case ["unit", unit]:
            seen.unit = unit if plain(unit) else ""
        case ["set", name, value, unit, context, source, kind, pending, place, start]:
            seen.settings[name.lower()] = PgSetting(
                _hex(value),
                unit,
                context,
                source,
                kind,
                pending == "t",
                _hex(place),
                _hex(start[1:]) if start else None,
            )
        case ["own", name, role, database]:
            seen.own.append((_hex(name).lower(), _hex(role), _hex(database)))
        case ["lib", name]:
            seen.libraries.add(name)
        case ["tls"]:
            seen.tls = True
        case ["archiver"]:
            seen.archiver = True
        case ["ssl", value]:
            seen.ssl = value == "on"
        case _:
            return False
    return True


def _who(seen: PgSeen, words: list[str]) -> bool:
    match words:
        case ["role", name, oid, superuser, createrole, bypassrls, login, password, expired, owned]:
            yes = [each == "t" for each in (superuser, createrole, bypassrls, login)]
            owner = tuple(owned.split(",")) if owned else ()
            made = PgRole(_hex(name), oid, yes[0], yes[1], yes[2], yes[3], password, expired == "t", owner)
            seen.roles[made.name] = made
        case ["member", member, group]:
            role = seen.roles[_hex(member)]
            role.groups = (*role.groups, _hex(group))
        case ["sess", role_, address, tls, state, seconds]:
            seen.sessions.append(PgSession(_hex(role_), address, tls, state, int(seconds)))
        case _:
            return False
    return True


def _what(seen: PgSeen, words: list[str]) -> bool:
    match words:
        case ["rule", file, line, kind, databases, users, address, mask, method, error]:
            these, those = _list(databases), _list(users)
            seen.rules.append(PgRule(_hex(file), int(line), kind, these, those, address, mask, method, bool(error)))
        case ["create", database]:
            seen.create.append(_hex(database))
        case ["open", kind, schema, name, privileges, extension]:
            seen.open.append(PgOpen(kind, _hex(schema), _hex(name), privileges, extension == "t"))
        case ["owner", name]:
            seen.owners.append(_hex(name))
        case _:
            return False
    return True
