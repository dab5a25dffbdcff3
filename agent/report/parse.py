"""From the template's well-formed XHTML subset to the document tree."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from xml.etree import ElementTree as ET

from lxml import etree

from agent.model.errors import ReportError
from agent.report.tree import (
    Block,
    Bullets,
    Cell,
    Document,
    Figure,
    Heading,
    PageBreak,
    Para,
    Row,
    Run,
    Signature,
    Table,
)

Chart = Callable[[str], tuple[str, float, float] | None]
"""Draws the chart of that name: SVG, width, height; None when there is nothing to draw. KeyError: no such chart."""

_SPACE = re.compile(r"[ \t\r\n]+")
_DIGITS = "零一二三四五六七八九"
_INLINE = {"b", "code", "span", "br"}
_SIMPLE = {"b", "code", "span"}


def chinese(number: int) -> str:
    """Write 1 to 999 as 一 ... 九百九十九, for headings."""
    hundreds, rest = divmod(number, 100)
    tens, ones = divmod(rest, 10)
    text = f"{_DIGITS[hundreds]}百" if hundreds else ""
    if tens:
        text += ("" if tens == 1 and not hundreds else _DIGITS[tens]) + "十"
    elif hundreds and ones:
        text += "零"
    return text + (_DIGITS[ones] if ones or not text else "")


class _UnfitError(Exception):
    """What an element has that the subset has not; `parse` finds the line."""

    def __init__(self, element: ET.Element, problem: str) -> None:
        super().__init__(problem)
        self.element = element
        self.problem = problem


def _parser() -> etree.XMLParser:
    return etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True
    )


def _fail(unfit: _UnfitError, root: ET.Element, xhtml: str) -> ReportError:
    """Name the line, which only the slower parser knows: its elements stand in the same order."""
    place = next(index for index, element in enumerate(root.iter()) if element is unfit.element)
    lines = (element.sourceline or 0 for element in etree.fromstring(xhtml.encode(), _parser()).iter())
    line = next(line for index, line in enumerate(lines) if index == place)
    return ReportError(
        f"the rendered template has {unfit.problem}",
        where=f"line {line} of its output: <{unfit.element.tag}>",
        remedy="use only the elements that templates/README.md lists",
    )


@lru_cache(maxsize=16_384)
def _folded(text: str, style: str) -> Run:
    """A run with its white space folded; most are said many times."""
    return Run(_SPACE.sub(" ", text), style)


def _flat(element: ET.Element) -> Iterator[Run]:
    """Runs of a paragraph whose elements hold text alone, white space folded: a list of CVE ids has many."""
    if element.text:
        yield _folded(element.text, "")
    for child in element:
        tag = child.tag
        if tag not in _INLINE:
            raise _UnfitError(child, f"an element that may not stand inside <{element.tag}>")
        if len(child):
            yield from _fold(_pieces(child, child.get("class", "") if tag == "span" else tag), lines=False)
        elif tag == "br":
            yield Run("\n", "br")
        elif child.text:
            yield _folded(child.text, child.get("class", "") if tag == "span" else tag)
        if child.tail:
            yield _folded(child.tail, "")


def _pieces(element: ET.Element, style: str) -> Iterator[Run]:
    if element.text:
        yield Run(element.text, style)
    for child in element:
        tag = child.tag
        if tag not in _INLINE:
            raise _UnfitError(child, f"an element that may not stand inside <{element.tag}>")
        if tag == "br":
            yield Run("\n", "br")
        else:
            yield from _pieces(child, child.get("class", "") if tag == "span" else tag)
        if child.tail:
            yield Run(child.tail, style)


def _fold(runs: Iterable[Run], *, lines: bool) -> Iterator[Run]:
    """Fold white space as XHTML does; `lines` keeps line ends, as text of a target has them."""
    for run in runs:
        if run.style == "br":
            yield run
        elif lines:
            for index, line in enumerate(run.text.split("\n")):
                if index:
                    yield Run("\n", "br")
                if line:
                    yield Run(line, run.style)
        else:
            yield Run(_SPACE.sub(" ", run.text), run.style)


def _para(element: ET.Element, kind: str | None = None) -> Para:
    kind = element.get("class", "") if kind is None else kind
    count = len(element)
    if not count:
        return _plain(element.text or "", kind)
    if count == 1 and not element.text and not element[0].tail and not len(element[0]) and element[0].tag in _SIMPLE:
        only = element[0]
        return _styled(only.text or "", only.get("class", "") if only.tag == "span" else only.tag, kind)
    return _para_of(_fold(_pieces(element, ""), lines=True) if kind == "pre" else _flat(element), kind)


def _para_of(pieces: Iterable[Run], kind: str) -> Para:
    runs = list(pieces)
    if runs and runs[0].style != "br":
        runs[0] = Run(runs[0].text.lstrip(), runs[0].style)
    if runs and runs[-1].style != "br":
        runs[-1] = Run(runs[-1].text.rstrip(), runs[-1].style)
    return Para(tuple([run for run in runs if run.text]), kind)


@lru_cache(maxsize=4096)
def _styled(text: str, style: str, kind: str) -> Para:
    """A paragraph of one run: a grade, a title, an id."""
    return _para_of(_fold([Run(text, style)], lines=kind == "pre"), kind)


@lru_cache(maxsize=16_384)
def _plain(text: str, kind: str) -> Para:
    """A paragraph of text alone; most are said of many targets, and a frozen value may be shared."""
    text = text.strip()
    if kind == "pre" and "\n" in text:
        return Para(tuple(_fold(iter([Run(text)]), lines=True)), kind)
    text = _SPACE.sub(" ", text)
    return Para((Run(text),) if text else (), kind)


def _cell(element: ET.Element) -> Cell:
    if len(element) and element[0].tag == "p":
        return Cell(tuple([_para(child) for child in element if child.tag == "p"]))
    return Cell((_para(element, ""),))


def _row(element: ET.Element, columns: int) -> Row:
    cells = tuple([_cell(child) for child in element])
    if len(cells) != columns:
        raise _UnfitError(element, f"a row of {len(cells)} cells in a table of {columns} columns")
    return Row(cells, element.get("data-finding", ""))


def _table(element: ET.Element) -> Table:
    columns = element.findall("col")
    if not columns:
        raise _UnfitError(element, "a table without <col width=...>")
    total = sum(float(column.get("width", "1")) for column in columns)
    return Table(
        kind=element.get("class", "plain"),
        widths=tuple(float(column.get("width", "1")) / total for column in columns),
        aligns=tuple(column.get("align", "left") for column in columns),
        head=tuple(_row(row, len(columns)) for row in element.iterfind("thead/tr")),
        rows=tuple(_row(row, len(columns)) for row in element.iterfind("tbody/tr")),
    )


class _Body:
    """Numbers the headings while it gathers blocks."""

    def __init__(self, chart: Chart) -> None:
        self.chart = chart
        self.blocks: list[Block] = []
        self.counts = [0, 0, 0]
        self.anchors = 0

    def heading(self, element: ET.Element) -> Heading:
        level = int(str(element.tag)[1])
        number = ""
        if element.get("class") != "plain":
            self.counts[level - 1] += 1
            self.counts[level:] = [0] * (3 - level)
            count = self.counts[level - 1]
            number = {1: f"{chinese(count)}、", 2: f"（{chinese(count)}）"}.get(level, f"{count}. ")
        self.anchors += 1
        return Heading(level, number, _para(element).text, f"s{self.anchors}")

    def figure(self, element: ET.Element) -> Figure | None:
        try:
            drawn = self.chart(element.get("data-chart", ""))
        except KeyError:
            raise _UnfitError(element, f"an unknown chart {element.get('data-chart', '')!r}") from None
        caption = element.find("figcaption")
        return None if drawn is None else Figure(drawn[0], "" if caption is None else _para(caption).text, *drawn[1:])

    def add(self, element: ET.Element) -> None:
        tag, kind = element.tag, element.get("class", "")
        if tag in {"h1", "h2", "h3"}:
            self.blocks.append(self.heading(element))
        elif tag == "p":
            self.blocks.append(_para(element))
        elif tag == "ul":
            self.blocks.append(Bullets(tuple(_para(item) for item in element)))
        elif tag == "table":
            self.blocks.append(_table(element))
        elif tag == "figure":
            figure = self.figure(element)
            if figure is not None:
                self.blocks.append(figure)
        elif tag == "div" and kind == "signature":
            party, *lines = (_para(line).text for line in element)
            self.blocks.append(Signature(party, tuple(lines)))
        elif tag == "hr":
            self.blocks.append(PageBreak())
        else:
            raise _UnfitError(element, "an element that is not known")


def parse(xhtml: str, chart: Chart) -> Document:
    """Parse what a template rendered.

    Raises:
        ReportError: it is not well-formed, or uses what the subset does not have.
    """
    if "<!DOCTYPE" in xhtml:  # all other text is escaped; without one there are no entities to expand
        raise ReportError("the template's output has a DOCTYPE", remedy="remove it")
    try:
        root = ET.fromstring(xhtml)  # noqa: S314 - no DOCTYPE
    except ET.ParseError as error:
        raise ReportError(f"the template's output is not well-formed: {error}", remedy="close every element") from error
    try:
        return _gather(root, chart)
    except _UnfitError as unfit:
        raise _fail(unfit, root, xhtml) from None


def _gather(root: ET.Element, chart: Chart) -> Document:
    meta = {element.get("name", ""): element.get("content", "") for element in root.iterfind("head/meta")}
    body = root.find("body")
    if body is None or body.find("nav") is None:
        raise ReportError("the template's output lacks <body> or <nav/> (the place of the table of contents)")
    gathered = _Body(chart)
    cover: tuple[Para, ...] = ()
    front: tuple[Block, ...] = ()
    for element in body:
        if element.tag == "section" and element.get("class") == "cover":
            cover = tuple(_para(line) for line in element)
        elif element.tag == "nav":
            front, gathered.blocks = tuple(gathered.blocks), []
        else:
            gathered.add(element)
    return Document(
        title=(root.findtext("head/title") or "").strip(),
        number=meta.get("number", ""),
        classification=meta.get("classification", ""),
        date=meta.get("date", ""),
        cover=cover,
        front=front,
        body=tuple(gathered.blocks),
        running=meta.get("running", "漏洞扫描报告"),
    )
