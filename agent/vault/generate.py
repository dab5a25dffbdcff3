"""New passwords: every one that the policy and the target allow is as likely as any other."""

from __future__ import annotations

import secrets
import string
from itertools import pairwise
from typing import TYPE_CHECKING

from agent.model.errors import RefusedError
from agent.model.password import UNDERTAKING, CharacterRules, PasswordPolicy
from agent.model.secret import Secret
from agent.vault.guess import traces
from agent.vault.policy import composition

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LENGTH = 24
"""Characters of a new password, unless the target takes fewer."""
_TRIES = 1000

PLAIN = CharacterRules("plain", "-._~", longest=128, first=string.ascii_letters)
"""RFC 3986, 2.3: characters that need no quoting in a URL, a shell or a connection string."""

CHARACTERS: Mapping[str, CharacterRules] = {
    "linux": CharacterRules("linux", "-._~!@#%^*+=,", longest=128, first=string.ascii_letters),
    "mariadb": PLAIN,
    "mysql": PLAIN,
    "postgresql": PLAIN,
    "redis": PLAIN,
    "tomcat": PLAIN,
    "manual": CharacterRules("manual", "-._~!@#%*+=", longest=32, first=string.ascii_letters),
    # not run against such systems: taken from the vendors' manuals
    "windows": CharacterRules("windows", "-._~!@#*+=", longest=127, first=string.ascii_letters),
    "dm8": CharacterRules("dm8", "-._~#*+", longest=48, first=string.ascii_letters),
    "kingbase": PLAIN,
    "oracle": CharacterRules("oracle", "_#$", longest=30, first=string.ascii_letters),
    "sqlserver": CharacterRules("sqlserver", "-._~!#*+", longest=128, first=string.ascii_letters),
}
"""By the kind of target. No colon: chpasswd separates by it; no quote, and `$` only where little else is."""


def generate(
    rules: CharacterRules = PLAIN,
    policy: PasswordPolicy = UNDERTAKING,
    *,
    names: Iterable[str] = (),
    length: int = 0,
) -> Secret:
    """A new password from the system's random numbers.

    Candidates are drawn evenly from all texts of that length and thrown away until one has no fault and nothing in it
    reminds of anything, so that the choice is even among those that are allowed. What is drawn so needs no estimate: 18
    characters of 66 are 10^32 tries.

    Args:
        rules: which characters the target takes.
        policy: what it must be.
        names: what must not occur in it, see `policy.faults`.
        length: characters; 0: LENGTH, or as many as policy and target ask for.

    Raises:
        RefusedError: the target does not take what the policy asks for.
    """
    size = length or min(max(LENGTH, policy.length), rules.longest)
    if size < policy.length or size > rules.longest:
        raise RefusedError(
            f"{size} characters: the policy {policy.name} asks for {policy.length}, {rules.name} takes {rules.longest}",
            remedy="declare the target's limit as a named exception, and compensate for it",
        )
    letters = string.ascii_letters + string.digits + rules.special
    known = tuple(names)
    for _ in range(_TRIES):
        drawn = "".join(secrets.choice(letters) for _ in range(size))
        plain = not any(composition(drawn, policy, rules)) and not traces(drawn, known, policy.run)
        if plain and not systematic(drawn):
            return Secret(drawn)
    raise RefusedError(
        f"no password of {size} characters fits the policy {policy.name} and {rules.name}",
        remedy="ask for a longer one, or look at the policy's numbers",
    )


def systematic(text: str) -> bool:
    """Whether cracklib would call it too simplistic: too many neighbours are neighbours in the character set as well.

    Source: cracklib 2.9, FascistLookUser in lib/fascist.c, which pam_pwquality and MariaDB's cracklib plug-in ask.
    """
    small = text.lower()
    beside = sum(abs(ord(one) - ord(other)) == 1 for one, other in pairwise(small))
    return beside > int(3 + 0.09 * len(small))
