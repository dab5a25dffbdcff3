import base64
import ipaddress
import socket
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from agent.declared import opslocation
from agent.declared.opscheck import PREFIX
from agent.model.errors import DeclaredError, RefusedError

HERE = ["10.66.0.9"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "ws"
    (folder / "inventory").mkdir(parents=True)
    return folder


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "approver.pem"
    opslocation.make_key(path)
    return path


@pytest.fixture
def signed(root: Path, key: Path) -> Path:
    opslocation.designate(root, ["10.66.0.0/24", "fd00::/64"], key)
    return root


def refusal(root: Path, addresses: list[str] = HERE) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        opslocation.check(root, addresses)
    assert caught.value.remedy
    assert caught.value.where
    return caught.value


def test_an_address_that_is_given_twice_is_listed_once(root: Path, key: Path) -> None:
    once = opslocation.designate(root, ["10.66.0.9", "10.66.0.9/32", "10.66.0.9"], key)
    assert opslocation.designate(root, ["10.66.0.9"], key) == once
    assert len(once) == 1


def test_a_listed_machine_passes_and_no_other(signed: Path) -> None:
    opslocation.check(signed, ["192.0.2.1", "10.66.0.9"])
    opslocation.check(signed, ["fd00::7"])
    for foreign in (["10.66.1.9"], ["fd01::7"], []):
        error = refusal(signed, foreign)
        assert "not a designated ops location" in error.message
        assert "agent inventory ops-location --approver-key KEY --allow ADDRESS" in error.remedy


def test_without_a_list_the_command_is_named(root: Path) -> None:
    error = refusal(root)
    assert "missing" in error.message
    assert "agent inventory ops-location --approver-key KEY" in error.remedy


def test_an_unsigned_list_counts_for_nothing(signed: Path) -> None:
    (signed / "inventory/ops-location.yaml.sig").unlink()
    assert "not signed" in refusal(signed).message


@pytest.mark.parametrize("text", [b"", b"rubbish!", b"AAAA\n", b"\xff\xfe"])
def test_a_broken_signature_is_refused(signed: Path, text: bytes) -> None:
    (signed / "inventory/ops-location.yaml.sig").write_bytes(text)
    assert "signature" in refusal(signed).message


def test_every_changed_byte_is_noticed(signed: Path) -> None:
    file = signed / "inventory/ops-location.yaml"
    whole = file.read_bytes()
    for place in range(0, len(whole), 7):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert "signature does not belong" in refusal(signed).message
    file.write_bytes(whole)
    opslocation.check(signed, HERE)


def test_a_foreign_key_neither_signs_nor_passes(signed: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.pem"
    opslocation.make_key(foreign)
    before = (signed / "inventory/ops-location.yaml").read_bytes()
    for call in (
        lambda: opslocation.sign_location(signed, foreign),
        lambda: opslocation.designate(signed, ["192.0.2.0/24"], foreign, only=True),
    ):
        with pytest.raises(RefusedError, match="not the approver's key"):
            call()
    assert (signed / "inventory/ops-location.yaml").read_bytes() == before
    other = ed25519.Ed25519PrivateKey.generate().public_key()
    pem = other.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (signed / "inventory/approver.pub").write_bytes(pem)
    assert "signed by another" in refusal(signed).message


def test_a_signature_made_for_another_purpose_is_refused(signed: Path, key: Path) -> None:
    raw = (signed / "inventory/ops-location.yaml").read_bytes()
    private = serialization.load_pem_private_key(key.read_bytes(), None)
    assert isinstance(private, ed25519.Ed25519PrivateKey)
    file = signed / "inventory/ops-location.yaml.sig"
    file.write_bytes(base64.b64encode(private.sign(raw)))
    assert "signature does not belong" in refusal(signed).message
    file.write_bytes(base64.b64encode(private.sign(PREFIX + raw)))
    opslocation.check(signed, HERE)


@pytest.mark.parametrize("name", ["approver.pub", "keys/zhao.pub"])
def test_an_ecdsa_approver_named_in_people(root: Path, tmp_path: Path, name: str) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "ec.pem").write_bytes(pem)
    (root / "inventory/keys").mkdir()
    people = f"schema_version: 1\npeople: [{{name: z, role: approver, approver_key: {name}}}]\n"
    (root / "inventory/people.yaml").write_text(people, "utf-8")
    opslocation.designate(root, ["10.66.0.9"], tmp_path / "ec.pem")
    assert (root / "inventory" / name).exists()
    opslocation.check(root, HERE)
    (root / "inventory" / name).unlink()
    assert "public key is missing" in refusal(root).message


@pytest.mark.parametrize("raw", [b"", b"not a key", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"])
def test_a_public_key_that_is_none(signed: Path, raw: bytes) -> None:
    (signed / "inventory/approver.pub").write_bytes(raw)
    assert "not a public key" in refusal(signed).message


def test_an_rsa_key_is_refused(signed: Path, tmp_path: Path) -> None:
    private = rsa.generate_private_key(65537, 2048)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "rsa.pem").write_bytes(pem)
    with pytest.raises(RefusedError, match="neither an Ed25519"):
        opslocation.sign_location(signed, tmp_path / "rsa.pem")
    with pytest.raises(RefusedError, match="cannot be read"):
        opslocation.sign_location(signed, tmp_path / "none.pem")
    (tmp_path / "bad.pem").write_bytes(b"x")
    with pytest.raises(RefusedError, match="not an unencrypted private key"):
        opslocation.sign_location(signed, tmp_path / "bad.pem")


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "::1", "0.0.0.0/0", "10.0.0.0/7", "fd00::/8", "169.254.1.1", "10.0.0.1/24", "host", "224.0.0.1"],
)
def test_addresses_that_say_nothing_are_refused(signed: Path, key: Path, address: str) -> None:
    before = (signed / "inventory/ops-location.yaml").read_bytes()
    with pytest.raises(DeclaredError) as caught:
        opslocation.designate(signed, [address], key)
    assert "addresses[2]" in caught.value.where
    assert (signed / "inventory/ops-location.yaml").read_bytes() == before
    opslocation.check(signed, HERE)


