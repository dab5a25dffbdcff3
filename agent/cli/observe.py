"""`agent observe`: take in what a person collected by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.cli.main import Exit, mute, say
from agent.cli.show import echo_summary
from agent.model.text import one_line

if TYPE_CHECKING:
    from agent.app import App
    from agent.flows.brought import Checked, Imported


@click.group()
def command() -> None:
    """Take in answers of the collector that a person ran by hand (see `agent collect-script`)."""


@command.command("import")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--target", default="", help="Whose answer it is, where the script was made for any host.")
@click.option("--brought-by", "by", default="", help="Who carried it here (default: the OS login).")
@click.option("--old", is_flag=True, help="Take it though it is older than 30 days, or than a recorded look.")
@click.option("--json", "as_json", is_flag=True, help="For machines: one object a file.")
@click.pass_obj
def import_answers(app: App, files: tuple[Path, ...], target: str, by: str, old: bool, as_json: bool) -> int:
    """Check, seal and judge answers: a round of its own for each FILE.

    All files are checked before any is taken. A file that was imported before is told with its run.

    Exit codes: 0 clean, 1 findings, 2 a file is broken, changed, of no declared host or too old, 3 incomplete.
    """
    from agent.flows import brought

    if target and len(files) > 1:
        raise click.UsageError("--target names one host, and so goes with one file")
    checked = [brought.check(app, path, target, old=old) for path in files]
    code = Exit.CLEAN
    for one in checked:
        if not as_json:
            _echo_checked(one)
        done = brought.take(app, one, by or app.operator)
        try:
            if as_json:
                click.echo(json.dumps(_as_data(done), ensure_ascii=False, default=str))
            else:
                _echo_done(app, done)
        except BrokenPipeError:
            mute()
        code = max(code, _code(done))
    return code


def _code(done: Imported) -> Exit:
    if not done.summary.complete:
        return Exit.INCOMPLETE
    left = sum(count for state, count in done.summary.states.items() if state != "accepted")
    return Exit.FINDINGS if left else Exit.CLEAN


def _echo_checked(one: Checked) -> None:
    from agent.flows.brought import days
    from agent.flows.judge import SHANGHAI

    answer = one.answer
    ahead = one.age.total_seconds() < 0
    age = "its clock is ahead of ours" if ahead else f"{days(one.age)} days ago"
    say(f"{one_line(one.file)}  sha256 {answer.sha256}")
    say(f"  target  {one.host.name} (calls itself {answer.host})")
    say(f"  taken   {one.taken.astimezone(SHANGHAI):%Y-%m-%d %H:%M} by the host's clock, {age}")
    if answer.uid != "0":
        say("  warning: not run as root; what only root may read is missing", err=True)


def _echo_done(app: App, done: Imported) -> None:
    if done.known:
        say(f"  imported before, nothing done: run {done.run}    agent findings --run {done.run}")
        return
    say(f"  run     {done.run}")
    echo_summary(app, done.summary)


def _as_data(done: Imported) -> dict[str, Any]:
    one = done.checked
    head = {"run": done.run, "file": one.file, "target": one.host.name, "sha256": one.answer.sha256}
    told = {"taken": one.taken.isoformat(), "age_days": round(one.age.total_seconds() / 86400, 2), "known": done.known}
    return head | told | {"summary": done.summary.to_dict()}
