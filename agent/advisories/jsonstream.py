"""JSON of any length with flat memory: one entry after the other out of a window that slides over the document.

For documents that `Source.json` would have to hold whole: the Debian tracker's 70 MB, NVD's years, arrays of OSV.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Collection, Iterator
from typing import Any

from agent.advisories.source import MAX_DOCUMENT, FeedError, Source

_CHUNK = 1 << 18
_SLACK = 64
"""Characters: an error nearer to the window's end than this may only mean that the rest is not read yet."""
_SPACE = re.compile(r"[ \t\r\n]*")
_NUMBER = "0123456789.eE+-"
"""What may still belong to a number; so may what is not read yet."""


def _refused(name: str) -> Any:  # noqa: ANN401 - called by the decoder, never returns
    raise ValueError(f"{name} is no JSON")


class _Window:
    """The part of the document that is being read."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._text = ""
        self._at = 0
        self._counted = 0
        self._line = 1
        self._end = False
        self._decode = codecs.getincrementaldecoder("utf-8-sig")()
        self._scan = json.JSONDecoder(parse_constant=_refused).raw_decode

    @property
    def line(self) -> int:
        """Line at which the window stands, from 1."""
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line

    def error(self, message: str) -> FeedError:
        """An error at this line."""
        return self.source.error(message, f"line {self.line}")

    def _more(self) -> None:
        """Read on, twice as much each time that one value asks again: a long value is scanned log(n) times."""
        _ = self.line  # counted before what was read is let go
        rest = self._text[self._at :]
        if len(rest) > MAX_DOCUMENT:
            raise self.error(f"one JSON value of more than {MAX_DOCUMENT >> 20} MiB")
        raw = self.source.stream.read(max(_CHUNK, len(rest)))
        self._end = not raw
        try:
            self._text = rest + self._decode.decode(raw, self._end)
        except UnicodeDecodeError as error:
            raise self.error("broken UTF-8 after this line") from error
        self._at = self._counted = 0

    def peek(self) -> str:
        """The next character that is no white space, empty at the end."""
        while True:
            blank = _SPACE.match(self._text, self._at)
            self._at = blank.end() if blank else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if self._end:
                return ""
            self._more()

    def take(self, expected: str) -> None:
        """Step over this character. Raises FeedError when another one stands there."""
        found = self.peek()
        if found != expected:
            raise self.error(f"not JSON: {expected!r} is missing" + (" (the file is cut off)" if not found else ""))
        self._at += 1

    def value(self) -> Any:  # noqa: ANN401 - what JSON holds
        """The next value, whole."""
        self.peek()
        while True:
            try:
                found, end = self._scan(self._text, self._at)
            except json.JSONDecodeError as error:
                open_text = error.msg.startswith("Unterminated string")
                if self._end or (error.pos < len(self._text) - _SLACK and not open_text):
                    cut = " (the file is cut off)" if self._end and error.pos >= len(self._text) - _SLACK else ""
                    line = self.line + self._text.count("\n", self._at, error.pos)
                    raise self.source.error(f"not JSON: {error.msg}{cut}", f"line {line}") from error
            except (RecursionError, ValueError) as error:
                raise self.error("JSON that no feed writes (too deep, or a number too long)") from error
            else:
                whole = isinstance(found, str | dict | list) or self._text[end : end + 1] not in _NUMBER
                if whole or self._end:
                    self._at = end
                    return found
            self._more()

    def elements(self) -> Iterator[tuple[int, Any]]:
        """Lines and elements of the array that begins here."""
        self.take("[")
        if self.peek() == "]":
            self.take("]")
            return
        while True:
            line = self.line
            yield line, self.value()
            if self.peek() == "]":
                break
            self.take(",")
            self.peek()
        self.take("]")

    def close(self) -> None:
        """Nothing may follow. Raises FeedError."""
        if self.peek():
            raise self.error("not JSON: something follows the end")


def values(source: Source) -> Iterator[tuple[int, Any]]:
    """Records of a document with the line of each: an array's elements, one value a line, or a single value.

    Raises:
        FeedError: with the line: not JSON, cut off, broken UTF-8, one value over MAX_DOCUMENT.
    """
    window = _Window(source)
    if window.peek() == "[":
        yield from window.elements()
        window.close()
        return
    if not window.peek():
        raise window.error("an empty document")
    while window.peek():
        line = window.line
        yield line, window.value()


def members(source: Source, into: Collection[str] = ()) -> Iterator[tuple[str, int, Any]]:
    """Members of the object that the document is: key, line, value.

    A key of `into` whose value is an array comes once for each of its elements (NVD: `vulnerabilities`).

    Raises:
        FeedError: as `values`, and when the document is no object.
    """
    window = _Window(source)
    window.take("{")
    while window.peek() != "}":
        key = window.value()
        if not isinstance(key, str):
            raise window.error("not JSON: a key that is no text")
        window.take(":")
        if key in into and window.peek() == "[":
            for line, element in window.elements():
                yield key, line, element
        else:
            window.peek()
            line = window.line
            yield key, line, window.value()
        if window.peek() != "}":
            window.take(",")
            if window.peek() == "}":
                raise window.error("not JSON: a comma before the end of an object")
    window.take("}")
    window.close()
