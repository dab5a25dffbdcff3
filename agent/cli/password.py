"""`agent password`: the policy, for people and for programs."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from agent.cli.main import Exit, say
from agent.cli.password_emergency import command as emergency
from agent.cli.password_manual import command as manual
from agent.cli.password_weak import command as weak

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.app import App
    from agent.flows.rotation import Event
    from agent.model.account import Managed
    from agent.model.secret import Secret
    from agent.vault.standing import Standing

_LONGEST = 4096


@click.group("password")
def command() -> None:
    """Check passwords against the undertaking, and make new ones."""


@command.command("check")
@click.option("--name", "names", multiple=True, help="Account, host, person: must not occur in it; may be given again.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.pass_obj
def check(app: App, names: tuple[str, ...], *, as_json: bool) -> int:
    """Say what is wrong with a password, read from standard input (one line), never from the command line.

    With a vault it is also looked up whether any account has or had it.
    Exit codes: 0 nothing is wrong, 1 something is.
    """
    from agent.flows.passwords import known_names
    from agent.model.password import WORDS, Fault
    from agent.vault.policy import faults

    password = _read(app)
    found = list(faults(password, names=(*known_names(app), *names)))
    if app.has_vault and app.vault.used(password):
        found.append(Fault.REUSED)
    if as_json:
        click.echo(json.dumps({"faults": [fault.value for fault in found]}))
    else:
        click.echo("\n".join(WORDS[fault] for fault in found) or "符合口令承诺")
    return Exit.FINDINGS if found else Exit.CLEAN


@command.command("show")
@click.argument("account")
@click.option("--reason", required=True, help="Why; sealed with your name before anything is shown.")
@click.pass_obj
def show(app: App, account: str, reason: str) -> None:
    """Show what ACCOUNT has now, to who may (people.yaml). To whom it was shown or refused, and why, is evidence."""
    click.echo(_told(app, account, reason).reveal())


@command.command("copy")
@click.argument("account")
@click.option("--reason", required=True, help="Why; sealed with your name before anything is copied.")
@click.option("--seconds", type=click.IntRange(1, 300), default=30, show_default=True, help="Until it is taken off.")
@click.pass_obj
def copy(app: App, account: str, reason: str, seconds: int) -> None:
    """Put what ACCOUNT has now on the clipboard of your own terminal (OSC 52, also by SSH), and take it off again."""
    from agent.cli.terminal import copy_aside, terminal

    with terminal():  # before anything is told of it
        secret = _told(app, account, reason)
    click.echo(f"on the clipboard for {seconds} s", err=True)
    copy_aside(secret, seconds)


def _told(app: App, account: str, reason: str) -> Secret:
    """The current secret of an account, once it is evidence that it leaves the vault."""
    from agent.flows.passwords import may_see
    from agent.model.errors import AgentError, RefusedError
    from agent.vault.vault import CURRENT

    found = [row for row in app.vault.versions([account]).get(account, []) if row.state == CURRENT]
    if not found:
        raise AgentError(
            "the vault holds nothing current of that account", where=account, remedy="agent password status"
        )
    if not reason.strip():
        raise AgentError("a reason is wanted", remedy="--reason 'what it is for'")
    if why := may_see(app, account):
        app.vault.tell("refused", found, to=app.operator, reason=reason.strip())
        raise RefusedError(why, where=account, remedy="ask who answers for it, or have people.yaml changed")
    text = app.vault.reveal(found[0])
    app.vault.tell("shown", found, to=app.operator, reason=reason.strip())
    return text


@command.command("status")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.pass_obj
def status(app: App, *, as_json: bool) -> int:
    """Show every managed account: age, days left, policy, how and when it was last proven. Nothing is decrypted.

    Exit codes: 0 all are in time, 1 something is due, overdue, missing or not settled.
    """
    from agent.flows.passwords import status as standings
    from agent.flows.passwords import strays
    from agent.vault.standing import State

    found = standings(app)
    if as_json:
        for one in found:
            click.echo(
                json.dumps(
                    {
                        "account": one.account.id,
                        "kind": one.account.kind,
                        "state": one.state,
                        "age": one.age,
                        "left": one.left,
                        "policy": one.account.policy,
                        "verified": one.verified,
                        "way": one.way,
                        "why": one.why,
                    },
                    ensure_ascii=False,
                )
            )
    else:
        _table(found)
    left = strays(app)
    for name in left:
        app.warn(f"{name} is pending and not declared: declare it again and --settle, or agent password forget")
    return Exit.CLEAN if not left and all(one.state is State.GOOD for one in found) else Exit.FINDINGS


def _table(found: Sequence[Standing]) -> None:
    from collections import Counter

    from agent.cli.table import echo_table
    from agent.vault.standing import WORDS

    rows = [
        (
            one.account.id,
            one.account.kind,
            WORDS[one.state],
            "-" if one.age is None else str(one.age),
            "-" if one.left is None else str(one.left),
            one.account.policy,
            one.verified[:10] or "-",
            one.way or "-",
            one.why,
        )
        for one in found
    ]
    echo_table(("account", "kind", "state", "age", "left", "policy", "proven", "by", ""), rows)
    counts = Counter(one.state for one in found)
    click.echo(f"{len(found)} accounts: " + ", ".join(f"{WORDS[state]} {count}" for state, count in counts.items()))


@command.command("forget")
@click.argument("account")
@click.option("--reason", required=True, help="Why; sealed with your name.")
@click.pass_obj
def forget(app: App, account: str, reason: str) -> None:
    """Give up what is pending of ACCOUNT, which accounts.yaml declares no more. Its text is kept for 90 days."""
    from agent.flows import passwords
    from agent.model.errors import AgentError

    if not reason.strip():
        raise AgentError("a reason is wanted", remedy="--reason 'why it is given up'")
    passwords.forget(app, account, reason.strip())
    click.echo(f"{account}: given up")


@command.command("audit")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.pass_obj
def audit(app: App, *, as_json: bool) -> int:
    """Hold every current password to its policy and say what breaks it, and where. No password is shown.

    Exit codes: 0 nothing is wrong, 1 something is.
    """
    from agent.flows.passwords import audit as audited
    from agent.model.password import WORDS

    found = audited(app)
    wrong = [one for one in found if one.faults]
    for one in found if as_json else wrong:
        if as_json:
            body = {"account": one.account, "managed": one.managed, "policy": one.policy}
            body |= {"faults": [fault.value for fault in one.faults], "also": one.also}
            click.echo(json.dumps(body, ensure_ascii=False))
        else:
            also = f"（同于 {'、'.join(one.also)}）" if one.also else ""
            click.echo(f"{one.account}: {'；'.join(WORDS[fault] for fault in one.faults)}{also}")
    if not as_json:
        click.echo(f"{len(found)} passwords, {len(wrong)} of them break their policy")
    return Exit.FINDINGS if wrong else Exit.CLEAN


@command.command("rotate")
@click.option("--due", is_flag=True, help="What is due by its policy, missing or not settled.")
@click.option("--all", "everything", is_flag=True, help="Every managed account.")
@click.option("--account", "names", multiple=True, help="An account, or all of a target; may be given again.")
@click.option("--settle", is_flag=True, help="Only find out what an earlier run left open; change nothing else.")
@click.option("--reason", default="", help="Sealed with the result.")
@click.option("--dry-run", is_flag=True, help="Name the accounts and what depends on them, and stop.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.pass_obj
def rotate(
    app: App,
    names: tuple[str, ...],
    reason: str,
    *,
    due: bool,
    everything: bool,
    settle: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Give accounts new passwords. None is ever lost: what a kill or a cut line leaves open, the next run settles.

    Exit codes: 0 all were changed, 1 some kept the old one or were held back, 3 some were not reached or are open.
    """
    from agent.flows import passwords

    if sum((due, everything, bool(names))) + (settle and not names) != 1:
        raise click.UsageError("name one of --due, --all, --account, --settle (of --account, too)")
    app.require_ops_location()
    accounts = (
        passwords.due(app) if due
        else passwords.chosen(app, names) if names
        else passwords.unsettled(app) if settle
        else [account for account in app.accounts if account.kind != "manual"]
    )  # fmt: skip
    if not as_json:
        _dependents(accounts)
    if dry_run:
        click.echo("\n".join(account.id for account in accounts) or "nothing is due")
        return Exit.CLEAN
    said = reason.strip() or ("到期轮换" if due else "核实" if settle else "计划轮换")
    return _rotated(app, accounts, said, settle_only=settle, as_json=as_json)


