from __future__ import annotations

import json

import pytest
import yaml
from feeds import ANY_JSON, ROOT, SAMPLES, advisories, read, real, refused_or_read, source
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.advisories.formats import plain, plaintable
from agent.advisories.source import FeedError
from agent.model.advisory import Authority, Header, Scheme, Status

PLAIN = plain.FORMATS[0]
FOLDER = SAMPLES / "plain"
HEAD = "os,advisory,package,fixed,severity,cves,date,url,status,cnnvd,source\n"
ROW = "kylin:v10-sp3,K-1,kettle,1-1,,,,,,,\n"


def sample(name: str) -> str:
    return (FOLDER / name).read_text()


@pytest.mark.parametrize("name", ["kysa.csv", "zh.csv", "own.yaml", "dump.jsonl"])
def test_every_sample_is_recognised(name: str) -> None:
    assert PLAIN.recognise((FOLDER / name).read_bytes(), name)
    assert PLAIN.recognise(sample(name).encode("gb18030"), name)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"CVE-2099-1;0.5;0.9\n",
        b'"DatePosted","CVE","BulletinKB","Title"\n',
        b'{"source": "kettle", "fixed": "1", "suite": "sid", "cves": []}\n',
        b'{"id": "X-1", "modified": "2099-01-01T00:00:00Z", "affected": []}\n',
        b"<?xml version='1.0'?>",
        b"\x00\xff" * 50,
    ],
)
def test_other_feeds_are_not_taken(head: bytes) -> None:
    assert not PLAIN.recognise(head, "x.csv")


