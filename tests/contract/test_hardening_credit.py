"""What counts for the contract, and the gap that each missing part leaves."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from agent.contract.hardening import credit
from agent.model.change import Closure, Handle, Item, Planned, Step, TxState
from agent.model.duties import Quota
from agent.model.hardening import ClosureRecord, Leave, Ticket, TxRecord
from agent.model.severity import Severity

T0 = datetime(2027, 3, 1, 1, tzinfo=UTC)
TICKET = Ticket(
    "GD-7", "节前加固", "函 12", datetime(2027, 3, 1, tzinfo=UTC), datetime(2027, 3, 2, tzinfo=UTC),
    ("web-01", "db-01"), ("*",), "", signed=True, approver="赵六",
)  # fmt: skip
LEAVE = Leave(TICKET, evidence=(3,))
FILE, SYSCTL = Handle("file", ("/etc/ssh/sshd_config",)), Handle("sysctl", ("net.ipv4.ip_forward",))
STEP = Step("sshd_option", "sshd", "PermitRootLogin", "yes", "no", "", handles=(FILE, SYSCTL))
UPGRADE = Step("package", "packages", "openssl", "3.0.11", "3.0.19", "", irreversible="软件包升级不可回退")
BEFORE = {1: ("a" * 64, "b" * 64), 2: ("c" * 64, "d" * 64)}


def tx(step=STEP, target="web-01", name="t1", **more):
    planned = (Planned(Item("i", "sshd_option", None, target=target, findings=("k1",)), (step,)),)
    row = TxRecord(
        name, "h", "web-01", step.group, 1, planned, TxState.CONFIRMED, sent_at=T0, ended_at=T0,
        armed_by="systemd-run", digests=BEFORE,
    )  # fmt: skip
    return replace(row, **more)


def closed(target="web-01", *transactions, evidence=(9,)):
    return ClosureRecord(
        "h", "k1", target, "C", "", "t", Severity.HIGH, Closure.FIXED, "", "yes", "no", transactions or ("t1",), (1,),
        evidence,
    )  # fmt: skip


def earned(leave=LEAVE, transactions=None, closures=None, targets=None):
    return credit(
        targets or {"web-01": "host"}, Quota(23, 3), leave,
        [tx()] if transactions is None else transactions, [closed()] if closures is None else closures,
    )  # fmt: skip


def test_with_all_five_parts_it_counts():
    (row,) = earned().rows
    assert row.counts
    assert (row.transactions, row.handles, row.oneway) == (("t1",), 2, ())


@pytest.mark.parametrize(
    ("given", "part", "words"),
    [
        ({"leave": None}, "ticket", "没有工单"),
        ({"leave": Leave(None, {"unsigned": "x"}, evidence=(3,))}, "ticket", "没有工单"),
        ({"leave": replace(LEAVE, ticket=replace(TICKET, signed=False))}, "ticket", "未验签"),
        ({"leave": replace(LEAVE, ticket=replace(TICKET, targets=("web-02",)))}, "ticket", "不含该目标"),
        ({"leave": replace(LEAVE, evidence=())}, "ticket", "没有封存"),
        ({"transactions": [tx(sent_at=datetime(2027, 4, 1, tzinfo=UTC))]}, "ticket", "不在工单时间内"),
        ({"transactions": [tx(digests={})]}, "backup", "没有变更前的备份"),
        ({"transactions": [tx(digests={1: BEFORE[1]})]}, "undo", "t1 缺 1 项"),
        ({"transactions": [tx(digests=BEFORE | {2: ("", "d")})]}, "undo", "t1 缺 1 项"),
        ({"transactions": [tx(armed_by="")]}, "undo", "没有布设自动撤销：t1"),
        ({"transactions": [tx(replace(STEP, handles=()))]}, "undo", "没有登记所改对象：t1"),
        ({"transactions": [tx(), tx(name="t2", state=TxState.BROKEN)]}, "action", "t2（broken）"),
        ({"closures": []}, "check", "没有对应的闭环记录"),
        ({"closures": [closed("web-01", "t7")]}, "check", "没有对应的闭环记录"),
        ({"closures": [closed(evidence=())]}, "check", "1 项变更没有复查证据"),
    ],
)
def test_each_missing_part_is_a_gap_that_names_it(given, part, words):
    (row,) = earned(**given).rows
    assert not row.counts
    assert any(gap.part == part and words in gap.text for gap in row.gaps), row.gaps
    assert not row.has(part)


@pytest.mark.parametrize(
    "transactions", [[], [tx(state=TxState.UNDONE)], [tx(reverted_by="t9")], [tx(state=TxState.ABSENT)]]
)
def test_what_is_not_in_force_is_no_action(transactions):
    (row,) = earned(transactions=transactions).rows
    assert {gap.part for gap in row.gaps} == {"backup", "action", "check", "undo"}


def test_what_cannot_be_undone_is_named_and_counted_apart():
    both = [tx(), tx(UPGRADE, name="t2", digests={}, armed_by="")]
    (row,) = earned(transactions=both).rows
    assert row.counts
    assert row.oneway == ("openssl（3.0.11 → 3.0.19）：软件包升级不可回退",)
    (alone,) = earned(transactions=both[1:], closures=[closed("web-01", "t2")]).rows
    assert {gap.part for gap in alone.gaps} == {"backup", "undo"}
    assert "只有不可回退" in alone.gaps[0].text


def test_a_database_is_one_of_its_own_though_its_steps_run_on_the_host():
    mine = [tx(), tx(target="db-01", name="t2")]
    found = credit(
        {"web-01": "host", "db-01": "database"}, Quota(23, 3), LEAVE, mine, [closed(), closed("db-01", "t2")]
    )
    assert [row.counts for row in found.rows] == [True, True]
    assert (found.credited("host"), found.lacking("host")) == (1, 22)
    assert (found.credited("database"), found.lacking("database")) == (1, 2)
    only = credit({"web-01": "host", "db-01": "database"}, Quota(), LEAVE, mine[1:], [closed("db-01", "t2")])
    assert [row.counts for row in only.rows] == [False, True]
    assert (only.wanted("host"), only.lacking("host"), only.surplus("database")) == (None, 0, 0)


def test_no_more_is_credited_than_the_contract_buys():
    names = [f"n{number}" for number in range(5)]
    made = [tx(target=name, name=f"t-{name}") for name in names]
    leave = replace(LEAVE, ticket=replace(TICKET, targets=("*",)))
    checked = [closed(name, f"t-{name}") for name in names]
    found = credit(dict.fromkeys(names, "host"), Quota(3, 0), leave, made, checked)
    assert (found.done("host"), found.credited("host"), found.surplus("host"), found.lacking("host")) == (5, 3, 2, 0)
