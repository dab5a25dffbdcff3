"""`agent lab`: raise, show or take down the lab of real hosts."""

from __future__ import annotations

import json

import click

from agent.app import App


@click.group(name="lab")
def command() -> None:
    """Raise, show or take down the lab of 23 real hosts and 3 databases (needs root)."""


@command.command()
@click.option(
    "--trouble", is_flag=True, help="Also hosts that misbehave, in a workspace of their own (state/lab/trouble)."
)
@click.option("--vm", is_flag=True, help="Also a real virtual machine, vm-01 (takes a few minutes the first time).")
@click.pass_obj
def up(app: App, trouble: bool, vm: bool) -> None:
    """Raise what is not up yet; the first time builds the root file systems (about three minutes)."""
    from agent import lab

    lab.up(app.root, trouble=trouble, vm=vm, echo=click.echo)


@command.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON list.")
@click.pass_obj
def status(app: App, as_json: bool) -> int:
    """Show how each machine stands; exit code 1 unless all are up."""
    from agent import lab

    states = lab.status(app.root)
    if as_json:
        click.echo(
            json.dumps([{"name": s.name, "address": s.address, "state": s.state, "lacks": s.lacks} for s in states])
        )
    else:
        for state in states:
            lacks = f"  lacks {', '.join(state.lacks)}" if state.lacks else ""
            click.echo(f"{state.name:<14}{state.address:<14}{state.state}{lacks}")
    return 0 if all(state.state == "up" for state in states) else 1


@command.command()
@click.pass_obj
def down(app: App) -> None:
    """Take the lab down; nothing of it stays running, mounted or on the network."""
    from agent import lab

    lab.down(app.root, echo=click.echo)
