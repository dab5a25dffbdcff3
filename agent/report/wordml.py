"""WordprocessingML of the document tree, as text: python-docx's own table cells take quadratic time."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from agent.report.tree import Block, Bullets, Cell, Figure, Heading, PageBreak, Para, Row, Run, Signature, Table
from agent.report.xmltext import legal

TEXT_WIDTH = 8845
"""156 mm in twentieths of a point."""

FANG, HEI, KAI, SONG = "仿宋_GB2312", "黑体", "楷体_GB2312", "方正小标宋简体"

_SHADES = {
    "critical": ("8B1A1A", "FFFFFF"),
    "high": ("D1495B", "FFFFFF"),
    "medium": ("F3C969", "3D2A00"),
    "low": ("4178A4", "FFFFFF"),
    "info": ("6B747C", "FFFFFF"),
    "good": ("2F7D4F", "FFFFFF"),
    "unknown": ("6B747C", "FFFFFF"),
}


def fonts(east: str, west: str = "Times New Roman") -> str:
    """Run fonts: Chinese and Latin."""
    return f'<w:rFonts w:ascii="{west}" w:hAnsi="{west}" w:cs="{west}" w:eastAsia="{east}"/>'


def run(item: Run) -> str:
    """One run."""
    if item.style == "br":
        return "<w:r><w:br/></w:r>"
    props = ""
    if item.style == "b":
        props = f"<w:rPr>{fonts(HEI)}<w:b/></w:rPr>"
    elif item.style == "code":
        props = f"<w:rPr>{fonts(FANG, 'Consolas')}</w:rPr>"
    elif item.style in _SHADES:
        fill, ink = _SHADES[item.style]
        shade = f'<w:shd w:val="clear" w:color="auto" w:fill="{fill}"/>'
        props = f'<w:rPr>{fonts(HEI)}<w:b/><w:color w:val="{ink}"/>{shade}</w:rPr>'
    return f'<w:r>{props}<w:t xml:space="preserve">{legal(item.text)}</w:t></w:r>'


def paragraph(runs: Iterable[Run], style: str, extra: str = "") -> str:
    """A paragraph in a named style."""
    return f'<w:p><w:pPr><w:pStyle w:val="{style}"/>{extra}</w:pPr>{"".join([run(item) for item in runs])}</w:p>'


_KEPT = 12
"""A table of facts of at most so many rows stays on one page."""


class Body:
    """Writes blocks; counts bookmarks, which mark headings and the rows of findings."""

    def __init__(self, picture: Callable[[Figure], str]) -> None:
        self._picture = picture
        self._marks = 0

    def _mark(self, name: str) -> tuple[str, str]:
        self._marks += 1
        return (
            f'<w:bookmarkStart w:id="{self._marks}" w:name="{name}"/>',
            f'<w:bookmarkEnd w:id="{self._marks}"/>',
        )

    def heading(self, block: Heading) -> str:
        """A heading that the contents can refer to."""
        begin, end = self._mark(f"_{block.anchor}")
        words = run(Run(block.number + block.text))
        return f'<w:p><w:pPr><w:pStyle w:val="Heading{block.level}"/></w:pPr>{begin}{words}{end}</w:p>'

    def _cell(self, cell: Cell, props: str, extra: str, style: str, marks: tuple[str, str]) -> str:
        parts = []
        for para in cell.paras:
            kind = "TableSmall" if para.kind == "small" else style
            parts.append(paragraph(para.runs, kind, extra))
        if marks[0]:  # the bookmark of a finding's row stands around its number
            head, rest = parts[0].split("</w:pPr>", 1)
            parts[0] = f"{head}</w:pPr>{marks[0]}{rest[: -len('</w:p>')]}{marks[1]}</w:p>"
        return f"<w:tc>{props}{''.join(parts)}</w:tc>"

    def _row(self, row: Row, widths: list[int], block: Table, *, head: bool, keep: bool = False) -> str:
        dense = "dense" in block.kind
        style = ("TableHeadDense" if dense else "TableHead") if head else "TableDense" if dense else "TableText"
        marks = self._mark(f"F{self._marks + 1}_{row.finding}") if row.finding else ("", "")
        cells = []
        for index, cell in enumerate(row.cells):
            band = head or ("facts" in block.kind and index % 2 == 0)
            shade = '<w:shd w:val="clear" w:color="auto" w:fill="EEF2F5"/>' if band else ""
            middle = '<w:vAlign w:val="center"/>' if head else ""
            props = f'<w:tcPr><w:tcW w:w="{widths[index]}" w:type="dxa"/>{shade}{middle}</w:tcPr>'
            align = '<w:jc w:val="center"/>' if head or block.aligns[index] == "center" else ""
            extra = "<w:keepNext/>" + align if keep else align
            cells.append(self._cell(cell, props, extra, style, marks if index == 0 else ("", "")))
        repeat = "<w:tblHeader/>" if head else ""
        return f"<w:tr><w:trPr><w:cantSplit/>{repeat}</w:trPr>{''.join(cells)}</w:tr>"

    def table(self, block: Table) -> Iterable[str]:
        """A table of fixed widths whose head repeats and whose rows stay whole."""
        widths = [round(share * TEXT_WIDTH) for share in block.widths]
        margin = 50 if "dense" in block.kind else 80
        yield (
            '<w:tbl><w:tblPr><w:tblStyle w:val="TableGrid"/>'
            f'<w:tblW w:w="{sum(widths)}" w:type="dxa"/><w:jc w:val="center"/><w:tblLayout w:type="fixed"/>'
            f'<w:tblCellMar><w:left w:w="{margin}" w:type="dxa"/><w:right w:w="{margin}" w:type="dxa"/></w:tblCellMar>'
            "</w:tblPr><w:tblGrid>"
        )
        for width in widths:
            yield f'<w:gridCol w:w="{width}"/>'
        yield "</w:tblGrid>"
        for row in block.head:
            yield self._row(row, widths, block, head=True)
        short = "facts" in block.kind and len(block.rows) <= _KEPT
        for row in block.rows:
            yield self._row(row, widths, block, head=False, keep=short and row is not block.rows[-1])
        yield '</w:tbl><w:p><w:pPr><w:pStyle w:val="Gap"/></w:pPr></w:p>'

    def signature(self, block: Signature) -> Iterable[str]:
        """Lines for the names, the last for date and seal."""
        yield paragraph([Run(block.party)], "SignParty")
        for label in (*block.lines, "日期"):
            seal = "（盖章）" if label == "日期" else ""
            tab = "<w:r><w:tab/></w:r>"
            words = run(Run(f"{label}："))
            yield f'<w:p><w:pPr><w:pStyle w:val="SignLine"/></w:pPr>{words}{tab}{run(Run(seal))}</w:p>'

    def block(self, block: Block) -> Iterable[str]:
        """WordprocessingML of one block."""
        if isinstance(block, Table):
            yield from self.table(block)
        elif isinstance(block, Para):
            yield paragraph(block.runs, "Note" if block.kind == "note" else "Normal")
        elif isinstance(block, Heading):
            yield self.heading(block)
        elif isinstance(block, Bullets):
            for item in block.items:
                yield paragraph((Run("· "), *item.runs), "Item")
        elif isinstance(block, Figure):
            yield f'<w:p><w:pPr><w:pStyle w:val="Picture"/></w:pPr>{self._picture(block)}</w:p>'
            yield paragraph([Run(block.caption)], "Caption")
        elif isinstance(block, Signature):
            yield from self.signature(block)
        elif isinstance(block, PageBreak):
            yield '<w:p><w:r><w:br w:type="page"/></w:r></w:p>'


def cover(paras: Iterable[Para]) -> Iterable[str]:
    """The cover's lines, each in the style of its kind."""
    for para in paras:
        yield paragraph(para.runs, f"Cover{para.kind.capitalize()}")


