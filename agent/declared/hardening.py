"""hardening.yaml: what this site wants of a hardening, and what must be left alone.

A name that the inventory does not have is an error: a service account written for a misspelt host would protect nobody.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, StrictBool, StrictInt, StrictStr

from agent.declared.fields import Filled, Listener, Login, Name, NameOrNone, Strict, Text, Version, address, no_twice
from agent.declared.inventory import load_inventory
from agent.declared.opscheck import source_network
from agent.declared.problems import Problem, raise_problems
from agent.declared.yamlfile import Document, Loc, load, parse
from agent.model.hardening import Policy, ServiceAccount

HARDENING = Path("hardening.yaml")
DERIVED = frozenset({"ssh_sources", "roster", "keep"})
"""Variables that follow from other declared files; nobody sets them by hand."""
_REACH = frozenset({"ops_networks", "bastion_networks"})
"""Networks from which operators come: no loopback, nothing wider than an ops location may be."""

Word = Annotated[StrictStr, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Pattern = Annotated[StrictStr, Field(pattern=r"^!?[A-Z*][A-Z0-9*:-]*$")]
Value = StrictStr | StrictInt | StrictBool | list[StrictStr | StrictInt]


def _somewhere(value: str) -> str:
    if value != "*" and not value:
        raise ValueError("is empty || name a target, or `*` for all")
    return value


Where = Annotated[StrictStr, AfterValidator(_somewhere)]


class ServiceAccountEntry(Strict):
    """One account that programs use: it is not expired or locked behind its owner's back."""

    account: Login
    targets: tuple[Where, ...] = Field(default=("*",), min_length=1)
    owner: Filled
    window: Text = ""
    dependents: tuple[Text, ...] = ()


class HardeningFile(Strict):
    """hardening.yaml."""

    schema_version: Version
    variables: dict[Word, Value] = Field(
        default_factory=dict, description="Fill {{name}} in fixes: ops_networks, log_host, ntp_servers, app_networks"
    )
    profile: StrictStr = "level-3"
    profiles: dict[StrictStr, tuple[Pattern, ...]] = Field(default_factory=dict)
    canary: NameOrNone = ""
    waves: Annotated[tuple[Annotated[int, Field(strict=True, ge=1)], ...], Field(min_length=1)] = (1, 3)
    ttl: Annotated[
        int, Field(strict=True, ge=60, le=3600, description="Seconds until an undo that nobody disarmed")
    ] = 300
    leave: dict[Where, tuple[Pattern, ...]] = Field(default_factory=dict)
    service_accounts: tuple[ServiceAccountEntry, ...] = ()
    keep_accounts: Annotated[tuple[Login, ...], AfterValidator(no_twice)] = ()
    probes: dict[Name, tuple[Listener, ...]] = Field(default_factory=dict)


def load_policy(root: Path) -> Policy:
    """Read the workspace's hardening.yaml; without one the built-in policy holds.

    Raises:
        DeclaredError: the file is wrong, or names what the inventory does not have; every problem is listed at once.
    """
    path = root / HARDENING
    if not path.exists():
        return Policy()
    document = load(path)
    file = parse(document, HardeningFile)
    inventory = load_inventory(root)
    hosts = {host.name for host in inventory.hosts}
    targets = {target.name for target in inventory.targets}
    problems = [*_strangers(document, file, hosts, targets), *_variables(document, file)]
    raise_problems(path, sorted(problems, key=lambda each: each.where))
    return Policy(
        variables=dict(file.variables),
        profile=file.profile,
        profiles=dict(file.profiles),
        canary=file.canary,
        waves=file.waves,
        ttl=file.ttl,
        leave=dict(file.leave),
        service_accounts=tuple(
            ServiceAccount(each.account, each.targets, each.owner, each.window, each.dependents)
            for each in file.service_accounts
        ),
        keep_accounts=file.keep_accounts,
        probes=dict(file.probes),
    )


def _strangers(document: Document, file: HardeningFile, hosts: set[str], targets: set[str]) -> Iterator[Problem]:
    """Names that the inventory does not have."""
    named: list[tuple[Loc, str, set[str]]] = [(("leave", name), name, targets | {"*"}) for name in file.leave]
    named += [(("probes", name), name, hosts) for name in file.probes]
    if file.canary:
        named.append((("canary",), file.canary, hosts))
    for index, entry in enumerate(file.service_accounts):
        where: Loc = ("service_accounts", index, "targets")
        named += [((*where, place), name, targets | {"*"}) for place, name in enumerate(entry.targets)]
    for loc, name, known in named:
        if name not in known:
            kind = "host" if known is hosts else "target"
            yield Problem(document.where(loc), f"no {kind} named {name!r}", "see `agent inventory list`")


def _variables(document: Document, file: HardeningFile) -> Iterator[Problem]:
    """Variables that are set though they follow from elsewhere, and those whose name says what they must be."""
    for name, value in file.variables.items():
        loc: Loc = ("variables", name)
        if name in DERIVED:
            yield Problem(
                document.where(loc),
                "follows from the signed ops location, people.yaml and the inventory",
                "remove it; see docs/hardening.md",
            )
        elif name == "log_host" and (wrong := _wrong(address, value)):
            yield Problem(document.where(loc), *wrong)
        elif name.endswith("_networks"):
            if not isinstance(value, list):
                yield Problem(document.where(loc), "is no list", "write e.g. [10.0.0.0/24]")
                continue
            for place, each in enumerate(value):
                if wrong := _wrong(source_network if name in _REACH else _network, each):
                    yield Problem(document.where((*loc, place)), *wrong)


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        raise ValueError("is no address or CIDR network || write e.g. 10.0.0.5 or 10.0.0.0/28") from None


def _wrong(accept: Callable[[str], str], value: object) -> tuple[str, str] | None:
    """What is wrong with a value, and the remedy."""
    try:
        accept(str(value))
    except ValueError as error:
        message, _, remedy = str(error).partition(" || ")
        return message, remedy
    return None
