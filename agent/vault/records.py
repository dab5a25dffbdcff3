"""One secret, sealed: a key of its own under its zone's root key, bound to its vault, account and version.

The state (pending, current ...) stays outside, so that a promotion needs no new sealing; the balance binds states.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from agent.model.errors import IntegrityError
from agent.vault.slots import NONCE, SIZE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.vault.slots import Slot

MODULUS = 1 << 256


@dataclass(frozen=True, slots=True)
class Row:
    """A version of an account's secret, as the store keeps it."""

    account: str
    version: int
    zone: str
    kind: str
    """`password`, `ssh-key` or `key`."""
    state: str
    sealed: bytes
    reuse: bytes
    """HMAC of the text under a key of the vault: tells equal ones, and nothing else."""
    made_at: str
    current_at: str = ""
    verified_at: str = ""
    ended_at: str = ""
    why: str = ""


@lru_cache(maxsize=32)
def derived(root: bytes, purpose: str) -> bytes:
    """A key for one purpose (HKDF-Expand, RFC 5869; a root key is uniform already)."""
    return HKDFExpand(hashes.SHA256(), SIZE, f"agent vault {purpose}".encode()).derive(root)


def seal(root: bytes, vault: str, account: str, version: int, text: bytes) -> bytes:
    """Encrypt; the result begins with the nonce."""
    nonce = secrets.token_bytes(NONCE)
    return nonce + AESGCM(_key(root, account, version)).encrypt(nonce, text, _bound(vault, account, version))


def unseal(root: bytes, vault: str, row: Row) -> bytes:
    """Decrypt.

    Raises:
        IntegrityError: the record was changed, or is another account's or version's, or was destroyed.
    """
    try:
        return AESGCM(_key(root, row.account, row.version)).decrypt(
            row.sealed[:NONCE], row.sealed[NONCE:], _bound(vault, row.account, row.version)
        )
    except (InvalidTag, ValueError) as error:
        raise IntegrityError(
            "destroyed" if not row.sealed else "the record was changed, or exchanged for another",
            where=f"vault record {row.account} version {row.version}",
            remedy="restore a backup (agent vault restore FILE), then agent password reconcile",
        ) from error


def reuse_of(key: bytes, text: bytes) -> bytes:
    """What equal secrets have in common."""
    return hmac.digest(key, text, "sha256")


def weight(root: bytes, row: Row) -> int:
    """What a row adds to the balance: no one who lacks the root key can make another row of the same weight."""
    words = (row.account, str(row.version), row.zone, row.kind, row.state, row.made_at, row.current_at, row.verified_at,
             row.ended_at, row.why)  # fmt: skip
    told = "\0".join(words).encode() + b"\0" + hashlib.sha256(row.sealed).digest() + row.reuse
    return int.from_bytes(hmac.digest(derived(root, "balance"), told, "sha256"), "big")


def slot_weight(root: bytes, slot: Slot) -> int:
    """What a slot adds: nobody slips in his own public key, to which the next rekey would seal everything."""
    told = json.dumps([slot.name, slot.kind, slot.public.hex(), dict(slot.params)], sort_keys=True).encode()
    return int.from_bytes(hmac.digest(derived(root, "slot"), told, "sha256"), "big")


def balance(root: bytes, rows: Iterable[Row], slots: Iterable[Slot]) -> int:
    """The sum of all weights: rows come, go and change in any order, and the sum tells whether all are there."""
    return (sum(weight(root, row) for row in rows) + sum(slot_weight(root, slot) for slot in slots)) % MODULUS


def pin(root: bytes, vault: str, zone: str) -> str:
    """What the evidence chain says of a root key, so that nobody slips in one of his own: it tells nothing of it."""
    return hmac.digest(derived(root, "pin"), f"{vault}\n{zone}".encode(), "sha256").hex()


def stamp(root: bytes, vault: str, generation: int, total: int) -> bytes:
    """The balance as the store keeps it: 32 bytes, and 32 that say that it is of this vault and generation."""
    raw = total.to_bytes(32, "big")
    return raw + hmac.digest(derived(root, "stamp"), f"{vault}\n{generation}\n".encode() + raw, "sha256")


def stamped(root: bytes, vault: str, generation: int, kept: bytes) -> int | None:
    """The balance that a stamp vouches for; None when it vouches for nothing."""
    total = int.from_bytes(kept[:32], "big")
    return total if hmac.compare_digest(stamp(root, vault, generation, total), kept) else None


def _key(root: bytes, account: str, version: int) -> bytes:
    """HKDF-Expand of one block (RFC 5869, 2.3: T(1) = HMAC(PRK, info | 0x01)), ten times as fast as by the class."""
    return hmac.digest(root, f"agent vault record\n{account}\n{version}\x01".encode(), "sha256")


def _bound(vault: str, account: str, version: int) -> bytes:
    return f"{vault}\n{account}\n{version}".encode()
