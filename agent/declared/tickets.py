"""Change tickets (工单): tickets/NUMBER.yaml, signed by an approver in tickets/NUMBER.yaml.sig.

A signature covers the file's bytes behind a prefix of its own, so that none made for another
purpose passes. It counts when its key is that of a person whose role is `approver` or `customer`,
and who neither operates nor asked for the ticket: who operates does not approve.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, StrictStr, WithJsonSchema, model_validator

from agent.declared.approvers import disqualified, judged, keys
from agent.declared.fields import Filled, Strict, Text, Version, no_twice, safe_name
from agent.declared.files import locked, write_atomic
from agent.declared.opscheck import read_bytes, refused
from agent.declared.opslocation import private_key, signature_line
from agent.declared.yamlfile import decode, loads, parse, quoted
from agent.model.errors import DeclaredError, RefusedError
from agent.model.hardening import Ticket

FOLDER = Path("tickets")
PREFIX = b"secops-agent ticket v1\n"
SHANGHAI = ZoneInfo("Asia/Shanghai")
_FORMAT = "%Y-%m-%d %H:%M"
_HEAD = "# A change ticket. It counts only with an approver's signature beside it (agent ticket sign).\n"


def _minute(value: object) -> datetime:
    if isinstance(value, datetime) and value.tzinfo:
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


def _pattern(value: str) -> str:
    if value.startswith("!"):
        raise ValueError("excludes, and a ticket says what may be done || name what it covers, `*` allowed")
    return value


Minute = Annotated[
    datetime,
    BeforeValidator(_minute),
    WithJsonSchema({"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}$"}),
]
Digest = Annotated[StrictStr, Field(pattern="^([0-9a-f]{64})?$")]
Pattern = Annotated[Filled, AfterValidator(_pattern)]


class TicketFile(Strict):
    """tickets/NUMBER.yaml."""

    schema_version: Version
    number: Annotated[StrictStr, AfterValidator(safe_name)]
    title: Filled
    reference: Filled = Field(description="The customer's own number or letter")
    start: Minute = Field(description="Asia/Shanghai, e.g. 2027-02-20 22:00")
    end: Minute = Field(description="Asia/Shanghai; the window is over at this minute")
    targets: Annotated[tuple[Pattern, ...], Field(min_length=1), AfterValidator(no_twice)]
    controls: Annotated[tuple[Pattern, ...], Field(min_length=1), AfterValidator(no_twice)] = ("*",)
    plan_digest: Digest = ""
    reboot_application: Annotated[Text, AfterValidator(_inside)] = ""
    reboot_application_sha256: Digest = Field(default="", description="Of that file: what the signature then covers")
    requested_by: Text = Field(default="", description="OS login of who asks; who asks does not sign")
    allows: Annotated[tuple[Literal["weak-passwords"], ...], AfterValidator(no_twice)] = Field(
        default=(), description="What else it allows: weak-passwords, agent password weak"
    )

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


def _text(ticket: TicketFile) -> str:
    """The file's text: each value is JSON, so that no word of a person can become markup."""
    rows = []
    for name, value in ticket.model_dump().items():
        if isinstance(value, datetime):
            shown: object = value.astimezone(SHANGHAI).strftime(_FORMAT)
        else:
            shown = list(value) if isinstance(value, tuple) else value
        rows.append(f"{name}: {quoted(shown)}\n")
    return _HEAD + "".join(rows)


def write(root: Path, ticket: TicketFile) -> Path:
    """Write a new ticket, unsigned. Its times are kept to the minute.

    Raises:
        RefusedError: there is one of that number already.
        DeclaredError: it holds what no declared file may.
    """
    path = path_of(root, ticket.number)
    raw = _text(ticket).encode(errors="surrogatepass")
    parse(loads(decode(raw, path), path), TicketFile)
    path.parent.mkdir(exist_ok=True)
    with locked(path.parent):
        if path.exists():
            raise refused("there is a ticket of this number already", path, "give the new one another number")
        path.with_suffix(".yaml.sig").unlink(missing_ok=True)
        write_atomic(path, raw)
    return path


@dataclass(frozen=True, slots=True)
class Paper:
    """A ticket as it was read once: the bytes that were judged are those that are sealed."""

    ticket: Ticket
    raw: bytes
    signature: bytes
    """The signature's file; empty when there is none."""


