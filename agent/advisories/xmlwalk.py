"""Walk a large XML document in flat memory: elements of some tags as they end, all others freed.

libxml2's own limits hold (`huge_tree` stays off): 256 to 2,048 levels of depth, 10 MB a text or an attribute, and
its guard of entity amplification. On top of them a document type may not declare anything: neither entities
(billion laughs, quadratic blow-up, external ones) nor attribute defaults, which multiply in the same way.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Literal, TypeAlias, cast

from lxml import etree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    _Events: TypeAlias = Iterator[tuple[str, etree._Element]]  # noqa: SLF001 - the name that lxml-stubs gives it

CHUNK = 64 * 1024
MAX_ELEMENT = 16 * 1024 * 1024
"""Bytes of one element that a format takes whole, and of one start tag; in memory it is twenty-fold."""
MAX_PROLOG = 1024 * 1024
"""Bytes before the root element: a licence, a document type."""
_STEP = 1024
"""Bytes by which the prolog is looked at: over no more than that can attribute defaults multiply unseen."""
_DECLARATIONS = ("<!ENTITY", "<!ATTLIST", "<!NOTATION")


class XmlRefusedError(Exception):
    """What is wrong, and at which line (0: not known)."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.line = line


def elements(stream: IO[bytes], tags: Iterable[str]) -> Iterator[etree._Element]:
    """Elements of these tags (`{namespace}name`, `{*}name` or `name`) as they end, each emptied after its use.

    What stands around them is freed as it is read, unless an element around it is wanted too.

    Raises:
        XmlRefusedError: not well-formed, a declaring document type, or one element beyond MAX_ELEMENT.
    """
    wanted = list(tags)
    try:
        prolog, root_tag = _prolog(stream)
        # The root's start is asked for as well: from there everything that was read can be reached and freed.
        walk = _parser(("start", "end"), [*wanted, root_tag])
        root_only = not any(_matches(pattern, root_tag) for pattern in wanted)
        root: etree._Element | None = None
        around: list[etree._Element] = []
        held = stuck = 0
        front: etree._Element | None = None
        for chunk in _chunks(prolog, stream):
            walk.feed(chunk)
            for event, element in _events(walk):
                if root is None:
                    root = element
                if root_only and element.tag == root_tag:
                    continue
                if event == "start":
                    around.append(element)
                else:
                    around.pop()
                    held = held if around else 0
                    yield element
                    element.clear()
            before, front = front, None if root is None else _prune(root, around[0] if around else None)
            held = held + len(chunk) if around else 0
            stuck = stuck + len(chunk) if front is before else 0
            if max(held, stuck) > MAX_ELEMENT:
                line = _line(around[0] if around else front) if front is not None else 0
                raise XmlRefusedError(f"one element or tag of more than {MAX_ELEMENT >> 20} MiB", line)
        walk.close()
    except etree.XMLSyntaxError as error:
        raise XmlRefusedError(f"not well-formed XML: {error.msg}", error.lineno or 0) from error
    except (etree.LxmlError, ValueError, LookupError) as error:
        raise XmlRefusedError(f"XML that is refused: {error}") from error


def _parser(events: Iterable[Literal["start", "end"]], tag: list[str] | None) -> etree.XMLPullParser:
    return etree.XMLPullParser(
        events=events, tag=tag, resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False,
        attribute_defaults=False, huge_tree=False, recover=False, remove_comments=True, remove_pis=True,
    )  # fmt: skip


def _events(parser: etree.XMLPullParser) -> _Events:
    return cast("_Events", parser.read_events())


def _line(element: etree._Element) -> int:
    return cast("int | None", element.sourceline) or 0


def _chunks(prolog: bytes, stream: IO[bytes]) -> Iterator[bytes]:
    yield prolog
    while chunk := stream.read(CHUNK):
        yield chunk


def _prolog(stream: IO[bytes]) -> tuple[bytes, str]:
    """Read to the root element's start; return what was read and the root's tag. Raises XmlRefusedError."""
    scout = _parser(("start",), None)
    seen = bytearray()
    while chunk := stream.read(_STEP):
        seen += chunk
        scout.feed(chunk)
        for _, root in _events(scout):
            _refuse_declarations(root, bytes(seen))
            return bytes(seen), str(root.tag)
        if len(seen) > MAX_PROLOG:
            raise XmlRefusedError(f"no element in the first {MAX_PROLOG >> 10} KiB")
    scout.close()
    raise XmlRefusedError("no element at all")


def _refuse_declarations(root: etree._Element, seen: bytes) -> None:
    dtd = root.getroottree().docinfo.internalDTD
    if dtd is None:
        return
    named: str = getattr(dtd, "name", None) or ""  # lxml-stubs lack it
    if named.rpartition(":")[2] != etree.QName(root).localname:
        # libxml2 would not write its declarations out again below
        raise XmlRefusedError("its document type is for another root element: no feed does that", _line(root))
    # Written out again, declarations are plain to see in any encoding; in text and attributes `<` is escaped.
    written = etree.tostring(root.getroottree(), encoding="unicode")
    for word in _DECLARATIONS:
        if word in written:
            at = seen.find(word.encode())
            line = seen.count(b"\n", 0, at) + 1 if at >= 0 else _line(root)
            raise XmlRefusedError(f"its document type declares {word.removeprefix('<!')}: no feed does", line)


def _matches(pattern: str, tag: str) -> bool:
    return pattern == tag or (pattern.startswith("{*}") and tag.rpartition("}")[2] == pattern[3:])


def _prune(root: etree._Element, keep: etree._Element | None) -> etree._Element:
    """Free what has ended: along the line of last children, which holds every open element, all but the last.

    What is within `keep` stays. Returns the end of the line: while it stays the same, nothing new was read whole.
    """
    node, free = root, True
    while True:
        free = free and node is not keep
        last = next(node.iterchildren(reversed=True), None)
        if last is None:
            return node
        if free and last.getprevious() is not None:
            del node[:-1]
        node = last
