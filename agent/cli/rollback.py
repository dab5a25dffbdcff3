"""`agent rollback`: take back what was changed, days later as well."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from agent.cli.ending import interruptible, leave
from agent.cli.main import Exit, say
from agent.cli.table import echo_table

if TYPE_CHECKING:
    from agent.app import App
    from agent.flows.rollback import Undone


@click.command("rollback")
@click.argument("name", metavar="RUN|CHANGE")
@click.option("--ticket", help="Number of the change ticket that covers it.")
@click.option("--unsigned-by", default="", help="Who allowed work under an unsigned ticket (shown as 未验签).")
@click.option("--freeze-by", default="", help="Who allowed work inside an important period.")
@click.option("--emergency-by", default="", help="Who ordered it without a ticket (shown as 未验签).")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def command(
    app: App, name: str, ticket: str | None, unsigned_by: str, freeze_by: str, emergency_by: str, as_json: bool
) -> int:
    """Put back what a hardening run, or one of its transactions, changed.

    What still is as we left it is put back, as a transaction that confirms or undoes itself; what
    somebody changed since is named and left alone. Package upgrades are not taken back.

    Exit codes: 0 all is as before, 1 something was left, 2 error or refused, 3 something is not known.
    """
    from agent.flows import gates, rollback
    from agent.flows.changing import Event

    app.require_ops_location()
    of, records = rollback.confirmed(app, name)
    plan = rollback.plan_of(of, records)
    if emergency_by:
        allowed = gates.emergency(app, emergency_by)
    else:
        allowed = gates.leave(app, plan, ticket=ticket, unsigned_by=unsigned_by, freeze_by=freeze_by, now=app.clock())

    def watch(event: Event) -> None:
        if not as_json and event.state not in {"begin", "look"}:
            say(f"  {event.state:<10} {event.host:<14} {event.group}  {event.detail}".rstrip(), err=True)

    try:
        with interruptible():
            undone = rollback.run(app, name, allowed, watch)
    except KeyboardInterrupt:
        say("\ninterrupted; what was not confirmed comes back by itself. Run the verb again.", err=True)
        leave()
    _tell(undone, as_json=as_json)
    if not undone.settled:
        return Exit.INCOMPLETE
    return Exit.CLEAN if undone.whole else Exit.FINDINGS


def _tell(undone: Undone, *, as_json: bool) -> None:
    if as_json:
        rows = [
            {
                "transaction": one.record.id,
                "host": one.record.host,
                "kept": one.kept,
                "moved": one.moved,
                "why": one.why,
            }
            for one in undone.results
        ]
        click.echo(json.dumps({"run": undone.run, "whole": undone.whole, "results": rows}, ensure_ascii=False))
        return
    echo_table(
        ("transaction", "host", "group", "put back", "changed since, left alone", "why"),
        [
            (one.record.id, one.record.host, one.record.group, str(len(one.kept)), "; ".join(one.moved), one.why)
            for one in undone.results
        ],
    )
    whole = sum(one.whole for one in undone.results)
    say(f"run     {undone.run}: {whole} of {len(undone.results)} transactions taken back whole")
