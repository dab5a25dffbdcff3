"""A value that must never be shown."""

from __future__ import annotations

import hmac


class Secret:
    """Wraps a secret string; `repr`, `str` and formatting show `***`, pickling is refused.

    The clear text leaves only through :meth:`reveal`, so that each place where it
    does can be found by name.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the clear text; never log, store or interpolate what it returns."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    def __str__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a Secret is not pickled")
