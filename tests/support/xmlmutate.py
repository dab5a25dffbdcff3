"""XML that is wrong in one place: what tests of hostile input draw from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st
from lxml import etree

if TYPE_CHECKING:
    from collections.abc import Callable

WORDS = ("", "x", "-1", "CVE-2099-1", "2099-13-01", "9" * 400, "\u202e", "\u00a0", "is earlier than", "^(a+)+$", "\t")
"""Texts that parsers stumble over."""


def mutated(raw: bytes) -> st.SearchStrategy[bytes]:
    """The document with a byte flipped, cut off, or with an element or attribute dropped, doubled or rewritten."""
    return st.one_of(_flipped(raw), st.integers(0, len(raw)).map(lambda at: raw[:at]), _rewritten(raw))


@st.composite
def _flipped(draw: Callable[[st.SearchStrategy[int]], int], raw: bytes) -> bytes:
    at, value = draw(st.integers(0, len(raw) - 1)), draw(st.integers(0, 255))
    return raw[:at] + bytes([value]) + raw[at + 1 :]


@st.composite
def _rewritten(draw: Callable[[st.SearchStrategy[int]], int], raw: bytes) -> bytes:
    root = etree.fromstring(raw)
    elements = [one for one in root.iter("*") if one is not root]
    one = elements[draw(st.integers(0, len(elements) - 1))]
    parent = one.getparent()
    if parent is None:
        return raw
    word = WORDS[draw(st.integers(0, len(WORDS) - 1))]
    how = draw(st.integers(0, 4))
    keys = list(one.attrib)
    if how == 0:
        parent.remove(one)
    elif how == 1:
        parent.append(etree.fromstring(etree.tostring(one)))
    elif how in {2, 3} and keys:
        key = keys[draw(st.integers(0, len(keys) - 1))]
        if how == 2:
            del one.attrib[key]
        else:
            one.set(key, word)
    else:
        one.text = word
    return etree.tostring(root)
