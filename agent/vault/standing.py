"""How each managed account stands: age, days left, what is still open. Pure; rows and the hour are given."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from agent.store.times import from_text
from agent.vault.vault import CURRENT, IMPORTED, PENDING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from agent.model.account import Managed
    from agent.model.password import PasswordPolicy
    from agent.vault.records import Row

_DAY = timedelta(days=1)


class State(StrEnum):
    """What an account needs."""

    GOOD = "good"
    DUE = "due"
    EXPIRED = "expired"
    MISSING = "missing"
    """The vault has nothing of it."""
    OPEN = "open"
    """A change whose end is not known yet."""
    HELD = "held"
    """Due, and not changed by itself: see `Managed.held`."""


WORDS = {
    State.GOOD: "正常",
    State.DUE: "应轮换",
    State.EXPIRED: "超期",
    State.MISSING: "未纳入",
    State.OPEN: "待核实",
    State.HELD: "应轮换，需人工安排",
}


@dataclass(frozen=True, slots=True)
class Standing:
    """One account, now."""

    account: Managed
    state: State
    age: int | None
    """Whole days since it became current; None: not known (imported, or none)."""
    left: int | None
    """Days until it must have been changed; negative: overdue."""
    verified: str = ""
    """When a login last proved it, ISO; empty: never."""
    way: str = ""
    """How it was proven."""
    why: str = ""


def standing(account: Managed, rows: Sequence[Row], policy: PasswordPolicy, now: datetime) -> Standing:
    """How one account stands.

    Args:
        account: what is declared.
        rows: its versions in the vault.
        policy: its own.
        now: aware.
    """
    current = next((row for row in rows if row.state == CURRENT), None)
    pending = next((row for row in rows if row.state == PENDING), None)
    age = left = None
    if current is not None and current.why != IMPORTED:
        age = max((now - from_text(current.current_at)) // _DAY, 0)
        left = policy.max_age - age
    state = _state(account, age, left, policy, known=current is not None)
    if pending is not None:
        state = State.OPEN
    return Standing(
        account,
        state,
        age,
        left,
        current.verified_at if current else "",
        current.why if current and current.why != IMPORTED else "",
        pending.why if pending else account.held if state is State.HELD else "",
    )


def _state(account: Managed, age: int | None, left: int | None, policy: PasswordPolicy, *, known: bool) -> State:
    if not known:
        return State.HELD if account.held else State.MISSING
    if left is not None and left < 0:
        return State.EXPIRED
    if age is None or age >= policy.rotate_at:  # of unknown age: as if it were old
        return State.HELD if account.held else State.DUE
    return State.GOOD


def standings(
    accounts: Sequence[Managed],
    rows: Mapping[str, Sequence[Row]],
    policies: Mapping[str, PasswordPolicy],
    now: datetime,
) -> list[Standing]:
    """How all of them stand, in their order."""
    return [standing(each, rows.get(each.id, ()), policies[each.policy], now) for each in accounts]
