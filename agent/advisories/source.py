"""What a format reads from: one decompressed document, its name, and how to say where something is wrong."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from agent.advisories.xmlwalk import XmlRefusedError, elements
from agent.model.errors import AgentError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lxml import etree

MAX_DOCUMENT = 64 * 1024 * 1024
"""Bytes of one JSON document that is read whole; streamed formats (lines, XML elements) have the intake's limits."""
MAX_BLANK = 100_000
"""Empty lines in a row: more are a bomb of nothing."""


class FeedError(AgentError):
    """A feed is refused; `where` is FILE!MEMBER:PLACE. The store stays as it was."""


@dataclass(frozen=True, slots=True)
class Source:
    """One document. `stream` is decompressed and bounded by the intake; it can be read once."""

    name: str
    """`disk/redhat.tar.zst!RHEL8/rhel-8.oval.xml`: the outer file as the user named it, members behind `!`."""
    stream: IO[bytes]

    @property
    def base(self) -> str:
        """The innermost file name without folders."""
        return self.name.replace("!", "/").rsplit("/", 1)[-1]

    def error(self, message: str, place: object = "", remedy: str = "") -> FeedError:
        """An error at a place of this document (`line 12`, an id); raise what is returned."""
        return FeedError(
            message,
            where=f"{self.name}:{place}" if place else self.name,
            remedy=remedy or "get the file again from its publisher and compare its checksum",
        )

    def json(self) -> Any:  # noqa: ANN401 - what JSON holds
        """The document as one JSON value. Raises FeedError (not JSON, broken UTF-8, too deep, too large)."""
        raw = self.stream.read(MAX_DOCUMENT + 1)
        if len(raw) > MAX_DOCUMENT:
            raise self.error(f"one JSON document of more than {MAX_DOCUMENT >> 20} MiB")
        return self.parse(raw)

    def parse(self, raw: bytes, place: object = "") -> Any:  # noqa: ANN401 - what JSON holds
        """A piece of JSON of this document, with its place for errors."""
        try:
            return json.loads(raw, parse_constant=_no_constant)
        except UnicodeDecodeError as error:
            raise self.error(f"broken UTF-8 at byte {error.start}", place) from error
        except json.JSONDecodeError as error:
            raise self.error(f"not JSON: {error.msg}", place or f"line {error.lineno}") from error
        except (RecursionError, ValueError) as error:
            raise self.error("JSON that no feed writes (too deep, or a number too long)", place) from error

    def lines(self, limit: int = MAX_DOCUMENT) -> Iterator[tuple[int, bytes]]:
        """Numbered lines without their ends, empty ones left out. Raises FeedError for a line over `limit` bytes."""
        number = last = 0
        while raw := self.stream.readline(limit + 1):
            number += 1
            if len(raw) > limit:
                raise self.error(f"a line of more than {limit} bytes", f"line {number}")
            if text := (raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw).strip(b"\r\n\t "):
                last = number
                yield number, text
            elif number - last > MAX_BLANK:
                raise self.error(f"more than {MAX_BLANK} empty lines", f"line {number}")

    def elements(self, tags: Iterable[str]) -> Iterator[etree._Element]:
        """Elements of these tags (`{namespace}name` or `{*}name`) as they end, each freed after its use.

        No entity is resolved, no DTD or network is read; memory stays flat (see `xmlwalk`).

        Raises:
            FeedError: with the line: a bomb, a document type that declares something, truncated, broken UTF-8.
        """
        try:
            yield from elements(self.stream, tags)
        except XmlRefusedError as error:
            raise self.error(str(error), f"line {error.line}" if error.line else "") from error


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is no number of JSON")