def test_rows_of_one_advisory_become_one() -> None:
    header = read(PLAIN, sample("kysa.csv"), "disk/a.zip!kysa.csv")[0]
    assert isinstance(header, Header)
    assert (header.feed, header.scope, header.authority) == ("plain/kysa", "*", Authority.CUSTOMER)
    assert (header.ecosystem, header.snapshot) == ("kylin, uos", True)
    found = advisories(PLAIN, sample("kysa.csv"))
    one, other = found["KYSA-209901-0001"], found["UTSA-2099-001"]
    assert (one.title, one.severity, one.published) == ("kettle 安全更新", "严重", "2099-01-15T00:00:00Z")
    assert (one.cves, one.aliases) == (("CVE-2099-9001", "CVE-2099-10002"), ("CNNVD-209901-1234",))
    first, second = one.affected
    assert (first.stream, first.package, first.fixed) == ("kylin:v10-sp3", "kettle", "2.0.1-5.p02.ky10")
    assert (first.arches, first.reboot, first.by, first.scheme) == (("x86_64", "aarch64"), True, "binary", Scheme.RPM)
    assert (second.package, second.cves, second.reboot) == ("kettle-libs", ("CVE-2099-9001",), False)
    assert [(row.stream, row.fixed) for row in other.affected] == [("uos:20-1060", "1.0-3.uel20")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_chinese_headers_in_every_encoding(encoding: str, end: str) -> None:
    found = advisories(PLAIN, sample("zh.csv").replace("\n", end).encode(encoding))
    assert found["SA-1"].cves == ("CVE-2099-1", "CVE-2099-2")
    row = found["SA-2"].affected[0]
    assert (row.stream, row.status, row.fixed) == ("kylin:v10-sp2", Status.WILL_NOT_FIX, "")


def test_yaml_keeps_versions_as_text_and_matches_as_the_system_does() -> None:
    rows = {one.id: one.affected[0] for one in advisories(PLAIN, sample("own.yaml"), "own.yaml").values()}
    assert (rows["OWN-1"].fixed, rows["OWN-1"].by, rows["OWN-1"].scheme) == ("1.10", "source", Scheme.DPKG)
    assert rows["OWN-1"].cves == ("CVE-2099-11", "CVE-2099-12")
    assert (rows["OWN-2"].modules, rows["OWN-2"].modular, rows["OWN-2"].by) == (("spout:18",), True, "binary")
    assert (rows["OWN-3"].stream, rows["OWN-3"].by, rows["OWN-3"].scheme) == ("cpe", "product", Scheme.GENERIC)
    assert (rows["OWN-3"].introduced, rows["OWN-3"].fixed) == ("9.0.0", "9.0.99")


def test_a_json_array_is_read_like_yaml() -> None:
    rows = [{"os": "debian 12", "advisory": "A", "package": "p", "fixed": "1.10"}]
    for text in (json.dumps(rows), json.dumps(rows, indent=2), json.dumps({"advisories": rows})):
        assert PLAIN.recognise(text.encode(), "x.json")
        assert advisories(PLAIN, text)["A"].affected[0].fixed == "1.10"


def test_a_dump_of_scan_reports_is_read_and_unknown_systems_are_left_out() -> None:
    found = advisories(PLAIN, sample("dump.jsonl"))
    assert list(found) == ["openEuler-SA-2099-1"]
    assert [row.package for row in found["openEuler-SA-2099-1"].affected] == ["libkettle", "libspout"]


@pytest.mark.parametrize(
    ("written", "stream"),
    [
        ("openEuler-22.03-LTS-SP3", "openeuler:22.03-lts-sp3"),
        ("openeuler:22.03-lts-sp3", "openeuler:22.03-lts-sp3"),
        ("rhel:8", "rhel:8"),
        ("Rocky Linux 9.4", "rocky:9"),
        ("CentOS 7", "centos:7"),
        ("uos 20-1060e", "uos:20-1060"),
        ("Ubuntu 22.04", "ubuntu:22.04"),
        ("Windows Server 2016", "windows:Windows Server 2016"),
        ("maven", "maven"),
    ],
)
def test_systems_as_people_write_them(written: str, stream: str) -> None:
    text = f"os\tadvisory\tpackage\tfixed\n{written}\tA\tp\t1\n"
    assert advisories(PLAIN, text)["A"].affected[0].stream == stream


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        (HEAD.replace("url", "link") + ROW, "line 2", "column 'link' is not known"),
        (HEAD + ROW + ",K-2,kettle,1-1\n", "line 3, column os", "is empty"),
        (HEAD + "kylin:v10,K-2,kettle,\n", "line 2, column fixed", "is empty"),
        (HEAD + "kylin,K-2,kettle,1\n", "line 2, column os", "'kylin' is no system"),
        (HEAD + "kylin:v10,K-2,kettle,1,,CVE-1\n", "line 2, column cves", "'CVE-1' is none"),
        (HEAD + "kylin:v10,K-2,kettle,1,,,soon\n", "line 2, column date", "'soon' is no time"),
        (HEAD + "kylin:v10,K-2,kettle,1,,,,javascript:x\n", "line 2, column url", "is no link"),
        (HEAD + "kylin:v10,K-2,kettle,1,,,,,odd\n", "line 2, column status", "'odd' is not known"),
        (HEAD + "kylin:v10,K-2,kettle,1,,,,,,CNNVD-1\n", "line 2, column cnnvd", "'CNNVD-1' is none"),
        (HEAD + "kylin:v10,K-2,kettle,1,,,,,,,perhaps\n", "line 2, column source", "'perhaps' is not known"),
        (HEAD + 'kylin:v10,"K-2\n', "line 2", "not CSV"),
        (HEAD + "a,b,c,d,e,f,g,h,i,j,k,l\n", "line 2", "12 values under 11 columns"),
        ("os,os,advisory,package,fixed\n" + ROW, "line 1", "a column stands twice"),
        ("os,advisory,package,fixed,cve,cves\nkylin:v10,K,k,1,,\n", "line 2", "column cves stands twice"),
        ('{"os": "kylin:v10", "advisory": "A", "package": "p", "fixed": 1.1}\n', "line 1, column fixed", "in quotes"),
        ('{"os": "kylin:v10", "advisory": "A", "package": "p"}\n{"os":\n', "line 1, column fixed", "is empty"),
        ("- os: &a x\n  advisory: *a\n  package: p\n  fixed: 1\n", "line 1", "an anchor, alias or tag"),
        ("- os: x\n  advisory: y\n  package: p\n  fixed: {a: b}\n", "line 1, column fixed", "a collection"),
        ("os: x\nadvisory: y\npackage: p\nfixed: 1\n", "line 1", "not a list of advisories"),
        ("- os: x\n  os: y\n  advisory: z\n  package: p\n  fixed: 1\n", "line 2", "a key that stands twice"),
        ("- os: x\n  advisory: y\n  package: p\n  fixed: [\n", "line 5", "not YAML"),
        ("- os: x\n  advisory: y\n  package: p\n  fixed: " + "[" * 9 + "]" * 9 + "\n", "line 4", "nested too deep"),
    ],
)
def test_every_refusal_names_line_and_column_and_a_remedy(text: str, where: str, message: str) -> None:
    with pytest.raises(FeedError) as caught:
        read(PLAIN, text, "disk/own.csv")
    assert caught.value.where == f"disk/own.csv:{where}"
    assert message in str(caught.value)
    assert caught.value.remedy


