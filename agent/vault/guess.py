"""What in a password can be guessed: numbers of people, dates, runs, repeats, names, words.

Every finder returns spans (start, end) of the text as it was given; folding changes characters one by one, so that
places stay where they are. The dictionaries are ours; English and leaked words are zxcvbn's.
"""

from __future__ import annotations

import datetime as dt
import itertools
import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from agent.model.password import Fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Span = tuple[int, int]

_TO_DIGITS = str.maketrans("oOlIi|!zZeEaA@sS$bB", "0011111223344455588"[:19])
_TO_LETTERS = str.maketrans("0134578@$!|", "oieastbasii")
_TO_L = str.maketrans("01345678@$!|", "oleasgtbasll")
_ROWS = (
    "1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm", "!@#$%^&*()", "abcdefghijklmnopqrstuvwxyz", "01234567890",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p;/", "qazwsxedcrfvtgbyhnujmikolp", "!qaz@wsx#edc$rfv%tgb^yhn&ujm",
)  # fmt: skip
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CENTURIES = range(1900, 2100)
SHORTEST_NAME = 4
"""Letters from which on a name or word counts; shorter ones occur by chance."""
WORDS = (
    "woaini", "woaiwojia", "woaizhongguo", "5201314", "1314520", "520520", "wodemima", "mima", "zhengwu", "zhengwuyun",
    "zhengfu", "guojia", "zhongguo", "zhonghua", "beijing", "shanghai", "guangzhou", "shenzhen", "hangzhou", "chengdu",
    "wuhan", "nanjing", "xian", "xitong", "guanli", "guanliyuan", "yunwei", "anquan", "shujuku", "fuwuqi", "ceshi",
    "denglu", "yonghu", "haoyun", "facai", "gongxifacai", "xinnian", "kuaile", "shengri", "baobei", "qinaide", "laopo",
    "laogong", "xiaoming", "nihao", "huawei", "alibaba", "tencent", "baidu", "inspur", "kylin", "admin",
    "administrator", "root", "oracle", "mysql", "postgres", "redis", "tomcat", "test", "guest", "passw", "password",
    "welcome", "letmein", "changeme", "default", "secret", "server", "database", "system", "cloud", "login",
    "master", "super", "qwerty",
)  # fmt: skip


def mobiles(text: str) -> Iterator[Span]:
    """Mobile numbers of China: 1, then 3 to 9, then nine digits."""
    for view in _numbers(text):
        for found in re.finditer(r"(?=(1[3-9]\d{9}))", view):
            yield found.start(1), found.end(1)


def identities(text: str) -> Iterator[Span]:
    """Numbers of identity cards, GB 11643-1999: 17 digits, a birthday among them, and the check digit they lead to."""
    for view in _numbers(text):
        for found in re.finditer(r"(?=(\d{6}(\d{8})\d{3}[\dxX]))", view):
            number = found[1]
            total = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, number[:17], strict=True))
            if "10X98765432"[total % 11] == number[17].upper() and _is_date(found[2]):
                yield found.start(1), found.end(1)


def dates(text: str) -> Iterator[Span]:
    """Days as YYYYMMDD (also with separators) and, in digits as they stand, YYMMDD and DDMMYYYY."""
    for view in _numbers(text):
        for found in re.finditer(r"(?=(((?:19|20)\d\d)([-/._年]?)(\d\d)\3(\d\d)))", view):
            if _is_date(found[2] + found[4] + found[5]):
                yield found.start(1), found.end(1)
    for found in re.finditer(r"(?=(\d{2})(\d{2})((?:19|20)\d\d))", text):
        if _is_date(found[3] + found[2] + found[1]) or _is_date(found[3] + found[1] + found[2]):
            yield found.start(), found.start() + 8
    for found in re.finditer(r"(?<!\d)(\d{6})(?!\d)", text):
        if any(_is_date(century + found[1]) for century in ("19", "20")):
            yield found.start(1), found.end(1)


def runs(text: str, shortest: int) -> Iterator[Span]:
    """Runs of the alphabet, of digits and of keys that lie side by side, upward or downward."""
    lower = text.lower()
    pieces = _pieces(shortest)
    for start in range(len(lower) - shortest + 1):
        if lower[start : start + shortest] in pieces:
            yield start, start + shortest


