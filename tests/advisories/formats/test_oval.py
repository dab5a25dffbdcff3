from __future__ import annotations

import bz2
import io
import tarfile
from collections.abc import Iterator

import pytest
from feeds import SAMPLES, advisories, read, real, refused_or_read
from hypothesis import given, settings
from hypothesis import strategies as st
from xmlmutate import mutated

from agent.advisories.formats import oval, oval_rows
from agent.advisories.source import FeedError
from agent.model.advisory import Authority, Header, Scheme

OVAL = oval.FORMATS[0]
FOLDER = SAMPLES / "oval"
V = "2.0-3.module+el8.9.0+1+abcdef01"


def sample(name: str) -> str:
    return (FOLDER / name).read_text()


def rows(name: str, ident: str) -> list[tuple[str, ...]]:
    one = advisories(OVAL, sample(name))[ident]
    return [(row.stream, row.package, row.by, row.fixed, row.status.value) for row in one.affected]


def test_every_sample_is_recognised() -> None:
    assert all(OVAL.recognise(path.read_bytes(), path.name) for path in FOLDER.iterdir())
    assert OVAL.recognise(b'<oval:oval_definitions xmlns:oval="x">', "")
    assert not OVAL.recognise(b"<oval_results>", "x.oval.xml")


@pytest.mark.parametrize(
    ("name", "file", "feed", "scope", "ecosystem", "date"),
    [
        ("redhat.xml", "d/rhel-8.oval.xml.bz2", "oval/redhat/rhel-8", "rhel-8.oval.xml", "Red Hat",
         "2099-03-02T01:02:03Z"),
        ("oracle.xml", "com.oracle.elsa-all.xml", "oval/oracle", "com.oracle.elsa-all.xml", "Oracle Linux",
         "2099-05-06T00:00:00Z"),
        ("debian.xml", "a.zip!oval-definitions-bookworm.xml", "oval/debian/oval-definitions-bookworm",
         "oval-definitions-bookworm.xml", "Debian", "2099-06-07T08:05:06Z"),
        ("ubuntu-cve.xml", "com.ubuntu.jammy.cve.oval.xml", "oval/ubuntu/com.ubuntu.jammy.cve",
         "com.ubuntu.jammy.cve.oval.xml", "Ubuntu", "2099-07-08T09:10:11Z"),
    ],
)  # fmt: skip
def test_each_file_is_a_feed_but_an_errata_systems(
    name: str, file: str, feed: str, scope: str, ecosystem: str, date: str
) -> None:
    header = read(OVAL, sample(name), file)[0]
    assert isinstance(header, Header)
    assert (header.feed, header.scope, header.ecosystem, header.date) == (feed, scope, ecosystem, date)
    assert header.authority is Authority.VENDOR
    assert header.snapshot


def test_red_hat_tells_unpatched_by_resolution_and_unaffected_under_the_same_cve() -> None:
    one = advisories(OVAL, sample("redhat.xml"))["CVE-2099-1001"]
    assert rows("redhat.xml", "CVE-2099-1001") == [
        ("rhel:8", "teapot", "binary", "", "will_not_fix"),
        ("rhel:8", "teapot-libs", "binary", "", "under_investigation"),
        ("rhel:8", "teacup", "binary", "", "not_affected"),
    ]
    assert [row.modules for row in one.affected] == [(), ("kitchen:1",), ()]
    assert (one.title, one.severity, one.score) == ("teapot: spout overflows", "Moderate", 7.5)
    assert (one.published, one.modified) == ("2099-01-30T00:00:00Z", "2099-02-03T00:00:00Z")


def test_red_hats_streams_are_its_cpes_of_the_platforms_major() -> None:
    one = advisories(OVAL, sample("redhat.xml"))["RHSA-2099:0002"]
    assert rows("redhat.xml", "RHSA-2099:0002") == [
        ("rhel:8", "teapot", "binary", f"1:{V}", "fixed"),
        ("rhel-eus:8.4", "teapot", "binary", f"1:{V}", "fixed"),
        ("rhel:8", "teacup", "binary", "1.5-2.el8", "fixed"),
        ("rhel-eus:8.4", "teacup", "binary", "1.5-2.el8", "fixed"),
    ]
    assert {row.modules for row in one.affected} == {("kitchen:1",)}
    assert [row.arches for row in one.affected] == [("aarch64", "x86_64")] * 2 + [()] * 2
    assert all(row.modular for row in one.affected)
    assert one.cves == ("CVE-2099-1002", "CVE-2099-1003")
    assert (one.score, one.published) == (8.8, "2099-02-10T00:00:00Z")


