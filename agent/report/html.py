"""The document tree as one self-contained HTML file: no script, nothing fetched, readable on screen and on paper."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence

from agent.report.tree import (
    Block,
    Bullets,
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
from agent.report.xmltext import legal

_TAGS = {"b": ("<b>", "</b>"), "code": ("<code>", "</code>")}


def _run(run: Run) -> str:
    if run.style == "br":
        return "<br/>"
    text = legal(run.text)
    if not run.style:
        return text
    begin, end = _TAGS.get(run.style) or (f'<span class="{legal(run.style)}">', "</span>")
    return f"{begin}{text}{end}"


def _runs(runs: Sequence[Run]) -> str:
    if len(runs) == 1 and not runs[0].style:
        return legal(runs[0].text)
    return "".join([_run(run) for run in runs])


def _para(para: Para) -> str:
    kind = f' class="{legal(para.kind)}"' if para.kind and para.kind != "pre" else ""
    return f"<p{kind}>{_runs(para.runs)}</p>"


def _cell(paras: tuple[Para, ...]) -> str:
    if len(paras) == 1 and not paras[0].kind:
        return _runs(paras[0].runs)
    return "".join([_para(para) for para in paras])


def _row(row: Row, tag: str, opens: list[str]) -> str:
    mark = f' data-finding="{legal(row.finding)}" id="f-{legal(row.finding)}"' if row.finding else ""
    cells = [f"{begin}{_cell(cell.paras)}</{tag}>" for begin, cell in zip(opens, row.cells, strict=True)]
    return f"<tr{mark}>{''.join(cells)}</tr>\n"


def _table(table: Table) -> Iterable[str]:
    yield f'<div class="scroll"><table class="{legal(table.kind)}"><colgroup>'
    for share in table.widths:
        yield f'<col style="width:{share:.2%}"/>'
    yield "</colgroup>"
    if table.head:
        opens = ['<th scope="col">'] * len(table.widths)
        yield f"<thead>{''.join(_row(row, 'th', opens) for row in table.head)}</thead>"
    opens = ['<td class="c">' if align == "center" else "<td>" for align in table.aligns]
    yield "<tbody>\n"
    for row in table.rows:
        yield _row(row, "td", opens)
    yield "</tbody></table></div>\n"


def _block(block: Block) -> Iterable[str]:
    if isinstance(block, Table):
        yield from _table(block)
    elif isinstance(block, Para):
        yield _para(block) + "\n"
    elif isinstance(block, Heading):
        yield f'<h{block.level} id="{block.anchor}">{legal(block.number + block.text)}</h{block.level}>\n'
    elif isinstance(block, Bullets):
        yield f"<ul>{''.join(f'<li>{_runs(item.runs)}</li>' for item in block.items)}</ul>\n"
    elif isinstance(block, Figure):
        yield f"<figure>{block.svg}<figcaption>{legal(block.caption)}</figcaption></figure>\n"
    elif isinstance(block, Signature):
        lines = "".join(f'<p>{legal(line)}：<span class="rule"></span></p>' for line in block.lines)
        seal = '<p>日期：<span class="rule"></span>（盖章）</p>'
        yield f'<div class="signature"><p class="party">{legal(block.party)}</p>{lines}{seal}</div>\n'
    elif isinstance(block, PageBreak):
        yield '<div style="break-before:page"></div>\n'


def _contents(document: Document) -> Iterable[str]:
    yield '<nav aria-label="目录"><p class="nav-title">目录</p><ol>'
    for heading in document.headings:
        if heading.level <= 2:  # noqa: PLR2004 - sections and targets; layers would swamp the list
            words = legal(heading.number + heading.text)
            yield f'<li class="l{heading.level}"><a href="#{heading.anchor}">{words}</a></li>'
    yield "</ol></nav>\n"


def html(document: Document, css: str) -> bytes:
    """Render to UTF-8 HTML that is well-formed XML too. Its CSP allows this style sheet alone."""
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    # style-src-attr: column widths, computed here from the template's figures, stand in style attributes.
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; style-src-attr 'unsafe-inline';"
        " img-src data:; base-uri 'none'; form-action 'none'"
    )
    head = (
        '<!DOCTYPE html>\n<html lang="zh-CN"><head><meta charset="utf-8"/>'
        f'<meta http-equiv="Content-Security-Policy" content="{legal(policy)}"/>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>'
        f'<meta name="number" content="{legal(document.number)}"/>'
        f"<title>{legal(document.title)}</title><style>{css}</style></head>\n"
        '<body><div class="layout">\n'
    )
    parts = [
        head,
        *_contents(document),
        '<main>\n<section class="cover">',
        *[_para(line) for line in document.cover],
        "</section>\n",
    ]
    for block in (*document.front, *document.body):
        parts.extend(_block(block))
    parts.append("</main></div></body></html>\n")
    return "".join(parts).encode()
