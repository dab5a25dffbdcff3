from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.advisories import jsonstream
from agent.advisories.source import FeedError, Source

ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


class Dripping(io.BytesIO):
    """Gives one byte more with each reading, so that every value is cut somewhere."""

    def __init__(self, raw: bytes) -> None:
        super().__init__(raw)
        self.size = 0

    def read(self, size: int | None = -1) -> bytes:  # noqa: ARG002 - a reader may give less than asked for
        self.size += 1
        return super().read(self.size)


def source(text: str | bytes) -> Source:
    return Source("disk/feed.json", Dripping(text.encode() if isinstance(text, str) else text))


@settings(max_examples=50)
@given(st.lists(ANY, max_size=5), st.sampled_from([None, 2]))
def test_an_array_comes_element_by_element_wherever_it_is_cut(found: list[Any], indent: int | None) -> None:
    assert [value for _, value in jsonstream.values(source(json.dumps(found, indent=indent)))] == found


@settings(max_examples=50)
@given(st.lists(st.dictionaries(st.text(max_size=5), ANY, max_size=3), min_size=1, max_size=5))
def test_one_value_a_line_has_its_line(found: list[Any]) -> None:
    text = "\n\n".join(json.dumps(value, ensure_ascii=False) for value in found)
    assert list(jsonstream.values(source(text))) == [(2 * at + 1, value) for at, value in enumerate(found)]


@settings(max_examples=50)
@given(st.dictionaries(st.text(max_size=5), ANY, max_size=5))
def test_members_come_one_by_one(found: dict[str, Any]) -> None:
    assert [(key, value) for key, _, value in jsonstream.members(source(json.dumps(found)))] == list(found.items())


def test_an_array_within_is_taken_apart_when_asked_for() -> None:
    text = '{"total": 12, "cves": [\n{"id": 1},\n{"id": 2}], "empty": []}'
    assert list(jsonstream.members(source(text), into={"cves", "empty"})) == [
        ("total", 1, 12), ("cves", 2, {"id": 1}), ("cves", 3, {"id": 2}),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('[{"a": 1},\n{"b": ', "line 2"),
        ('[{"a": 1},\n{"b": 2}', "line 2"),
        ('{"a": 1}\n{"b": nonsense}' + " " * 100, "line 2"),
        ('{"a": NaN}', "line 1"),
        ('{"a": "' + "x" * 400, "line 1"),
        ("[1] 2", "line 1"),
        ("[1 2]", "line 1"),
        ("[1,]", "line 1"),
        ("[" * 100_000, "line 1"),
        ("", "line 1"),
        (b'{"a": "\xff\xfe"}', "line 1"),
    ],
)
def test_what_is_no_json_is_refused_with_its_line(text: str | bytes, where: str) -> None:
    with pytest.raises(FeedError) as caught:
        list(jsonstream.values(source(text)))
    assert caught.value.where == f"disk/feed.json:{where}"


@settings(max_examples=50)
@given(st.text(alphabet='{}[],:"\\ 1e-tn', max_size=30))
def test_hostile_text_is_refused_or_read(text: str) -> None:
    for read in (jsonstream.values, jsonstream.members):
        try:
            list(read(source(text)))
        except FeedError:
            continue


def test_a_value_that_never_ends_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonstream, "MAX_DOCUMENT", 5000)
    endless = Source("disk/feed.json", io.BytesIO(b'["' + b"x" * 2_000_000))
    with pytest.raises(FeedError, match="one JSON value of more than"):
        list(jsonstream.values(endless))
