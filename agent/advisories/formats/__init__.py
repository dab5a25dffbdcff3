"""The formats that feeds come in, one module each; `ALL` is asked in order, the first that recognises reads.

A format is a module-level value of a class with:

    name: str
    def recognise(self, head: bytes, name: str) -> bool
        # by content: up to 64 KiB of the decompressed beginning; the name only breaks ties. Never raises.
    def read(self, source: Source) -> Iterator[Header | Record]
        # streams; the first item is a Header. Raises FeedError naming the place (line, element, record).

Formats know nothing of archives, compression, limits of size, or the database: `intake` and `store` do.
Text is cleaned with `model.text`; a record that is wrong in one field is an error with its place, never dropped.
What a record says that we have no use for is left out; a record of any system is passed on with its stream.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.advisories.source import Source
    from agent.model.advisory import Header, Record

    ALL: tuple[Format, ...]

MODULES = (
    "osv", "csaf", "cve5", "redhatcve", "nvd", "kev", "epss", "endoflife", "debian", "oval", "updateinfo", "cvrf",
    "msrc", "nginx", "cnnvd", "changelogs", "plain",
)  # fmt: skip
"""The particular before the general: `plain`, which takes any table with the right columns, is asked last."""


class Format(Protocol):
    """What the module's docstring says."""

    @property
    def name(self) -> str:
        """A word for people and for the bundle's manifest."""
        ...

    def recognise(self, head: bytes, name: str) -> bool:
        """Whether it is this format, by content."""
        ...

    def read(self, source: Source) -> Iterator[Header | Record]:
        """A header, then its records."""
        ...


@cache
def _load() -> tuple[Format, ...]:
    found: list[Format] = []
    for name in MODULES:
        if find_spec(f"{__name__}.{name}"):
            found += import_module(f"{__name__}.{name}").FORMATS
    return tuple(found)


def __getattr__(name: str) -> tuple[Format, ...]:
    """`ALL`, on its first use: sixteen parsers are no part of starting the program."""
    if name == "ALL":
        return _load()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
