r"""What a setting of a server is wanted to be, as fixes write it. Pure.

    ON                                          that value
    {at_least: 18}                              what is more stays
    {between: [60, 1800], value: 1800}          what lies within stays
    {one_of: [TLSv1.2, TLSv1.3]}                the first is set where none of them is
    {match: ["%u", "%d"], value: "%m %u %d"}    every pattern is found in it
    {lacks: 'TLSv1\.1', value: "TLSv1.2"}       the pattern is not found in it
    {append: [credcheck, passwordcheck]}        a list that has one of them; the first that there is, is added

`accept: [...]` beside the others: further values that may stay. Without `value` the first number or word is set.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from agent.change.contract import FixError

_KINDS = ("at_least", "between", "one_of", "match", "lacks", "append")
_NUMBER = re.compile(r"\s*(-?[0-9]{1,30})(?:\.[0-9]{1,30})?\s*")
_WORD = re.compile(r"[A-Za-z0-9_]+")


@dataclass(frozen=True, slots=True)
class Wish:
    """One setting's wanted state."""

    kind: str
    """`is` or one of the kinds above."""
    args: tuple[Any, ...]
    value: str
    """What is set."""
    accept: tuple[str, ...] = ()

    def fits(self, now: str) -> bool:
        """Whether a value may stay as it is."""
        if now in self.accept:
            return True
        if self.kind in {"at_least", "between"}:
            number = _NUMBER.fullmatch(now)
            low, high = self.args if self.kind == "between" else (self.args[0], None)
            return bool(number) and int(number[1]) >= low and (high is None or int(number[1]) <= high)  # type: ignore[index]
        if self.kind == "match":
            return all(re.search(each, now) for each in self.args)
        if self.kind == "lacks":
            return bool(now) and not re.search(self.args[0], now)
        if self.kind == "append":
            return bool(set(self.args) & set(listed(now)))
        return now.casefold() in {each.casefold() for each in self.args}


def listed(now: str) -> list[str]:
    """The members of a list of libraries."""
    return [each.strip().strip('"').removeprefix("$libdir/") for each in now.split(",") if each.strip()]


def wish(where: str, written: Any) -> Wish:  # noqa: ANN401 - YAML
    """Read one. Raises FixError."""
    if not isinstance(written, dict):
        if isinstance(written, bool) or not str(written).strip():
            raise FixError(f'{where}: write "ON" in quotes, a number or a word')
        return _safe(where, Wish("is", (str(written),), str(written)))
    kinds = [key for key in _KINDS if key in written]
    if len(kinds) != 1 or set(written) - {*_KINDS, "value", "accept"}:
        raise FixError(f"{where}: one of {', '.join(_KINDS)}, and value, accept")
    kind = kinds[0]
    raw = written[kind]
    args = tuple(raw) if isinstance(raw, list) else (raw,)
    _form(where, kind, args)
    value = written.get("value", args[-1] if kind == "between" else args[0])
    if kind in {"match", "lacks"} and "value" not in written:
        raise FixError(f"{where}: a pattern tells no value; add value")
    accept = tuple(str(each) for each in written.get("accept", ()))
    numbers = kind in {"at_least", "between"}
    made = Wish(kind, args if numbers else tuple(str(each) for each in args), str(value), accept)
    if kind in {"match", "lacks"} and not made.fits(made.value):
        raise FixError(f"{where}: the value {made.value!r} does not fit its own patterns")
    return _safe(where, made)


def _form(where: str, kind: str, args: tuple[Any, ...]) -> None:
    if kind in {"at_least", "between"}:
        if len(args) != (2 if kind == "between" else 1) or not all(type(each) is int for each in args):
            raise FixError(f"{where}.{kind}: whole numbers")
    elif kind in {"match", "lacks"}:
        for each in args:
            try:
                re.compile(str(each))
            except re.error as error:
                raise FixError(f"{where}.{kind}: {error}") from None
    elif kind == "append" and not all(_WORD.fullmatch(str(each)) for each in args):
        raise FixError(f"{where}.append: names of libraries")
    if not args:
        raise FixError(f"{where}.{kind}: empty")


def _safe(where: str, made: Wish) -> Wish:
    if any(char < " " or char == "\x7f" for char in made.value):
        raise FixError(f"{where}: control characters")
    return made
