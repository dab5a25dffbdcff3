"""updateinfo.xml of repositories: samples, whose packages they are, hostile content, and the way into the store."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import pytest
from feeds import SAMPLES, advisories, read, refused_or_read
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from agent.advisories import formats
from agent.advisories.formats import updateinfo
from agent.advisories.intake import read_feeds
from agent.advisories.source import FeedError
from agent.advisories.store import open_feeds
from agent.model.advisory import Authority, Header

FORM = updateinfo.FORMATS[0]
NOW = datetime(2099, 4, 1, tzinfo=UTC)


def sample(name):
    return (SAMPLES / "updateinfo" / name).read_bytes()


def update(ident="TEAPOT-1", release="1.el8", name="updates", short="", more=""):
    """A file with one update of one package."""
    return (
        f'<updates><update type="security" status="final"><id>{ident}</id><title>t</title>{more}'
        f'<pkglist><collection short="{short}"><name>{name}</name>'
        f'<package name="kettle" version="1" release="{release}" arch="x86_64"/>'
        "</collection></pkglist></update></updates>"
    )


def stream(*args, **kwargs):
    found = advisories(FORM, update(*args, **kwargs)).values()
    return next((row.stream for one in found for row in one.affected), "")


@pytest.fixture(scope="module")
def alma():
    return advisories(FORM, sample("almalinux.xml"))


def test_the_header_names_release_and_repository_but_not_the_contents_hash():
    header = read(FORM, sample("almalinux.xml"), f"disk/repodata/{'0a' * 32}-updateinfo.xml.gz")[0]
    assert header == Header(
        feed="updateinfo/almalinux/8/almalinux-8-for-x86_64-appstream-rpms",
        scope="updateinfo.xml",
        ecosystem="AlmaLinux",
        authority=Authority.VENDOR,
    )


def test_an_update_with_its_module(alma):
    one = alma["ALSA-2099:0101"]
    assert (one.title, one.severity) == ("Important: kettle:2 security and bug fix update", "Important")
    assert one.cves == ("CVE-2099-0101", "CVE-2099-0102")
    assert (one.published, one.modified) == ("2099-01-05T00:00:00Z", "2099-01-07T08:30:00Z")
    assert one.url == "https://teapot.example/8/ALSA-2099-0101.html"
    (row,) = one.affected
    assert (row.stream, row.package, row.by) == ("almalinux:8", "kettle", "binary")
    assert row.fixed == "1:2.0.1-4.module_el8.9.0+101+abcdef12"
    assert (row.modules, row.modular, row.arches, row.reboot) == (("kettle:2",), True, (), False)


def test_architectures_only_where_versions_differ_and_who_needs_a_restart(alma):
    one = alma["ALSA-2099:0102"]
    assert (one.title, one.published) == ("Moderate: kernel security update", "2099-01-01T00:00:00Z")
    assert one.cves == ("CVE-2099-0103",), "from a bug's title"
    assert {(row.package, row.fixed, row.arches, row.reboot) for row in one.affected} == {
        ("kernel", "4.18.0-999.1.el8", ("x86_64",), True),
        ("kernel", "4.18.0-999.2.el8", ("aarch64",), True),
        ("kernel-tools", "4.18.0-999.1.el8", (), False),
    }


def test_what_is_no_security_update_counts_only_with_a_cve(alma):
    assert alma["ALBA-2099:0103"].cves == ("CVE-2099-0104",)
    assert alma["ALBA-2099:0103"].severity == ""
    assert "ALEA-2099:0104" not in alma


def test_a_retracted_update_takes_back_what_was_said(alma):
    assert [one.id for one in alma.values() if one.withdrawn] == ["ALSA-2099:0105"]


def test_openeuler_tells_its_pack_by_the_packages_only():
    header, one = read(FORM, sample("openeuler.xml"))
    assert header.feed == "updateinfo/openeuler/22.03-lts-sp3"
    assert {(row.stream, row.package, row.fixed, row.arches) for row in one.affected} == {
        ("openeuler:22.03-lts-sp3", "kettle", "2.0-5.oe2203sp3", ()),
        ("openeuler:22.03-lts-sp3", "kettle-help", "2.0-5.oe2203sp3", ()),
    }


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"ident": "ALSA-2099:1", "release": "1.el9_2"}, "almalinux:9"),
        ({"ident": "RLSA-2099:1", "release": "1.el8"}, "rocky:8"),
        ({"ident": "ELSA-2099-1", "release": "1.0.1.el7"}, "oracle:7"),
        ({"ident": "CESA-2099:1", "release": "1.el7"}, "centos:7"),
        ({"ident": "RHSA-2099:1", "release": "1.el8"}, "rhel:8"),
        ({"ident": "FEDORA-2099-abc", "release": "1.fc43"}, "fedora:43"),
        ({"ident": "FEDORA-EPEL-2099-abc", "release": "1.el8"}, "epel:8"),
        ({"ident": "ANSA-2099:1", "release": "1.an8"}, "anolis:8"),
        ({"ident": "ANSA-2099:1", "release": "1.module+an8.9.0+1+a"}, "anolis:8"),
        ({"release": "1.ky10"}, "kylin:v10"),
        ({"release": "1.p02.ky10"}, "kylin:v10"),
        ({"release": "1.uel20"}, "uos:20"),
        ({"release": "1.h7.eulerosv2r8"}, "euleros:2.0-sp8"),
        ({"release": "1.oe1"}, "openeuler:20.03-lts"),
        ({"release": "1.oe2403"}, "openeuler:24.03-lts"),
        ({"release": "1.amzn2023"}, "amazon:2023"),
        ({"release": "1.el7.centos.2"}, "centos:7"),
        ({"release": "1.el8"}, ""),
        ({"release": "1"}, ""),
        ({"ident": "RHSA-2099:1", "release": "1.ocp.el8", "short": "rhocp-4.12-for-rhel-8-x86_64-rpms"}, ""),
        ({"ident": "RHSA-2099:1", "short": "rhel-ha-for-rhel-7-server-rpms"}, "rhel:7"),
        ({"ident": "RHSA-2099:1", "short": "rhel-8-for-x86_64-baseos-eus-rpms__8_DOT_6"}, "rhel-eus:8.6"),
        (
            {"ident": "RHSA-2099:1", "release": "2.el8_4.1", "short": "rhel-8-for-x86_64-baseos-tus-rpms"},
            "rhel-tus:8.4",
        ),
        ({"ident": "RHSA-2099:1", "release": "2.el8", "short": "rhel-8-for-x86_64-baseos-e4s-rpms"}, ""),
        ({"ident": "RHSA-2099:1", "short": "rhel-7-server-els-rpms"}, "rhel-els:7"),
        ({"short": "ol8_x86_64_baseos_latest"}, "oracle:8"),
        ({"short": "F43"}, "fedora:43"),
        ({"name": "CentOS 6", "short": "EL-6"}, "centos:6"),
        ({"name": "Amazon Linux 2 (Teapot)"}, "amazon:2"),
        ({"name": "openEuler-22.03-LTS-SP1"}, "openeuler:22.03-lts-sp1"),
        ({"name": "openEuler 22.03 LTS", "release": "1.oe2203sp4"}, "openeuler:22.03-lts-sp4"),
        ({"more": "<release>Fedora Linux 43</release>"}, "fedora:43"),
        ({"name": "Amazon Linux \u202e9"}, ""),
        ({"name": f"Amazon Linux x{'9' * 60}"}, ""),
        ({"more": "<release>Kylin Linux Advanced Server V10 SP3</release>", "release": "1.ky10"}, "kylin:v10-sp3"),
    ],
)
def test_whose_packages_they_are(told, expected):
    assert stream(**told) == expected


def test_builds_that_are_not_compared_with_normal_ones_are_left_out():
    assert stream("ELSA-2099-1", "1.ksplice1.el8") == ""
    assert stream("ELSA-2099-1", "1.el8_fips") == ""


def test_a_file_without_anything_for_us_still_has_a_header():
    assert [type(one) for one in read(FORM, "<updates></updates>")] == [Header]


def test_recognised_by_its_root_and_first_update():
    assert FORM.recognise(sample("almalinux.xml"), "")
    assert FORM.recognise(b"<updates/>", "")
    assert not FORM.recognise(b"<updates><update/><version>1</version>", "")
    assert not FORM.recognise(b"<oval_definitions>", "")
    assert formats.ALL.index(FORM) >= 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ((b"<id>ALSA-2099:0101</id>", b""), "without an id"),
        ((b'version="2.0.1" ', b""), "without a version"),
        ((b'<package name="kettle" ', b"<package "), "without a name"),
        ((b'epoch="1"', b'epoch="one"'), "epoch"),
        ((b'stream="2" ', b""), "module"),
        ((b"2099-01-05 00:00:00", b"soon"), "no time"),
        ((b'<package name="kettle"', '<package name="ket\u202etle"'.encode()), "no name"),
        ((b"</updates>", b""), "well-formed"),
        ((b"<updates>", b'<!DOCTYPE updates [<!ENTITY a "b">]><updates>'), "declares"),
    ],
)
def test_a_broken_file_is_refused_with_its_line(change, said):
    content = sample("almalinux.xml")
    assert change[0] in content
    with pytest.raises(FeedError, match=said) as caught:
        read(FORM, content.replace(*change))
    assert "disk/sample:line " in caught.value.where


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_hostile_bytes_are_refused_or_read(data):
    raw = bytearray(sample(data.draw(st.sampled_from(["almalinux.xml", "openeuler.xml"]))))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(raw) - 2))
        raw[place : place + data.draw(st.integers(0, 30))] = data.draw(st.binary(max_size=6))
    FORM.recognise(bytes(raw), "")
    refused_or_read(FORM, bytes(raw))


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_missing_elements_and_odd_attributes_are_refused_or_read(data):
    root = etree.fromstring(sample(data.draw(st.sampled_from(["almalinux.xml", "openeuler.xml"]))))
    for _ in range(data.draw(st.integers(1, 5))):
        one = data.draw(st.sampled_from(list(root.iter())))
        deed = data.draw(st.sampled_from(["drop", "empty", "attribute", "text"]))
        if deed == "drop" and one.getparent() is not None:
            one.getparent().remove(one)
        elif deed == "empty":
            one.attrib.clear()
        elif deed == "attribute" and one.attrib:
            key = data.draw(st.sampled_from(sorted(one.attrib)))
            with contextlib.suppress(ValueError):
                one.set(key, data.draw(st.text(max_size=8) | st.sampled_from(["9" * 400, "rhel-eus-", ".el8_", "."])))
        elif deed == "text":
            with contextlib.suppress(ValueError):
                one.text = data.draw(st.text(max_size=8))
    refused_or_read(FORM, etree.tostring(root))


def test_repositories_of_one_release_do_not_take_each_others_packages_away(tmp_path):
    """AlmaLinux repeats an id in each repository, with the packages of that one."""
    one, other = sample("almalinux.xml"), sample("almalinux.xml").replace(b"appstream", b"baseos")
    other = other.replace(b'name="kettle"', b'name="saucer"')
    with open_feeds(tmp_path / "state") as store:
        for name, content in (("one.xml", one), ("other.xml", other)):
            (tmp_path / name).write_bytes(content)
            assert read_feeds(store, [tmp_path / name], who="tester", at=NOW).refused == ()
        found = store.known([("almalinux:8", name) for name in ("kettle", "saucer", "kernel", "handle")])
    assert {key[1]: {candidate.head.id for candidate in rows} for key, rows in found.items()} == {
        "kettle": {"ALSA-2099:0101"},
        "saucer": {"ALSA-2099:0101"},
        "kernel": {"ALSA-2099:0102"},
    }