PAGE = "\ue000"
"""Stands around the index of a heading where its page number will be; `clean` lets no such character through."""


def contents(headings: Iterable[Heading]) -> Iterable[str]:
    """A table of contents already filled in: a field, so that Word can renew it, that asks nothing on opening."""
    rows = [(index, heading) for index, heading in enumerate(headings) if heading.level <= 2]  # noqa: PLR2004
    yield paragraph([Run("目　录")], "TocTitle")
    for index, (place, heading) in enumerate(rows):
        begin = end = ""
        if index == 0:
            begin = (
                '<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText xml:space="preserve">'
                ' TOC \\o "1-2" \\h \\z \\u </w:instrText></w:r><w:r><w:fldChar w:fldCharType="separate"/></w:r>'
            )
        if index == len(rows) - 1:
            end = '<w:r><w:fldChar w:fldCharType="end"/></w:r>'
        words = run(Run(heading.number + heading.text))
        number = f"<w:r><w:tab/></w:r>{run(Run(f'{PAGE}{place}{PAGE}'))}"
        yield (
            f'<w:p><w:pPr><w:pStyle w:val="TOC{heading.level}"/></w:pPr>{begin}'
            f'<w:hyperlink w:anchor="_{heading.anchor}" w:history="1">{words}{number}</w:hyperlink>{end}</w:p>'
        )
    yield paragraph([Run("页码取自 PDF 版；空缺或与版面有出入时，在目录上按右键选“更新域”。")], "Note")
