from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from agent.judge.updates import judge
from agent.model.advisory import Confidence, Match, Status
from agent.model.facts import HostFacts, Package, PendingUpdate, Subject
from agent.model.finding import FindingKind, FindingState
from agent.model.severity import Severity

NOW = datetime(2026, 11, 22, tzinfo=UTC)
SSL = PendingUpdate(
    package="libssl3",
    installed="3.0.15-1",
    candidate="3.0.22-1",
    origin="Debian-Security:12/oldstable-security",
    security=True,
    source="openssl",
    cves=("CVE-2026-0010", "CVE-2026-0009"),
)
PLAIN = PendingUpdate("nano", "7.2-1", "7.2-2", "Debian:12.15/oldstable", security=False, source="nano")


def host(*pending, features=("apt",), manager="dpkg", **more) -> HostFacts:
    fields = {
        "target": "web-01",
        "os_id": "debian",
        "os_version": "12",
        "os_name": "",
        "family": "debian",
        "kernel": "6.1.0-25-amd64",
        "kernels": (),
        "packages": (Package("x", "1", "amd64", "x", "1", manager),),
        "pending": pending,
        "lists_age_days": 1.0,
        "listeners": (),
        "accounts": (),
        "instances": (),
        "reboot_required": False,
        "stale_libraries": (),
        "subjects": (Subject("linux", "web-01", features=frozenset(features)),),
        **more,
    }
    return HostFacts(**fields)


def test_one_finding_a_source_with_the_exact_command():
    both = (SSL, replace(SSL, package="openssl", cves=("CVE-2026-0009",)))
    (found,) = judge(host(*both), (7,), NOW)
    assert (found.check, found.location, found.severity) == ("UPDATE:openssl", "openssl", Severity.HIGH)
    assert (found.kind, found.state, found.evidence) == (FindingKind.UPDATE, FindingState.OPEN, (7,))
    assert found.cves == ("CVE-2026-0009", "CVE-2026-0010")
    assert "apt-get install --only-upgrade libssl3=3.0.22-1 openssl=3.0.22-1" in found.remedy
    assert "未给出" in found.detail
    assert "libssl3 3.0.15-1" in found.actual


def test_the_key_outlives_a_new_candidate():
    one, other = (judge(host(replace(SSL, candidate=v)), (), NOW)[0].key for v in ("3.0.22-1", "3.0.23-1"))
    assert one == other


@pytest.mark.parametrize(
    ("said", "severity"),
    [
        ("Critical", Severity.CRITICAL),
        ("Important", Severity.HIGH),
        ("Moderate", Severity.MEDIUM),
        ("Low", Severity.LOW),
        ("", Severity.HIGH),
        ("nonsense", Severity.HIGH),
    ],
)
def test_the_vendors_grade_holds(said, severity):
    assert judge(host(replace(SSL, severity=said)), (), NOW)[0].severity is severity


def test_the_worst_grade_of_a_source_holds():
    two = (replace(SSL, severity="Low"), replace(SSL, package="openssl", severity="Critical"))
    assert judge(host(*two), (), NOW)[0].severity is Severity.CRITICAL


@pytest.mark.parametrize(("features", "tool"), [(("dnf",), "dnf"), (("dnf", "yum"), "yum")])
def test_rpm_hosts_get_their_own_command(features, tool):
    update = replace(SSL, package="openssl", candidate="1:1.0.2k-26.el7_9", advisories=("RHSA-2023:1335",))
    (found,) = judge(host(update, features=features, manager="rpm"), (), NOW)
    assert f"{tool} -y upgrade openssl-1.0.2k-26.el7_9" in found.remedy
    assert "RHSA-2023:1335" in found.detail


def test_a_hostile_version_is_quoted():
    (found,) = judge(host(replace(SSL, candidate="1; rm -rf /")), (), NOW)
    assert "'libssl3=1; rm -rf /'" in found.remedy


def test_what_is_no_security_update_is_one_piece_of_information():
    (found,) = judge(host(PLAIN, replace(PLAIN, package="vim", source="vim")), (), NOW)
    assert (found.check, found.severity) == ("UPDATES-OTHER", Severity.INFO)
    assert found.actual.startswith("2 个软件包")


def test_a_named_cve_makes_it_a_security_update():
    found = judge(host(replace(PLAIN, cves=("CVE-2024-5742",))), (), NOW)
    assert [one.check for one in found] == ["UPDATE:nano"]


