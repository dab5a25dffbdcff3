from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from agent.judge import priority, remediation
from agent.judge.updates import judge
from agent.model.advisory import Confidence, CveFacts, Exploited, Match, Scheme, Status
from agent.model.facts import HostFacts, Listener, Package, PendingUpdate, Subject
from agent.model.finding import Urgency
from agent.model.severity import Severity

NOW = datetime(2026, 11, 22, tzinfo=UTC)
HIT = Match(
    "DSA-1", "osv/debian", ("CVE-2026-1",), "libssl3", "openssl", "amd64", "3.0.1-1", "3.0.2-1", Status.FIXED,
    Confidence.VENDOR, severity="Important",
)  # fmt: skip


def host(*pending, listeners=(), packages=()) -> HostFacts:
    return HostFacts(
        "web-01", "debian", "12", "", "debian", "6.1.0-25-amd64", (), packages or (Package("libssl3", "3.0.1-1",
        "amd64", "openssl", "3.0.1-1", "dpkg"),), pending, 1.0, listeners, (), (), None, (),
        (Subject("linux", "web-01", features=frozenset({"apt"})),),
    )  # fmt: skip


def facts(*every: CveFacts) -> dict[str, CveFacts]:
    return {one.cve: one for one in every}


def test_several_cves_that_one_upgrade_closes_are_one_remediation():
    other = replace(HIT, advisory="DSA-2", cves=("CVE-2026-2",), fixed="3.0.9-1", package="openssl")
    (found,) = judge(host(), (3,), NOW, [HIT, other])
    assert found.check == "UPDATE:openssl"
    assert found.cves == ("CVE-2026-1", "CVE-2026-2")
    plan = found.remediation
    assert plan.fixed == "3.0.9-1"
    assert plan.advisories == ("DSA-1", "DSA-2")
    assert plan.packages == ("libssl3 3.0.1-1", "openssl 3.0.1-1")
    assert plan.confidence == "vendor"


def test_mirror_and_feed_speak_of_one_remediation():
    offered = PendingUpdate("libssl3", "3.0.1-1", "3.0.5-1", "Debian-Security:12/x", security=True, source="openssl",
                            cves=("CVE-2026-9",))  # fmt: skip
    (found,) = judge(host(offered), (), NOW, [HIT])
    assert found.cves == ("CVE-2026-1", "CVE-2026-9")
    assert found.remediation.feeds == ("mirror", "osv/debian")
    assert found.remediation.fixed == "3.0.5-1"
    assert "执行 apt-get install --only-upgrade libssl3=3.0.5-1" in found.remedy


def test_a_fix_that_the_mirror_does_not_offer_says_so():
    (found,) = judge(host(), (), NOW, [HIT])
    assert "软件源未提供" in found.remedy
    assert "3.0.2-1" in found.remedy
    older = PendingUpdate("libssl3", "3.0.1-1", "3.0.1-2", "x", security=True, source="openssl")
    (found,) = judge(host(older), (), NOW, [HIT])
    assert "只提供到 3.0.1-2" in found.remedy


def test_what_has_no_fix_is_a_finding_of_its_own():
    unfixed = replace(HIT, fixed="", status=Status.WILL_NOT_FIX, cves=("CVE-2026-7",))
    found = {one.check: one for one in judge(host(), (), NOW, [HIT, unfixed])}
    assert set(found) == {"UPDATE:openssl", "NOFIX:openssl"}
    assert "不予修复：CVE-2026-7" in found["NOFIX:openssl"].detail
    assert found["NOFIX:openssl"].remediation.status == "will_not_fix"
    assert found["NOFIX:openssl"].remediation.restart == ""


@pytest.mark.parametrize(
    ("score", "word", "grade", "said"),
    [
        (9.8, "Low", Severity.CRITICAL, "CVSS"),
        (7.0, "", Severity.HIGH, "CVSS"),
        (None, "Moderate", Severity.MEDIUM, "厂商公告"),
        (None, "超危", Severity.CRITICAL, "厂商公告"),
        (None, "", Severity.HIGH, "未给出"),
    ],
)
def test_the_grade_is_cvss_then_the_vendors_word(score, word, grade, said):
    (found,) = judge(host(), (), NOW, [replace(HIT, severity=word)], facts(CveFacts("CVE-2026-1", score=score)))
    assert found.severity is grade
    assert said in found.detail


def test_known_exploitation_comes_first_then_likelihood_then_reach():
    kev = priority.risk(4.0, 0.01, kev=True, exposed=False)
    likely = priority.risk(9.8, 0.9, kev=False, exposed=True)
    unlikely = priority.risk(9.8, 0.001, kev=False, exposed=True)
    hidden = priority.risk(9.8, 0.001, kev=False, exposed=False)
    assert kev > likely > unlikely > hidden > priority.risk(3.0, 0.001, kev=False, exposed=False)


@pytest.mark.parametrize(
    ("grade", "epss", "kev", "exposed", "when"),
    [
        (Severity.LOW, None, True, False, Urgency.NOW),
        (Severity.CRITICAL, 0.2, False, True, Urgency.NOW),
        (Severity.CRITICAL, 0.2, False, False, Urgency.SOON),
        (Severity.HIGH, None, False, True, Urgency.SOON),
        (Severity.LOW, 0.6, False, False, Urgency.SOON),
        (Severity.CRITICAL, 0.01, False, False, Urgency.PLANNED),
        (Severity.MEDIUM, 0.2, False, True, Urgency.PLANNED),
    ],
)
def test_when(grade, epss, kev, exposed, when):
    assert priority.urgency(grade, epss, kev=kev, exposed=exposed) is when


def test_a_kev_entry_shows_in_the_finding():
    known = facts(CveFacts("CVE-2026-1", score=5.0, cnnvd="CNNVD-202601-1", kev=Exploited("CVE-2026-1", "2026-02-01")))
    (found,) = judge(host(), (), NOW, [HIT], known)
    assert found.remediation.kev == ("CVE-2026-1",)
    assert found.remediation.cnnvd == ("CNNVD-202601-1",)
    assert found.remediation.urgency is Urgency.NOW
    assert "已知被利用" in found.detail


def test_a_reachable_process_makes_its_package_exposed():
    packages = (Package("openssh-server", "1", "amd64", "openssh", "1", "dpkg"),)
    outside = host(listeners=(Listener("tcp", "0.0.0.0", 22, "sshd"),), packages=packages)
    inside = host(listeners=(Listener("tcp", "127.0.0.1", 22, "sshd"),), packages=packages)
    assert "openssh" in priority.reachable(outside)
    assert "openssh" not in priority.reachable(inside)
    hit = replace(HIT, package="openssh-server", source="openssh")
    assert judge(outside, (), NOW, [hit])[0].remediation.exposed
    assert not judge(inside, (), NOW, [hit])[0].remediation.exposed


def test_kernels_need_a_reboot_and_libraries_a_restart():
    kernel = replace(HIT, package="linux-image-6.1.0-25-amd64", source="linux")
    assert judge(host(), (), NOW, [kernel])[0].remediation.restart == "reboot"
    assert judge(host(), (), NOW, [HIT])[0].remediation.restart == "service"


def test_the_newest_of_fixes_closes_all():
    assert remediation.newest(Scheme.RPM, ["1.9-1", "1.10-1", ""]) == "1.10-1"
