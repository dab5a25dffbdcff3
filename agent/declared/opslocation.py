"""The designated ops location: from which machines targets may be reached at all.

inventory/ops-location.yaml lists source addresses; inventory/ops-location.yaml.sig
holds the approver's signature over a fixed prefix (so that no signature made for
another purpose passes) and the file's bytes. Everything fails closed.

This keeps honest people from operating elsewhere by mistake; whoever is root on a
machine can give it any address, so the targets must enforce the same list.
"""

from __future__ import annotations

import base64
import ipaddress
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from pydantic import AfterValidator, Field

from agent.declared.addresses import local_addresses
from agent.declared.fields import Strict, Text, Version, no_twice
from agent.declared.files import write_atomic
from agent.declared.people import load_people
from agent.declared.yamlfile import decode, loads, parse
from agent.model.errors import DeclaredError, RefusedError

LOCATION = Path("inventory/ops-location.yaml")
SIGNATURE = Path("inventory/ops-location.yaml.sig")
APPROVER = Path("inventory/approver.pub")
__all__ = ["allow_for_lab", "check", "local_addresses", "make_key", "sign_location", "write_location"]

PREFIX = b"secops-agent ops-location v1\n"
COMMAND = "agent inventory ops-location --approver-key KEY"
LAB_ADDRESS = "10.66.0.1"
"""This machine's address on the lab's bridge."""
LAB_NOTE = "lab: made and signed by agent lab"
_WIDEST = {4: 8, 6: 16}

Private = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey
Public = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _network(value: str) -> str:
    try:
        network = ipaddress.ip_network(value)
    except ValueError:
        raise ValueError("is no address or CIDR network || write e.g. 10.0.0.5 or 10.0.0.0/28") from None
    if network.is_loopback or network.is_multicast or network.is_link_local:
        raise ValueError("is an address that every machine has || list addresses that only the ops location has")
    if network.prefixlen < _WIDEST[network.version]:
        raise ValueError(f"is wider than /{_WIDEST[network.version]} || list the ops location's own networks")
    return str(network)


class LocationFile(Strict):
    """inventory/ops-location.yaml: source addresses or CIDR networks of the designated ops location."""

    schema_version: Version
    addresses: Annotated[
        tuple[Annotated[str, AfterValidator(_network)], ...], AfterValidator(no_twice), Field(min_length=1)
    ]
    note: Text = ""


def _refused(message: str, where: Path, remedy: str) -> RefusedError:
    return RefusedError(message, where=str(where), remedy=remedy)


def _public(raw: bytes, path: Path) -> Public:
    try:
        key = serialization.load_pem_public_key(raw)
    except (ValueError, UnsupportedAlgorithm):
        raise _refused("is not a public key in PEM form", path, "put the approver's public key there") from None
    if not isinstance(key, ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey):
        raise _refused("is neither an Ed25519 nor an ECDSA key", path, "let the approver make an Ed25519 key")
    return key


def approver_keys(root: Path) -> list[Public]:
    """Return the public keys whose signature counts: those of approvers in people.yaml, else inventory/approver.pub.

    Raises:
        RefusedError: there is none, or one cannot be read.
        DeclaredError: people.yaml is wrong.
    """
    named = [root / "inventory" / p.approver_key for p in load_people(root) if p.approver_key]
    keys = []
    for path in named or [root / APPROVER]:
        try:
            keys.append(_public(path.read_bytes(), path))
        except OSError:
            raise _refused(
                "the approver's public key is missing", path, f"let the approver run `{COMMAND}` in this workspace"
            ) from None
    return keys


