"""Guesses at an account's password, the likeliest first, each with its rule. Pure; made by rules, nobody's list.

What they are made of: names of the account, its target, the parties and people, the words of `guess`, runs of the
keyboard, what installers set, and suffixes that people add to please a policy.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from agent.model.weak import Rule
from agent.vault.guess import WORDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

MOST = 1200
"""Guesses made by rules for one account."""
MOST_WORDS = 20_000
"""Words taken of a customer's dictionary."""
LONGEST = 64
"""Characters of a guess; bcrypt looks at 72 bytes, and nobody's weak password is longer."""
_DEFAULTS: dict[str, tuple[str, ...]] = {
    "linux": ("changeme", "password", "toor", "default", "admin", "root", "P@ssw0rd", "Passw0rd", "Changeme_123",
              "Huawei12#$", "Huawei@123", "openEuler12#$", "Kylin123123", "Admin@123", "inspur@123"),
    "mariadb": ("root", "mysql", "mariadb", "password", "P@ssw0rd", "admin", "changeme"),
    "mysql": ("root", "mysql", "password", "P@ssw0rd", "admin", "changeme"),
    "postgresql": ("postgres", "postgresql", "password", "admin", "pgsql", "P@ssw0rd", "changeme"),
    "redis": ("foobared", "redis", "redis123", "password", "admin", "root"),
    "tomcat": ("tomcat", "admin", "manager", "s3cret", "changeit", "must-be-changed", "<must-be-changed>", "password",
               "role1", "both", "tomcat123", "admin123"),
}  # fmt: skip
"""By kind."""
_OF_NAME: dict[str, tuple[str, ...]] = {
    "root": ("toor", "calvin", "vagrant", "rootroot"), "pi": ("raspberry",), "admin": ("administrator", "adminadmin"),
    "oracle": ("oracle123", "change_on_install", "tiger"), "zabbix": ("zabbix",), "nagios": ("nagiosadmin",),
    "tomcat": ("s3cret",), "weblogic": ("welcome1", "weblogic1"), "sa": ("sa123456",), "test": ("testtest",),
    "guest": ("guestguest",), "ftp": ("ftpftp", "anonymous"), "ubuntu": ("ubuntu",), "vagrant": ("vagrant",),
}  # fmt: skip
"""By the account's name, in manuals and images."""
_KEYS = ("1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm", "abcdefgh")
_MIXED = (
    "1qaz2wsx", "1qaz@WSX", "!QAZ2wsx", "1qazxsw2", "zaq12wsx", "1q2w3e4r", "1q2w3e4r5t", "1q2w3e", "qazwsx", "qweasd",
    "qweasdzxc", "qwe123", "123qwe", "123qweasd", "qwer1234", "1234qwer", "asdf1234", "abc123", "abcd1234", "a123456",
    "a12345678", "123456a", "aa123456", "Aa123456", "Aa123456.", "Aa123456!", "Abc123", "Abc@123", "Abcd1234",
    "Abc123456", "Qwer1234", "Qwer@1234", "Qwe@123", "Asdf@1234", "147258369", "159357", "123321", "1234abcd", "112233",
    "520520", "5201314", "1314520", "1qaz!QAZ", "P@ssw0rd123", "!@#$%^&*", "12345qwert",
)  # fmt: skip
_LEET = str.maketrans({"a": "@", "o": "0"})
_SUFFIXES = ("123", "123456", "@123", "1234", "@{year}", "{year}", "!", "12345678", "888", "666", "1", "@123456",
             "#123", "!@#", "_123", "@1234", "{last}", "@{last}", "01", "123!", "@{year}!", "12345", "000")  # fmt: skip
_FEW = 9
"""Suffixes that words and names of others get; the account's own gets all."""


@dataclass(frozen=True, slots=True)
class Guess:
    """One guess. Its text is shown nowhere, for it may be somebody's password."""

    text: str = field(repr=False)
    rule: Rule


@dataclass(frozen=True, slots=True)
class Known:
    """What guesses are made of besides the account itself."""

    year: int
    organisations: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    """Names and logins."""
    words: tuple[str, ...] = field(default=(), repr=False)
    """The customer's dictionary."""


