"""The document tree as DOCX: one package of our own, the same bytes for the same tree."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable, Sequence

import resvg_py

from agent.report import typefaces, wordml
from agent.report.docx_styles import W, font_table, styles
from agent.report.tree import Document, Figure, Heading, Run
from agent.report.xmltext import legal

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip entry can bear; each bears it."""
_EMU = 36_000  # English metric units in a millimetre
_FIGURE = 156  # millimetres, the width of the text
_SCALE = 2.5  # pixels of the PNG for one of the SVG: about 290 dots an inch on paper

_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
_R = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
_REL = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PART = "application/vnd.openxmlformats-officedocument.wordprocessingml"
_PAGE = (
    '<w:pgSz w:w="11906" w:h="16838"/><w:pgMar w:top="2098" w:right="1474" w:bottom="1984" w:left="1587"'
    ' w:header="1400" w:footer="1300" w:gutter="0"/>'
)


_BODY = "word/document.xml"
_NUMBER = re.compile(f"{wordml.PAGE}(\\d+){wordml.PAGE}".encode())


def _entry(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


class _Pictures:
    """Charts as PNG, white behind them, drawn with the Chinese fonts of this machine."""

    def __init__(self) -> None:
        self.data: list[bytes] = []
        self._fonts = [str(path) for path in typefaces.fonts() if "sans" in path.name.lower()]

    def add(self, figure: Figure) -> str:
        """The run that shows it."""
        png = resvg_py.svg_to_bytes(
            svg_string=figure.svg,
            background="#ffffff",
            width=round(figure.width * _SCALE),
            skip_system_fonts=True,
            font_files=self._fonts,
        )
        self.data.append(bytes(png))
        number = len(self.data)
        across = _FIGURE * _EMU
        down = round(across * figure.height / figure.width)
        size = f'cx="{across}" cy="{down}"'
        name = f'id="{number}" name="chart{number}" descr="{legal(figure.caption)}"'
        a, pic = "http://schemas.openxmlformats.org/drawingml/2006/main", "picture"
        return (
            '<w:r><w:drawing><wp:inline distT="0" distB="0" distL="0" distR="0"'
            ' xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing">'
            f'<wp:extent {size}/><wp:docPr {name}/><a:graphic xmlns:a="{a}">'
            f'<a:graphicData uri="{a.replace("main", pic)}"><pic:pic xmlns:pic="{a.replace("main", pic)}">'
            f"<pic:nvPicPr><pic:cNvPr {name}/><pic:cNvPicPr/></pic:nvPicPr><pic:blipFill>"
            f'<a:blip r:embed="rIdP{number}"/>'
            f'<a:stretch><a:fillRect/></a:stretch></pic:blipFill><pic:spPr><a:xfrm><a:off x="0" y="0"/><a:ext {size}/>'
            '</a:xfrm><a:prstGeom prst="rect"><a:avLst/></a:prstGeom></pic:spPr></pic:pic></a:graphicData></a:graphic>'
            "</wp:inline></w:drawing></w:r>"
        )


def _section(refs: str, *, last: bool) -> str:
    """Section properties: the cover has neither header nor number, the body counts from one."""
    start = '<w:pgNumType w:start="1"/>' if last else ""
    inner = f'<w:sectPr>{refs}<w:type w:val="nextPage"/>{_PAGE}{start}</w:sectPr>'
    return inner if last else f'<w:p><w:pPr><w:pStyle w:val="Gap"/>{inner}</w:pPr></w:p>'


def _document(document: Document, pictures: _Pictures) -> Iterable[str]:
    header = '<w:headerReference w:type="default" r:id="rIdheader1"/>'
    footer = '<w:footerReference w:type="default" r:id="rIdfooter1"/>'
    empty = (
        '<w:headerReference w:type="default" r:id="rIdheader0"/><w:footerReference w:type="default" r:id="rIdfooter0"/>'
    )
    body = wordml.Body(pictures.add)
    yield f"{_XML}<w:document {W} {_R}><w:body>"
    yield from wordml.cover(document.cover)
    yield _section(empty, last=False)
    for block in document.front:
        if isinstance(block, Heading):
            yield wordml.paragraph([Run(block.text)], "FrontHeading")
        else:
            yield from body.block(block)
    yield '<w:p><w:pPr><w:pStyle w:val="Gap"/></w:pPr><w:r><w:br w:type="page"/></w:r></w:p>'
    yield from wordml.contents(document.headings)
    yield _section(header, last=False)
    for block in document.body:
        yield from body.block(block)
    yield _section(header + footer, last=True)
    yield "</w:body></w:document>"


def _field(code: str) -> str:
    return (
        '<w:r><w:fldChar w:fldCharType="begin"/></w:r>'
        f'<w:r><w:instrText xml:space="preserve"> {code} </w:instrText></w:r>'
        '<w:r><w:fldChar w:fldCharType="separate"/></w:r><w:r><w:t>1</w:t></w:r>'
        '<w:r><w:fldChar w:fldCharType="end"/></w:r>'
    )


def _margins(document: Document) -> dict[str, str]:
    rule = '<w:pBdr><w:bottom w:val="single" w:sz="4" w:space="1" w:color="8A949D"/></w:pBdr>'
    running = (
        f'<w:p><w:pPr><w:pStyle w:val="Running"/>{rule}</w:pPr>'
        f"<w:r><w:t>{legal(document.running)}　{legal(document.number)}</w:t></w:r><w:r><w:tab/></w:r>"
        f"<w:r><w:t>{legal(document.classification)}</w:t></w:r></w:p>"
    )
    number = (
        '<w:p><w:pPr><w:pStyle w:val="PageNumber"/></w:pPr><w:r><w:t>—</w:t></w:r>'
        f"{_field('PAGE')}<w:r><w:t>—</w:t></w:r></w:p>"
    )
    blank = '<w:p><w:pPr><w:pStyle w:val="Gap"/></w:pPr></w:p>'
    return {
        "word/header0.xml": f"{_XML}<w:hdr {W}>{blank}</w:hdr>",
        "word/footer0.xml": f"{_XML}<w:ftr {W}>{blank}</w:ftr>",
        "word/header1.xml": f"{_XML}<w:hdr {W}>{running}</w:hdr>",
        "word/footer1.xml": f"{_XML}<w:ftr {W}>{number}</w:ftr>",
    }


def _plumbing(document: Document, author: str, pictures: int) -> dict[str, str]:
    parts = {"styles": "styles", "fontTable": "fontTable", "settings": "settings"}
    parts |= {f"{kind}{index}": kind for kind in ("header", "footer") for index in (0, 1)}
    types = "".join(
        f'<Override PartName="/word/{part}.xml" ContentType="{_PART}.{kind}+xml"/>' for part, kind in parts.items()
    )
    links = "".join(
        f'<Relationship Id="rId{part}" Type="{_REL}/{kind}" Target="{part}.xml"/>' for part, kind in parts.items()
    )
    links += "".join(
        f'<Relationship Id="rIdP{number}" Type="{_REL}/image" Target="media/chart{number}.png"/>'
        for number in range(1, pictures + 1)
    )
    package = "http://schemas.openxmlformats.org/package/2006"
    core = f"{package}/metadata/core-properties"
    stamp = f'xsi:type="dcterms:W3CDTF">{legal(document.date)}T00:00:00Z<'
    return {
        "[Content_Types].xml": f'{_XML}<Types xmlns="{package}/content-types"><Default Extension="xml"'
        ' ContentType="application/xml"/><Default Extension="png" ContentType="image/png"/><Default Extension="rels"'
        ' ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/word/document.xml" ContentType="{_PART}.document.main+xml"/>{types}'
        '<Override PartName="/docProps/core.xml"'
        ' ContentType="application/vnd.openxmlformats-package.core-properties+xml"/></Types>',
        "_rels/.rels": f'{_XML}<Relationships xmlns="{package}/relationships"><Relationship Id="rId1"'
        f' Type="{_REL}/officeDocument" Target="word/document.xml"/><Relationship Id="rId2"'
        f' Type="{package}/relationships/metadata/core-properties" Target="docProps/core.xml"/></Relationships>',
        "docProps/core.xml": f'{_XML}<cp:coreProperties xmlns:cp="{core}" xmlns:dc="http://purl.org/dc/elements/1.1/"'
        ' xmlns:dcterms="http://purl.org/dc/terms/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
        f"<dc:title>{legal(document.title)}</dc:title><dc:creator>{legal(author)}</dc:creator>"
        f"<dcterms:created {stamp}/dcterms:created><dcterms:modified {stamp}/dcterms:modified></cp:coreProperties>",
        "word/_rels/document.xml.rels": f'{_XML}<Relationships xmlns="{package}/relationships">{links}</Relationships>',
        "word/settings.xml": f'{_XML}<w:settings {W}><w:defaultTabStop w:val="420"/><w:compat><w:compatSetting'
        ' w:name="compatibilityMode" w:uri="http://schemas.microsoft.com/office/word" w:val="15"/></w:compat>'
        "</w:settings>",
        "word/styles.xml": styles(),
        "word/fontTable.xml": font_table(),
    }


def docx(document: Document, author: str) -> bytes:
    """Render to DOCX whose contents still lack their page numbers; `number_pages` puts them in."""
    pictures = _Pictures()
    body = "\n".join(_document(document, pictures))  # line by line, so that numbering can stream
    parts = _plumbing(document, author, len(pictures.data)) | _margins(document) | {_BODY: body}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as package:
        for name, text in parts.items():
            package.writestr(_entry(name), text.encode())
        for number, png in enumerate(pictures.data, 1):
            package.writestr(_entry(f"word/media/chart{number}.png"), png)
    return out.getvalue()


def number_pages(data: bytes, pages: Sequence[int]) -> bytes:
    """Put the printed page of each heading of the body into the contents; without pages they stay empty."""

    def number(match: re.Match[bytes]) -> bytes:
        return str(pages[int(match[1])]).encode() if pages else b""

    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as package:
        for info in source.infolist():
            with source.open(info) as old, package.open(_entry(info.filename), "w") as new:
                if info.filename != _BODY:
                    new.write(old.read())
                    continue
                for line in old:
                    new.write(_NUMBER.sub(number, line))
    return out.getvalue()
