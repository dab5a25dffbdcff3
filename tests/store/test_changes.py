"""Transactions as the store keeps them."""

from __future__ import annotations

from datetime import UTC, datetime

from agent.model.change import Item, Planned, Step, TxState
from agent.model.hardening import TxRecord
from agent.store import changes, runs
from agent.store.engine import open_store

NOW = datetime(2026, 11, 22, 1, 2, 3, tzinfo=UTC)


def test_a_transaction_reads_back_as_it_was_written_also_the_order_of_what_is_wanted(tmp_path):
    item = Item("i1", "tomcat_server_xml", {"z": {"prefix": "1", "directory": "2"}, "a": "x"}, {"b": 1, "a": 2})
    step = Step("tomcat_server_xml", "tomcat", "z", "未设置", "prefix=1 directory=2", "true")
    record = TxRecord("r-1", "harden-1-abcd", "web-01", "tomcat", 1, (Planned(item, (step,)),))
    with open_store(tmp_path / "state") as store:
        runs.create_run(store, record.run, kind="harden", period="", plan={}, operator="root", started_at=NOW, tasks=())
        changes.add(store, [record])
        (read,) = changes.of_run(store, record.run)
    assert read == record
    assert read.state is TxState.PLANNED
    wanted = read.planned[0].item
    assert [list(wanted.want), list(wanted.want["z"]), list(wanted.options)] == [
        ["z", "a"], ["prefix", "directory"], ["b", "a"],
    ]  # fmt: skip
