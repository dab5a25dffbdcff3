from __future__ import annotations

from dataclasses import replace

from agent.model.asset import Layer
from agent.model.finding import Finding, FindingKind, FindingState, Remediation, Urgency
from agent.model.severity import Severity
from agent.report.work import order

BASE = Finding(
    "web-01", Layer.HOST, FindingKind.UPDATE, "UPDATE:openssl", "openssl", "t", Severity.HIGH, FindingState.OPEN, "a",
    "e", "r", cves=("CVE-2027-1", "CVE-2027-2"),
    remediation=Remediation("openssl", "1", "2", "fixed", "vendor", risk=1.0, score=7.5, epss=0.1),
)  # fmt: skip


def made(target="web-01", cves=("CVE-2027-1",), state=FindingState.OPEN, **plan) -> Finding:
    return replace(BASE, target=target, cves=cves, state=state, remediation=replace(BASE.remediation, **plan))


def test_one_row_for_one_upgrade_over_all_targets():
    (row,) = order([made("web-01", ("CVE-2027-1",)), made("web-02", ("CVE-2027-2",))])
    assert (row.targets, row.count, row.cves) == ("web-01、web-02", 2, ("CVE-2027-1", "CVE-2027-2"))
    assert (row.package, row.fixed, row.score, row.epss) == ("openssl", "2", "7.5", "10.0%")


def test_urgency_comes_before_risk():
    rows = order([made(package="a", risk=9.0), made(package="b", urgency=Urgency.NOW, kev=("CVE-2027-1",), risk=1.0)])
    assert [row.package for row in rows] == ["b", "a"]
    assert (rows[0].urgency, rows[0].kev) == ("立即处置", 1)


def test_what_is_accepted_is_no_work():
    assert order([made(state=FindingState.ACCEPTED)]) == ()


def test_exploited_cves_stand_first_and_the_rest_is_counted():
    cves = tuple(f"CVE-2027-{number}" for number in range(1, 13))
    (row,) = order([made(cves=cves, kev=("CVE-2027-12",))])
    assert row.cves[0] == "CVE-2027-12"
    assert len(row.cves) + row.more == 12


def test_without_a_fix_the_vendors_word_stands_there():
    (row,) = order([made(fixed="", status="will_not_fix")])
    assert "不予修复" in row.fixed
