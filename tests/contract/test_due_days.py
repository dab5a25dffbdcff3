from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from agent.contract.due import Calendar, Seen, covers, soon
from agent.model.asset import Layer
from agent.model.duties import Escalation, Order, Penalty, Terms
from agent.model.finding import Finding, FindingKind, FindingState
from agent.model.severity import Severity

TODAY = date(2027, 3, 10)
WEAK = Finding(
    target="web-01", layer=Layer.HOST, kind=FindingKind.CONTROL, check="LIN-AC-B-01", location="", title="root 登录",
    severity=Severity.HIGH, state=FindingState.OPEN, actual="yes", expected="no", remedy="改", cves=("CVE-2024-3094",),
)  # fmt: skip
ORDER = Order("ZG-1", "限期整改", date(2027, 3, 1), date(2027, 3, 12), ("web-01",), ("LIN-AC-*",))
TERMS = Terms(
    rectification={Severity.CRITICAL: 3, Severity.HIGH: 7, Severity.MEDIUM: 30, Severity.LOW: 90},
    escalation=(Escalation(3, "engineer"), Escalation(1, "technical-lead"), Escalation(0, "project-manager")),
    penalties=(Penalty("rectification", Decimal(10), "第八条"),),
    amount=Decimal("323982.76"),
)
PEOPLE = {"engineer": ("王五",), "technical-lead": ("李四",)}


def rows(seen, orders=(), terms=TERMS, owners=None):
    return Calendar(orders, terms, PEOPLE, TODAY).rows(seen, owners or {"web-01": "张三", "web-02": "李四"})


@pytest.mark.parametrize(
    ("order", "finding", "covered"),
    [
        (ORDER, WEAK, True),
        (replace(ORDER, targets=("web-02",)), WEAK, False),
        (replace(ORDER, targets=("*",)), WEAK, True),
        (replace(ORDER, checks=("LIN-IA-*",)), WEAK, False),
        (replace(ORDER, checks=()), WEAK, True),
        (replace(ORDER, checks=(), cves=("CVE-2024-3094",)), WEAK, True),
        (replace(ORDER, checks=(), cves=("CVE-2024-3095",)), WEAK, False),
        (replace(ORDER, checks=(), findings=(WEAK.key[:8],)), WEAK, True),
        (replace(ORDER, checks=(), findings=("ffffffff",)), WEAK, False),
    ],
)
def test_what_an_order_speaks_of(order, finding, covered):
    assert covers(order, finding) is covered


@pytest.mark.parametrize(
    ("severity", "days"),
    [(Severity.CRITICAL, 3), (Severity.HIGH, 7), (Severity.MEDIUM, 30), (Severity.LOW, 90)],
)
def test_days_count_from_the_round_that_first_saw_it(severity, days):
    (row,) = rows([Seen(replace(WEAK, severity=severity), TODAY - timedelta(days=2), "张三")])
    assert (row.day, row.left) == (TODAY + timedelta(days=days - 2), days - 2)
    assert (row.owner, row.basis) == ("张三", f"{severity.value}: {days} days from 2027-03-08")


def test_information_has_no_day():
    assert rows([Seen(replace(WEAK, severity=Severity.INFO), TODAY)]) == []


def test_an_order_sets_the_day_and_the_earliest_of_several_does():
    later = replace(ORDER, number="ZG-2", due=date(2027, 3, 20))
    found = rows([Seen(WEAK, TODAY)], [later, ORDER])
    assert [(row.kind, row.ref, row.day) for row in found] == [
        ("order", "ZG-1", date(2027, 3, 12)),
        ("finding", WEAK.key, date(2027, 3, 12)),
        ("order", "ZG-2", date(2027, 3, 20)),
    ]
    assert found[1].basis == "order ZG-1"
    assert (found[0].open, found[0].owner) == (1, "张三")


def test_a_settled_order_is_gone_and_sets_nothing():
    done = replace(ORDER, settled=TODAY, settled_by="钱七")
    (row,) = rows([Seen(WEAK, TODAY)], [done])
    assert (row.kind, row.day) == ("finding", TODAY + timedelta(days=7))


@pytest.mark.parametrize(
    ("left", "reached"),
    [(4, []), (3, ["engineer"]), (2, ["engineer"]), (1, ["engineer", "technical-lead"])],
)
def test_who_is_told_before_it_passes(left, reached):
    (row, *_) = rows([], [replace(ORDER, due=TODAY + timedelta(days=left))])
    assert [each.role for each in row.told if each.reached] == reached
    assert [each.people for each in row.told] == [("王五",), ("李四",), ()]
    assert row.told[0].day == row.day - timedelta(days=3)
    assert bool(soon([row], TERMS)) is (left <= 3)
    assert row.penalty == ""


@pytest.mark.parametrize(("left", "late"), [(0, False), (-1, True)])
def test_the_penalty_is_the_contracts_own_figure(left, late):
    (row,) = rows([], [replace(ORDER, due=TODAY + timedelta(days=left))])
    assert row.overdue is late
    assert row.penalty == ("合同总价的 10%（32,398.28 元），依据：第八条" if late else "")
    assert all(each.reached for each in row.told)
    (bare,) = rows([], [replace(ORDER, due=TODAY + timedelta(days=left))], replace(TERMS, penalties=(), escalation=()))
    assert (bare.penalty, bare.told) == ("", ())


def test_rows_stand_by_day_worst_first():
    low = replace(WEAK, severity=Severity.LOW, check="A")
    critical = replace(WEAK, severity=Severity.CRITICAL, check="Z")
    late = TODAY - timedelta(days=87)
    found = rows([Seen(low, late), Seen(WEAK, TODAY), Seen(critical, TODAY)])
    assert [row.check for row in found] == ["Z", "A", "LIN-AC-B-01"]
