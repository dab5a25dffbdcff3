from datetime import UTC, date, datetime

from agent.jobs import plan, today
from agent.model.period import Period


def test_times_are_computed_in_shanghai_and_kept_in_utc(calendar: tuple[Period, ...]) -> None:
    jobs = {one.job: one for one in plan(calendar)}
    assert len(jobs) == 18
    scan = jobs["scan:lianghui-2027"]
    # 2027-03-01 01:00 in Asia/Shanghai lies on the last day of February in UTC.
    assert scan.due_at == datetime(2027, 2, 28, 17, tzinfo=UTC)
    assert jobs["report:lianghui-2027"].due_at == datetime(2027, 3, 1, 1, tzinfo=UTC)
    assert scan.until == datetime(2027, 3, 13, 16, tzinfo=UTC)
    assert scan.waiting
    assert not jobs["scan:guoqing-2026"].waiting


def test_jobs_come_in_the_order_of_the_year(calendar: tuple[Period, ...]) -> None:
    jobs = plan(calendar)
    assert [one.due_at for one in jobs] == sorted(one.due_at for one in jobs)
    assert jobs[0].job == "scan:zhongqiu-2026"
    assert jobs[-1].job == "report:duanwu-2027"
    assert all(date(2026, 7, 1) <= today(one.due_at) <= date(2027, 6, 30) for one in jobs)


def test_a_day_begins_in_shanghai() -> None:
    assert today(datetime(2026, 12, 31, 16, tzinfo=UTC)) == date(2027, 1, 1)
    assert today(datetime(2026, 12, 31, 15, 59, tzinfo=UTC)) == date(2026, 12, 31)
