"""The document tree as PDF: handed to one Typst file as JSON, so that text stays text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path

import typst

from agent.model.errors import ReportError
from agent.report import typefaces
from agent.report.tree import Block, Bullets, Document, Figure, Heading, PageBreak, Para, Row, Signature, Table

_WHOLE = 700
"""A row whose longest cell has more characters may break over pages, else it would run off the sheet."""

_TOGETHER = 18
"""An id of at most so many characters is never broken (CVE-2026-12345 has 14)."""

# Lines break by themselves after a slash, and after a hyphen that no digit follows; what is longer needs help.
_LONG = re.compile(r"(?:[^\s\u2e80-\U0010ffff/-]|-(?=\d)){15,}")
_DENSE = 20
"""In a table of small print so many characters fit into any column; each break point costs Typst memory."""
_BREAK = re.compile(r"([^._,:;=@&?+]{5,11}[._,:;=@&?+]|.{12})(?=.{3})")


def _loosen(match: re.Match[str]) -> str:
    return _BREAK.sub("\\1\u200b", match[0])


def _loosen_dense(match: re.Match[str]) -> str:
    return match[0] if len(match[0]) <= _DENSE else _loosen(match)


def soften(text: str, *, dense: bool = False) -> str:
    """Put zero-width spaces into long unbroken tokens (paths, hashes), so that they wrap in a narrow column."""
    return _LONG.sub(_loosen_dense if dense else _loosen, text.replace("\u200b", ""))


@dataclass(frozen=True, slots=True)
class LaidOut:
    """What Typst placed on pages."""

    findings: tuple[tuple[str, str], ...]
    """Key and printed number of each finding's row."""
    headings: tuple[tuple[int, int], ...]
    """Level and printed page of each heading of the body."""
    sheets: int
    """Pages in all, cover included."""


def _runs(para: Para, *, dense: bool) -> Iterator[tuple[str, str]]:
    for run in para.runs:
        whole = run.style == "id" and len(run.text) <= _TOGETHER
        yield run.text if whole else soften(run.text, dense=dense), run.style


def _para(para: Para) -> dict[str, object]:
    runs = [[text, style] if style else [text] for text, style in _runs(para, dense=False)]
    return {"kind": para.kind, "runs": runs or [[""]]}


def _line(para: Para, *, dense: bool) -> object:
    """A paragraph of a cell, as short as can be: each array and each map costs Typst memory, and there are many."""
    runs = [(text, style) if style else text for text, style in _runs(para, dense=dense)]
    if para.kind != "small" and (not runs or (len(runs) == 1 and not para.runs[0].style)):
        return runs[0] if runs else ""
    return [para.kind, *runs]


def _row(row: Row, *, dense: bool) -> dict[str, object]:
    data: dict[str, object] = {
        "cells": [[_line(para, dense=dense) for para in cell.paras] for cell in row.cells],
        "finding": row.finding,
    }
    if row.size > _WHOLE:
        data["whole"] = False
    return data


def _block(block: Block) -> dict[str, object]:  # noqa: PLR0911 - one return a kind of block
    match block:
        case Table():
            return {
                "t": "table",
                "kind": block.kind,
                "widths": block.widths,
                "aligns": block.aligns,
                "head": [_row(row, dense="dense" in block.kind) for row in block.head],
                "rows": [_row(row, dense="dense" in block.kind) for row in block.rows],
            }
        case Para():
            return {"t": "para", **_para(block)}
        case Heading():
            return {"t": "heading", "level": block.level, "number": block.number, "text": soften(block.text)}
        case Bullets():
            return {"t": "list", "items": [_para(item) for item in block.items]}
        case Figure():
            return {"t": "figure", "svg": block.svg, "caption": block.caption}
        case Signature():
            return {"t": "signature", "party": block.party, "lines": block.lines}
        case PageBreak():
            return {"t": "break"}


def pdf_tree(document: Document, author: str) -> str:
    """The tree as the JSON that templates/report.typ reads."""
    day = date.fromisoformat(document.date)
    return json.dumps(
        {
            "title": document.title,
            "author": author,
            "running": f"{document.running}　{document.number}",
            "classification": document.classification,
            "year": day.year,
            "month": day.month,
            "day": day.day,
            "cover": [_para(para) for para in document.cover],
            "front": [_block(block) for block in document.front],
            "body": [_block(block) for block in document.body],
        },
        ensure_ascii=False,
    )


def pdf(tree: str, day: str, source: Path) -> tuple[bytes, LaidOut]:
    """Compile what `pdf_tree` wrote with `source`, a Typst file; the PDF is dated `day` (ISO).

    Raises:
        ReportError: no Chinese font is installed, or Typst refuses the file.
    """
    if not typefaces.fonts():
        raise ReportError(
            "no Chinese font found; the PDF would show empty boxes",
            where=", ".join(typefaces.FOLDERS),
            remedy="apt install fonts-noto-cjk (or google-noto-serif-cjk-fonts)",
        )
    stamp = int(datetime.combine(date.fromisoformat(day), time(), UTC).timestamp())
    try:
        compiler = typst.Compiler(
            input=str(source),
            root=str(source.parent),
            font_paths=typefaces.folders(),
            ignore_system_fonts=True,
            sys_inputs={"tree": tree},
        )
        data = compiler.compile(format="pdf", timestamp=stamp, pdf_tags=False)
        laid = json.loads(compiler.query("<laid-out>", field="value", one=True))
    except typst.TypstError as error:
        raise ReportError(
            f"Typst refuses the report: {error.message}", where=str(source), remedy="\n".join(error.hints)
        ) from error
    out = LaidOut(
        tuple((key, number) for key, number in laid["findings"]),
        tuple((level, page) for level, page in laid["headings"]),
        laid["sheets"],
    )
    if not isinstance(data, bytes):
        raise ReportError("Typst made no PDF", where=str(source))
    return data, out
