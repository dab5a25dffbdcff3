from __future__ import annotations

import json

import pytest
from feeds import ANY_JSON, SAMPLES, advisories, places, read, refused_or_read, replaced
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.advisories.formats import redhatcve
from agent.advisories.source import FeedError
from agent.model.advisory import CveNote, Header

REDHAT = redhatcve.FORMATS[0]
ONE, MANY = ((SAMPLES / "cve" / name).read_text() for name in ("redhat-cve.json", "redhat-cves.json"))


def test_a_page_and_a_list_are_recognised() -> None:
    assert REDHAT.recognise(ONE.encode(), "x")
    assert REDHAT.recognise(MANY.encode(), "x")


def test_releases_mend_source_packages_and_states_say_the_rest() -> None:
    (one,) = advisories(REDHAT, ONE).values()
    assert [(row.stream, row.package, row.fixed, row.status.value, row.modules) for row in one.affected] == [
        ("rhel:9", "openssl", "1:3.0.99-27.el9", "fixed", ()),
        ("rhel-eus:8.6", "c-ares", "1.13.0-6.el8_6.1", "fixed", ()),
        ("rhel:7", "nodejs", "", "end_of_life", ()),
        ("rhel:8", "nodejs", "", "will_not_fix", ("nodejs:16",)),
        ("rhel:9", "nodejs", "", "not_affected", ()),
        ("rhel:9", "edk2", "", "affected", ()),
    ]
    assert {row.by for row in one.affected} == {"source"}
    assert (one.severity, one.score) == ("Important", 7.5)


def test_a_list_tells_scores_only() -> None:
    header, note = read(REDHAT, MANY)
    assert isinstance(header, Header)
    assert (header.feed, header.scope) == ("redhat-cve/redhat", "*")
    assert isinstance(note, CveNote)
    assert (note.cve, note.score, note.severity) == ("CVE-2099-4001", 7.5, "important")


def test_a_page_without_a_name_is_refused() -> None:
    with pytest.raises(FeedError, match="'name' holds no CVE id"):
        read(REDHAT, "{}")


PAGES = [json.loads(ONE), json.loads(MANY)]


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_value_anywhere_is_read_or_refused(data: st.DataObject) -> None:
    page = data.draw(st.sampled_from(PAGES))
    at = data.draw(st.sampled_from(places(page)))
    refused_or_read(REDHAT, json.dumps(replaced(page, at, data.draw(ANY_JSON))))
