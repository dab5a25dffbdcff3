"""`agent ticket`: change tickets, written by who operates, signed by who approves."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli.main import Exit, say
from agent.model.hardening import ALLOWANCES

if TYPE_CHECKING:
    from agent.app import App
    from agent.declared.tickets import TicketFile
    from agent.model.hardening import HardenPlan, Ticket


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
@click.option("--group", "groups", multiple=True, help="Hosts of this group; may be given again.")
@click.option("--all", "everything", is_flag=True, help="Every target, also those declared later.")
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
@click.option(
    "--allow",
    "allows",
    type=click.Choice(ALLOWANCES),
    multiple=True,
    help="What is off unless a ticket allows it; without --control and --plan it then covers no control.",
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
    groups: tuple[str, ...],
    everything: bool,
    controls: tuple[str, ...],
    run: str,
    reboot_application: str,
    allows: tuple[str, ...],
) -> None:
    """Write a ticket, unsigned. Times are Asia/Shanghai."""
    from hashlib import sha256

    from agent.declared.tickets import TicketFile, read_application, write
    from agent.declared.yamlfile import loads, parse, quoted
    from agent.flows import gates, harden

    if everything and (targets or groups):
        raise click.UsageError("--all goes with neither --target nor --group")
    covered = ("*",) if everything else _covered(app, targets, groups)
    plan = harden.load(app, run, gates.PLANS) if run else None
    if plan and not covered:
        covered = tuple(sorted({one.item.target for one, _ in plan.steps}))
    if not covered:
        raise click.UsageError("name what it covers with --target, --group, --all, or a plan with --plan")
    letter = sha256(read_application(app.root, reboot_application)).hexdigest() if reboot_application else ""
    body = {
        "schema_version": 1,
        "number": number,
        "title": title,
        "reference": reference,
        "start": start,
        "end": end,
        "targets": list(covered),
        "controls": list(dict.fromkeys(controls)) or (list(allows) if allows and not run else ["*"]),
        "plan_digest": plan.digest if plan else "",
        "reboot_application": reboot_application,
        "reboot_application_sha256": letter,
        "requested_by": app.operator,
        "allows": list(dict.fromkeys(allows)),
    }
    ticket = parse(loads(quoted(body), Path("ticket")), TicketFile)
    path = write(app.root, ticket)
    for line in _lacking(plan, ticket):
        say(f"note: {line}", err=True)
    say(f"{path}: not signed yet; let the approver run: agent ticket sign {number} --approver-key KEY")


def _covered(app: App, targets: tuple[str, ...], groups: tuple[str, ...]) -> tuple[str, ...]:
    """Names and patterns as they were given, and the hosts of groups by name; each must stand for something."""
    from fnmatch import fnmatchcase

    from agent.flows.scan import select
    from agent.model.errors import AgentError

    every = app.inventory.targets
    for name in targets:
        if not any(fnmatchcase(each.name, name) for each in every):
            raise AgentError(f"no target is named {name!r}", where="--target", remedy="see `agent inventory list`")
    grouped = [each.name for each in select(every, groups=groups)] if groups else []
    return tuple(dict.fromkeys([*targets, *grouped]))


def _lacking(plan: HardenPlan | None, ticket: TicketFile) -> list[str]:
    """What of a plan the ticket does not allow: better told before it is signed than when it is used."""
    from agent.flows.gates import uncovered
    from agent.model.hardening import RISKY

    if plan is None:
        return []
    lines = [
        f"the plan has {what} that it does not cover: {', '.join(names)}"
        for what, names in uncovered(plan, ticket.targets, ticket.controls).items()
        if names
    ]
    if not ticket.reboot_application and any(RISKY & set(step.risk) for _, step in plan.steps):
        lines.append("the plan restarts hosts, and no application of the customer's is named (--reboot-application)")
    return lines


@command.command("sign")
@click.argument("number")
@click.option(
    "--approver-key", required=True, type=click.Path(path_type=Path), help="The approver's private key (PEM)."
)
@click.pass_obj
def sign(app: App, number: str, approver_key: Path) -> None:
    """Approve a ticket as it stands. Who operates does not approve."""
    from agent.declared import tickets

    ticket = tickets.load_ticket(app.root, number)
    _tell(ticket)
    say(f"{number}: signed by {tickets.sign(app.root, number, approver_key)}")


@command.command("show")
@click.argument("number")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def show(app: App, number: str, as_json: bool) -> None:
    """Show a ticket and whether its signature holds."""
    from agent.declared.tickets import load_ticket

    ticket = load_ticket(app.root, number)
    if as_json:
        click.echo(json.dumps(_told(ticket), ensure_ascii=False))
        return
    _tell(ticket)
    say(f"{'signature':<12} {_signature(ticket)}")


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a ticket, one a line.")
@click.pass_obj
def list_them(app: App, as_json: bool) -> None:
    """List all tickets, their windows in Asia/Shanghai."""
    from agent.cli.table import echo_table
    from agent.declared.tickets import load_tickets

    found = load_tickets(app.root)
    if as_json:
        for each in found:
            click.echo(json.dumps(_told(each), ensure_ascii=False))
        return
    rows = [
        (
            each.number,
            *_window(each),
            f"signed by {each.approver}" if each.signed else "未验签",
            each.reference,
            each.title,
        )
        for each in found
    ]
    echo_table(("number", "from", "to", "signature", "reference", "title"), rows)


@command.command("verify")
@click.argument("number")
@click.pass_obj
def verify(app: App, number: str) -> int:
    """Check a ticket's signature: exit code 0 when an approver's holds, else 1."""
    from agent.declared.tickets import load_ticket

    ticket = load_ticket(app.root, number)
    mine = ticket.signed and not load_ticket(app.root, number, app.operator).signed
    more = f"; it does not count for work that {app.operator} does" if mine else ""
    say(f"{number}: {_signature(ticket)}{more}")
    return Exit.CLEAN if ticket.signed else Exit.FINDINGS


def _signature(ticket: Ticket) -> str:
    return f"signed by {ticket.approver}" if ticket.signed else f"未验签: {ticket.doubt}"


def _tell(ticket: Ticket) -> None:
    """What its approver signs."""
    start, end = _window(ticket)
    application = ticket.reboot_application or "none"
    if ticket.reboot_application:
        application += f" (sha256 {ticket.reboot_application_sha256 or 'not stated'})"
    rows = {
        "ticket": f"{ticket.number}  {ticket.title}",
        "reference": ticket.reference,
        "asked by": ticket.requested_by or "not stated",
        "window": f"{start} to {end} (Asia/Shanghai)",
        "targets": ", ".join(ticket.targets),
        "controls": ", ".join(ticket.controls),
        "plan digest": ticket.plan_digest or "none: whatever fits targets and controls",
        "restart": application,
        "also allows": ", ".join(ticket.allows) or "nothing",
        "sha256": ticket.sha256,
    }
    for name, text in rows.items():
        say(f"{name:<12} {text}")


def _told(ticket: Ticket) -> dict[str, object]:
    return asdict(ticket) | {"start": ticket.start.isoformat(), "end": ticket.end.isoformat()}


def _window(ticket: Ticket) -> tuple[str, str]:
    from agent.declared.tickets import SHANGHAI

    start, end = (f"{each.astimezone(SHANGHAI):%Y-%m-%d %H:%M}" for each in (ticket.start, ticket.end))
    return start, end
