"""Weak passwords: which rule one breaks, how the check of an account ended. No password, no guess is ever held here."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Rule(StrEnum):
    """Where a guess comes from; a password that is such a guess breaks that rule."""

    EMPTY = "empty"
    SAME = "same"
    """The account's own name, as it is, capitalised or backwards."""
    DEFAULT = "default"
    """What installers, images and manuals set for this kind or name."""
    RUN = "run"
    """Runs of digits, letters and keys, one character again and again, and the mixtures that follow from them."""
    USER = "user"
    """The account's name with a usual suffix."""
    COMMON = "common"
    """A word that people choose, plain, in l33t or with a usual suffix."""
    HOST = "host"
    """The target's name with a usual suffix."""
    ORGANISATION = "organisation"
    """A party's name in pinyin, whole or its initials, with a usual suffix."""
    PERSON = "person"
    """Somebody's name or login, in pinyin, whole or its initials, with a usual suffix."""
    DICTIONARY = "dictionary"
    """The customer's own dictionary."""


RULES = {
    Rule.EMPTY: "口令为空",
    Rule.SAME: "口令与账号名相同",
    Rule.DEFAULT: "出厂或安装默认口令",
    Rule.RUN: "连续、重复或键盘相邻的字符",
    Rule.USER: "账号名加常用后缀",
    Rule.COMMON: "常用词或其变形",
    Rule.HOST: "主机名加常用后缀",
    Rule.ORGANISATION: "单位名称拼音加常用后缀",
    Rule.PERSON: "人员姓名拼音或登录名加常用后缀",
    Rule.DICTIONARY: "在用户提供的字典中",
}
"""What a report says of each."""


class Ended(StrEnum):
    """How the check of one account ended."""

    WEAK = "weak"
    CLEAN = "clean"
    """None of the candidates is its password; that proves no strength."""
    CUT = "cut"
    """The time was over; none of those that were tried is its password."""
    NONE = "none"
    """It has no password that could be guessed."""
    UNSUPPORTED = "unsupported"
    """Its record cannot be compared in place."""
    UNREACHED = "unreached"
    """The target gave no usable answer."""


ENDS = {
    Ended.WEAK: "弱口令",
    Ended.CLEAN: "未猜中",
    Ended.CUT: "时间用尽，未全部核对",
    Ended.NONE: "没有口令",
    Ended.UNSUPPORTED: "不能就地核对",
    Ended.UNREACHED: "未到达",
}


@dataclass(frozen=True, slots=True)
class Account:
    """An account with what its target says of its record; never the record."""

    target: str
    name: str
    """As `model.holder.Found.name` has it."""
    user: str
    kind: str
    """`linux`, `mariadb`, `mysql`, `postgresql`, `redis`, `tomcat`."""
    state: str
    """`empty`, `none`, `hash`, or `other`: a record that cannot be compared in place."""
    how: str = ""
    """What record it is: a hash's mark, a plug-in, a salt with its iterations."""
    locked: bool = False
    full_name: str = ""
    at: str = ""
    """MariaDB, MySQL: the host part."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What a target answered about one account."""

    ended: Ended
    count: int = 0
    """Candidates that were tried."""
    place: int = -1
    """Of the candidate that is its password; -1: none."""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Checked:
    """One account's row."""

    target: str
    account: str
    kind: str
    ended: Ended
    rule: Rule | None = None
    tried: int = 0
    candidates: int = 0
    locked: bool = False
    why: str = ""

    @property
    def word(self) -> str:
        """`empty`, `default` or `dictionary`; empty where it is not weak."""
        if self.rule is None:
            return ""
        if self.rule is Rule.EMPTY:
            return "empty"
        return "default" if self.rule in {Rule.SAME, Rule.DEFAULT} else "dictionary"
