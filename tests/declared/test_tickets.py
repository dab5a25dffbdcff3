"""Tickets: what is written reads back, and only an approver's signature over these bytes counts."""

import contextlib
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from agent.declared import opslocation, tickets
from agent.declared.tickets import TicketFile
from agent.declared.workspace import make_workspace
from agent.model.errors import DeclaredError, RefusedError
from agent.model.text import clean

START = datetime(2027, 2, 20, 14, 0, tzinfo=UTC)
PEOPLE = """\
schema_version: 1
people:
- {name: 甲, role: engineer, login: worker}
- {name: 乙, role: approver, login: boss, approver_key: boss.pub}
- {name: 丙, role: customer, approver_key: client.pub}
"""


def public(key: Path, to: Path) -> None:
    to.write_bytes(
        opslocation.private_key(key)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def people(root: Path, text: str) -> None:
    (root / "inventory" / "people.yaml").write_text(text, "utf-8")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "w"
    make_workspace(folder)
    people(folder, PEOPLE)
    for name in ("worker", "boss", "client"):
        opslocation.make_key(tmp_path / f"{name}.pem")
        public(tmp_path / f"{name}.pem", folder / "inventory" / f"{name}.pub")
    return folder


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return tmp_path


def body(number="GD-1", **more):
    values = {
        "schema_version": 1, "number": number, "title": "节前加固", "reference": "函 1", "start": START,
        "end": START + timedelta(hours=4), "targets": ("web-01", "db-*"), "requested_by": "worker",
    }  # fmt: skip
    return TicketFile(**(values | more))


def doubt(root: Path, operator: str = "worker") -> str:
    ticket = tickets.load_ticket(root, "GD-1", operator)
    assert ticket.signed == bool(ticket.approver) == (not ticket.doubt)
    return ticket.doubt


def test_a_ticket_reads_back_as_it_was_written(root, keys):
    path = tickets.write(root, body(controls=("LIN-*", "PG-IA-A-06"), plan_digest="ab" * 32))
    assert 'start: "2027-02-20 22:00"' in path.read_text("utf-8")
    assert tickets.sign(root, "GD-1", keys / "boss.pem") == "乙"
    ticket = tickets.load_ticket(root, "GD-1", "worker")
    assert (ticket.start, ticket.end) == (START, START + timedelta(hours=4))
    assert ticket.targets == ("web-01", "db-*")
    assert ticket.controls == ("LIN-*", "PG-IA-A-06")
    assert (ticket.signed, ticket.approver, ticket.doubt) == (True, "乙", "")
    assert [each.number for each in tickets.load_tickets(root)] == ["GD-1"]


TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)


@given(
    title=TEXTS
    | st.sampled_from(["1.5e3", "null", "0600", "- x", "a: b", '"', "#", "{{x}}", "true", "\x85", "a\u2028b", "\u2029"])
)
def test_whatever_a_title_holds_it_reads_back_or_is_refused(tmp_path_factory, title):
    root = tmp_path_factory.mktemp("t")
    (root / "inventory").mkdir()
    people(root, "schema_version: 1\npeople: []\n")
    with contextlib.suppress(DeclaredError):
        tickets.write(root, body(title=title))
        assert tickets.load_ticket(root, "GD-1").title == title
        return
    assert clean(title) != title
    assert not list(root.rglob("GD-1*"))


def test_a_number_is_used_once(root, keys):
    tickets.write(root, body())
    tickets.sign(root, "GD-1", keys / "boss.pem")
    with pytest.raises(RefusedError, match="already"):
        tickets.write(root, body(title="another"))
    assert not doubt(root)


def test_a_signature_that_was_left_behind_is_removed_with_the_new_ticket(root, keys):
    path = tickets.write(root, body())
    tickets.sign(root, "GD-1", keys / "boss.pem")
    path.unlink()
    tickets.write(root, body(title="another"))
    assert doubt(root) == "it bears no signature"


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"end": START}, "ends before it begins"),
        ({"start": "2027-02-30 22:00"}, "is no time"),
        ({"start": datetime(2027, 2, 20, 22, 0)}, "is no time"),  # noqa: DTZ001 - it is refused
        ({"start": 1771596000}, "is no time"),
        ({"targets": ()}, "at least 1"),
        ({"targets": ("a", "a")}, "twice"),
        ({"targets": ("!a",)}, "excludes"),
        ({"controls": ("!LIN-*",)}, "excludes"),
        ({"number": "../x"}, "not a usable name"),
        ({"plan_digest": "AB" * 32}, "pattern"),
        ({"allows": ("everything",)}, "weak-passwords"),
        ({"allows": ("weak-passwords",) * 2}, "twice"),
        ({"reboot_application": "/etc/passwd"}, "outside"),
        ({"reboot_application": "a/../../b"}, "outside"),
        ({"reference": ""}, "at least 1"),
    ],
)
def test_a_wrong_ticket_is_not_made(more, what):
    with pytest.raises(ValueError, match=what):
        body(**more)


@pytest.mark.parametrize("number", ["../GD-1", "a/b", "", ".", "con", "x\n"])
def test_a_number_that_no_file_may_bear(root, number):
    with pytest.raises(RefusedError) as caught:
        tickets.load_ticket(root, number)
    assert caught.value.remedy


