from __future__ import annotations

import datetime as dt

import pytest

from agent.advisories import lifecycle
from agent.judge import lifecycle as judge
from agent.model.advisory import Lifecycle
from agent.model.streams import join


def test_every_row_has_a_source_and_an_end_that_is_a_day_or_left_open_with_a_reason() -> None:
    rows = lifecycle.shipped()
    assert len({(row.product, row.cycle) for row in rows}) == len(rows) > 40
    for row in rows:
        assert row.source, row
        if row.eol:
            assert dt.date.fromisoformat(row.eol)
            assert row.checked or "not confirmed" in row.source, row
        else:
            assert "no published date found; " in row.source, row


def test_a_month_is_its_last_day() -> None:
    table = {(row.product, row.cycle): row for row in lifecycle.shipped()}
    sp3 = table["openeuler", "22.03-lts-sp3"]
    assert (sp3.released, sp3.eol) == ("2023-12-01", "2025-12-31")
    assert table["opengauss", "5.0"].eol == "2026-03-31"
    assert table["oracle-weblogic", "12.2.1.4"].extended == "2027-12-31"


def test_cycles_are_spelt_as_streams_are() -> None:
    for row in lifecycle.shipped():
        for distribution, product in (("openeuler", "openeuler"), ("kylin", "kylin-server"), ("uos", "uos-server")):
            if row.product == product:
                assert join(distribution, row.cycle) == f"{distribution}:{row.cycle}"


def test_the_judge_asks_for_every_product_of_the_table() -> None:
    assert {row.product for row in lifecycle.shipped()} <= set(judge.products())


def test_a_table_of_another_form_raises() -> None:
    row = {"cycle": "1", "eol": "soon"}
    table = {"sources": {"x": "X"}, "products": [{"product": "anvil", "source": "x", "cycles": [row]}]}
    with pytest.raises(ValueError, match="isoformat"):
        lifecycle.read(table)
    row["eol"] = "yes"
    assert lifecycle.read(table) == (Lifecycle("anvil", "1", "yes", source="X"),)
