"""The document tree: what a template said, as frozen values that three renderers walk.

A long report has tens of thousands of runs, paragraphs and cells: tuples, which cost a third of a frozen dataclass.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple


class Run(NamedTuple):
    """A stretch of text in one style."""

    text: str
    style: str = ""
    """Empty, `b`, `code`, `id` (not to be broken over lines), `br`, or a severity's value."""


class Para(NamedTuple):
    """A paragraph; in a cell there may be several."""

    runs: tuple[Run, ...]
    kind: str = ""
    """The template's class: empty for body text, `note`, `small`, or a line of the cover."""

    @property
    def text(self) -> str:
        """The words alone."""
        return "".join(run.text for run in self.runs)


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading, numbered in the manner of GB/T 9704: 一、 （一） 1."""

    level: int
    number: str
    """As printed before the text; empty for an appendix or the signature page."""
    text: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Bullets:
    """An unordered list."""

    items: tuple[Para, ...]


class Cell(NamedTuple):
    """A table cell."""

    paras: tuple[Para, ...]


class Row(NamedTuple):
    """A table row; `finding` holds the key of the finding that it shows, if it shows one."""

    cells: tuple[Cell, ...]
    finding: str = ""

    @property
    def size(self) -> int:
        """Characters of its longest cell: tells whether it may stay on one page."""
        return max((sum(len(run.text) for p in cell.paras for run in p.runs) for cell in self.cells), default=0)


@dataclass(frozen=True, slots=True)
class Table:
    """A table; widths are shares of the page's text width."""

    kind: str
    """`plain`, `facts` (first column names the second) or `dense`."""
    widths: tuple[float, ...]
    aligns: tuple[str, ...]
    """`left` or `center`, one a column."""
    head: tuple[Row, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart of our own, as SVG without script or outside reference."""

    svg: str
    caption: str
    width: float
    """Pixels of the SVG's own coordinates; so is `height`."""
    height: float


@dataclass(frozen=True, slots=True)
class Signature:
    """Where one party signs and seals."""

    party: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PageBreak:
    """What follows begins on a new page."""


Block = Para | Heading | Bullets | Table | Figure | Signature | PageBreak


@dataclass(frozen=True, slots=True)
class Document:
    """One report: the cover, what stands before the table of contents, and the body."""

    title: str
    number: str
    classification: str
    date: str
    """ISO date that stands for the document's own time, so that rendering is deterministic."""
    cover: tuple[Para, ...]
    front: tuple[Block, ...]
    body: tuple[Block, ...]
    running: str = "漏洞扫描报告"
    """Words at the head of each page, before the number."""

    @property
    def headings(self) -> Iterator[Heading]:
        """Headings of the body, in order."""
        return (block for block in self.body if isinstance(block, Heading))

    @property
    def findings(self) -> list[str]:
        """Keys of the findings in the order of their rows."""
        tables = (block for block in (*self.front, *self.body) if isinstance(block, Table))
        return [row.finding for table in tables for row in table.rows if row.finding]
