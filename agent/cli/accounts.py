"""`agent accounts`: who has an account where, and what is wrong with it."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from agent.cli.main import Exit

if TYPE_CHECKING:
    from agent.app import App
    from agent.flows.accounts import Roster
    from agent.model.holder import Holding


@click.group()
def command() -> None:
    """List accounts of all targets, and hold them against people.yaml."""


@command.command("list")
@click.option("--run", "run_id", default="", help="A round (default: the newest that looked at hosts or databases).")
@click.option("--all", "everything", is_flag=True, help="Also those with which nobody can log in.")
@click.option("--target", "targets", multiple=True, help="Only this one; may be given again.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.pass_obj
def list_(app: App, run_id: str, targets: tuple[str, ...], *, everything: bool, as_json: bool) -> int:
    """List accounts as a round found them: ways in, rights, age of the password, last login, whose."""
    from agent.cli.table import echo_table
    from agent.flows.accounts import roster

    found = roster(app, run_id)
    shown = [
        one
        for one in found.holdings
        if (everything or one.found.ways or one.found.rights or one.flaws)
        and (not targets or one.found.target in targets)
    ]
    if as_json:
        _json(shown)
    else:
        head = ("target", "account", "kind", "ways in", "rights", "age", "idle", "people", "managed", "state")
        echo_table(head, [_row(one) for one in shown])
        click.echo(f"{len(shown)} accounts, {found.run} of {found.seen_at.date()}")
    return _ended(found, flaws=False)


def _row(one: Holding) -> tuple[str, ...]:
    found = one.found
    idle = {None: "-", -1: "从未"}.get(found.idle, str(found.idle))
    return (
        found.target,
        found.name or "（匿名）",
        found.kind,
        " ".join(found.ways) or "-",
        " ".join(found.rights) or "-",
        "-" if found.age is None else str(found.age),
        idle,
        "、".join(one.people) or "-",
        "yes" if one.managed else "-",
        found.state,
    )


def _json(shown: list[Holding]) -> None:
    for one in shown:
        body = asdict(one.found) | {"people": one.people, "managed": one.managed}
        body["flaws"] = [{"flaw": flaw.value, "detail": detail} for flaw, detail in one.flaws]
        click.echo(json.dumps(body, ensure_ascii=False))


@command.command("reconcile")
@click.option("--run", "run_id", default="", help="A round (default: the newest that looked at hosts or databases).")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.pass_obj
def reconcile(app: App, run_id: str, *, as_json: bool) -> int:
    """Say what is wrong with accounts: unknown, orphaned, shared, dormant, default, open, privileged without need.

    Exit codes: 0 nothing is wrong, 1 something is, 3 some targets' accounts are not known.
    """
    from agent.flows.accounts import roster
    from agent.model.holder import WORDS

    found = roster(app, run_id)
    wrong = [one for one in found.holdings if one.flaws]
    if as_json:
        _json(wrong)
    else:
        for one in wrong:
            told = "；".join(f"{WORDS[flaw]}（{detail}）" for flaw, detail in one.flaws)
            click.echo(f"{one.found.target} {one.found.name or '（匿名）'}: {told}")
        for name, flaw, detail in found.people:
            click.echo(f"{name}: {WORDS[flaw]}（{detail}）")
        click.echo(f"{len(found.holdings)} accounts, {len(wrong)} with something wrong, {found.run}")
    return _ended(found, flaws=bool(wrong or found.people))


@command.command("offboard")
@click.argument("person")
@click.option("--target", "targets", multiple=True, help="Only this one; may be given again.")
@click.option("--finish", is_flag=True, help="Delete what was closed 30 days ago or longer. Cannot be undone.")
@click.option("--apply", "applied", is_flag=True, help="Do it. Without this nothing is changed.")
@click.option("--ticket", help="Number of the change ticket that covers it.")
@click.option("--unsigned-by", default="", help="Who allowed work under an unsigned ticket (shown as 未验签).")
@click.option("--freeze-by", default="", help="Who allowed work inside an important period.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.pass_obj
def offboard(
    app: App,
    person: str,
    targets: tuple[str, ...],
    ticket: str | None,
    unsigned_by: str,
    freeze_by: str,
    *,
    finish: bool,
    applied: bool,
    as_json: bool,
) -> int:
    """Close every account of PERSON (a name or login of people.yaml): a plan first, --apply under a ticket.

    Homes are archived, then passwords locked, accounts expired, keys, cron tables and sudoers lines taken away,
    sessions ended. Shared accounts, service accounts, root and the agent's own login are left to people, and named.

    Exit codes: 0 nothing is left, 1 something is, 2 error or refused, 3 some targets are not known; run it again.
    """
    from agent.cli import offboarding

    return offboarding.run(
        app, person, targets, ticket, unsigned_by, freeze_by, finish=finish, applied=applied, as_json=as_json
    )


def _ended(found: Roster, *, flaws: bool) -> int:
    for line in found.unseen:
        click.echo(f"not seen: {line}", err=True)
    if found.unseen:
        return Exit.INCOMPLETE
    return Exit.FINDINGS if flaws else Exit.CLEAN