def test_unread_changelog_is_not_no_cve():
    unseen = {"changelog openssl": "the mirror answers 404"}
    (found,) = judge(host(replace(SSL, cves=()), unseen=unseen), (), NOW)
    assert "CVE 未能查明：the mirror answers 404" in found.detail
    (found,) = judge(host(replace(SSL, cves=("CVE-2026-0009",)), unseen=unseen), (), NOW)
    assert "CVE 可能不全：the mirror answers 404" in found.detail


@pytest.mark.parametrize(
    ("package", "features", "check"),
    [
        ("linux-image-amd64", ("apt",), "UPDATE:linux"),
        ("linux-image-6.1.0-25-amd64", ("apt",), "UPDATE:linux"),
        ("linux-image-6.1.0-20-amd64", ("apt",), "UPDATES-OTHER"),
        ("linux-libc-dev", ("apt",), "UPDATES-OTHER"),
        ("linux-headers-amd64", ("apt",), "UPDATES-OTHER"),
        ("linux-image-amd64", ("apt", "container"), "UPDATES-OTHER"),
    ],
)
def test_the_running_kernel_only(package, features, check):
    update = replace(SSL, package=package, source="linux-signed-amd64", cves=())
    assert [one.check for one in judge(host(update, features=features), (), NOW)] == [check]


def test_restart_and_stale_libraries():
    facts = host(reboot_required=True, kernels=("6.1.0-44-amd64",), stale_libraries=("sshd: /usr/lib/libcrypto.so.3",))
    found = {one.check: one for one in judge(facts, (), NOW)}
    assert set(found) == {"REBOOT-REQUIRED", "STALE-LIBRARIES"}
    assert "6.1.0-44-amd64" in found["REBOOT-REQUIRED"].actual
    assert "sshd: /usr/lib/libcrypto.so.3" in found["STALE-LIBRARIES"].actual
    assert {one.location for one in found.values()} == {""}
    assert judge(host(reboot_required=None), (), NOW) == []


@pytest.mark.parametrize(("age", "said"), [(None, True), (8.0, True), (7.0, False), (0.0, False)])
def test_old_or_unknown_lists_are_a_gap(age, said):
    found = judge(host(lists_age_days=age), (), NOW)
    assert [(one.check, one.state) for one in found] == [("COV-LISTS", FindingState.UNKNOWN)] * said


def known(package, source, installed, fixed):
    """What a feed says of one package, with a fix."""
    return Match(
        advisory="OUR-1", feed="plain/own", cves=("CVE-2026-0001",), package=package, source=source, arch="amd64",
        installed=installed, fixed=fixed, status=Status.FIXED, confidence=Confidence.VENDOR,
    )  # fmt: skip


def test_a_plain_update_that_mends_what_feeds_know_is_that_finding_alone():
    """A point release brings the fix: the mirror does not call it one of security."""
    (found,) = judge(host(PLAIN), (), NOW, [known("nano", "nano", "7.2-1", "7.2-2")])
    assert found.check == "UPDATE:nano"
    assert found.remedy.startswith("执行 apt-get install --only-upgrade nano=7.2-2")


@pytest.mark.parametrize(
    ("installed", "source_version", "candidate", "fixed", "enough"),
    [
        ("15+248+deb12u1", "248+deb12u1", "15+248+deb12u2", "248+deb12u2", True),
        ("15+248+deb12u1", "248+deb12u1", "15+248+deb12u2", "248+deb12u3", False),
        ("4:12.2.0-3", "1.203", "4:12.2.0-4", "1.204", True),
        ("1.10.0-3+b1", "1.10.0-3", "1.10.0-4+b2", "1.10.0-4", True),
        ("1.10.0-3+b1", "1.10.0-3", "1.10.0-3+b2", "1.10.0-3+deb12u1", False),
    ],
)
def test_a_candidate_is_weighed_by_its_source(installed, source_version, candidate, fixed, enough):
    offered = PendingUpdate("x-bin", installed, candidate, "Debian", security=True, source="x")
    own = Package("x-bin", installed, "amd64", "x", source_version, "dpkg")
    (found,) = judge(host(offered, packages=(own,)), (), NOW, [known("x-bin", "x", installed, fixed)])
    assert found.remedy.startswith("执行 ") is enough