def _dependents(accounts: Sequence[Managed]) -> None:
    for account in accounts:
        for each in account.dependents:
            click.echo(f"{account.id}: also {each.host} {each.file} ({each.key}) {each.service}".rstrip())
        if account.plan:
            click.echo(f"{account.id}: {account.plan}")


def _rotated(app: App, accounts: Sequence[Managed], reason: str, *, settle_only: bool, as_json: bool) -> int:
    from agent.flows.rotation import WORDS, Ended, rotate

    def watch(event: Event) -> None:
        if event.step in {"settle", "change", "end"} and sys.stderr.isatty():
            say(f"{event.host}: {event.step} {event.count}", err=True)

    done = rotate(app, accounts, watch, reason=reason, settle_only=settle_only)
    for one in done:
        if as_json:
            body = {"account": one.account, "ended": one.ended, "way": one.way, "version": one.version, "why": one.why}
            click.echo(json.dumps(body, ensure_ascii=False))
        else:
            why = f"（{one.why}）" if one.why else ""
            way = f" {one.way}" if one.ended is Ended.ROTATED else ""
            click.echo(f"{one.account}: {WORDS[one.ended]}{way}{why}")
    ends = {one.ended for one in done}
    if not as_json:
        counts = {end: sum(one.ended is end for one in done) for end in Ended if end in ends}
        told = ", ".join(f"{WORDS[end]} {count}" for end, count in counts.items()) or "nothing to do"
        click.echo(f"{len(done)} accounts: {told}")
    if ends & {Ended.OPEN, Ended.UNREACHED}:
        return Exit.INCOMPLETE
    return Exit.FINDINGS if ends & {Ended.KEPT, Ended.HELD} else Exit.CLEAN


