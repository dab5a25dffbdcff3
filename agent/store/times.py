"""Times as text: ISO 8601 UTC with microseconds, so that they sort as text on every engine."""

from __future__ import annotations

from datetime import UTC, datetime

_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


def to_text(at: datetime) -> str:
    """Write an aware time as `2026-11-22T01:02:03.000004Z`.

    Raises:
        ValueError: the time is naive; nobody knows which zone was meant.
    """
    if at.tzinfo is None:
        raise ValueError(f"a naive time cannot be stored: {at!r}")
    moment = at.astimezone(UTC)
    # strftime's %Y does not pad years below 1000, and then text would not sort as time.
    return f"{moment.year:04d}{moment.strftime(_FORMAT[2:])}"


def from_text(text: str) -> datetime:
    """Read what `to_text` wrote; the result is aware, in UTC.

    Raises:
        ValueError: the text has another form.
    """
    return datetime.strptime(text, _FORMAT).replace(tzinfo=UTC)
