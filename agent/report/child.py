"""The child process that renders: a request as JSON on standard input, an answer as JSON on standard output.

Heavy libraries (lxml, Typst, resvg) live and die here, so that the agent's own process stays small.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

from agent.model.errors import AgentError, DeclaredError
from agent.report import gate, linting, template
from agent.report.docx import docx, number_pages
from agent.report.html import html
from agent.report.kinds import KINDS, Kind
from agent.report.parse import parse
from agent.report.pdf import LaidOut, pdf, pdf_tree
from agent.report.tree import Document
from agent.report.wire import decode


def write(path: Path, data: bytes) -> None:
    """Write a file of mode 0600 and wait until it is on the disk."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def grow(kind: Kind, report: Any, own: list[Path], single: str) -> Document:  # noqa: ANN401 - of that kind
    """The document tree of a report.

    Raises:
        DeclaredError: the template is wrong.
        ReportError: what it renders is.
    """
    path, env = template.find(kind.template, own), template.environment(own)
    # What is shipped was linted by its tests; a workspace's own template may have been edited since its last use.
    problems = [] if path.parent == template.shipped() else linting.lint_file(path, env)
    if problems:
        first, *more = problems
        rest = f" (and {len(more)} more)" if more else ""
        raise DeclaredError(first.problem + rest, where=first.where, remedy="mend the template in templates/")
    view = kind.derive(report, single=single)
    text = template.render(env, path, report=report, view=view)
    return parse(text, lambda name: kind.draw(name, report, view))


class _Steps:
    """Times each step and writes what it yields."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written: dict[str, Path] = {}
        self.seconds: dict[str, float] = {}
        self._begun = perf_counter()

    def lap(self, name: str) -> None:
        """Book the time since the last lap."""
        now = perf_counter()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._begun
        self._begun = now

    def write(self, kind: str, data: bytes) -> None:
        """Write one format."""
        self.written[kind] = self.folder / f"report.{kind}"
        write(self.written[kind], data)


def run(request: Mapping[str, Any], report: Any) -> dict[str, object]:  # noqa: ANN401 - of the asked kind
    """Render every wanted format into a folder and reconcile them.

    Typst keeps what it has once taken, so it comes last, when the tree is gone; the DOCX then gets its page numbers.
    """
    steps = _Steps(Path(request["folder"]))
    kind = KINDS[request["kind"]]
    own, formats = [Path(path) for path in request["templates"]], request["formats"]
    if request["host"]:
        report = kind.narrowed(report, request["host"])
    keys, author = kind.keys(report), report.parties.vendor
    document = grow(kind, report, own, request["host"])
    day, grown = document.date, document.findings
    del report
    steps.lap("tree")
    if "html" in formats:
        steps.write("html", html(document, template.find("report.css", own).read_text(encoding="utf-8")))
        steps.lap("html")
    word = docx(document, author) if "docx" in formats else b""
    steps.lap("docx")
    laid_out: LaidOut | None = None
    if "pdf" in formats:
        tree = pdf_tree(document, author)
        del document
        data, laid_out = pdf(tree, day, template.find("report.typ", own))
        steps.write("pdf", data)
        steps.lap("pdf")
    if word:
        steps.write("docx", number_pages(word, [page for _level, page in laid_out.headings] if laid_out else []))
        steps.lap("docx")
    gate.reconcile(keys, grown, steps.written, laid_out)
    steps.lap("gate")
    return {
        "files": {kind: path.name for kind, path in steps.written.items()},
        "findings": len(keys),
        "pages": laid_out.sheets if laid_out else 0,
        "seconds": steps.seconds,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    }


def main() -> int:
    """Answer one request. A declared error travels back as data; anything else as this process's failure."""
    gc.disable()  # a short life with few cycles: collecting costs a third of the time and frees next to nothing
    envelope = json.loads(sys.stdin.buffer.read())
    request = envelope["request"]
    try:
        answer = run(request, decode(KINDS[request["kind"]].report, envelope.pop("report")))
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
