"""Designate the ops location: make the approver's key, write the list, sign it. The check is in `opscheck`."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Sequence
from ipaddress import ip_network
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from agent.declared.addresses import local_addresses
from agent.declared.files import write_atomic
from agent.declared.opscheck import (
    APPROVER,
    COMMAND,
    LOCATION,
    PREFIX,
    SIGNATURE,
    LocationFile,
    addresses_of,
    allowed,
    approver_files,
    approver_keys,
    check,
    read_bytes,
    refused,
)
from agent.declared.yamlfile import loads, parse

__all__ = ["allow_for_lab", "check", "designate", "local_addresses", "make_key", "sign_location", "write_location"]

LAB_ADDRESS = "10.66.0.1"
"""This machine's address on the lab's bridge."""
LAB_NOTE = "lab: made and signed by agent lab"

Private = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey


def private_key(path: Path) -> Private:
    """Read an approver's private key. Raises RefusedError when it is missing, encrypted, or of another kind."""
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise refused(f"the approver's key cannot be read: {error.strerror}", path, "name the key's file") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise refused(
            "is not an unencrypted private key in PEM form", path, "name an Ed25519 or ECDSA key (openssl pkey)"
        ) from None
    if not isinstance(key, ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey):
        raise refused("is neither an Ed25519 nor an ECDSA key", path, "let the approver make an Ed25519 key")
    return key


def make_key(path: Path) -> None:
    """Write a new Ed25519 private key (PEM, mode 0600) for the approver.

    Raises:
        RefusedError: something is there already, or the folder cannot be written.
    """
    pem = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise refused(f"the key cannot be written: {error.strerror}", path, "name a new file elsewhere") from None
    with os.fdopen(handle, "wb") as stream:
        stream.write(pem)
        stream.flush()
        os.fsync(stream.fileno())


def write_location(root: Path, addresses: Iterable[str], note: str = "") -> None:
    """Write the list, unsigned as yet (an earlier signature is removed).

    Raises:
        DeclaredError: an address is wrong, too wide, or one that every machine has.
    """
    rows = "".join(f"- {value}\n" for value in addresses)
    text = (
        "# Source addresses of the designated ops location; valid only with the approver's signature (.sig).\n"
        f"schema_version: 1\nnote: {_quoted(note)}\naddresses:\n{rows}"
    )
    parse(loads(text, root / LOCATION), LocationFile)
    (root / SIGNATURE).unlink(missing_ok=True)
    write_atomic(root / LOCATION, text.encode())


def _quoted(note: str) -> str:
    """Quote a note for YAML."""
    return "'" + " ".join(note.split()).replace("'", "''") + "'"


def _approver(root: Path, key_path: Path) -> Private:
    """Return the key when it is the approver's of this workspace; the first one ever used becomes so."""
    key = private_key(key_path)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    files = approver_files(root)
    if not any(path.exists() for path in files):
        write_atomic(files[0], public)
    if key.public_key() not in approver_keys(root):
        raise refused(
            "this key is not the approver's key of this workspace",
            key_path,
            f"use the approver's key, or let the customer replace {APPROVER}",
        )
    return key


def sign_location(root: Path, key_path: Path) -> None:
    """Sign the list as it stands; the first signature files the approver's public key as inventory/approver.pub.

    Raises:
        RefusedError: the list is missing or wrong, the key unusable or not the approver's of this workspace.
        DeclaredError: people.yaml is wrong.
    """
    raw = read_bytes(root / LOCATION, "there is no list to sign", f"write it with `{COMMAND} --allow ADDRESS`")
    addresses_of(root, raw)
    key = _approver(root, key_path)
    write_atomic(root / SIGNATURE, signature_line(key, PREFIX + raw))


def signature_line(key: Private, payload: bytes) -> bytes:
    """A signature as its file holds it: base64 on one line."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        signature = key.sign(payload)
    else:
        signature = key.sign(payload, ec.ECDSA(hashes.SHA256()))
    return base64.b64encode(signature) + b"\n"


def designate(root: Path, addresses: Sequence[str], key_path: Path, *, only: bool = False) -> tuple[str, ...]:
    """Add addresses to the signed list (`only`: replace it) and sign; return what is listed now.

    Without addresses a list that is there is signed as it stands, and a first list gets this machine's.

    Raises:
        RefusedError: the key is not the approver's, or the list to be added to is not genuine.
        DeclaredError: an address is wrong, too wide, or one that every machine has.
    """
    _approver(root, key_path)
    there = (root / LOCATION).exists()
    if addresses or not there:
        held = [str(one) for one in allowed(root)] if there and not only else []
        write_location(root, {_alike(one): one for one in (*held, *(addresses or local_addresses()))}.values())
    sign_location(root, key_path)
    return tuple(str(one) for one in allowed(root))


def _alike(address: str) -> str:
    """An address and its own network of one are the same; what is wrong is for the list's own check."""
    try:
        return str(ip_network(address))
    except ValueError:
        return address


def allow_for_lab(root: Path, key_path: Path) -> None:
    """Make this machine the ops location of a workspace of the lab, signed by the lab's own made-up approver.

    The key lies in the workspace, which is right for the lab alone: a list that a real
    approver signed is never replaced.

    Raises:
        RefusedError: the workspace has an approver of its own.
        ToolError: this machine's addresses cannot be read.
    """
    addresses = dict.fromkeys([*local_addresses(), LAB_ADDRESS])
    held = root / LOCATION
    if held.exists() and f"note: {_quoted(LAB_NOTE)}\n".encode() not in held.read_bytes():
        raise refused("this workspace has an ops location of its own", held, "raise the lab in its own workspace")
    key_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not key_path.exists():
        make_key(key_path)
    if held.exists():
        (root / APPROVER).unlink(missing_ok=True)
    write_location(root, addresses, LAB_NOTE)
    sign_location(root, key_path)
