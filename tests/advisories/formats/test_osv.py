from __future__ import annotations

import json
from typing import Any

import pytest
from feeds import ANY_JSON, SAMPLES, advisories, places, read, real, refused_or_read, replaced
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.advisories.formats import osv, osv_distro
from agent.advisories.source import FeedError
from agent.model.advisory import Advisory, Affected, Authority, Header, Scheme, Status

OSV = osv.FORMATS[0]
FOLDER = SAMPLES / "osv"


def sample(name: str) -> str:
    return (FOLDER / name).read_text()


def short(row: Affected) -> tuple[str, ...]:
    return (row.stream, row.package, row.by, row.introduced, row.fixed, row.last, row.status.value)


def test_every_sample_is_recognised_and_an_index_is_not() -> None:
    for path in FOLDER.iterdir():
        assert OSV.recognise(path.read_bytes()[:65536], path.name), path.name
    assert not OSV.recognise(b'[{"id":"OESA-2099-1001","modified":"2099-01-21T11:02:32Z"}]', "all.json")
    assert not OSV.recognise(b'{"document": {"category": "csaf_security_advisory"}, "id": 1, "modified": 2}', "x.json")


def test_a_dump_has_a_header_where_the_ecosystem_changes() -> None:
    headers = [one for one in read(OSV, sample("mixed.jsonl"), "disk/a.zip!mixed.jsonl") if isinstance(one, Header)]
    assert [(one.feed, one.scope, one.authority, one.snapshot) for one in headers] == [
        ("osv/almalinux", "mixed.jsonl", Authority.VENDOR, False),
        ("osv/bitnami", "mixed.jsonl", Authority.THIRD_PARTY, False),
        ("osv/almalinux", "mixed.jsonl", Authority.VENDOR, False),
    ]


def test_the_scope_of_a_single_record_is_its_id() -> None:
    header = read(OSV, sample("openeuler.json"), "disk/x.json")[0]
    assert isinstance(header, Header)
    assert (header.feed, header.scope) == ("osv/openeuler", "OESA-2099-1001")


def test_almalinux_rows_are_binary_packages_with_their_module_stream() -> None:
    found = advisories(OSV, sample("mixed.jsonl"))
    one = found["ALSA-2099:0001"]
    assert one.cves == ("CVE-2099-9001", "CVE-2099-10002")
    assert (one.severity, one.url) == ("Important", "https://errata.example.test/9/ALSA-2099-0001.html")
    assert [short(row) for row in one.affected] == [
        ("almalinux:9", "nodejs", "binary", "", "1:18.99.1-1.module_el9.9.0+1+deadbeef", "", "fixed"),
        ("almalinux:9", "nodejs-nodemon", "binary", "", "3.0.1-1.module_el9.9.0+1+deadbeef", "", "fixed"),
    ]
    assert {(row.modular, row.modules) for row in one.affected} == {(True, ("nodejs:18",))}
    assert found["ALSA-2099:0005"].withdrawn


def test_a_module_without_its_stream_is_told_by_the_main_packages_version() -> None:
    ruby, tool = advisories(OSV, sample("mixed.jsonl"))["ALSA-2099:0002"].affected
    assert (ruby.modular, ruby.modules) == (True, ("ruby:2.5", "ruby:2"))
    assert (tool.modular, tool.modules) == (False, ())


@pytest.mark.parametrize(
    ("summary", "named"),
    [
        ("Important: python39:3.9 and python39-devel:3.9 security update", ("python39:3.9", "python39-devel:3.9")),
        ("container-tools:rhel8 security, bug fix, and enhancement update", ("container-tools:rhel8",)),
        ("Moderate: virt:rhel and virt-devel:rhel security update", ("virt:rhel", "virt-devel:rhel")),
        ("Red Hat Security Advisory: idm:DL1 security update", ("idm:DL1",)),
        ("Low: 389-ds:1.4 security update", ("389-ds:1.4",)),
        ("mod_auth_openidc:2.3  bug fix update", ("mod_auth_openidc:2.3",)),
        ("Important: kettle security update", ()),
    ],
)
def test_module_streams_in_summaries(summary: str, named: tuple[str, ...]) -> None:
    assert osv_distro.modules(summary) == named


def test_bitnami_speaks_of_the_cpes_product_in_ordered_intervals() -> None:
    one = advisories(OSV, sample("mixed.jsonl"))["BIT-teapot-2099-0004"]
    assert (one.title, one.severity, one.score) == ("A teapot can be tipped over.", "Critical", 9.8)
    assert (one.aliases, one.url) == (("GHSA-aaaa-bbbb-cccc",), "https://nvd.example.test/vuln/detail/CVE-2099-0004")
    assert one.published == "2099-03-01T14:35:10Z"
    assert {(row.stream, row.package, row.by, row.scheme) for row in one.affected} == {
        ("cpe", "kitchen:teapot", "product", Scheme.GENERIC)
    }
    assert [(row.introduced, row.fixed, row.last, row.status) for row in one.affected] == [
        ("", "1.9.2", "", Status.FIXED),
        ("2.0.0", "2.1.5", "", Status.FIXED),
        ("3.0.0", "", "3.0.1", Status.AFFECTED),
        ("4.0.0", "", "", Status.AFFECTED),
    ]


def test_a_bitnami_record_without_cpe_keeps_its_package() -> None:
    text = sample("mixed.jsonl").splitlines()[2].replace("cpe:2.3:a:", "cpe:2.3:h:")
    assert {row.package for row in advisories(OSV, text)["BIT-teapot-2099-0004"].affected} == {"bitnami:teapot"}


