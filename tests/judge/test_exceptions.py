"""What an accepted risk covers: a check at one place, an advisory or CVE wherever it is, and never more."""

from dataclasses import replace

import pytest

from agent.judge.exceptions import covers, mark, standing
from agent.model.asset import Layer
from agent.model.finding import Finding, FindingKind, FindingState, Remediation, RiskException
from agent.model.severity import Severity

TODAY = "2026-11-22"
UPGRADE = Remediation("openssl", "3.0.11-1", "3.0.15-1", "fixed", "vendor", ("DSA-1", "DSA-2"))
TWO = Finding(
    target="web-01", layer=Layer.HOST, kind=FindingKind.UPDATE, check="FIX:openssl", location="openssl",
    title="openssl", severity=Severity.HIGH, state=FindingState.OPEN, actual="", expected="", remedy="",
    cves=("CVE-2026-0001", "CVE-2026-0002"), detail="来源：甲", remediation=UPGRADE,
)  # fmt: skip
CHECK = RiskException("web-01", "FIX:openssl", "openssl", "旧系统", "赵六", "2027-03-31")
ONE = RiskException("web-01", "", "", "不可达", "赵六", "2027-03-31", cve="CVE-2026-0001")
OTHER = replace(ONE, cve="CVE-2026-0002", reason="已隔离")
DSA = RiskException("*", "", "", "厂商确认", "赵六", "2027-03-31", advisory="DSA-1")


@pytest.mark.parametrize(
    ("exception", "held"),
    [
        (CHECK, True),
        (replace(CHECK, location=""), False),  # a check is accepted at exactly one place
        (replace(CHECK, target="web-02"), False),
        (replace(CHECK, target="*"), True),
        (ONE, True),
        (replace(ONE, location="openssl"), True),
        (replace(ONE, location="nginx"), False),
        (replace(ONE, cve="CVE-2026-0003"), False),
        (replace(ONE, cve="CVE-2026-000"), False),
        (DSA, True),
        (replace(DSA, advisory="FIX:openssl"), True),
        (replace(DSA, advisory="DSA-11"), False),
    ],
)
def test_what_covers_what(exception, held):
    assert covers(exception, TWO) is held


def test_a_check_accepts_the_whole():
    (got,) = mark([TWO], [CHECK], TODAY)
    assert got.state is FindingState.ACCEPTED
    assert got.detail == "来源：甲\n例外：旧系统（批准人 赵六，有效至 2027-03-31）"
    assert got.key == TWO.key


@pytest.mark.parametrize(
    "exceptions", [[ONE], [ONE, ONE], [DSA], [ONE, DSA], [ONE, replace(OTHER, expires="2026-11-21")]]
)
def test_a_part_accepts_a_part(exceptions):
    (got,) = mark([TWO], exceptions, TODAY)
    assert got.state is FindingState.OPEN
    assert "例外仅覆盖" in got.detail
    assert "其余未接受：" in got.detail
    assert got.detail.splitlines()[-1 if exceptions[-1] in (ONE, DSA) else -2].partition("其余")[2].endswith("2")


@pytest.mark.parametrize(
    "exceptions", [[ONE, OTHER], [DSA, replace(DSA, advisory="DSA-2")], [replace(DSA, advisory="FIX:openssl")]]
)
def test_all_parts_accept_the_whole(exceptions):
    (got,) = mark([TWO], exceptions, TODAY)
    assert got.state is FindingState.ACCEPTED


def test_the_last_day_still_covers_and_the_next_says_expired():
    held = replace(CHECK, expires=TODAY)
    assert mark([TWO], [held], TODAY)[0].state is FindingState.ACCEPTED
    (back,) = mark([TWO], [held], "2026-11-23")
    assert back.state is FindingState.OPEN
    assert f"例外已过期：FIX:openssl，旧系统（批准人 赵六，有效至 {TODAY}）" in back.detail


def test_a_renewed_exception_outlasts_the_expired():
    (got,) = mark([TWO], [CHECK, replace(CHECK, expires="2026-01-01")], TODAY)
    assert got.state is FindingState.ACCEPTED
    (part,) = mark([TWO], [ONE, replace(ONE, expires="2026-01-01")], TODAY)
    assert "已过期" not in part.detail


def test_nobody_accepts_not_knowing_but_may_accept_not_seeing():
    unknown = replace(TWO, state=FindingState.UNKNOWN)
    assert mark([unknown], [CHECK, ONE, OTHER], TODAY) == [unknown]
    unseen = replace(unknown, kind=FindingKind.COVERAGE)
    assert mark([unseen], [CHECK], TODAY)[0].state is FindingState.ACCEPTED


def test_without_cves_a_cve_covers_nothing():
    bare = replace(TWO, cves=(), remediation=None)
    assert mark([bare], [ONE, DSA], TODAY) == [bare]


def test_which_exception_stands_for_a_cve():
    part = standing(TWO, [ONE])
    assert (part.of("CVE-2026-0001"), part.of("CVE-2026-0002")) == (ONE, None)
    assert standing(TWO, [CHECK]).of("CVE-2026-0002") == CHECK


def test_many_cost_no_more_than_few():
    findings = [replace(TWO, target=f"h{number}") for number in range(10_000)]
    exceptions = [replace(ONE, cve=f"CVE-2020-{number:05}") for number in range(5_000)]
    assert mark(findings, exceptions, TODAY) == findings


def test_an_upgrade_that_mends_more_than_is_known_is_accepted_by_its_check_alone():
    unread = replace(TWO, remediation=replace(UPGRADE, complete=False, feeds=("mirror", "osv/debian")))
    assert not standing(unread, [ONE, OTHER]).accepted
    assert standing(unread, [CHECK]).accepted


def test_advisories_do_not_accept_what_the_mirror_offers_besides():
    both = replace(TWO, remediation=replace(UPGRADE, feeds=("mirror", "osv/debian")))
    every = [DSA, replace(DSA, advisory="DSA-2")]
    assert not standing(both, every).accepted
    assert standing(both, [ONE, OTHER]).accepted
    assert standing(replace(TWO, remediation=replace(UPGRADE, feeds=("osv/debian",))), every).accepted
