from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.declared.periods import load_periods, shipped_calendar
from agent.model.period import Period
from agent.store.engine import Store, open_store


class Hand:
    """A clock that a test moves by hand."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def go(self, **span: float) -> datetime:
        self.now += timedelta(**span)
        return self.now


@pytest.fixture
def hand() -> Hand:
    # 2026-09-18 00:00 in Asia/Shanghai, one hour before the scan for the Mid-Autumn Festival
    return Hand(datetime(2026, 9, 17, 16, tzinfo=UTC))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "state") as opened:
        yield opened


@pytest.fixture
def calendar(tmp_path: Path) -> tuple[Period, ...]:
    (tmp_path / "periods.yaml").write_text(shipped_calendar(), "utf-8")
    return load_periods(tmp_path)