def test_openeuler_has_rows_by_source_and_for_each_binary_file() -> None:
    one = advisories(OSV, sample("openeuler.json"))["OESA-2099-1001"]
    assert one.cves == ("CVE-2099-2568", "CVE-2099-25682")
    assert {(row.by, row.package, row.fixed, row.arches) for row in one.affected} == {
        ("source", "kettle", "2.82-5.oe2203sp3", ()),
        ("binary", "kettle", "2.82-5.oe2203sp3", ()),
        ("binary", "libspout", "1.9-10.oe2203sp3", ()),
        ("binary", "kettle-tools", "2.82-5.oe2203sp3", ("x86_64",)),
        ("binary", "kettle-help", "2.82-5.oe2203sp3", ()),
    }
    assert {row.stream for row in one.affected} == {"openeuler:22.03-lts-sp3"}


def test_ubuntu_is_matched_by_source_and_keeps_pro_and_fips_apart() -> None:
    found = advisories(OSV, sample("ubuntu.json"))
    one = found["UBUNTU-CVE-2099-7001"]
    assert (one.cves, one.severity, one.score) == (("CVE-2099-7001",), "medium", 5.3)
    assert [short(row) for row in one.affected] == [
        ("ubuntu:22.04", "kettle", "source", "", "2.0-1ubuntu1.3", "", "fixed"),
        ("ubuntu-pro:18.04", "kettle", "source", "", "", "", "affected"),
        ("ubuntu-pro-fips-18.04-lts", "kettle", "source", "", "1.0-1ubuntu1.fips.2", "", "fixed"),
    ]
    assert found["USN-9001-1"].cves == ("CVE-2099-7001", "CVE-2099-7002")


def test_red_hat_streams_epochs_and_the_module_in_the_package_url() -> None:
    one = advisories(OSV, sample("redhat.json"))["RHSA-2099:6202"]
    assert [short(row)[:5] for row in one.affected] == [
        ("rhel:8", "kettle", "binary", "", "2.1-3.module+el8.9.0+7+beef"),
        ("rhel-eus:8.8", "kettle-libs", "binary", "", "1:2.1-3.el8_8"),
    ]
    assert [row.modules for row in one.affected] == [("kettle:2",), ()]


def test_a_language_package_keeps_ranges_and_versions_only_where_it_has_no_range() -> None:
    one = advisories(OSV, sample("maven.json"))["GHSA-aaaa-bbbb-dddd"]
    assert (one.cves, one.score) == (("CVE-2099-4001",), 9.3)
    assert one.url == "https://advisories.example.test/GHSA-aaaa-bbbb-dddd"
    assert [(row.stream, row.package, row.fixed, row.versions) for row in one.affected] == [
        ("maven", "test.example:kettle-core", "1.3", ()),
        ("maven", "test.example:kettle-old", "", ("0.8", "0.9")),
    ]


@pytest.mark.parametrize(
    ("events", "intervals"),
    [
        ([{"fixed": "2"}], [("", "2", "")]),
        ([{"introduced": "0"}, {"fixed": "0"}], []),
        ([{"introduced": "1"}, {"introduced": "2"}, {"fixed": "3"}, {"fixed": "4"}], [("1", "3", "")]),
        ([{"introduced": "10"}, {"introduced": "0"}, {"fixed": "9"}], [("", "9", ""), ("10", "", "")]),
        ([{"introduced": "0"}, {"limit": "*"}], [("", "", "")]),
        ([{"introduced": "0"}, {"limit": "5"}], [("", "5", "")]),
        ([], []),
    ],
)
def test_events_become_intervals(events: list[dict[str, Any]], intervals: list[tuple[str, str, str]]) -> None:
    assert osv._intervals(events, Scheme.GENERIC) == intervals


@pytest.mark.parametrize(
    ("broken", "where"),
    [
        ('{"modified": "2099-01-01T00:00:00Z", "affected": []}', "line 1"),
        ('{"id": "X-1", "summary": 5}', "line 1 X-1"),
        ('{"id": "X-1", "modified": "soon"}', "line 1 X-1"),
        ("[]", ""),
    ],
)
def test_a_wrong_field_is_refused_with_line_and_id(broken: str, where: str) -> None:
    with pytest.raises(FeedError) as caught:
        read(OSV, broken, "disk/x.json")
    assert caught.value.where == ("disk/x.json:" + where).rstrip(":")


RECORDS = [json.loads(sample(name)) for name in ("openeuler.json", "redhat.json", "maven.json")] + [
    json.loads(one) for one in sample("mixed.jsonl").splitlines()
]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_value_in_any_field_is_read_or_refused(data: st.DataObject) -> None:
    record = data.draw(st.sampled_from(RECORDS))
    at = data.draw(st.sampled_from(places(record)))
    refused_or_read(OSV, json.dumps(replaced(record, at, data.draw(ANY_JSON))))


def test_the_real_almalinux_feed_is_read_whole() -> None:
    content = real("almalinux-osv/almalinux-osv.jsonl.zst")
    found = [one for one in read(OSV, content, "almalinux-osv.jsonl") if isinstance(one, Advisory)]
    rows = [row for one in found for row in one.affected]
    assert (len(found), len(rows)) == (5680, 71329)
    assert len(set(found)) == len({one.id for one in found}) == 5637  # one for two releases stands in both, alike
    assert len({cve for one in found for cve in one.cves}) == 6592
    assert {row.stream for row in rows} == {"almalinux:8", "almalinux:9", "almalinux:10"}
    assert all(row.modules for row in rows if row.modular)


def test_the_real_bitnami_feed_names_products() -> None:
    found = advisories(OSV, real("bitnami-osv/bitnami-vulndb.jsonl.zst"), "bitnami.jsonl")
    assert len(found) == 7444
    products = {row.package for one in found.values() for row in one.affected}
    assert {"apache:tomcat", "redis:redis", "f5:nginx", "postgresql:postgresql"} <= products
