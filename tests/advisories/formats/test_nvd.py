from __future__ import annotations

import json

import pytest
from feeds import ANY_JSON, SAMPLES, advisories, places, read, real, refused_or_read, replaced
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.advisories.formats import nvd
from agent.advisories.source import FeedError
from agent.model.advisory import Authority, CveNote, Header, Status

NVD = nvd.FORMATS[0]


def sample(name: str) -> str:
    return (SAMPLES / "cve" / name).read_text()


def test_pages_and_lines_are_recognised() -> None:
    assert NVD.recognise(sample("nvd-api.json").encode(), "x")
    assert NVD.recognise(b"\xef\xbb\xbf" + sample("nvd-lines.jsonl").encode(), "x")
    assert not NVD.recognise((SAMPLES / "lists" / "kev.json").read_bytes(), "kev.json")


def test_the_header_is_of_nist_and_bears_the_timestamp() -> None:
    assert read(NVD, sample("nvd-api.json"))[0] == Header(
        "nvd/nist", "*", "NVD", Authority.NVD, "2099-05-01T00:00:00Z", "public domain"
    )


def test_ranges_exact_versions_and_what_a_range_excludes() -> None:
    one = advisories(NVD, sample("nvd-api.json"))["CVE-2099-2001"]
    shown = [(row.package, row.introduced, row.fixed, row.last, row.versions, row.status.value) for row in one.affected]
    assert shown == [
        ("apache:tomcat", "9.0.1", "9.0.99", "", (), "fixed"),
        ("redis:redis", "6.0.0", "", "6.2.1", (), "affected"),
        ("openbsd:openssh", "", "", "7.2p2", (), "affected"),
        ("oracle:weblogic_server", "", "", "", (), "affected"),
        ("apache:tomcat", "", "", "", ("9.0.0-m1", "9.0.0"), "affected"),
        ("vendor:x:odd!name", "", "", "", ("1.0+b",), "affected"),
        ("redis:redis", "", "", "", ("6.0.0",), "not_affected"),
    ]
    assert {(row.stream, row.by) for row in one.affected} == {("cpe", "product")}


def test_nvds_own_score_is_taken_before_others_and_version_2_last() -> None:
    notes = {one.cve: one for one in read(NVD, sample("nvd-api.json")) if isinstance(one, CveNote)}
    assert (notes["CVE-2099-2001"].score, notes["CVE-2099-2001"].severity) == (9.8, "CRITICAL")
    assert notes["CVE-2099-2001"].title == "A flaw of the sample in two lines"
    assert (notes["CVE-2099-2003"].score, notes["CVE-2099-2003"].severity) == (5.3, "MEDIUM")


def test_a_rejected_cve_takes_its_advisory_back() -> None:
    found = read(NVD, sample("nvd-api.json"))
    assert [one.rejected for one in found if isinstance(one, CveNote)] == [False, True, False]
    taken = advisories(NVD, sample("nvd-api.json"))
    assert taken["CVE-2099-2002"].withdrawn
    assert "CVE-2099-2003" not in taken


def test_lines_are_read_as_a_page_is() -> None:
    one = advisories(NVD, sample("nvd-lines.jsonl"))["CVE-2099-2004"]
    assert [row.versions for row in one.affected] == [("5.1.0", "5.0.0-beta2")]
    assert one.affected[0].status is Status.AFFECTED


def test_a_cut_or_wrong_document_is_refused_with_its_line() -> None:
    with pytest.raises(FeedError, match="disk/sample:line"):
        read(NVD, sample("nvd-api.json")[:900])
    with pytest.raises(FeedError, match=r"line 2: field 'id' holds no CVE id"):
        read(NVD, sample("nvd-lines.jsonl").replace("CVE-2099-2005", "CVE-x"))
    with pytest.raises(FeedError, match="without CVEs"):
        read(NVD, '{"format": "NVD_CVE", "vulnerabilities": []}')


PAGE = json.loads(sample("nvd-api.json"))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_value_anywhere_is_read_or_refused(data: st.DataObject) -> None:
    at = data.draw(st.sampled_from(places(PAGE)))
    refused_or_read(NVD, json.dumps(replaced(PAGE, at, data.draw(ANY_JSON))))


def test_the_real_feed() -> None:
    found = read(NVD, real("nvd/nvd-middleware.jsonl.zst"), "nvd-middleware.jsonl")
    notes = [one for one in found if isinstance(one, CveNote)]
    assert len(notes) == 3002
    rows = advisories(NVD, real("nvd/nvd-middleware.jsonl.zst"))["CVE-2018-8034"].affected
    assert ("8.0.0", "8.0.52") in {(row.introduced, row.last) for row in rows}
    assert any("9.0.0-m1" in row.versions for row in rows)
