"""Every importer against mutated documents: whatever comes out is a record or a FeedError, soon.

Seconds for all of them in `make test`, minutes in `make campaign`; AGENT_SEED repeats a run.
"""

from __future__ import annotations

import os
import random
import time
from contextlib import suppress

import pytest
from feeds import SAMPLES, read

from agent.advisories import formats
from agent.advisories.source import FeedError

SEED = os.environ.get("AGENT_SEED", "2027")
SLOW = 5.0
"""Seconds that no document of a few KiB may take."""
WORDS = (
    b"", b"\x00", b"\xff\xfe", b"<", b"&a;", b"]]>", b'"', b"{", b"[", b"null", b"1e999", b"-1", b"9" * 400, b"0:0-0",
    b"CVE-2099-1", b"2099-13-01", "\u202e".encode(), b"\xed\xa0\x80", b"../../x", b"\n", b" " * 3000,
)  # fmt: skip
FILES = sorted(path for path in SAMPLES.rglob("*") if path.is_file())


def mutated(raw: bytes, chance: random.Random) -> bytes:
    """The document with one to six places flipped, cut, doubled, or filled with what parsers stumble over."""
    data = bytearray(raw)
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(data) + 1)
        end = min(len(data), at + chance.choice((0, 1, 1, 2, 8, 40)))
        how = chance.randrange(5)
        if how == 0:
            data[at:end] = chance.choice(WORDS)
        elif how == 1:
            data[at:end] = bytes([chance.randrange(256)])
        elif how == 2:
            data[at:end] = data[at:end] * chance.randint(2, 30)
        elif how == 3:
            other = chance.randrange(len(data) + 1)
            data[at:end] = data[other : other + 60]
        else:
            del data[at : at + chance.choice((1, 5, 50, 5000))]
    return bytes(data)


@pytest.mark.parametrize("seconds", [0.15, pytest.param(20.0, marks=pytest.mark.campaign)])
@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SAMPLES)))
def test_no_mutated_document_leads_to_another_error(path, seconds):
    raw = path.read_bytes()
    form = next(one for one in formats.ALL if one.recognise(raw[:65536], path.name))
    chance = random.Random(f"{SEED}{path.name}")
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        document = mutated(raw, chance)
        begun = time.monotonic()
        with suppress(FeedError):
            read(form, document, path.name)
        assert time.monotonic() - begun < SLOW, document[:2000]
