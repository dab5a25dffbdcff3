"""hardening.yaml: what this site wants of a hardening, and what must be left alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, StrictBool, StrictInt, StrictStr

from agent.declared.fields import Filled, Listener, Login, Name, NameOrNone, Strict, Text, Version, no_twice
from agent.declared.yamlfile import load, parse
from agent.model.hardening import Policy, ServiceAccount

HARDENING = Path("hardening.yaml")

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
        DeclaredError: the file is wrong; every problem is listed at once.
    """
    path = root / HARDENING
    if not path.exists():
        return Policy()
    file = parse(load(path), HardeningFile)
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
