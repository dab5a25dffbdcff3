"""`agent exceptions`: list accepted risks with their standing, import and export them as VEX."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from datetime import datetime

    from agent.app import App
    from agent.flows.exceptions import Listed


@click.group("exceptions")
def command() -> None:
    """Accepted risks of exceptions.yaml. One finding at a time is accepted by `agent findings accept`."""


def _standing(row: Listed) -> str:
    words = ["in force" if row.in_force else "expired", "" if row.known else "unknown target"]
    return ", ".join(filter(None, words))


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object an exception, one a line.")
@click.pass_obj
def list_them(app: App, as_json: bool) -> None:
    """List accepted risks, the expired among them."""
    from agent.cli.table import echo_table
    from agent.flows.exceptions import listed

    rows = listed(app)
    if as_json:
        for row in rows:
            told = asdict(row.exception) | {"in_force": row.in_force, "known_target": row.known}
            click.echo(json.dumps(told, ensure_ascii=False))
        return
    names = ("target", "covers", "where", "until", "standing", "approver", "reason")
    told_rows = []
    for row in rows:
        item = row.exception
        told_rows.append(
            (item.target, item.subject, item.location, item.expires, _standing(row), item.approver, item.reason)
        )
    echo_table(names, told_rows)


@command.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--approver", default="", help="Who allowed it (not who operates).")
@click.option("--expires", type=click.DateTime(["%Y-%m-%d"]), help="Last day on which it covers.")
@click.pass_obj
def take(app: App, file: Path, approver: str, expires: datetime | None) -> None:
    """Take in an OpenVEX or CSAF-VEX FILE: what is said to be not affected becomes an exception.

    Approver and expiry are asked for, as a VEX document has neither; one that `agent exceptions export` wrote
    bears them. Products are names of the inventory: urn:secops-agent:target:NAME or pkg:generic/NAME.
    """
    from agent.flows.exceptions import take_in

    done = take_in(app, file, approver=approver, expires=expires.date() if expires else None)
    for item in done.added:
        click.echo(f"added    {item.target}  {item.subject}  {item.location}  until {item.expires}")
    for item in done.present:
        click.echo(f"present  {item.target}  {item.subject}  {item.location}  until {item.expires}")
    for left in done.left_out:
        click.echo(f"left out {left.target}  {left.subject}  {left.reason} ({left.where.rpartition(': ')[2]})")
    click.echo(
        f"{done.format}: {len(done.added)} added, {len(done.present)} present already, {len(done.left_out)} left out"
    )


@command.command("export")
@click.option("--format", "name", required=True, type=click.Choice(("openvex", "csaf-vex")))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File to write (default, or `-`: print).")
@click.pass_obj
def export(app: App, name: str, output: Path | None) -> None:
    """Write the accepted risks that are in force as a VEX document; an import of it gives them again."""
    from agent.cli.output import put
    from agent.flows import exports

    put(exports.exceptions_as_vex(app, name), output)