def test_a_file_of_another_number(root):
    path = tickets.write(root, body())
    path.rename(path.with_name("GD-2.yaml"))
    with pytest.raises(DeclaredError, match="another"):
        tickets.load_ticket(root, "GD-2")


def test_every_changed_byte_is_noticed(root, keys):
    path = tickets.write(root, body())
    tickets.sign(root, "GD-1", keys / "boss.pem")
    whole = path.read_bytes()
    for place in range(0, len(whole), 5):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with contextlib.suppress(DeclaredError):  # then it is no ticket at all any more
            assert "changed since" in doubt(root)
    path.write_bytes(whole + b"\n")
    assert "changed since" in doubt(root)
    path.write_bytes(whole)
    assert not doubt(root)


def test_approver_and_customer_approve_and_nobody_else(root, keys):
    tickets.write(root, body())
    for name, who in (("client", "丙"), ("boss", "乙")):
        assert tickets.sign(root, "GD-1", keys / f"{name}.pem") == who
        assert not doubt(root)
    with pytest.raises(RefusedError, match="no approver's key"):
        tickets.sign(root, "GD-1", keys / "worker.pem")
    people(root, PEOPLE.replace("login: worker", "login: worker, approver_key: worker.pub"))
    with pytest.raises(DeclaredError, match="only an approver or the customer"):
        tickets.sign(root, "GD-1", keys / "worker.pem")


def test_who_operates_or_asks_does_not_approve(root, keys):
    tickets.write(root, body(requested_by="boss"))
    for operator in ("", "boss"):
        with pytest.raises(RefusedError, match="does not approve"):
            tickets.sign(root, "GD-1", keys / "boss.pem", operator)
    tickets.write(root, body("GD-2"))
    tickets.sign(root, "GD-2", keys / "boss.pem")
    assert tickets.load_ticket(root, "GD-2", "worker").signed
    assert "does not approve" in tickets.load_ticket(root, "GD-2", "boss").doubt


def test_a_key_that_two_share_is_also_the_operators(root, keys):
    tickets.write(root, body())
    tickets.sign(root, "GD-1", keys / "boss.pem")
    people(
        root, PEOPLE.replace("role: engineer, login: worker", "role: approver, login: worker, approver_key: boss.pub")
    )
    assert "甲's own" in doubt(root)
    with pytest.raises(RefusedError, match="does not approve"):
        tickets.sign(root, "GD-1", keys / "boss.pem")


def test_the_workspaces_own_key_is_the_one_approvers(root, keys):
    keyless = "schema_version: 1\npeople:\n- {name: 乙, role: approver, login: boss}\n- {name: 丙, role: customer}\n"
    public(keys / "boss.pem", root / "inventory" / "approver.pub")
    people(root, keyless)
    tickets.write(root, body())
    assert tickets.sign(root, "GD-1", keys / "boss.pem") == "乙"
    people(root, keyless + "- {name: 丁, role: approver}\n")
    assert "no approver's key" in doubt(root)
    with pytest.raises(RefusedError, match="no approver's key"):
        tickets.sign(root, "GD-1", keys / "boss.pem")


def test_a_foreign_key_and_another_purpose(root, keys):
    tickets.write(root, body())
    opslocation.make_key(keys / "foreign.pem")
    with pytest.raises(RefusedError, match="no approver's key"):
        tickets.sign(root, "GD-1", keys / "foreign.pem")
    path = tickets.path_of(root, "GD-1")
    signature = path.with_suffix(".yaml.sig")
    for prefix in (b"", b"secops-agent ops-location v1\n"):
        key = opslocation.private_key(keys / "boss.pem")
        signature.write_bytes(opslocation.signature_line(key, prefix + path.read_bytes()))
        assert "no approver's key" in doubt(root)
    signature.write_bytes(b"\xff\x00")
    assert "no signature" in doubt(root)


def test_an_ecdsa_key_signs_too_and_openssl_agrees(root, keys):
    key = ec.generate_private_key(ec.SECP256R1())
    (keys / "ec.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    public(keys / "ec.pem", root / "inventory" / "client.pub")
    path = tickets.write(root, body())
    assert tickets.sign(root, "GD-1", keys / "ec.pem") == "丙"
    assert not doubt(root)
    (keys / "payload").write_bytes(tickets.PREFIX + path.read_bytes())
    script = (
        f"base64 -d {path}.sig > {keys}/sig && "
        f"openssl dgst -sha256 -verify {root}/inventory/client.pub -signature {keys}/sig {keys}/payload"
    )
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
    assert "Verified OK" in done.stdout, done.stderr


def test_the_application_is_a_file_of_the_workspace(root):
    tickets.write(root, body(reboot_application="notices/a.pdf"))
    ticket = tickets.load_ticket(root, "GD-1")
    with pytest.raises(RefusedError, match="cannot be read"):
        tickets.application(root, ticket)
    (root / "notices" / "a.pdf").mkdir(parents=True)
    with pytest.raises(RefusedError, match="cannot be read"):
        tickets.application(root, ticket)
    (root / "notices" / "a.pdf").rmdir()
    (root / "notices" / "a.pdf").write_bytes(b"%PDF")
    assert tickets.application(root, ticket) == b"%PDF"
