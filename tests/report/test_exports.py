"""Findings for other tools: each format is what its standard says, and no text of a target becomes more than text."""

import csv
import io
import json
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.model.asset import Layer
from agent.model.finding import Finding, FindingKind, FindingState, Remediation, RiskException, Urgency
from agent.model.severity import Severity
from agent.report.exports import Export, Item, Place, csv_table, cyclonedx, json_lines, sarif, vex

AT = datetime(2026, 11, 22, 8, 5, tzinfo=UTC)
CONTROL = Finding(
    target="web-01", layer=Layer.HOST, kind=FindingKind.CONTROL, check="LIN-AC-B-01", location="", title="root 登录",
    severity=Severity.HIGH, state=FindingState.OPEN, actual="yes", expected="no", remedy="设 no", clause="8.1.4.2-b",
    evidence=(3,),
)  # fmt: skip
UPGRADE = Remediation(
    package="openssl", installed="3.0.11-1", fixed="3.0.15-1", status="fixed", confidence="vendor",
    advisories=("DSA-1", "DSA-2"), packages=("libssl3 3.0.11-1", "openssl 1:3.0.11-1"), cnnvd=("CNNVD-202409-1",),
    kev=("CVE-2026-0001",), epss=0.91, score=9.8, restart="service", urgency=Urgency.NOW,
)  # fmt: skip
TWO = replace(
    CONTROL, kind=FindingKind.UPDATE, check="FIX:openssl", location="openssl", severity=Severity.CRITICAL,
    cves=("CVE-2026-0001", "CVE-2026-0002"), remediation=UPGRADE,
)  # fmt: skip
RPM = replace(
    TWO, target="db-01", cves=("CVE-2026-0001",), severity=Severity.MEDIUM,
    remediation=replace(UPGRADE, status="will_not_fix", fixed="", packages=("openssl-libs 1:1.0.2k-26",), kev=()),
)  # fmt: skip
TOMCAT = replace(
    TWO, layer=Layer.MIDDLEWARE, check="FIX:tomcat", location="/opt/tomcat", cves=("CVE-2020-1938",),
    remediation=replace(UPGRADE, package="tomcat", packages=("tomcat 9.0.30",), confidence="cpe-rough"),
)  # fmt: skip
RISK = RiskException("web-01", "", "", "内网不可达", "赵六", "2027-03-31", cve="CVE-2026-0002")
HARMLESS = replace(RISK, justification="vulnerable_code_not_in_execute_path")
PLACES = (
    Place("web-01", "host", "Debian GNU/Linux 12 (bookworm)"),
    Place("db-01", "host", "Red Hat Enterprise Linux 8.10 (Ootpa)"),
    Place("pg-main", "database", "PostgreSQL 15.4"),
    Place("project", "host"),
)


def export(*items: Item | Finding) -> Export:
    held = tuple(item if isinstance(item, Item) else Item(item) for item in items)
    return Export("scan-1", AT, "服务单位", "项目", "0.1.0", AT, PLACES, held)


EVERY = export(
    CONTROL,
    replace(CONTROL, check="LIN-AC-B-02", state=FindingState.MANUAL),
    replace(CONTROL, check="COV-STALE", kind=FindingKind.COVERAGE, state=FindingState.UNKNOWN, severity=Severity.INFO),
    Item(TWO, {"CVE-2026-0002": HARMLESS}),
    Item(
        replace(RPM, state=FindingState.ACCEPTED, detail="例外：等"), {"CVE-2026-0001": replace(RISK, target="db-01")}
    ),
    TOMCAT,
)
WRITERS = {
    "json": json_lines.write,
    "csv": csv_table.write,
    "sarif": sarif.write,
    "cyclonedx": cyclonedx.write,
    "openvex": lambda held: vex.openvex(held, vex.from_findings(held)),
    "csaf-vex": lambda held: vex.csaf(held, vex.from_findings(held)),
}


def read(name: str, held: Export):
    return json.loads("".join(WRITERS[name](held)))


@pytest.mark.parametrize("name", WRITERS)
def test_two_exports_of_one_run_are_equal(name):
    assert "".join(WRITERS[name](EVERY)) == "".join(WRITERS[name](EVERY))


