from __future__ import annotations

from agent.judge.coverage import judge
from agent.model.asset import Layer
from agent.model.facts import DatabaseFacts, HostFacts, NetworkFacts, Subject
from agent.model.finding import FindingKind, FindingState
from agent.model.observation import Reason, Unreached
from agent.model.severity import Severity


def host(**unseen) -> HostFacts:
    return HostFacts(
        target="web-01",
        os_id="",
        os_version="",
        os_name="",
        family="",
        kernel="",
        kernels=(),
        packages=(),
        pending=(),
        lists_age_days=None,
        listeners=(),
        accounts=(),
        instances=(),
        reboot_required=None,
        stale_libraries=(),
        subjects=(),
        unseen=unseen,
    )


def test_every_gap_has_its_finding_and_none_is_clean():
    found = judge(
        [
            Unreached("app-01", Layer.HOST, Reason.TIMEOUT, "no banner"),
            Unreached("app-01", Layer.NETWORK, Reason.TOOL, "x"),
        ],
        [host(dpkg="exit code 2: locked", time="timed out on the host")],
        [DatabaseFacts("pg", "postgresql", "", "", Subject("postgresql", "pg"), unseen={"settings": "denied"})],
        [
            NetworkFacts("slow", "10.0.0.1", up=True, ports=(), scanned="1-10", timed_out=True),
            NetworkFacts("down", "10.0.0.2", up=False, ports=(), scanned="1-10"),
            NetworkFacts("fine", "10.0.0.3", up=True, ports=(), scanned="1-10"),
        ],
        {"web-01": (4,)},
    )
    assert all((one.kind, one.state) == (FindingKind.COVERAGE, FindingState.UNKNOWN) for one in found)
    rows = {(one.target, one.layer.value, one.check, one.location): one for one in found}
    assert set(rows) == {
        ("app-01", "host", "COV-UNREACHED", ""),
        ("app-01", "network", "COV-UNREACHED", ""),
        ("web-01", "host", "COV-SECTION", "dpkg"),
        ("web-01", "host", "COV-SECTION", "time"),
        ("pg", "database", "COV-SECTION", "settings"),
        ("slow", "network", "COV-NETWORK", ""),
        ("down", "network", "COV-NETWORK", ""),
    }
    assert rows["app-01", "host", "COV-UNREACHED", ""].severity is Severity.HIGH
    assert "超时无响应" in rows["app-01", "host", "COV-UNREACHED", ""].title
    assert rows["web-01", "host", "COV-SECTION", "dpkg"].severity is Severity.MEDIUM
    assert rows["web-01", "host", "COV-SECTION", "dpkg"].actual == "exit code 2: locked"
    assert rows["web-01", "host", "COV-SECTION", "dpkg"].evidence == (4,)
    assert rows["web-01", "host", "COV-SECTION", "time"].severity is Severity.LOW


def test_one_layer_is_unreached_once_and_its_key_does_not_hang_on_the_reason():
    lost = [Unreached("a", Layer.HOST, Reason.TIMEOUT, "1"), Unreached("a", Layer.HOST, Reason.REFUSED, "2")]
    (one,) = judge(lost)
    (other,) = judge(lost[1:])
    assert one.key == other.key


def test_nothing_unseen_is_no_finding():
    assert judge([], [host()]) == []


def test_changelogs_that_could_not_be_had_are_one_finding():
    found = judge(
        [], [host(**{f"changelog lib{number}": f"http://m/{number}.deb: not reachable" for number in range(55)})]
    )
    (one,) = found
    assert (one.check, one.severity) == ("COV-CHANGELOG", Severity.LOW)
    assert "55 个" in one.title
    assert one.actual.startswith("lib0、lib1、")
    assert one.actual.endswith("等 55 个；not reachable")
