"""orders.yaml: the customer's rectification orders (整改单), each with its due day and the file of its notice."""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from agent.declared.fields import Day, Filled, Strict, Text, Version, no_twice, safe_name
from agent.declared.files import locked, write_atomic
from agent.declared.problems import Problem, raise_problems
from agent.declared.yamlfile import Document, load, loads, parse, quoted
from agent.model.duties import Order
from agent.model.errors import DeclaredError
from agent.model.vex import CVE

ORDERS = Path("orders.yaml")
_HEAD = "# Rectification orders (整改单). One leaves `agent due` when `settled` and `settled_by` are set.\n"
_KEY = re.compile(r"[0-9a-f]{6,16}")


def _target(value: str) -> str:
    return value if value == "*" else safe_name(value)


def _cve(value: str) -> str:
    if not CVE.fullmatch(value.upper()):
        raise ValueError("is not a CVE id || write it as CVE-2024-3094")
    return value.upper()


def _finding(value: str) -> str:
    if not _KEY.fullmatch(value):
        raise ValueError("is not the key of a finding || write 6 to 16 hex digits, as `agent findings` shows them")
    return value


def _notice(value: str) -> str:
    path = PurePosixPath(value)
    if value and (path.is_absolute() or ".." in path.parts or "\\" in value):
        raise ValueError("lies outside the workspace || name a file inside it, e.g. notices/ZG-2027-003.pdf")
    return value


class OrderEntry(Strict):
    """One rectification order."""

    number: Filled = Field(description="The customer's number of the order")
    title: Filled
    received: Day
    due: Day = Field(description="Last day on which it is in time (Asia/Shanghai)")
    targets: Annotated[
        tuple[Annotated[str, AfterValidator(_target)], ...], Field(min_length=1), AfterValidator(no_twice)
    ] = Field(description="Names of hosts.yaml and databases.yaml, or `*`")
    checks: Annotated[tuple[Filled, ...], AfterValidator(no_twice)] = ()
    cves: Annotated[tuple[Annotated[str, AfterValidator(_cve)], ...], AfterValidator(no_twice)] = ()
    findings: Annotated[tuple[Annotated[str, AfterValidator(_finding)], ...], AfterValidator(no_twice)] = ()
    notice: Annotated[Text, AfterValidator(_notice)] = ""
    settled: Day | None = None
    settled_by: Text = ""

    @model_validator(mode="after")
    def _days(self) -> OrderEntry:
        if self.due < self.received:
            raise ValueError(f"is due before it was received on {self.received} || correct `due` or `received`")
        if (self.settled is None) != (not self.settled_by.strip()):
            raise ValueError("is settled by nobody, or on no day || write both `settled` and `settled_by`, or neither")
        if self.settled and self.settled < self.received:
            raise ValueError(f"is settled before it was received on {self.received} || correct `settled`")
        return self


class OrdersFile(Strict):
    """orders.yaml."""

    schema_version: Version
    orders: tuple[OrderEntry, ...]


def _values(document: Document) -> tuple[Order, ...]:
    rows: list[Order] = []
    problems = []
    seen: dict[str, str] = {}
    for index, entry in enumerate(parse(document, OrdersFile).orders):
        row = Order(**entry.model_dump())
        where = document.where(("orders", index))
        first = seen.setdefault(row.number, where)
        if first != where:
            problems.append(Problem(where, f"order {row.number!r} stands at {first} already", "remove one of the two"))
        rows.append(row)
    raise_problems(document.path, problems)
    return tuple(rows)


def load_orders(root: Path) -> tuple[Order, ...]:
    """Read orders.yaml, settled ones included; an absent file means none.

    Raises:
        DeclaredError: the file is wrong.
    """
    path = root / ORDERS
    return _values(load(path)) if path.exists() else ()


def _word(value: object) -> str:
    if isinstance(value, date):
        return value.isoformat()
    return quoted(value)


def _line(row: Order) -> str:
    return "- {" + ", ".join(f"{key}: {_word(value)}" for key, value in asdict(row).items() if value) + "}\n"


def add_order(root: Path, order: Order) -> None:
    """Append an order, atomically; comments are kept where the layout allows it.

    Raises:
        DeclaredError: the order or the file is wrong; the file is then left as it was.
        OSError: the file cannot be written.
    """
    path = root / ORDERS
    with locked(root):
        old = load_orders(root)
        text = path.read_text("utf-8-sig") if path.exists() else ""
        rewritten = f"{_HEAD}schema_version: 1\norders:\n" + "".join(map(_line, (*old, order)))
        appended = text if not text or text.endswith("\n") else text + "\n"
        for candidate in (appended + _line(order), rewritten):
            try:
                held = _values(loads(candidate, path))
            except DeclaredError:
                if candidate is rewritten:
                    raise
                continue
            if held == (*old, order):
                write_atomic(path, candidate.encode())
                return
        raise DeclaredError(
            "the order does not read back as it was given", where=str(path), remedy="give plain text and ISO dates"
        )
