"""`agent ticket`: change tickets, written by who operates, signed by who approves."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli.main import Exit, say

if TYPE_CHECKING:
    from agent.app import App
    from agent.model.hardening import Ticket


@click.group("ticket")
def command() -> None:
    """Change tickets (工单) of tickets/: what may be changed, where, and when."""


@command.command("new")
@click.argument("number")
@click.option("--title", required=True)
@click.option("--reference", required=True, help="The customer's own number or letter.")
@click.option("--from", "start", required=True, help='Begin of the window, "2027-02-20 22:00" (Asia/Shanghai).')
@click.option("--to", "end", required=True, help="End of the window.")
@click.option("--target", "targets", multiple=True, help="Target that it covers, `*` allowed; may be given again.")
@click.option(
    "--control", "controls", multiple=True, help="Control or check that it covers, `*` allowed. Default: all."
)
@click.option(
    "--plan", "run", default="", help="Hardening run whose plan it approves: targets and digest are taken from it."
)
@click.option(
    "--reboot-application",
    default="",
    help="The customer's written application for a restart: a file of the workspace.",
)
@click.pass_obj
def new(
    app: App,
    number: str,
    title: str,
    reference: str,
    start: str,
    end: str,
    targets: tuple[str, ...],
    controls: tuple[str, ...],
    run: str,
    reboot_application: str,
) -> None:
    """Write a ticket, unsigned."""
    from agent.declared.tickets import TicketFile, write
    from agent.declared.yamlfile import loads, parse
    from agent.flows import harden

    digest = ""
    if run:
        plan = harden.load(app, run)
        digest = plan.digest
        targets = targets or tuple(sorted({one.item.target for one, _ in plan.steps}))
    if not targets:
        raise click.UsageError("name what it covers with --target, or a plan with --plan")
    body = {
        "schema_version": 1,
        "number": number,
        "title": title,
        "reference": reference,
        "start": start,
        "end": end,
        "targets": list(targets),
        "controls": list(controls) or ["*"],
        "plan_digest": digest,
        "reboot_application": reboot_application,
        "requested_by": app.operator,
    }
    ticket = parse(loads(json.dumps(body, ensure_ascii=False), Path("ticket")), TicketFile)
    path = write(app.root, ticket)
    say(f"{path}: not signed yet; let the approver run: agent ticket sign {number} --approver-key KEY")


@command.command("sign")
@click.argument("number")
@click.option(
    "--approver-key", required=True, type=click.Path(path_type=Path), help="The approver's private key (PEM)."
)
@click.pass_obj
def sign(app: App, number: str, approver_key: Path) -> None:
    """Approve a ticket as it stands. Who operates does not approve."""
    from agent.declared import tickets

    say(f"{number}: signed by {tickets.sign(app.root, number, approver_key, app.operator)}")


@command.command("show")
@click.argument("number")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def show(app: App, number: str, as_json: bool) -> None:
    """Show a ticket and whether its signature holds."""
    from agent.declared.tickets import load_ticket

    ticket = load_ticket(app.root, number, app.operator)
    if as_json:
        click.echo(json.dumps(asdict(ticket), ensure_ascii=False, default=str))
        return
    for name, value in asdict(ticket).items():
        text = ", ".join(value) if isinstance(value, list | tuple) else str(value)
        say(f"{name:<19} {text}")


@command.command("list")
@click.pass_obj
def list_them(app: App) -> None:
    """List all tickets."""
    from agent.cli.table import echo_table
    from agent.declared.tickets import load_tickets

    rows = [
        (
            each.number,
            *_window(each),
            f"signed by {each.approver}" if each.signed else "未验签",
            each.reference,
            each.title,
        )
        for each in load_tickets(app.root, app.operator)
    ]
    echo_table(("number", "from", "to", "signature", "reference", "title"), rows)


@command.command("verify")
@click.argument("number")
@click.pass_obj
def verify(app: App, number: str) -> int:
    """Check a ticket's signature: exit code 0 when an approver's holds, else 1."""
    from agent.declared.tickets import load_ticket

    ticket = load_ticket(app.root, number, app.operator)
    say(f"{number}: " + (f"signed by {ticket.approver}" if ticket.signed else "未验签: no approver's signature holds"))
    return Exit.CLEAN if ticket.signed else Exit.FINDINGS


def _window(ticket: Ticket) -> tuple[str, str]:
    from agent.declared.tickets import SHANGHAI

    return tuple(f"{each.astimezone(SHANGHAI):%Y-%m-%d %H:%M}" for each in (ticket.start, ticket.end))  # type: ignore[return-value]
