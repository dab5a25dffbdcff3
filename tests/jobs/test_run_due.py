from __future__ import annotations

import threading
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, NoReturn

import pytest

from agent.jobs import Policy, Row, mark_done, overview, plan, retry, run_due, slots
from agent.jobs.claims import claim, fail, finish, renew
from agent.model.errors import AgentError
from agent.model.period import Period, PeriodStatus
from agent.store.engine import Store

if TYPE_CHECKING:
    from tests.jobs.conftest import Hand

YEAR = (date(2026, 7, 1), date(2027, 6, 30))


def states(store: Store, periods: tuple[Period, ...], hand: Hand) -> dict[str, str]:
    return {row.planned.job: row.state for row in overview(store, plan(periods), hand(), *YEAR)}


def row(store: Store, periods: tuple[Period, ...], hand: Hand, job: str) -> Row:
    return next(one for one in overview(store, plan(periods), hand(), *YEAR) if one.planned.job == job)


def test_a_year_runs_each_job_once_when_its_time_comes(store: Store, calendar: tuple[Period, ...], hand: Hand) -> None:
    ran: list[str] = []
    periods = tuple(replace(one, status=PeriodStatus.CONFIRMED) for one in calendar)
    for _ in range(300):
        for one in run_due(store, plan(periods), hand, lambda job: ran.append(job) or "done"):
            assert one.state == "done"
        hand.go(hours=24)
    assert ran == [one.job for one in plan(periods)]
    assert set(states(store, periods, hand).values()) == {"done"}


def test_nothing_runs_before_its_time_and_no_report_before_its_scan(
    store: Store, calendar: tuple[Period, ...], hand: Hand
) -> None:
    ran: list[str] = []
    run = lambda job: ran.append(job) or "ok"  # noqa: E731 - short
    assert run_due(store, plan(calendar), hand, run) == []
    hand.go(minutes=59, seconds=59)
    assert run_due(store, plan(calendar), hand, run) == []
    hand.go(seconds=1)
    run_due(store, plan(calendar), hand, run)
    assert ran == ["scan:zhongqiu-2026"]
    hand.go(hours=8)
    run_due(store, plan(calendar), hand, run)
    assert ran == ["scan:zhongqiu-2026", "report:zhongqiu-2026"]


def test_an_estimated_period_waits_and_is_never_lost(store: Store, calendar: tuple[Period, ...], hand: Hand) -> None:
    hand.now = next(one.due_at for one in plan(calendar) if one.job == "scan:lianghui-2027") + timedelta(hours=10)
    ran: list[str] = []
    run = lambda job: ran.append(job) or "ok"  # noqa: E731 - short
    run_due(store, plan(calendar), hand, run)
    assert ran == []
    assert states(store, calendar, hand)["scan:lianghui-2027"] == "waiting for confirmation"

    def told(status: PeriodStatus) -> tuple[Period, ...]:
        return tuple(replace(p, status=status) if p.id == "lianghui-2027" else p for p in calendar)

    def broken(_job: str) -> NoReturn:
        raise AgentError("not today")

    run_due(store, plan(told(PeriodStatus.CONFIRMED)), hand, broken)
    assert states(store, told(PeriodStatus.CONFIRMED), hand)["scan:lianghui-2027"] == "retrying"
    hand.go(hours=1)
    run_due(store, plan(told(PeriodStatus.ESTIMATED)), hand, run)
    assert ran == []
    run_due(store, plan(told(PeriodStatus.CONFIRMED)), hand, run)
    assert ran == ["scan:lianghui-2027", "report:lianghui-2027"]
    hand.go(days=20)
    run_due(store, plan(told(PeriodStatus.ESTIMATED)), hand, run)
    assert len(ran) == 2


def test_an_estimate_that_nobody_confirmed_is_missed(store: Store, calendar: tuple[Period, ...], hand: Hand) -> None:
    hand.go(days=365)
    found = row(store, calendar, hand, "scan:lianghui-2027")
    assert (found.state, found.result) == ("missed", "the dates were not confirmed in time")


def test_after_a_pause_only_the_latest_scan_is_caught_up(
    store: Store, calendar: tuple[Period, ...], hand: Hand
) -> None:
    ran: list[str] = []
    hand.go(days=7)  # 2026-09-25: both autumn scans are due
    run_due(store, plan(calendar), hand, lambda job: ran.append(job) or "ok")
    assert ran == ["scan:guoqing-2026", "report:guoqing-2026"]
    found = row(store, calendar, hand, "scan:zhongqiu-2026")
    assert found.state == "missed"
    assert "caught up by scan:guoqing-2026" in found.result
    assert row(store, calendar, hand, "report:zhongqiu-2026").result == "there is no scan to report on"


