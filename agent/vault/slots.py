"""Slots: ways to open a vault. Each is a pair of X25519 keys; the vault's root keys are sealed to its public half.

So a new root key can be sealed to every slot without anybody's passphrase. A slot's private half lies encrypted beside
it (passphrase), in a key file, or with an officer who keeps it. Root keys are sealed by HPKE (RFC 9180: DHKEM X25519,
HKDF-SHA256, AES-256-GCM); what a sealing is for stands in its `info`, so that none passes for another.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke, serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from agent.model.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.model.secret import Secret

PASSPHRASE, KEYFILE, OFFICER = "passphrase", "keyfile", "officer"
SIZE = 32
"""Bytes of every key here."""
NONCE = 12
COST = {"iterations": 3, "lanes": 4, "memory_cost": 64 * 1024}
"""Argon2id, RFC 9106's second choice (memory in KiB): 0.2 s on a small machine."""
_SUITE = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
_RAW_PRIVATE = (serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption())
_RAW_PUBLIC = (serialization.Encoding.Raw, serialization.PublicFormat.Raw)


@dataclass(frozen=True, slots=True)
class Slot:
    """A way to open the vault, as the store keeps it; nothing in it is secret by itself."""

    name: str
    kind: str
    public: bytes
    params: Mapping[str, Any] = field(default_factory=dict)
    """Of a passphrase: salt, cost and the private half sealed under it."""


def new_private() -> bytes:
    """A private half for a key file or an officer."""
    return X25519PrivateKey.generate().private_bytes(*_RAW_PRIVATE)


def public_of(private: bytes) -> bytes:
    """The public half. Raises RefusedError when this is no private half."""
    return _private(private).public_key().public_bytes(*_RAW_PUBLIC)


def with_key(name: str, kind: str, public: bytes) -> Slot:
    """A slot whose private half lies elsewhere. Raises RefusedError when `public` is no public half."""
    if len(public) != SIZE:
        raise RefusedError(f"a public key has {SIZE} bytes, this one {len(public)}", where=f"slot {name}")
    return Slot(name, kind, public)


def with_passphrase(name: str, passphrase: Secret) -> Slot:
    """A slot that a passphrase opens."""
    salt, private = secrets.token_bytes(16), new_private()
    public = public_of(private)
    nonce = secrets.token_bytes(NONCE)
    sealed = nonce + AESGCM(_stretched(passphrase, salt, COST)).encrypt(nonce, private, _bound(name, public))
    return Slot(name, PASSPHRASE, public, {"salt": salt.hex(), **COST, "sealed": sealed.hex()})


def private_by_passphrase(slot: Slot, passphrase: Secret) -> bytes:
    """A slot's private half.

    Raises:
        RefusedError: the passphrase is wrong, or the slot was changed; nobody can tell which.
    """
    try:
        cost = {name: min(int(slot.params[name]), 4 * COST[name]) for name in COST}  # no slot makes us work for hours
        sealed = bytes.fromhex(slot.params["sealed"])
        key = _stretched(passphrase, bytes.fromhex(slot.params["salt"]), cost)
        return AESGCM(key).decrypt(sealed[:NONCE], sealed[NONCE:], _bound(slot.name, slot.public))
    except (KeyError, TypeError, ValueError, InvalidTag) as error:
        raise RefusedError(
            "the passphrase is wrong, or the slot was changed",
            where=f"slot {slot.name}",
            remedy="try again; if it is right, open the vault by another slot and make this one anew",
        ) from error


def seal_root(slot: Slot, vault: str, zone: str, root: bytes) -> bytes:
    """A root key, sealed to a slot."""
    return _SUITE.encrypt(root, X25519PublicKey.from_public_bytes(slot.public), info=_info(vault, slot.name, zone))


def open_root(slot: Slot, private: bytes, vault: str, zone: str, sealed: bytes) -> bytes:
    """The way back.

    Raises:
        RefusedError: the key is another slot's, or what was sealed was changed or moved here from elsewhere.
    """
    try:
        root = _SUITE.decrypt(sealed, _private(private), info=_info(vault, slot.name, zone))
    except (InvalidTag, ValueError) as error:  # a key of the wrong length is a ValueError
        raise RefusedError(
            f"the root key of {zone or 'the vault'} does not open by this slot: it was changed, or is another vault's",
            where=f"slot {slot.name}",
            remedy="open the vault by another slot, or restore a backup: agent vault restore FILE",
        ) from error
    if len(root) != SIZE:
        raise RefusedError("this is no root key", where=f"slot {slot.name}")
    return root


def _stretched(passphrase: Secret, salt: bytes, cost: Mapping[str, int]) -> bytes:
    return Argon2id(
        salt=salt,
        length=SIZE,
        iterations=cost["iterations"],
        lanes=cost["lanes"],
        memory_cost=cost["memory_cost"],
    ).derive(passphrase.reveal().encode())


def _private(raw: bytes) -> X25519PrivateKey:
    try:
        return X25519PrivateKey.from_private_bytes(raw)
    except ValueError as error:
        raise RefusedError(
            "this is no key of a slot", remedy="name the key file that `agent vault init` made"
        ) from error


def _info(vault: str, slot: str, zone: str) -> bytes:
    return f"agent vault root\n{vault}\n{slot}\n{zone}".encode()


def _bound(name: str, public: bytes) -> bytes:
    return b"agent vault slot\n" + name.encode() + b"\n" + public
