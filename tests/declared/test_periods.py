from datetime import date
from pathlib import Path

import pytest

from agent.declared import load_periods, resolve
from agent.declared.periods import shipped_calendar
from agent.model.errors import DeclaredError
from agent.model.period import Period, PeriodStatus

ROOT = Path(__file__).parents[2]
ROW = (
    "id: {id}, name: {name}, title: t, kind: {kind}, start: {start}, end: {end}, lead_from: {lead}, status: {status}, "
    "source: '{source}'"
)
DEFAULT = {
    "id": "a-1",
    "name": "a",
    "kind": "statutory",
    "start": "2027-03-04",
    "end": "2027-03-13",
    "lead": "2027-03-01",
    "status": "official",
    "source": "notice",
}


def periods(root: Path, *rows: dict[str, str], extra: str = "") -> tuple[Period, ...]:
    lines = "".join(f"- {{{ROW.format(**(DEFAULT | row))}{extra}}}\n" for row in rows)
    (root / "periods.yaml").write_text(f"schema_version: 1\nperiods:\n{lines}", "utf-8")
    return load_periods(root)


def test_the_shipped_calendar_of_2026_and_2027(tmp_path: Path) -> None:
    (tmp_path / "periods.yaml").write_text(shipped_calendar(), "utf-8")
    found = {period.id: period for period in load_periods(tmp_path)}
    official = {key: value for key, value in found.items() if value.status is PeriodStatus.OFFICIAL}
    assert {key: (p.start, p.end) for key, p in official.items()} == {
        "zhongqiu-2026": (date(2026, 9, 25), date(2026, 9, 27)),
        "guoqing-2026": (date(2026, 10, 1), date(2026, 10, 7)),
    }
    lianghui = found["lianghui-2027"]
    assert (lianghui.start, lianghui.end, lianghui.lead_from) == (date(2027, 3, 4), date(2027, 3, 13), date(2027, 3, 1))
    assert (found["beijing-lianghui-2027"].start, found["beijing-lianghui-2027"].end) == (
        date(2027, 1, 5),
        date(2027, 1, 31),
    )
    # 2027: New Year's Day, eve and day of the Spring Festival, Qingming, Labour Day, Dragon Boat Festival
    inside = {
        "yuandan-2027": [date(2027, 1, 1)],
        "chunjie-2027": [date(2027, 2, 5), date(2027, 2, 6)],
        "qingming-2027": [date(2027, 4, 5)],
        "laodong-2027": [date(2027, 5, 1)],
        "duanwu-2027": [date(2027, 6, 9)],
    }
    for key, days in inside.items():
        assert all(found[key].start <= day <= found[key].end for day in days), key
        assert found[key].status is PeriodStatus.ESTIMATED
        assert "未公布" in found[key].source
    assert sorted(p.counts for p in found.values() if p.counts != "extra") == ["round-1", "round-2"]
    assert all(date(2026, 7, 1) <= p.lead_from and p.end <= date(2027, 6, 30) for p in found.values())
    assert "9月20日上班" in found["zhongqiu-2026"].source
    assert "10月10日上班" in found["guoqing-2026"].source


def test_the_lab_has_the_same_calendar() -> None:
    assert resolve(load_periods(ROOT), "lianghui", date(2026, 11, 22)).id == "lianghui-2027"


@pytest.mark.parametrize(
    ("row", "extra", "field", "words"),
    [
        ({"end": "2027-03-03"}, "", "end", "before start"),
        ({"lead": "2027-03-05"}, "", "lead_from", "after start"),
        ({"lead": "2026-03-01"}, "", "lead_from", "more than 60 days"),
        ({"end": "2028-03-13"}, "", "end", "longer than"),
        ({"kind": "adhoc"}, "", "notice", "customer's notice"),
        ({"kind": "adhoc"}, ", notice: ' '", "notice", "customer's notice"),
        ({"status": "confirmed"}, "", "confirmed_by", "missing"),
        ({"source": ""}, "", "source", "missing"),
        ({"start": "2027-02-30"}, "", "start", "date"),
        ({"start": "20270304"}, "", "start", "not a date"),
        ({"status": "sure"}, "", "status", "official"),
        ({"kind": "party"}, "", "kind", "statutory"),
        ({}, ", counts: round-3", "counts", "round-1"),
        ({}, ", colour: red", "colour", "unknown key"),
        ({"id": "../x"}, "", "id", "usable name"),
    ],
)
def test_each_refusal(tmp_path: Path, row: dict[str, str], extra: str, field: str, words: str) -> None:
    with pytest.raises(DeclaredError) as caught:
        periods(tmp_path, row, extra=extra)
    assert caught.value.where.endswith(f"periods.yaml:3: periods[0].{field}")
    assert words in caught.value.message
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"id": "a-1", "start": "2027-05-01", "end": "2027-05-02", "lead": "2027-04-30"}, "stands twice"),
        ({"id": "a-2", "start": "2027-03-13", "end": "2027-03-14", "lead": "2027-03-12"}, "overlaps a-1"),
        ({"id": "a", "name": "b"}, "another period's name"),
    ],
)
def test_refuses_periods_that_collide(tmp_path: Path, other: dict[str, str], words: str) -> None:
    with pytest.raises(DeclaredError, match=words):
        periods(tmp_path, {}, other)


def test_an_adhoc_period_with_its_notice_passes(tmp_path: Path) -> None:
    (found,) = periods(tmp_path, {"kind": "adhoc", "source": ""}, extra=", notice: 'state/notices/7.pdf'")
    assert found.notice


@pytest.fixture
def two(tmp_path: Path) -> tuple[Period, ...]:
    later = {"id": "a-2", "start": "2028-03-04", "end": "2028-03-13", "lead": "2028-03-01"}
    return periods(tmp_path, later, {}, {"id": "b-1", "name": "b"})


@pytest.mark.parametrize(
    ("name", "day", "found"),
    [
        ("a", date(2026, 1, 1), "a-1"),
        ("a", date(2027, 3, 4), "a-1"),
        ("a", date(2027, 3, 13), "a-1"),
        ("a", date(2027, 3, 14), "a-2"),
        ("a-1", date(2030, 1, 1), "a-1"),
        ("a-2", date(2026, 1, 1), "a-2"),
    ],
)
def test_a_name_means_the_one_under_way_or_the_next(two: tuple[Period, ...], name: str, day: date, found: str) -> None:
    assert resolve(two, name, day).id == found


@pytest.mark.parametrize(
    ("name", "day", "words"),
    [
        ("c", date(2026, 1, 1), "b-1 (2027-03-04"),
        ("a", date(2029, 1, 1), "is past"),
        ("t", date(2026, 1, 1), "ambiguous"),
    ],
)
def test_resolve_lists_what_there_is(two: tuple[Period, ...], name: str, day: date, words: str) -> None:
    with pytest.raises(DeclaredError) as caught:
        resolve(two, name, day)
    assert words in caught.value.message
    assert "a-1" in caught.value.message
    assert caught.value.remedy