def test_a_scan_that_counts_for_a_round_is_not_dropped_for_an_extra_one(
    store: Store, calendar: tuple[Period, ...], hand: Hand
) -> None:
    counts = {"zhongqiu-2026": "round-1", "guoqing-2026": "extra"}
    periods = tuple(replace(one, counts=counts.get(one.id, one.counts)) for one in calendar)
    ran: list[str] = []
    hand.go(days=7)
    run_due(store, plan(periods), hand, lambda job: ran.append(job) or "ok")
    assert [job for job in ran if job.startswith("scan")] == ["scan:zhongqiu-2026", "scan:guoqing-2026"]


def test_a_scan_after_its_period_makes_no_sense(store: Store, calendar: tuple[Period, ...], hand: Hand) -> None:
    hand.go(days=60)
    assert run_due(store, plan(calendar), hand, lambda _job: "ok") == []
    found = row(store, calendar, hand, "scan:guoqing-2026")
    assert (found.state, found.result) == ("missed", "the period ended on 2026-10-07 before a scan was done")


def test_a_late_report_is_caught_up_when_its_scan_was_done(
    store: Store, calendar: tuple[Period, ...], hand: Hand
) -> None:
    hand.go(hours=1)
    run_due(store, plan(calendar), hand, lambda _job: "ok")
    hand.go(days=40)
    ran = run_due(store, plan(calendar), hand, lambda _job: "ok")
    assert [one.job for one in ran] == ["report:zhongqiu-2026"]


def test_failures_back_off_then_raise_an_alarm(store: Store, calendar: tuple[Period, ...], hand: Hand) -> None:
    policy = Policy(attempts=4)
    times = []

    def broken(_job: str) -> NoReturn:
        times.append(hand())
        raise ValueError("no\x1b[31m luck")

    hand.go(hours=1)
    found: list[str] = []
    while len(found) < 4:
        found += [one.state for one in run_due(store, plan(calendar), hand, broken, policy=policy)]
        hand.go(minutes=1)
    assert found == ["due", "due", "due", "failed"]
    gaps = [(b - a).total_seconds() / 60 for a, b in pairwise(times)]
    assert gaps == [5, 10, 20]
    failed = row(store, calendar, hand, "scan:zhongqiu-2026")
    assert (failed.state, failed.attempt) == ("failed", 4)
    assert failed.result == "ValueError: no luck"
    assert run_due(store, plan(calendar), hand, broken, policy=policy) == []
    retry(store, failed.planned)
    (again,) = run_due(store, plan(calendar), hand, lambda _job: "ok", policy=policy)
    assert again.state == "done"
    with pytest.raises(AgentError, match="not failed or missed"):
        retry(store, failed.planned)


def test_waits_double_up_to_their_limit() -> None:
    policy = Policy()
    assert [policy.wait(n).total_seconds() / 60 for n in (1, 2, 3, 7, 100)] == [5, 10, 20, 240, 240]


def test_who_lost_the_lease_can_write_nothing(store: Store, calendar: tuple[Period, ...], hand: Hand) -> None:
    policy = Policy()
    hand.go(hours=1)
    first = claim(store, plan(calendar), hand(), "one", policy)
    assert first is not None
    assert claim(store, plan(calendar), hand(), "two", policy) is None
    hand.go(minutes=9)
    assert renew(store, first, hand(), policy)
    hand.go(minutes=9)
    assert claim(store, plan(calendar), hand(), "two", policy) is None
    hand.go(minutes=1)
    second = claim(store, plan(calendar), hand(), "two", policy)
    assert second is not None
    assert (second.slot, second.attempt) == (first.slot, 2)
    assert not renew(store, first, hand(), policy)
    assert not finish(store, first, hand(), "late")
    assert finish(store, second, hand(), "in time")
    assert not finish(store, second, hand(), "twice")
    (done,) = slots(store)
    assert (done.state, done.result, done.attempt) == ("done", "in time", 2)


def test_an_older_attempt_of_the_same_process_is_fenced_off(
    store: Store, calendar: tuple[Period, ...], hand: Hand
) -> None:
    hand.go(hours=1)
    first = claim(store, plan(calendar), hand(), "one", Policy())
    hand.go(minutes=11)
    second = claim(store, plan(calendar), hand(), "one", Policy())
    assert first is not None
    assert second is not None
    assert not finish(store, first, hand(), "late")
    assert fail(store, first, hand(), "late", Policy()) == "lost"
    assert finish(store, second, hand(), "in time")


