"""What the 账号与口令报告 is rendered from: plain values, no secret, no hash, nothing to look up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from agent.model.hardenreport import PasswordRow
from agent.model.report import Parties


@dataclass(frozen=True, slots=True)
class PasswordLine:
    """One managed account and its password: a row of the 口令策略达标表."""

    key: str
    """16 hexadecimal digits, of no meaning but to be counted back."""
    account: str
    kind: str
    person: str
    policy: str
    exception: str
    """Why its policy asks for less than the undertaking; empty: it does not."""
    state: str
    age: int | None
    left: int | None
    proven: str
    """ISO day of the last proof; empty: never."""
    way: str
    faults: tuple[str, ...]
    conforms: bool
    note: str = ""


@dataclass(frozen=True, slots=True)
class AccountLine:
    """One account as a round found it: a row of the 账号清单."""

    key: str
    target: str
    account: str
    kind: str
    people: str
    ways: str
    rights: str
    age: int | None
    idle: str
    state: str
    managed: bool
    flaws: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AccountReport:
    """The whole of one 账号与口令报告."""

    number: str
    parties: Parties
    run: str
    """The round that saw the accounts; empty: none has."""
    seen: datetime | None
    made: datetime
    operator: str
    agent_version: str
    passwords: tuple[PasswordLine, ...]
    accounts: tuple[AccountLine, ...]
    enforced: tuple[PasswordRow, ...]
    """What each target demands of passwords by itself, as the round judged it."""
    targets: tuple[str, ...]
    unseen: tuple[str, ...]
    people: tuple[str, ...]
    """What is wrong with people's own entries."""
    ledger_head: str
    ledger_seq: int
    key_fingerprint: str
