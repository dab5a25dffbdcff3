from __future__ import annotations

from datetime import UTC, datetime

import pytest

from agent.judge import feedcover
from agent.model.asset import Layer
from agent.model.facts import HostFacts, Package, Subject
from agent.model.finding import FindingKind, FindingState
from agent.model.severity import Severity

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def judge(there, newest="2026-11-20T00:00:00Z", size=900, *, mirror=False):
    streams, sizes = dict.fromkeys(there, newest), dict.fromkeys(there, size)
    return feedcover.judge("k-01", Layer.HOST, "Kylin V10", there, streams, sizes, NOW, (3,), mirror=mirror)


def test_a_fresh_feed_is_no_finding():
    assert judge(("kylin:v10",)) == []


@pytest.mark.parametrize(("mirror", "grade"), [(False, Severity.HIGH), (True, Severity.LOW)])
def test_no_feed_is_said_and_never_clean(mirror, grade):
    (found,) = judge((), mirror=mirror)
    assert (found.check, found.severity) == ("COV-FEED", grade)
    assert (found.kind, found.state) == (FindingKind.COVERAGE, FindingState.UNKNOWN)
    assert "无漏洞库" in found.title
    assert "不得视为无漏洞" in found.actual


@pytest.mark.parametrize(("newest", "said"), [("2026-10-01T00:00:00Z", "52 天"), ("", "未标明日期")])
def test_a_stale_or_undated_feed_is_a_finding(newest, said):
    (found,) = judge(("kylin:v10",), newest)
    assert found.check == "COV-FEED-AGE"
    assert said in found.actual


def test_a_handful_of_advisories_is_no_whole_feed():
    (found,) = judge(("kylin:v10",), size=3)
    assert found.check == "COV-FEED-SMALL"
    assert "3 条" in found.actual


IMAGE = Package("linux-image-6.1.0-25-amd64", "6.1.106-3", "amd64", "linux-signed-amd64", "6.1.106+3", "dpkg")


@pytest.mark.parametrize(
    ("running", "features", "said"),
    [
        ("6.1.0-25-amd64", (), False),
        ("6.18.4-own", (), True),
        ("6.18.4-own", ("container",), False),
        ("", (), False),
    ],
)
def test_a_running_kernel_of_no_package_is_said(running, features, said):
    facts = HostFacts(
        "web-01", "debian", "12", "", "debian", running, (), (IMAGE,), (), None, (), (), (), None, (),
        (Subject("linux", "web-01", features=frozenset(features)),),
    )  # fmt: skip
    found = feedcover.kernel(facts, "Debian 12", (3,))
    assert [(one.check, one.state) for one in found] == [("COV-KERNEL", FindingState.UNKNOWN)] * said
    assert all("6.18.4-own" in one.actual for one in found)