def test_a_retry_by_hand_does_not_let_an_old_attempt_back_in(
    store: Store, calendar: tuple[Period, ...], hand: Hand
) -> None:
    hand.go(hours=1)
    first = claim(store, plan(calendar), hand(), "one", Policy())
    assert first is not None
    assert fail(store, first, hand(), "broken", Policy(attempts=1)) == "failed"
    retry(store, first.planned)
    second = claim(store, plan(calendar), hand(), "two", Policy())
    assert second is not None
    assert second.attempt == first.attempt
    assert not finish(store, first, hand(), "late")
    assert finish(store, second, hand(), "in time")


def test_a_job_that_kills_its_process_each_time_is_given_up(
    store: Store, calendar: tuple[Period, ...], hand: Hand
) -> None:
    policy = Policy(attempts=3)
    hand.go(hours=1)
    for attempt in (1, 2, 3):
        held = claim(store, plan(calendar), hand(), "x", policy)
        assert held is not None
        assert held.attempt == attempt
        hand.go(minutes=11)
    assert claim(store, plan(calendar), hand(), "x", policy) is None
    assert "the process died each time" in row(store, calendar, hand, "scan:zhongqiu-2026").result


def test_the_heartbeat_keeps_a_long_job(store: Store, calendar: tuple[Period, ...], hand: Hand) -> None:
    policy = Policy(lease=timedelta(seconds=0.3))
    hand.go(hours=1)
    passed = threading.Event()

    def long(_job: str) -> str:
        for _ in range(10):
            passed.wait(0.1)
            hand.go(seconds=0.1)
            assert claim(store, plan(calendar), hand(), "thief", policy) is None
        return "long"

    (one,) = run_due(store, plan(calendar), hand, long, policy=policy)
    assert (one.state, one.result) == ("done", "long")


def test_an_interrupted_job_is_free_at_once(store: Store, calendar: tuple[Period, ...], hand: Hand) -> None:
    hand.go(hours=1)

    def stopped(_job: str) -> NoReturn:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_due(store, plan(calendar), hand, stopped)
    (one,) = run_due(store, plan(calendar), hand, lambda _job: "ok")
    assert (one.state, one.attempt) == ("done", 2)


def test_a_period_that_moves_takes_its_jobs_along(store: Store, calendar: tuple[Period, ...], hand: Hand) -> None:
    hand.go(hours=1)

    def broken(_job: str) -> NoReturn:
        raise AgentError("no")

    run_due(store, plan(calendar), hand, broken)
    away = tuple(replace(p, lead_from=date(2026, 9, 20)) if p.id == "zhongqiu-2026" else p for p in calendar)
    hand.go(hours=1)
    assert run_due(store, plan(away), hand, lambda _job: "ok") == []
    assert [one.result for one in slots(store)] == ["no longer planned: the period was moved or removed"]
    (back,) = run_due(store, plan(calendar), hand, lambda _job: "ok")
    assert back.state == "done"
    hand.go(days=2, hours=10)
    (failed,) = run_due(store, plan(away), hand, broken)
    assert (failed.job, failed.state) == ("scan:zhongqiu-2026", "due")
    hand.go(hours=1)
    ran = run_due(store, plan(away), hand, lambda _job: "ok")
    # The scan of the 18th lies before the new window, so that it is done anew; its report follows.
    assert [one.job for one in ran] == ["scan:zhongqiu-2026", "report:zhongqiu-2026"]
    later = tuple(replace(p, lead_from=date(2026, 9, 19)) if p.id == "zhongqiu-2026" else p for p in calendar)
    assert run_due(store, plan(later), hand, lambda _job: "ok") == []
    assert states(store, later, hand)["scan:zhongqiu-2026"] == "done"


def test_done_by_hand_is_not_done_again(store: Store, calendar: tuple[Period, ...], hand: Hand) -> None:
    hand.go(minutes=30)
    scan = next(one for one in plan(calendar) if one.job == "scan:zhongqiu-2026")
    mark_done(store, scan, hand(), "run r-1")
    hand.go(minutes=40)
    assert run_due(store, plan(calendar), hand, lambda _job: "ok") == []
    found = row(store, calendar, hand, "scan:zhongqiu-2026")
    assert (found.state, found.result) == ("done", "run r-1")
    with pytest.raises(AgentError, match="is done already"):
        mark_done(store, scan, hand(), "again")


def test_what_is_claimed_shows_as_running(store: Store, calendar: tuple[Period, ...], hand: Hand) -> None:
    hand.go(hours=1)
    assert states(store, calendar, hand)["scan:zhongqiu-2026"] == "due"
    claim(store, plan(calendar), hand(), "x", Policy())
    found = states(store, calendar, hand)
    assert found["scan:zhongqiu-2026"] == "running"
    assert found["scan:guoqing-2026"] == "planned"
    hand.go(minutes=11)
    assert states(store, calendar, hand)["scan:zhongqiu-2026"] == "due"
