"""exceptions.yaml: accepted risks, each with approver and expiry."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from agent.declared.fields import Day, Filled, Name, Strict, Text, Version
from agent.declared.files import locked, write_atomic
from agent.declared.problems import Problem, raise_problems
from agent.declared.yamlfile import Document, load, loads, parse
from agent.model.errors import DeclaredError
from agent.model.finding import RiskException

EXCEPTIONS = Path("exceptions.yaml")
_HEAD = "# Accepted risks. An expired one covers nothing; `expires` is its last day (Asia/Shanghai).\n"


class ExceptionEntry(Strict):
    """One accepted risk."""

    target: Name
    check: Filled
    location: Text = ""
    reason: Filled
    approver: Filled
    expires: Day
    filed: Text = ""


class ExceptionsFile(Strict):
    """exceptions.yaml."""

    schema_version: Version
    exceptions: tuple[ExceptionEntry, ...]


def _values(document: Document) -> tuple[RiskException, ...]:
    rows = []
    problems = []
    seen: dict[tuple[str, str, str, str], str] = {}
    for index, entry in enumerate(parse(document, ExceptionsFile).exceptions):
        row = RiskException(**{**entry.model_dump(), "expires": entry.expires.isoformat()})
        where = document.where(("exceptions", index))
        first = seen.setdefault((row.target, row.check, row.location, row.expires), where)
        if first != where:
            problems.append(Problem(where, f"the same exception stands at {first}", "remove one of the two"))
        rows.append(row)
    raise_problems(document.path, problems)
    return tuple(rows)


def load_exceptions(root: Path) -> tuple[RiskException, ...]:
    """Read exceptions.yaml, expired ones included; an absent file means none.

    Raises:
        DeclaredError: the file is wrong.
    """
    path = root / EXCEPTIONS
    return _values(load(path)) if path.exists() else ()


def _line(row: RiskException) -> str:
    # A JSON string is a YAML double-quoted one, so that no text can become markup of the file.
    return "- {" + ", ".join(f"{k}: {json.dumps(v, ensure_ascii=False)}" for k, v in asdict(row).items()) + "}\n"


def add_exception(root: Path, exception: RiskException) -> None:
    """Append an accepted risk, atomically; comments that people wrote are kept where the layout allows it.

    Raises:
        DeclaredError: the exception or the file is wrong; the file is then left as it was.
        OSError: the file cannot be written.
    """
    path = root / EXCEPTIONS
    with locked(root):
        old = load_exceptions(root)
        text = path.read_text("utf-8-sig") if path.exists() else ""
        rewritten = f"{_HEAD}schema_version: 1\nexceptions:\n" + "".join(map(_line, (*old, exception)))
        appended = text if not text or text.endswith("\n") else text + "\n"
        for candidate in (appended + _line(exception), rewritten):
            try:
                held = _values(loads(candidate, path))
            except DeclaredError:
                if candidate is rewritten:
                    raise
                continue
            if held == (*old, exception):
                write_atomic(path, candidate.encode())
                return
        raise DeclaredError(
            "the exception does not read back as it was given",
            where=str(path),
            remedy="give the date as YYYY-MM-DD and plain text elsewhere",
        )
