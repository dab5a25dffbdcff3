"""VEX documents that people bring: what is lifted, what is left out with its reason, what is refused with its place."""

import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.declared import add_exceptions, load_exceptions
from agent.declared.vex import Terms, read_vex
from agent.model.errors import DeclaredError
from agent.model.finding import RiskException
from agent.report.exports import Export, vex

TARGETS = ("web-01", "db-01")
TERMS = Terms("赵六", "2027-03-31", "2026-11-22")
PATH = "vulnerable_code_not_in_execute_path"


def openvex(*statements: dict, **more) -> dict:
    return {
        "@context": "https://openvex.dev/ns/v0.2.0", "@id": "urn:uuid:1", "author": "供应商", "version": 1,
        "timestamp": "2026-11-20T08:00:00Z", "statements": list(statements), **more,
    }  # fmt: skip


def said(status: str = "not_affected", product: str = "urn:secops-agent:target:web-01", **more) -> dict:
    why = {"justification": PATH} if status == "not_affected" else {}
    return {
        "vulnerability": {"name": "CVE-2026-0001"}, "products": [{"@id": product}], "status": status, **why, **more,
    }  # fmt: skip


def csaf(status: dict[str, list[str]], **more) -> dict:
    tree = {
        "branches": [
            {"category": "vendor", "name": "甲", "branches": [
                {"category": "product_name", "name": "web-01", "product": {
                    "name": "web-01", "product_id": "P1",
                    "product_identification_helper": {"purl": "pkg:generic/web-01"},
                }}]},
        ],
        "full_product_names": [
            {"name": "openssl", "product_id": "C1", "product_identification_helper": {"purl": "pkg:deb/debian/openssl"}}
        ],
        "relationships": [
            {"category": "installed_on", "product_reference": "C1", "relates_to_product_reference": "P1",
             "full_product_name": {"name": "openssl on web-01", "product_id": "P1C1"}},
        ],
        "product_groups": [{"group_id": "G1", "product_ids": ["P1", "P1C1"]}],
    }  # fmt: skip
    return {
        "document": {"category": "csaf_vex", "csaf_version": "2.0"},
        "product_tree": tree,
        "vulnerabilities": [{"cve": "CVE-2026-0001", "product_status": status, **more}],
    }


def read(tmp_path: Path, document: object, terms: Terms = TERMS):
    path = tmp_path / "vex.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document), "utf-8")
    return read_vex(path, TARGETS, terms)


def test_not_affected_becomes_an_exception(tmp_path):
    got = read(tmp_path, openvex(said(impact_statement="内网不可达")))
    assert got.format == "openvex"
    assert got.exceptions == (
        RiskException(
            "web-01", "", "", "内网不可达", "赵六", "2027-03-31", "2026-11-22", cve="CVE-2026-0001", justification=PATH
        ),
    )
    assert got.left_out == ()


def test_without_words_the_justification_is_the_reason(tmp_path):
    (got,) = read(tmp_path, openvex(said())).exceptions
    assert got.reason == "有漏洞的代码不会被执行"


@pytest.mark.parametrize(
    ("statement", "word"),
    [
        (said("affected", action_statement="升级"), "says affected"),
        (said("affected", action_statement="升级", status_notes='{"approver": 1}'), "says affected"),
        (said("fixed"), "says fixed"),
        (said("under_investigation"), "under investigation"),
        (said(justification=""), "without saying why"),
    ],
)
def test_what_lifts_nothing_is_listed_with_the_reason(tmp_path, statement, word):
    got = read(tmp_path, openvex(statement))
    assert got.exceptions == ()
    (left,) = got.left_out
    assert word in left.reason
    assert left.where.endswith(": statements[0].products[0]")
    assert (left.target, left.subject) == ("web-01", "CVE-2026-0001")


@pytest.mark.parametrize(
    "product",
    [
        "urn:secops-agent:target:web-02",
        "pkg:generic/nginx",
        "pkg:deb/debian/web-01",
        "pkg:generic/web-01@1",
        "web-01",
        "",
    ],
)
def test_a_product_that_is_no_target_is_refused(tmp_path, product):
    with pytest.raises(DeclaredError) as caught:
        read(tmp_path, openvex(said(), said(product=product)))
    assert caught.value.where.endswith("vex.json: statements[1].products[0]")
    assert "targets: db-01, web-01" in caught.value.remedy


def test_products_by_purl_by_identifier_and_for_every_target(tmp_path):
    product = {"@id": "https://example.org/x", "identifiers": {"purl": "pkg:generic/db-01"}}
    got = read(tmp_path, openvex(said() | {"products": [product]}, said(product="urn:secops-agent:target:*")))
    assert [item.target for item in got.exceptions] == ["db-01", "*"]


