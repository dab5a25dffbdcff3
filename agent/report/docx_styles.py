"""The styles of the DOCX in the manner of GB/T 9704: fonts by name, sizes in half points, lines in 1/20 point."""

from __future__ import annotations

from dataclasses import dataclass

from agent.report.wordml import FANG, HEI, KAI, SONG, fonts

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


@dataclass(frozen=True, slots=True)
class Style:
    """One paragraph style. `before`, `after` and `line` are in twentieths of a point."""

    id: str
    name: str
    size: int
    font: str
    line: int = 0
    """Exact line distance; negative: at least that much; 0: single."""
    before: int = 0
    after: int = 0
    align: str = "left"
    indent: str = ""
    """Attributes of w:ind."""
    tabs: str = ""
    """Attributes of one w:tab."""
    keep: bool = False
    outline: int = -1
    bold: bool = False
    extra: str = ""
    """Run properties that stand between weight and size (colour, letter spacing)."""

    def xml(self) -> str:
        """The w:style element, children in the schema's order."""
        default = ' w:default="1"' if self.id == "Normal" else ""
        custom = ' w:customStyle="1"' if self.name[0].isupper() and self.id != "Normal" else ""
        rule = f' w:line="{abs(self.line)}" w:lineRule="{"exact" if self.line > 0 else "atLeast"}"' if self.line else ""
        return (
            f'<w:style w:type="paragraph" w:styleId="{self.id}"{default}{custom}><w:name w:val="{self.name}"/>'
            f"<w:qFormat/><w:pPr>{'<w:keepNext/>' if self.keep else ''}"
            f"{f'<w:tabs><w:tab {self.tabs}/></w:tabs>' if self.tabs else ''}"
            f'<w:spacing w:before="{self.before}" w:after="{self.after}"{rule}/>'
            f"{f'<w:ind {self.indent}/>' if self.indent else ''}"
            f'<w:jc w:val="{self.align}"/>'
            f"{f'<w:outlineLvl w:val={chr(34)}{self.outline}{chr(34)}/>' if self.outline >= 0 else ''}</w:pPr>"
            f"<w:rPr>{fonts(self.font)}{'<w:b/>' if self.bold else ''}{self.extra}"
            f'<w:sz w:val="{self.size}"/><w:szCs w:val="{self.size}"/></w:rPr></w:style>'
        )


_GREY = '<w:color w:val="5C6670"/>'
_DOTS = 'w:val="right" w:leader="dot" w:pos="8845"'
STYLES = (
    Style("Normal", "Normal", 28, FANG, line=560, indent='w:firstLineChars="200" w:firstLine="560"'),
    Style("Heading1", "heading 1", 32, HEI, before=400, after=200, keep=True, outline=0),
    Style("Heading2", "heading 2", 28, KAI, before=300, after=140, keep=True, outline=1, bold=True),
    Style("Heading3", "heading 3", 24, FANG, before=200, after=100, keep=True, outline=2, bold=True),
    Style("FrontHeading", "Front Heading", 32, HEI, before=400, after=200, keep=True),
    Style("TOC1", "toc 1", 24, HEI, line=-380, tabs=_DOTS),
    Style("TOC2", "toc 2", 22, FANG, line=-360, tabs=_DOTS, indent='w:left="440"'),
    Style("TocTitle", "Toc Title", 44, SONG, after=200, align="center", keep=True),
    Style("Note", "Note", 22, FANG, line=-360, before=60, after=60, indent='w:left="120"', extra=_GREY),
    Style("Item", "Item", 28, FANG, line=560, indent='w:left="560" w:hanging="280"'),
    Style("TableText", "Table Text", 20, FANG, line=-280),
    Style("TableHead", "Table Head", 20, HEI, line=-280, align="center", keep=True),
    Style("TableHeadDense", "Table Head Dense", 17, HEI, line=-230, align="center", keep=True),
    Style("TableDense", "Table Dense", 17, FANG, line=-230),
    Style("TableSmall", "Table Small", 15, FANG, line=-210, extra=_GREY),
    Style("Gap", "Gap", 10, FANG, line=160),
    Style("Picture", "Picture", 28, FANG, align="center", keep=True),
    Style("Caption", "caption", 21, FANG, after=160, align="center", extra=_GREY),
    Style("CoverClassification", "Cover Classification", 32, HEI, line=560),
    Style("CoverNumber", "Cover Number", 32, FANG, line=560),
    Style("CoverProject", "Cover Project", 36, FANG, line=-700, before=2800, align="center"),
    Style("CoverTitle", "Cover Title", 72, SONG, line=-1100, before=300, after=300, align="center",
          extra='<w:spacing w:val="120"/>'),
    Style("CoverSubtitle", "Cover Subtitle", 32, FANG, line=-600, after=2700, align="center"),
    Style("CoverParty", "Cover Party", 32, FANG, line=-640, indent='w:left="1700"'),
    Style("CoverDate", "Cover Date", 32, FANG, line=-640, before=500, align="center"),
    Style("SignParty", "Sign Party", 28, HEI, before=500, after=120, keep=True),
    Style("SignLine", "Sign Line", 28, FANG, line=760, keep=True,
          tabs='w:val="left" w:leader="underscore" w:pos="6800"'),
    Style("Running", "Running", 18, FANG, tabs='w:val="right" w:pos="8845"', extra=_GREY),
    Style("PageNumber", "Page Number", 28, FANG, align="center"),
)  # fmt: skip


def styles() -> str:
    """The part word/styles.xml."""
    borders = "".join(
        f'<w:{side} w:val="single" w:sz="4" w:space="0" w:color="8A949D"/>'
        for side in ("top", "left", "bottom", "right", "insideH", "insideV")
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?><w:styles {W}><w:docDefaults><w:rPrDefault><w:rPr>'
        f'{fonts(FANG)}<w:sz w:val="28"/><w:szCs w:val="28"/><w:lang w:val="en-US" w:eastAsia="zh-CN"/></w:rPr>'
        "</w:rPrDefault><w:pPrDefault/></w:docDefaults>"
        + "".join(style.xml() for style in STYLES)
        + '<w:style w:type="table" w:default="1" w:styleId="TableNormal"><w:name w:val="Normal Table"/><w:tblPr>'
        '<w:tblInd w:w="0" w:type="dxa"/></w:tblPr></w:style>'
        '<w:style w:type="table" w:styleId="TableGrid"><w:name w:val="Table Grid"/><w:basedOn w:val="TableNormal"/>'
        f"<w:tblPr><w:tblBorders>{borders}</w:tblBorders></w:tblPr></w:style></w:styles>"
    )


def font_table() -> str:
    """The part word/fontTable.xml: what to take where a named font is not installed."""
    fallbacks = (
        (FANG, "FangSong", "roman"),
        (HEI, "SimHei", "swiss"),
        (KAI, "KaiTi", "roman"),
        (SONG, "SimSun", "roman"),
    )
    rows = "".join(
        f'<w:font w:name="{name}"><w:altName w:val="{other}"/><w:charset w:val="86"/><w:family w:val="{family}"/>'
        '<w:pitch w:val="variable"/></w:font>'
        for name, other, family in fallbacks
    )
    return f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?><w:fonts {W}>{rows}</w:fonts>'
