"""What every kind of target does for the check of weak passwords.

A tester composes scripts for the target's host, where they run as root. No record of a password leaves the target, but
for a salt with its iterations; no guess stands in a program's arguments or environment or in a file; no login is tried.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.model.weak import Account, Tried
    from agent.vault.candidates import Guess


@dataclass(frozen=True, slots=True)
class Script:
    """What is sent for a comparison."""

    preamble: str
    """Functions that hold the guesses, or their hashes: outside the section, so that they are quoted once."""
    body: str


@dataclass(frozen=True, slots=True)
class Suspect:
    """An account and the guesses at its password."""

    account: Account
    guesses: Sequence[Guess]


class Tester(Protocol):
    """One kind of target."""

    libraries: tuple[str, ...]
    """Modules of the change column's shell that the scripts stand on."""

    def listing(self, port: int) -> str:
        """Shell that prints the accounts, each with what kind of record it has; never the record."""
        ...

    def accounts(self, target: str, kind: str, text: str) -> list[Account]:
        """What `listing` printed."""
        ...

    def compare(self, suspects: Sequence[Suspect], port: int, seconds: int) -> Script:
        """Hold the guesses against the records, in at most `seconds` of processor time."""
        ...

    def tried(self, suspects: Sequence[Suspect], text: str) -> list[Tried | None]:
        """What `compare` printed, one for each suspect; None where it says nothing."""
        ...


def answers(text: str, wanted: int) -> list[list[str]]:
    """Words of the lines `tried NUMBER ...`, by number; empty where there is none."""
    found: list[list[str]] = [[] for _ in range(wanted)]
    for line in text.splitlines():
        words = line.split("\t")
        if words[0] == "tried" and len(words) > 1 and words[1].isdigit() and int(words[1]) < wanted:
            found[int(words[1])] = words[2:]
    return found
