from __future__ import annotations

import pytest
from feeds import SAMPLES, advisories, read, real, refused_or_read
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.advisories.formats import cvrf, msrc
from agent.advisories.source import FeedError
from agent.model.advisory import Advisory, Authority, CveNote, Header, Scheme

MSRC = msrc.FORMATS[0]
TEXT = (SAMPLES / "msrc" / "2099-Jan.xml").read_text()


def test_only_microsofts_cvrf_is_recognised() -> None:
    assert MSRC.recognise(TEXT.encode(), "x")
    assert not any(one.recognise(TEXT.encode(), "x") for one in cvrf.FORMATS)
    assert not MSRC.recognise((SAMPLES / "cvrf" / "openeuler.xml").read_bytes(), "x")
    assert not MSRC.recognise(b"", "2099-Jan.xml")


def test_the_header_is_a_month_with_its_newest_revision() -> None:
    assert read(MSRC, TEXT)[0] == Header(
        "msrc/microsoft", "2099-Jan", "Windows", Authority.VENDOR, "2099-03-02T01:02:03Z", "Microsoft", snapshot=True
    )


def test_one_row_a_product_and_update() -> None:
    one = advisories(MSRC, TEXT)["CVE-2099-1001"]
    shown = [(row.package, row.fixed, row.fix, row.supersedes, row.reboot) for row in one.affected]
    assert shown == [
        ("Windows Server 2016", "10.0.14393.9020", "KB9900002", ("KB9900001",), True),
        ("Windows Server 2016 (Server Core installation)", "10.0.14393.9020", "KB9900002", ("KB9900001",), True),
        ("Windows Server 2012 R2", "6.3.9600.29000", "KB9900003", ("KB9899999", "KB9899998", "KB9899997"), True),
        ("Windows Server 2012 R2", "", "KB9900004", (), True),
        ("Windows 10 Version 22H2 for x64-based Systems", "10.0.19045.9020", "KB9900005", (), True),
        ("Windows Server 2022", "10.0.20348.9015", "KB9900006", (), False),
    ]
    assert all(row.stream == f"windows:{row.package}" for row in one.affected)
    assert {(row.scheme, row.by) for row in one.affected} == {(Scheme.WINDOWS, "product")}


def test_grade_and_score_are_those_of_kept_products() -> None:
    one = advisories(MSRC, TEXT)["CVE-2099-1001"]
    assert (one.severity, one.score) == ("Important", 7.8)
    assert (one.published, one.modified) == ("2099-01-13T08:00:00Z", "2099-02-10T08:00:00Z")
    assert one.title == "Windows Kettle Remote Code Execution Vulnerability"
    assert one.url == "https://msrc.microsoft.com/update-guide/vulnerability/CVE-2099-1001"
    notes = [note for note in read(MSRC, TEXT) if isinstance(note, CveNote)]
    assert [(note.cve, note.score, note.severity) for note in notes] == [
        ("CVE-2099-1001", 7.8, "Important"),
        ("CVE-2099-1002", 8.1, ""),
    ]


def test_other_products_are_told_by_their_own_builds() -> None:
    one = advisories(MSRC, TEXT)["CVE-2099-1002"]
    assert [(row.package, row.fixed, row.fix) for row in one.affected] == [
        ("Microsoft SQL Server 2019 for x64-based Systems (GDR)", "15.0.9095.1", "KB9900007"),
        ("Microsoft .NET Framework 4.8 on Windows Server 2016", "", "KB9900008"),
        ("Microsoft Exchange Server 2016 Cumulative Update 23", "15.1.2507.35", "KB9900009"),
    ]


def test_an_advisory_without_cve_counts_and_a_working_copy_or_azure_linux_does_not() -> None:
    found = advisories(MSRC, TEXT)
    assert list(found) == ["CVE-2099-1001", "CVE-2099-1002", "ADV990009"]
    assert found["ADV990009"].cves == ()