def guesses(kind: str, user: str, hosts: Sequence[str], known: Known, full_name: str = "") -> tuple[Guess, ...]:
    """Guesses at one account's password, the likeliest first, none twice.

    Args:
        kind: of the account.
        user: its name.
        hosts: names of its target and of that target's host.
        known: what else.
        full_name: as the target calls its person.

    Returns:
        At most MOST by rules; words of the customer's dictionary stand between those, in turn, from the names of
        hosts on, so that neither waits for the other's end.
    """
    first = itertools.chain(
        [("", Rule.EMPTY)],
        ((text, Rule.SAME) for text in (user, user.capitalize(), user.upper(), user[::-1], user * 2)),
        ((text, Rule.DEFAULT) for text in (*_OF_NAME.get(user.lower(), ()), *_DEFAULTS.get(kind, ()))),
        ((text, Rule.RUN) for text in _runs()),
        ((text, Rule.USER) for text in _with_suffixes(_cases(user), _suffixes(known.year))),
    )
    few = _suffixes(known.year)[:_FEW]
    people = [form for name in (*filter(None, [full_name]), *known.people) for form in spoken(name)]
    organisations = [form for name in known.organisations for form in spoken(name)]
    places = list(dict.fromkeys(form for name in hosts for form in (name, re.sub(r"[-_.]?\d+$", "", name)) if form))
    late = [(_cases(*places), Rule.HOST), (_words(), Rule.COMMON)]
    late += [(_cases(*organisations), Rule.ORGANISATION), (_cases(*people), Rule.PERSON)]
    by_rules = _in_turn(*(_of(rule, _with_suffixes(names, ("", *few))) for names, rule in late))
    made = list(itertools.islice(_once(itertools.chain(first, by_rules)), MOST))
    head = next((at for at, (_, rule) in enumerate(made) if rule in _LATE), len(made))
    theirs = ((word, Rule.DICTIONARY) for word in known.words[:MOST_WORDS])
    ordered = _once(itertools.chain(made[:head], _in_turn(made[head:], theirs)))
    return tuple(Guess(text, rule) for text, rule in ordered)


_LATE = frozenset({Rule.HOST, Rule.COMMON, Rule.ORGANISATION, Rule.PERSON})


@lru_cache(maxsize=1024)
def spoken(name: str) -> tuple[str, ...]:
    """How a name is typed: whole, without the family's or the given part, its initials; of 2 letters or more."""
    from pypinyin import lazy_pinyin  # noqa: PLC0415 - its tables cost a quarter of a second

    plain = re.sub(r"（.*?）|\(.*?\)", "", name)
    chinese = re.sub(r"[^\u4e00-\u9fff]", "", plain)
    if chinese:
        parts = lazy_pinyin(chinese)
        initials = "".join(part[0] for part in parts)
        short = initials[:4]
        found = ["".join(parts), initials, short, "".join(parts[:2]), "".join(parts[1:]), parts[0]]
        found = found if len(chinese) <= _A_NAME else [initials, short, "".join(parts[:2]), "".join(parts[:4])]
    else:
        latin = re.findall(r"[a-z0-9]+", plain.lower())
        found = ["".join(latin), *latin]
    return tuple(dict.fromkeys(word for word in found if 2 <= len(word) <= 24))  # noqa: PLR2004 - letters of a name


_A_NAME = 4
"""Characters of a person's name; a longer one is an organisation's."""


def dictionary(raw: bytes) -> tuple[tuple[str, ...], int]:
    """A customer's words, one a line, UTF-8; as many as are taken, and how many there are.

    Raises ValueError for what is no text of that form.
    """
    lines = (line.rstrip("\r") for line in raw.decode("utf-8-sig").split("\n"))
    words = tuple(dict.fromkeys(line for line in lines if line and len(line) <= LONGEST and line.isprintable()))
    return words[:MOST_WORDS], len(words)


def _runs() -> Iterator[str]:
    for length in (6, 8, 9, 10, 5, 4, 7, 3):
        for row in _KEYS:
            if len(row) >= length:
                yield row[:length]
        if length in {6, 8}:
            yield from (digit * length for digit in "1860")
        if length in {6, 8, 9}:
            yield _KEYS[0][:length][::-1]
    yield from _MIXED


def _suffixes(year: int) -> tuple[str, ...]:
    return tuple(text.format(year=year, last=year - 1) for text in _SUFFIXES)


def _cases(*names: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(form for name in names for form in (name, name[:1].upper() + name[1:])))


def _words() -> tuple[str, ...]:
    return tuple(dict.fromkeys((*WORDS, *(word.capitalize().translate(_LEET) for word in WORDS), *_cases(*WORDS))))


def _of(rule: Rule, texts: Iterable[str]) -> Iterator[tuple[str, Rule]]:
    return ((text, rule) for text in texts)


def _with_suffixes(names: Iterable[str], suffixes: Sequence[str]) -> Iterator[str]:
    return (name + suffix for suffix in suffixes for name in names)


def _in_turn(*sources: Iterable[tuple[str, Rule]]) -> Iterator[tuple[str, Rule]]:
    waiting = [iter(source) for source in sources]
    while waiting:
        for source in list(waiting):
            one = next(source, None)
            if one is None:
                waiting.remove(source)
            else:
                yield one


def _once(source: Iterable[tuple[str, Rule]]) -> Iterator[tuple[str, Rule]]:
    seen = set()
    for text, rule in source:
        if text not in seen and (rule is Rule.EMPTY or _fit(text)):
            seen.add(text)
            yield text, rule


def _fit(text: str) -> bool:
    return bool(text) and len(text) <= LONGEST and text.isprintable()
