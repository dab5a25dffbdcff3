"""The child process that renders: a request as JSON on standard input, an answer as JSON on standard output.

Heavy libraries (lxml, Typst, resvg) live and die here, so that the agent's own process stays small.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
from pathlib import Path
from time import perf_counter

from agent.model.errors import AgentError, DeclaredError
from agent.model.report import ScanReport
from agent.report import charts, gate, linting, template
from agent.report.derive import derive, narrowed
from agent.report.docx import docx
from agent.report.html import html
from agent.report.parse import parse
from agent.report.pdf import LaidOut, pdf
from agent.report.tree import Document
from agent.report.wire import decode


def write(path: Path, data: bytes) -> None:
    """Write a file of mode 0600 and wait until it is on the disk."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def grow(report: ScanReport, own: list[Path], single: str) -> Document:
    """The document tree of a report.

    Raises:
        DeclaredError: the template is wrong.
        ReportError: what it renders is.
    """
    problems = linting.lint_file(template.find(template.SCAN, own), own)
    if problems:
        first, *more = problems
        rest = f" (and {len(more)} more)" if more else ""
        raise DeclaredError(first.problem + rest, where=first.where, remedy="mend the template in templates/")
    view = derive(report, single=single)
    text = template.render(template.SCAN, own, report=report, view=view)
    return parse(text, lambda name: charts.draw(name, report, view))


def run(request: dict[str, object], report: ScanReport) -> dict[str, object]:
    """Render every wanted format into a folder and reconcile them."""
    folder, formats = Path(str(request["folder"])), list(map(str, request["formats"]))  # type: ignore[call-overload]
    own = [Path(str(path)) for path in request["templates"]]  # type: ignore[attr-defined]
    host = str(request["host"])
    seconds: dict[str, float] = {}
    begun = perf_counter()

    def lap(name: str) -> None:
        nonlocal begun
        now = perf_counter()
        seconds[name], begun = now - begun, now

    if host:
        report = narrowed(report, host)
    document = grow(report, own, host)
    lap("tree")
    written: dict[str, Path] = {}
    author = report.parties.vendor
    if "html" in formats:
        written["html"] = folder / "report.html"
        write(written["html"], html(document, template.find("report.css", own).read_text(encoding="utf-8")))
        lap("html")
    laid_out: LaidOut | None = None
    if "pdf" in formats:
        written["pdf"] = folder / "report.pdf"
        data, laid_out = pdf(document, template.find("report.typ", own), author)
        write(written["pdf"], data)
        del data
        gc.collect()
        lap("pdf")
    if "docx" in formats:
        written["docx"] = folder / "report.docx"
        pages = [page for _level, page in laid_out.headings] if laid_out else []
        write(written["docx"], docx(document, pages, author))
        lap("docx")
    gate.reconcile([item.key for item in report.findings], document, written, laid_out)
    lap("gate")
    return {
        "files": {kind: path.name for kind, path in written.items()},
        "findings": len(report.findings),
        "pages": laid_out.sheets if laid_out else 0,
        "seconds": seconds,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    }


def main() -> int:
    """Answer one request. A declared error travels back as data; anything else as this process's failure."""
    envelope = json.loads(sys.stdin.buffer.read())
    try:
        answer = run(envelope["request"], decode(ScanReport, envelope["report"]))
    except AgentError as error:
        answer = {
            "error": type(error).__name__,
            "message": error.message,
            "where": error.where,
            "remedy": error.remedy,
        }
    except OSError as error:
        answer = {
            "error": "ReportError",
            "message": f"cannot write the report: {error.strerror}",
            "where": str(error.filename or ""),
            "remedy": "free space, or choose another folder",
        }
    sys.stdout.write(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
