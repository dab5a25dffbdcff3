"""`agent password`: the policy, for people and for programs."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from agent.cli.main import Exit

if TYPE_CHECKING:
    from agent.app import App
    from agent.model.secret import Secret

_LONGEST = 4096


@click.group("password")
def command() -> None:
    """Check passwords against the undertaking, and make new ones."""


@command.command("check")
@click.option("--name", "names", multiple=True, help="Account, host, person: must not occur in it; may be given again.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.pass_obj
def check(app: App, names: tuple[str, ...], *, as_json: bool) -> int:
    """Say what is wrong with a password, read from standard input (one line), never from the command line.

    With a vault it is also looked up whether any account has or had it.
    Exit codes: 0 nothing is wrong, 1 something is.
    """
    from agent.flows.passwords import known_names
    from agent.model.password import WORDS, Fault
    from agent.vault.policy import faults

    password = _read(app)
    found = list(faults(password, names=(*known_names(app), *names)))
    if app.has_vault and app.vault.used(password):
        found.append(Fault.REUSED)
    if as_json:
        click.echo(json.dumps({"faults": [fault.value for fault in found]}))
    else:
        click.echo("\n".join(WORDS[fault] for fault in found) or "符合口令承诺")
    return Exit.FINDINGS if found else Exit.CLEAN


@command.command("show")
@click.argument("account")
@click.option("--reason", required=True, help="Why; sealed with your name before anything is shown.")
@click.pass_obj
def show(app: App, account: str, reason: str) -> None:
    """Show what ACCOUNT has now, to whoever opens the vault. That it was shown, to whom and why, is evidence."""
    from agent.model.errors import AgentError
    from agent.vault.vault import CURRENT

    found = [row for row in app.vault.versions([account]).get(account, []) if row.state == CURRENT]
    if not found:
        raise AgentError("the vault holds nothing current of that account", where=account, remedy="agent vault status")
    if not reason.strip():
        raise AgentError("a reason is wanted", remedy="--reason 'what it is for'")
    text = app.vault.reveal(found[0])
    app.vault.tell("shown", found, to=app.operator, reason=reason.strip())
    click.echo(text.reveal())


@command.command("generate")
@click.option("--for", "kind", default="manual", show_default=True, help="Kind of target whose characters it may have.")
@click.option("--length", type=click.IntRange(min=1), help="Characters (default: 24, or what the target takes).")
@click.option("--name", "names", multiple=True, help="Must not occur in it; may be given again.")
@click.pass_obj
def generate(app: App, kind: str, length: int | None, names: tuple[str, ...]) -> None:
    """Make a new password and print it. The vault makes its own: this is for what it does not manage."""
    from agent.flows.passwords import known_names
    from agent.model.errors import AgentError
    from agent.vault.generate import CHARACTERS
    from agent.vault.generate import generate as make

    if kind not in CHARACTERS:
        raise AgentError(f"no such kind of target: {kind}", remedy=f"one of {', '.join(CHARACTERS)}")
    click.echo(make(CHARACTERS[kind], names=(*known_names(app), *names), length=length or 0).reveal())


def _read(app: App) -> Secret:
    from agent.model.errors import AgentError
    from agent.model.secret import Secret

    if sys.stdin.isatty():
        said = app.ask("password")
        if said is not None:
            return said
    try:
        text = sys.stdin.readline(_LONGEST)
    except UnicodeDecodeError as error:
        raise AgentError("standard input is not UTF-8") from error
    if not text.strip("\r\n"):
        raise AgentError(
            "no password on standard input", remedy="agent password check < FILE, or type it at a terminal"
        )
    return Secret(text.strip("\r\n"))
