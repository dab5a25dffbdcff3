"""`agent report`: render what was recorded."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from agent.app import App

FORMATS = ("html", "docx", "pdf")


_RUN = click.option("--run", "run_id", help="The run (default: the newest finished scan).")
_HOST = click.option("--host", default="", help="Only this target's report.")
_FORMAT = click.option("--format", "formats", multiple=True, type=click.Choice(FORMATS), help="Default: all three.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print paths and counts as JSON.")


@click.group("report", invoke_without_command=True)
@_RUN
@_HOST
@_FORMAT
@_JSON
@click.pass_context
def command(ctx: click.Context, run_id: str | None, host: str, formats: tuple[str, ...], as_json: bool) -> None:
    """Render reports; every finding in the database is a row in each format, or the report is refused.

    Without a verb the kind of --run tells which report it is: of a scan or of a hardening.
    """
    if ctx.invoked_subcommand:
        return
    if not run_id:
        click.echo(ctx.get_help())
        return
    from agent.store import runs

    kind = runs.run_by_id(ctx.obj.store, run_id).kind
    _render(ctx.obj, "harden" if kind == "harden" else "scan", run_id, host, formats, as_json)


@command.command("scan")
@_RUN
@_HOST
@_FORMAT
@_JSON
@click.pass_obj
def scan(app: App, run_id: str | None, host: str, formats: tuple[str, ...], as_json: bool) -> None:
    """Render the 漏洞扫描报告 under state/reports/RUN/."""
    _render(app, "scan", run_id, host, formats, as_json)


@command.command("harden")
@click.option("--run", "run_id", help="The hardening (default: the newest finished one).")
@_HOST
@_FORMAT
@_JSON
@click.pass_obj
def harden(app: App, run_id: str | None, host: str, formats: tuple[str, ...], as_json: bool) -> None:
    """Render the 安全加固报告 under state/reports/RUN/."""
    _render(app, "harden", run_id, host, formats, as_json)


@command.command("accounts")
@click.option("--run", "run_id", help="The round that saw the accounts (default: the newest).")
@_HOST
@_FORMAT
@_JSON
@click.pass_obj
def accounts(app: App, run_id: str | None, host: str, formats: tuple[str, ...], as_json: bool) -> None:
    """Render the 账号与口令报告 (口令策略达标表, 账号清单) under state/reports/accounts/; no secret is in it."""
    _render(app, "accounts", run_id, host, formats, as_json)


def _newest_hardening(app: App) -> str:
    from agent.model.errors import AgentError
    from agent.store import runs

    for run in runs.latest_runs(app.store, "harden"):
        if run.state == "closed":
            return run.id
    raise AgentError("no finished hardening yet", remedy="run `agent harden --from-scan RUN --apply --ticket T` first")


def _render(app: App, kind: str, run_id: str | None, host: str, formats: tuple[str, ...], as_json: bool) -> None:
    if kind == "harden":
        from agent.flows.hardening_report import render as render_harden

        rendered = render_harden(app, run_id or _newest_hardening(app), formats or FORMATS, host)
    elif kind == "accounts":
        from agent.flows.accounts_report import render as render_accounts

        rendered = render_accounts(app, formats or FORMATS, run_id=run_id or "", host=host)
    else:
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
