from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.advisories import xmlwalk
from agent.advisories.source import FeedError, Source

LAUGHS = "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(12))


def source(content: bytes) -> Source:
    return Source("disk!feed", io.BytesIO(content))


def texts(content: bytes, *tags: str) -> list[str]:
    return [element.text or "" for element in source(content).elements(tags or ("{*}x",))]


def peak() -> int:
    """KiB of memory at most, since /proc/self/clear_refs was written."""
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1])


class Endless(io.RawIOBase):
    """A document that repeats itself."""

    def __init__(self, head: bytes, unit: bytes, size: int, tail: bytes) -> None:
        self._unit = unit * (65536 // len(unit) + 1)
        self._left = size
        self._buffer = head
        self._tail = tail

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        while len(self._buffer) < len(buffer) and self._left > 0:
            self._buffer += self._unit
            self._left -= len(self._unit)
            if self._left <= 0:
                self._buffer += self._tail
        data, self._buffer = self._buffer[: len(buffer)], self._buffer[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)


def test_elements_come_by_tag_in_any_encoding():
    assert texts(b"<l><x>1</x><k><x>2</x></k></l>") == ["1", "2"]
    assert texts(b'<l xmlns="u"><x>1</x><y>2</y></l>', "{u}x", "{*}y") == ["1", "2"]
    assert texts(b'<l xmlns="u"><x>1</x></l>', "x") == []
    assert texts(b"<x>a<x>b</x></x>") == ["b", "a"]
    assert texts('<?xml version="1.0" encoding="gb18030"?><l><x>漏洞</x></l>'.encode("gb18030")) == ["漏洞"]
    assert texts('<?xml version="1.0" encoding="utf-16"?><l><x>漏洞</x></l>'.encode("utf-16")) == ["漏洞"]
    assert texts(b"<l><!-- <x>0</x> --><x>a&amp;b&#65;</x><![CDATA[<x>]]></l>") == ["a&bA"]


def test_what_stands_around_a_wanted_element_is_whole_while_it_is_used():
    content = b"<l><pad>" + b"p" * 100 + b"</pad><x><a>1</a><b>" + b"q" * 200_000 + b"</b><c>3</c></x></l>"
    (found,) = ([child.tag for child in element] for element in source(content).elements(["x"]))
    assert found == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("content", "match", "line"),
    [
        (
            f'<?xml version="1.0"?>\n<!DOCTYPE l [\n<!ENTITY a "lol">{LAUGHS}]>\n<l><x>&m;</x></l>'.encode(),
            "ENTITY|ampl",
            0,
        ),
        (f'<!DOCTYPE l [<!ENTITY a "lol">{LAUGHS}]><l><x y="&m;"/></l>'.encode(), "ENTITY|ampl", 0),
        (
            b'<!DOCTYPE l [\n<!ENTITY a "' + b"A" * 50_000 + b'">]>\n<l><x>' + b"&a;" * 50_000 + b"</x></l>",
            "ENTITY|ampl",
            0,
        ),
        (
            b'<?xml version="1.0"?>\n\n<!DOCTYPE l [<!ENTITY a SYSTEM "file:///etc/passwd">]><l><x>&a;</x></l>',
            "ENTITY",
            3,
        ),
        (b'<!DOCTYPE l [<!ENTITY % a SYSTEM "http://example.invalid/x"> %a;]><l><x>1</x></l>', "ENTITY", 1),
        ('<?xml version="1.0" encoding="utf-16"?><!DOCTYPE l [<!ENTITY a "b">]><l/>'.encode("utf-16"), "ENTITY", 0),
        (b'<!DOCTYPE l [<!ATTLIST y z CDATA "' + b"q" * 400 + b'">]><l><y/></l>', "ATTLIST", 1),
        (b"<l>\n<x>1</x>\n<x>", "not well-formed", 3),
        (b"<l>\n<x>\xff\xfe</x></l>", "not well-formed", 2),
        (b"<l>\n<x></y></l>", "not well-formed", 2),
        (b"", "not well-formed|no element", 0),
        (b"no xml", "not well-formed", 1),
        (b"<l/>more", "not well-formed", 1),
        (b'<?xml version="1.0" encoding="nonsense"?><l/>', "not well-formed", 1),
        (b"<a>" * 100_000, "Excessive depth", 1),
        (b"<l><x>\0</x></l>", "not well-formed", 1),
        (b"<l>&undeclared;</l>", "not well-formed", 0),
    ],
)
def test_hostile_xml_is_refused_with_its_line(content, match, line):
    with pytest.raises(FeedError, match=match) as caught:
        texts(content)
    assert caught.value.where.startswith("disk!feed")
    if line:
        assert caught.value.where == f"disk!feed:line {line}"