def test_a_component_narrows_and_is_never_lost(tmp_path):
    def about(component: dict) -> dict:
        return openvex(said() | {"products": [{"@id": "pkg:generic/web-01", "subcomponents": [component]}]})

    (ours,) = read(tmp_path, about({"@id": "urn:secops-agent:location:%2Fopt%2Ftomcat"})).exceptions
    assert ours.location == "/opt/tomcat"
    (purl,) = read(tmp_path, about({"@id": "pkg:deb/debian/openssl@3.0.11-1"})).exceptions
    assert (purl.location, purl.reason[-32:]) == ("openssl", "（pkg:deb/debian/openssl@3.0.11-1）"[-32:])
    for lost in ({"@id": "https://example.org/part"}, {}, {"@id": "pkg:///"}):
        with pytest.raises(DeclaredError, match="is not understood"):
            read(tmp_path, about(lost))
    with pytest.raises(DeclaredError, match="is not understood"):  # 0.0.1 wrote it beside the products
        read(tmp_path, openvex(said(subcomponents=["part"])))


def test_the_first_version_of_openvex_is_read(tmp_path):
    old = said() | {"vulnerability": "cve-2026-0001", "products": ["pkg:generic/web-01"]}
    (got,) = read(tmp_path, openvex(old, **{"@context": "https://openvex.dev/ns"})).exceptions
    assert (got.target, got.cve) == ("web-01", "CVE-2026-0001")


def test_an_alias_may_tell_the_cve(tmp_path):
    ghsa = said() | {"vulnerability": {"name": "GHSA-1", "aliases": ["CVE-2026-0009"]}}
    alone = said() | {"vulnerability": {"name": "GHSA-2"}}
    got = read(tmp_path, openvex(ghsa, alone)).exceptions
    assert [(item.cve, item.advisory) for item in got] == [("CVE-2026-0009", ""), ("", "GHSA-2")]


def test_a_later_statement_takes_an_earlier_back(tmp_path):
    late = said("affected", action_statement="升级", timestamp="2026-11-21T08:00:00+08:00")
    got = read(tmp_path, openvex(late, said()))  # in any order of the file
    assert got.exceptions == ()
    assert sorted(left.reason for left in got.left_out) == [
        "is replaced by statements[0].products[0]",
        "says affected: only not_affected lifts a finding",
    ]
    narrow = said() | {
        "products": [{"@id": "pkg:generic/web-01", "subcomponents": [{"@id": "pkg:deb/debian/openssl"}]}]
    }
    got = read(tmp_path, openvex(narrow, late))
    assert got.exceptions == ()
    assert "of the whole target" in got.left_out[0].reason
    early = said("under_investigation", timestamp="2026-11-01T08:00:00Z")
    assert len(read(tmp_path, openvex(said(), early)).exceptions) == 1


def test_who_and_until_when_must_be_known(tmp_path):
    for terms in (Terms(), Terms("赵六"), Terms("", "2027-03-31")):
        with pytest.raises(DeclaredError, match="who allows it") as caught:
            read(tmp_path, openvex(said()), terms)
        assert "--approver" in caught.value.remedy
    assert read(tmp_path, openvex(said("fixed")), Terms()).exceptions == ()


def test_csaf_statuses_flags_threats_groups_and_relationships(tmp_path):
    document = csaf(
        {"known_not_affected": ["P1", "P1C1"]},
        flags=[{"label": PATH, "group_ids": ["G1"]}],
        threats=[
            {"category": "exploit_status", "details": "无", "product_ids": ["P1C1"]},
            {"category": "impact", "details": "未启用", "product_ids": ["P1C1"]},
        ],
    )
    got = read(tmp_path, document)
    assert got.format == "csaf-vex"
    assert [(item.target, item.location, item.reason) for item in got.exceptions] == [
        ("web-01", "", "有漏洞的代码不会被执行"),
        ("web-01", "openssl", "未启用（pkg:deb/debian/openssl）"),
    ]
    left = read(tmp_path, csaf({"fixed": ["P1"], "under_investigation": ["P1C1"]})).left_out
    assert [one.reason.split(":")[0] for one in left] == ["says fixed", "is still under investigation"]
    assert left[0].where.endswith("vulnerabilities[0].product_status.fixed[0]")