def sign(root: Path, number: str, key_path: Path, operator: str = "") -> str:
    """Sign a ticket as it stands; the name of who approved.

    Args:
        operator: OS login of a person who must not be the signer, besides who asked for the ticket.

    Raises:
        RefusedError: no such ticket, the key is no approver's of this workspace, or it is the operator's own.
        DeclaredError: the ticket or people.yaml is wrong.
    """
    path = path_of(root, number)
    raw = read_bytes(path, "there is no such ticket", "see `agent ticket list`")
    file = _file(path, raw, number)
    key = private_key(key_path)
    holders = [person for person, public in keys(root) if public == key.public_key()]
    if not holders:
        raise refused(
            "this key is no approver's key of this workspace",
            key_path,
            "name its public half as approver_key of a person in people.yaml (inventory/approver.pub will do where "
            "nobody has one and there is one approver)",
        )
    for person in holders:
        if why := disqualified(person, {operator, file.requested_by} - {""}):
            raise refused(why, key_path, "let another person sign, an approver or the customer")
    write_atomic(path.with_suffix(".yaml.sig"), signature_line(key, PREFIX + raw))
    return holders[0].name


def _file(path: Path, raw: bytes, number: str) -> TicketFile:
    file = parse(loads(decode(raw, path), path), TicketFile)
    if file.number != number:
        raise DeclaredError("the number within is another", where=f"{path}: number", remedy="name the file after it")
    return file


def read_ticket(root: Path, number: str, operator: str = "") -> Paper:
    """Read a ticket once, and say whether it is signed by an approver who is not the operator.

    Args:
        operator: OS login of who works under it; empty: it is only looked at.

    Raises:
        RefusedError: there is no such ticket.
        DeclaredError: it is wrong.
    """
    path = path_of(root, number)
    raw = read_bytes(path, "there is no such ticket", "write it: agent ticket new NUMBER ...")
    try:
        signature = path.with_suffix(".yaml.sig").read_bytes()
    except OSError:
        signature = b""
    file = _file(path, raw, number)
    approver, doubt = judged(root, raw, signature, PREFIX, {operator, file.requested_by} - {""})
    ticket = Ticket(
        number=file.number,
        title=file.title,
        reference=file.reference,
        start=file.start.astimezone(UTC),
        end=file.end.astimezone(UTC),
        targets=file.targets,
        controls=file.controls,
        plan_digest=file.plan_digest,
        reboot_application=file.reboot_application,
        reboot_application_sha256=file.reboot_application_sha256,
        requested_by=file.requested_by,
        allows=file.allows,
        signed=bool(approver),
        approver=approver,
        doubt=doubt,
        sha256=hashlib.sha256(raw).hexdigest(),
    )
    return Paper(ticket, raw, signature)


def load_ticket(root: Path, number: str, operator: str = "") -> Ticket:
    """Read a ticket, as `read_ticket` does."""
    return read_ticket(root, number, operator).ticket


def load_tickets(root: Path, operator: str = "") -> tuple[Ticket, ...]:
    """All tickets by number. Raises DeclaredError when one is wrong."""
    files = sorted(path for path in (root / FOLDER).glob("*.yaml") if not path.name.startswith("."))
    return tuple(load_ticket(root, path.stem, operator) for path in files)


def application(root: Path, ticket: Ticket) -> bytes:
    """The customer's written application that a ticket names.

    Raises:
        RefusedError: it names none, the file is missing, empty, another one than was signed, or outside the workspace.
    """
    if not ticket.reboot_application:
        raise refused(
            "a restart of a host needs the customer's written application, and the ticket names none",
            path_of(root, ticket.number),
            "file the application in the workspace and name it in a new ticket (--reboot-application)",
        )
    raw = read_application(root, ticket.reboot_application)
    if ticket.reboot_application_sha256 not in {"", hashlib.sha256(raw).hexdigest()}:
        raise refused(
            "the customer's application is not the file that the ticket was signed with",
            root / ticket.reboot_application,
            "put that file back, or have a new ticket signed",
        )
    return raw


def read_application(root: Path, name: str) -> bytes:
    """A file within the workspace that holds something. Raises RefusedError."""
    path = (root / name).resolve()
    if not path.is_relative_to(root.resolve()):
        raise refused("the application lies outside the workspace", path, "file it inside")
    raw = read_bytes(path, "the customer's application cannot be read", "file it where the ticket says")
    if not raw.strip():
        raise refused("the customer's application is empty", path, "file the real one")
    return raw
