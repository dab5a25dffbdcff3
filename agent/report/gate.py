"""The reconciliation gate: what was found is what stands in each written file, row for row, or there is no report."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from lxml import etree

from agent.model.errors import ReportError
from agent.report.pdf import LaidOut

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_STREAM = re.compile(rb"/Type\s*/ObjStm.*?stream\r?\n(.*?)\r?\nendstream", re.DOTALL)
_PAGE = re.compile(rb"/Type\s*/Page(?![a-zA-Z])")


def rows_in_html(path: Path) -> list[tuple[str, str]]:
    """Key and printed number of each finding's row in a written HTML file."""
    rows = []
    for _event, row in etree.iterparse(str(path), tag="tr", html=True):
        key = row.get("data-finding")
        if key is not None:
            line = row[0].find("p")
            rows.append((key, "".join((row[0] if line is None else line).itertext())))
        row.clear()
    return rows


def rows_in_docx(path: Path) -> list[tuple[str, str]]:
    """The same of a written DOCX file; a row is marked by a bookmark around its number."""
    rows = []
    with zipfile.ZipFile(path) as package, package.open("word/document.xml") as part:
        for _event, row in etree.iterparse(
            part, tag=f"{_W}tr", resolve_entities=False, no_network=True, huge_tree=True
        ):
            mark = row.find(f"{_W}tc/{_W}p/{_W}bookmarkStart")
            line = None if mark is None else mark.getparent()
            if mark is not None and line is not None:
                rows.append((mark.get(f"{_W}name", "").partition("_")[2], "".join(line.itertext())))
            row.clear()
    return rows


def sheets_in_pdf(path: Path) -> int:
    """Pages of a written PDF file, counted in its object streams."""
    data = path.read_bytes()
    if not data.startswith(b"%PDF-") or b"%%EOF" not in data[-64:]:
        return 0
    count = len(_PAGE.findall(data))
    for stream in _STREAM.finditer(data):
        count += len(_PAGE.findall(zlib.decompress(stream[1])))
    return count


def _compare(kind: str, expected: Sequence[str], rows: Iterable[tuple[str, str]]) -> None:
    seen = list(rows)
    want, have = Counter(expected), Counter(key for key, _number in seen)
    if want != have:
        lost, extra = want - have, have - want
        raise ReportError(
            f"{kind} shows {have.total()} findings where the run has {want.total()}"
            f" (missing {sorted(lost)[:5]}, too many {sorted(extra)[:5]})",
            where=f"reconciliation of {kind}",
            remedy="give the template one <tr data-finding=...> for each finding; nothing was written",
        )
    numbers = [number.strip() for _key, number in seen]
    if numbers != [str(index) for index in range(1, len(numbers) + 1)]:
        raise ReportError(
            f"the numbers of {kind}'s findings do not run from 1 to {len(numbers)}", where=f"reconciliation of {kind}"
        )


def reconcile(
    findings: Sequence[str], grown: Sequence[str], written: dict[str, Path], laid_out: LaidOut | None
) -> None:
    """Compare the input's finding keys with those of the tree (`grown`) and with every written file.

    Raises:
        ReportError: a finding is missing, doubled or out of order somewhere.
    """
    if Counter(findings) != Counter(grown):
        _compare("the document tree", findings, ((key, str(i)) for i, key in enumerate(grown, 1)))
    if "html" in written:
        _compare("HTML", findings, rows_in_html(written["html"]))
    if "docx" in written:
        _compare("DOCX", findings, rows_in_docx(written["docx"]))
    if "pdf" in written and laid_out is not None:
        _compare("PDF", findings, laid_out.findings)
        sheets = sheets_in_pdf(written["pdf"])
        if sheets != laid_out.sheets:
            raise ReportError(
                f"the PDF has {sheets} pages where {laid_out.sheets} were laid out", where="reconciliation of PDF"
            )
