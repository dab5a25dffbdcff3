from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.declared import load_contract
from agent.declared.orders import add_order, load_orders
from agent.model.duties import DAYS, Escalation, Order, Quota
from agent.model.errors import DeclaredError
from agent.model.severity import Severity

ONE = Order(
    "ZG-2027-003", "限期整改高危漏洞", date(2027, 3, 2), date(2027, 3, 9), ("web-01", "*"), ("LIN-AC-*",),
    ("CVE-2024-3094",), ("0123456789abcdef",), "notices/ZG-2027-003.pdf",
)  # fmt: skip
SETTLED = ", settled: 2027-01-01, settled_by: x"
CONTRACT = "schema_version: 1\nproject: p\ncustomer: c\nvendor: v\nstart: 2026-07-01\nend: 2027-06-30\n"


def written(folder: Path, entry: str) -> Path:
    file = folder / "orders.yaml"
    file.write_text(f"schema_version: 1\norders:\n- {{{entry}}}\n", "utf-8")
    return file


def test_an_absent_file_means_no_order(tmp_path: Path) -> None:
    assert load_orders(tmp_path) == ()


def test_appending_keeps_what_people_wrote(tmp_path: Path) -> None:
    file = written(tmp_path, "number: A, title: t, received: 2027-01-01, due: 2027-01-02, targets: [a]")
    file.write_text("# ours\n" + file.read_text("utf-8"), "utf-8")
    add_order(tmp_path, ONE)
    assert [row.number for row in load_orders(tmp_path)] == ["A", "ZG-2027-003"]
    assert load_orders(tmp_path)[1] == ONE
    assert file.read_text("utf-8").startswith("# ours")


@pytest.mark.parametrize("start", ["schema_version: 1\norders: []\n", "{schema_version: 1, orders: []}", None])
def test_a_layout_that_cannot_be_appended_to_is_rewritten(tmp_path: Path, start: str | None) -> None:
    if start:
        (tmp_path / "orders.yaml").write_text(start, "utf-8")
    done = replace(ONE, settled=date(2027, 3, 8), settled_by="钱七")
    add_order(tmp_path, done)
    assert load_orders(tmp_path) == (done,)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("number: A, title: t, received: 2027-01-02, due: 2027-01-01, targets: [a]", "due before it was received"),
        ("number: A, title: t, received: 2027-01-01, due: soon, targets: [a]", "not a date"),
        ("number: A, title: t, received: 2027-01-01, due: 2027-01-02, targets: []", "targets"),
        ("number: A, title: t, received: 2027-01-01, due: 2027-01-02, targets: [a, a]", "twice"),
        ("number: A, title: t, received: 2027-01-01, due: 2027-01-02, targets: [../x]", "usable name"),
        ("number: A, title: t, received: 2027-01-01, due: 2027-01-02, targets: [a], cves: [CNNVD-1]", "CVE id"),
        (
            "number: A, title: t, received: 2027-01-01, due: 2027-01-02, targets: [a], findings: [xyz]",
            "key of a finding",
        ),
        ("number: A, title: t, received: 2027-01-01, due: 2027-01-02, targets: [a], notice: ../x.pdf", "outside"),
        ("number: A, title: t, received: 2027-01-01, due: 2027-01-02, targets: [a], settled: 2027-01-02", "nobody"),
        ("number: A, title: t, received: 2027-01-01, due: 2027-01-02, targets: [a], settled_by: x", "nobody"),
        (
            "number: A, title: t, received: 2027-01-05, due: 2027-01-06, targets: [a]" + SETTLED,
            "settled before",
        ),
        ("number: A, title: t, received: 2027-01-01, due: 2027-01-02, targets: [a], duedate: 1", "unknown key"),
        ("title: t, received: 2027-01-01, due: 2027-01-02, targets: [a]", "number"),
    ],
)
def test_what_is_wrong_names_line_and_remedy(tmp_path: Path, entry: str, words: str) -> None:
    file = written(tmp_path, entry)
    with pytest.raises(DeclaredError, match=words) as caught:
        load_orders(tmp_path)
    assert f"{file}:3: orders[0]" in str(caught.value)


def test_a_number_stands_once_and_a_wrong_order_leaves_the_file(tmp_path: Path) -> None:
    add_order(tmp_path, ONE)
    before = (tmp_path / "orders.yaml").read_bytes()
    for wrong in (ONE, replace(ONE, number="B", title="\x1b[31m"), replace(ONE, number="C", due=date(2020, 1, 1))):
        with pytest.raises(DeclaredError):
            add_order(tmp_path, wrong)
    assert (tmp_path / "orders.yaml").read_bytes() == before


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(min_size=1, max_size=60), st.text(min_size=1, max_size=30))
def test_any_text_reads_back_or_is_refused(tmp_path: Path, title: str, check: str) -> None:
    (tmp_path / "orders.yaml").unlink(missing_ok=True)
    row = replace(ONE, title=title, checks=(check,))
    try:
        add_order(tmp_path, row)
    except DeclaredError:
        assert load_orders(tmp_path) == ()
    else:
        assert load_orders(tmp_path) == (row,)


def contract(folder: Path, more: str) -> Path:
    (folder / "contract.yaml").write_text(CONTRACT + more, "utf-8")
    return folder


def test_a_contract_that_says_nothing_has_days_and_no_penalty(tmp_path: Path) -> None:
    terms = load_contract(contract(tmp_path, "")).terms
    assert terms.rectification == DAYS
    assert (terms.escalation, terms.penalties, terms.amount, terms.hardening) == ((), (), None, Quota())
    assert terms.penalty("rectification") == ""
    assert terms.soon == 0


def test_the_rules_come_from_the_contract(tmp_path: Path) -> None:
    terms = load_contract(
        contract(
            tmp_path,
            "amount: 123456.78\nhardening: {hosts: 5, databases: 1}\nrectification: {high: 2}\n"
            "escalation: [{days: 0, role: project-manager}, {days: 9, role: engineer}]\n"
            "penalties: [{on: rectification, percent: 2.5, clause: 第九条}]\n",
        )
    ).terms
    assert terms.rectification[Severity.HIGH] == 2
    assert terms.rectification[Severity.CRITICAL] == DAYS[Severity.CRITICAL]
    assert terms.escalation == (Escalation(9, "engineer"), Escalation(0, "project-manager"))
    assert (terms.soon, terms.amount, terms.hardening) == (9, Decimal("123456.78"), Quota(5, 1))
    assert terms.penalty("rectification") == "合同总价的 2.5%（3,086.42 元），依据：第九条"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("amount: -1\n", "amount"),
        ("rectification: {high: 0}\n", "rectification.high"),
        ("rectification: {info: 5}\n", "unknown key"),
        ("escalation: [{days: 1, role: boss}]\n", "role"),
        ("escalation: [{days: 1, role: engineer}, {days: 1, role: engineer}]\n", "stands twice"),
        ("penalties: [{on: rectification, percent: 200, clause: x}]\n", "percent"),
        ("penalties: [{on: rain, percent: 2, clause: x}]\n", "penalties"),
        ("penalties: [{on: staff, percent: 2, clause: x}, {on: staff, percent: 3, clause: y}]\n", "stands twice"),
        ("hardening: {hosts: many}\n", "hardening.hosts"),
    ],
)
def test_each_refusal_of_the_contracts_rules(tmp_path: Path, more: str, words: str) -> None:
    with pytest.raises(DeclaredError, match=words):
        load_contract(contract(tmp_path, more))
