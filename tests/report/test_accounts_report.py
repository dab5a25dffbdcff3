"""The 账号与口令报告: every record a row in every format, hostile names stay text, and one target alone."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from agent.model.accountreport import AccountLine, AccountReport, PasswordLine
from agent.model.control import Outcome
from agent.model.errors import ReportError
from agent.model.hardenreport import PasswordRow
from agent.model.report import Parties
from agent.report import render_accounts
from agent.report.accounts import derive, keys, narrowed

HOSTILE = "a<script>alert(1)</script>{{7*7}}\u202e$(x)"


def key(*words: str) -> str:
    return hashlib.sha256("".join(words).encode()).hexdigest()[:16]


def password(user: str, target: str, **more) -> PasswordLine:
    base = {
        "key": key("p", user, target), "account": f"{user}@{target}", "kind": "操作系统", "person": "李四（虚构）",
        "policy": "undertaking", "exception": "", "state": "正常", "age": 3, "left": 27, "proven": "2027-03-01",
        "way": "登录验证（SSH）", "faults": (), "conforms": True,
    }  # fmt: skip
    return PasswordLine(**(base | more))


def account(name: str, target: str, **more) -> AccountLine:
    base = {
        "key": key("a", name, target), "target": target, "account": name, "kind": "操作系统", "people": "李四（虚构）",
        "ways": "口令、密钥", "rights": "", "age": 3, "idle": "2 天", "state": "", "managed": True, "flaws": (),
    }  # fmt: skip
    return AccountLine(**(base | more))


@pytest.fixture
def report():
    targets = tuple(f"node-{number:02d}" for number in range(1, 24))
    passwords = [password("ops", target) for target in targets]
    passwords[1] = replace(passwords[1], conforms=False, state="超期", age=41, left=-11, faults=("长度不足",))
    passwords[2] = replace(passwords[2], conforms=False, state="待核实", age=None, left=None, note="timeout: no answer")
    passwords[3] = replace(passwords[3], policy="vpn-14", exception="设备限制（批准：张三（虚构），至 2027-06-30）")
    accounts = [account("ops", target, rights="sudo") for target in targets]
    accounts.append(account(HOSTILE, "node-01", people="", flaws=("无人认领：可登录方式：password", "默认账号：guest")))
    enforced = tuple(
        PasswordRow("LIN-IA-A-01", "口令最短长度", "≥ 18", target, "", outcome, "8")
        for target, outcome in zip(targets, [Outcome.FAIL, Outcome.ERROR] + [Outcome.PASS] * 20, strict=False)
    )
    return AccountReport(
        number="ACCOUNT-20270301-0042",
        parties=Parties("预警发布系统（虚构）", "某市应急中心（虚构）", "某公司（虚构）"),
        run="20270301-scan-abcd",
        seen=datetime(2027, 3, 1, 1, tzinfo=UTC),
        made=datetime(2027, 3, 1, 9, tzinfo=UTC),
        operator="王五（虚构）（root）",
        agent_version="0.1",
        passwords=tuple(passwords),
        accounts=tuple(accounts),
        enforced=enforced,
        targets=targets,
        unseen=("node-23: 超时无响应",),
        people=("赵六（虚构）：核心人员更换缺少甲方书面同意",),
        ledger_head="ab" * 32,
        ledger_seq=42,
        key_fingerprint="cd" * 16,
    )


def test_every_record_is_a_row_in_every_format(report, tmp_path):
    done = render_accounts(report, tmp_path)
    assert done.findings == len(report.passwords) + len(report.accounts) == 47
    assert {path.suffix for path in done.paths.values()} == {".html", ".docx", ".pdf"}
    html = done.paths["html"].read_text(encoding="utf-8")
    assert "<script>alert" not in html
    assert "{{7*7}}" in html  # text, not computed
    assert "\u202e" not in html
    assert html.count("data-finding=") == 47
    assert 5 < done.pages < 20
    for word in (
        "口令策略达标表",
        "账号清单",
        "超期",
        "长度不足",
        "设备限制",
        "<b>21</b>/23",
        "核心人员更换缺少甲方书面同意",
    ):
        assert word in html, word


def test_what_the_view_counts(report):
    view = derive(report)
    assert (view.conforming, view.flawed) == (21, 1)
    assert [row.number for row in view.passwords] == list(range(1, 24))
    numbers = [row.number for target in view.targets for row in target.rows]
    assert numbers == list(range(24, 48))
    assert len(keys(report)) == len(set(keys(report))) == 47
    assert [row.word for row in view.policy_targets[:3]] == ["未达标", "待判定", "达标"]
    assert view.policy_targets[22].word == "未复查"


def test_one_target_alone(report, tmp_path):
    one = narrowed(report, "node-01")
    assert (len(one.passwords), len(one.accounts)) == (1, 2)
    done = render_accounts(report, tmp_path, formats=("html",), host="node-01")
    assert done.findings == 3
    assert done.paths["html"].name == "accounts-ACCOUNT-20270301-0042-node-01.html"
    with pytest.raises(ReportError, match="no target"):
        narrowed(report, "nobody")


def test_nothing_known_is_said_not_passed(report, tmp_path):
    empty = replace(report, run="", seen=None, passwords=(), accounts=(), enforced=())
    html = render_accounts(empty, tmp_path, formats=("html",)).paths["html"].read_text(encoding="utf-8")
    assert "没有纳管的账号" in html
    assert "没有采集到账号" in html
    assert "达标" in html