def test_collections_stand_in_their_major_and_layered_products_are_left_out() -> None:
    assert rows("redhat.xml", "RHBA-2099:0003") == [("rhel:7", "rh-teapot2-teapot", "binary", "2.1-1.el7", "fixed")]
    assert "RHSA-2099:0004" not in advisories(OVAL, sample("redhat.xml"))


def test_oracles_platforms_and_architectures_without_ksplice_and_fips() -> None:
    one = advisories(OVAL, sample("oracle.xml"))["ELSA-2099-0001"]
    assert [(row.stream, row.package, row.fixed, row.arches) for row in one.affected] == [
        ("oracle:7", "teapot", "1.0-2.el7", ("x86_64", "aarch64")),
        ("oracle:7", "teapot-libs", "1.0-2.el7", ("x86_64",)),
        ("oracle:8", "teapot", "2:1.1-1.el8", ()),
    ]
    assert one.title == "teapot security update"


def test_anolis_versions_lose_the_names_that_they_begin_with() -> None:
    assert rows("anolis.xml", "ANSA-2099:0001") == [
        ("anolis:23", "teapot-spout", "binary", "32:9.1-1.an23", "fixed")
    ]  # fmt: skip


def test_debian_names_sources_and_earlier_than_zero_says_nothing() -> None:
    found = advisories(OVAL, sample("debian.xml"))
    assert list(found) == ["CVE-2099-1007", "DSA-9901-1"]
    assert rows("debian.xml", "DSA-9901-1") == [("debian:12", "teapot", "source", "1:2.0-3+deb12u1", "fixed")]
    assert found["DSA-9901-1"].affected[0].scheme is Scheme.DPKG
    assert found["DSA-9901-1"].cves == ("CVE-2099-1007",)
    assert found["CVE-2099-1007"].title == "teapot: It pours twice."


def test_ubuntu_names_binaries_by_variables_and_kernels_by_comment() -> None:
    assert rows("ubuntu-cve.xml", "CVE-2099-1009") == [
        ("ubuntu:22.04", "teapot", "binary", "1:8.9p1-3ubuntu0.5", "fixed"),
        ("ubuntu:22.04", "teapot-client", "binary", "1:8.9p1-3ubuntu0.5", "fixed"),
        ("ubuntu:22.04", "teacup", "binary", "", "under_investigation"),
        ("ubuntu-pro:22.04", "libkettle-4", "binary", "2.5.0-1ubuntu0.1~esm1", "fixed"),
        ("ubuntu-pro:22.04", "libkettle++1", "binary", "2.5.0-1ubuntu0.1~esm1", "fixed"),
        ("ubuntu:22.04", "spoon", "binary", "", "affected"),
        ("ubuntu:22.04", "fork", "binary", "", "will_not_fix"),
        ("ubuntu:22.04", "linux", "source", "5.15.0-101.111", "fixed"),
    ]


def test_ubuntus_definitions_of_a_package_are_told_by_cve() -> None:
    found = advisories(OVAL, sample("ubuntu-pkg.xml"))
    assert sorted(found) == ["CVE-2099-1010", "CVE-2099-1011", "USN-9901-1"]
    assert (found["CVE-2099-1010"].score, found["CVE-2099-1011"].severity) == (5.9, "high")
    assert found["CVE-2099-1011"].cves == ("CVE-2099-1011",)
    assert rows("ubuntu-pkg.xml", "CVE-2099-1011") == [
        ("ubuntu:24.04", "teapot", "binary", "", "fix_deferred"),
        ("ubuntu:24.04", "teapot-data", "binary", "", "fix_deferred"),
    ]
    assert rows("ubuntu-pkg.xml", "USN-9901-1")[0] == ("ubuntu:24.04", "teapot", "binary", "1.0-2ubuntu1", "fixed")


@pytest.mark.parametrize(
    ("phrase", "status"),
    [
        ("teacup package in jammy is affected and needs fixing.", "affected"),
        ("The 'teacup' package in jammy is affected, but a decision has been made to defer addressing it (note: 'x').",
         "fix_deferred"),
        ("The vulnerability of the 'teacup' package in jammy is not known (status: 'needs-triage'). It is pending.",
         "under_investigation"),
        ("teacup package in jammy is not affected.", "not_affected"),
        ("teacup package in jammy, is related to the CVE in some way and has been fixed (note: '2-1').", "fixed"),
    ],
)  # fmt: skip
def test_the_words_of_ubuntus_comments(phrase: str, status: str) -> None:
    content = sample("ubuntu-cve.xml").replace("teacup package in jammy is affected and may need fixing.", phrase)
    (one,) = advisories(OVAL, content).values()
    found = [row.status.value for row in one.affected if row.package == "teacup"]
    assert found == [status]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("</definitions>", "", r"disk/sample:line \d+: not well-formed"),
        ('ref_id="CVE-2099-1001"', 'ref_id=""', r"line \d+.*names neither"),
        ('state="Will not fix"', 'state="Perhaps"', r"line \d+.*'perhaps'"),
        ('operator="OR"', 'operator="XOR"', r"line \d+.*'XOR'"),
        ('date="2099-02-01"', 'date="yesterday"', r"line \d+.*is no time"),
        ("<red-def:name>teapot<", "<red-def:name>tea\u202epot<", r"line \d+.*a package is no name"),
        ('<red-def:object object_ref="oval:com.redhat.cve:obj:2"/>', "", r"line \d+.*names no object"),
    ],
)
def test_what_is_wrong_is_refused_with_its_line(old: str, new: str, said: str) -> None:
    content = sample("redhat.xml")
    name = content.replace("<title>CVE-2099-1001 teapot", "<title>Teapot") if "ref_id" in old else content
    with pytest.raises(FeedError, match=said):
        read(OVAL, name.replace(old, new))


