from __future__ import annotations

import json
from dataclasses import replace

import pytest
from feeds import ANY_JSON, SAMPLES, advisories, places, read, refused_or_read, replaced
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.advisories.formats import csaf, csaftree
from agent.advisories.source import FeedError
from agent.model.advisory import Advisory, Affected, Authority, CveNote, Header, Scheme, Status

CSAF = csaf.FORMATS[0]
FOLDER = SAMPLES / "csaf"
V = "18.99.1-2.module+el8.9.0+1+abcdef01"


def sample(name: str) -> str:
    return (FOLDER / name).read_text()


def rows(name: str) -> list[tuple[str, ...]]:
    (one,) = advisories(CSAF, sample(name)).values()
    return [(row.stream, row.package, row.by, row.fixed, row.status.value) for row in one.affected]


def test_every_sample_is_recognised() -> None:
    assert all(CSAF.recognise(path.read_bytes(), path.name) for path in FOLDER.iterdir())
    assert not CSAF.recognise(b'{"document": {"title": "x"}}', "x.json")


@pytest.mark.parametrize(
    ("name", "feed", "scope", "ecosystem", "date"),
    [
        ("rhsa.json", "csaf/redhat", "RHSA-2099:0001", "Red Hat", "2099-03-02T02:00:00Z"),
        ("vex.json", "csaf-vex/redhat", "CVE-2099-1003", "Red Hat", "2099-04-01T00:00:00Z"),
        ("openeuler.json", "csaf/openeuler", "openEuler-SA-2099-1001", "openEuler", "2099-03-29T06:31:53Z"),
    ],
)
def test_the_header_tells_advisories_and_vex_apart(name: str, feed: str, scope: str, ecosystem: str, date: str) -> None:
    header = read(CSAF, sample(name))[0]
    assert isinstance(header, Header)
    assert replace(header, licence="") == Header(feed, scope, ecosystem, Authority.VENDOR, date)


def test_extended_streams_keep_apart_and_a_layered_product_is_left_out() -> None:
    assert rows("rhsa.json") == [
        ("rhel-eus:8.6", "kernel", "binary", "4.18.0-999.1.el8", "fixed"),
        ("rhel:8", "kernel", "binary", "4.18.0-999.1.el8", "fixed"),
        ("rhel:8", "kernel", "binary", "4.18.0-999.2.el8", "fixed"),
        ("rhel:8", "kernel-headers", "binary", "", "not_affected"),
        ("rhel:8", "lonely", "source", "2.0-1.el8", "fixed"),
        ("rhel:8", "nodejs", "binary", f"1:{V}", "fixed"),
        ("rhel:8", "rubygems", "binary", "3.5.16-3.module+el8.10.0+2+6a48b0b9", "fixed"),
    ]


def test_modules_architectures_restarts_and_own_cves() -> None:
    (one,) = advisories(CSAF, sample("rhsa.json")).values()
    by_name = {(row.stream, row.package, row.fixed): row for row in one.affected}
    assert by_name["rhel:8", "nodejs", f"1:{V}"].modules == ("nodejs:18",)
    assert by_name["rhel:8", "nodejs", f"1:{V}"].modular
    assert by_name["rhel:8", "rubygems", "3.5.16-3.module+el8.10.0+2+6a48b0b9"].modules == ("ruby:3.1",)
    assert by_name["rhel:8", "kernel", "4.18.0-999.1.el8"].arches == ("x86_64",)
    assert by_name["rhel:8", "kernel", "4.18.0-999.2.el8"].arches == ("s390x",)
    assert by_name["rhel-eus:8.6", "kernel", "4.18.0-999.1.el8"].arches == ()
    assert by_name["rhel:8", "kernel", "4.18.0-999.1.el8"].reboot
    assert not by_name["rhel:8", "lonely", "2.0-1.el8"].reboot
    assert by_name["rhel:8", "lonely", "2.0-1.el8"].cves == ()
    assert by_name["rhel:8", "kernel", "4.18.0-999.2.el8"].cves == ("CVE-2099-1001",)
    assert by_name["rhel:8", "kernel-headers", ""].introduced == "4.18.0-999.1.el8"