@pytest.mark.parametrize(
    ("document", "word"),
    [
        (csaf({"known_not_affected": ["P1"], "known_affected": ["P1"]}), "also not_affected"),
        (csaf({"known_not_affected": ["P9"]}), "is no target"),
        (csaf({"known_not_affected": ["P1"]}, cve="", ids=[]), "names no vulnerability"),
        (csaf({"known_not_affected": ["P1"]}, flags=[{"label": "because", "product_ids": ["P1"]}]), "justification"),
        ({"document": {"category": "csaf_security_advisory", "csaf_version": "2.0"}}, "category"),
        (openvex(said(justification="because")), "unknown justification"),
        (openvex(said("harmless")), "status"),
        (openvex(said() | {"vulnerability": {}}), "name: is missing"),
        (openvex(said() | {"vulnerability": {"name": "\x1b[31m"}}), "no usable name"),
        (openvex(said() | {"vulnerability": {"name": ""}}), "names no vulnerability"),
        (openvex(said(timestamp="yesterday")), "not a time"),
        (openvex(said(), statements=3), "statements"),
        ({"@context": "https://spdx.org"}, "neither OpenVEX nor CSAF"),
        ([], "no JSON object"),
        ("{", "not JSON"),
        ('{"@context": "openvex", "@context": "x"}', "a key stands twice"),
        ("[" * 100_000, "nested too deep"),
        ('{"@context": "openvex", "statements": ' + "[" * 900 + "]" * 900 + "}", "statements"),
        ('{"a": ' + "9" * 5000 + "}", "not JSON"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_with_its_place(tmp_path, document, word):
    with pytest.raises(DeclaredError) as caught:
        read(tmp_path, document)
    assert "vex.json" in caught.value.where
    assert word in str(caught.value)


def test_deep_branches_and_circles_of_products_end(tmp_path):
    deep: dict = {"product": {"name": "x", "product_id": "P7"}}
    for _ in range(400):
        deep = {"category": "vendor", "name": "v", "branches": [deep]}
    document = csaf({"known_not_affected": ["P1"]}, flags=[{"label": PATH, "product_ids": ["P1"]}])
    document["product_tree"]["branches"].append(deep)
    with suppress(DeclaredError):
        assert len(read(tmp_path, document).exceptions) == 1
    circle = csaf({"known_not_affected": ["A"]})
    circle["product_tree"]["relationships"] = [
        {"product_reference": "C1", "relates_to_product_reference": "A", "full_product_name": {"product_id": "A"}}
    ]
    with pytest.raises(DeclaredError, match="is no target"):
        read(tmp_path, circle)


def test_groups_do_not_multiply_without_end(tmp_path):
    document = csaf({"known_not_affected": ["P1"]}, flags=[{"label": PATH, "group_ids": ["G1"] * 100}] * 200)
    document["product_tree"]["product_groups"][0]["product_ids"] = ["P1"] * 1000
    with pytest.raises(DeclaredError, match="without end"):
        read(tmp_path, document)


def test_a_document_that_is_too_large_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("agent.declared.vex.MAX_BYTES", 1000)
    with pytest.raises(DeclaredError, match="larger than"):
        read(tmp_path, openvex(*[said()] * 20))


# there and back

WORD = st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1, max_size=12)
EXCEPTION = st.builds(
    RiskException,
    target=st.sampled_from(["web-01", "db-01", "*"]),
    check=st.just(""),
    location=st.one_of(st.just(""), WORD),
    reason=st.sampled_from(["内网不可达", '等待停机窗口："甲" {1}']),
    approver=st.sampled_from(["赵六", "钱七"]),
    expires=st.dates(datetime(2027, 1, 1).date(), datetime(2028, 1, 1).date()).map(lambda day: day.isoformat()),  # noqa: DTZ001
    filed=st.sampled_from(["", "2026-11-01"]),
    justification=st.sampled_from(["", PATH, "component_not_present"]),
)
SUBJECT = st.one_of(
    st.builds(lambda n: {"cve": f"CVE-2026-{n:04}"}, st.integers(0, 9)),
    st.builds(lambda word: {"advisory": f"DSA-{word}"}, WORD),
    st.builds(lambda word: {"check": f"LIN-{word}"}, WORD),
)


@pytest.mark.parametrize("name", ["openvex", "csaf"])
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.builds(lambda row, subject: replace(row, **subject), EXCEPTION, SUBJECT),
        unique_by=lambda row: (row.target, row.location, row.subject),
        min_size=1,
        max_size=8,
    )
)
def test_an_export_gives_the_same_exceptions_back(tmp_path, name, rows):
    held = Export("", datetime(2026, 11, 22, tzinfo=UTC), "服务单位", "项目", "0.1.0")
    text = "".join(getattr(vex, name)(held, vex.from_exceptions(rows)))
    got = read(tmp_path, text, Terms())
    assert set(got.exceptions) == set(rows)
    assert len(got.exceptions) == len(rows)
    assert got.left_out == ()
    (tmp_path / "exceptions.yaml").unlink(missing_ok=True)
    add_exceptions(tmp_path, got.exceptions)
    assert load_exceptions(tmp_path) == got.exceptions


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["vulnerability", "products", "status", "@id", "name", "cve", "product_status", "fixed", "branches", "product",
         "product_id", "flags", "notes", "identifiers", "subcomponents"]), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(JSON, JSON, st.booleans())
def test_hostile_documents_are_refused_in_one_way(tmp_path, first, second, is_csaf):
    document = (
        {"document": {"category": "csaf_vex", "csaf_version": "2.0"}, "product_tree": first, "vulnerabilities": second}
        if is_csaf
        else openvex(said(), statements=first, timestamp=second)
    )
    with suppress(DeclaredError):
        read(tmp_path, document)
