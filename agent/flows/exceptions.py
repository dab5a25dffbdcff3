"""Accepted risks for people: list them with their standing, take them in from VEX, write them out as VEX."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agent.declared.vex import LeftOut, Terms, read_vex
from agent.flows.findings import refuse_own_approval
from agent.flows.judge import SHANGHAI
from agent.judge.exceptions import in_force
from agent.model.errors import AgentError

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

    from agent.app import App
    from agent.model.finding import RiskException


@dataclass(frozen=True, slots=True)
class Listed:
    """An accepted risk and whether it still covers."""

    exception: RiskException
    in_force: bool
    known: bool
    """Its target is in the inventory."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a VEX document."""

    format: str
    added: tuple[RiskException, ...]
    present: tuple[RiskException, ...]
    """Those that exceptions.yaml held already."""
    left_out: tuple[LeftOut, ...]


def today(app: App) -> str:
    """The ISO day in Asia/Shanghai."""
    return app.clock().astimezone(SHANGHAI).date().isoformat()


def listed(app: App) -> list[Listed]:
    """All accepted risks in the file's order. Raises DeclaredError."""
    now, names = today(app), {target.name for target in app.inventory.targets}
    return [Listed(item, in_force(item, now), item.target in {"*", *names}) for item in app.exceptions]


def take_in(app: App, path: Path, *, approver: str = "", expires: date | None = None) -> Imported:
    """Read a VEX document and append to exceptions.yaml what it lifts, all or none.

    Raises:
        DeclaredError: the document is not valid, or names a product that is no target.
        AgentError: who operates approves, or an expiry has passed.
    """
    now = today(app)
    terms = Terms(approver.strip(), expires.isoformat() if expires else "", now)
    read = read_vex(path, {target.name for target in app.inventory.targets}, terms)
    for item in read.exceptions:
        refuse_own_approval(app, item.approver)
        if not in_force(item, now):
            raise AgentError(
                f"the expiry {item.expires} of {item.subject} has passed",
                where=str(path),
                remedy="name a later day with --expires",
            )
    held = {replace(item, filed="") for item in app.exceptions}
    present = tuple(item for item in read.exceptions if replace(item, filed="") in held)
    added = tuple(item for item in read.exceptions if item not in present)
    if added:
        from agent.declared import add_exceptions  # noqa: PLC0415 - used by this verb alone

        add_exceptions(app.root, added)
    return Imported(read.format, added, present, read.left_out)
