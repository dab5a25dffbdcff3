"""A control: one YAML entry of playbooks/, read, compared, and mended by data (rule 6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from agent.model.severity import Severity


class Outcome(StrEnum):
    """Result of judging one control on one subject. An error is never a pass."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    MANUAL = "manual"
    NOT_APPLICABLE = "not_applicable"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Read:
    """How a control's value is had.

    `table`: look `keys` up in a named table of the subject (no cost on the target).
    `sh`: a POSIX sh snippet, run as root in the one script; exit code >= 2 is an error.
    `sql`: one SELECT, run in the database's batch.
    """

    kind: str
    """`table`, `sh` or `sql`."""
    table: str = ""
    keys: tuple[str, ...] = ()
    text: str = ""
    """The snippet or statement."""


@dataclass(frozen=True, slots=True)
class Expect:
    """What the value must be.

    Operators: eq, in, ge, le, between, regex, not_regex, empty, nonempty, mode_max, kv, all, any,
    manual (docs/controls.md). `kv` holds a sub-expectation for each key; `all` and `any` a list of them.
    """

    op: str
    value: Any = None
    keys: Mapping[str, Expect] = field(default_factory=dict)
    every: tuple[Expect, ...] = ()
    absent: str = "error"
    """What a missing key means: `error`, `fail` or `pass` (the built-in default is right)."""
    allow_empty: bool = False
    """`not_regex`: an empty value is an answer, not an error."""
    say: str = ""
    """What people read as wanted, instead of the operator's own words."""


@dataclass(frozen=True, slots=True)
class Applies:
    """On which subjects a control is judged; elsewhere it is not_applicable, never a pass."""

    family: tuple[str, ...] = ()
    """Empty: every family."""
    version: str = ""
    """Comma-joined comparisons on the dotted version, e.g. `>=12,<16`; empty: any."""
    when: tuple[str, ...] = ()
    """Features that must be there (Subject.features); `!name` must not."""


@dataclass(frozen=True, slots=True)
class Control:
    """One control. `fix` is data for the change engine and is carried, not interpreted, here."""

    id: str
    title: str
    clause: str
    """Clause of GB/T 22239-2019, e.g. `8.1.4.2-b`."""
    severity: Severity
    target: str
    """Kind of subject: `linux`, `nginx`, `tomcat`, `redis`, `mysql` or `postgresql`."""
    read: Read
    expect: Expect
    applies: Applies = field(default_factory=Applies)
    remedy: str = ""
    """What to do, in Chinese, for the report."""
    unit: str = ""
    """Unit of GB/T 28448-2019, e.g. `L3-CES1-06`."""
    refs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    risk: tuple[str, ...] = ()
    """lockout, restart, reboot, account_expiry, app_break."""
    fix: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    """FILE:LINE, for error messages."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One control judged on one subject."""

    control: str
    target: str
    location: str
    outcome: Outcome
    actual: str
    """What was seen, cleaned, for people."""
    expected: str
    """What was wanted, for people."""
    reason: str = ""
    """Why it is an error, manual or not applicable."""