def test_a_plain_document_type_is_allowed_and_never_loaded(tmp_path):
    (tmp_path / "x.dtd").write_text('<!ENTITY a "loaded">')
    assert texts(f'<!DOCTYPE l SYSTEM "{tmp_path}/x.dtd"><l><x>1</x></l>'.encode()) == ["1"]
    assert texts(b'<!DOCTYPE l SYSTEM "http://192.0.2.1/x.dtd"><l><x>1</x></l>') == ["1"]
    assert texts(b"<!DOCTYPE l [<!ELEMENT l ANY>]><l><x>1</x></l>") == ["1"]


@pytest.mark.parametrize(
    ("head", "unit", "tail", "refused"),
    [
        (b"<l>", b"<x><a b='c'>hello</a><a/></x>\n", b"</l>", False),
        (b"<l><k>", b"<z><a b='c'>hello</a><a/></z>\n", b"</k></l>", False),
        (b"<l><x>", b"<z><a b='c'>hello</a><a/></z>\n", b"</x></l>", True),
        (b"<l><k>", b" ", b"</k></l>", True),
        (b"<l>", b"<!-- nothing -->", b"</l>", True),
        (b"", b"<!-- nothing -->", b"<l/>", True),
        (b"<l><k a='", b"aaaaaaaa", b"'/></l>", True),
        (b"<l><k ", b"b='c' ", b"/></l>", True),
        (b"<l><![CDATA[", b"aaaaaaaa", b"]]></l>", True),
        (b"<l><k", b"aaaaaaaa", b"/></l>", True),
    ],
)
def test_memory_stays_flat_however_long_a_document_is(monkeypatch, head, unit, tail, refused):
    monkeypatch.setattr(xmlwalk, "MAX_ELEMENT", 1 << 20)
    stream = io.BufferedReader(Endless(head, unit, 8 << 20, tail), 1 << 16)
    Path("/proc/self/clear_refs").write_text("5")
    before = peak()
    try:
        for _ in Source("endless", stream).elements(["x"]):
            pass
        assert not refused
    except FeedError:
        assert refused
    # The document is 8 MiB; as a tree it would be more than 100.
    assert peak() - before < 48 << 10


def test_many_large_elements_are_not_taken_for_one(monkeypatch):
    monkeypatch.setattr(xmlwalk, "MAX_ELEMENT", 1 << 20)
    element = b"<x>" + b"<a>hello</a>" * 15_000 + b"</x>"
    content = b"<l>" + element * 12 + b"</l>"
    assert [len(found) for found in source(content).elements(["x"])] == [15_000] * 12


def test_lines_are_numbered_and_bounded():
    assert list(source(b"\xef\xbb\xbfa\r\n\n b \n\xe4\xbb\xbf").lines()) == [(1, b"a"), (3, b"b"), (4, b"\xe4\xbb\xbf")]
    with pytest.raises(FeedError, match="more than 10 bytes") as caught:
        list(source(b"short\n" + b"x" * 11).lines(10))
    assert caught.value.where == "disk!feed:line 2"
    with pytest.raises(FeedError, match="empty lines"):
        list(source(b"a\n" + b"\n" * 200_000).lines())


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"{", "not JSON"),
        (b'{"a": "\xff"}', "broken UTF-8"),
        (b"[" * 100_000, "too deep"),
        (b"9" * 10_000, "number too long"),
        (b'{"a": NaN}', "no feed writes"),
        (b"", "not JSON"),
    ],
)
def test_json_that_is_none_is_refused(content, match):
    with pytest.raises(FeedError, match=match):
        source(content).json()


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_bytes_make_another_error(data):
    whole = bytearray(
        b'<?xml version="1.0"?><!DOCTYPE l SYSTEM "x"><l xmlns="u"><k a="1"><x>t</x></k><x/><!-- c --></l>'
    )
    for _ in range(data.draw(st.integers(0, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        texts(bytes(whole) + data.draw(st.binary(max_size=8)))
    except FeedError:
        return


def test_a_document_type_for_another_root_is_refused():
    raw = b'<!DOCTYPE other [<!ENTITY a "b">]>\n<updates><x y="&a;"/></updates>'
    with pytest.raises(FeedError, match="another root"):
        list(Source("disk/u.xml", io.BytesIO(raw)).elements(["x"]))