def test_a_signed_list_that_is_wrong_is_refused_all_the_same(signed: Path, key: Path) -> None:
    file = signed / "inventory/ops-location.yaml"
    file.write_text("schema_version: 1\naddresses: [0.0.0.0/0]\n", "utf-8")
    with pytest.raises(RefusedError, match="wider than"):
        opslocation.sign_location(signed, key)


def test_adding_keeps_what_is_listed_and_only_replaces_it(signed: Path, key: Path) -> None:
    assert opslocation.designate(signed, ["192.0.2.7"], key) == ("10.66.0.0/24", "fd00::/64", "192.0.2.7/32")
    assert opslocation.designate(signed, ["192.0.2.8"], key, only=True) == ("192.0.2.8/32",)
    assert opslocation.designate(signed, [], key) == ("192.0.2.8/32",)


def test_adding_to_a_list_that_somebody_changed_is_refused(signed: Path, key: Path) -> None:
    with (signed / "inventory/ops-location.yaml").open("a") as stream:
        stream.write("- 198.51.100.0/24\n")
    with pytest.raises(RefusedError, match="signature does not belong"):
        opslocation.designate(signed, ["192.0.2.7"], key)


def test_the_key_is_private_and_never_overwritten(key: Path) -> None:
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    with pytest.raises(RefusedError, match="cannot be written"):
        opslocation.make_key(key)


def test_the_lab_signs_for_itself_but_never_over_a_real_approver(root: Path, signed: Path) -> None:
    with pytest.raises(RefusedError, match="of its own"):
        opslocation.allow_for_lab(signed, signed / "state/lab/approver.pem")
    for name in ("ops-location.yaml", "ops-location.yaml.sig", "approver.pub"):
        (root / "inventory" / name).unlink()
    opslocation.allow_for_lab(root, root / "state/lab/approver.pem")
    opslocation.check(root, ["10.66.0.1"])
    (root / "state/lab/approver.pem").unlink()
    opslocation.allow_for_lab(root, root / "state/lab/approver.pem")
    opslocation.check(root, ["10.66.0.1"])


def test_local_addresses_are_those_that_can_be_bound() -> None:
    for address in opslocation.local_addresses():
        parsed = ipaddress.ip_address(address)
        assert not parsed.is_loopback
        with socket.socket(socket.AF_INET6 if parsed.version == 6 else socket.AF_INET) as one:
            one.bind((address, 0))
