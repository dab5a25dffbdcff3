"""The 安全加固报告 in three formats: every closure a row of each, hostile text only text, nothing claimed unproven."""

from __future__ import annotations

import html as htmllib
import json
import re
import time
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import docx as python_docx
import pytest

from agent.model.change import Closure, TxState
from agent.model.errors import DeclaredError, ReportError
from agent.model.hardening import Leave
from agent.report import FORMATS, fonts, gate, lint, render_harden, wire
from agent.report.harden import derive, narrowed
from agent.report.hardencharts import draw
from agent.report.template import HARDEN, shipped

_SPEC = spec_from_file_location("harden_sample", Path(__file__).with_name("hardensample.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
sample = module_from_spec(_SPEC)
_SPEC.loader.exec_module(sample)
needs_fonts = pytest.mark.skipif(not fonts(), reason="no Chinese font installed (apt install fonts-noto-cjk)")


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    if not fonts():
        pytest.skip("no Chinese font installed (apt install fonts-noto-cjk)")
    return render_harden(sample.report(2), tmp_path_factory.mktemp("out"))


def html_text(path):
    return htmllib.unescape(re.sub(r"<[^>]+>", "", path.read_text(encoding="utf-8")))


def docx_text(path):
    return "\n".join(
        "".join(p.itertext()) for p in python_docx.Document(str(path)).element.body.iter() if p.tag.endswith("}p")
    )


def html_of(report, folder, **more):
    return html_text(render_harden(report, folder, formats=["html"], **more).paths["html"])


def own_template(folder, change):
    own = folder / "templates"
    own.mkdir()
    text = (shipped() / HARDEN).read_text(encoding="utf-8")
    changed = change(text)
    assert changed != text
    (own / HARDEN).write_text(changed, encoding="utf-8")
    return own


def test_every_closure_is_a_row_of_each_file(rendered):
    keys = sorted(each.finding for each in sample.report(2).closures)
    assert rendered.findings == len(keys)
    assert sorted(key for key, _ in gate.rows_in_html(rendered.paths["html"])) == keys
    assert sorted(key for key, _ in gate.rows_in_docx(rendered.paths["docx"])) == keys
    assert gate.sheets_in_pdf(rendered.paths["pdf"]) == rendered.pages > 40
    assert rendered.paths["pdf"].name == "harden-XH-HARDEN-20270301-7F3A.pdf"
    assert f"本报告共列出整改闭环 {len(keys)} 项" in html_text(rendered.paths["html"])


@pytest.mark.parametrize("kind", ["html", "docx"])
def test_hostile_text_is_text_and_the_head_names_the_kind(rendered, kind):
    text = {"html": html_text, "docx": docx_text}[kind](rendered.paths[kind])
    assert '<script>alert(1)</script> {{7*7}} #eval("1") *x*' in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "A" * 401 not in text
    for heading in (
        "依据与范围", "整改闭环统计", "加固项清单", "加固前后对比", "操作记录", "备份与回退方案", "失败与回退",
        "待重启", "遗留风险及客户接受", "口令策略达标表", "服务健康", "交付与计数", "逐台附录", "附录：证据清单",
        "签字盖章页",
    ):  # fmt: skip
        assert heading in text
    assert "漏洞扫描报告" not in text


def test_the_running_head_of_the_docx_names_its_kind(rendered):
    word = python_docx.Document(str(rendered.paths["docx"]))
    heads = {p.text for section in word.sections for p in section.header.paragraphs}
    assert any(text.startswith("安全加固报告") for text in heads), heads


def test_the_same_report_gives_the_same_bytes(rendered, tmp_path):
    again = render_harden(sample.report(2), tmp_path)
    for kind, path in rendered.paths.items():
        assert path.read_bytes() == again.paths[kind].read_bytes(), kind


@pytest.mark.parametrize("kind", FORMATS)
@needs_fonts
def test_a_template_that_drops_a_closure_gets_no_report(tmp_path, kind):
    row = "{{ closure_row(item) }}"
    own = own_template(tmp_path, lambda text: text.replace(row, f"{{% if item.number != 7 %}}{row}{{% endif %}}"))
    out = tmp_path / "out"
    total = len(sample.report(0).closures)
    with pytest.raises(ReportError, match=f"{total - 1} findings where the run has {total}"):
        render_harden(sample.report(0), out, formats=[kind], templates=[own])
    assert list(out.iterdir()) == []


def test_a_broken_template_names_field_and_type(tmp_path):
    own = own_template(tmp_path, lambda text: text.replace("{{ report.verify or", "{{ report.verfy or", 1))
    assert any("HardenReport has no field 'verfy'" in problem for problem in lint([own]))
    with pytest.raises(DeclaredError, match="HardenReport has no field"):
        render_harden(sample.report(0), tmp_path / "out", formats=["html"], templates=[own])


def test_the_shipped_template_is_right():
    assert lint([shipped()]) == []


def test_an_unsigned_ticket_and_none_are_said(tmp_path):
    text = html_of(sample.report(0, signed=False), tmp_path / "a")
    assert "未验签" in text
    assert "没有可核验的批准签名" in text
    assert "工单：工单 GD-2027-031 未验签" in text
    bare = html_of(replace(sample.report(0), leave=Leave(None, {"unsigned": "张三"})), tmp_path / "b")
    assert "没有工单" in bare
    assert "工单未验签仍执行" in bare


def test_what_is_pending_failed_or_left_stands_in_its_chapter(tmp_path):
    report = sample.report(2)
    view = derive(report)
    counts = {count.label: count.count for count in view.states}
    assert sum(counts.values()) == view.total == len(report.closures)
    assert sum(row.count for row in view.residual) == view.total - view.fixed
    assert sum(row.count for row in view.reboots) == counts["待重启"] > 0
    assert {row.state for row in view.stuck} <= {"回退", "未修复", "无法验证"}
    undone = {tx.id for tx in report.transactions if tx.state is not TxState.CONFIRMED}
    assert {each.row.id for each in view.failures} == undone
    assert {each.row.id for each in view.operations} == {tx.id for tx in report.transactions if tx.sent_at}
    text = html_of(report, tmp_path)
    for name in undone:
        assert name in text


def test_every_change_is_counted_and_alike_ones_share_a_row():
    report = sample.report(0)
    view = derive(report)
    pairs = {(row.control, row.name, target) for row in report.steps for target in (row.target,)}
    assert sum(row.count for row in view.changes) == len(pairs)
    assert len(view.changes) < len(report.steps) / 3
    assert all(row.method for row in view.changes)
    assert view.changed == sum(row.state is TxState.CONFIRMED for row in report.steps)


def test_a_transaction_taken_back_is_no_success():
    report = sample.report(0)
    first = next(tx for tx in report.transactions if tx.state is TxState.CONFIRMED)
    gone = replace(
        report,
        transactions=tuple(replace(tx, reverted_by="t9") if tx is first else tx for tx in report.transactions),
        steps=tuple(replace(s, reverted_by="t9") if s.transaction == first.id else s for s in report.steps),
    )
    view = derive(gone)
    assert any(each.row.id == first.id and each.state == "已由 t9 回退" for each in view.failures)
    assert view.changed == derive(report).changed - sum(s.transaction == first.id for s in report.steps)


def test_a_target_that_nobody_looked_at_does_not_conform():
    view = derive(sample.report(0))
    words = {row.target: row.word for row in view.policy_targets}
    assert words["node-07"] == "未复查"
    assert words["node-01"] == "未达标"
    assert words["node-02"] == "达标"
    (row, *_) = view.policy
    assert (row.judged, row.passed) == (22, 17)
    assert len(row.failing) == 5


def test_health_tells_what_went_silent():
    view = derive(sample.report(0))
    (bad,) = [row for row in view.health if row.css == "high"]
    assert (bad.wave, bad.host, bad.word) == (3, "node-05", "变差：tcp/22、tcp/443")
    assert len(view.health) == 23


def test_credit_counts_what_the_contract_buys():
    view = derive(sample.report(0, signed=False))
    assert {row.word for row in view.credit} == {"不计入"}
    hosts, databases = view.quota
    assert (hosts.wanted, hosts.credited, hosts.lacking) == ("23", 0, 23)
    assert (databases.wanted, databases.lacking) == ("3", 3)
    signed = derive(sample.report(0)).quota[0]
    assert signed.credited + signed.lacking == 23
    assert signed.credited > 15
    assert signed.oneway > 0


def test_one_target_alone(tmp_path):
    report = sample.report(2)
    mine = narrowed(report, "web-01")
    assert {each.target for each in mine.closures} == {"web-01"}
    assert mine.transactions
    done = render_harden(report, tmp_path, formats=["html"], host="web-01")
    assert done.findings == len(mine.closures)
    text = html_text(done.paths["html"])
    assert "node-02" not in text
    assert done.paths["html"].name == "harden-XH-HARDEN-20270301-7F3A-web-01.html"
    with pytest.raises(ReportError, match="no target 'nowhere'"):
        render_harden(report, tmp_path, formats=["html"], host="nowhere")


def test_a_closure_without_its_target_is_refused(tmp_path):
    report = sample.report(0)
    with pytest.raises(ReportError, match="not in the run"):
        render_harden(replace(report, targets=report.targets[1:]), tmp_path, formats=["html"])


def test_charts_say_their_figures():
    report = sample.report(2)
    view = derive(report)
    svg, _width, _height = draw("states", report, view)
    for closure in Closure:
        assert closure.value in svg
    assert f"{view.fixed} 项" in svg
    assert draw("targets", report, derive(narrowed(report, "web-01"))) is None
    with pytest.raises(KeyError):
        draw("pie", report, view)


def test_the_report_travels_to_the_child_and_back():
    report = sample.report(1)
    assert wire.decode(type(report), json.loads(wire.encode(report))) == report


@pytest.mark.campaign
@needs_fonts
def test_2800_closures_render_in_time(tmp_path):
    report = sample.report(102)
    assert len(report.closures) >= 2800
    begun = time.perf_counter()
    done = render_harden(report, tmp_path, formats=["html", "pdf"])
    took = time.perf_counter() - begun
    assert done.findings == len(report.closures)
    assert done.seconds["tree"] + done.seconds["html"] < 3, done.seconds
    assert took < 30, done.seconds
