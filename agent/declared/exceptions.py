"""exceptions.yaml: accepted risks, each with approver and expiry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, model_validator

from agent.declared.fields import Day, Filled, Strict, Text, Version, safe_name
from agent.declared.files import locked, write_atomic
from agent.declared.problems import Problem, raise_problems
from agent.declared.yamlfile import Document, load, loads, parse, quoted
from agent.model.errors import DeclaredError
from agent.model.finding import RiskException
from agent.model.vex import CVE

EXCEPTIONS = Path("exceptions.yaml")
_HEAD = "# Accepted risks. An expired one covers nothing; `expires` is its last day (Asia/Shanghai).\n"


def _target(value: str) -> str:
    return value if value == "*" else safe_name(value)


def _cve(value: str) -> str:
    if value and not CVE.fullmatch(value.upper()):
        raise ValueError("is not a CVE id || write it as CVE-2024-3094")
    return value.upper()


class ExceptionEntry(Strict):
    """One accepted risk: of a check, an advisory or a CVE, on one target or (`*`) on every."""

    target: Annotated[str, AfterValidator(_target)]
    check: Text = ""
    advisory: Text = ""
    cve: Annotated[str, AfterValidator(_cve)] = ""
    location: Text = ""
    reason: Filled
    approver: Filled
    expires: Day
    filed: Text = ""
    justification: Literal[
        "",
        "component_not_present",
        "vulnerable_code_not_present",
        "vulnerable_code_not_in_execute_path",
        "vulnerable_code_cannot_be_controlled_by_adversary",
        "inline_mitigations_already_exist",
    ] = ""
    """Labels of `model.finding.Justification`, spelled out for the schema that editors read."""

    @model_validator(mode="after")
    def _about_one_thing(self) -> ExceptionEntry:
        named = [key for key in ("check", "advisory", "cve") if getattr(self, key)]
        if len(named) != 1:
            said = f"names {' and '.join(named)}" if named else "names neither check nor advisory nor cve"
            raise ValueError(f"{said} || write exactly one of `check:`, `advisory:`, `cve:`")
        return self


class ExceptionsFile(Strict):
    """exceptions.yaml."""

    schema_version: Version
    exceptions: tuple[ExceptionEntry, ...]


def _values(document: Document) -> tuple[RiskException, ...]:
    rows = []
    problems = []
    seen: dict[tuple[str, ...], str] = {}
    for index, entry in enumerate(parse(document, ExceptionsFile).exceptions):
        row = RiskException(**{**entry.model_dump(), "expires": entry.expires.isoformat()})
        where = document.where(("exceptions", index))
        first = seen.setdefault((row.target, row.check, row.advisory, row.cve, row.location, row.expires), where)
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
    words = {key: quoted(value) for key, value in asdict(row).items() if value}
    return "- {" + ", ".join(f"{key}: {word}" for key, word in words.items()) + "}\n"


def add_exceptions(root: Path, exceptions: Sequence[RiskException]) -> None:
    """Append accepted risks, all or none, atomically; comments are kept where the layout allows it.

    Raises:
        DeclaredError: an exception or the file is wrong; the file is then left as it was.
        OSError: the file cannot be written.
    """
    path = root / EXCEPTIONS
    added = "".join(map(_line, exceptions))
    with locked(root):
        old = load_exceptions(root)
        text = path.read_text("utf-8-sig") if path.exists() else ""
        rewritten = f"{_HEAD}schema_version: 1\nexceptions:\n" + "".join(map(_line, old)) + added
        appended = text if not text or text.endswith("\n") else text + "\n"
        for candidate in (appended + added, rewritten):
            try:
                held = _values(loads(candidate, path))
            except DeclaredError:
                if candidate is rewritten:
                    raise
                continue
            if held == (*old, *exceptions):
                write_atomic(path, candidate.encode())
                return
        raise DeclaredError(
            "the exception does not read back as it was given",
            where=str(path),
            remedy="give the date as YYYY-MM-DD and plain text elsewhere",
        )


def add_exception(root: Path, exception: RiskException) -> None:
    """Append one accepted risk, as `add_exceptions` does."""
    add_exceptions(root, (exception,))
