"""What all formats read alike: JSON fields of a given kind, times, CVE ids, CVSS vectors, one line of text.

Whatever is wrong is a ValueError with a sentence that names the field; a format turns it into a FeedError with the
record's place (`raise source.error(str(error), place) from error`), where the place is known.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from cvss import CVSS2, CVSS3, CVSS4
from cvss.exceptions import CVSSError

from agent.model.text import one_line

MAX_WORD = 300
"""Characters of an id, a package name or a version."""
MAX_LINK = 2000
_FIRST_YEAR = 1970
_LAST_YEAR = 2199
_WRITTEN = ("%d %b %Y", "%d %B %Y", "%Y/%m/%d", "%Y/%m/%d %H:%M:%S", "%a, %d %b %Y %H:%M:%S %z", "%B %d, %Y")
"""Besides ISO 8601: the Debian lists, CNNVD and Chinese notices, RFC 5322, nginx."""
_CVE = re.compile(r"(?<![A-Z0-9])CVE-(\d{4})-(\d{1,12})(?!\d)", re.IGNORECASE)
_VECTOR = re.compile(r"[A-Za-z0-9.:/]{1,400}")


def kind(value: object) -> str:
    """What a JSON value is, in an operator's words."""
    for found, word in ((bool, "true or false"), (str, "text"), (dict, "an object"), (list, "a list")):
        if isinstance(value, found):
            return word
    return "nothing" if value is None else "a number"


def obj(value: object, name: str = "the record") -> dict[str, Any]:
    """The value, which must be an object. Raises ValueError."""
    if not isinstance(value, dict):
        raise ValueError(f"{name} is {kind(value)}, not an object")  # noqa: TRY004 - told apart from a bug of ours
    return value


def text(record: Mapping[str, Any], key: str) -> str:
    """A field of text; empty when it is missing or null. Raises ValueError."""
    value = record.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"field {key!r} is {kind(value)}, not text")  # noqa: TRY004 - as above
    return value


def number(record: Mapping[str, Any], key: str) -> float | None:
    """A field that holds a number, or text that is one; None when missing, null or empty. Raises ValueError."""
    value = record.get(key)
    if value is None or value == "":
        return None
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        try:
            found = float(value)
        except (ValueError, OverflowError):
            found = float("inf")
        if abs(found) < float("inf"):
            return found
    raise ValueError(f"field {key!r} holds no number")


def child(record: Mapping[str, Any], key: str) -> dict[str, Any]:
    """A field that is an object; empty when it is missing or null. Raises ValueError."""
    value = record.get(key)
    return {} if value is None else obj(value, f"field {key!r}")


def items(record: Mapping[str, Any], key: str) -> list[Any]:
    """A field that is a list; empty when it is missing or null. Raises ValueError."""
    value = record.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise ValueError(f"field {key!r} is {kind(value)}, not a list")  # noqa: TRY004 - as above
    return value


def children(record: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """A field that is a list of objects. Raises ValueError."""
    found = items(record, key)
    for value in found:
        obj(value, f"an entry of {key!r}")
    return found


def texts(record: Mapping[str, Any], key: str) -> list[str]:
    """A field that is a list of texts. Raises ValueError."""
    found = items(record, key)
    for value in found:
        if not isinstance(value, str):
            raise ValueError(f"an entry of {key!r} is {kind(value)}, not text")  # noqa: TRY004 - as above
    return found


def line(value: str) -> str:
    """A text as it is kept: cleaned, on one line."""
    return one_line(value)


@lru_cache(maxsize=65536)
def utc(value: str) -> str:
    """A time as `2024-07-09T00:00:00Z`; one without a zone counts as UTC, a bare day as its beginning.

    Returns:
        Empty for an empty text, and for the year 1, which Go and .NET write for no time.

    Raises:
        ValueError: it is no time, or none at which an advisory was written.
    """
    value = value.strip()
    if not value:
        return ""
    moment = _moment(value)
    if moment is None or not (moment.year == 1 or _FIRST_YEAR <= moment.year <= _LAST_YEAR):
        raise ValueError(f"{one_line(value, 60)!r} is no time")
    if moment.year == 1:
        return ""
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(value: str) -> datetime | None:
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        pass
    for form in _WRITTEN:
        try:
            return datetime.strptime(value, form)  # noqa: DTZ007 - what bears no zone counts as UTC
        except ValueError:
            continue
    return None


def cves(value: str | Iterable[str]) -> tuple[str, ...]:
    """Every CVE id in a text or in texts (`UBUNTU-CVE-2024-1` names one): upper case, once, by year and number."""
    found = _CVE.findall(value if isinstance(value, str) else "\n".join(value))
    if len(found) < 2:  # noqa: PLR2004 - nothing to sort
        return tuple(f"CVE-{year}-{serial}" for year, serial in found)
    return tuple(f"CVE-{year}-{serial}" for year, serial in sorted(set(found), key=lambda one: (one[0], int(one[1]))))


@lru_cache(maxsize=65536)
def _scored(vector: str) -> tuple[int, float, str] | None:
    """Rank of the CVSS version, base score, the vector with its prefix; None when it is no vector."""
    bare = vector.strip().strip("()")
    head, _, rest = bare.partition("/")
    if re.fullmatch(r"\d{1,2}(\.\d+)?", head):
        bare = rest  # Red Hat's `7.5/CVSS:3.1/AV:N/...`
    if not _VECTOR.fullmatch(bare):
        return None
    try:
        if bare.startswith("CVSS:4") or (not bare.startswith("CVSS:") and "/VC:" in bare):
            full = bare if bare.startswith("CVSS:") else f"CVSS:4.0/{bare}"
            return 40, float(CVSS4(full).base_score), full
        if bare.startswith("CVSS:3") or (not bare.startswith("CVSS:") and "/PR:" in bare):
            full = bare if bare.startswith("CVSS:") else f"CVSS:3.1/{bare}"
            return (30 if full.startswith("CVSS:3.0") else 31), float(CVSS3(full).scores()[0]), full
        bare = bare.removeprefix("CVSS:2.0/")
        return 20, float(CVSS2(bare).scores()[0]), bare
    except (CVSSError, ValueError, LookupError, ArithmeticError, TypeError):
        return None


def score(vector: str) -> float | None:
    """The base score of a CVSS vector of version 2, 3.0, 3.1 or 4.0, with or without its prefix; None for others."""
    found = _scored(vector)
    return found[1] if found else None


def best_score(vectors: Iterable[str]) -> tuple[float | None, str]:
    """Base score and vector of the newest CVSS version among these, of equal ones the highest; (None, "") for none."""
    found = [hit for vector in vectors if (hit := _scored(vector))]
    if not found:
        return None, ""
    _, value, vector = max(found)
    return value, vector


def word(value: str, name: str) -> str:
    """An id, package name or version as it stands, without outer white space.

    Raises:
        ValueError: it holds control, bidi or other characters that cannot be seen, or is absurdly long.
    """
    found = value.strip()
    if not found.isprintable() or len(found) > MAX_WORD:
        raise ValueError(f"{name} is no name: {one_line(found, 60)!r}")
    return found


def required(record: Mapping[str, Any], key: str) -> str:
    """A field that must hold a name (`word`). Raises ValueError."""
    found = word(text(record, key), f"field {key!r}")
    if not found:
        raise ValueError(f"field {key!r} is missing")
    return found


def link(value: str) -> str:
    """A URL for people to open; empty for what is none, or is neither http nor https."""
    found = value.strip()
    good = found.startswith(("https://", "http://")) and found.isprintable() and " " not in found
    return found if good and len(found) <= MAX_LINK else ""
