"""`agent password emergency`: a password may be known to somebody."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from agent.cli.main import Exit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.app import App
    from agent.model.account import Managed
    from agent.model.incident import Incident


@click.command("emergency")
@click.option("--account", "names", multiple=True, help="An account, or all of a target; may be given again.")
@click.option("--person", help="All accounts that a person of people.yaml answers for, or that bear the login.")
@click.option("--all", "everything", is_flag=True, help="Every managed account.")
@click.option("--reason", default="", help="What happened; stands in the record.")
@click.option("--incident", help="Go on with one that is on record: INC-YYYYMMDD-NN.")
@click.option("--lock", is_flag=True, help="Lock what cannot be given a new password (never root, a service, our own).")
@click.option("--end-sessions", is_flag=True, help="End live sessions of these accounts once the new password holds.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.pass_obj
def command(
    app: App,
    names: tuple[str, ...],
    person: str | None,
    reason: str,
    incident: str | None,
    *,
    everything: bool,
    lock: bool,
    end_sessions: bool,
    as_json: bool,
) -> int:
    """The leak procedure: new passwords at once, sessions listed, a numbered incident on record and in the evidence.

    Goes on where a host is down; run it again with --incident for what is left.
    Exit codes: 0 all are settled, 1 something is left to people, 3 something was not reached or is open.
    """
    from agent.declared.incidents import load_incident, new_incident
    from agent.declared.tickets import SHANGHAI
    from agent.flows import emergency, passwords
    from agent.model.errors import AgentError

    if sum((bool(names), bool(person), everything)) > 1 or not (names or person or everything or incident):
        raise click.UsageError("name one of --account, --person, --all, or an --incident to go on with")
    app.require_ops_location()
    if incident:
        found = load_incident(app.root, incident)
        if not (names or person or everything):
            names = tuple(each.account for each in found.measures)
    accounts = _chosen(app, names, person, everything=everything)
    if not incident:
        if not reason.strip():
            raise AgentError("a reason is wanted", remedy="--reason 'what happened'")
        now = app.clock()
        today = now.astimezone(SHANGHAI).date()
        found = new_incident(app.root, today, now.isoformat(timespec="seconds"), app.operator, reason.strip())
    if not as_json:
        click.echo(f"{found.id}: {len(accounts)} accounts")
    passwords.warn_of(accounts, app.warn)
    found = emergency.respond(app, found, accounts, lock=lock, end_sessions=end_sessions)
    return _told(found, as_json=as_json)


def _chosen(app: App, names: tuple[str, ...], person: str | None, *, everything: bool) -> Sequence[Managed]:
    from agent.declared.people import load_people
    from agent.flows import passwords
    from agent.model.errors import AgentError

    if everything:
        return app.accounts
    if person is None:
        return passwords.chosen(app, names)
    people = [each for each in load_people(app.root) if person in {each.name, each.login}]
    words = {word for each in people for word in (each.name, each.login) if word}
    found = passwords.of_person(app.accounts, person, words)
    if not found:
        raise AgentError("nobody of that name answers for a managed account", where=person)
    return found


def _told(incident: Incident, *, as_json: bool) -> int:
    from agent.flows.rotation import WORDS, Ended

    if as_json:
        click.echo(json.dumps(asdict(incident), ensure_ascii=False))
    else:
        for one in incident.measures:
            word = WORDS[Ended(one.ended)] if one.ended in set(Ended) else "须由人更改"
            extra = "，已锁定" if one.locked else ""
            why = f"（{one.why}）" if one.why else ""
            click.echo(f"{one.account}: {word}{extra}{why}")
            for line in (*one.left, *one.tasks):
                click.echo(f"    {line}")
        click.echo(f"{incident.id}: incidents/{incident.id}.yaml；告知：{'、'.join(incident.tell) or '-'}")
    open_ = [one for one in incident.measures if not one.settled]
    if any(one.ended in {Ended.OPEN, Ended.UNREACHED} for one in open_):
        return Exit.INCOMPLETE
    return Exit.FINDINGS if open_ else Exit.CLEAN
