from __future__ import annotations

import gzip
import json

import pytest
from feeds import ANY_JSON, SAMPLES, advisories, places, read, real, refused_or_read, replaced
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.advisories.formats import changelogs, debian
from agent.advisories.source import FeedError
from agent.model.advisory import Advisory, Authority, Header, Status

TRACKER, LISTS = debian.FORMATS
CHANGELOGS = changelogs.FORMATS[0]
FOLDER = SAMPLES / "debian"
JSON = (FOLDER / "tracker.json").read_text()
LIST = (FOLDER / "DSA-list").read_text()
FACTS = (FOLDER / "changelogs.jsonl").read_text()


def test_each_format_recognises_its_own_only() -> None:
    for form, text in ((TRACKER, JSON), (LISTS, LIST), (CHANGELOGS, FACTS)):
        assert [one for one in (TRACKER, LISTS, CHANGELOGS) if one.recognise(text.encode(), "x")] == [form]
    assert not LISTS.recognise(b"389-ds-base;cpe:/a:fedoraproject:389_directory_server\n", "CPE-list")


def test_the_trackers_states_become_statuses() -> None:
    found = [one for one in read(TRACKER, JSON) if isinstance(one, Advisory)]
    assert [one.id for one in found] == ["CVE-2099-1001", "TEMP-0000001-ABCDEF", "CVE-2099-1001"]
    kettle, temporary, spout = found
    assert (kettle.severity, kettle.cves, temporary.cves) == ("high", ("CVE-2099-1001",), ())
    assert [(row.stream, row.status, row.fixed) for row in kettle.affected] == [
        ("debian:12", Status.FIXED, "2.0-1+deb12u2"),
        ("debian:11", Status.NOT_AFFECTED, ""),
        ("debian:sid", Status.AFFECTED, ""),
    ]
    assert [row.status for row in temporary.affected] == [Status.UNDER_INVESTIGATION]
    assert [(row.stream, row.status) for row in spout.affected] == [
        ("debian:12", Status.DEFERRED),
        ("debian:11", Status.WILL_NOT_FIX),
        ("debian:13", Status.DEFERRED),
        ("debian:10", Status.END_OF_LIFE),
        ("debian:14", Status.AFFECTED),
    ]
    assert {(row.package, row.by) for row in spout.affected} == {("spout", "source")}


def test_the_tracker_is_a_snapshot() -> None:
    header = read(TRACKER, JSON)[0]
    assert isinstance(header, Header)
    assert (header.feed, header.scope, header.snapshot) == ("debian-tracker/debian", "*", True)


@pytest.mark.parametrize(
    ("broken", "where"),
    [
        ('{"kettle": {"CVE-2099-1": {"releases": {"sid": {"status": "odd"}}}}}', "line 1 kettle CVE-2099-1"),
        ('{"kettle": {},\n "spout": 5}', "line 2 spout"),
        ('{"kettle": {"CVE-2099-1": {"releases": {', "line 1"),
        ("[]", "line 1"),
    ],
)
def test_a_broken_tracker_is_refused_with_its_place(broken: str, where: str) -> None:
    with pytest.raises(FeedError) as caught:
        read(TRACKER, broken, "disk/json")
    assert caught.value.where == f"disk/json:{where}"


def test_a_list_has_an_advisory_for_each_head() -> None:
    header, *_ = read(LISTS, LIST)
    assert isinstance(header, Header)
    assert (header.feed, header.snapshot) == ("debian-dsa/debian", True)
    found = advisories(LISTS, LIST)
    assert list(found) == ["DSA-9380-1", "DSA-9356-2", "DSA-9355-1", "DSA-422"]
    kettle, regression, spout, old = found.values()
    assert kettle.title == "kettle - security update"
    assert kettle.cves == ("CVE-2099-139", "CVE-2099-1393", "CVE-2099-1400")
    assert kettle.published == "2099-03-29T00:00:00Z"
    assert [(row.stream, row.fixed, row.status) for row in kettle.affected] == [
        ("debian:12", "2:1.20.11-1+deb12u6", Status.FIXED),
        ("debian:11", "", Status.NOT_AFFECTED),
    ]
    assert (regression.cves, [row.fixed for row in regression.affected]) == ((), ["14.4.2+git-2+deb11u2"])
    assert [row.status for row in spout.affected] == [Status.END_OF_LIFE, Status.AFFECTED]
    assert old.affected == ()


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("[29 Mar 2099] DSA-1-1 a - b\n\tnonsense\n", "line 2"),
        ("[29 Mar 2099] DSA-1-1 a - b\n\t[sid] - a 1.0\n[31 Foo 2099] DSA-2-1 c - d\n", "line 3"),
        ("\t{CVE-2099-1}\n", "line 1"),
        ("", ""),
    ],
)
def test_a_broken_list_is_refused_with_its_line(text: str, where: str) -> None:
    with pytest.raises(FeedError) as caught:
        read(LISTS, text, "disk/list")
    assert caught.value.where == ("disk/list:" + where).rstrip(":")


def test_changelogs_count_for_the_release_that_an_upload_was_made_for() -> None:
    header, *_ = read(CHANGELOGS, FACTS, "disk/bookworm.jsonl")
    assert isinstance(header, Header)
    assert (header.feed, header.scope, header.authority) == ("changelog/debian", "bookworm.jsonl", Authority.CHANGELOG)
    rows = {(one.id, row.stream, row.by) for one in advisories(CHANGELOGS, FACTS).values() for row in one.affected}
    assert rows == {
        ("changelog:kettle-2.0-1+deb12u2", "debian:12", "source"),
        ("changelog:kettle-2.0-1+deb12u3", "debian:12", "source"),
        ("changelog:linux-6.1.999-1", "debian:12", "source"),
        ("changelog:spout-1.0-2", "debian:7", "source"),
        ("changelog:spout-1.0-2ubuntu1", "ubuntu:20.10", "source"),
    }
    assert advisories(CHANGELOGS, FACTS)["changelog:kettle-2.0-1+deb12u2"].cves == ("CVE-2099-838", "CVE-2099-10838")


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_value_in_any_field_is_read_or_refused(data: st.DataObject) -> None:
    form, record = data.draw(
        st.sampled_from([(TRACKER, json.loads(JSON))] + [(CHANGELOGS, json.loads(one)) for one in FACTS.splitlines()])
    )
    at = data.draw(st.sampled_from(places(record)))
    refused_or_read(form, json.dumps(replaced(record, at, data.draw(ANY_JSON))))


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="[]{}<>-_ \n\t20MarDSAkettl\u202e\ud800", max_size=60), st.integers(0, len(LIST)))
def test_hostile_lines_are_read_or_refused(text: str, at: int) -> None:
    refused_or_read(LISTS, LIST[:at] + text + LIST[at:])


@pytest.mark.parametrize(("name", "count", "rows"), [("DSA-list", 5406, 6987), ("DLA-list", 3534, 3535)])
def test_the_real_lists_are_read_whole(name: str, count: int, rows: int) -> None:
    found = advisories(LISTS, gzip.decompress(real(f"debian-dsa/{name}.gz")))
    assert (len(found), sum(len(one.affected) for one in found.values())) == (count, rows)


def test_the_real_changelogs_give_the_uploads_to_bookworm() -> None:
    content = real("debian-bookworm/bookworm-changelog-cves.jsonl.zst")
    assert CHANGELOGS.recognise(content[:65536], "x")
    streams = [row.stream for one in advisories(CHANGELOGS, content).values() for row in one.affected]
    assert streams.count("debian:12") == 287  # 285 to suites of bookworm, two that only the version marks
