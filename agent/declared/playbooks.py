"""Playbooks: the controls that people wrote, read and checked (docs/controls.md).

A workspace's own playbooks/ override what is shipped, by file name. Unknown keys, duplicate
ids and values that an operator cannot compare with are refused, with file, line and field.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, model_validator

import agent
from agent.declared.clauses import CLAUSES
from agent.declared.problems import Problem, raise_problems
from agent.declared.yamlfile import Document, load, parse
from agent.model.control import Applies, Control, Expect, Read
from agent.model.errors import DeclaredError
from agent.model.severity import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Target = Literal["linux", "nginx", "tomcat", "redis", "mysql", "postgresql"]
DATABASES = frozenset({"mysql", "postgresql"})

_LEVELS = {grade.value for grade in Severity if grade is not Severity.INFO}
_COMPARISON = re.compile(r"\s*(>=|<=|==|<|>)\s*[0-9]{1,9}(\.[0-9]{1,9})*\s*")
_MODE = re.compile(r"[0-7]{3,4}( [a-z_][a-z0-9_-]*)?")
_SELECT = re.compile(r"\s*(select|show|with)\b", re.IGNORECASE)

Word = Annotated[StrictStr, Field(pattern=r"^[a-z][a-z0-9_-]*$")]
Feature = Annotated[StrictStr, Field(pattern=r"^!?[a-z][a-z0-9_-]*$")]
Line = Annotated[StrictStr, Field(min_length=1, pattern=r"^[^\n]+$")]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ReadEntry(_Entry):
    """`read`: exactly one of table (with keys), sh and sql."""

    table: Word | None = None
    keys: tuple[Line, ...] = ()
    sh: Annotated[StrictStr, Field(min_length=1)] | None = None
    sql: Annotated[StrictStr, Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _one(self) -> ReadEntry:
        if sum(kind is not None for kind in (self.table, self.sh, self.sql)) != 1:
            raise ValueError("needs exactly one of table, sh, sql || keep the one that reads the value")
        if self.keys and self.table is None:
            raise ValueError("keys belong to a table || remove keys, or read a table")
        if self.sql is not None and (not _SELECT.match(self.sql) or ";" in self.sql.rstrip().rstrip(";")):
            raise ValueError("sql is not one SELECT || write a single SELECT, SHOW or WITH statement")
        return self


class ExpectEntry(_Entry):
    """`expect`: an operator with what it compares with."""

    op: Literal[
        "eq", "in", "ge", "le", "between", "regex", "not_regex", "empty", "nonempty", "mode_max",
        "kv", "all", "any", "manual",
    ]  # fmt: skip
    value: StrictStr | StrictInt | list[StrictStr | StrictInt] | None = None
    keys: dict[StrictStr, ExpectEntry] = Field(default_factory=dict)
    every: tuple[ExpectEntry, ...] = ()
    absent: Literal["error", "fail", "pass"] | None = None
    allow_empty: StrictBool = False
    say: StrictStr = ""

    @model_validator(mode="after")
    def _comparable(self) -> ExpectEntry:
        problem = _VALUES[self.op](self.value) if self.op in _VALUES else _no_value(self.op, self.value)
        if problem:
            raise ValueError(f"{self.op}: {problem} || see the table of operators in docs/controls.md")
        if bool(self.keys) != (self.op == "kv"):
            raise ValueError(f"{self.op}: keys belong to kv, which needs them || correct op or keys")
        if bool(self.every) != (self.op in {"all", "any"}):
            raise ValueError(f"{self.op}: every belongs to all and any, which need it || correct op or every")
        if self.allow_empty and self.op != "not_regex":
            raise ValueError(f"{self.op}: allow_empty belongs to not_regex || remove it")
        return self


def _no_value(_: str, value: object) -> str:
    return "takes no value" if value is not None else ""


def _one_value(value: object) -> str:
    return "" if isinstance(value, str | int) else "needs a text or an integer (quote yes, no, true, false)"


def _some_values(value: object) -> str:
    return "" if isinstance(value, list) and value else "needs a list"


def _one_integer(value: object) -> str:
    return "" if isinstance(value, int) else "needs an integer"


def _two_integers(value: object) -> str:
    match value:
        case [int(low), int(high)] if low <= high:
            return ""
    return "needs [low, high], two integers"


def _a_pattern(value: object) -> str:
    if not isinstance(value, str) or not value:
        return "needs a regular expression"
    try:
        re.compile(value)
    except re.error as error:
        return f"is no regular expression: {error}"
    return ""


def _a_mode(value: object) -> str:
    return "" if _MODE.fullmatch(str(value)) else 'needs an octal mode, with an owner if wanted ("0640 root")'


_VALUES = {
    "eq": _one_value,
    "in": _some_values,
    "ge": _one_integer,
    "le": _one_integer,
    "between": _two_integers,
    "regex": _a_pattern,
    "not_regex": _a_pattern,
    "mode_max": _a_mode,
}


class AppliesEntry(_Entry):
    """`applies`: family, version comparisons, features."""

    family: tuple[Word, ...] = ()
    version: StrictStr = ""
    when: tuple[Feature, ...] = ()

    @model_validator(mode="after")
    def _compared(self) -> AppliesEntry:
        if self.version and not all(_COMPARISON.fullmatch(each) for each in self.version.split(",")):
            raise ValueError('version is no comparison || write ">=12" or ">=12,<16" (>= <= == < >)')
        return self


class FixEntry(BaseModel):
    """`fix`: data for the change engine; its resource types check the rest."""

    model_config = ConfigDict(extra="allow", frozen=True)

    resource: Word
    want: Any = None
    validate_: Line | None = Field(default=None, alias="validate")
    apply: Literal["none", "reload", "restart"] = "none"


class ControlEntry(_Entry):
    """One control."""

    id: Annotated[StrictStr, Field(pattern=r"^[A-Z][A-Z0-9]*(-[A-Z0-9]+)+$")]
    title: Line
    clause: Line
    unit: StrictStr = ""
    severity: Severity
    applies: AppliesEntry = Field(default_factory=AppliesEntry)
    read: ReadEntry
    expect: ExpectEntry
    remedy: StrictStr = ""
    refs: dict[StrictStr, tuple[StrictStr, ...]] = Field(default_factory=dict)
    risk: tuple[Literal["lockout", "restart", "reboot", "account_expiry", "app_break"], ...] = ()
    fix: FixEntry | None = None

    @model_validator(mode="after")
    def _agrees(self) -> ControlEntry:
        if self.clause not in CLAUSES:
            raise ValueError(f"clause {self.clause!r} is none of GB/T 22239-2019 8.1.4 || write it as 8.1.4.2-b")
        if self.unit and self.unit != CLAUSES[self.clause][0]:
            raise ValueError(f"unit is not that of clause {self.clause} || write {CLAUSES[self.clause][0]}")
        if self.severity.value not in _LEVELS:
            raise ValueError("severity of a control is critical, high, medium or low || choose one")
        if self.expect.op == "kv" and self.read.keys and not set(self.expect.keys) <= set(self.read.keys):
            raise ValueError("expect compares a key that is not read || name it in read.keys, or leave read.keys out")
        return self


class PlaybookFile(_Entry):
    """A file of playbooks/."""

    schema_version: Literal[1]
    target: Target
    controls: tuple[ControlEntry, ...] = Field(min_length=1)


def shipped_playbooks() -> Path:
    """Return the playbooks/ that come with the program: package data of a wheel, else the checkout's."""
    package = Path(agent.__file__).parent
    packed = package / "_data" / "playbooks"
    return packed if packed.is_dir() else package.parent / "playbooks"


