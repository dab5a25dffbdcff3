"""inventory/hosts.yaml and inventory/databases.yaml: read, defaults applied, references checked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, Field

from agent.declared.fields import Address, Listener, Login, Name, NameOrNone, Port, Strict, Text, Version, no_twice
from agent.declared.problems import Problem, raise_problems
from agent.declared.yamlfile import Document, load, parse
from agent.model.asset import Become, Database, Host, Inventory, Layer

HOSTS = Path("inventory/hosts.yaml")
DATABASES = Path("inventory/databases.yaml")
PORTS = {
    "mysql": 3306,
    "mariadb": 3306,
    "postgresql": 5432,
    "dm8": 5236,
    "kingbase": 54321,
    "oracle": 1521,
    "sqlserver": 1433,
}
WINRM_TLS = 5986

Importance = Literal["core", "important", "normal"]


class BecomeEntry(Strict):
    """How privilege is had; `password` says whether sudo asks for one, it never holds one."""

    method: Literal["sudo", "none"] | None = None
    password: bool | None = None


class Defaults(Strict):
    """What hosts may share; each key may stand in `defaults`, in a group, or at the host."""

    port: Port | None = None
    user: Login | None = None
    transport: Literal["ssh", "ssh-legacy", "local", "winrm"] | None = None
    auth: Literal["key", "password"] | None = None
    become: BecomeEntry | None = None
    bastion: NameOrNone | None = None
    also_via: Annotated[tuple[Name, ...], AfterValidator(no_twice)] | None = None
    layers: Annotated[tuple[Layer, ...], AfterValidator(no_twice), Field(min_length=1)] | None = None
    zone: NameOrNone | None = None
    owner: Text | None = None
    importance: Importance | None = None
    listeners: Annotated[tuple[Listener, ...], AfterValidator(no_twice)] | None = None
    os_hint: Text | None = None
    note: Text | None = None


class HostEntry(Defaults):
    """One host."""

    name: Name
    address: Address
    groups: Annotated[tuple[Name, ...], AfterValidator(no_twice)] = ()


class HostsFile(Strict):
    """inventory/hosts.yaml. What a host does not say comes from its groups in order, then from `defaults`."""

    schema_version: Version
    defaults: Defaults = Defaults()
    groups: dict[Name, Defaults] = Field(default_factory=dict)
    mirrors: tuple[Text, ...] = Field(
        default=(), description="Package mirrors, name or name:port, from which changelogs may be fetched"
    )
    hosts: tuple[HostEntry, ...]


class DatabaseEntry(Strict):
    """One database instance."""

    name: Name
    engine: Literal["mysql", "mariadb", "postgresql", "dm8", "kingbase", "oracle", "sqlserver"]
    host: Name
    address: Address | None = None
    port: Port | None = None
    user: Login = ""
    dbname: Text = ""
    tunnel: bool = False
    tls: Literal["require", "prefer", "disable"] = "prefer"
    role: NameOrNone = "primary"
    zone: NameOrNone = ""
    owner: Text = ""
    importance: Importance = "normal"
    note: Text = ""


class DatabasesFile(Strict):
    """inventory/databases.yaml."""

    schema_version: Version
    databases: tuple[DatabaseEntry, ...]


T = TypeVar("T")


def _first(*values: T | None) -> T | None:
    return next((value for value in values if value is not None), None)


def _host(entry: HostEntry, file: HostsFile) -> Host:
    """Apply defaults: host over its groups in order over `defaults`; lists are replaced, not joined."""
    chain: list[Defaults] = [entry, *(file.groups[g] for g in entry.groups if g in file.groups), file.defaults]
    plain = Host(name=entry.name, address=entry.address)
    becomes = [level.become for level in chain if level.become is not None]
    transport = _first(*(level.transport for level in chain)) or plain.transport
    port = _first(*(level.port for level in chain)) or (WINRM_TLS if transport == "winrm" else plain.port)
    rest: dict[str, Any] = {
        key: _first(*(getattr(level, key) for level in chain), getattr(plain, key))
        for key in (
            "user",
            "auth",
            "bastion",
            "also_via",
            "layers",
            "zone",
            "owner",
            "importance",
            "listeners",
            "os_hint",
            "note",
        )
    }
    become = Become(
        method=_first(*(b.method for b in becomes)) or "sudo",
        password=bool(_first(*(b.password for b in becomes))),
    )
    return Host(
        name=entry.name,
        address=entry.address,
        port=port,
        transport=transport,
        become=become,
        groups=entry.groups,
        **rest,
    )


def _database(entry: DatabaseEntry, hosts: Sequence[Host]) -> Database:
    values = entry.model_dump()
    home = next((h for h in hosts if h.name == entry.host), None)
    values["address"] = entry.address or ""
    values["port"] = entry.port or PORTS[entry.engine]
    if home is not None:
        values["zone"] = entry.zone or home.zone
        values["owner"] = entry.owner or home.owner
    return Database(**values)


class _Seen:
    """Finds what stands twice and says where it stood first."""

    def __init__(self) -> None:
        self.first: dict[tuple[object, ...], str] = {}

    def again(self, key: tuple[object, ...], where: str) -> str:
        """Where the key stood first; empty when this is the first."""
        return "" if self.first.setdefault(key, where) == where else self.first[key]


def _check_hosts(document: Document, file: HostsFile, hosts: Sequence[Host], seen: _Seen) -> list[Problem]:
    problems = []
    byname = {host.name: host for host in hosts}
    for index, host in enumerate(hosts):

        def at(*loc: str | int, index: int = index) -> str:
            return document.where(("hosts", index, *loc))

        if first := seen.again(("name", host.name.casefold()), at("name")):
            problems.append(Problem(at("name"), f"name {host.name!r} is taken (by {first})", "give it another name"))
        key = ("address", host.bastion, host.address, host.port)
        if first := seen.again(key, at("address")):
            message = f"address {host.address} port {host.port} is taken (by {first})"
            problems.append(Problem(at("address"), message, "correct the address or port; one host stands once"))
        for position, group in enumerate(host.groups):
            if group not in file.groups:
                known = ", ".join(file.groups) or "none"
                where = at("groups", position)
                problems.append(Problem(where, f"no group {group!r} (declared: {known})", "declare it under `groups:`"))
        problems += _check_way(host, byname, at("bastion"))
        for position, name in enumerate(host.also_via):
            if name != "direct" and (name not in byname or name == host.name):
                where = at("also_via", position)
                problems.append(Problem(where, f"no host {name!r}", "name a bastion under `hosts:`, or `direct`"))
    return problems


def _check_way(host: Host, byname: dict[str, Host], where: str) -> list[Problem]:
    """Check the chain of bastions that leads to a host."""
    if not host.bastion:
        return []
    bastion = byname.get(host.bastion)
    if host.transport == "local":
        return [Problem(where, "a local host is not reached through a bastion", 'set `bastion: ""` at this host')]
    if bastion is None:
        return [Problem(where, f"no host {host.bastion!r}", "declare the bastion under `hosts:` or correct the name")]
    if bastion.transport not in {"ssh", "ssh-legacy"}:
        return [Problem(where, f"bastion {host.bastion!r} is not reached by SSH", "name a host with transport ssh")]
    way = [host.name]
    while bastion is not None:
        if bastion.name in way:
            circle = " -> ".join([*way, bastion.name])
            return [Problem(where, f"bastions run in a circle: {circle}", 'set `bastion: ""` at the outermost')]
        way.append(bastion.name)
        bastion = byname.get(bastion.bastion)
    return []


def _check_databases(document: Document, rows: Sequence[Database], hosts: Sequence[Host], seen: _Seen) -> list[Problem]:
    problems = []
    names = {host.name for host in hosts}
    for index, row in enumerate(rows):

        def at(*loc: str | int, index: int = index) -> str:
            return document.where(("databases", index, *loc))

        if first := seen.again(("name", row.name.casefold()), at("name")):
            problems.append(Problem(at("name"), f"name {row.name!r} is taken (by {first})", "give it another name"))
        if row.host not in names:
            problems.append(Problem(at("host"), f"no host {row.host!r}", "declare the host in inventory/hosts.yaml"))
        if not row.address and not row.tunnel:
            problems.append(
                Problem(at("address"), "is missing", "add `address:`, or `tunnel: true` when it listens on loopback")
            )
        key = ("database", row.host if row.tunnel else "", row.address, row.port)
        if first := seen.again(key, at("address")):
            message = f"address and port {row.port} are taken (by {first})"
            problems.append(Problem(at("address"), message, "correct the address or port; one instance stands once"))
    return problems


def load_inventory(root: Path) -> Inventory:
    """Read the inventory of the workspace `root`.

    Raises:
        DeclaredError: a file is wrong; every problem of one file is listed at once.
    """
    document = load(root / HOSTS)
    file = parse(document, HostsFile)
    hosts = tuple(_host(entry, file) for entry in file.hosts)
    seen = _Seen()
    raise_problems(document.path, _check_hosts(document, file, hosts, seen))
    databases: tuple[Database, ...] = ()
    if (root / DATABASES).exists():
        document = load(root / DATABASES)
        databases = tuple(_database(entry, hosts) for entry in parse(document, DatabasesFile).databases)
        raise_problems(document.path, _check_databases(document, databases, hosts, seen))
    return Inventory(hosts, databases, tuple(file.groups), file.mirrors)
