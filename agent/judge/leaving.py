"""Whose accounts are to be closed when somebody leaves, and which of them are not the person's alone. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.judge.accounts import builtin, seats

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import date

    from agent.judge.accounts import Person
    from agent.model.holder import Found


@dataclass(frozen=True, slots=True)
class Registers:
    """What else is declared about accounts."""

    groups: Mapping[str, Collection[str]]
    """Target to its groups."""
    managed: Mapping[str, str]
    """`USER@TARGET` under management to who answers for it."""
    services: Collection[tuple[str, str]] = ()
    """(user, target or `*`) of the service-account register."""
    own: Collection[str] = ()
    """`USER@TARGET` by which the agent itself logs in."""
    keep: Collection[str] = ()
    """Users that hardening.yaml says no change may lock."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One account that somebody had."""

    found: Found
    kept: str = ""
    """Why it is not closed, in Chinese; empty: it is the person's alone."""


def claims(found: Sequence[Found], person: Person, others: Sequence[Person], about: Registers) -> list[Claim]:
    """Every account that is the person's, by declaration, by its name, or by who answers for it.

    Args:
        found: what the targets have.
        person: who leaves.
        others: everybody else who may have a claim: those who work here, or will.
        about: what else is declared.
    """
    return [Claim(one, _kept(one, others, about)) for one in found if _of(one, person, about, by_name=True)]


def _of(one: Found, person: Person, about: Registers, *, by_name: bool = False) -> bool:
    declared = not seats(one, about.groups).isdisjoint((*person.accounts, *person.privileged))
    answers = about.managed.get(one.id, "")
    named = by_name and bool(person.login) and one.user == person.login
    return declared or named or bool(answers and answers in {person.name, person.login})


def _kept(one: Found, others: Sequence[Person], about: Registers) -> str:
    if one.user == "root" or "uid 0" in one.rights or builtin(one):
        return "系统或数据库自带的管理账号"
    if one.id in about.own:
        return "本程序自身的登录账号"
    if not {(one.user, one.target), (one.user, "*")}.isdisjoint(about.services):
        return "登记的服务账号"
    if one.user in about.keep:
        return "hardening.yaml 规定保留的账号"
    if sharing := [each.name for each in others if _of(one, each, about, by_name=True)]:
        return f"共用账号：{'、'.join(sharing)}"
    return f"与 {'、'.join(one.twins)} 共用一个编号" if one.twins else ""


def left_behind(
    found: Sequence[Found], people: Sequence[Person], day: date, about: Registers
) -> Iterator[tuple[Person, list[Found]]]:
    """People whose last day has passed, with the accounts of theirs that somebody can still log in with.

    An account that others rightly have as well counts too: who left knows its password.
    """
    for person in people:
        if person.until is None or person.until >= day:
            continue
        mine = [one for one in found if one.ways and _of(one, person, about, by_name=True) and not builtin(one)]
        if mine:
            yield person, mine
