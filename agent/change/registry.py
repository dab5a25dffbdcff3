"""Resource types by name. A module of agent/change/resources holds `RESOURCES`, a tuple of its types."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from agent.change import resources
from agent.change.contract import FixError, Resource
from agent.model.change import Item


@cache
def registry() -> dict[str, Resource]:
    """All resource types by name."""
    found: dict[str, Resource] = {}
    for module in pkgutil.iter_modules(resources.__path__):
        for resource in importlib.import_module(f"{resources.__name__}.{module.name}").RESOURCES:
            if resource.name in found:
                raise ValueError(f"two resource types are called {resource.name}")
            found[resource.name] = resource
    return found


def check(item: Item) -> None:
    """Refuse an item whose resource is unknown or whose form is not its. Raises FixError."""
    if item.resource == "manual":
        return
    resource = registry().get(item.resource)
    if resource is None:
        raise FixError(f"fix.resource: no resource type {item.resource!r}; known: {', '.join(sorted(registry()))}")
    resource.check(item)
