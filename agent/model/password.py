"""What a password must be, and what is wrong with one; nothing here ever holds a password's text."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """What is wrong with a password."""

    SHORT = "short"
    LONG = "long"
    UPPER = "upper"
    LOWER = "lower"
    DIGIT = "digit"
    SPECIAL = "special"
    CHARACTER = "character"
    MOBILE = "mobile"
    IDENTITY = "identity"
    DATE = "date"
    RUN = "run"
    REPEAT = "repeat"
    NAME = "name"
    GUESSABLE = "guessable"
    REUSED = "reused"
    EXPIRED = "expired"


WORDS: dict[Fault, str] = {
    Fault.SHORT: "长度不足",
    Fault.LONG: "超过目标允许的长度",
    Fault.UPPER: "缺少大写字母",
    Fault.LOWER: "缺少小写字母",
    Fault.DIGIT: "缺少数字",
    Fault.SPECIAL: "缺少特殊字符",
    Fault.CHARACTER: "含有目标不接受的字符",
    Fault.MOBILE: "含有手机号码",
    Fault.IDENTITY: "含有身份证号码",
    Fault.DATE: "含有日期",
    Fault.RUN: "含有连续或键盘相邻的字符",
    Fault.REPEAT: "含有重复的字符或片段",
    Fault.NAME: "含有账号、主机、单位或人员的名字",
    Fault.GUESSABLE: "去掉可猜部分后过弱",
    Fault.REUSED: "与其他账号或历史口令相同",
    Fault.EXPIRED: "超过最长使用天数",
}
"""What a report says of each."""


@dataclass(frozen=True, slots=True)
class PasswordPolicy:
    """What a password must be. The defaults are the contract's undertaking."""

    name: str = "undertaking"
    length: int = 18
    """Fewest characters."""
    upper: int = 1
    lower: int = 1
    digit: int = 1
    special: int = 1
    max_age: int = 30
    """Days after which it must have been changed."""
    rotate_at: int = 25
    """Days after which it is due, so that a failure has time to be mended."""
    guesses: float = 1e14
    """How many tries must be left in what remains when all that can be guessed is taken away."""
    run: int = 4
    """Characters from which on a run counts."""
    void_days: int = 90
    """Days that a candidate is kept which never became current: a change in flight can land late."""
    exception: str = ""
    """Why it may ask for less than the undertaking, who allowed it, until when."""


UNDERTAKING = PasswordPolicy()
"""The contract's: 18 characters of four classes, 30 days, nothing guessable, never twice."""


@dataclass(frozen=True, slots=True)
class CharacterRules:
    """Which characters a kind of target takes, and how many."""

    name: str
    special: str
    """Of the printable ASCII characters that are neither letters nor digits."""
    longest: int = 64
    first: str = ""
    """Characters that may come first; empty: all."""
