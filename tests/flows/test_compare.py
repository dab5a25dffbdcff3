"""Rounds compared: fixed is said only after a fresh look."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from agent.flows.compare import Round, difference
from agent.flows.judge import accept, distinct
from agent.model.asset import Layer
from agent.model.finding import Change, Finding, FindingKind, FindingState, Remediation, RiskException
from agent.model.severity import Severity

HOST = ("node-01", "host")
WEAK = Finding(
    target="node-01", layer=Layer.HOST, kind=FindingKind.CONTROL, check="LIN-IA-A-01", location="", title="空口令",
    severity=Severity.CRITICAL, state=FindingState.OPEN, actual="test", expected="空", remedy="锁定", evidence=(1,),
)  # fmt: skip
UNSURE = replace(WEAK, state=FindingState.UNKNOWN)


PLACE = ("node-01", "LIN-IA-A-01", "")


def made(name, *findings, seen=(HOST,), judged=(PLACE,), scanned=()):
    return Round(name, name, findings, frozenset(seen), frozenset(judged), frozenset(scanned))


@pytest.mark.parametrize(
    ("now", "earlier", "change"),
    [
        (made("3", WEAK), [made("2")], Change.NEW),
        (made("3", WEAK), [made("2", WEAK)], Change.REMAINS),
        (made("3", WEAK), [made("2"), made("1", WEAK)], Change.RECURS),
        (made("3"), [made("2", WEAK)], Change.FIXED),
        (made("3", seen=()), [made("2", WEAK)], Change.UNSEEN),
        (made("3", UNSURE), [made("2", WEAK)], Change.UNSEEN),
        (made("3", WEAK), [made("2", seen=()), made("1", WEAK)], Change.REMAINS),
        (made("3"), [made("2", seen=()), made("1", WEAK)], Change.FIXED),
        (made("3", WEAK), [made("2", UNSURE), made("1", WEAK)], Change.REMAINS),
        (made("3", judged=()), [made("2", WEAK)], Change.UNSEEN),
        (made("3"), [made("2", UNSURE), made("1", WEAK)], Change.FIXED),
        (made("3", seen=()), [made("2", judged=()), made("1", WEAK)], Change.UNSEEN),
    ],
)
def test_each_kind_of_change(now, earlier, change):
    assert [row.change for row in difference(now, earlier)] == [change]


UPDATE = replace(WEAK, kind=FindingKind.UPDATE, check="UPDATE:openssl", location="openssl")
STALE = replace(UPDATE, check="STALE-LIBRARIES", location="")
PORT = replace(WEAK, kind=FindingKind.EXPOSURE, layer=Layer.NETWORK, check="EXP-LISTENER", location="tcp/8081")
CIPHER = replace(PORT, check="EXP-SSH-WEAK", location="tcp/22")
NETWORK = ("node-01", "network")


def lacks(section):
    """The coverage finding for a section that gave no answer."""
    return replace(WEAK, kind=FindingKind.COVERAGE, state=FindingState.UNKNOWN, check="COV-SECTION", location=section)


@pytest.mark.parametrize(
    ("finding", "section", "change"),
    [
        (UPDATE, "apt-show", Change.UNSEEN),
        (UPDATE, "dpkg", Change.UNSEEN),
        (UPDATE, "dnf-list", Change.UNSEEN),
        (UPDATE, "time", Change.FIXED),
        (STALE, "stale", Change.UNSEEN),
        (STALE, "apt-show", Change.FIXED),
        (PORT, "ss", Change.UNSEEN),
        (PORT, "dpkg", Change.FIXED),
    ],
)
def test_what_a_failed_section_would_have_told_is_not_fixed(finding, section, change):
    now = made("2", lacks(section), seen=(HOST, NETWORK), scanned=("node-01",))
    rows = difference(now, [made("1", finding, seen=(HOST, NETWORK), scanned=("node-01",))])
    assert [row.change for row in rows] == [change]


@pytest.mark.parametrize(("scanned", "change"), [((), Change.UNSEEN), (("node-01",), Change.FIXED)])
def test_what_only_nmap_tells_is_fixed_only_after_nmap_looked(scanned, change):
    now = made("2", seen=(HOST, NETWORK), scanned=scanned)
    (row,) = difference(now, [made("1", CIPHER, seen=(HOST, NETWORK), scanned=("node-01",))])
    assert row.change is change


def test_the_same_answers_judged_again_fix_nothing():
    now = replace(made("2"), evidence=frozenset({1, 2}))
    assert [row.change for row in difference(now, [made("1", WEAK)])] == [Change.UNSEEN]
    later = replace(made("3"), evidence=frozenset({3}))
    assert [row.change for row in difference(later, [now, made("1", WEAK)])] == [Change.FIXED]


MIRROR = replace(UPDATE, remediation=Remediation("openssl", "1", "2", "fixed", "vendor", feeds=("mirror",)))
OLD_LISTS = replace(lacks(""), check="COV-LISTS")


def test_that_lists_were_removed_fixes_nothing():
    assert [row.change for row in difference(made("2", OLD_LISTS), [made("1", MIRROR)])] == [Change.UNSEEN]
    assert [row.change for row in difference(made("2"), [made("1", MIRROR)])] == [Change.FIXED]


def test_a_fix_that_comes_out_is_no_fixed_weakness():
    told = Remediation("openssl", "1", "2", "fixed", "vendor", feeds=("osv/debian",))
    nofix = replace(UPDATE, check="NOFIX:openssl", cves=("CVE-2026-1",), remediation=told)
    fixable = replace(UPDATE, cves=("CVE-2026-1", "CVE-2026-2"), remediation=told)
    rows = difference(made("2", fixable), [made("1", nofix)])
    assert [(row.change, row.finding.check) for row in rows] == [(Change.REMAINS, "UPDATE:openssl")]


@pytest.mark.parametrize(("feeds", "change"), [((), Change.UNSEEN), (("endoflife/endoflife.date",), Change.FIXED)])
def test_an_end_of_life_whose_table_is_gone_is_not_fixed(feeds, change):
    ended = replace(UPDATE, check="EOL", location="", detail="依据：https://endoflife.date/debian")
    now = replace(made("2"), feeds=frozenset(feeds))
    assert [row.change for row in difference(now, [made("1", ended)])] == [change]


def test_a_weakness_whose_check_errored_is_not_forgotten_by_the_next_round():
    rounds = [made("3", UNSURE), made("2", UNSURE), made("1", WEAK)]
    assert [row.change for row in difference(made("4", UNSURE), rounds)] == [Change.UNSEEN]


def test_a_first_round_has_nothing_to_compare_with():
    assert difference(made("1", WEAK), []) == ()


def test_what_was_fixed_earlier_is_not_told_again():
    assert difference(made("3"), [made("2"), made("1", WEAK)]) == ()


def test_of_several_with_one_key_the_worst_stays_with_all_evidence():
    (kept,) = distinct([replace(WEAK, severity=Severity.LOW, evidence=(2,)), WEAK])
    assert (kept.severity, kept.evidence) == (Severity.CRITICAL, (1, 2))


@pytest.mark.parametrize(
    ("expires", "state"), [("2026-11-22", FindingState.ACCEPTED), ("2026-11-21", FindingState.OPEN)]
)
def test_an_exception_covers_until_its_last_day_in_shanghai(expires, state, evening):
    exception = RiskException("node-01", "LIN-IA-A-01", "", "旧系统", "王审批", expires)
    (marked,) = accept([WEAK], [exception], evening)
    assert marked.state is state


def test_an_exception_does_not_cover_that_the_check_errored(evening):
    (marked,) = accept(
        [UNSURE], [RiskException("node-01", "LIN-IA-A-01", "", "旧系统", "王审批", "2027-01-01")], evening
    )
    assert marked.state is FindingState.UNKNOWN


@pytest.fixture
def evening():
    return datetime(2026, 11, 21, 16, 30, tzinfo=UTC)  # 00:30 of the 22nd in Shanghai


def test_an_installed_kernel_that_does_not_run_yet_is_not_called_fixed():
    kernel = replace(UPDATE, check="UPDATE:linux", location="linux")
    reboot = replace(UPDATE, check="REBOOT-REQUIRED", location="")
    before = made("1", kernel)
    rows = {row.finding.check: row.change for row in difference(made("2", reboot), [before])}
    assert rows["UPDATE:linux"] is Change.UNSEEN
    (row,) = difference(made("2"), [before])
    assert row.change is Change.FIXED
