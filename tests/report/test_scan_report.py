from __future__ import annotations

import html as htmllib
import re
import subprocess
import sys
import zipfile
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from xml.etree import ElementTree as ET

import docx as python_docx
import pytest

from agent.model.errors import DeclaredError, ReportError
from agent.report import FORMATS, Rendered, fonts, gate, lint, render_scan
from agent.report.template import SCAN, shipped

_SPEC = spec_from_file_location("report_sample", Path(__file__).with_name("sample.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
sample = module_from_spec(_SPEC)
_SPEC.loader.exec_module(sample)
needs_fonts = pytest.mark.skipif(not fonts(), reason="no Chinese font installed (apt install fonts-noto-cjk)")


@pytest.fixture(scope="module")
def rendered(tmp_path_factory) -> Rendered:
    if not fonts():
        pytest.skip("no Chinese font installed (apt install fonts-noto-cjk)")
    return render_scan(sample.report(), tmp_path_factory.mktemp("out"))


def own_template(folder: Path, change) -> Path:
    own = folder / "templates"
    own.mkdir()
    text = (shipped() / SCAN).read_text(encoding="utf-8")
    changed = change(text)
    assert changed != text
    (own / SCAN).write_text(changed, encoding="utf-8")
    return own


def test_three_files_that_only_their_owner_reads(rendered):
    assert set(rendered.paths) == set(FORMATS)
    for path in rendered.paths.values():
        assert path.stat().st_mode & 0o777 == 0o600
    assert len(list(rendered.paths["pdf"].parent.iterdir())) == 3
    assert rendered.findings == len(sample.findings())


def test_every_finding_is_a_row_of_each_file(rendered):
    keys = sorted(item.key for item in sample.findings())
    assert sorted(key for key, _ in gate.rows_in_html(rendered.paths["html"])) == keys
    assert sorted(key for key, _ in gate.rows_in_docx(rendered.paths["docx"])) == keys
    assert gate.sheets_in_pdf(rendered.paths["pdf"]) == rendered.pages > 20


def html_text(path: Path) -> str:
    return htmllib.unescape(re.sub(r"<[^>]+>", "", path.read_text(encoding="utf-8")))


def docx_text(path: Path) -> str:
    return "\n".join(
        "".join(p.itertext()) for p in python_docx.Document(str(path)).element.body.iter() if p.tag.endswith("}p")
    )


@pytest.mark.parametrize("kind", ["html", "docx"])
def test_hostile_text_is_text(rendered, kind):
    text = {"html": html_text, "docx": docx_text}[kind](rendered.paths[kind])
    for words in ("<script>alert(1)</script>", "{{7*7}}", '#eval("1") *x* _y_ $z$', "=cmd|'/c calc'!A0"):
        assert words in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\\x202e" in text
    assert "A" * 400 + "…（全文见证据）" in text
    assert "A" * 401 not in text


def test_html_has_no_script_and_is_well_formed(rendered):
    text = rendered.paths["html"].read_text(encoding="utf-8")
    assert "<script" not in text
    assert "default-src 'none'" in htmllib.unescape(text)
    ET.fromstring(text.removeprefix("<!DOCTYPE html>\n"))


def test_docx_contents_bear_the_pages_of_the_pdf(rendered):
    word = python_docx.Document(str(rendered.paths["docx"]))
    contents = [p.text.split("\t") for p in word.paragraphs if p.style.name.startswith("toc")]
    pages = [int(page) for _title, page in contents]
    assert contents[0] == ["一、综述", "1"]
    assert pages == sorted(pages)
    assert pages[-1] > 20


def test_docx_repeats_heads_keeps_rows_whole_and_bears_fixed_times(rendered):
    with zipfile.ZipFile(rendered.paths["docx"]) as package:
        assert {info.date_time for info in package.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        body = package.read("word/document.xml").decode()
    assert body.count("<w:tr>") == body.count("<w:cantSplit/>")
    assert body.count("<w:tblHeader/>") > 20
    assert "\ue000" not in body


def test_the_same_report_gives_the_same_bytes(rendered, tmp_path):
    again = render_scan(sample.report(), tmp_path)
    for kind, path in rendered.paths.items():
        assert path.read_bytes() == again.paths[kind].read_bytes(), kind


def test_times_are_beijing_time(rendered):
    assert "2027-03-01 09:02:03 至 2027-03-01 09:41:09（北京时间）" in html_text(rendered.paths["html"])


def test_what_was_not_seen_is_listed_even_without_a_reason(tmp_path):
    report = replace(sample.report(), unreached=())
    text = html_text(render_scan(report, tmp_path, formats=["html"]).paths["html"])
    assert "下列 3 个目标层面本次未能扫描" in text
    assert text.count("未记录原因") >= 3


def test_nothing_missing_says_so(tmp_path):
    report = sample.report()
    seen = tuple(replace(row, seen=row.layers) for row in report.targets)
    report = replace(report, targets=seen, unreached=(), changes=(), previous_run="", exceptions=())
    text = html_text(render_scan(report, tmp_path, formats=["html"]).paths["html"])
    assert "未扫描或认证失败的目标：无。" in text
    assert "首轮扫描" in text


def test_one_target_alone(tmp_path):
    done = render_scan(sample.report(), tmp_path, formats=["html", "docx"], host="web-01")
    assert done.findings == sum(item.target == "web-01" for item in sample.findings())
    assert "node-01" not in html_text(done.paths["html"])
    assert done.paths["html"].name == "scan-SCAN-2027-LH-01-web-01.html"


def test_an_unknown_target_is_refused(tmp_path):
    with pytest.raises(ReportError, match="no target 'nowhere'"):
        render_scan(sample.report(), tmp_path, formats=["html"], host="nowhere")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", FORMATS)
@needs_fonts
def test_a_template_that_drops_findings_gets_no_report(tmp_path, kind):
    own = own_template(
        tmp_path,
        lambda text: text.replace(
            "{{ finding_row(item) }}", "{% if item.number != 7 %}{{ finding_row(item) }}{% endif %}"
        ),
    )
    out = tmp_path / "out"
    with pytest.raises(ReportError, match="149 findings where the run has 150"):
        render_scan(sample.report(), out, formats=[kind], templates=[own])
    assert list(out.iterdir()) == []


def test_a_renderer_that_loses_a_row_is_caught(rendered, tmp_path):
    keys = [item.key for item in sample.findings()]
    broken = tmp_path / "x.html"
    text = rendered.paths["html"].read_text(encoding="utf-8")
    broken.write_text(re.sub(r'<tr data-finding="[^"]*" id="[^"]*">', "<tr>", text, count=1), encoding="utf-8")
    grown = [key for key, _number in gate.rows_in_html(rendered.paths["html"])]
    gate.reconcile(keys, grown, {"html": rendered.paths["html"]}, None)
    with pytest.raises(ReportError, match="HTML shows 149 findings"):
        gate.reconcile(keys, grown, {"html": broken}, None)


def test_a_finding_without_its_target_is_refused(tmp_path):
    report = sample.report()
    with pytest.raises(ReportError, match="not in the run"):
        render_scan(replace(report, targets=report.targets[1:]), tmp_path, formats=["html"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("{{ report.run }}", "{{ report.runn }}"), "ScanReport has no field 'runn'"),
        (("{{ grade(f.severity) }}", "{{ grade(f.sverity) }}"), "Finding has no field 'sverity'"),
        (("{% for note in report.notes %}", "{% fro note in report.notes %}"), "fro"),
        (("{{ report.scope }}", "{{ report.scope|safe }}"), "safe"),
        (("{{ report.scope }}", "{{ rport.scope }}"), "unknown name 'rport'"),
        (("<body>", "<body>{% autoescape false %}{% endautoescape %}"), "autoescape"),
    ],
)
def test_a_broken_template_names_its_line(tmp_path, change, words):
    own = own_template(tmp_path, lambda text: text.replace(*change, 1))
    line = next(
        number
        for number, text in enumerate((own / SCAN).read_text(encoding="utf-8").splitlines(), 1)
        if change[1] in text
    )
    problems = lint([own])
    assert any(problem.startswith(f"{own / SCAN}:{line}: ") and words in problem for problem in problems), problems
    with pytest.raises(DeclaredError, match=re.escape(words)) as caught:
        render_scan(sample.report(), tmp_path / "out", formats=["html"], templates=[own])
    assert caught.value.where == f"{own / SCAN}:{line}"


def test_output_that_is_not_well_formed_is_refused(tmp_path):
    own = own_template(tmp_path, lambda text: text.replace("</section>", "", 1))
    with pytest.raises(ReportError, match="not well-formed"):
        render_scan(sample.report(), tmp_path / "out", formats=["html"], templates=[own])


def test_the_shipped_templates_are_right():
    assert lint([shipped()]) == []


def test_a_killed_rendering_is_swept(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left = tmp_path / f".rendering-{ended.pid}"
    left.mkdir()
    (left / "report.html").write_text("half")
    render_scan(sample.report(), tmp_path, formats=["html"])
    assert [path.name for path in tmp_path.iterdir()] == ["scan-SCAN-2027-LH-01.html"]