def repeats(text: str, shortest: int) -> Iterator[Span]:
    """One character again and again, a block twice side by side, or a longer one twice anywhere."""
    lower = text.lower()
    for found in re.finditer(rf"(.)\1{{{shortest - 1},}}|(.{{3,}})\2|(.{{2}})\3\3", lower):
        yield found.span()
    for start in range(len(lower) - shortest + 1):
        again = lower.find(lower[start : start + shortest], start + shortest)
        if again >= 0:
            yield again, again + shortest


def names(text: str, known: Iterable[str]) -> Iterator[Span]:
    """Names, forwards and backwards, whatever digits stand for their letters."""
    views = {text.lower(), text.lower().translate(_TO_LETTERS), text.lower().translate(_TO_L)}
    for name in known:
        if len(name) < SHORTEST_NAME:
            continue
        for view, word in itertools.product(views, {name, name[::-1]}):
            start = view.find(word)
            while start >= 0:
                yield start, start + len(word)
                start = view.find(word, start + 1)


def words(text: str) -> Iterator[Span]:
    """Words that people choose: pinyin, products, numbers with a meaning."""
    yield from names(text, WORDS)


@lru_cache(maxsize=4096)
def spelled(name: str) -> frozenset[str]:
    """How a name may stand in a password: its letters as they are; of a Chinese one, the pinyin, whole and in parts.

    Characters with several readings give all of them, within bounds.
    """
    plain = re.sub(r"[^0-9a-z]", "", name.lower())
    parts = {part for part in re.split(r"[^a-z]+", name.lower()) if len(part) >= SHORTEST_NAME}
    chinese = re.sub(r"[^\u4e00-\u9fff]", "", re.sub(r"（.*?）|\(.*?\)", "", name))[:8]
    found = {plain, name.lower(), *parts}
    if chinese:
        from pypinyin import Style, pinyin  # noqa: PLC0415 - its tables cost a quarter of a second

        readings = pinyin(chinese, style=Style.NORMAL, heteronym=True, errors="ignore")
        for reading in itertools.islice(itertools.product(*readings), 64):
            whole = "".join(reading)
            found |= {whole, "".join(reading[1:]), "".join((*reading[1:], reading[0]))}
    return frozenset(each for each in found if len(each) >= SHORTEST_NAME)


def traces(text: str, known: Iterable[str], shortest: int = 4) -> dict[Fault, list[Span]]:
    """All that can be guessed, by what it is; words are GUESSABLE: they only count for nothing."""
    known = frozenset(itertools.chain.from_iterable(map(spelled, known)))
    found = {
        Fault.MOBILE: list(mobiles(text)),
        Fault.IDENTITY: list(identities(text)),
        Fault.DATE: list(dates(text)),
        Fault.RUN: list(runs(text, shortest)),
        Fault.REPEAT: list(repeats(text, shortest)),
        Fault.NAME: list(names(text, known)),
        Fault.GUESSABLE: list(words(text)),
    }
    return {fault: spans for fault, spans in found.items() if spans}


def without(text: str, spans: Iterable[Span]) -> str:
    """The text without these spans."""
    gone = {place for start, end in spans for place in range(start, end)}
    return "".join(letter for place, letter in enumerate(text) if place not in gone)


def _numbers(text: str) -> tuple[str, ...]:
    """As it stands, and with the letters that stand for digits as digits where most of the neighbourhood is digits."""
    folded = text.translate(_TO_DIGITS)
    if folded == text:
        return (text,)
    mixed = list(folded)
    for found in re.finditer(r"\d+", folded):
        start, end = found.span()
        real = sum(letter.isdigit() for letter in text[start:end])
        if real * 2 < end - start:
            mixed[start:end] = text[start:end]
    return text, "".join(mixed)


def _is_date(digits: str) -> bool:
    year, month, day = int(digits[:4]), int(digits[4:6]), int(digits[6:])
    if year not in _CENTURIES:
        return False
    try:
        dt.date(year, month, day)
    except ValueError:
        return False
    return True


@cache
def _pieces(shortest: int) -> frozenset[str]:
    return frozenset(
        line[start : start + shortest]
        for row in _ROWS
        for line in (row, row[::-1])
        for start in range(len(row) - shortest + 1)
    )
