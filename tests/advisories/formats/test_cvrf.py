"""CVRF of openEuler and Red Hat, nginx.org's page, CNNVD: samples, hostile bytes, the real files."""

from __future__ import annotations

import contextlib
import gzip
import io
import tarfile

import pytest
from feeds import SAMPLES, read, real
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.advisories.formats import cnnvd, cvrf, nginx
from agent.advisories.source import FeedError
from agent.judge import software
from agent.model.advisory import Advisory, Candidate, CveNote, Head, Header, Status
from agent.model.facts import Software

CVRF, NGINX, CNNVD = cvrf.FORMATS[0], nginx.FORMATS[0], cnnvd.FORMATS[0]


def sample(name):
    return (SAMPLES / name).read_bytes()


def test_openeuler_by_binary_and_source_with_architectures_where_they_differ():
    header, advisory, *notes = read(CVRF, sample("cvrf/openeuler.xml"))
    assert (header.feed, header.scope, header.date) == (
        "cvrf/openeuler",
        "openEuler-SA-2099-1001",
        "2099-01-06T00:00:00Z",
    )
    assert (advisory.title, advisory.severity, advisory.score) == ("kettle security update", "Critical", 9.8)
    assert advisory.cves == ("CVE-2099-1001", "CVE-2099-1002")
    rows = {(row.package, row.by, row.fixed, row.arches) for row in advisory.affected}
    assert rows == {
        ("kettle", "binary", "2.0-5.oe2203sp3", ()),
        ("kettle", "source", "2.0-5.oe2203sp3", ()),
        ("kettle-lid", "binary", "2.0-5.oe2203sp3", ("x86_64",)),
        ("kettle-lid", "binary", "2.0-6.oe2203sp3", ("aarch64",)),
    }
    assert {row.stream for row in advisory.affected} == {"openeuler:22.03-lts-sp3"}
    assert [note.score for note in notes] == [7.8, 9.8]


def test_a_hot_patch_is_for_one_build_and_is_no_newer_package():
    header, advisory = read(CVRF, sample("cvrf/hotpatch.xml"))
    (row,) = advisory.affected
    assert header.feed == "cvrf/openeuler-hotpatch"
    assert (row.package, row.fixed, row.versions) == ("kernel", "", ("6.6.0-72.0.oe2403sp1",))
    assert row.fix == "patch-kernel-6.6.0-72.0.oe2403sp1-ACC-1-3"


def test_red_hat_keeps_modules_and_extended_streams_apart():
    header, advisory = read(CVRF, sample("cvrf/redhat.xml"))
    assert (header.feed, advisory.id, advisory.severity) == ("cvrf/redhat", "RHSA-2099:0001", "Important")
    rows = {(row.stream, row.package, row.by, row.fixed, row.modules) for row in advisory.affected}
    assert rows == {
        ("rhel:8", "kettle", "binary", "1:2.0.1-1.module+el8.8.0+1+aa", ("kettle:2.0",)),
        ("rhel-eus:8.6", "spout", "source", "3.1-2.el8_6", ()),
    }


def test_microsofts_documents_are_declined():
    assert CVRF.recognise(sample("cvrf/openeuler.xml"), "")
    assert not CVRF.recognise(b"<cvrf:cvrfdoc><ContactDetails>secure@microsoft.com</ContactDetails>", "")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ((b"<ID>openEuler-SA-2099-1001</ID>", b""), "without an id"),
        ((b"2099-01-06", b"soon"), "soon"),
        ((b"</cvrfdoc>", b""), "well-formed"),
        ((b"<CVE>", b"<CVE>&bomb;"), "well-formed"),
    ],
)
def test_a_broken_document_is_refused_with_its_place(change, said):
    with pytest.raises(FeedError, match=said) as caught:
        read(CVRF, sample("cvrf/openeuler.xml").replace(*change))
    assert "disk/sample" in caught.value.where


# nginx: by the page's own meaning
OPEN = {
    "CVE-2099-1": (
        ["0.9.6", "1.18.0", "1.22.1", "1.30.3", "1.31.0", "1.31.2"],
        ["0.9.5", "1.30.4", "1.30.9", "1.31.3"],
    ),
    "CVE-2099-2": (["1.1.4", "1.2.8", "1.3.9", "1.4.0"], ["1.1.3", "1.2.9", "1.3.8", "1.4.1", "1.5.0", "1.20.1"]),
    "CVE-2099-3": (["1.0.7", "1.0.15", "1.1.3", "1.22.0", "1.23.1"], ["1.0.6", "1.0.16", "1.1.2", "1.22.1", "1.23.2"]),
    "CVE-2099-4": (["1.25.3"], ["1.25.2", "1.25.4"]),
    "CVE-2099-5": ([], ["1.0.0", "1.3.0"]),
}


