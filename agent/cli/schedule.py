"""`agent schedule`: the year's jobs, how they stand, and the timer that runs them."""

from __future__ import annotations

import json
import subprocess
from datetime import date, datetime
from typing import TYPE_CHECKING

import click

from agent.cli.main import Exit
from agent.cli.table import echo_table

if TYPE_CHECKING:
    from agent.app import App
    from agent.jobs import Planned, Row

DAY = click.DateTime(["%Y-%m-%d"])


@click.group()
def command() -> None:
    """Show the year's jobs; install the timer that runs them."""


def _window(app: App, year: int | None, first: datetime | None, last: datetime | None) -> tuple[date, date]:
    if year is not None:
        if first or last:
            raise click.UsageError("give --year, or --from and --to")
        return date(year, 1, 1), date(year, 12, 31)
    if first and last:
        return first.date(), last.date()
    return (first.date() if first else app.contract.start), (last.date() if last else app.contract.end)


def _local(at: datetime | None) -> str:
    from agent.jobs import ZONE

    return at.astimezone(ZONE).strftime("%Y-%m-%d %H:%M") if at else ""


def _record(row: Row) -> dict[str, object]:
    one = row.planned
    return {
        "job": one.job,
        "period": one.period.id,
        "title": one.period.title,
        "start": one.period.start.isoformat(),
        "end": one.period.end.isoformat(),
        "status": one.period.status.value,
        "counts": one.period.counts,
        "due_at": one.due_at.isoformat(),
        "state": row.state,
        "attempt": row.attempt,
        "at": row.at.isoformat() if row.at else None,
        "result": row.result,
    }


@command.command()
@click.option("--year", type=click.IntRange(2000, 2100), help="A calendar year instead of the contract's.")
@click.option("--from", "first", type=DAY, help="First day (default: the contract's first).")
@click.option("--to", "last", type=DAY, help="Last day (default: the contract's last).")
@click.option("--json", "as_json", is_flag=True, help="For machines; times in UTC.")
@click.pass_obj
def show(app: App, year: int | None, first: datetime | None, last: datetime | None, as_json: bool) -> int:
    """List the jobs: planned, due, done, missed, waiting for confirmation. Times are Asia/Shanghai."""
    from agent.jobs import overview, plan

    begin, end = _window(app, year, first, last)
    rows = overview(app.store, plan(app.periods), app.clock(), begin, end)
    left = any(row.state in {"due", "retrying", "failed"} for row in rows)
    if as_json:
        click.echo(json.dumps([_record(row) for row in rows], ensure_ascii=False, indent=2))
        return Exit.FINDINGS if left else Exit.CLEAN
    click.echo(f"{begin} to {end}, {app.contract.project}")
    shown = [
        (
            _local(row.planned.due_at),
            row.planned.job,
            f"{row.planned.period.start} to {row.planned.period.end}",
            row.planned.period.status.value,
            row.planned.period.counts,
            f"{row.state}{f' since {_local(row.at)}' if row.at and row.state in {'done', 'failed', 'missed'} else ''}",
            row.result,
        )
        for row in rows
    ]
    echo_table(("due", "job", "period", "dates", "counts", "state", "record"), shown)
    if any(row.state == "waiting for confirmation" for row in rows):
        click.echo("to confirm a period: correct its dates in periods.yaml, set status: confirmed and confirmed_by")
    return Exit.FINDINGS if left else Exit.CLEAN


def _planned(app: App, job: str) -> Planned:
    from agent.jobs import plan
    from agent.model.errors import AgentError

    found = next((one for one in plan(app.periods) if one.job == job), None)
    if found is None:
        raise AgentError(f"no job {job!r}", remedy="see `agent schedule show`")
    return found


@command.command()
@click.argument("job")
@click.option("--record", required=True, help="What was done, e.g. the run's id.")
@click.pass_obj
def done(app: App, job: str, record: str) -> int:
    """Record that JOB (e.g. scan:lianghui-2027) was done by hand, so that it is not run again."""
    from agent.jobs import mark_done

    mark_done(app.store, _planned(app, job), app.clock(), f"by hand, {app.operator}: {record}")
    click.echo(f"{job}: done")
    return Exit.CLEAN


@command.command()
@click.argument("job")
@click.pass_obj
def retry(app: App, job: str) -> int:
    """Let a JOB that was given up or missed be tried again at the next run-due."""
    from agent.jobs import retry as again

    again(app.store, _planned(app, job))
    click.echo(f"{job}: due")
    return Exit.CLEAN


@command.command()
@click.option("--cron", "kind", flag_value="cron", help="A line of the user's crontab, every five minutes.")
@click.option("--systemd", "kind", flag_value="systemd", help="A timer of systemd, caught up after a pause.")
@click.option("--write", is_flag=True, help="Install it; without, it is only printed.")
@click.pass_obj
def install(app: App, kind: str | None, write: bool) -> int:
    """Print, or with --write install, what calls `agent run-due` every five minutes."""
    from agent.cli import timers

    if kind is None:
        raise click.UsageError("name one: --cron or --systemd")
    program = timers.program()
    if kind == "cron":
        line = timers.cron_line(program, app.root)
        click.echo(line)
        if write:
            timers.install_cron(line, app.root, _run)
            click.echo("installed in the crontab of this user")
        return Exit.CLEAN
    units = timers.units(program, app.root)
    for name, text in units.items():
        click.echo(f"# {name}\n{text}")
    if write:
        folder = timers.unit_folder()
        timers.install_units(units, folder, _run)
        click.echo(f"installed in {folder} and started")
    return Exit.CLEAN


def _run(words: list[str], given: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, input=given, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603 - fixed words: crontab, systemctl
