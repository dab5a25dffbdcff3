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
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from pydantic import AfterValidator, Field

from agent.declared.fields import Strict, Text, Version, no_twice
from agent.declared.people import load_people
from agent.declared.yamlfile import decode, loads, parse
from agent.model.errors import DeclaredError, RefusedError

LOCATION = Path("inventory/ops-location.yaml")
SIGNATURE = Path("inventory/ops-location.yaml.sig")
APPROVER = Path("inventory/approver.pub")
PREFIX = b"secops-agent ops-location v1\n"
COMMAND = "agent inventory ops-location --approver-key KEY"
"""What the approver runs; with `--new-key` the first time."""
_WIDEST = {4: 8, 6: 16}

Public = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def source_network(value: str) -> str:
    """Accept an address or network that only an ops location can have. Raises ValueError."""
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
        tuple[Annotated[str, AfterValidator(source_network)], ...], AfterValidator(no_twice), Field(min_length=1)
    ]
    note: Text = ""


def refused(message: str, where: Path, remedy: str) -> RefusedError:
    """Return the refusal, not raised yet."""
    return RefusedError(message, where=str(where), remedy=remedy)


def read_public(raw: bytes, path: Path) -> Public:
    """Read a public key in PEM form. Raises RefusedError when it is none, or of another kind."""
    try:
        key = serialization.load_pem_public_key(raw)
    except (ValueError, UnsupportedAlgorithm):
        raise refused("is not a public key in PEM form", path, "put the approver's public key there") from None
    if not isinstance(key, ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey):
        raise refused("is neither an Ed25519 nor an ECDSA key", path, "let the approver make an Ed25519 key")
    return key


def approver_files(root: Path) -> list[Path]:
    """Return the files of the approvers' public keys. Raises DeclaredError when people.yaml is wrong."""
    named = [root / "inventory" / person.approver_key for person in load_people(root) if person.approver_key]
    return named or [root / APPROVER]


def approver_keys(root: Path) -> list[Public]:
    """Return the public keys whose signature counts: those named in people.yaml, else inventory/approver.pub.

    Raises:
        RefusedError: there is none, or one cannot be read.
        DeclaredError: people.yaml is wrong.
    """
    keys = []
    for path in approver_files(root):
        try:
            keys.append(read_public(path.read_bytes(), path))
        except OSError:
            raise refused(
                "the approver's public key is missing",
                path,
                f"let the approver run `{COMMAND}` in this workspace (with --new-key the first time)",
            ) from None
    return keys


def genuine(key: Public, signature: bytes, payload: bytes, prefix: bytes = PREFIX) -> bool:
    """Whether the signature belongs to this key, this payload and this purpose (its prefix)."""
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, prefix + payload)
        else:
            key.verify(signature, prefix + payload, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def read_bytes(path: Path, message: str, remedy: str) -> bytes:
    """Read a file. Raises RefusedError with the message when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError:
        raise refused(message, path, remedy) from None


def allowed(root: Path) -> tuple[Network, ...]:
    """Return the networks of the signed list.

    Raises:
        RefusedError: the list is missing, unsigned, signed by another, or wrong.
    """
    remedy = (
        f"let the approver check the addresses and run `{COMMAND}` in this workspace (with --new-key the first time)"
    )
    raw = read_bytes(root / LOCATION, "no designated ops location: the list of allowed addresses is missing", remedy)
    text = read_bytes(root / SIGNATURE, "the list of the ops location's addresses is not signed", remedy)
    try:
        signature = base64.b64decode(text.strip(), validate=True)
    except ValueError:
        raise refused("is not a signature", root / SIGNATURE, remedy) from None
    if not any(genuine(key, signature, raw) for key in approver_keys(root)):
        raise refused(
            "the signature does not belong to this list and the approver's key (changed, or signed by another)",
            root / LOCATION,
            remedy,
        )
    return addresses_of(root, raw)


def addresses_of(root: Path, raw: bytes) -> tuple[Network, ...]:
    """Read the list's bytes. Raises RefusedError when they are wrong."""
    path = root / LOCATION
    try:
        file = parse(loads(decode(raw, path), path), LocationFile)
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
        raise refused(
            f"this machine is not a designated ops location (its addresses: {have})",
            root / LOCATION,
            "work from the designated ops location; to add this machine, let the approver run "
            f"`{COMMAND} --allow ADDRESS`",
        )
