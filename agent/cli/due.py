"""`agent due`: what must be settled by which day, who is told, and what it costs when it is late."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import click

from agent.cli.main import Exit

if TYPE_CHECKING:
    from agent.app import App
    from agent.contract.due import Due

_SHOWN = 4
"""Targets named in a row; the rest is counted."""


@click.command("due")
@click.option("--target", "targets", multiple=True, help="Only this target; may be given again.")
@click.option("--within", type=click.IntRange(min=0), help="Only what is due within so many days, or overdue.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object an order or finding, one a line.")
@click.pass_obj
def command(app: App, targets: tuple[str, ...], within: int | None, as_json: bool) -> int:
    """List open orders, findings and passwords with their day, who is responsible, who is told. 1: something is due."""
    from agent.flows.due import listed
    from agent.model.errors import AgentError

    known = {target.name for target in app.inventory.targets}
    for name in targets:
        if name not in known:
            raise AgentError(f"no target named {name!r}", where="--target", remedy="see `agent inventory list`")
    found = listed(app)
    rows = [
        row
        for row in found.rows
        if (not targets or row.kind == "order" or row.target in targets) and (within is None or row.left <= within)
    ]
    if as_json:
        for row in rows:
            click.echo(json.dumps(_shown(row), ensure_ascii=False))
    else:
        _table(rows)
    for note in found.notes:
        click.echo(f"orders.yaml: {note}", err=True)
    waiting = _passwords(app, targets, within, as_json=as_json)
    late = sum(row.overdue for row in rows)
    near = sum(row.left <= found.soon for row in rows) - late
    click.echo(f"{found.today}: {len(rows)} open, {late} overdue, {near} due within {found.soon} days", err=True)
    return Exit.FINDINGS if late or near or waiting else Exit.CLEAN


def _passwords(app: App, targets: tuple[str, ...], within: int | None, *, as_json: bool) -> int:
    """Name managed accounts whose password is due, overdue or not settled, and what to do; how many."""
    if not app.has_vault:
        return 0
    from agent.flows.passwords import status
    from agent.vault.standing import WORDS, State

    found = [
        one
        for one in status(app)
        if one.state is not State.GOOD
        and (not targets or {one.account.target, one.account.host} & set(targets))
        and (within is None or one.left is None or one.left <= within)
    ]
    for one in found:
        manual = one.account.kind == "manual"
        verb = f"agent password manual '{one.account.id}'" if manual else "agent password rotate --due"
        if as_json:
            told = {"kind": "password", "ref": one.account.id, "target": one.account.target, "state": one.state}
            click.echo(json.dumps(told | {"left": one.left, "todo": verb}, ensure_ascii=False))
        else:
            left = "" if one.left is None else f", {one.left} days"
            click.echo(f"password {one.account.id}: {WORDS[one.state]}{left}; {verb}")
    return len(found)


def _shown(row: Due) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "ref": row.ref,
        "target": row.target,
        "check": row.check,
        "location": row.location,
        "title": row.title,
        "severity": row.severity.value if row.severity else "",
        "owner": row.owner,
        "since": row.since.isoformat(),
        "due": row.day.isoformat(),
        "left": row.left,
        "basis": row.basis,
        "escalation": [
            {"role": each.role, "people": list(each.people), "day": each.day.isoformat(), "reached": each.reached}
            for each in row.told
        ],
        "penalty": row.penalty,
        "open": row.open,
    }


def _table(rows: list[Due]) -> None:
    from agent.cli.table import echo_table

    groups: dict[tuple[object, ...], list[Due]] = defaultdict(list)
    for row in rows:
        same = (row.ref,) if row.kind == "order" else (row.check, row.title)
        groups[(row.day, row.kind, row.severity, row.basis, *same)].append(row)
    told = []
    for found in groups.values():
        first = found[0]
        names = list(dict.fromkeys(row.target for row in found))
        where = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
        owners = ", ".join(filter(None, dict.fromkeys(row.owner for row in found))) or "nobody named"
        told.append(
            (
                str(first.day),
                f"{-first.left} overdue" if first.overdue else str(first.left),
                first.severity.zh if first.severity else "整改单",
                first.check if first.kind == "finding" else f"{first.ref} {first.title}",
                str(len(found)) if first.kind == "finding" else str(first.open),
                where,
                owners,
                _step(first),
            )
        )
    echo_table(("due", "days", "grade", "what", "open", "targets", "responsible", "told"), told)
    penalty = next((row.penalty for row in rows if row.penalty), "")
    if penalty:
        click.echo(f"overdue: {penalty}")


def _step(row: Due) -> str:
    """Who is to know by now, and who is next."""
    reached = [each for each in row.told if each.reached]
    coming = [each for each in row.told if not each.reached]
    words = []
    if reached:
        last = reached[-1]
        words.append(f"now {last.role} {', '.join(last.people) or '(nobody declared)'}")
    if coming:
        words.append(f"from {coming[0].day} {coming[0].role} {', '.join(coming[0].people)}".rstrip())
    return "; ".join(words)
