"""One batch of read-only queries over one session, recorded with every row or every error."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from agent.model.errors import AgentError
from agent.model.text import decode, one_line
from agent.observe.database import queries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.model.control import Control
    from agent.model.ports import SqlSession

SCHEMA = 1
ROWS = 20_000
"""Most rows recorded of one statement; how many there were is recorded as well."""

_READS = re.compile(r"\s*(?:SELECT|SHOW|WITH)\b", re.IGNORECASE)
_QUOTED = re.compile(r"'(?:[^']|'')*'")
_WRITES = re.compile(
    r";|\bINTO\b|\bFOR\s+(?:UPDATE|SHARE)\b|\b(?:INSERT|UPDATE|DELETE|CALL|nextval|setval|pg_reload_conf"
    r"|pg_terminate_backend|set_config|LOAD_FILE|pg_read_file|SLEEP)\s*[(\s]",
    re.IGNORECASE,
)
_SECRET_NAMES = re.compile(
    r"^(?:report_password|wsrep_sst_auth|s3_access_key|s3_secret_key|.*(?:_token|_secret|passphrase|filekey))$"
)
_SECRET_IN = re.compile(
    r"(?i)((?:pass(?:word|wd|phrase)?|bindpasswd|secrets?|identified\s+by)\s*=?\s*)('(?:[^']|'')*'|\"[^\"]*\"|(?<==)[^\s,;]+)"
)
_USERINFO = re.compile(r"(://[^/@\s:]*:)[^/@\s]+@")


def collect(session: SqlSession, engine: str, controls: Sequence[Control]) -> bytes:
    """Run the base queries of `engine` and each control's `sql` read over one session; seal-ready bytes.

    A statement that fails is recorded with its error and the batch goes on: an expired session (MariaDB
    error 1820) yields a payload in which every statement has an error, never an empty answer. Controls of
    another kind or flavour are not run. Passwords that a setting carries are masked before anything is kept.

    Args:
        session: open, read-only; it stays open.
        engine: as the inventory declares it: `mysql`, `mariadb` or `postgresql`.
        controls: those to be judged; only reads of kind `sql` are run.

    Returns:
        Canonical JSON in UTF-8: sorted keys, no blanks.

    Raises:
        AgentError: the engine is not one that can be read.
    """
    kind = queries.kind(engine)
    if not kind:
        raise AgentError(
            f"engine {engine!r} cannot be read yet",
            remedy="declare mysql, mariadb or postgresql, or leave the database out of this scan",
        )
    version = _run(session, "version", queries.VERSION[kind].sql)
    flavour = _flavour(engine, version)
    statements = [version, *(_run(session, query.key, query.sql) for query in queries.base(flavour))]
    for control in controls:
        if control.target != kind or control.read.kind != "sql":
            continue
        if control.applies.family and flavour not in control.applies.family:
            continue
        key = f"control:{control.id}"
        wrong = refused(control.read.text)
        statements.append(
            _record(key, control.read.text, [], wrong) if wrong else _run(session, key, control.read.text)
        )
    body = {"schema": SCHEMA, "engine": engine, "flavour": flavour, "statements": statements}
    text = json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    # a lone surrogate cannot be UTF-8; what backslashreplace writes for it is a JSON escape of the same value
    return text.encode("utf-8", "backslashreplace")


def refused(statement: str) -> str:
    """Why a control's statement is not run: it is no single read. Empty when it is one.

    The session is read-only already; this guards against what a read-only transaction lets through
    (`SELECT ... INTO OUTFILE`, `set_config`, `pg_terminate_backend`).
    """
    bare = _QUOTED.sub("''", statement.rstrip().rstrip(";"))
    if not _READS.match(bare):
        return "the statement is no SELECT, SHOW or WITH"
    hit = _WRITES.search(bare)
    return f"the statement holds {hit.group().strip()!r}, which a scan does not run" if hit else ""


def _flavour(engine: str, version: dict[str, object]) -> str:
    rows = version["rows"]
    if queries.kind(engine) != queries.MYSQL or not isinstance(rows, list) or not rows:
        return engine
    return queries.MARIADB if "mariadb" in " ".join(map(str, rows[0])).lower() else queries.MYSQL


def _run(session: SqlSession, key: str, statement: str) -> dict[str, object]:
    try:
        rows = session.query(statement)
    except AgentError as error:
        return _record(key, statement, [], one_line(error.message) or "the driver named no reason")
    return _record(key, statement, rows, "")


def _record(key: str, statement: str, rows: Sequence[Sequence[object]], error: str) -> dict[str, object]:
    kept = [_masked(key, [_cell(cell) for cell in row]) for row in rows[:ROWS]]
    return {"key": key, "sql": statement, "rows": kept, "count": len(rows), "error": error}


def _cell(cell: object) -> str | int | bool | None:
    if cell is None or isinstance(cell, (bool, int)):
        return cell
    text = decode(cell) if isinstance(cell, bytes) else str(cell)
    return _USERINFO.sub(r"\1***@", _SECRET_IN.sub(r"\1***", text))


def _masked(key: str, row: list[str | int | bool | None]) -> list[str | int | bool | None]:
    if key == "settings" and len(row) > 1 and _SECRET_NAMES.match(str(row[0]).lower()):
        row[1] = f"<set length={len(str(row[1]))}>" if row[1] else ""
    return row
