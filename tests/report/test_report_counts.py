"""Grades, tables and charts count what is to be mended, everywhere the same; all else is counted apart."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from lxml import html as parser

from agent.model.finding import FindingState
from agent.model.report import ScanReport
from agent.model.severity import Severity
from agent.report import render_scan
from agent.report.charts import draw
from agent.report.derive import derive, narrowed

_SPEC = spec_from_file_location("report_sample_counts", Path(__file__).with_name("sample.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
sample = module_from_spec(_SPEC)
_SPEC.loader.exec_module(sample)

OPEN = FindingState.OPEN


def mixed() -> ScanReport:
    """The sample with all four states at most targets, the worst finding of the first target accepted."""
    states = (FindingState.ACCEPTED, OPEN, FindingState.MANUAL, OPEN, FindingState.UNKNOWN, OPEN, OPEN)
    report = sample.report()
    return replace(
        report,
        findings=tuple(replace(item, state=states[index % 7]) for index, item in enumerate(report.findings)),
    )


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    done = render_scan(mixed(), tmp_path_factory.mktemp("counts"), formats=["html"])
    return parser.fromstring(done.paths["html"].read_bytes())


def tables(page, heading: str) -> list[list[list[str]]]:
    """Tables between the heading of that name and the next of its level, as text of cells."""
    (begin,) = (item for item in page.iter("h1", "h2") if item.text_content().endswith(heading))
    found = []
    for item in begin.itersiblings():
        if item.tag in {"h1", begin.tag}:
            break
        found += [[[cell.text_content() for cell in row] for row in table.iter("tr")] for table in item.iter("table")]
    return found


def column(table: list[list[str]], name: str) -> list[int]:
    place = table[0].index(name)
    return [int(row[place]) for row in table[1:]]


def test_every_view_sums_to_what_is_open():
    report = mixed()
    view = derive(report)
    want = [sum(item.state is OPEN and item.severity is grade for item in report.findings) for grade in Severity]
    assert 0 < view.weak == sum(want) < view.total == len(report.findings)
    assert [count.count for count in view.severities] == want
    for rows in (view.targets, view.categories):
        assert [sum(row.counts[index] for row in rows) for index in range(5)] == want
        assert sum(row.total for row in rows) == view.weak
    assert sum(row.occurrences for row in view.spread) == view.weak
    assert sum(row.count for row in view.remedies) == view.weak
    assert sum(layer.weak for target in view.targets for layer in target.layers) == view.weak
    assert sum(count.count for count in view.states) == view.total


def test_printed_tables_agree(page):
    report = mixed()
    weak = sum(item.state is OPEN for item in report.findings)
    (spread,) = tables(page, "漏洞分布")
    assert sum(column(spread, "出现次数")) == weak
    (ranking,) = tables(page, "主机风险等级列表")
    assert sum(column(ranking, "待整改")) == weak
    (categories,) = tables(page, "风险类别")
    assert sum(column(categories, "合计")) == weak
    (distribution,) = tables(page, "风险分布")
    assert distribution[1][-1] == str(weak)
    for index, word in enumerate(("超危", "高危", "中危", "低危", "提示"), 1):
        total = int(distribution[1][index])
        assert sum(column(ranking, word)) == sum(column(categories, word)) == total
    remedies, work = tables(page, "整改建议")
    assert [row[0] for row in work[1:]] == [str(number) for number in range(1, len(work))]
    assert sum(column(remedies, "项数")) == weak
    facts = {row[0]: row[1] for row in tables(page, "任务信息")[0]}
    assert facts["发现总数"].startswith(f"{len(report.findings)} 项，其中待整改 {weak} 项，")
    assert f"{len(report.findings)} 项发现（其中待整改 {weak} 项）" in page.text_content()


def test_charts_count_what_is_open_and_say_so(page):
    report = mixed()
    view = derive(report)
    charts = {name: draw(name, report, view) for name in ("severity", "targets", "trend")}
    for count in view.severities:
        assert (f">{count.count} 项  {count.percent}<" if count.count else ">0 项<") in charts["severity"][0]
    for target in view.targets:
        if target.total:
            assert f">{target.total}</text>" in charts["targets"][0]
    assert f">{sum(count.count for count in view.severities[:4])}</text>" in charts["trend"][0]
    assert all("待整改发现" in svg for svg, _width, _height in charts.values())
    assert all("待整改" in caption.text_content() for caption in page.iter("figcaption"))


def test_a_target_says_what_waits_besides(page):
    name = "node-01"
    states = Counter(item.state for item in mixed().findings if item.target == name)
    facts = tables(page, f"{name}（10.66.0.10）")[0]
    line = next(row[3] for row in facts if row[2] == "待整改")
    assert f"合计 {states[OPEN]}；另有待人工判定 {states[FindingState.MANUAL]} 项、未能判定" in line
    assert f"已接受风险 {states[FindingState.ACCEPTED]} 项" in line


def test_an_accepted_risk_does_not_grade_its_target():
    report = mixed()
    first = report.findings[0]
    assert first.state is FindingState.ACCEPTED
    only = replace(report, findings=(first,), unreached=(), changes=())
    target = next(item for item in derive(only).targets if item.row.name == first.target)
    assert (target.grade, target.total, target.others) == ("未发现", 0, "已接受风险 1 项")


def test_what_was_not_looked_at_does_not_look_clean():
    targets = {item.row.name: item.grade for item in derive(sample.report()).targets}
    assert targets["legacy-01"] == "未扫全"  # its login failed; only the network was seen
    assert targets["pg-local"] == "未扫描"
    assert targets["maria-01"] == "未发现"


def test_one_target_alone_counts_alike():
    report = narrowed(mixed(), "hostile-01")
    view = derive(report, single="hostile-01")
    assert view.weak == view.targets[0].total == sum(item.state is OPEN for item in report.findings) > 0
    assert draw("targets", report, view) is None
