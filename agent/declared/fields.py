"""Field types of declared files. A check's words are `what is wrong || remedy`."""

from __future__ import annotations

import ipaddress
import re
from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]|\.(?!\.)){0,62}")
_DEVICE = re.compile(r"(?i)(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?")
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_LOGIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@\\$-]{0,63}")
_LISTENER = re.compile(r"(?:tcp|udp)/([1-9][0-9]{0,4})")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
MAX_PORT = 65535


class Strict(BaseModel):
    """A mapping that refuses keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def safe_name(value: str) -> str:
    """Accept a name that is also safe as a file name on Linux and Windows. Raises ValueError."""
    if not _NAME.fullmatch(value) or value.endswith(".") or _DEVICE.fullmatch(value):
        raise ValueError(
            "is not a usable name || use up to 63 letters, digits, `.`, `_`, `-`, beginning with a letter or digit"
        )
    return value


def address(value: str) -> str:
    """Accept an IP address (returned in its one spelling) or a DNS name. Raises ValueError."""
    try:
        found = ipaddress.ip_address(value)
    except ValueError:
        labels = value.removesuffix(".").split(".")
        numeric = labels[-1].isdigit()
        if numeric or len(value) > 253 or not all(map(_LABEL.fullmatch, labels)):  # noqa: PLR2004 - RFC 1035
            raise ValueError("is neither an IP address nor a DNS name || write e.g. 10.0.0.5 or db1.intra") from None
        return value.lower()
    if found.is_unspecified or found.is_multicast or getattr(found, "scope_id", None):
        raise ValueError("is not the address of one host || write the host's own address")
    return str(found)


def login(value: str) -> str:
    """Accept a login name that no shell, URL or option parser can mistake. Raises ValueError."""
    if value and not _LOGIN.fullmatch(value):
        raise ValueError("is not a login name || use letters, digits and `_ . @ - $`, a domain before `\\`")
    return value


def listener(value: str) -> str:
    """Accept an expected listener. Raises ValueError."""
    hit = _LISTENER.fullmatch(value)
    if not hit or int(hit[1]) > MAX_PORT:
        raise ValueError("is not a listener || write protocol and port, e.g. `tcp/22` or `udp/123`")
    return value


def iso_date(value: object) -> object:
    """Accept only YYYY-MM-DD (pydantic alone would take a number as seconds). Raises ValueError."""
    if isinstance(value, date) or (isinstance(value, str) and _DATE.fullmatch(value)):
        return value
    raise ValueError("is not a date || write it as YYYY-MM-DD")


def no_twice(values: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse a list that names one thing twice. Raises ValueError."""
    for index, value in enumerate(values):
        if value in values[:index]:
            raise ValueError(f"names {value!r} twice || remove one of the two")
    return values


Name = Annotated[str, AfterValidator(safe_name)]
NameOrNone = Annotated[str, AfterValidator(lambda value: value and safe_name(value))]
"""A name, or an empty string to say "none" against a default."""
Address = Annotated[str, AfterValidator(address)]
Login = Annotated[str, AfterValidator(login)]
Port = Annotated[int, Field(strict=True, ge=1, le=MAX_PORT)]
Listener = Annotated[str, AfterValidator(listener)]
Text = Annotated[str, Field(max_length=400)]
Filled = Annotated[str, Field(min_length=1, max_length=400)]
Day = Annotated[date, BeforeValidator(iso_date)]
Version = Literal[1]
"""schema_version; a later format gets the next number and a migration."""
