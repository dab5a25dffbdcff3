"""The keys that seal and sign evidence. They lie outside state/: a backup of the one must not hold the other.

A key folder (0700) holds the key-encryption key as a key file (`kek.key`, 0400) or behind an
Argon2id passphrase (`kek.argon2id`), the two signing keys sealed under it (`signing.sealed`),
their public halves (`ecdsa.pub`, `ed25519.pub`), and the anchor of the last known head.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import stat
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from agent.ledger.suites import AES, NONCE
from agent.model.errors import RefusedError, StoreError
from agent.store.files import fsync_folder, write_private

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.model.secret import Secret

KEY_FILE = "kek.key"
PASSPHRASE_FILE = "kek.argon2id"  # noqa: S105 - a file's name
SIGNING = "signing.sealed"
PUBLIC = ("ecdsa.pub", "ed25519.pub")
_SIZE = 32
_ARGON2 = {"iterations": 3, "lanes": 4, "memory_cost": 64 * 1024}
"""RFC 9106's second choice: 0.2 s on a small machine."""
_ID = re.compile(r"[0-9a-f]{16}", re.ASCII)
_PUBLIC = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
_RAW = (serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption())


@dataclass(frozen=True, slots=True)
class PublicKeys:
    """What a checkpoint is verified with."""

    ed25519: ed25519.Ed25519PublicKey
    ecdsa: ec.EllipticCurvePublicKey

    def ed25519_ok(self, signature: bytes, data: bytes) -> bool:
        """Whether the signature is good; a missing one never is."""
        try:
            self.ed25519.verify(signature, data)
        except InvalidSignature:
            return False
        return True

    def ecdsa_ok(self, signature: bytes, data: bytes) -> bool:
        """Whether the signature is good; a missing one never is."""
        try:
            self.ecdsa.verify(signature, data, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            return False
        return True

    def pem(self) -> tuple[bytes, bytes]:
        """Return the ECDSA and the Ed25519 key as PEM."""
        return self.ecdsa.public_bytes(*_PUBLIC), self.ed25519.public_bytes(*_PUBLIC)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over both PEM texts, ECDSA first: `cat sign.pub sign-ed25519.pub | sha256sum`."""
        return AES.hash(*self.pem())


@dataclass(frozen=True, slots=True)
class Keys:
    """Unlocked keys of one workspace."""

    folder: Path
    kek: bytes = field(repr=False)
    ed25519: ed25519.Ed25519PrivateKey = field(repr=False)
    ecdsa: ec.EllipticCurvePrivateKey = field(repr=False)

    @property
    def public(self) -> PublicKeys:
        """The halves that may be handed out."""
        return PublicKeys(self.ed25519.public_key(), self.ecdsa.public_key())

    def sign(self, data: bytes) -> tuple[bytes, bytes]:
        """Sign with Ed25519 and with ECDSA P-256 (old OpenSSL verifies only the latter)."""
        return self.ed25519.sign(data), self.ecdsa.sign(data, ec.ECDSA(hashes.SHA256()))


def keys_folder(root: Path) -> Path:
    """Where the keys of a workspace lie: `$AGENT_KEYS`, else `$XDG_CONFIG_HOME/secops-agent/<workspace id>`.

    The id is random, kept in state/workspace.id and made on first use, so that a
    workspace may be moved, and a new one at the same place has its own keys.

    Raises:
        StoreError: the id cannot be read or written.
    """
    named = os.environ.get("AGENT_KEYS")
    if named:
        return Path(named)
    base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return base / "secops-agent" / _workspace_id(root / "state")


def _workspace_id(state: Path) -> str:
    file = state / "workspace.id"
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not file.exists():
        # Linked into place complete: of two processes at once one wins, and both read the winner's.
        with tempfile.NamedTemporaryFile("w", dir=state, encoding="ascii") as new:
            new.write(secrets.token_hex(8) + "\n")
            new.flush()
            os.fsync(new.fileno())
            try:
                os.link(new.name, file)
            except FileExistsError:
                pass
            except OSError as error:
                raise StoreError(f"cannot write ({error.strerror})", where=str(file)) from error
    text = file.read_text(encoding="ascii", errors="replace").strip()
    if not _ID.fullmatch(text):
        raise StoreError("this is no workspace id", where=str(file), remedy="restore it from a backup of state/")
    return text


def init_keys(folder: Path, passphrase: Secret | None = None) -> Keys:
    """Make the keys of a workspace, all or none; keys that are there already are loaded, never replaced.

    Args:
        folder: made with mode 0700; may exist when empty.
        passphrase: protects the key-encryption key by Argon2id; without it a key file of mode 0400 does.

    Raises:
        RefusedError: the folder holds something else, or unsafe or damaged keys.
        StoreError: it cannot be written.
    """
    if folder.exists() and any(folder.iterdir()):
        return load_keys(folder, passphrase)
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=".keys-", dir=folder.parent))
        try:
            _make(made, passphrase)
            made.rename(folder)
            fsync_folder(folder.parent)
        except OSError:
            shutil.rmtree(made, ignore_errors=True)
            # Another process was quicker: its keys count.
            if not (folder / SIGNING).exists():
                raise
    except OSError as error:
        raise StoreError(f"cannot make the keys ({error.strerror})", where=str(folder)) from error
    return load_keys(folder, passphrase)


def _make(folder: Path, passphrase: Secret | None) -> None:
    kek = secrets.token_bytes(_SIZE)
    if passphrase is None:
        write_private(folder / KEY_FILE, kek.hex().encode() + b"\n", 0o400)
    else:
        salt = secrets.token_bytes(16)
        wrapping = _stretch(passphrase, salt, _ARGON2)
        slot = {
            "salt": salt.hex(),
            **_ARGON2,
            "sealed": AES.seal(wrapping, secrets.token_bytes(NONCE), kek, b"kek").hex(),
        }
        write_private(folder / PASSPHRASE_FILE, json.dumps(slot).encode() + b"\n", 0o400)
    one, other = ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP256R1())
    number = other.private_numbers().private_value.to_bytes(_SIZE, "big")
    sealed = AES.seal(
        AES.derive(kek, "signing"), secrets.token_bytes(NONCE), one.private_bytes(*_RAW) + number, b"signing"
    )
    write_private(folder / SIGNING, sealed, 0o400)
    ecdsa_pem, ed25519_pem = PublicKeys(one.public_key(), other.public_key()).pem()
    write_private(folder / "ecdsa.pub", ecdsa_pem, 0o600)
    write_private(folder / "ed25519.pub", ed25519_pem, 0o600)
    fsync_folder(folder)


def packed(folder: Path) -> str:
    """All key files of a folder as one text, for who keeps a copy elsewhere; the anchor is none of them.

    Raises:
        RefusedError: one is missing, or open to others.
    """
    first = KEY_FILE if (folder / KEY_FILE).exists() else PASSPHRASE_FILE
    held = {name: _private(folder / name).hex() for name in (first, SIGNING)}
    for name in PUBLIC:
        held[name] = (folder / name).read_bytes().hex() if (folder / name).exists() else ""
    return json.dumps(held, sort_keys=True)


def unpack(folder: Path, text: str) -> tuple[str, ...]:
    """Write the key files of such a text into a folder that is not there yet, or empty; their names.

    Raises:
        RefusedError: the folder holds something, or the text is none of `packed`.
        StoreError: it cannot be written.
    """
    try:
        held = {str(name): bytes.fromhex(value) for name, value in json.loads(text).items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise RefusedError("these are no evidence keys") from error
    if not {SIGNING} <= set(held) <= {KEY_FILE, PASSPHRASE_FILE, SIGNING, *PUBLIC}:
        raise RefusedError("these are no evidence keys")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise RefusedError("the folder is not empty", where=str(folder), remedy="name one that is not there yet")
        for name, value in held.items():
            if value:
                write_private(folder / name, value, 0o600 if name in PUBLIC else 0o400)
        fsync_folder(folder)
    except OSError as error:
        raise StoreError(f"cannot write the keys ({error.strerror})", where=str(folder)) from error
    return tuple(name for name, value in held.items() if value)


def load_keys(folder: Path, passphrase: Secret | None = None) -> Keys:
    """Unlock the keys of a folder.

    Raises:
        RefusedError: a key is missing, open to others, damaged, or the passphrase is missing or wrong.
    """
    _check(folder, stat.S_ISDIR)
    kek = _kek(folder, passphrase)
    raw = _private(folder / SIGNING)
    try:
        both = AES.unseal(AES.derive(kek, "signing"), raw, b"signing")
    except InvalidTag as error:
        raise _refused(folder / SIGNING, "the signing keys do not belong to the key-encryption key") from error
    return Keys(
        folder,
        kek,
        ed25519.Ed25519PrivateKey.from_private_bytes(both[:_SIZE]),
        ec.derive_private_key(int.from_bytes(both[_SIZE:], "big"), ec.SECP256R1()),
    )


def _kek(folder: Path, passphrase: Secret | None) -> bytes:
    if passphrase is None or not (folder / PASSPHRASE_FILE).exists():
        if (folder / PASSPHRASE_FILE).exists() and not (folder / KEY_FILE).exists():
            raise _refused(
                folder / PASSPHRASE_FILE, "a passphrase is needed", "give the passphrase of the evidence keys"
            )
        text = _private(folder / KEY_FILE)
        try:
            kek = bytes.fromhex(text.decode("ascii"))
        except ValueError as error:
            raise _refused(folder / KEY_FILE, "this is no key") from error
        if len(kek) != _SIZE:
            raise _refused(folder / KEY_FILE, "this is no key")
        return kek
    try:
        slot = json.loads(_private(folder / PASSPHRASE_FILE))
        wrapping = _stretch(passphrase, bytes.fromhex(slot["salt"]), slot)
        return AES.unseal(wrapping, bytes.fromhex(slot["sealed"]), b"kek")
    except (ValueError, KeyError, TypeError, InvalidTag) as error:
        raise _refused(folder / PASSPHRASE_FILE, "the passphrase is wrong, or the file is damaged") from error


def _stretch(passphrase: Secret, salt: bytes, cost: Mapping[str, int]) -> bytes:
    return Argon2id(
        salt=salt,
        length=_SIZE,
        iterations=cost["iterations"],
        lanes=cost["lanes"],
        memory_cost=cost["memory_cost"],
    ).derive(passphrase.reveal().encode())


def _private(file: Path) -> bytes:
    _check(file, stat.S_ISREG)
    try:
        return file.read_bytes()
    except OSError as error:
        raise _refused(file, f"cannot be read ({error.strerror})") from error


def _check(path: Path, right_kind: Callable[[int], bool]) -> None:
    """Owner, mode and kind; a link is followed by nobody who stores keys with care."""
    try:
        found = path.lstat()
    except FileNotFoundError as error:
        raise _refused(path, "the evidence keys are missing") from error
    except OSError as error:
        raise _refused(path, f"cannot be read ({error.strerror})") from error
    if not right_kind(found.st_mode):
        raise _refused(path, "is a link or of the wrong kind", "put the real file or folder there")
    if found.st_uid != os.geteuid():
        raise _refused(path, f"belongs to user id {found.st_uid}", "run as the user who owns the keys, or chown them")
    if found.st_mode & 0o077:
        mode = "0700" if stat.S_ISDIR(found.st_mode) else "0400"
        raise _refused(path, f"is open to others (mode {found.st_mode & 0o777:04o})", f"chmod {mode} {path}")


def _refused(path: Path, message: str, remedy: str = "") -> RefusedError:
    return RefusedError(
        message,
        where=str(path),
        remedy=remedy or "put the key folder back from its own backup, or name it in $AGENT_KEYS",
    )
