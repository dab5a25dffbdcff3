"""One document tree, three renderers: HTML, DOCX, PDF.

`render_scan` writes a 漏洞扫描报告, `render_harden` a 安全加固报告, `render_accounts` a
账号与口令报告, `lint` checks a workspace's templates, `fonts`
says which Chinese fonts this machine has. Heavy libraries are imported only in the child process or by `lint`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agent.report.render import FORMATS, Rendered, render_accounts, render_harden, render_scan

__all__ = ["FORMATS", "Rendered", "fonts", "lint", "render_accounts", "render_harden", "render_scan"]


def fonts() -> list[Path]:
    """Font files with Chinese glyphs that PDF and charts will use; empty: apt install fonts-noto-cjk."""
    from agent.report import typefaces  # noqa: PLC0415 - walks font folders only when asked

    return list(typefaces.fonts())


def lint(templates: Sequence[Path]) -> list[str]:
    """Errors of every `*.j2` template in the folders, each `FILE:LINE: problem`; empty when all are right."""
    from agent.report import linting  # noqa: PLC0415 - Jinja is not loaded by a mere import

    return linting.lint(templates)
