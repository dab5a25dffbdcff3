"""`agent password manual`: guided change of what no program reaches."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli.main import Exit

if TYPE_CHECKING:
    from agent.app import App
    from agent.flows.manual import Offer

_TRIES = 3


@click.command("manual")
@click.argument("account")
@click.option("--length", type=click.IntRange(min=1), help="Characters that the device takes.")
@click.option("--special", help="Special characters that it takes.")
@click.option("--proof", type=click.Path(path_type=Path), help="A picture or a page of the device, sealed as evidence.")
@click.option("--done", is_flag=True, help="The pending one was set and works: confirm it without showing it again.")
@click.option("--kept", is_flag=True, help="The device kept the old one: give the pending one up.")
@click.pass_obj
def command(
    app: App, account: str, length: int | None, special: str | None, proof: Path | None, *, done: bool, kept: bool
) -> int:
    """Give ACCOUNT (a VPN, a mailbox, a device) a new password step by step: kept, shown once, then confirmed.

    Broken off in between nothing is lost: the pending one is shown again the next time. Exit codes: 0 it is current,
    1 it is still pending or was given up.
    """
    from agent.cli.terminal import show_aside
    from agent.flows import manual, passwords
    from agent.model.errors import AgentError

    if done and kept:
        raise click.UsageError("either --done or --kept")
    found = next((each for each in app.accounts if each.id == account), None)
    if found is None:
        raise AgentError("no such managed account", where=account, remedy="see agent password status")
    made = manual.offer(app, found, length=length or 0, special=special)
    if (done or kept) and not made.again:
        manual.give_up(app, made, "未显示即放弃")
        raise AgentError("nothing was pending of it", where=account, remedy="run it without --done or --kept")
    passwords.warn_of([found], app.warn)
    if kept:
        manual.give_up(app, made, "设备仍用旧口令")
        click.echo(f"{account}: given up; the old one holds")
        return Exit.FINDINGS
    if not done:
        app.vault.tell("shown", [made.row], to=app.operator, reason="manual rotation")
        head = f"{account} (version {made.row.version}{', shown before' if made.again else ''})"
        show_aside([head, "Set this password there, log in afresh with it, then press Enter."], made.secret)
    return _confirmed(app, made, proof)


def _confirmed(app: App, made: Offer, proof: Path | None) -> int:
    from agent.flows import manual

    for _ in range(_TRIES):
        typed = app.ask(f"the last {manual.TAIL} characters of the password that the fresh login took (empty: not yet)")
        if typed is None or not typed.reveal():
            break
        if manual.same_tail(made, typed):
            manual.confirm(app, made, proof=proof)
            click.echo(f"{made.account.id}: current since now, as {app.operator} says")
            return Exit.CLEAN
        click.echo("those are not its last characters", err=True)
    click.echo(
        f"{made.account.id}: still pending; the old one is kept as well. Go on with agent password manual --done"
    )
    return Exit.FINDINGS
