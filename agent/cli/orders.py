"""`agent orders`: the customer's rectification orders (整改单)."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from datetime import datetime

    from agent.app import App
    from agent.model.duties import Order

_DAY = click.DateTime(["%Y-%m-%d"])


@click.group("orders")
def command() -> None:
    """Orders of orders.yaml. One is settled by writing `settled` and `settled_by` there; `agent due` lists the rest."""


def _standing(app: App, order: Order) -> str:
    from agent.flows.due import faults, today

    left = (order.due - today(app)).days
    word = f"settled {order.settled}" if order.settled else "overdue" if left < 0 else f"{left} days left"
    return ", ".join([word, *faults(app, order)])


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object an order, one a line.")
@click.pass_obj
def list_them(app: App, as_json: bool) -> None:
    """List orders, the settled among them."""
    from agent.cli.table import echo_table
    from agent.declared.orders import load_orders

    orders = load_orders(app.root)
    if as_json:
        for order in orders:
            click.echo(json.dumps(asdict(order) | {"standing": _standing(app, order)}, ensure_ascii=False, default=str))
        return
    rows = [
        (
            order.number,
            str(order.received),
            str(order.due),
            _standing(app, order),
            ", ".join(order.targets),
            ", ".join((*order.checks, *order.cves, *order.findings)) or "all",
            order.title,
        )
        for order in orders
    ]
    echo_table(("number", "received", "due", "standing", "targets", "covers", "title"), rows)


@command.command("add")
@click.argument("number")
@click.option("--title", required=True, help="What the order is called.")
@click.option("--received", required=True, type=_DAY, help="Day on which it came.")
@click.option("--due", required=True, type=_DAY, help="Last day on which it is in time.")
@click.option("--target", "targets", multiple=True, required=True, help="Target, or `*`; may be given again.")
@click.option("--check", "checks", multiple=True, help="Check id or pattern; may be given again.")
@click.option("--cve", "cves", multiple=True, help="CVE id; may be given again.")
@click.option("--finding", "findings", multiple=True, help="Key of a finding; may be given again.")
@click.option("--notice", default="", help="File of the customer's notice, within the workspace.")
@click.pass_obj
def add(
    app: App,
    number: str,
    title: str,
    received: datetime,
    due: datetime,
    targets: tuple[str, ...],
    checks: tuple[str, ...],
    cves: tuple[str, ...],
    findings: tuple[str, ...],
    notice: str,
) -> None:
    """Enter order NUMBER of the customer into orders.yaml; without --check, --cve, --finding it covers all."""
    from agent.declared.orders import add_order
    from agent.flows.due import faults
    from agent.model.duties import Order
    from agent.model.errors import AgentError

    order = Order(
        number,
        title,
        received.date(),
        due.date(),
        targets,
        checks,
        tuple(each.upper() for each in cves),
        findings,
        notice,
    )
    wrong = faults(app, order)
    if wrong:
        raise AgentError("; ".join(wrong), where=number, remedy="file the notice first; see `agent inventory list`")
    add_order(app.root, order)
    click.echo(f"orders.yaml: {number} due {order.due}")