@pytest.mark.parametrize(
    ("written", "product", "meant"),
    [
        ("10.0.14393.6614", "Windows Server 2016", "10.0.14393.6614"),
        (" 10.0.14393.5285 ", "Windows Server 2016", "10.0.14393.5285"),
        ("10.0.19041.5000\u200b\u200b", "Windows 10 for x64-based Systems", "10.0.19041.5000"),
        ("6.3.9600.21765.", "Windows Server 2012 R2", "6.3.9600.21765"),
        ("1.001", "Windows Server 2012 R2", ""),
        ("10.0.0.0", "Windows Server 2012 R2", ""),
        ("V1.003", "Windows Server 2012 R2", ""),
        ("https://aka.ms/OfficeSecurityReleases", "", ""),
        ("v15.00.2142.1", "Microsoft SQL Server 2019", "15.0.2142.1"),
        ("3.0.6920.8954; 2.0.50727.8970", "Microsoft .NET Framework 3.5 on Windows Server 2012", ""),
        ("8.0.10", "", ""),
        ("1234567.0.0.0", "", ""),
        ("", "", ""),
    ],
)
def test_a_build_is_four_numbers(written: str, product: str, meant: str) -> None:
    assert msrc.build(written, product) == meant


@given(st.text(max_size=30) | st.from_regex(r"[vV ]?\d{1,7}(\.\d{1,7}){2,4}[ .;]?", fullmatch=True), st.booleans())
def test_any_text_is_a_build_or_none(text: str, system: bool) -> None:
    found = msrc.build(text, "Windows Server 2016" if system else "")
    assert found == "" or msrc.build(found, "Windows Server 2016" if system else "") == found


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("<cvrf:ID>2099-Jan</cvrf:ID>", "", "DocumentTracking without an ID"),
        ("<vuln:CVE>CVE-2099-1002</vuln:CVE>", "<vuln:CVE>kettle</vuln:CVE>", "kettle: a vulnerability without the id"),
        ('ProductID="7"', 'ProductID="77"', "CVE-2099-1002: product '7' is not in the product tree"),
        ("2099-02-10T08:00:00", "soon", "CVE-2099-1001: 'soon' is no time"),
        ("<vuln:BaseScore>8.1", "<vuln:BaseScore>81", "CVE-2099-1002: a CVSS base score of 81"),
        ("<cvrf:DocumentTracking>", "<cvrf:Document>", "not well-formed"),
        ("Windows Server 2022<", "Windows\u202eServer 2022<", "a product's name is no name"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(old: str, new: str, says: str) -> None:
    assert old in TEXT
    with pytest.raises(FeedError) as error:
        read(MSRC, TEXT.replace(old, new))
    assert says in str(error.value)


def test_a_document_without_tracking_is_refused() -> None:
    begin, end = TEXT.index("<cvrf:DocumentTracking>"), TEXT.index("<prod:ProductTree>")
    with pytest.raises(FeedError, match="does not begin with its DocumentTracking"):
        read(MSRC, TEXT[:begin] + TEXT[end:])


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_mutated_xml_is_read_or_refused(data: st.DataObject) -> None:
    raw = bytearray(TEXT.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        piece = data.draw(
            st.binary(max_size=4)
            | st.sampled_from([b"<", b">", b"&", b"</vuln:CVE>", b"<vuln:ProductID>1</vuln:ProductID>", b"9" * 400])
        )
        raw[at : at + data.draw(st.integers(0, 40))] = piece
    refused_or_read(MSRC, bytes(raw))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["CVE", "Description", "Supercedence", "FixedBuild", "BaseScore", "Vector", "Date"]), st.text())
def test_any_text_in_a_field_is_read_or_refused(field: str, text: str) -> None:
    clean = "".join(one for one in text if one.isprintable() and one not in "<>&")
    begin, _, rest = TEXT.partition(f":{field}>")
    refused_or_read(MSRC, begin + f":{field}>" + clean + rest[rest.index("</") :])


def test_a_real_month() -> None:
    found = read(MSRC, real("msrc-cvrf/months/2024-Jan.xml.zst"))
    header = found[0]
    assert isinstance(header, Header)
    assert header.scope == "2024-Jan"
    kept = {one.id: one for one in found if isinstance(one, Advisory)}
    rows = {row.package: row for row in kept["CVE-2024-20674"].affected}
    assert (rows["Windows Server 2016"].fixed, rows["Windows Server 2016"].fix) == ("10.0.14393.6614", "KB5034119")
    assert kept["CVE-2024-20674"].severity == "Critical"
    assert not any("Mariner" in row.package for one in kept.values() for row in one.affected)
