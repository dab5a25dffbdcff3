"""Cipher suites: which algorithms a blob was sealed with. The suite's name stands in each blob's header."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from agent.model.errors import IntegrityError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

NONCE = 12
"""Bytes; NIST SP 800-38D 8.2.2, random, and no key is used for more than one blob."""
TAG = 16


@dataclass(frozen=True, slots=True)
class Suite:
    """An authenticated cipher and the hash that goes with it."""

    name: str
    key_size: int
    """Bytes of a key."""
    digest: Callable[[], hashes.HashAlgorithm]
    encrypt: Callable[[bytes, bytes, bytes, bytes], bytes]
    """(key, nonce, plain text, associated data) to cipher text with its tag."""
    decrypt: Callable[[bytes, bytes, bytes, bytes], bytes]
    """The way back. Raises InvalidTag."""

    def seal(self, key: bytes, nonce: bytes, plain: bytes, bound: bytes) -> bytes:
        """Encrypt; the result begins with the nonce. `bound` is authenticated, not stored."""
        return nonce + self.encrypt(key, nonce, plain, bound)

    def unseal(self, key: bytes, sealed: bytes, bound: bytes) -> bytes:
        """Decrypt what `seal` returned.

        Raises:
            InvalidTag: anything differs from what was sealed.
        """
        if len(sealed) < NONCE + TAG:
            raise InvalidTag
        return self.decrypt(key, sealed[:NONCE], sealed[NONCE:], bound)

    def hash(self, *parts: bytes) -> str:
        """Hash the parts, joined; in hexadecimal."""
        digest = hashes.Hash(self.digest())
        for part in parts:
            digest.update(part)
        return digest.finalize().hex()

    def mac(self, key: bytes, data: bytes) -> str:
        """HMAC in hexadecimal."""
        name = self.digest().name
        if name == "sha256":
            return hmac.digest(key, data, "sha256").hex()
        from cryptography.hazmat.primitives.hmac import HMAC  # noqa: PLC0415 - only hashlib lacks this hash

        code = HMAC(key, self.digest())
        code.update(data)
        return code.finalize().hex()

    def derive(self, root: bytes, purpose: str, size: int | None = None) -> bytes:
        """Derive a key for one purpose from the root key (RFC 5869)."""
        info = f"secops-agent {self.name} {purpose}".encode()
        return HKDF(self.digest(), size or self.key_size, None, info).derive(root)


def _sm4_encrypt(key: bytes, nonce: bytes, plain: bytes, bound: bytes) -> bytes:
    encryptor = Cipher(algorithms.SM4(key), modes.GCM(nonce)).encryptor()
    encryptor.authenticate_additional_data(bound)
    return encryptor.update(plain) + encryptor.finalize() + encryptor.tag


def _sm4_decrypt(key: bytes, nonce: bytes, sealed: bytes, bound: bytes) -> bytes:
    decryptor = Cipher(algorithms.SM4(key), modes.GCM(nonce, sealed[-TAG:])).decryptor()
    decryptor.authenticate_additional_data(bound)
    return decryptor.update(sealed[:-TAG]) + decryptor.finalize()


AES = Suite(
    "AES-256-GCM",
    32,
    hashes.SHA256,
    lambda key, nonce, plain, bound: AESGCM(key).encrypt(nonce, plain, bound),
    lambda key, nonce, sealed, bound: AESGCM(key).decrypt(nonce, sealed, bound),
)
SM = Suite("SM4-GCM", 16, hashes.SM3, _sm4_encrypt, _sm4_decrypt)
"""GB/T 32907-2016 and GB/T 32905-2016, for 密评 (GB/T 39786-2021)."""
_SUITES = {suite.name: suite for suite in (AES, SM)}


def named(name: str) -> Suite:
    """Return the suite of a blob's header.

    Raises:
        IntegrityError: no such suite.
    """
    if name not in _SUITES:
        raise IntegrityError(f"unknown algorithm {name[:20]!r}")
    return _SUITES[name]


@cache
def usable(name: str) -> Suite:
    """Return a suite for sealing, tried out.

    Raises:
        RefusedError: the cryptographic library here does not have it.
    """
    suite = named(name)
    try:
        probe = suite.seal(bytes(suite.key_size), bytes(NONCE), b"probe", b"")
        suite.unseal(bytes(suite.key_size), probe, b"")
        suite.hash(b"probe")
    except UnsupportedAlgorithm as error:
        raise RefusedError(
            f"the cryptographic library here lacks {name}", remedy=f"choose {AES.name}, or install a newer cryptography"
        ) from error
    return suite
