"""Compares one value with one expectation. Pure; no text of a target makes it raise.

Invariant: a value that could not be had, or could not be understood, is never a pass.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from agent.model.control import Expect, Outcome

LIMIT = 256 * 1024
"""Most characters of a value that is judged: more is evidence, not a setting, and slow under a pattern."""

_INTEGER = re.compile(r"(?:(?<!\w)-)?[0-9]+")
_MODE = re.compile(r"[0-7]{1,5}")
_DIGITS = 18
"""Longer numbers are no settings, and int() refuses very long ones."""

Value = str | Mapping[str, str]
"""A text, or key to text."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a comparison came to, and why when that is not plain from the values."""

    outcome: Outcome
    reason: str = ""


_PASS = Result(Outcome.PASS)
_FAIL = Result(Outcome.FAIL)


def _error(reason: str) -> Result:
    return Result(Outcome.ERROR, reason)


def _settled(truth: object) -> Result:
    return _PASS if truth else _FAIL


def lines(value: Value) -> str:
    """Write a value as text: a mapping becomes `key=value` lines."""
    return value if isinstance(value, str) else "\n".join(f"{key}={item}" for key, item in value.items())


def pairs(text: str) -> dict[str, str]:
    """Read `key=value` lines; others are passed over, a repeated key's values are joined by newline."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        key, equals, item = line.partition("=")
        if equals:
            key = key.strip()
            found[key] = f"{found[key]}\n{item.strip()}" if key in found else item.strip()
    return found


def _integer(text: str) -> int | None:
    hit = _INTEGER.search(text)
    return int(hit.group()) if hit and len(hit.group()) <= _DIGITS else None


def _number(expect: Expect, text: str) -> Result:
    seen = _integer(text)
    if seen is None:
        return _error("值中没有整数")
    if expect.op == "between":
        low, high = expect.value
        return _settled(low <= seen <= high)
    return _settled(seen >= expect.value if expect.op == "ge" else seen <= expect.value)


def _pattern(expect: Expect, text: str) -> Result:
    if expect.op == "not_regex" and not text.strip() and not expect.allow_empty:
        return _error("没有输出，不能据此判定为符合")
    found = re.search(expect.value, text, re.MULTILINE)
    return _settled(found if expect.op == "regex" else not found)


def _mode(expect: Expect, text: str) -> Result:
    words = text.split()
    if not words or not _MODE.fullmatch(words[0]):
        return _error("值不是八进制权限")
    most, _, owner = str(expect.value).partition(" ")
    beyond = int(words[0], 8) & ~int(most, 8)
    if owner and len(words) < 2:  # noqa: PLR2004 - mode and owner
        return _error("没有属主")
    return _settled(not beyond and (not owner or words[1] == owner))


_ON_TEXT: Mapping[str, Callable[[Expect, str], Result]] = {
    "eq": lambda expect, text: _settled(text.strip() == str(expect.value).strip()),
    "in": lambda expect, text: _settled(text.strip() in [str(item).strip() for item in expect.value]),
    "ge": _number,
    "le": _number,
    "between": _number,
    "regex": _pattern,
    "not_regex": _pattern,
    "empty": lambda _, text: _settled(not text.strip()),
    "nonempty": lambda _, text: _settled(text.strip()),
    "mode_max": _mode,
    "manual": lambda *_: Result(Outcome.MANUAL, "需人工核对"),
}
OPERATORS = frozenset({*_ON_TEXT, "kv", "all", "any"})


def absent(expect: Expect, key: str) -> Result:
    """Judge a key that is not there by `expect.absent`."""
    return {"pass": _PASS, "fail": Result(Outcome.FAIL, f"{key} 未设置")}.get(expect.absent, _error(f"没有读到 {key}"))


def _fold(results: list[Result], order: tuple[Outcome, ...]) -> Result:
    """Return the first outcome of `order` that occurs, with the reasons given for it."""
    for outcome in order:
        reasons = [each.reason for each in results if each.outcome is outcome]
        if reasons:
            pieces = dict.fromkeys(piece for reason in reasons for piece in reason.split("；") if piece)
            return Result(outcome, "；".join(pieces))
    return _error("没有可比较的内容")


_ALL = (Outcome.FAIL, Outcome.ERROR, Outcome.MANUAL, Outcome.PASS)
_ANY = (Outcome.PASS, Outcome.ERROR, Outcome.MANUAL, Outcome.FAIL)


def _keyed(expect: Expect, value: Value) -> Result:
    table = pairs(value) if isinstance(value, str) else value
    return _fold(
        [compare(sub, table[key]) if key in table else absent(sub, key) for key, sub in expect.keys.items()], _ALL
    )


def compare(expect: Expect, value: Value) -> Result:
    """Judge a value that was read without error.

    Returns:
        pass, fail, manual or error; an operator that is not known is an error.
    """
    if sum(map(len, value if isinstance(value, str) else (*value, *value.values()))) > LIMIT:
        return _error(f"值超过 {LIMIT // 1024} KiB，未判定")
    if expect.op == "kv":
        return _keyed(expect, value)
    if expect.op in {"all", "any"}:
        return _fold([compare(sub, value) for sub in expect.every], _ALL if expect.op == "all" else _ANY)
    text = lines(value)
    judge = _ON_TEXT.get(expect.op)
    return judge(expect, text) if judge else _error(f"未知的比较方式 {expect.op}")


def culprits(expect: Expect, value: Value) -> Value:
    """Narrow a value that did not pass to what is wrong in it: keys of a `kv`, lines of a `not_regex`."""
    if expect.op == "kv":
        table = pairs(value) if isinstance(value, str) else value
        wrong = {
            key: table[key]
            for key, sub in expect.keys.items()
            if key in table and compare(sub, table[key]).outcome is not Outcome.PASS
        }
        return wrong or value
    if expect.op == "not_regex":
        return "\n".join(line for line in lines(value).splitlines() if re.search(expect.value, line)) or value
    narrowing = [sub for sub in expect.every if sub.op in {"kv", "not_regex"}]
    failed = [sub for sub in narrowing if compare(sub, value).outcome is Outcome.FAIL]
    return culprits(failed[0], value) if len(failed) == 1 else value


_WORDS = {
    "eq": "为 {}",
    "in": "为其中之一：{}",
    "ge": "≥ {}",
    "le": "≤ {}",
    "between": "{}",
    "regex": "匹配 {}",
    "not_regex": "不匹配 {}",
    "mode_max": "权限不宽于 {}",
    "empty": "无",
    "nonempty": "不为空",
    "manual": "人工核对",
}


def wanted(expect: Expect) -> str:
    """Say what is wanted, for people (Chinese)."""
    if expect.say:
        return expect.say
    if expect.op == "kv":
        return "；".join(f"{key} {wanted(sub)}" for key, sub in expect.keys.items())
    if expect.op in {"all", "any"}:
        return ("；" if expect.op == "all" else " 或 ").join(map(wanted, expect.every))
    value = expect.value
    if expect.op == "in":
        value = "、".join(map(str, expect.value))
    elif expect.op == "between":
        value = f"{expect.value[0]} 至 {expect.value[1]}"
    return _WORDS.get(expect.op, expect.op + " {}").format(value)
