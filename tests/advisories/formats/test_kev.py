from __future__ import annotations

import gzip
import json

import pytest
from feeds import ANY_JSON, SAMPLES, places, read, real, refused_or_read, replaced
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.advisories.formats import kev
from agent.advisories.source import FeedError
from agent.model.advisory import Exploited, Header

KEV = kev.FORMATS[0]
TEXT = (SAMPLES / "lists" / "kev.json").read_text()


def test_the_catalogue_is_a_snapshot_of_its_entries() -> None:
    assert KEV.recognise(TEXT.encode(), "x")
    header, first, second = read(KEV, TEXT)
    assert isinstance(header, Header)
    assert (header.feed, header.scope, header.date, header.snapshot) == (
        "kev/cisa", "*", "2099-08-25T17:04:19Z", True,
    )  # fmt: skip
    assert first == Exploited(
        cve="CVE-2099-5001",
        added="2099-08-25",
        due="2099-09-15",
        ransomware=True,
        name="Acme Anvil Drop Vulnerability",
        action="Apply mitigations.",
    )
    assert isinstance(second, Exploited)
    assert not second.ransomware


def test_an_entry_without_a_cve_or_an_empty_catalogue_is_refused() -> None:
    with pytest.raises(FeedError, match=r"vulnerabilities\[2\]: field 'cveID' holds no CVE id"):
        read(KEV, TEXT.replace("CVE-2099-5002", "CWE-79"))
    with pytest.raises(FeedError, match="without entries"):
        read(KEV, '{"catalogVersion": "1", "vulnerabilities": []}')


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_any_value_anywhere_is_read_or_refused(data: st.DataObject) -> None:
    document = json.loads(TEXT)
    at = data.draw(st.sampled_from(places(document)))
    refused_or_read(KEV, json.dumps(replaced(document, at, data.draw(ANY_JSON))))


def test_the_real_catalogue() -> None:
    found = read(KEV, gzip.decompress(real("kev/known_exploited_vulnerabilities.json.gz")))
    assert len(found) == 1405
    assert sum(isinstance(one, Exploited) and one.ransomware for one in found) > 200