def told(records, version):
    rows = [
        Candidate(Head(one.id, "nginx/nginx.org", records[0].authority, one.title, one.severity, None, one.cves), row)
        for one in records[1:]
        for row in one.affected
    ]
    found = software.match(Software("nginx", version, "/opt/nginx"), rows)
    return {cve: one for one in found for cve in one.cves}


@pytest.mark.parametrize("cve", OPEN)
def test_each_version_gets_the_pages_answer(cve):
    records = read(NGINX, sample("nginx/security_advisories.xml"))
    bad, good = OPEN[cve]
    assert [version for version in bad if cve not in told(records, version)] == []
    assert [version for version in good if cve in told(records, version)] == []


def test_the_fix_of_the_own_branch_is_named_and_what_stays_open_says_so():
    records = read(NGINX, sample("nginx/security_advisories.xml"))
    assert told(records, "1.30.0")["CVE-2099-1"].fixed == "1.30.4"
    assert told(records, "1.31.0")["CVE-2099-1"].fixed == "1.31.3"
    assert told(records, "1.31.0")["CVE-2099-6"].status is Status.WILL_NOT_FIX


def test_the_real_page_of_nginx():
    records = read(NGINX, gzip.decompress(real("nginx/security_advisories.xml.gz")))
    assert len(records) > 60
    assert "CVE-2021-23017" in told(records, "1.20.0")
    assert "CVE-2021-23017" not in told(records, "1.20.1")
    assert "CVE-2022-41741" in told(records, "1.22.0")
    assert "CVE-2022-41741" not in told(records, "1.22.1")


def test_an_unreadable_range_is_refused_with_its_line():
    with pytest.raises(FeedError, match="range") as caught:
        read(NGINX, sample("nginx/security_advisories.xml").replace(b"0.9.6-1.31.2", b"from the beginning"))
    assert "line" in caught.value.where


def test_cnnvd_gives_a_cve_its_number_and_grade():
    header, note = read(CNNVD, sample("cnnvd/cnnvd.xml"))
    assert header.feed == "cnnvd/cnnvd"
    assert note == CveNote("CVE-2099-10001", "虚构组件 缓冲区错误漏洞", severity="高危", cnnvd="CNNVD-209901-123")
    assert CNNVD.recognise(sample("cnnvd/cnnvd.xml"), "")
    with pytest.raises(FeedError, match="no id"):
        read(CNNVD, sample("cnnvd/cnnvd.xml").replace(b"CNNVD-209901-123", b"CNNVD"))


@pytest.mark.parametrize(
    ("form", "name"),
    [
        (CVRF, "cvrf/openeuler.xml"),
        (CVRF, "cvrf/redhat.xml"),
        (NGINX, "nginx/security_advisories.xml"),
        (CNNVD, "cnnvd/cnnvd.xml"),
    ],
)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_hostile_bytes_are_refused_or_read(form, name, data):
    raw = bytearray(sample(name))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(raw) - 2))
        raw[place : place + data.draw(st.integers(0, 30))] = data.draw(st.binary(max_size=6))
    with contextlib.suppress(FeedError):
        assert all(isinstance(one, Header | Advisory | CveNote) for one in read(form, bytes(raw)))


def test_the_real_samples_of_openeuler():
    raw = io.BytesIO(real("openeuler/openeuler-cvrf-csaf-osv-samples.tar.zst"))
    with tarfile.open(fileobj=raw) as archive:
        files = [(one, archive.extractfile(one).read()) for one in archive.getmembers() if one.isfile()]
    ids, refused = set(), []
    for member, content in files:
        if not CVRF.recognise(content[:65536], member.name):
            continue
        try:
            ids |= {one.id for one in read(CVRF, content, member.name) if isinstance(one, Advisory) and one.affected}
        except FeedError as error:
            refused.append(error.where)
    assert len(ids) == 7
    assert len(refused) == 1
    assert "broken-cvrf.xml" in refused[0]
