"""Where the tests of advisories find their samples and, where somebody has them, the real feeds."""

from __future__ import annotations

import contextlib
import io
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import pytest
import zstandard
from hypothesis import strategies as st

from agent.advisories.source import FeedError, Source
from agent.model.advisory import Advisory, Header, Record

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "tests" / "advisories" / "samples"
ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["", "0", "CVE-2099-1", "\ud800", "\u202e", "2099-13-01", "9" * 400, 10**400]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
"""Any JSON value, with those that parsers stumble over."""


class Format(Protocol):
    name: str

    def recognise(self, head: bytes, name: str) -> bool: ...

    def read(self, source: Source) -> Any: ...


def real(path: str) -> bytes:
    """A real feed's content, decompressed; skips the test where the feeds are not there."""
    folder = Path(os.environ.get("AGENT_TEST_FEEDS") or ROOT.parent / "shared" / "feeds")
    file = folder / path
    if not file.is_file():
        pytest.skip(f"no real feed {path}: set AGENT_TEST_FEEDS to the folder of feeds")
    raw = file.read_bytes()
    return zstandard.ZstdDecompressor().stream_reader(io.BytesIO(raw)).read() if path.endswith(".zst") else raw


def source(content: bytes | str, name: str) -> Source:
    return Source(name, io.BytesIO(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content))


def read(form: Format, content: bytes | str, name: str = "disk/sample") -> list[Header | Record]:
    return list(form.read(source(content, name)))


def advisories(form: Format, content: bytes | str, name: str = "disk/sample") -> dict[str, Advisory]:
    return {one.id: one for one in read(form, content, name) if isinstance(one, Advisory)}


def refused_or_read(form: Format, content: bytes | str, name: str = "disk/sample") -> None:
    """Whatever the content: a list of records, or the one declared error."""
    with contextlib.suppress(FeedError):
        for record in read(form, content, name):
            json.dumps(asdict(record), ensure_ascii=False).encode()  # no lone surrogate came through


def places(value: Any, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place in a JSON value."""
    found = [at]
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        found += places(one, (*at, key))
    return found


def replaced(value: Any, at: tuple[str | int, ...], by: Any) -> Any:
    """The JSON value with another value at one place."""
    if not at:
        return by
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[at[0]] = replaced(copy[at[0]], at[1:], by)
    return copy
