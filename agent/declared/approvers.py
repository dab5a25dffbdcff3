"""Who may approve: people of people.yaml, their public keys, and whether a signature of theirs counts.

Who operates does not approve, and neither does who asked for it.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Sequence
from pathlib import Path

from agent.declared.opscheck import APPROVER, Public, genuine, read_bytes, read_public
from agent.declared.people import Person, load_people


def _sole(people: Sequence[Person]) -> Person | None:
    """Whose key inventory/approver.pub is: the one approver's, else the one customer's; of several nobody's."""
    for role in ("approver", "customer"):
        found = [each for each in people if each.role == role]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def keys(root: Path) -> list[tuple[Person, Public]]:
    """People with their public keys, those who may not approve among them.

    Raises:
        RefusedError: a key's file is no public key.
        DeclaredError: people.yaml is wrong.
    """
    people = load_people(root)
    named = [(each, root / "inventory" / each.approver_key) for each in people if each.approver_key]
    sole = _sole(people)
    if not named and sole:
        named = [(sole, root / APPROVER)]
    return [(person, _public(path)) for person, path in named if path.exists()]


def _public(path: Path) -> Public:
    return read_public(read_bytes(path, "an approver's key cannot be read", "check its owner and mode"), path)


def disqualified(person: Person, operators: Collection[str]) -> str:
    """Why a person's signature does not count; empty when it does."""
    if person.login in operators or person.name in operators:
        return f"who operates or asks does not approve, and its signature is {person.name}'s own"
    return ""


def judged(root: Path, payload: bytes, signature: bytes, prefix: bytes, operators: Collection[str]) -> tuple[str, str]:
    """Name of the approver whose signature holds, else why none does; one of the two is empty.

    Args:
        signature: as its file holds it, base64; empty: there is none.
        prefix: of the purpose for which it must have been made.
        operators: logins or names of those whose signature must not count.

    Raises:
        RefusedError: a key's file is no public key.
        DeclaredError: people.yaml is wrong.
    """
    if not signature:
        return "", "it bears no signature"
    try:
        decoded = base64.b64decode(signature.strip(), validate=True)
    except ValueError:
        return "", "what lies beside it is no signature"
    signers = [person for person, key in keys(root) if genuine(key, decoded, payload, prefix)]
    if not signers:
        return "", "its signature is by no approver's key of this workspace, or what was signed was changed since"
    why = next(filter(None, (disqualified(person, operators) for person in signers)), "")
    return ("", why) if why else (signers[0].name, "")
