"""Who has an account where: what was found on a target, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Flaw(StrEnum):
    """What is wrong with an account."""

    UNKNOWN = "unknown"
    """Nobody declares it, and somebody could log in."""
    ORPHANED = "orphaned"
    """Its person has left, or is not there yet."""
    LEFT = "left"
    """A person whose last day has passed, and who could still log in somewhere."""
    SHARED = "shared"
    """Several people's, or several names of one id."""
    DORMANT = "dormant"
    """Nobody has logged in for 90 days."""
    DEFAULT = "default"
    """A name that every attacker tries first."""
    PRIVILEGED = "privileged"
    """Full rights that nobody declared."""
    OPEN = "open"
    """No password is asked for."""
    WEAK = "weak"
    """The newest check in place guessed its password."""
    CONSENT = "consent"
    """A core person who came later, without the customer's consent on record."""


WORDS = {
    Flaw.UNKNOWN: "无人认领",
    Flaw.ORPHANED: "人员已离岗或尚未到岗",
    Flaw.LEFT: "已离岗而账号未清",
    Flaw.SHARED: "多人共用",
    Flaw.DORMANT: "长期未登录",
    Flaw.DEFAULT: "默认账号",
    Flaw.PRIVILEGED: "未经声明的特权",
    Flaw.OPEN: "无口令即可登录",
    Flaw.WEAK: "弱口令",
    Flaw.CONSENT: "核心人员更换缺少甲方书面同意",
}


@dataclass(frozen=True, slots=True)
class Found:
    """One account on one target."""

    target: str
    name: str
    """`USER`; MySQL and MariaDB: `USER@HOSTPART`, the user empty for anonymous."""
    user: str
    kind: str
    """`linux`, `mariadb`, `mysql` or `postgresql`."""
    ways: tuple[str, ...] = ()
    """How somebody can log in: `password`, `key`, `open` (nothing is asked for), `local`; empty: nobody can."""
    rights: tuple[str, ...] = ()
    """Full rights that it has: `uid 0`, `sudo`, `SUPER`, `SUPERUSER` ..."""
    age: int | None = None
    """Days since its password was changed."""
    idle: int | None = None
    """Days since the last login; -1: never; None: not told."""
    twins: tuple[str, ...] = ()
    """Other names of the same id."""
    keys: tuple[str, ...] = ()
    state: str = ""
    """In words: locked, ends on a day ..."""

    @property
    def id(self) -> str:
        """As the vault and people.yaml call it."""
        return f"{self.user}@{self.target}"


@dataclass(frozen=True, slots=True)
class Holding:
    """One account, whose it is, and what is wrong with it."""

    found: Found
    people: tuple[str, ...] = ()
    """Names of those who may have it today."""
    managed: bool = False
    flaws: tuple[tuple[Flaw, str], ...] = ()
    """Each with its detail."""