@command.command("generate")
@click.option("--for", "kind", default="manual", show_default=True, help="Kind of target whose characters it may have.")
@click.option("--length", type=click.IntRange(min=1), help="Characters (default: 24, or what the target takes).")
@click.option("--name", "names", multiple=True, help="Must not occur in it; may be given again.")
@click.pass_obj
def generate(app: App, kind: str, length: int | None, names: tuple[str, ...]) -> None:
    """Make a new password and print it. The vault makes its own: this is for what it does not manage."""
    from agent.flows.passwords import known_names
    from agent.model.errors import AgentError
    from agent.vault.generate import CHARACTERS
    from agent.vault.generate import generate as make

    if kind not in CHARACTERS:
        raise AgentError(f"no such kind of target: {kind}", remedy=f"one of {', '.join(CHARACTERS)}")
    click.echo(make(CHARACTERS[kind], names=(*known_names(app), *names), length=length or 0).reveal())


def _read(app: App) -> Secret:
    from agent.model.errors import AgentError
    from agent.model.secret import Secret

    if sys.stdin.isatty():
        said = app.ask("password")
        if said is not None:
            return said
    try:
        text = sys.stdin.readline(_LONGEST)
    except UnicodeDecodeError as error:
        raise AgentError("standard input is not UTF-8") from error
    if not text.strip("\r\n"):
        raise AgentError(
            "no password on standard input", remedy="agent password check < FILE, or type it at a terminal"
        )
    return Secret(text.strip("\r\n"))


command.add_command(emergency)
command.add_command(manual)
command.add_command(weak)