def test_criteria_without_end_are_refused() -> None:
    deep = '<criteria operator="AND">' * 80 + "</criteria>" * 80
    content = sample("anolis.xml").replace('<criteria operator="OR">', deep + '<criteria operator="OR">', 1)
    with pytest.raises(FeedError, match="more than 60 levels"):
        read(OVAL, content)


def test_a_title_of_white_space_takes_no_time() -> None:
    content = sample("anolis.xml").replace("<title>", "<title>a" + " " * 200_000)
    assert len(advisories(OVAL, content)) == 1


def test_names_that_multiply_with_tests_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    names = "".join(f"<value>name{number}</value>" for number in range(60))
    begin, end = (content := sample("ubuntu-cve.xml")).index("<value>"), content.index("</constant_variable>")
    content = content[:begin] + names + content[end:]
    monkeypatch.setattr(oval_rows, "MAX_ROWS", 50)
    with pytest.raises(FeedError, match=r"line \d+.*over 50 in one advisory"):
        read(OVAL, content)
    monkeypatch.setattr(oval_rows, "MAX_ROWS", 1000)
    monkeypatch.setattr(oval_rows, "MAX_ALL", 55)
    with pytest.raises(FeedError, match=r"line \d+.*over 55"):
        read(OVAL, content)


def test_many_definitions_without_a_space_between_are_no_single_large_element() -> None:
    content = sample("anolis.xml")
    begin, end = content.index("<definition "), content.index("</definitions>")
    one = content[begin:end].strip().replace("<advisory ", f"<description>{'word ' * 14000}</description><advisory ")
    many = "".join(one.replace("ANSA-2099:0001", f"ANSA-2099:{number:04}") for number in range(260))
    assert len(many) > 17 * 2**20
    assert len(advisories(OVAL, content[:begin] + many + content[end:])) == 260


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_whatever_is_changed_is_read_or_refused(data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sorted(FOLDER.iterdir())))
    refused_or_read(OVAL, data.draw(mutated(path.read_bytes())))


def test_the_real_anolis_file() -> None:
    one = advisories(OVAL, real("anolis/anolis-23.oval.xml"), "anolis-23.oval.xml")["ANSA-2025:0186"]
    assert {(row.package, row.fixed) for row in one.affected if row.package in {"bind", "bind-utils"}} == {
        ("bind", "32:9.18.34-1.an23"),
        ("bind-utils", "32:9.18.34-1.an23"),
    }
    assert one.cves == ("CVE-2024-11187", "CVE-2024-12705")


def _members(archive: bytes) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as outer:
        for member in outer:
            taken = outer.extractfile(member) if "oval" in member.name and "broken" not in member.name else None
            if taken and member.name.endswith(".xml.bz2") and (raw := taken.read()).startswith(b"BZh"):
                yield member.name, bz2.decompress(raw)


def test_the_real_samples_of_red_hat_and_oracle() -> None:
    """What is well-formed is read: two of them were cut by those who keep them."""
    found, refused = {}, []
    for name, content in _members(real("redhat-samples/redhat-samples.tar.zst")):
        try:
            found[name.rsplit("/", 1)[-1]] = advisories(OVAL, content, name)
        except FeedError as error:
            refused.append(str(error))
    assert len(found) >= 5
    assert all("not well-formed" in said for said in refused)
    nine = found["rhel-9-including-unpatched.oval.xml.bz2"]
    assert nine["RHSA-2022:4765"].affected[0].fixed == "91.9.1-1.el9_0"
    assert {row.status.value for row in nine["CVE-2005-2541"].affected} == {"will_not_fix"}
    oracle = found["all-positive-data.xml.bz2"]["ELSA-2011-1268"]
    assert {row.stream for row in oracle.affected} == {"oracle:5", "oracle:6"}
