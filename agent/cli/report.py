"""`agent report`: render what was recorded."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from agent.app import App

FORMATS = ("html", "docx", "pdf")


@click.group("report")
def command() -> None:
    """Render reports; every finding in the database is a row in each format, or the report is refused."""


@command.command("scan")
@click.option("--run", "run_id", help="The scan (default: the newest finished one).")
@click.option("--host", default="", help="Only this target's report.")
@click.option("--format", "formats", multiple=True, type=click.Choice(FORMATS), help="Default: all three.")
@click.option("--json", "as_json", is_flag=True, help="Print paths and counts as JSON.")
@click.pass_obj
def scan(app: App, run_id: str | None, host: str, formats: tuple[str, ...], as_json: bool) -> None:
    """Render the 漏洞扫描报告 under state/reports/RUN/."""
    from agent.flows.judge import run_or_latest
    from agent.flows.report import render

    rendered = render(app, run_or_latest(app, run_id), formats or FORMATS, host)
    if as_json:
        click.echo(
            json.dumps(
                {"paths": {kind: str(path) for kind, path in rendered.paths.items()}, "findings": rendered.findings}
            )
        )
        return
    for path in rendered.paths.values():
        click.echo(f"{path}  {path.stat().st_size / 1024:,.0f} KiB")
    click.echo(f"findings in the database = rows in each format: {rendered.findings}")
