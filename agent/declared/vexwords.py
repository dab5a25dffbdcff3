"""What the readers of VEX formats give: one statement about one vulnerability and one product, and how to get there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pydantic
from pydantic import BaseModel, ConfigDict

from agent.declared.problems import Problem, raise_problems, translate
from agent.declared.yamlfile import dotted
from agent.model.errors import DeclaredError
from agent.model.text import one_line

MAX_SAID = 200_000
"""Most statements of one document, products and components multiplied out."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Part(BaseModel):
    """A piece of a document that others wrote: keys that we do not need are passed over."""

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)


@dataclass(frozen=True, slots=True)
class Said:
    """One vulnerability, one product, one status."""

    where: str
    """`FILE: statements[3].products[0]`."""
    products: tuple[str, ...]
    """Every id that the document has for the product."""
    component: tuple[str, ...]
    """Every id of the component inside the product that it is about; empty: the product as a whole."""
    name: str
    aliases: tuple[str, ...]
    status: str
    """`not_affected`, `affected`, `fixed` or `under_investigation`."""
    check: str = ""
    """Check id, where the document says that it is one of ours."""
    justification: str = ""
    text: str = ""
    """Why it does no harm, or what is to be done."""
    note: str = ""
    """JSON that our own export wrote about an accepted risk."""
    at: datetime = EPOCH


M = TypeVar("M", bound=BaseModel)


def validated(model: type[M], data: Mapping[str, Any], path: Path) -> M:
    """The document as a model.

    Raises:
        DeclaredError: one error that lists every place that is wrong.
    """
    try:
        return model.model_validate(data)
    except pydantic.ValidationError as error:
        raise_problems(path, [_problem(path, item) for item in error.errors(include_url=False, include_input=False)])
        raise AssertionError from None  # raise_problems always raises when there is a problem


def _problem(path: Path, item: Any) -> Problem:  # noqa: ANN401 - pydantic's ErrorDetails
    loc = tuple(part if isinstance(part, int) else one_line(part, 80) for part in item["loc"])
    if item["type"] == "missing":
        return Problem(place(path, *loc), "is missing", "ask who made the document for a valid one")
    message, _ = translate(item["type"], item["msg"], loc, {})
    return Problem(place(path, *loc), one_line(message, 200), "ask who made the document for a valid one")


def place(path: Path, *loc: str | int) -> str:
    """`FILE: field.path`."""
    return f"{path}: {dotted(loc)}" if loc else str(path)


def moment(text: str, where: str) -> datetime:
    """A time of RFC 3339; empty is the beginning of time.

    Raises:
        DeclaredError: it is none.
    """
    if not text:
        return EPOCH
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise DeclaredError("is not a time", where=where, remedy="write it as 2026-11-22T08:00:00Z") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def bounded(said: Sequence[Said], path: Path) -> None:
    """Refuse a document that multiplies out without end.

    Raises:
        DeclaredError: it says more than `MAX_SAID` things.
    """
    if len(said) > MAX_SAID:
        raise DeclaredError(f"says more than {MAX_SAID} things", where=str(path), remedy="split it")
