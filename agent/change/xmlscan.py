"""XML of Tomcat's configuration, scanned so that every element and attribute is known by its place. Pure; any text may come.

No parser of a library keeps the bytes of what it read. This one knows elements, attributes, comments, CDATA sections and
processing instructions; a DOCTYPE is refused, for it may include what is not seen here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_NAME = re.compile(r"[A-Za-z_][-A-Za-z0-9_:.]*")
_ATTRIBUTE = re.compile(r"\s+([A-Za-z_:][-A-Za-z0-9_:.]*)\s*=\s*(?:\"([^\"<]*)\"|'([^'<]*)')")
_DEPTH = 60
_SKIPPED = (("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>"))


class XmlScanError(ValueError):
    """This is no XML that is dealt with here. Its text names the line."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of an element."""

    value: str
    start: int
    end: int
    """Offsets of the value, quotes not included."""


@dataclass(slots=True)
class Element:
    """An element. Offsets are of the text."""

    tag: str
    attributes: dict[str, Attribute]
    start: int
    opened: int
    """Just behind the `>` of its start tag."""
    bare: bool
    """`<a/>`."""
    last: int
    """Behind its last attribute, or behind its name: where a further one goes."""
    inner_end: int = 0
    """Where its end tag begins; `opened` for a bare one."""
    end: int = 0
    children: list[Element] = field(default_factory=list)
    parent: Element | None = None

    def get(self, name: str, default: str = "") -> str:
        """An attribute's value."""
        found = self.attributes.get(name)
        return found.value if found else default

    @property
    def kind(self) -> str:
        """The last part of its `className`."""
        return self.get("className").rpartition(".")[2]

    def every(self, tag: str) -> list[Element]:
        """All elements of that name within it, itself included, in their order."""
        found, todo = [], [self]
        while todo:
            one = todo.pop()
            if one.tag == tag:
                found.append(one)
            todo += reversed(one.children)
        return found


def scan(text: str) -> Element:
    """The root element. Raises XmlScanError."""
    root: Element | None = None
    open_: list[Element] = []
    at = 0
    while (at := text.find("<", at)) >= 0:
        skipped = _behind(text, at)
        if skipped:
            at = skipped
        elif text.startswith("</", at):
            at = _closed(text, at, open_)
        else:
            one = _opened(text, at)
            if open_:
                one.parent = open_[-1]
                open_[-1].children.append(one)
            elif root:
                raise XmlScanError(f"line {_line(text, at)}: a second root element")
            root = root or one
            if not one.bare:
                open_.append(one)
            if len(open_) > _DEPTH:
                raise XmlScanError(f"line {_line(text, at)}: too many elements in one another")
            at = one.opened
    if root is None or open_:
        raise XmlScanError(f"<{open_[-1].tag}> is not closed" if open_ else "there is no element")
    return root


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def _behind(text: str, at: int) -> int:
    """The end of a comment, CDATA section or instruction that begins there; 0 when none does."""
    for begin, finish in _SKIPPED:
        if text.startswith(begin, at):
            end = text.find(finish, at + len(begin))
            if end < 0:
                raise XmlScanError(f"line {_line(text, at)}: {begin} is not closed")
            return end + len(finish)
    if text.startswith("<!", at):
        raise XmlScanError(f"line {_line(text, at)}: a DOCTYPE is not followed")
    return 0


def _opened(text: str, start: int) -> Element:
    name = _NAME.match(text, start + 1)
    if not name:
        raise XmlScanError(f"line {_line(text, start)}: no element's name follows <")
    attributes: dict[str, Attribute] = {}
    at = name.end()
    while hit := _ATTRIBUTE.match(text, at):
        group = 2 if hit[2] is not None else 3
        if hit[1] in attributes:
            raise XmlScanError(f"line {_line(text, at)}: attribute {hit[1]} twice")
        attributes[hit[1]] = Attribute(hit[group], hit.start(group), hit.end(group))
        at = hit.end()
    stop = at
    while stop < len(text) and text[stop] in " \t\r\n":
        stop += 1
    bare = text.startswith("/>", stop)
    if not bare and not text.startswith(">", stop):
        raise XmlScanError(f"line {_line(text, stop)}: the tag of <{name[0]}> is malformed")
    end = stop + (2 if bare else 1)
    return Element(name[0], attributes, start, end, bare, at, end if bare else 0, end if bare else 0)


def _closed(text: str, at: int, open_: list[Element]) -> int:
    name = _NAME.match(text, at + 2)
    end = text.find(">", at)
    if not name or end < 0 or text[name.end() : end].strip() or not open_ or open_[-1].tag != name[0]:
        raise XmlScanError(f"line {_line(text, at)}: an end tag that closes nothing")
    one = open_.pop()
    one.inner_end, one.end = at, end + 1
    return end + 1