@pytest.mark.parametrize("name", WRITERS)
def test_ten_thousand_findings_are_quick(name):
    many = [replace(TWO, location=f"p{n}", cves=(f"CVE-2026-{n:05}",)) for n in range(10_000)]
    held = export(*many)
    begin = time.process_time()
    size = sum(map(len, WRITERS[name](held)))
    assert size > 2_000_000
    assert time.process_time() - begin < 6  # about one on an idle machine


def test_json_lines_hold_every_field():
    (line,) = json_lines.write(export(TWO))
    told = json.loads(line)
    assert (told["key"], told["cves"], told["severity"]) == (TWO.key, list(TWO.cves), "critical")
    assert told["remediation"]["kev"] == ["CVE-2026-0001"]


# CSV


def rows(text: str) -> list[list[str]]:
    assert text.startswith("\ufeff")
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")))


def test_csv_has_a_heading_and_one_row_a_finding():
    head, *body = rows("".join(csv_table.write(EVERY)))
    assert len(body) == len(EVERY.items)
    assert {len(row) for row in body} == {len(head)}
    told = dict(zip(head, body[3], strict=True))
    assert (told["等级"], told["目标"], told["已装版本"], told["厂商状态"]) == (
        "超危",
        "web-01",
        "3.0.11-1",
        "已有修复",
    )
    assert told["例外"] == "CVE-2026-0002：内网不可达（批准人 赵六，有效至 2027-03-31）"


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "＝1", "=cmd|' /C calc'!A0"]
)
def test_csv_holds_no_formula(text):
    ((cell,),) = rows("".join(csv_table.table([[text]])))
    assert cell == f"'{text}"


# what no file can hold at all, lone surrogates, is cleaned long before
@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.text(st.characters(codec="utf-8"), max_size=30), min_size=2, max_size=2), max_size=5))
def test_csv_gives_any_text_back_but_for_the_apostrophe(given_rows):
    back = rows("".join(csv_table.table(given_rows)))
    assert [[cell.removeprefix("'") if cell != want else cell for cell, want in zip(got, wanted, strict=True)]
            for got, wanted in zip(back, given_rows, strict=True)] == given_rows  # fmt: skip
    assert not [cell for row in back for cell in row if cell.lstrip().startswith(("=", "+", "-", "@"))]


# SARIF

ALLOWED = {
    "run": {"tool", "automationDetails", "invocations", "columnKind", "results"},
    "rule": {"id", "shortDescription", "help", "defaultConfiguration", "properties"},
    "result": {
        "ruleId", "ruleIndex", "kind", "level", "message", "locations", "partialFingerprints", "suppressions",
        "properties",
    },
    "suppression": {"kind", "status", "justification", "properties"},
}  # fmt: skip
"""Names of the SARIF 2.1.0 schema that we use: it allows no other."""