def test_an_unknown_column_lists_the_known_ones() -> None:
    with pytest.raises(FeedError) as caught:
        read(PLAIN, HEAD.replace("url", "link") + ROW)
    assert all(name in caught.value.remedy for name in plain.COLUMNS)


@pytest.mark.parametrize("bomb", ["[" * 200_000, "- " * 100_000, "a: " * 50_000, "{" * 100_000])
def test_deep_yaml_is_refused(bomb: str) -> None:
    with pytest.raises(FeedError):
        list(plaintable.from_yaml(source(bomb, "x.yaml"), bomb))


ROWS = [{"os": "kylin:v10-sp3", "cves": "CVE-2099-1", **dict.fromkeys(plain._NEEDED[1:], "1"), "date": "2099-01-01"}]


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(plain.COLUMNS)), ANY_JSON, st.sampled_from(["lines", "yaml"]))
def test_any_value_in_any_column_is_read_or_refused(column: str, value: object, shape: str) -> None:
    rows = [{**ROWS[0], column: value}]
    refused_or_read(PLAIN, json.dumps(rows[0]) if shape == "lines" else yaml.dump(rows, allow_unicode=True))


@settings(max_examples=100, deadline=None)
@given(
    st.text(alphabet='",;\t\r\n\x00\u202e关:-&*! aC1', max_size=40),
    st.integers(0, 400),
    st.sampled_from(["zh.csv", "own.yaml"]),
)
def test_hostile_text_is_read_or_refused(text: str, at: int, name: str) -> None:
    refused_or_read(PLAIN, sample(name)[:at] + text + sample(name)[at:])


def test_the_guides_examples_are_accepted() -> None:
    guide = (ROOT / "docs" / "feeds.md").read_text()
    section = guide.partition("## Advisories of your own\n")[2].partition("\n## ")[0]
    blocks = section.split("```")[1::2]
    assert [block.partition("\n")[0] for block in blocks] == ["csv", "yaml"]
    for block in blocks:
        text = block.partition("\n")[2]
        assert PLAIN.recognise(text.encode(), "x")
        assert advisories(PLAIN, text)
    assert all(f"`{name}`" in section for name in plain.COLUMNS)


def test_the_real_openeuler_dump_is_read() -> None:
    found = advisories(PLAIN, real("openeuler/openeuler-sa-fixed.jsonl.zst"), "openeuler-sa-fixed.jsonl")
    rows = [row for one in found.values() for row in one.affected]
    assert len(rows) == 780 - 40  # 40 name no system
    assert len({row.stream for row in rows}) == 7
