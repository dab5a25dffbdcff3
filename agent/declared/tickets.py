"""Change tickets (工单): tickets/NUMBER.yaml, signed by an approver in tickets/NUMBER.yaml.sig.

A signature covers the file's bytes behind a prefix of its own, so that none made for another
purpose passes. Who operates does not approve: a signature by the operator's own key counts as none.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Annotated
from zoneinfo import ZoneInfo

import yaml
from pydantic import AfterValidator, BeforeValidator, Field, StrictStr, model_validator

from agent.declared.fields import Filled, Strict, Text, Version, no_twice, safe_name
from agent.declared.files import write_atomic
from agent.declared.opscheck import APPROVER, Public, genuine, read_bytes, read_public, refused
from agent.declared.opslocation import private_key, signature_line
from agent.declared.people import Person, load_people
from agent.declared.yamlfile import decode, loads, parse
from agent.model.errors import DeclaredError, RefusedError
from agent.model.hardening import Ticket

FOLDER = Path("tickets")
PREFIX = b"secops-agent ticket v1\n"
SHANGHAI = ZoneInfo("Asia/Shanghai")
_FORMAT = "%Y-%m-%d %H:%M"
_HEAD = "# A change ticket. It counts only with an approver's signature beside it (agent ticket sign).\n"


def _minute(value: object) -> object:
    if isinstance(value, datetime):
        return value
    try:
        return datetime.strptime(str(value), _FORMAT).replace(tzinfo=SHANGHAI)
    except ValueError:
        raise ValueError("is no time || write it as 2027-02-20 22:00 (Asia/Shanghai)") from None


def _inside(value: str) -> str:
    path = PurePosixPath(value)
    if value and (path.is_absolute() or ".." in path.parts or "\\" in value):
        raise ValueError("lies outside the workspace || name a file inside it")
    return value


Minute = Annotated[datetime, BeforeValidator(_minute)]


class TicketFile(Strict):
    """tickets/NUMBER.yaml."""

    schema_version: Version
    number: Annotated[StrictStr, AfterValidator(safe_name)]
    title: Filled
    reference: Filled = Field(description="The customer's own number or letter")
    start: Minute
    end: Minute
    targets: Annotated[tuple[Filled, ...], Field(min_length=1), AfterValidator(no_twice)]
    controls: Annotated[tuple[Filled, ...], Field(min_length=1), AfterValidator(no_twice)] = ("*",)
    plan_digest: Annotated[StrictStr, Field(pattern="^([0-9a-f]{64})?$")] = ""
    reboot_application: Annotated[Text, AfterValidator(_inside)] = ""
    requested_by: Text = ""

    @model_validator(mode="after")
    def _window(self) -> TicketFile:
        if self.end <= self.start:
            raise ValueError("its window ends before it begins || correct `start` or `end`")
        return self


def path_of(root: Path, number: str) -> Path:
    """The file of a ticket. Raises RefusedError for a number that no file may bear."""
    try:
        return root / FOLDER / f"{safe_name(number)}.yaml"
    except ValueError as error:
        what, _, remedy = str(error).partition(" || ")
        raise RefusedError(what, where=number, remedy=remedy) from None


def write(root: Path, ticket: TicketFile) -> Path:
    """Write a new ticket, unsigned.

    Raises:
        RefusedError: there is one of that number already.
    """
    path = path_of(root, ticket.number)
    if path.exists():
        raise refused("there is a ticket of this number already", path, "give the new one another number")
    body = ticket.model_dump()
    for name in ("start", "end"):
        body[name] = body[name].astimezone(SHANGHAI).strftime(_FORMAT)
    for name in ("targets", "controls"):
        body[name] = list(body[name])
    path.parent.mkdir(exist_ok=True)
    write_atomic(path, (_HEAD + yaml.safe_dump(body, allow_unicode=True, sort_keys=False)).encode())
    return path


def _approvers(root: Path) -> list[tuple[Person, Public]]:
    """People who may approve, with their public keys. Raises RefusedError when a key cannot be read."""
    people = load_people(root)
    named = [(each, root / "inventory" / each.approver_key) for each in people if each.approver_key]
    if not named:
        may = [each for each in people if each.role in {"approver", "customer"}]
        person = next((each for each in may if each.role == "approver"), may[0] if may else None)
        named = [(person, root / APPROVER)] if person else []
    found = []
    for person, path in named:
        if path.exists():
            found.append((person, read_public(path.read_bytes(), path)))
    return found


def sign(root: Path, number: str, key_path: Path, operator: str) -> str:
    """Sign a ticket as it stands; the name of who approved.

    Args:
        operator: OS login of who runs this workspace's changes; it must not be the approver's.

    Raises:
        RefusedError: no such ticket, the key is no approver's of this workspace, or it is the operator's own.
        DeclaredError: the ticket or people.yaml is wrong.
    """
    path = path_of(root, number)
    raw = read_bytes(path, "there is no such ticket", "see `agent ticket list`")
    parse(loads(decode(raw, path), path), TicketFile)
    key = private_key(key_path)
    for person, public in _approvers(root):
        if public == key.public_key():
            if person.login and person.login == operator:
                raise refused("who operates does not approve", key_path, "let another person sign")
            write_atomic(path.with_suffix(".yaml.sig"), signature_line(key, PREFIX + raw))
            return person.name
    raise refused(
        "this key is no approver's key of this workspace",
        key_path,
        "name its public half as approver_key of a person in people.yaml (inventory/approver.pub where nobody has one)",
    )


def load_ticket(root: Path, number: str, operator: str) -> Ticket:
    """Read a ticket and say whether it is signed by an approver who is not the operator.

    Raises:
        RefusedError: there is no such ticket.
        DeclaredError: it is wrong.
    """
    path = path_of(root, number)
    raw = read_bytes(path, "there is no such ticket", "write it: agent ticket new NUMBER ...")
    file = parse(loads(decode(raw, path), path), TicketFile)
    if file.number != number:
        raise DeclaredError("the number within is another", where=f"{path}: number", remedy="name the file after it")
    approver = _signed_by(root, path, raw, operator)
    return Ticket(
        number=file.number,
        title=file.title,
        reference=file.reference,
        start=file.start.astimezone(ZoneInfo("UTC")),
        end=file.end.astimezone(ZoneInfo("UTC")),
        targets=file.targets,
        controls=file.controls,
        plan_digest=file.plan_digest,
        reboot_application=file.reboot_application,
        requested_by=file.requested_by,
        signed=bool(approver),
        approver=approver,
        sha256=hashlib.sha256(raw).hexdigest(),
    )


def _signed_by(root: Path, path: Path, raw: bytes, operator: str) -> str:
    """Name of the approver whose signature holds; empty: none does, or it is the operator's own."""
    try:
        signature = base64.b64decode(path.with_suffix(".yaml.sig").read_bytes().strip(), validate=True)
    except (OSError, ValueError):
        return ""
    for person, key in _approvers(root):
        if genuine(key, signature, raw, PREFIX):
            return "" if person.login and person.login == operator else person.name
    return ""


def load_tickets(root: Path, operator: str) -> tuple[Ticket, ...]:
    """All tickets by number. Raises DeclaredError when one is wrong."""
    files = sorted((root / FOLDER).glob("*.yaml"))
    return tuple(load_ticket(root, path.stem, operator) for path in files)


def application(root: Path, ticket: Ticket) -> bytes:
    """The customer's written application that a ticket names.

    Raises:
        RefusedError: it names none, the file is missing, empty, or lies outside the workspace.
    """
    if not ticket.reboot_application:
        raise refused(
            "a restart of a host needs the customer's written application, and the ticket names none",
            path_of(root, ticket.number),
            "file the application in the workspace and name it in a new ticket (--reboot-application)",
        )
    path = (root / ticket.reboot_application).resolve()
    if not path.is_relative_to(root.resolve()):
        raise refused("the application lies outside the workspace", path, "file it inside")
    raw = read_bytes(path, "the customer's application cannot be read", "file it where the ticket says")
    if not raw.strip():
        raise refused("the customer's application is empty", path, "file the real one")
    return raw
