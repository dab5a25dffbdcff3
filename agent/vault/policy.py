"""What is wrong with a password under a policy. Pure; zxcvbn is asked for what no rule of ours explains."""

from __future__ import annotations

import itertools
import string
from typing import TYPE_CHECKING

from agent.model.password import UNDERTAKING, CharacterRules, Fault, PasswordPolicy
from agent.vault.guess import traces, without

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agent.model.secret import Secret

_LONGEST = 72
"""Characters that zxcvbn looks at; it refuses more."""
_CLASSES = (
    (Fault.UPPER, string.ascii_uppercase), (Fault.LOWER, string.ascii_lowercase), (Fault.DIGIT, string.digits),
)  # fmt: skip


def faults(
    password: Secret,
    policy: PasswordPolicy = UNDERTAKING,
    *,
    names: Iterable[str] = (),
    rules: CharacterRules | None = None,
) -> tuple[Fault, ...]:
    """What is wrong with a password, in the order of Fault; empty when nothing is. Age and reuse only the vault knows.

    Args:
        password: never shown, and in no message.
        policy: what it must be.
        names: of the account, its host, the organisation and people, Chinese ones as they are written.
        rules: which characters the target takes.
    """
    text = password.reveal()
    found = set(composition(text, policy, rules))
    guessed = traces(text, names, policy.run)
    found |= set(guessed) - {Fault.GUESSABLE}
    rest = without(text, itertools.chain.from_iterable(guessed.values()))
    if _guesses(rest) < policy.guesses:
        found.add(Fault.GUESSABLE)
    return tuple(fault for fault in Fault if fault in found)


def composition(text: str, policy: PasswordPolicy, rules: CharacterRules | None = None) -> Iterator[Fault]:
    """What counting its characters tells."""
    if rules is not None:
        yield from _characters(text, rules)
    if len(text) < policy.length:
        yield Fault.SHORT
    least = {Fault.UPPER: policy.upper, Fault.LOWER: policy.lower, Fault.DIGIT: policy.digit}
    for fault, letters in _CLASSES:
        if sum(letter in letters for letter in text) < least[fault]:
            yield fault
    if sum(letter in string.punctuation for letter in text) < policy.special:
        yield Fault.SPECIAL
    if any(not letter.isprintable() for letter in text):
        yield Fault.CHARACTER


def _characters(text: str, rules: CharacterRules) -> Iterator[Fault]:
    if len(text) > rules.longest:
        yield Fault.LONG
    if set(text) - set(string.ascii_letters + string.digits + rules.special):
        yield Fault.CHARACTER
    if rules.first and text and text[0] not in rules.first:
        yield Fault.CHARACTER


def _guesses(text: str) -> float:
    """Tries that an attacker needs who knows dictionaries and habits."""
    if not text:
        return 0.0
    from zxcvbn import zxcvbn  # noqa: PLC0415 - its dictionaries cost a tenth of a second

    return float(zxcvbn(text[:_LONGEST])["guesses"])