def _genuine(key: Public, signature: bytes, payload: bytes) -> bool:
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, PREFIX + payload)
        else:
            key.verify(signature, PREFIX + payload, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def _bytes(path: Path, message: str, remedy: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        raise _refused(message, path, remedy) from None


def allowed(root: Path) -> tuple[Network, ...]:
    """Return the networks of the signed list.

    Raises:
        RefusedError: the list is missing, unsigned, signed by another, or wrong.
    """
    remedy = f"let the approver check the addresses and run `{COMMAND}` in this workspace"
    raw = _bytes(root / LOCATION, "no designated ops location: the list of allowed addresses is missing", remedy)
    text = _bytes(root / SIGNATURE, "the list of the ops location's addresses is not signed", remedy)
    try:
        signature = base64.b64decode(text.strip(), validate=True)
    except ValueError:
        raise _refused("is not a signature", root / SIGNATURE, remedy) from None
    if not any(_genuine(key, signature, raw) for key in approver_keys(root)):
        raise _refused(
            "the signature does not belong to this list and the approver's key (changed, or signed by another)",
            root / LOCATION,
            remedy,
        )
    try:
        file = parse(loads(decode(raw, root / LOCATION), root / LOCATION), LocationFile)
    except DeclaredError as error:
        raise RefusedError(error.message, where=error.where, remedy=error.remedy) from None
    return tuple(ipaddress.ip_network(value) for value in file.addresses)


def check(root: Path, local_addresses: Iterable[str]) -> None:
    """Pass only on a machine that has one of the listed addresses.

    Raises:
        RefusedError: the list is missing, unsigned, signed by another, wrong, or does not hold this machine.
        DeclaredError: people.yaml is wrong.
    """
    networks = allowed(root)
    mine = [ipaddress.ip_address(value) for value in local_addresses]
    if not any(one in network for one in mine for network in networks if one.version == network.version):
        have = ", ".join(map(str, mine)) or "none"
        raise _refused(
            f"this machine is not a designated ops location (its addresses: {have})",
            root / LOCATION,
            "work from the designated ops location; to add this machine, let the approver run "
            f"`{COMMAND} --allow ADDRESS`",
        )


def _private(path: Path) -> Private:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise _refused(f"the approver's key cannot be read: {error.strerror}", path, "name the key's file") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _refused(
            "is not an unencrypted private key in PEM form", path, "name an Ed25519 or ECDSA key (openssl pkey)"
        ) from None
    if not isinstance(key, ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey):
        raise _refused("is neither an Ed25519 nor an ECDSA key", path, "let the approver make an Ed25519 key")
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
        raise _refused(f"the key cannot be written: {error.strerror}", path, "name a new file elsewhere") from None
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


def sign_location(root: Path, key_path: Path) -> None:
    """Sign the list with the approver's private key; the first signature files its public key as approver.pub.

    Raises:
        RefusedError: the list is missing or wrong, the key unusable or not the approver's of this workspace.
    """
    key = _private(key_path)
    raw = _bytes(root / LOCATION, "there is no list to sign", f"write it with `{COMMAND} --allow ADDRESS`")
    try:
        parse(loads(decode(raw, root / LOCATION), root / LOCATION), LocationFile)
    except DeclaredError as error:
        raise RefusedError(error.message, where=error.where, remedy=error.remedy) from None
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    named = any(person.approver_key for person in load_people(root))
    if not named and not (root / APPROVER).exists():
        write_atomic(root / APPROVER, public)
    payload = PREFIX + raw
    signature = (
        key.sign(payload)
        if isinstance(key, ed25519.Ed25519PrivateKey)
        else key.sign(payload, ec.ECDSA(hashes.SHA256()))
    )
    if not any(_genuine(known, signature, raw) for known in approver_keys(root)):
        raise _refused(
            "this key is not the approver's key of this workspace",
            key_path,
            f"use the approver's key, or let the customer replace {APPROVER}",
        )
    write_atomic(root / SIGNATURE, base64.b64encode(signature) + b"\n")


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
        raise _refused("this workspace has an ops location of its own", held, "raise the lab in its own workspace")
    key_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not key_path.exists():
        make_key(key_path)
    if held.exists():
        (root / APPROVER).unlink(missing_ok=True)
    write_location(root, addresses, LAB_NOTE)
    sign_location(root, key_path)
