"""Fresh logins with a candidate: the one proof that a password is an account's."""

from __future__ import annotations

import contextlib
import functools
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from agent.flows.ways import LOGIN
from agent.model.account import Way
from agent.model.errors import AgentError, UnreachedError
from agent.model.observation import Reason
from agent.model.text import one_line
from agent.vault.drivers import Login
from agent.vault.vault import CURRENT, PENDING, VOID

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.app import App
    from agent.model.account import Managed
    from agent.model.asset import Database, Host
    from agent.model.ports import CredentialSource
    from agent.model.secret import Secret

_SAYS_NOTHING = ("takes only", "pg_hba.conf", "does not exist", "not permitted to log in", "is not allowed to connect")
"""A refusal of the way, not of the password."""


_PASSING = frozenset({Reason.TIMEOUT, Reason.BROKEN_OFF, Reason.REFUSED, Reason.GARBLED})
"""What a busy server does to one of many who come at once."""
_PAUSE = 1.0
"""Seconds."""
_TURNS = threading.BoundedSemaphore(16)
"""Logins at a time over all hosts: each costs a key exchange here, and more at once only makes all of them slow."""


class Candidate:
    """Implements `model.ports.CredentialSource`: one account's password is this one, the rest is as it was."""

    def __init__(self, user: str, target: str, secret: Secret, rest: CredentialSource) -> None:
        self._user, self._target, self._secret, self._rest = user, target, secret, rest

    def key_file(self, host: Host) -> str:
        """As it was."""
        return self._rest.key_file(host)

    def kept_keys(self, host: Host) -> tuple[Secret, ...]:
        """As they were."""
        return self._rest.kept_keys(host)

    def password(self, target: Host | Database, purpose: str) -> Secret:
        """The candidate for its account, whatever the purpose; else as it was."""
        if (target.user, target.name) == (self._user, self._target):
            return self._secret
        return self._rest.password(target, purpose)


class KeyCandidate:
    """Implements `model.ports.CredentialSource`: one account's key is this one alone, the rest is as it was."""

    def __init__(self, user: str, target: str, secret: Secret, rest: CredentialSource) -> None:
        self._user, self._target, self._secret, self._rest = user, target, secret, rest

    def key_file(self, host: Host) -> str:
        """None for the account. Raises UnreachedError."""
        if (host.user, host.name) == (self._user, self._target):
            raise UnreachedError(Reason.AUTH_FAILED, "the server refuses the new key")
        return self._rest.key_file(host)

    def kept_keys(self, host: Host) -> tuple[Secret, ...]:
        """The candidate for its account; else as they were."""
        mine = (host.user, host.name) == (self._user, self._target)
        return (self._secret,) if mine else self._rest.kept_keys(host)

    def password(self, target: Host | Database, purpose: str) -> Secret:
        """As it was."""
        return self._rest.password(target, purpose)


def patiently(attempt: Callable[[App, Managed, Secret], None]) -> Callable[[App, Managed, Secret], tuple[Login, str]]:
    """Make of a login, which raises what stands against it, one that waits its turn and says how it ended and why.

    A line that broke or was silent says nothing of the password, and counts nowhere: it is tried once more.
    """

    @functools.wraps(attempt)
    def again(app: App, account: Managed, secret: Secret) -> tuple[Login, str]:
        for last in (False, True):
            try:
                with _TURNS:
                    attempt(app, account, secret)
            except UnreachedError as error:
                if last or error.reason not in _PASSING:
                    return _ended(error)
                time.sleep(_PAUSE)
            except AgentError as error:  # it is in; a statement that is refused says nothing of the password
                return Login.IN, one_line(error.message, 160)
            else:
                return Login.IN, ""
        raise AssertionError("not reached")

    return again


@patiently
def by_ssh(app: App, account: Managed, secret: Secret) -> None:
    """Log in by SSH with the password alone. Nothing is run: the account's shell may be closed."""
    host = replace(app.inventory.host(account.host), user=account.user, auth="password")
    sessions = app.new_sessions(Candidate(account.user, host.name, secret, app.credentials))
    try:
        sessions.open(host, LOGIN).close()
    finally:
        sessions.close()


@patiently
def by_sql(app: App, account: Managed, secret: Secret) -> None:
    """Log in to the database."""
    database = next(each for each in app.inventory.databases if each.name == account.target)
    if database.user != account.user:
        own = {"postgresql": database.dbname}.get(database.engine, "")
        database = replace(database, user=account.user, dbname=own)
    sessions = app.new_sessions(Candidate(account.user, database.name, secret, app.credentials))
    try:
        with contextlib.closing(sessions.open_sql(database, LOGIN)) as session:
            session.query("SELECT 1")
    finally:
        sessions.close()


@patiently
def by_key(app: App, account: Managed, secret: Secret) -> None:
    """Log in by SSH with the private key alone. Nothing is run."""
    host = replace(app.inventory.host(account.host), user=account.user, auth="key")
    sessions = app.new_sessions(KeyCandidate(account.user, host.name, secret, app.credentials))
    try:
        sessions.open(host, LOGIN).close()
    finally:
        sessions.close()


_KEEPS = (PENDING, CURRENT, VOID)
_MOST = 6
"""Keys of the vault that are handed to a target, for one visit of root's."""


def keys_of(app: App, account: Managed) -> tuple[tuple[str, Secret], ...]:
    """What the vault holds for the accounts of the same service, where root gets in by a password alone (Redis).

    (user, secret), those of `default` first, newest first.
    """
    if account.kind != "redis":
        return ()
    mine = {
        each.id: each.user
        for each in app.accounts
        if (each.kind, each.host, each.at) == (account.kind, account.host, account.at)
    }
    rows = [row for rows in app.vault.versions(mine).values() for row in rows if row.sealed and row.state in _KEEPS]
    rows.sort(key=lambda row: (mine[row.account] != "default", _KEEPS.index(row.state), -row.version))
    return tuple((mine[row.account], app.vault.reveal(row)) for row in rows[:_MOST])


FROM_HERE = {Way.SSH: by_ssh, Way.SQL: by_sql}
"""Ways that are tried from here; the others are scripts on the host."""


def _ended(error: UnreachedError) -> tuple[Login, str]:
    why = one_line(f"{error.reason}: {error.message}", 160)
    refused = error.reason == Reason.AUTH_FAILED and not any(words in error.message for words in _SAYS_NOTHING)
    return (Login.REJECTED if refused else Login.BARRED), why