def load_playbooks(folders: Sequence[Path]) -> tuple[Control, ...]:
    """Read the controls of all folders' `*.yaml`, by file name, then in the file's order.

    A later folder's file replaces an earlier one's of the same name; a folder that is not there counts as empty.

    Raises:
        DeclaredError: a file is wrong, an id stands twice, or no folder holds a playbook.
    """
    files = {path.name: path for folder in folders for path in sorted(folder.glob("*.yaml"))}
    if not files:
        raise DeclaredError(
            "no playbook found",
            where=", ".join(map(str, folders)),
            remedy="install the program whole, or put *.yaml files of docs/controls.md's form into playbooks/",
        )
    controls: dict[str, Control] = {}
    for _, path in sorted(files.items()):
        document = load(path)
        book = parse(document, PlaybookFile)
        raise_problems(path, _clashes(document, book, controls))
        for control in _controls(document, book):
            controls[control.id] = control
    return tuple(controls.values())


def _clashes(document: Document, book: PlaybookFile, earlier: dict[str, Control]) -> list[Problem]:
    """Problems that only the whole file, or several, can show."""
    seen, problems = {control.id: control.source for control in earlier.values()}, []
    for index, entry in enumerate(book.controls):
        loc = ("controls", index)
        if entry.id in seen:
            problems.append(
                Problem(
                    document.where((*loc, "id")),
                    f"id {entry.id} stands twice (first in {seen[entry.id]})",
                    "give one of them another id, or replace the whole file by one of the same name",
                )
            )
        seen.setdefault(entry.id, document.where(loc).rsplit(": ", 1)[0])
        if (entry.read.sql is not None and book.target not in DATABASES) or (
            entry.read.sh is not None and book.target in DATABASES
        ):
            problems.append(
                Problem(
                    document.where((*loc, "read")),
                    f"a control on {book.target} cannot be read so",
                    "databases are read by sql or table, hosts and middleware by sh or table",
                )
            )
    return problems


def _controls(document: Document, book: PlaybookFile) -> Iterable[Control]:
    for index, entry in enumerate(book.controls):
        yield Control(
            id=entry.id,
            title=entry.title,
            clause=entry.clause,
            severity=entry.severity,
            target=book.target,
            read=_read(entry),
            expect=_expect(entry.expect, "error"),
            applies=Applies(entry.applies.family, entry.applies.version, entry.applies.when),
            remedy=entry.remedy,
            unit=entry.unit or CLAUSES[entry.clause][0],
            refs=entry.refs,
            risk=tuple(entry.risk),
            fix=entry.fix.model_dump(by_alias=True, exclude_none=True) if entry.fix else {},
            source=document.where(("controls", index)).rsplit(": ", 1)[0],
        )


def _read(entry: ControlEntry) -> Read:
    read = entry.read
    if read.table is not None:
        return Read("table", table=read.table, keys=read.keys or tuple(entry.expect.keys))
    kind = "sh" if read.sh is not None else "sql"
    return Read(kind, text=(read.sh or read.sql or "").strip())


def _expect(entry: ExpectEntry, absent: str) -> Expect:
    """Turn an entry into an expectation; what a missing key means is handed down where not said anew."""
    absent = entry.absent or absent
    return Expect(
        op=entry.op,
        value=entry.value,
        keys={key: _expect(sub, absent) for key, sub in entry.keys.items()},
        every=tuple(_expect(sub, absent) for sub in entry.every),
        absent=absent,
        allow_empty=entry.allow_empty,
        say=entry.say,
    )
