"""OpenVEX 0.0.1 to 0.2.0 (openvex.dev), read into statements."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from agent.declared.vexwords import Part, Said, bounded, moment, place, validated
from agent.model import vex


class _Component(Part):
    id: str = Field("", alias="@id")
    identifiers: Mapping[str, str] = {}

    @property
    def ids(self) -> tuple[str, ...]:
        """Everything that it is called by."""
        return tuple(filter(None, (self.id, *self.identifiers.values())))


_Named = BeforeValidator(lambda value: {"@id": value} if isinstance(value, str) else value)
"""Version 0.0.1 wrote a bare id where later ones write a struct."""


class _Product(_Component):
    subcomponents: tuple[Annotated[_Component, _Named], ...] = ()


class _Vulnerability(Part):
    id: str = Field("", alias="@id")
    name: str
    aliases: tuple[str, ...] = ()


class _Statement(Part):
    vulnerability: Annotated[
        _Vulnerability, BeforeValidator(lambda value: {"name": value} if isinstance(value, str) else value)
    ]
    products: tuple[Annotated[_Product, _Named], ...] = ()
    subcomponents: tuple[Annotated[_Component, _Named], ...] = ()
    """Of all products, in 0.0.1."""
    status: Literal["not_affected", "affected", "fixed", "under_investigation"]
    justification: str = ""
    impact_statement: str = ""
    action_statement: str = ""
    status_notes: str = ""
    timestamp: str = ""


class _Document(Part):
    timestamp: str = ""
    statements: tuple[_Statement, ...]


def openvex(data: Mapping[str, Any], path: Path) -> list[Said]:
    """Every statement for every product and component of it.

    Raises:
        DeclaredError: the document is not valid.
    """
    document = validated(_Document, data, path)
    found: list[Said] = []
    for index, statement in enumerate(document.statements):
        at = moment(statement.timestamp or document.timestamp, place(path, "statements", index, "timestamp"))
        for number, product in enumerate(statement.products):
            where = place(path, "statements", index, "products", number)
            found.extend(
                Said(
                    where=where,
                    products=product.ids,
                    component=component.ids or ("",) if component else (),
                    name=statement.vulnerability.name,
                    aliases=statement.vulnerability.aliases,
                    status=statement.status,
                    check=vex.check_of(statement.vulnerability.id),
                    justification=statement.justification,
                    text=_text(statement),
                    note=statement.status_notes,
                    at=at,
                )
                for component in (*product.subcomponents, *statement.subcomponents) or (None,)
            )
            bounded(found, path)
    return found


def _text(statement: _Statement) -> str:
    return statement.action_statement if statement.status == "affected" else statement.impact_statement
