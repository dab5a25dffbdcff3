"""The report's list of accepted risks says which still cover, and what each is about."""

import re
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from agent.model.finding import RiskException
from agent.report import render_scan

_SPEC = spec_from_file_location("report_sample", Path(__file__).with_name("sample.py"))
assert _SPEC
assert _SPEC.loader
sample = module_from_spec(_SPEC)
_SPEC.loader.exec_module(sample)

TAKEN = RiskException("node-07", "LIN-IP-B-06", "", "旧工具", "王镕", "2027-06-30")


def test_expired_and_general_exceptions_are_told_apart(tmp_path):
    rows = (
        TAKEN,
        replace(TAKEN, target="*", check="", cve="CVE-2024-3094", reason="不可达"),
        replace(TAKEN, check="", advisory="DSA-1", expires="2027-02-01", reason="等停机"),
    )
    report = replace(sample.report(), exceptions=rows)
    path = render_scan(report, tmp_path, formats=("html",), templates=[], host="").paths["html"]
    part = path.read_text("utf-8").partition("例外清单</h1>")[2] or path.read_text("utf-8").rpartition("例外清单")[2]
    told = [
        re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL) for row in part.partition("</table>")[0].split("<tr")[2:]
    ]
    assert [[cells[0], cells[1], cells[-1]] for cells in told] == [
        ["node-07", "LIN-IP-B-06", "有效"],
        ["全部目标", "CVE-2024-3094", "有效"],
        ["node-07", "DSA-1", "已过期"],
    ]
