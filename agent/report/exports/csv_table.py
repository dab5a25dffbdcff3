"""A table for spreadsheets: RFC 4180, UTF-8 with a byte order mark, Chinese headings, and no cell that is a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING

from agent.model.advisory import Confidence, Status
from agent.report.words import STATES, category

if TYPE_CHECKING:
    from agent.model.finding import Remediation
    from agent.report.exports.values import Export, Item

_BOM = "\ufeff"
_FORMULA = tuple("=+-@\t\r\n＝＋－＠")
"""What spreadsheets take a cell for a formula by (OWASP, CSV injection), full-width signs too."""
_STATUS: dict[str, str] = {one.value: one.zh for one in Status}
_CONFIDENCE: dict[str, str] = {
    Confidence.VENDOR: "厂商公告",
    Confidence.MIRROR: "软件源",
    Confidence.CHANGELOG: "更新日志",
    Confidence.CPE_EXACT: "CPE 精确",
    Confidence.CPE_ROUGH: "CPE 粗略",
}
_RESTART = {"reboot": "重启主机", "service": "重启服务"}


def safe(text: str) -> str:
    """The text, with an apostrophe before it where a spreadsheet would compute it instead of showing it."""
    return f"'{text}" if text.startswith(_FORMULA) or text.lstrip().startswith(_FORMULA) else text


def _words(values: Iterable[str]) -> str:
    return " ".join(values)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.10g}"


def _of_upgrade(tell: Callable[[Remediation], str]) -> Callable[[Item], str]:
    return lambda item: tell(item.finding.remediation) if item.finding.remediation else ""


def _exceptions(item: Item) -> str:
    return "\n".join(
        f"{each.subject}：{each.reason}（批准人 {each.approver}，有效至 {each.expires}）"
        for each in dict.fromkeys(item.exceptions.values())
    )


COLUMNS: tuple[tuple[str, Callable[[Item], str]], ...] = (
    ("发现编号", lambda item: item.finding.key),
    ("等级", lambda item: item.finding.severity.zh),
    ("状态", lambda item: STATES[item.finding.state]),
    ("目标", lambda item: item.finding.target),
    ("层面", lambda item: item.finding.layer.zh),
    ("类别", lambda item: category(item.finding)),
    ("检查项", lambda item: item.finding.check),
    ("位置", lambda item: item.finding.location),
    ("名称", lambda item: item.finding.title),
    ("实际", lambda item: item.finding.actual),
    ("要求", lambda item: item.finding.expected),
    ("处置建议", lambda item: item.finding.remedy),
    ("条款", lambda item: item.finding.clause),
    ("CVE", lambda item: _words(item.finding.cves)),
    ("CNNVD", _of_upgrade(lambda upgrade: _words(upgrade.cnnvd))),
    ("公告", _of_upgrade(lambda upgrade: _words(upgrade.advisories))),
    ("软件", _of_upgrade(lambda upgrade: upgrade.package)),
    ("已装版本", _of_upgrade(lambda upgrade: upgrade.installed)),
    ("修复版本", _of_upgrade(lambda upgrade: upgrade.fixed)),
    ("补丁", _of_upgrade(lambda upgrade: upgrade.fix)),
    ("厂商状态", _of_upgrade(lambda upgrade: _STATUS.get(upgrade.status, upgrade.status))),
    ("可信度", _of_upgrade(lambda upgrade: _CONFIDENCE.get(upgrade.confidence, upgrade.confidence))),
    ("CVSS", _of_upgrade(lambda upgrade: _number(upgrade.score))),
    ("EPSS", _of_upgrade(lambda upgrade: _number(upgrade.epss))),
    ("已知被利用", _of_upgrade(lambda upgrade: _words(upgrade.kev))),
    ("处置时机", _of_upgrade(lambda upgrade: upgrade.urgency.zh)),
    ("重启", _of_upgrade(lambda upgrade: _RESTART.get(upgrade.restart, ""))),
    ("例外", _exceptions),
    ("说明", lambda item: item.finding.detail),
    ("证据序号", lambda item: _words(map(str, item.finding.evidence))),
)
"""Heading and content of each column; `docs/exchange.md` explains them."""


def table(rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """Rows of any text as CSV, made safe; every cell is quoted, so that no other separator can split one."""
    held = io.StringIO()
    writer = csv.writer(held, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    yield _BOM
    for row in rows:
        writer.writerow([safe(cell) for cell in row])
        yield held.getvalue()
        held.seek(0)
        held.truncate()


def write(export: Export) -> Iterator[str]:
    """The heading, then one row a finding."""
    rows = ([tell(item) for _, tell in COLUMNS] for item in export.items)
    return table(chain([[heading for heading, _ in COLUMNS]], rows))
