"""Passwords of the workspace: how they stand, what is wrong with them, what must not occur in one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.declared.accounts import EVERY
from agent.declared.people import CORE, load_people
from agent.declared.tickets import SHANGHAI
from agent.model.account import SSH
from agent.model.errors import AgentError, RefusedError
from agent.model.password import UNDERTAKING, Fault
from agent.vault.policy import faults
from agent.vault.standing import State, standings
from agent.vault.vault import CURRENT, PASSWORD, PENDING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from agent.app import App
    from agent.model.account import Managed
    from agent.model.asset import Database, Host
    from agent.vault.standing import Standing


@dataclass(frozen=True, slots=True)
class Audited:
    """What is wrong with one account's password; never the password."""

    account: str
    faults: tuple[Fault, ...]
    managed: bool
    """Whether inventory/accounts.yaml declares it."""
    policy: str = UNDERTAKING.name
    also: tuple[str, ...] = ()
    """Accounts that have or had the same."""


def known_names(app: App) -> tuple[str, ...]:
    """Names of targets, accounts, people and of both parties. Raises DeclaredError."""
    inventory, contract = app.inventory, app.contract
    targets: list[Host | Database] = [*inventory.hosts, *inventory.databases]
    people = load_people(app.root)
    found = [target.name for target in targets] + [target.user for target in targets]
    found += [word for person in people for word in (person.name, person.login)]
    found += [contract.customer, contract.vendor]
    return tuple(dict.fromkeys(filter(None, found)))


def status(app: App) -> list[Standing]:
    """How every managed account stands; nothing is decrypted. Raises DeclaredError, IntegrityError."""
    rows = app.vault.versions(account.id for account in app.accounts)
    return standings(app.accounts, rows, app.password_policies, app.clock())


def due(app: App) -> list[Managed]:
    """Accounts that are to be changed now, and those whose last change is still open."""
    wanted = {State.DUE, State.EXPIRED, State.MISSING, State.OPEN, State.HELD}
    return [one.account for one in status(app) if one.state in wanted and one.account.kind != "manual"]


def audit(app: App) -> list[Audited]:
    """Every current password held to its policy; those without a fault are among them."""
    names = known_names(app)
    managed = {account.id: account for account in app.accounts}
    standing = {one.account.id: one for one in status(app)}
    found = []
    for name, rows in app.vault.versions().items():
        row = next((row for row in rows if row.state == CURRENT and row.kind == PASSWORD), None)
        if row is None:
            continue
        account = managed.get(name)
        policy = app.password_policies[account.policy] if account else UNDERTAKING
        text = app.vault.reveal(row)
        user = name.rpartition("@")[0]
        wrong = list(faults(text, policy, names=(*names, *filter(None, user.split(":")))))
        also = app.vault.used(text, but=name)
        if also:
            wrong.append(Fault.REUSED)
        one = standing.get(name)
        if one and (one.left is None or one.left < 0):
            wrong.append(Fault.EXPIRED)
        found.append(Audited(name, tuple(wrong), account is not None, policy.name, also))
    return found


def chosen(app: App, names: Iterable[str]) -> list[Managed]:
    """Managed accounts by their ids (with their SSH keys), or by the name of a target: all that are there.

    Raises:
        AgentError: one is not declared.
    """
    found: dict[str, Managed] = {}
    for name in names:
        mine = [
            account
            for account in app.accounts
            if name in {account.id, account.id.removesuffix(SSH), account.target, account.host}
        ]
        if not mine:
            raise AgentError(
                "no such managed account or target",
                where=name,
                remedy="see agent password status; declare it in inventory/accounts.yaml",
            )
        found |= {account.id: account for account in mine}
    return list(found.values())


def may_see(app: App, account: str) -> str:
    """Why the operator may not be shown what an account has; empty: may.

    Who may: core people, who answers for it, and whose account people.yaml says it is. This stops mistakes, not one who
    is root here and opens the vault by himself. Raises DeclaredError.
    """
    day = app.clock().astimezone(SHANGHAI).date()
    mine = [each for each in load_people(app.root) if each.login and each.login == app.operator and each.here(day)]
    if not mine:
        return f"{app.operator} is nobody of people.yaml who works here today"
    managed = next((each for each in app.accounts if each.id == account), None)
    user, _, target = account.partition("#")[0].rpartition("@")
    host = next((each for each in app.inventory.hosts if each.name == target), None)
    seats = {f"{user.partition(':')[0]}@{place}" for place in {target, EVERY, *(host.groups if host else ())}}
    for person in mine:
        answers = managed is not None and managed.person in {person.name, person.login} - {""}
        if person.role in CORE or answers or not seats.isdisjoint((*person.accounts, *person.privileged)):
            return ""
    return f"{app.operator} does not answer for it, and people.yaml gives it to others"


def strays(app: App) -> list[str]:
    """Accounts with a change whose end is not known, and that inventory/accounts.yaml does not declare (any more)."""
    known = {account.id for account in app.accounts}
    return [
        name
        for name, rows in app.vault.versions().items()
        if name not in known and any(row.state == PENDING for row in rows)
    ]


def forget(app: App, account: str, reason: str) -> None:
    """Give up what is pending of an account that is declared no more; its text is kept for the policy's days.

    Raises:
        RefusedError: it is declared, so that the next rotation settles it; or nothing is pending of it.
    """
    if any(each.id == account for each in app.accounts):
        remedy = "agent password rotate --settle"
        raise RefusedError("it is declared: the next run settles it", where=account, remedy=remedy)
    pending = [row for row in app.vault.versions([account]).get(account, []) if row.state == PENDING]
    if not pending:
        raise RefusedError("nothing is pending of it", where=account, remedy="see agent password status")
    app.vault.void(pending[0], f"{reason}（{app.operator}）")


def of_person(accounts: Sequence[Managed], person: str, logins: Iterable[str]) -> list[Managed]:
    """Managed accounts that a person answers for, or that bear one of the person's logins."""
    words = {person, *logins}
    return [account for account in accounts if account.person in words or account.user in words]


def unsettled(app: App) -> list[Managed]:
    """Managed accounts with a change whose end is not known."""
    rows = app.vault.versions(account.id for account in app.accounts)
    return [account for account in app.accounts if any(row.state == PENDING for row in rows.get(account.id, []))]


def warn_of(accounts: Iterable[Managed], warn: Callable[[str], None]) -> None:
    """Name what breaks when an account changes: programs that hold its password, and nobody told them how."""
    for account in accounts:
        if account.held:
            warn(f"{account.id} is a service account without a plan: its programs stop logging in")
        for each in account.dependents:
            warn(f"{account.id} is also in {each.host} {each.file} ({each.key})")
