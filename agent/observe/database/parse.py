"""From a sealed payload to `DatabaseFacts`. Pure; a payload of any content yields facts or a clear error."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from agent.model.errors import AgentError
from agent.model.facts import DatabaseFacts, Reading, Subject
from agent.model.text import clean, one_line
from agent.observe.database import queries

if TYPE_CHECKING:
    from collections.abc import Mapping

_DOTTED = re.compile(r"\d+(?:\.\d+)*")
_FAILED = 2
"""`Reading.rc` of a statement that the driver refused."""


def facts(target: str, payload: bytes) -> DatabaseFacts:
    """Read a payload of :func:`agent.observe.database.collect`.

    The subject has the table `settings` (missing, with the reason, when the statement failed) and one reading
    for each control's statement: rows joined by newline, columns by ` | `, SQL NULL as `NULL`; a driver error is
    `Reading(rc=2, error=...)`. `features` holds `preload-NAME`, `extension-NAME` (PostgreSQL), `plugin-NAME`
    (MySQL, MariaDB) and `tls` when the server offers it.

    Raises:
        AgentError: the payload is no such record.
    """
    body = _body(target, payload)
    statements: dict[str, Mapping[str, Any]] = {each["key"]: each for each in body["statements"]}
    engine, flavour = str(body["engine"]), str(body["flavour"])
    kind = queries.kind(engine)
    version = _version(kind, statements.get("version"))
    settings, missing = _settings(statements)
    unseen = {
        key: clean(str(each["error"]))
        for key, each in statements.items()
        if each["error"] and not key.startswith("control:")
    }
    for key in ("settings", "extensions", "plugins"):
        if key in unseen:  # what could not be asked for is not absent
            missing["features"] = unseen[key]
    subject = Subject(
        kind=kind,
        target=target,
        family=flavour,
        version=version,
        tables=settings,
        reads={
            key.removeprefix("control:"): _reading(each)
            for key, each in statements.items()
            if key.startswith("control:")
        },
        missing=missing,
        features=_features(settings.get("settings", {}), statements),
    )
    return DatabaseFacts(
        target=target,
        engine=engine,
        flavour=flavour,
        version=version,
        subject=subject,
        accounts=_accounts(kind, statements),
        answers={key: _rows(statements.get(key)) for key in ("accounts", "privileges", "memberships")},
        unseen=unseen,
        build=_build(statements.get("version")),
    )


def _body(target: str, payload: bytes) -> dict[str, Any]:
    try:
        body = json.loads(payload)
        known = body["schema"] == 1 and queries.kind(body["engine"]) and body["flavour"]
        shaped = all(
            isinstance(each["key"], str)
            and isinstance(each["error"], str)
            and all(isinstance(row, list) for row in each["rows"])
            for each in body["statements"]
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise AgentError("the record of the database cannot be read", where=target) from error
    if not (known and shaped):
        raise AgentError("the record of the database has another form", where=target, remedy="scan the database again")
    return dict(body)


def _shown(cell: object) -> str:
    """One cell on one line, so that a value with a newline cannot pass for a further row."""
    if cell is None:
        return "NULL"
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return clean(" ".join(str(cell).split()))


def _reading(statement: Mapping[str, Any]) -> Reading:
    if statement["error"]:
        return Reading(text="", rc=_FAILED, error=clean(statement["error"]))
    lines = [" | ".join(map(_shown, row)) for row in statement["rows"]]
    if statement.get("count", 0) > len(lines):
        lines.append(f"… {statement['count']} rows in all")
    return Reading(text="\n".join(lines))


def _version(kind: str, statement: Mapping[str, Any] | None) -> str:
    if not statement or statement["error"] or not statement["rows"]:
        return ""
    row = statement["rows"][0]
    hit = _DOTTED.search(_shown(row[-1] if kind == queries.POSTGRESQL else row[0]))
    return hit.group() if hit else ""


def _build(statement: Mapping[str, Any] | None) -> str:
    """The server's own words; the version's cell comes first, PostgreSQL's `15.6 (Debian ...)` last."""
    if not statement or statement["error"] or not statement["rows"]:
        return ""
    return one_line(" | ".join(map(_shown, statement["rows"][0])))


def _settings(statements: Mapping[str, Mapping[str, Any]]) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    statement = statements.get("settings")
    if statement is None:
        return {}, {"settings": "not asked"}
    if statement["error"] or not statement["rows"]:
        return {}, {"settings": clean(statement["error"]) or "no row came"}
    table = {}
    for row in statement["rows"]:
        if len(row) > 1:
            table[_shown(row[0])] = "" if row[1] is None else _shown(row[1])
    return {"settings": table}, {}


def _features(settings: Mapping[str, str], statements: Mapping[str, Mapping[str, Any]]) -> frozenset[str]:
    found = {
        f"preload-{name.strip().removeprefix('$libdir/')}"
        for name in settings.get("shared_preload_libraries", "").split(",")
        if name.strip()
    }
    for key, word in (("extensions", "extension"), ("plugins", "plugin")):
        rows = statements.get(key, {}).get("rows", [])
        found |= {f"{word}-{_shown(row[0]).lower()}" for row in rows if row}
    if settings.get("ssl") == "on" or settings.get("have_ssl") == "YES":
        found.add("tls")
    return frozenset(found)


def _rows(statement: Mapping[str, Any] | None) -> tuple[tuple[object, ...], ...]:
    rows = statement["rows"] if statement else []
    return tuple(tuple(clean(cell) if isinstance(cell, str) else cell for cell in row) for row in rows)


def _accounts(kind: str, statements: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    rows = statements.get("accounts", {}).get("rows", [])
    if kind == queries.POSTGRESQL:
        return tuple(_shown(row[0]) for row in rows if row and row[1:2] == [True])
    return tuple(
        f"{_shown(row[0])}@{_shown(row[1])}" for row in rows if len(row) > 1 and str(row[-1]) not in {"1", "true"}
    )
