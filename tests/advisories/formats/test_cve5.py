from __future__ import annotations

import json

import pytest
from feeds import ANY_JSON, SAMPLES, advisories, places, read, refused_or_read, replaced
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.advisories.formats import cve5
from agent.advisories.source import FeedError
from agent.model.advisory import Authority, CveNote, Header

CVE5 = cve5.FORMATS[0]


def sample(name: str) -> str:
    return (SAMPLES / "cve" / f"cve5-{name}.json").read_text()


def shown(name: str) -> list[tuple[str, ...]]:
    (one,) = advisories(CVE5, sample(name)).values()
    return [
        (row.package, row.introduced, row.fixed, row.last, ",".join(row.versions), row.status.value)
        for row in one.affected
    ]


def test_records_are_recognised() -> None:
    assert all(CVE5.recognise(sample(name).encode(), "x") for name in ("openssl", "other", "rejected"))
    assert not CVE5.recognise(b'{"statements": [{"base": "none", "cve": ""}]}', "statements.json")


def test_openssl_speaks_for_itself_and_others_for_third_parties() -> None:
    headers = [read(CVE5, sample(name))[0] for name in ("openssl", "other")]
    assert all(isinstance(one, Header) for one in headers)
    assert [(one.feed, one.scope, one.authority, one.date) for one in headers if isinstance(one, Header)] == [
        ("cve5/openssl", "CVE-2099-3001", Authority.VENDOR, ""),
        ("cve5/apache", "CVE-2099-3002", Authority.THIRD_PARTY, "2099-02-03T00:00:00Z"),
    ]


def test_openssls_letters_and_the_fips_module() -> None:
    assert shown("openssl") == [
        ("openssl:openssl", "1.0.2", "1.0.2zz", "", "", "fixed"),
        ("openssl:openssl", "3.0.0", "", "3.0.7", "", "affected"),
        ("openssl:openssl", "", "", "", "1.1.0", "not_affected"),
    ]
    (one,) = advisories(CVE5, sample("openssl")).values()
    assert (one.severity, one.title, one.published, one.url) == (
        "Moderate", "A flaw of the sample.", "2099-01-02T00:00:00Z", "https://example.test/20990102.txt",
    )  # fmt: skip


def test_other_authorities_products_are_brought_to_cpe_names() -> None:
    assert shown("other") == [
        ("apache:tomcat", "9.0.0-M1", "", "9.0.98", "", "affected"),
        ("apache:tomcat", "8.5.0", "", "8.5.999999", "", "affected"),
        ("apache:tomcat", "10.1.0", "10.1.35", "", "", "fixed"),
        ("apache:tomcat", "10.1.35", "11.0.0", "", "", "not_affected"),
        ("apache:tomcat", "", "", "", "6.0.1", "affected"),
        ("linux:linux", "", "", "", "", "affected"),
        ("linux:linux", "", "4.4", "", "", "not_affected"),
        ("oracle:mysql", "", "", "8.0.40", "", "affected"),
        ("some_one:the_thing", "", "", "", "", "affected"),
    ]


def test_the_score_may_be_somebody_elses() -> None:
    note = read(CVE5, sample("other"))[2]
    assert note == CveNote("CVE-2099-3002", "A title", 5.3, "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:L", "MEDIUM")


def test_a_rejected_record_takes_its_advisory_back() -> None:
    _, one, note = read(CVE5, sample("rejected"))
    assert advisories(CVE5, sample("rejected"))["CVE-2099-3003"].withdrawn
    assert isinstance(note, CveNote)
    assert note.rejected
    assert one


def test_a_record_without_an_id_is_refused() -> None:
    with pytest.raises(FeedError, match="'cveId' holds no CVE id"):
        read(CVE5, '{"cveMetadata": {"cveId": "CVE-1"}, "containers": {}}')


RECORDS = [json.loads(sample(name)) for name in ("openssl", "other")]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_value_anywhere_is_read_or_refused(data: st.DataObject) -> None:
    record = data.draw(st.sampled_from(RECORDS))
    at = data.draw(st.sampled_from(places(record)))
    refused_or_read(CVE5, json.dumps(replaced(record, at, data.draw(ANY_JSON))))
