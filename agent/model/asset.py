"""What the inventory declares: hosts and databases, the two kinds of target."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Layer(StrEnum):
    """The level on which something is looked at; the contract names host, middleware and database."""

    HOST = "host"
    MIDDLEWARE = "middleware"
    DATABASE = "database"
    NETWORK = "network"

    @property
    def zh(self) -> str:
        """The word used in reports."""
        return {"host": "主机", "middleware": "中间件", "database": "数据库", "network": "网络"}[self.value]


@dataclass(frozen=True, slots=True)
class Become:
    """How privilege is had on a host."""

    method: str = "sudo"
    """`sudo`, or `none` when the login user is already privileged or must stay unprivileged."""
    password: bool = False
    """Whether sudo asks for a password (taken from the CredentialSource, never from here)."""


@dataclass(frozen=True, slots=True)
class Host:
    """One host of the inventory, group defaults applied."""

    name: str
    address: str
    """IP address or DNS name as seen from the ops location (or from the bastion)."""
    port: int = 22
    user: str = "ops"
    transport: str = "ssh"
    """`ssh`, `ssh-legacy` (SHA-1 only servers; extra `legacy`), `local` or `winrm`."""
    auth: str = "key"
    """`key` (ed25519 file) or `password`."""
    become: Become = field(default_factory=Become)
    bastion: str = ""
    """Name of the host through which this one is reached; empty when reached directly."""
    also_via: tuple[str, ...] = ()
    """Further ways in that must keep standing: names of bastions, or `direct`."""
    layers: tuple[Layer, ...] = (Layer.HOST, Layer.MIDDLEWARE, Layer.NETWORK)
    zone: str = ""
    owner: str = ""
    importance: str = "normal"
    """`core`, `important` or `normal`."""
    groups: tuple[str, ...] = ()
    listeners: tuple[str, ...] = ()
    """Expected listeners as `tcp/22`; what listens besides is an exposure finding. Empty: not declared."""
    os_hint: str = ""
    note: str = ""

    @property
    def kind(self) -> str:
        """`host`; databases answer `database`."""
        return "host"


@dataclass(frozen=True, slots=True)
class Database:
    """One database instance of the inventory."""

    name: str
    engine: str
    """`mysql`, `mariadb` or `postgresql`; later `dm8`, `kingbase`, `oracle`, `sqlserver`."""
    host: str
    """Inventory name of the host on which it runs."""
    address: str = ""
    """Where the server listens as seen from the ops location; empty: loopback of its host, reached by tunnel."""
    port: int = 0
    user: str = ""
    dbname: str = ""
    tunnel: bool = False
    """Reach it through an SSH tunnel of its host (it listens on loopback only)."""
    tls: str = "prefer"
    """`require`, `prefer` or `disable`."""
    role: str = "primary"
    zone: str = ""
    owner: str = ""
    importance: str = "normal"
    note: str = ""

    @property
    def kind(self) -> str:
        """`database`; hosts answer `host`."""
        return "database"

    @property
    def layers(self) -> tuple[Layer, ...]:
        """A database has one layer."""
        return (Layer.DATABASE,)


Target = Host | Database


@dataclass(frozen=True, slots=True)
class Inventory:
    """All targets by name; names are unique over hosts and databases together."""

    hosts: tuple[Host, ...]
    databases: tuple[Database, ...]
    groups: tuple[str, ...] = ()
    mirrors: tuple[str, ...] = ()
    """Package mirrors, `name` or `name:port`, from which a candidate's changelog may be fetched; none else is."""

    def host(self, name: str) -> Host:
        """Return the host of that name. Raises KeyError."""
        for host in self.hosts:
            if host.name == name:
                return host
        raise KeyError(name)

    @property
    def targets(self) -> tuple[Target, ...]:
        """Hosts in declared order, then databases."""
        return (*self.hosts, *self.databases)
