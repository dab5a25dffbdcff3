"""Rendering a report: a child process does the work in a private folder, then all files appear at once."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.model import errors
from agent.model.accountreport import AccountReport
from agent.model.errors import AgentError, ReportError
from agent.model.hardenreport import HardenReport
from agent.model.report import ScanReport
from agent.report import wire

FORMATS = ("html", "docx", "pdf")
_WORK = ".rendering-"
_SECONDS = 600.0
"""Longest that a child may take."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A report that passed reconciliation."""

    paths: Mapping[str, Path]
    """Final files by format."""
    findings: int
    """Rows in each of them."""
    pages: int
    """Sheets of the PDF, cover included; 0 when none was asked for."""
    seconds: Mapping[str, float]
    """Time of each step in the child: tree, html, pdf, docx, gate."""
    peak: int
    """Peak resident memory of the child, KiB."""


def slug(text: str) -> str:
    """Text as part of a file name: letters, digits, dot and dash of any script; nothing that a path could mean."""
    return re.sub(r"[^\w.-]+", "-", text).strip(".-")[:80] or "report"


def _sweep(folder: Path) -> None:
    """Remove what a killed rendering left behind; a live one's process still exists."""
    for old in folder.glob(f"{_WORK}*"):
        pid = old.name.removeprefix(_WORK)
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            shutil.rmtree(old, ignore_errors=True)


def _call(request: dict[str, object], report: ScanReport | HardenReport | AccountReport) -> dict[str, object]:
    head = json.dumps(request).encode()
    feed = b'{"request":' + head + b',"report":' + wire.encode(report) + b"}"
    # -P: a file of the current folder must not shadow a module. The agent itself is found where this one was.
    source = str(Path(__file__).resolve().parents[2])
    boot = f"import sys; sys.path.insert(0, {source!r}); from agent.report.child import main; sys.exit(main())"
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter, fixed arguments
            [sys.executable, "-P", "-c", boot],
            input=feed,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
            # Typst's threads repeat work and keep it twice; one thread is as quick here and takes steady memory.
            env={**os.environ, "RAYON_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"},
        )
    except subprocess.TimeoutExpired as error:
        raise ReportError(f"rendering took longer than {_SECONDS:.0f} s", remedy="render fewer formats") from error
    if done.returncode != 0:
        tail = done.stderr.decode(errors="replace").strip().splitlines()
        raise ReportError(
            f"the rendering process failed (exit {done.returncode}): {tail[-1] if tail else 'no message'}",
            where=f"run {report.run}",
            remedy="exit -9 means that memory ran out; else report the message",
        )
    answer: dict[str, object] = json.loads(done.stdout)
    if "error" in answer:
        kind = getattr(errors, str(answer["error"]), ReportError)
        raise_as: type[AgentError] = kind if issubclass(kind, AgentError) else ReportError
        raise raise_as(str(answer["message"]), where=str(answer["where"]), remedy=str(answer["remedy"]))
    return answer


def render_scan(
    report: ScanReport,
    out: Path,
    *,
    formats: Sequence[str] = FORMATS,
    templates: Sequence[Path] = (),
    host: str = "",
) -> Rendered:
    """Render a 漏洞扫描报告 into the folder `out` as `scan-NUMBER[-HOST].html` and so on, mode 0600.

    Args:
        report: what is rendered.
        out: an existing or new folder.
        formats: any of `html`, `docx`, `pdf`. Page numbers in the DOCX's contents need the PDF beside it.
        templates: the workspace's own folders of templates, which override the shipped ones by name.
        host: render the report of this target alone (单机报告).

    Raises:
        DeclaredError: a template is wrong; `where` is FILE:LINE.
        ReportError: reconciliation failed, or a file cannot be written. Nothing is left under the final names.
    """
    return _render("scan", report, out, formats, templates, host)


def render_harden(
    report: HardenReport,
    out: Path,
    *,
    formats: Sequence[str] = FORMATS,
    templates: Sequence[Path] = (),
    host: str = "",
) -> Rendered:
    """Render a 安全加固报告 as `harden-NUMBER[-HOST].html` and so on; arguments and errors as of `render_scan`."""
    return _render("harden", report, out, formats, templates, host)


def render_accounts(
    report: AccountReport,
    out: Path,
    *,
    formats: Sequence[str] = FORMATS,
    templates: Sequence[Path] = (),
    host: str = "",
) -> Rendered:
    """Render a 账号与口令报告 as `accounts-NUMBER[-HOST].html` and so on; arguments and errors as of `render_scan`."""
    return _render("accounts", report, out, formats, templates, host)


def _render(
    kind: str,
    report: ScanReport | HardenReport | AccountReport,
    out: Path,
    formats: Sequence[str],
    templates: Sequence[Path],
    host: str,
) -> Rendered:
    unknown = sorted(set(formats) - set(FORMATS))
    if unknown or not formats:
        raise ReportError(f"unknown formats {unknown}", remedy=f"choose from {', '.join(FORMATS)}")
    stem = f"{kind}-{slug(report.number)}" + (f"-{slug(host)}" if host else "")
    try:
        out.mkdir(parents=True, exist_ok=True, mode=0o700)
        _sweep(out)
        work = out / f"{_WORK}{os.getpid()}"
        work.mkdir(mode=0o700)
    except OSError as error:
        raise ReportError(f"cannot write there: {error.strerror}", where=str(out), remedy="choose a folder") from error
    try:
        request: dict[str, object] = {
            "kind": kind,
            "folder": str(work.resolve()),
            "formats": list(formats),
            "templates": [str(path.resolve()) for path in templates],
            "host": host,
        }
        answer = _call(request, report)
        return _publish(answer, work, out, stem)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _publish(answer: dict[str, object], work: Path, out: Path, stem: str) -> Rendered:
    files: dict[str, str] = answer["files"]  # type: ignore[assignment]
    paths = {}
    for kind, name in files.items():
        paths[kind] = out / f"{stem}.{kind}"
        (work / name).replace(paths[kind])
    handle = os.open(out, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    return Rendered(
        paths,
        int(str(answer["findings"])),
        int(str(answer["pages"])),
        answer["seconds"],  # type: ignore[arg-type]
        int(str(answer["peak"])),
    )