def test_an_advisory_has_the_worst_score_and_each_cve_its_own() -> None:
    _, one, *notes = read(CSAF, sample("rhsa.json"))
    assert isinstance(one, Advisory)
    assert (one.severity, one.score, one.cves) == ("Important", 7.8, ("CVE-2099-1001", "CVE-2099-1002"))
    assert one.url == "https://example.test/errata/RHSA-2099:0001"
    assert [(note.cve, note.score, note.severity) for note in notes if isinstance(note, CveNote)] == [
        ("CVE-2099-1001", 7.8, "Important"),
        ("CVE-2099-1002", 5.3, "Moderate"),
    ]


def test_what_is_not_mended_bears_the_vendors_word_and_its_module() -> None:
    (one,) = advisories(CSAF, sample("vex.json")).values()
    assert one.title == "nodejs: a third flaw of the sample"
    assert [(row.stream, row.package, row.by, row.status, row.modules) for row in one.affected] == [
        ("rhel:7", "nodejs", "source", Status.END_OF_LIFE, ()),
        ("rhel:8", "nodejs", "source", Status.DEFERRED, ("nodejs:20",)),
        ("rhel:8", "nodejs", "source", Status.WILL_NOT_FIX, ("nodejs:16",)),
        ("rhel:9", "nodejs", "source", Status.NOT_AFFECTED, ()),
    ]


def test_a_comma_before_the_end_is_passed_over_but_not_within_a_text() -> None:
    one = advisories(CSAF, sample("openeuler.json"))["openEuler-SA-2099-1001"]
    assert one.affected == (Affected("openeuler:22.03-lts-sp3", "vim-common", Scheme.RPM, fixed="9.9-33.oe2203sp3"),)
    note = read(CSAF, sample("openeuler.json"))[2]
    assert isinstance(note, CveNote)
    assert note.title == 'Vim of the sample, a "text" editor, reads [a, ] too far.'


def test_a_document_about_other_products_has_no_rows() -> None:
    text = sample("vex.json").replace("cpe:/o:redhat:enterprise_linux", "cpe:/a:example:own_product")
    (one,) = advisories(CSAF, text).values()
    assert one.affected == ()


@pytest.mark.parametrize(
    ("purl", "found"),
    [
        ("pkg:rpm/redhat/a%2Bb@1%3A2-3?arch=x86_64", ("a+b", "1:2-3", "x86_64", "")),
        ("pkg:rpm/redhat/x@1-1?arch=src&rpmmod=rhel10", ("x", "1-1", "src", "")),
        ("pkg:rpmmod/redhat/ruby:2.6/ruby", ("ruby", "", "", "ruby:2.6")),
    ],
)
def test_purls_of_packages(purl: str, found: tuple[str, str, str, str]) -> None:
    assert csaftree._of_purl(purl) == csaftree.Component(*found)


def test_purls_of_other_things_are_no_packages() -> None:
    assert csaftree._of_purl("pkg:oci/x@sha256:1?arch=amd64") is None
    assert csaftree._of_purl("pkg:rpmmod/redhat/ruby@3.0:806:ad") is None


def test_a_broken_document_is_refused_with_its_place() -> None:
    with pytest.raises(FeedError, match="disk/sample"):
        read(CSAF, sample("rhsa.json")[:3000])
    text = sample("rhsa.json").replace('"cve": "CVE-2099-1002"', '"cve": 5')
    with pytest.raises(FeedError, match=r"RHSA-2099:0001, vulnerabilities\[2\].*'cve' is a number"):
        read(CSAF, text)


RHSA, VEX = json.loads(sample("rhsa.json")), json.loads(sample("vex.json"))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_value_anywhere_is_read_or_refused(data: st.DataObject) -> None:
    document = data.draw(st.sampled_from([RHSA, VEX]))
    at = data.draw(st.sampled_from(places(document)))
    refused_or_read(CSAF, json.dumps(replaced(document, at, data.draw(ANY_JSON))))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_bytes_are_read_or_refused(data: st.DataObject) -> None:
    raw = sample("openeuler.json").encode()
    cut = data.draw(st.integers(0, len(raw)))
    refused_or_read(CSAF, raw[:cut] + data.draw(st.binary(max_size=8)) + raw[cut + data.draw(st.integers(0, 40)) :])