def test_sarif_has_the_structure_of_the_standard():
    log = read("sarif", EVERY)
    assert (log["version"], len(log["runs"])) == ("2.1.0", 1)
    (run,) = log["runs"]
    assert set(run) <= ALLOWED["run"]
    rules = run["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    for rule in rules:
        assert set(rule) <= ALLOWED["rule"]
        assert rule["shortDescription"]["text"]
    for result, item in zip(run["results"], EVERY.items, strict=True):
        assert set(result) <= ALLOWED["result"]
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["message"]["text"]
        assert result["kind"] in {"fail", "review", "open"}
        assert (result["level"] == "none") == (result["kind"] != "fail")
        assert result["partialFingerprints"] == {"secopsAgentKey/v1": item.finding.key}
        assert result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"].startswith(item.finding.target)
        for each in result["suppressions"]:
            assert set(each) <= ALLOWED["suppression"]
            assert (each["kind"], each["status"]) == ("external", "accepted")


def test_sarif_suppresses_what_is_accepted_as_a_whole_only():
    results = {r["properties"]["target"] + r["ruleId"]: r for r in read("sarif", EVERY)["runs"][0]["results"]}
    assert results["web-01FIX:openssl"]["suppressions"] == []
    (held,) = results["db-01FIX:openssl"]["suppressions"]
    assert (held["justification"], held["properties"]["approver"]) == ("内网不可达", "赵六")
    assert results["web-01FIX:openssl"]["level"] == "error"
    assert results["web-01FIX:openssl"]["properties"]["epss"] == 0.91


def test_sarif_still_suppresses_when_the_exception_has_left_the_file():
    gone = export(replace(CONTROL, state=FindingState.ACCEPTED, detail="例外：旧"))
    (result,) = read("sarif", gone)["runs"][0]["results"]
    assert result["suppressions"][0]["justification"] == "例外：旧"


def test_sarif_text_is_neither_placeholder_nor_link():
    (result,) = read("sarif", export(replace(CONTROL, title="{0} [看](http://x)")))["runs"][0]["results"]
    assert result["message"]["text"].startswith("{{0}} [看\\](http://x)")


# CycloneDX


def test_cyclonedx_is_valid():
    validation = pytest.importorskip("cyclonedx.validation.json", reason="cyclonedx-python-lib is not installed")
    schema = pytest.importorskip("cyclonedx.schema")
    pytest.importorskip("jsonschema", reason="its extra json-validation is not installed")
    check = validation.JsonStrictValidator(schema.SchemaVersion.V1_6)
    for held in (EVERY, export(), export(CONTROL)):
        assert check.validate_str("".join(cyclonedx.write(held))) is None


def refs(components: list[dict]) -> list[str]:
    return [ref for one in components for ref in (one["bom-ref"], *refs(one.get("components", [])))]


def test_cyclonedx_points_at_components_that_are_there_once():
    bom = read("cyclonedx", EVERY)
    known = [bom["metadata"]["component"]["bom-ref"], *refs(bom["components"])]
    known += [one["bom-ref"] for one in bom["vulnerabilities"]]
    assert len(set(known)) == len(known)
    assert {one["ref"] for each in bom["vulnerabilities"] for one in each["affects"]} <= set(known)
    assert {part["type"] for part in bom["components"]} == {"device", "application"}


def test_cyclonedx_names_packages_by_their_manager():
    bom = read("cyclonedx", EVERY)
    told = {part["purl"] for one in bom["components"] for part in one.get("components", ()) if "purl" in part}
    assert told == {
        "pkg:deb/debian/libssl3@3.0.11-1?distro=debian-12",
        "pkg:deb/debian/openssl@1:3.0.11-1?distro=debian-12",
        "pkg:rpm/redhat/openssl-libs@1.0.2k-26?distro=rhel-8&epoch=1",
        "pkg:generic/tomcat@9.0.30",
    }


def test_software_without_a_list_of_packages_is_named_by_the_upgrade():
    bare = replace(TWO, remediation=replace(UPGRADE, packages=(), confidence=""))
    (part,) = [one for one in read("cyclonedx", export(bare))["components"][0]["components"] if "purl" in one]
    assert part["purl"] == "pkg:deb/debian/openssl@3.0.11-1?distro=debian-12"
    assert len(rows("".join(csv_table.write(export(bare))))) == 2


def test_cyclonedx_says_what_stands():
    said = {(one["id"], one["analysis"]["state"]): one for one in read("cyclonedx", EVERY)["vulnerabilities"]}
    assert set(said) == {
        ("CVE-2026-0001", "exploitable"),
        ("CVE-2026-0002", "not_affected"),
        ("CVE-2020-1938", "in_triage"),  # product agrees, the version does not say enough
    }
    assert said["CVE-2026-0002", "not_affected"]["analysis"]["justification"] == "code_not_reachable"
    open_and_accepted = [one for one in read("cyclonedx", EVERY)["vulnerabilities"] if one["id"] == "CVE-2026-0001"]
    assert [one["analysis"]["response"] for one in open_and_accepted] == [["update"], ["will_not_fix"]]
    # the score of a finding of two is the worst of both: nobody knows whose
    assert "score" not in open_and_accepted[0]["ratings"][0]
    assert open_and_accepted[1]["ratings"][0]["score"] == 9.8


def test_cyclonedx_counts_what_is_no_vulnerability():
    told = {one["name"]: one["value"] for one in read("cyclonedx", EVERY)["metadata"]["properties"]}
    assert told["secops-agent:findings-without-vulnerability:control"] == "2"
    assert told["secops-agent:findings-without-vulnerability:coverage"] == "1"


# VEX


def test_an_accepted_risk_says_not_affected_only_with_a_justification():
    taken, harmless = vex.from_exceptions([RISK, replace(HARMLESS, cve="CVE-2026-0003")])
    assert (taken.status, taken.justification, taken.text) == ("affected", "", "内网不可达")
    assert (harmless.status, harmless.justification) == ("not_affected", HARMLESS.justification)


def test_of_two_exceptions_for_one_place_the_longer_speaks():
    (said,) = vex.from_exceptions([replace(RISK, expires="2027-01-01"), RISK, replace(RISK, expires="2026-12-01")])
    assert json.loads(said.note)["expires"] == "2027-03-31"


def test_openvex_says_it_all():
    document = read("openvex", EVERY)
    assert document["@context"] == "https://openvex.dev/ns/v0.2.0"
    assert {"@id", "author", "timestamp", "version"} <= set(document)
    said = {(one["products"][0]["@id"], one["vulnerability"]["name"]): one for one in document["statements"]}
    first = said["urn:secops-agent:target:web-01", "CVE-2026-0001"]
    assert (first["status"], first["action_statement"]) == ("affected", "设 no")
    assert first["products"][0]["subcomponents"] == [{"@id": "urn:secops-agent:location:openssl"}]
    second = said["urn:secops-agent:target:web-01", "CVE-2026-0002"]
    assert (second["status"], second["impact_statement"]) == ("not_affected", "内网不可达")
    for one in document["statements"]:
        assert one["status"] != "not_affected" or one.get("justification") or one.get("impact_statement")
        assert one["status"] != "affected" or one["action_statement"]


def test_csaf_is_a_vex_of_its_profile():
    document = read("csaf-vex", EVERY)
    assert (document["document"]["category"], document["document"]["csaf_version"]) == ("csaf_vex", "2.0")
    assert {"category", "name", "namespace"} == set(document["document"]["publisher"])
    tree = document["product_tree"]
    known = {one["product_id"] for one in tree["full_product_names"]}
    for relation in tree["relationships"]:
        assert {relation["product_reference"], relation["relates_to_product_reference"]} <= known
    known |= {one["full_product_name"]["product_id"] for one in tree["relationships"]}
    cves = [one["cve"] for one in document["vulnerabilities"]]
    assert len(set(cves)) == len(cves)  # 6.1.23: a CVE stands once
    for one in document["vulnerabilities"]:
        assert one["notes"]
        status = one["product_status"]
        told = [product for products in status.values() for product in products]
        assert len(set(told)) == len(told)  # 6.1.6: no product has two
        assert set(told) <= known
        mended = {product for each in one.get("remediations", ()) for product in each["product_ids"]}
        excused = {product for each in one.get("threats", ()) for product in each["product_ids"]}
        assert set(status.get("known_affected", ())) <= mended  # 6.1.27.10
        assert set(status.get("known_not_affected", ())) <= excused  # 6.1.27.9


def test_a_control_is_told_as_ours():
    check = replace(RISK, cve="", check="LIN-AC-B-01")
    held = export()
    (statement,) = json.loads("".join(vex.openvex(held, vex.from_exceptions([check]))))["statements"]
    assert statement["vulnerability"]["@id"] == "urn:secops-agent:check:LIN-AC-B-01"
    (one,) = json.loads("".join(vex.csaf(held, vex.from_exceptions([check]))))["vulnerabilities"]
    assert one["ids"] == [{"system_name": "secops-agent check", "text": "LIN-AC-B-01"}]
    assert "cve" not in one


def test_the_document_names_every_column_of_the_csv():
    text = "".join((Path(__file__).parents[2] / "docs" / "exchange.md").read_text("utf-8").split())
    assert ",".join(heading for heading, _ in csv_table.COLUMNS) in text
