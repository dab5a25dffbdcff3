"""inventory/accounts.yaml: the accounts whose passwords are kept and changed here. Never a password itself."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from agent.declared.fields import Filled, Listener, Login, Name, NameOrNone, Strict, Text, Version, no_twice
from agent.declared.problems import Problem, raise_problems
from agent.declared.yamlfile import Document, load, parse
from agent.model.account import SSH, SSH_KEY, Dependent, Managed, Way

if TYPE_CHECKING:
    from agent.model.asset import Inventory
    from agent.model.hardening import ServiceAccount

ACCOUNTS = Path("inventory/accounts.yaml")
EVERY = "*"
"""In `on`: every host, or every database of the kind."""
DATABASES = frozenset({"mariadb", "mysql", "postgresql"})

_AT = defaultdict(
    lambda: re.compile(""),
    mariadb=re.compile(r"[A-Za-z0-9.%_:/-]+"),
    mysql=re.compile(r"[A-Za-z0-9.%_:/-]+"),
    redis=re.compile(r"[1-9][0-9]{0,4}"),
    tomcat=re.compile(r"(?:/[A-Za-z0-9_+-][A-Za-z0-9_.+-]*)+"),
)
"""What `at` may be, by kind."""

Kind = Literal["linux", "mariadb", "mysql", "postgresql", "redis", "tomcat", "manual"]


def _file(value: str) -> str:
    if not value.startswith("/") or ".." in value.split("/") or any(not letter.isprintable() for letter in value):
        raise ValueError("is not the path of a file || write it from the root on, without `..`")
    return value


class DependentEntry(Strict):
    """One place where a program keeps the password."""

    host: Name
    file: Annotated[Filled, AfterValidator(_file)]
    key: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,120}$")]
    form: Literal["properties", "yaml", "url"] = "properties"
    service: Annotated[str, Field(pattern=r"^([A-Za-z0-9@_.:-]{1,120})?$")] = ""
    restart: bool = False
    probe: Listener | Literal[""] = ""


class AccountEntry(Strict):
    """One account, on one target or on several; each of them has a password of its own."""

    user: Login = Field(min_length=1)
    on: Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(no_twice)] = Field(
        description="Hosts, groups, databases, `*` for all; of `manual` any name of a device or service"
    )
    but: Annotated[tuple[Name, ...], AfterValidator(no_twice)] = ()
    kind: Kind | None = Field(default=None, description="Default: linux on a host, its engine on a database")
    at: Text = Field(
        default="",
        description="Which one of several: the host part (MySQL, MariaDB), the port (Redis), CATALINA_BASE (Tomcat)",
    )
    person: Text = Field(default="", description="Who answers for it: a name or login of people.yaml")
    policy: NameOrNone = "undertaking"
    verify: Way = Way.AUTO
    enforce: bool = True
    plan: Text = ""
    ssh_key: bool = False
    initial: bool = Field(default=False, description="Give it a password where it has none yet")
    dependents: tuple[DependentEntry, ...] = ()

    @model_validator(mode="after")
    def _fits(self) -> AccountEntry:
        if self.at and not _AT[self.kind or "mysql"].fullmatch(self.at):
            raise ValueError(
                "says `at` what its kind does not know || the host part of MySQL, Redis' port, Tomcat's folder"
            )
        if self.ssh_key and self.kind not in {None, "linux"}:
            raise ValueError("has no SSH key || remove `ssh_key`")
        if self.dependents and len(self.on) > 1:
            raise ValueError("stands on several targets with one list of dependents || write an entry for each target")
        return self


class AccountsFile(Strict):
    """inventory/accounts.yaml."""

    schema_version: Version
    accounts: tuple[AccountEntry, ...]


def load_accounts(
    root: Path,
    inventory: Inventory,
    people: frozenset[str] = frozenset(),
    policies: frozenset[str] = frozenset({"undertaking"}),
    services: tuple[ServiceAccount, ...] = (),
) -> tuple[Managed, ...]:
    """Read the managed accounts; an absent file means that none is declared.

    Args:
        root: the workspace.
        inventory: what `on` may name.
        people: names and logins that `person` may name.
        policies: names that `policy` may name.
        services: the register of service accounts (hardening.yaml).

    Raises:
        DeclaredError: the file is wrong, or names what is not declared; every problem is listed at once.
    """
    path = root / ACCOUNTS
    if not path.exists():
        return ()
    document = load(path)
    file = parse(document, AccountsFile)
    problems: list[Problem] = []
    found: list[Managed] = []
    first: dict[str, str] = {}
    for index, entry in enumerate(file.accounts):
        problems += _strangers(document, index, entry, inventory, people, policies)
        for one in _spread(entry, inventory, services):
            where = document.where(("accounts", index))
            if first.setdefault(one.id, where) != where:
                problems.append(
                    Problem(where, f"{one.id} stands already at {first[one.id]}", "remove one, or set `but`")
                )
            found.append(one)
    raise_problems(path, problems)
    return tuple(found)


def _strangers(
    document: Document,
    index: int,
    entry: AccountEntry,
    inventory: Inventory,
    people: frozenset[str],
    policies: frozenset[str],
) -> Iterator[Problem]:
    def at(*loc: str | int) -> str:
        return document.where(("accounts", index, *loc))

    known = {EVERY, *inventory.groups, *(target.name for target in inventory.targets)}
    if entry.kind != "manual":
        for position, name in enumerate(entry.on):
            if name not in known:
                yield Problem(at("on", position), f"no target or group {name!r}", "correct it, or set `kind: manual`")
            elif not any(_targets(entry, inventory, (name,))):
                yield Problem(at("on", position), f"{name!r} has no target of this kind", "correct `on` or `kind`")
    if entry.person and entry.person not in people:
        yield Problem(at("person"), f"nobody is called {entry.person!r}", "declare the person in inventory/people.yaml")
    if entry.policy not in policies:
        yield Problem(at("policy"), f"no policy {entry.policy!r}", "declare it in passwords.yaml")
    hosts = {host.name for host in inventory.hosts}
    for position, each in enumerate(entry.dependents):
        if each.host not in hosts:
            yield Problem(at("dependents", position, "host"), f"no host {each.host!r}", "name a host of hosts.yaml")


def _targets(entry: AccountEntry, inventory: Inventory, names: tuple[str, ...]) -> Iterator[tuple[str, str, str, str]]:
    """(name, host, kind, zone) of the targets that some names mean."""
    every = EVERY in names
    for host in inventory.hosts:
        if entry.kind in {None, "linux", "redis", "tomcat"} and host.transport != "winrm":
            named = host.name in names or not set(host.groups).isdisjoint(names)
            if named or (every and entry.kind in {None, "linux"}):
                yield host.name, host.name, entry.kind or "linux", host.zone
    for database in inventory.databases:
        fits = database.engine in DATABASES and entry.kind in {None, database.engine}
        if fits and (database.name in names or (every and entry.kind is not None)):
            yield database.name, database.host, database.engine, database.zone


def _spread(entry: AccountEntry, inventory: Inventory, services: tuple[ServiceAccount, ...]) -> Iterator[Managed]:
    if entry.kind == "manual":
        targets = [(name, "", "manual", "") for name in entry.on]
    else:
        targets = [each for each in _targets(entry, inventory, entry.on) if each[0] not in entry.but]
    own = {(target.user, target.name) for target in inventory.targets}
    for name, host, kind, zone in dict.fromkeys(targets):
        part = f":{entry.at}" if entry.at else ""
        extra = f"/{kind}" if kind in {"redis", "tomcat"} else ""
        made = Managed(
            id=f"{entry.user}{part}@{name}{extra}",
            user=entry.user,
            target=name,
            kind=kind,
            host=host,
            at=entry.at,
            zone=zone,
            person=entry.person,
            policy=entry.policy,
            verify=entry.verify,
            enforce=entry.enforce,
            service=any(entry.user == each.account and {EVERY, name, host} & set(each.targets) for each in services),
            plan=entry.plan,
            dependents=tuple(Dependent(**each.model_dump()) for each in entry.dependents),
            own_login=kind not in {"redis", "tomcat", "manual"} and (entry.user, name) in own,
            initial=entry.initial,
        )
        yield made
        if entry.ssh_key and kind == "linux":
            yield replace(made, id=made.id + SSH, kind=SSH_KEY, dependents=())
