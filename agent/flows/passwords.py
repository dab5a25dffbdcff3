"""Passwords: what the workspace knows that must not occur in one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.declared.people import load_people

if TYPE_CHECKING:
    from agent.app import App
    from agent.model.asset import Database, Host


def known_names(app: App) -> tuple[str, ...]:
    """Names of targets, accounts, people and of both parties. Raises DeclaredError."""
    inventory, contract = app.inventory, app.contract
    targets: list[Host | Database] = [*inventory.hosts, *inventory.databases]
    people = load_people(app.root)
    found = [target.name for target in targets] + [target.user for target in targets]
    found += [word for person in people for word in (person.name, person.login)]
    found += [contract.customer, contract.vendor]
    return tuple(dict.fromkeys(filter(None, found)))
