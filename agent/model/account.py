"""Accounts under management: whose password the agent keeps and changes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

KINDS = ("linux", "mariadb", "mysql", "postgresql", "redis", "tomcat", "manual")
"""What an account logs in to; `manual`: a device, a VPN, a mailbox that no program reaches."""
SSH_KEY = "ssh-key"
"""The kind of an account's SSH key: it has an age and versions of its own."""
SSH = "#ssh"
"""Ends the id of an account's SSH key."""


class Way(StrEnum):
    """How a new password is proven."""

    AUTO = "auto"
    """By the first of the others that the target lets us."""
    SSH = "ssh"
    """A fresh SSH login with it."""
    SU = "su"
    """A fresh login by `su` from an unprivileged one, for accounts that may not come by SSH."""
    SQL = "sql"
    """A fresh login to the database."""
    SERVICE = "service"
    """A fresh login to the service, from its own host."""
    IN_PLACE = "in-place"
    """Compared with the target's own record, there; no login."""
    PERSON = "person"
    """A person said that it works."""
    NONE = "none"
    """It cannot be proven (无法验证)."""


@dataclass(frozen=True, slots=True)
class Dependent:
    """Where a program keeps the password of an account, so that both change together."""

    host: str
    file: str
    key: str
    """What stands before the password."""
    form: str = "properties"
    """`properties` (KEY=VALUE), `yaml` (KEY: VALUE, one line) or `url` (the password inside KEY's URL)."""
    service: str = ""
    """Unit to reload, or to restart where it cannot reload."""
    restart: bool = False
    probe: str = ""
    """`tcp/PORT` that must answer afterwards."""


@dataclass(frozen=True, slots=True)
class Managed:
    """One account whose password is kept here."""

    id: str
    """`USER@TARGET`: what the vault calls it."""
    user: str
    target: str
    """A host, a database, or the name of a device."""
    kind: str
    host: str = ""
    """The host on which the change is made; empty for `manual`."""
    at: str = ""
    """The host part (MySQL, MariaDB), the port (Redis), CATALINA_BASE (Tomcat); empty: the only one, or 6379."""
    zone: str = ""
    person: str = ""
    """Who answers for it (people.yaml)."""
    policy: str = "undertaking"
    verify: Way = Way.AUTO
    enforce: bool = True
    """Whether the target is told to let it expire."""
    service: bool = False
    """A program logs in with it: it is changed only with dependents or a plan."""
    plan: str = ""
    """How the programs get the new password, in words."""
    dependents: tuple[Dependent, ...] = ()
    own_login: bool = False
    """The agent itself logs in with it: it never expires there, or nobody could mend it."""
    initial: bool = False
    """Give it a password where it has none; else it stays one that nobody enters by password."""

    @property
    def held(self) -> str:
        """Why it is not changed by itself; empty when it is."""
        if self.service and not (self.plan or self.dependents):
            return "服务账号没有改密计划：在 inventory/accounts.yaml 写明 dependents 或 plan"
        return ""
