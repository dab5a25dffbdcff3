"""passwords.yaml: password policies. The contract's undertaking is built in; one that asks for less is an exception."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

from pydantic import Field

from agent.declared.fields import Day, Filled, Name, Strict, Version
from agent.declared.problems import Problem, raise_problems
from agent.declared.yamlfile import load, parse
from agent.model.password import UNDERTAKING, PasswordPolicy

PASSWORDS = Path("passwords.yaml")
_AT_LEAST = ("length", "upper", "lower", "digit", "special", "guesses")
_AT_MOST = ("max_age", "rotate_at", "run")

Count = Annotated[int, Field(strict=True, ge=0, le=128)]
Days = Annotated[int, Field(strict=True, ge=1, le=3650)]


class PolicyExceptionEntry(Strict):
    """Who allowed less than the undertaking, why, and until when."""

    reason: Filled
    approver: Filled
    expires: Day = Field(description="Last day on which it holds (Asia/Shanghai); afterwards the undertaking does")


class PolicyEntry(Strict):
    """One policy; what it does not say is as in the undertaking."""

    name: Name
    length: Annotated[int, Field(strict=True, ge=1, le=128)] = UNDERTAKING.length
    upper: Count = UNDERTAKING.upper
    lower: Count = UNDERTAKING.lower
    digit: Count = UNDERTAKING.digit
    special: Count = UNDERTAKING.special
    max_age: Days = UNDERTAKING.max_age
    rotate_at: Days | None = None
    exception: PolicyExceptionEntry | None = None


class PasswordsFile(Strict):
    """passwords.yaml."""

    schema_version: Version
    policies: tuple[PolicyEntry, ...] = ()


def _weaker(policy: PasswordPolicy) -> tuple[str, ...]:
    """Fields in which a policy asks for less than the undertaking."""
    less = [name for name in _AT_LEAST if getattr(policy, name) < getattr(UNDERTAKING, name)]
    return (*less, *(name for name in _AT_MOST if getattr(policy, name) > getattr(UNDERTAKING, name)))


def load_password_policies(root: Path, today: date) -> dict[str, PasswordPolicy]:
    """Policies by name; `undertaking` is always among them. One whose exception has run out is the undertaking again.

    Raises:
        DeclaredError: the file is wrong, a name stands twice, or a policy asks for less without an exception.
    """
    found = {UNDERTAKING.name: UNDERTAKING}
    path = root / PASSWORDS
    if not path.exists():
        return found
    document = load(path)
    problems = []
    for index, entry in enumerate(parse(document, PasswordsFile).policies):

        def at(*loc: str | int, index: int = index) -> str:
            return document.where(("policies", index, *loc))

        early = max(1, min(entry.rotate_at or UNDERTAKING.rotate_at, entry.max_age - 1))
        fields = entry.model_dump(exclude={"exception", "rotate_at"})
        policy = PasswordPolicy(**fields, rotate_at=entry.rotate_at or early)
        less = _weaker(policy)
        if entry.name in found:
            problems.append(Problem(at("name"), f"{entry.name!r} is taken", "give it another name"))
        if policy.rotate_at >= policy.max_age > 1:
            problems.append(Problem(at("rotate_at"), "leaves no day to mend a failure", "set it below max_age"))
        if less and entry.exception is None:
            text = f"asks for less than the undertaking ({', '.join(less)})"
            problems.append(Problem(at(less[0]), text, "add `exception: {reason, approver, expires}`"))
        if entry.exception and entry.exception.expires < today:
            policy = PasswordPolicy(name=entry.name, exception=f"expired on {entry.exception.expires}")
        elif entry.exception:
            said = entry.exception
            words = f"{said.reason}（批准：{said.approver}，至 {said.expires}）"
            policy = PasswordPolicy(**fields, rotate_at=policy.rotate_at, exception=words)
        found[entry.name] = policy
    raise_problems(path, problems)
    return found
