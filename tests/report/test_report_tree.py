from __future__ import annotations

import re
import zipfile
from io import BytesIO
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.report import fonts, gate
from agent.report.docx import docx, number_pages
from agent.report.html import html
from agent.report.parse import chinese, parse
from agent.report.pdf import pdf, pdf_tree, soften
from agent.report.template import find
from agent.report.tree import Bullets, Cell, Document, Heading, Para, Row, Run, Signature, Table
from agent.report.words import spans

STYLES = ["", "b", "code", "id", "critical", "unknown"]
# Surrogates never come out of the parser; everything else may, and XML forbids some of it.
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
markup = st.sampled_from(['#eval("1")', "<script>", "*x*", "{{7*7}}", "]]>", "&amp;", "a" * 500, "\\", "$", "@x", "`"])
text = words | markup
runs = st.lists(st.builds(Run, text, st.sampled_from(STYLES)), max_size=3).map(tuple)
paras = st.builds(Para, runs, st.sampled_from(["", "small", "note", "pre"]))
cells = st.builds(Cell, st.lists(paras, min_size=1, max_size=2).map(tuple))


@st.composite
def documents(draw) -> Document:
    count = draw(st.integers(0, 4))
    rows = [
        Row((Cell((Para((Run(str(number)),)),)), draw(cells), draw(cells)), f"{number:016x}")
        for number in range(1, count + 1)
    ]
    table = Table("dense", (0.2, 0.4, 0.4), ("center", "left", "left"), (Row((draw(cells),) * 3),), tuple(rows))
    body = (
        Heading(1, "一、", draw(text), "s1"),
        draw(paras),
        Bullets((draw(paras),)),
        table,
        Signature(draw(text), (draw(text),)),
    )
    return Document(draw(text), draw(text), "内部资料", "2027-03-01", (Para((Run("题"),), "title"),), (), body)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(documents())
def test_any_tree_becomes_well_formed_html_and_docx(tmp_path_factory, document):
    folder = tmp_path_factory.mktemp("any")
    written = {"html": folder / "r.html", "docx": folder / "r.docx"}
    written["html"].write_bytes(html(document, "p { margin: 0 }"))
    written["docx"].write_bytes(number_pages(docx(document, "x"), [1]))
    gate.reconcile(document.findings, document.findings, written, None)
    ET.fromstring(written["html"].read_bytes().removeprefix(b"<!DOCTYPE html>\n"))
    with zipfile.ZipFile(BytesIO(written["docx"].read_bytes())) as package:
        for name in package.namelist():
            if name.endswith((".xml", ".rels")):
                ET.fromstring(package.read(name))


@pytest.mark.skipif(not fonts(), reason="no Chinese font installed (apt install fonts-noto-cjk)")
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(documents())
def test_any_tree_becomes_a_pdf_with_every_row(tmp_path_factory, document):
    data, laid_out = pdf(pdf_tree(document, "x"), document.date, find("report.typ", []))
    path = tmp_path_factory.mktemp("any") / "r.pdf"
    path.write_bytes(data)
    gate.reconcile(document.findings, document.findings, {"pdf": path}, laid_out)


def test_headings_are_numbered_as_official_documents_are():
    body = "<h1>a</h1><h2>b</h2><h3>c</h3><h2>d</h2><h3>e</h3><h1 class='plain'>f</h1><h1>g</h1><h2>h</h2>"
    document = parse(f"<html><body><nav/>{body}</body></html>", lambda _name: None)
    assert [heading.number for heading in document.headings] == [
        "一、", "（一）", "1. ", "（二）", "1. ", "", "二、", "（一）",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("number", "word"), [(1, "一"), (10, "十"), (14, "十四"), (26, "二十六"), (103, "一百零三"), (120, "一百二十")]
)
def test_chinese_numbers(number, word):
    assert chinese(number) == word


def test_spans():
    assert spans([5, 1, 2, 3, 9, 9]) == "1-3、5、9"
    assert spans([]) == "—"


@given(st.text())
def test_softening_adds_break_points_and_nothing_else(value):
    assert soften(value).replace("\u200b", "") == value.replace("\u200b", "")


def test_softening_breaks_long_tokens():
    assert max(map(len, re.split("[\u200b/]", soften("/" + "x" * 300 + "/etc/very/long/path.conf")))) <= 14
