"""What `my_look`, `my_tell` and `my_accounts` of mysql.sh told, as values. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from agent.change.sqlquote import plain
from agent.model.change import Skip, Why

LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
BUILT_IN = frozenset({"mariadb.sys", "mysql.sys", "mysql.session", "mysql.infoschema", "debian-sys-maint"})
"""Accounts that the servers and their packages make and use themselves."""

_PERSISTS = 8


def told(text: str) -> str:
    """What a server says, as it may stand in a plan: what cannot be printed is a question mark."""
    return "".join(char if plain(char) else "?" for char in text)


@dataclass(frozen=True, slots=True)
class MyVar:
    """One global variable."""

    value: str | None
    """None: the server has no such variable."""
    configured: str | None = None
    """What the option files give it; None: nothing."""
    read_only: bool = False
    origin: str = ""
    """GLOBAL_VALUE_ORIGIN (MariaDB) or variable_source (MySQL)."""
    type: str = ""
    default: str = ""

    def at_start(self) -> str | None:
        """The value after the next start, as far as it is known; None: not known."""
        text = self.configured
        if text is None:
            text = (
                self.value
                if self.origin in {"COMPILE-TIME", "COMPILED", "PERSISTED", "CONFIG", "AUTO"}
                else self.default
            )
        if self.type == "BOOLEAN" and text is not None:
            return "OFF" if text.upper() in {"0", "OFF", "FALSE"} else "ON"  # log_bin = NAME is ON too
        return text


@dataclass
class MyAccount:
    """One account; its password stayed on the host."""

    user: str
    host: str
    plugin: str = ""
    empty: bool = False
    locked: bool = False
    lifetime: int | None = None
    """Days, as its own; None: the global one."""
    age: int | None = None
    """Days since its password was set; None: never, as far as the server knows."""
    ssl: bool = False
    """Whether it is asked to come by TLS."""
    role: bool = False
    privileges: tuple[str, ...] = ()
    """Of those that only administrators need, globally."""
    schemas: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Schema (a pattern of LIKE) that matches `mysql` to what may be written in it."""

    @property
    def name(self) -> str:
        """As people write it."""
        return told(f"{self.user}@{self.host}")

    @property
    def local(self) -> bool:
        """Whether it comes from the server's own host only."""
        return self.host in LOCAL


@dataclass
class MySeen:
    """All of it."""

    state: str = ""
    """`up`, `down`, `refused`; empty: nothing was told."""
    version: str = ""
    me: str = ""
    replica: bool = False
    unit: str = ""
    socket: str = ""
    """The socket unit that starts it when somebody comes."""
    dropin: str = ""
    servers: int = 0
    dump: bool = False
    args: set[str] = field(default_factory=set)
    """Names of options on the server's command line."""
    vars: dict[str, MyVar] = field(default_factory=dict)
    plugins: dict[str, str] = field(default_factory=dict)
    libraries: set[str] = field(default_factory=set)
    accounts: list[MyAccount] = field(default_factory=list)
    definers: set[str] = field(default_factory=set)
    sessions: list[tuple[str, str, int]] = field(default_factory=list)
    """User, address, seconds asleep."""

    @property
    def mariadb(self) -> bool:
        """Whether it is MariaDB."""
        return "mariadb" in self.version.lower()

    @property
    def persists(self) -> bool:
        """Whether SET PERSIST is there (MySQL 8.0 and later)."""
        major = re.match(r"[0-9]{1,3}(?=\.)", self.version)
        return not self.mariadb and major is not None and int(major[0]) >= _PERSISTS

    def unusable(self, port: str) -> Skip | None:
        """Why nothing can be done here."""
        if self.state == "up":
            return None
        if self.state == "down":
            return Skip(
                Why.UNSUPPORTED, f"主机上没有在端口 {port} 运行、有本机套接字的 MySQL/MariaDB，或没有客户端程序"
            )
        if self.state == "refused":
            return Skip(
                Why.UNSUPPORTED,
                "主机 root 不能从本机套接字登录：需 root 账户启用 unix_socket，或在 /root/.my.cnf、/etc/mysql/debian.cnf 中有可用口令",
            )
        return Skip(Why.ERROR, "没有读到数据库状态")


def _hex(text: str) -> str:
    """Raises ValueError."""
    return bytes.fromhex(text).decode(errors="surrogateescape")


def _int(text: str) -> int | None:
    return int(text) if text.lstrip("-").isdigit() and len(text) < 12 else None  # noqa: PLR2004 - days, seconds


def my_seen(text: str) -> MySeen:
    """Read the lines; what is not understood is passed over."""
    seen = MySeen()
    accounts: dict[tuple[str, str], MyAccount] = {}
    for line in text.splitlines():
        words = line.split("\t")
        try:
            if words[0] in {"acct", "priv", "db", "definer", "sess"}:
                _who(seen, accounts, words)
            else:
                _server(seen, words)
        except (ValueError, KeyError):
            continue
    seen.accounts = list(accounts.values())
    return seen


def _server(seen: MySeen, words: list[str]) -> None:
    match words:
        case ["down" | "refused" as state]:
            seen.state = state
        case ["up", version, me, replica, _]:
            seen.state, seen.version, seen.me, seen.replica = "up", version, told(me), replica in {"1", "ON"}
        case ["dump"]:
            seen.dump = True
        case ["unit" | "socket" | "dropin" | "servers" | "arg" as word, said]:
            _place(seen, word, said)
        case ["plugin", name, state]:
            seen.plugins[name] = state
        case ["so", name]:
            seen.libraries.add(name)
        case ["var" | "conf" | "info" | "source" as word, name, *rest]:
            _variable(seen, word, name, rest)


def _place(seen: MySeen, word: str, said: str) -> None:
    if word == "unit":
        seen.unit = said if plain(said) else ""
    elif word == "socket":
        seen.socket = said if plain(said) else ""
    elif word == "dropin":
        seen.dropin = said if said.startswith("/") and plain(said) else ""
    elif word == "servers":
        seen.servers = int(said)
    else:
        seen.args.add(said.replace("-", "_").lower())


def _variable(seen: MySeen, word: str, name: str, rest: list[str]) -> None:
    was = seen.vars.get(name, MyVar(None))
    match word, rest:
        case "var", [said]:
            was = MyVar(told(said.removeprefix("value").strip()) if said.startswith("value") else None)
        case "conf", [said] if said.startswith("configured"):
            was = replace(was, configured=told(said.removeprefix("configured").strip()))
        case "info", [read_only, origin, kind, default]:
            was = replace(was, read_only=read_only == "YES", origin=origin, type=kind, default=default)
        case "source", [origin]:
            was = replace(was, origin=origin)
    seen.vars[name] = was


def _who(seen: MySeen, accounts: dict[tuple[str, str], MyAccount], words: list[str]) -> None:
    match words:
        case ["acct", user, host, plugin, kind, locked, lifetime, age, ssl, role]:
            who = (_hex(user), _hex(host))
            accounts[who] = MyAccount(
                *who, plugin, kind == "empty", locked == "1", _int(lifetime), _int(age), ssl != "0", role == "1"
            )
        case ["priv", user, host, privileges]:
            accounts[_hex(user), _hex(host)].privileges = tuple(privileges.split(","))
        case ["db", user, host, schema, privileges]:
            accounts[_hex(user), _hex(host)].schemas[_hex(schema)] = tuple(privileges.split(","))
        case ["definer", who_]:
            seen.definers.add(told(_hex(who_)))
        case ["sess", user, address, asleep]:
            seen.sessions.append((told(_hex(user)), told(_hex(address)), _int(asleep) or 0))
