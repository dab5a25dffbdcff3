"""Every way in which the mending of a finding can end, and what must never be said."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.flows.compare import Round
from agent.judge.closure import Fresh, close, fixed, verdicts_by_place
from agent.model.asset import Layer
from agent.model.change import Act, Closure, Item, Planned, Risk, Skip, Step, TxState, Why
from agent.model.control import Outcome, Verdict
from agent.model.finding import Finding, FindingKind, FindingState, Remediation, RiskException
from agent.model.hardening import TxRecord
from agent.model.severity import Severity

T0 = datetime(2027, 3, 1, 1, tzinfo=UTC)
LATER, LATEST = T0 + timedelta(minutes=10), T0 + timedelta(minutes=20)
TODAY = date(2027, 3, 1)
WEAK = Finding(
    target="node-01", layer=Layer.HOST, kind=FindingKind.CONTROL, check="LIN-AC-B-01", location="", title="root 登录",
    severity=Severity.HIGH, state=FindingState.OPEN, actual="yes", expected="no", remedy="改", evidence=(1,),
)  # fmt: skip
UPDATE = replace(
    WEAK,
    kind=FindingKind.UPDATE,
    check="UPDATE:openssl",
    location="openssl",
    remediation=Remediation("openssl", "1", "2", "fixed", "vendor", feeds=("mirror",), restart="service"),
)
KERNEL = replace(
    UPDATE,
    check="UPDATE:linux",
    location="linux",
    remediation=replace(UPDATE.remediation, package="linux", restart="reboot"),
)
REBOOT = replace(UPDATE, check="REBOOT-REQUIRED", location="", actual="运行内核 6.1.55", remediation=None)
STALE = replace(REBOOT, check="STALE-LIBRARIES", actual="sshd: /usr/lib/libssl.so.3")
GAP = replace(WEAK, kind=FindingKind.COVERAGE, state=FindingState.UNKNOWN, check="COV-HOST")
STEP = Step("sshd_option", "sshd", "PermitRootLogin", "yes", "no", "e_key ...")


def planned(finding, *steps, skip=None, risk=()):
    item = Item("i1", "sshd_option", None, target=finding.target, control=finding.check, findings=(finding.key,))
    return Planned(replace(item, risk=risk), steps, skip)


def tx(finding, state=TxState.CONFIRMED, name="t1", step=STEP, at=T0, **more):
    row = TxRecord(name, "h", finding.target, step.group, 1, (planned(finding, step),), state, sent_at=at, ended_at=at)
    return replace(row, **more)


def looked(*findings, outcome=Outcome.PASS, actual="no", seen=True, began=LATER, judged=WEAK):
    """A fresh look at node-01 that found these."""
    layers = {("node-01", "host"), ("node-01", "network")} if seen else set()
    place = (judged.target, judged.check, judged.location)
    round_ = Round("v", "v", findings, frozenset(layers), frozenset({place} if outcome else ()))
    verdicts = [Verdict(judged.check, judged.target, judged.location, outcome, actual, "no")] if outcome else []
    return Fresh(round_, began, verdicts_by_place(verdicts), {"node-01": (8, 9)})


def ended(finding, fresh, *transactions, plan=(), exceptions=()):
    (row,) = close("h", [finding], plan, transactions, fresh, exceptions, TODAY, {finding.key: date(2027, 3, 9)})
    assert row.finding == finding.key
    assert row.due == date(2027, 3, 9)
    return row


ACCEPT = RiskException("node-01", "LIN-AC-B-01", "", "迁移前保留", "赵六", "2027-06-30")
UNDONE = {"state": TxState.UNDONE, "why": "sshd -t 失败"}


@pytest.mark.parametrize(
    ("finding", "fresh", "transactions", "closure", "words"),
    [
        # 已修复: looked at that very thing, and it is gone
        (WEAK, looked(), [tx(WEAK)], Closure.FIXED, "复查未再发现"),
        (UPDATE, looked(), [tx(UPDATE)], Closure.FIXED, "复查未再发现"),
        (WEAK, looked(), [], Closure.FIXED, "没有单独对它执行变更"),
        (WEAK, looked(), [tx(WEAK, **UNDONE)], Closure.FIXED, "由其他变更消除"),
        (WEAK, looked(outcome=Outcome.NOT_APPLICABLE), [tx(WEAK)], Closure.FIXED, "复查"),
        (replace(WEAK, state=FindingState.UNKNOWN), looked(), [], Closure.FIXED, "上次未能判定"),
        (REBOOT, looked(), [], Closure.FIXED, ""),
        # 未修复: changed and confirmed, and still there
        (WEAK, looked(WEAK, outcome=Outcome.FAIL), [tx(WEAK)], Closure.FAILED, "仍发现"),
        (UPDATE, looked(UPDATE), [tx(UPDATE)], Closure.FAILED, "仍发现"),
        (UPDATE, looked(UPDATE), [tx(UPDATE, TxState.UNFINISHED)], Closure.FAILED, "中途停止"),
        # 无法验证: changed, and not seen again
        (WEAK, None, [tx(WEAK)], Closure.UNVERIFIED, "没有复查"),
        (WEAK, looked(seen=False), [tx(WEAK)], Closure.UNVERIFIED, "没有看到该处"),
        (WEAK, looked(outcome=None), [tx(WEAK)], Closure.UNVERIFIED, "没有看到该处"),
        (WEAK, looked(outcome=Outcome.ERROR), [tx(WEAK)], Closure.UNVERIFIED, ""),
        (
            WEAK,
            looked(replace(WEAK, state=FindingState.UNKNOWN, actual="超时"), outcome=Outcome.ERROR),
            [tx(WEAK)],
            Closure.UNVERIFIED,
            "未能判定：超时",
        ),
        (WEAK, looked(began=T0), [tx(WEAK, at=LATER)], Closure.UNVERIFIED, "早于最后一次变更"),
        (WEAK, looked(), [tx(WEAK, TxState.UNKNOWN, ended_at=None)], Closure.UNVERIFIED, "状态未知"),
        (WEAK, looked(), [tx(WEAK, TxState.ARMED, ended_at=None)], Closure.UNVERIFIED, "尚未确认"),
        (UPDATE, looked(outcome=None, seen=False), [tx(UPDATE)], Closure.UNVERIFIED, "没有看到"),
        # 回退: undone by the target, or taken back later
        (WEAK, looked(WEAK), [tx(WEAK, **UNDONE)], Closure.ROLLED_BACK, "t1 已撤销：sshd -t 失败"),
        (
            WEAK,
            looked(WEAK, began=LATEST),
            [tx(WEAK, reverted_by="t9"), tx(WEAK, name="t9", at=LATER, reverts="t1", why="业务异常")],
            Closure.ROLLED_BACK,
            "t1 已由 t9 回退：业务异常",
        ),
        (WEAK, None, [tx(WEAK, reverted_by="t9")], Closure.ROLLED_BACK, "t1 已由 t9 回退"),
        # a look from before the taking back proves nothing
        (
            WEAK,
            looked(began=LATER),
            [tx(WEAK, reverted_by="t9"), tx(WEAK, name="t9", at=LATEST, reverts="t1")],
            Closure.ROLLED_BACK,
            "t9",
        ),
        # the newest attempt at a step counts
        (WEAK, looked(), [tx(WEAK, **UNDONE), tx(WEAK, name="t2", at=LATER)], Closure.FIXED, "复查未再发现"),
        (WEAK, looked(WEAK), [tx(WEAK, **UNDONE), tx(WEAK, name="t2", at=LATER)], Closure.FAILED, "仍发现"),
        # 待重启
        (KERNEL, looked(REBOOT), [tx(KERNEL)], Closure.REBOOT, "旧内核：运行内核 6.1.55"),
        (KERNEL, looked(KERNEL, REBOOT), [tx(KERNEL)], Closure.REBOOT, "旧内核"),
        (KERNEL, looked(KERNEL), [tx(KERNEL)], Closure.FAILED, ""),
        (UPDATE, looked(STALE), [tx(UPDATE)], Closure.REBOOT, "sshd: /usr/lib/libssl.so.3"),
        (UPDATE, looked(UPDATE, STALE), [tx(UPDATE)], Closure.FAILED, ""),
        (REBOOT, looked(REBOOT), [], Closure.REBOOT, "运行内核 6.1.55"),
        (
            WEAK,
            looked(WEAK),
            [tx(WEAK, step=replace(STEP, risk=(Risk.RESTART,)))],
            Closure.REBOOT,
            "重启后生效：PermitRootLogin",
        ),
        (
            WEAK,
            looked(WEAK),
            [tx(WEAK, step=replace(STEP, risk=(Risk.RESTART,), acts=(Act("restart", ("sshd",)),)))],
            Closure.FAILED,
            "",
        ),
        (WEAK, looked(), [tx(WEAK, step=replace(STEP, risk=(Risk.REBOOT,)))], Closure.FIXED, ""),
        # 未处理: never begun
        (WEAK, looked(WEAK), [tx(WEAK, TxState.ABSENT, why="执行前已无法登录")], Closure.LEFT, "执行前已无法登录"),
        (WEAK, looked(WEAK), [tx(WEAK, TxState.OPENED)], Closure.LEFT, "没有执行"),
        (WEAK, None, [tx(WEAK, TxState.PLANNED, sent_at=None, ended_at=None)], Closure.LEFT, "没有执行"),
        (WEAK, looked(WEAK), [], Closure.LEFT, "不在本次加固计划内"),
        # what was not seen is no weakness
        (GAP, looked(), [], Closure.LEFT, "由下一轮扫描处理"),
        (GAP, looked(GAP), [], Closure.LEFT, "仍未看到"),
        # 无补丁
        (replace(UPDATE, check="NOFIX:openssl"), None, [], Closure.NO_FIX, "尚无可用的修复"),
    ],
)  # fmt: skip
def test_each_rule(finding, fresh, transactions, closure, words):
    row = ended(finding, fresh, *transactions)
    assert (row.closure, words in row.reason) == (closure, True), row
    assert row.transactions == tuple(each.id for each in transactions if not each.reverts)


@pytest.mark.parametrize(
    ("skip", "closure", "words"),
    [
        (Skip(Why.MANUAL, "与台账核对"), Closure.LEFT, "需人工处理：与台账核对"),
        (Skip(Why.UNSAFE, "最后一个登录途径"), Closure.LEFT, "有风险，未执行：最后一个登录途径"),
        (Skip(Why.UNSUPPORTED, "没有 systemd"), Closure.LEFT, "不支持自动处理"),
        (Skip(Why.EXCLUDED, "不在所选加固档内"), Closure.LEFT, "不在本次范围"),
        (Skip(Why.ERROR, "主机未能读取"), Closure.LEFT, "状态无法读取"),
        (Skip(Why.DONE, "已符合要求"), Closure.LEFT, "已符合"),
        (Skip(Why.NO_FIX, "软件源未提供"), Closure.NO_FIX, "软件源未提供"),
    ],
)
def test_what_was_not_done_says_why(skip, closure, words):
    row = ended(WEAK, looked(WEAK, outcome=Outcome.FAIL), plan=[planned(WEAK, skip=skip)])
    assert (row.closure, words in row.reason) == (closure, True), row


def test_planned_and_never_reached():
    assert ended(WEAK, None, plan=[planned(WEAK, STEP)]).reason == "已计划，没有执行"


def test_an_accepted_risk_is_no_weakness_left_and_an_expired_one_covers_nothing():
    row = ended(WEAK, looked(WEAK), exceptions=[ACCEPT])
    assert (row.closure, row.reason) == (Closure.ACCEPTED, "迁移前保留（批准人 赵六，有效至 2027-06-30）")
    assert ended(GAP, looked(GAP), exceptions=[replace(ACCEPT, check="COV-HOST")]).closure is Closure.ACCEPTED
    assert ended(WEAK, looked(WEAK), exceptions=[replace(ACCEPT, expires="2027-02-28")]).closure is Closure.LEFT
    assert ended(WEAK, looked(), tx(WEAK), exceptions=[ACCEPT]).closure is Closure.FIXED


def test_a_part_that_was_undone_is_told():
    other = replace(STEP, name="PermitEmptyPasswords")
    back = tx(WEAK, TxState.UNDONE, "t2", other, why="登录失败")
    row = ended(WEAK, looked(WEAK), tx(WEAK), back)
    assert (row.closure, row.reason) == (Closure.ROLLED_BACK, "事务 t2 已撤销：登录失败")


def test_what_the_look_saw_stands_in_the_record():
    row = ended(WEAK, looked(), tx(WEAK))
    assert (row.before, row.after, row.evidence_before, row.evidence_after) == ("yes", "no", (1,), (8, 9))
    gone = ended(WEAK, None, tx(WEAK))
    assert (gone.after, gone.evidence_after) == ("", ())
    assert ended(UPDATE, looked(), tx(UPDATE)).after == "未再发现"


def test_each_finding_gets_one_record_in_order():
    findings = [WEAK, UPDATE, GAP, WEAK]
    rows = close("h", findings, [], [], None, [], TODAY, {})
    assert [row.finding for row in rows] == [WEAK.key, UPDATE.key, GAP.key]


KINDS = st.sampled_from(
    [WEAK, UPDATE, KERNEL, REBOOT, STALE, GAP, replace(WEAK, kind=FindingKind.EXPOSURE, check="EXP")]
)


@st.composite
def worlds(draw):
    """Findings of three hosts, transactions in any state, and a look that saw some of it."""
    names = ["a", "b", "c"]
    before = [replace(draw(KINDS), target=draw(st.sampled_from(names)), location=str(n)) for n in range(8)]
    moments = st.sampled_from([T0, LATER, LATEST])
    made = []
    for number, finding in enumerate(draw(st.lists(st.sampled_from(before), max_size=8))):
        state = draw(st.sampled_from(list(TxState)))
        at = draw(moments)
        end = at if state.settled and state is not TxState.PLANNED else draw(st.sampled_from([None, at]))
        by = draw(st.sampled_from(["", "t0"]))
        made.append(tx(finding, state, f"t{number}", at=at, ended_at=end, reverted_by=by if number else ""))
    still = draw(st.lists(st.sampled_from(before), unique=True))
    seen = {(name, layer) for name in draw(st.lists(st.sampled_from(names))) for layer in ("host", "network")}
    judged = {(f.target, f.check, f.location) for f in draw(st.lists(st.sampled_from(before)))}
    verdicts = [
        Verdict(check, target, where, draw(st.sampled_from(list(Outcome))), "x", "y") for target, check, where in judged
    ]
    round_ = Round("v", "v", tuple(still), frozenset(seen), frozenset(judged), evidence=frozenset({5}))
    fresh = draw(st.sampled_from([None, Fresh(round_, draw(moments), verdicts_by_place(verdicts), {"a": (5,)})]))
    return before, made, fresh


@settings(max_examples=300, deadline=None)
@given(worlds())
def test_no_more_is_called_mended_than_was_looked_at(world):
    before, made, fresh = world
    rows = close("h", before, [], made, fresh, [], TODAY, {})
    assert [row.finding for row in rows] == [finding.key for finding in before]
    could = [f for f in before if fresh and fresh.look.looked_at(f) and not fresh.look.holds(f)]
    assert fixed(rows) <= len(could)
    by_key = {finding.key: finding for finding in before}
    for row in rows:
        if row.closure is Closure.FIXED:
            finding = by_key[row.finding]
            assert finding in could
            assert finding.kind is not FindingKind.COVERAGE
            mine = [each for each in made if finding.key in each.planned[0].item.findings]
            begun = [each for each in mine if each.state not in {TxState.PLANNED, TxState.ABSENT, TxState.OPENED}]
            assert all(each.ended_at and each.ended_at <= fresh.began for each in begun)
        if row.closure in {Closure.FIXED, Closure.FAILED}:
            assert fresh is not None
    assert sum(Counter(row.closure for row in rows).values()) == len(before)
