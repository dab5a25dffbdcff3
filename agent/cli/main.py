"""The parser, the one catch and the exit codes. Verbs are imported only when called."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent import __version__

if TYPE_CHECKING:
    from agent.model.secret import Secret


class Exit(IntEnum):
    """Exit codes of every verb; INCOMPLETE outranks FINDINGS."""

    CLEAN = 0
    FINDINGS = 1
    ERROR = 2
    INCOMPLETE = 3


VERBS = {
    "init": "Make a workspace: inventory, periods, contract, state.",
    "doctor": "Check this machine and workspace before work begins.",
    "schema": "Print the JSON Schema of a declared file, for editors.",
    "inventory": "List, check or ping what the inventory declares.",
    "trust": "Pin a host's key after comparing its fingerprint.",
    "scan": "Collect, seal, judge: one round over the inventory.",
    "findings": "List, explain, compare, export findings; accept a risk.",
    "harden": "Plan what a scan found; do it under a ticket, or come back.",
    "ticket": "Write, sign, show change tickets.",
    "rollback": "Take back a hardening, days later as well.",
    "exceptions": "List accepted risks; import and export them as VEX.",
    "orders": "List and enter the customer's rectification orders.",
    "due": "List what must be settled by which day, and who is told.",
    "vault": "Make, open, check, back up the vault of secrets.",
    "password": "How passwords stand; change, check, show them.",
    "accounts": "Who has an account where; what is wrong with it.",
    "feeds": "Import advisories, show their age, bundle them.",
    "evidence": "Verify, show or export sealed evidence.",
    "report": "Render a report in HTML, DOCX and PDF.",
    "schedule": "Show the year's jobs; install the timer.",
    "run-due": "Run what is due now, each job once (for cron).",
    "watch": "Stay and run what is due, minute by minute.",
    "match": "Judge a bare package list against the feeds.",
    "collect-script": "Print the collector for a host that cannot be reached.",
    "observe": "Import what a person collected by hand.",
    "lab": "Raise, show or take down the lab of real hosts.",
    "demo": "The whole chain on the lab, from raise to report.",
}


class Verbs(click.Group):
    """Loads a verb's module on first use, so that --help stays quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - Click's signature
        """Verbs in the order of an operator's work."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - Click's signature
        """Import `agent.cli.<verb>` and return its `command`."""
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"agent.cli.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - Click's signature
        """List the verbs without importing any."""
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-C", "folder", type=click.Path(path_type=Path), help="Workspace (default: $AGENT_WORKSPACE, or upward).")
@click.version_option(__version__, prog_name="agent")
@click.pass_context
def cli(ctx: click.Context, folder: Path | None) -> None:
    """Scan, judge, seal and report a fleet before important periods.

    Exit codes: 0 clean, 1 findings or work left, 2 usage or error, 3 incomplete.
    """
    from agent.app import App

    if ctx.obj is None:
        ctx.obj = App(folder, ask=_ask, warn=lambda text: click.echo(f"warning: {text}", err=True))


def _ask(what: str) -> Secret | None:
    """Ask at the terminal, unseen; None where there is none."""
    from agent.model.secret import Secret

    if not (sys.stdin and sys.stdin.isatty()):
        return None
    return Secret(click.prompt(what, hide_input=True, err=True))


def mute(*, err: bool = False) -> None:
    """Let what is still to be printed go nowhere: whoever read our output has gone."""
    stream = sys.__stderr__ if err else sys.__stdout__
    if stream is not None:
        with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - a descriptor is wanted, no path
            os.dup2(nowhere.fileno(), stream.fileno())


def say(text: str, *, err: bool = False) -> None:
    """Print a line of a verb that goes on whether or not somebody still listens."""
    try:
        click.echo(text, err=err)
    except OSError:
        mute(err=err)


def _of_system(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}\n  remedy: check owner, mode, mount and free space; see `agent doctor`"


def _unforeseen(error: Exception) -> str:
    """An error of ours in two lines; the values that a traceback could show stay here."""
    from agent.model.text import one_line

    frame = traceback.extract_tb(error.__traceback__)[-1]
    what = one_line(f"{type(error).__name__}: {error}")
    return (
        f"internal error at {Path(frame.filename).name}:{frame.lineno}: {what}\n"
        "  remedy: nothing that was sealed is lost; report this line (AGENT_TRACEBACK=1 shows more)"
    )


def main(argv: list[str] | None = None) -> int:
    """Run the command line; print a declared error once, without a traceback."""
    from agent.model.errors import AgentError

    try:
        result = cli.main(args=argv, prog_name="agent", standalone_mode=False)
    except (click.ClickException, click.Abort, KeyboardInterrupt, AgentError, OSError) as error:
        return _told(error)
    except Exception as error:
        if os.environ.get("AGENT_TRACEBACK"):
            raise
        click.echo(f"agent: {_unforeseen(error)}", err=True)
        return Exit.ERROR
    return int(result) if isinstance(result, int) else Exit.CLEAN


def _told(error: BaseException) -> int:
    """Say what ended the verb, and return its exit code."""
    if isinstance(error, click.ClickException):
        error.show()
    elif isinstance(error, click.Abort | KeyboardInterrupt):
        click.echo("interrupted; what was sealed is kept", err=True)
        return Exit.INCOMPLETE
    elif isinstance(error, BrokenPipeError):
        mute()
        return Exit.INCOMPLETE
    elif isinstance(error, OSError):
        click.echo(f"agent: {_of_system(error)}", err=True)
    else:
        click.echo(f"agent: {error}", err=True)
        return int(getattr(error, "exit_code", Exit.ERROR))
    return Exit.ERROR
