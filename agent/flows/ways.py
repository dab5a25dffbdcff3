"""Ways in, and whether services answer: what must be as good after a change as it was before."""

from __future__ import annotations

import contextlib
import secrets
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from agent.model.asset import Database
from agent.model.errors import AgentError, UnreachedError
from agent.model.hardening import Health
from agent.model.session import Command
from agent.model.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from agent.app import App
    from agent.model.asset import Host
    from agent.model.ports import Session

LOGIN = 15.0
"""Seconds that a fresh login may take."""
ANSWER = 3.0
"""Seconds in which a port must answer."""
WORKERS = 16


def ways(host: Host) -> tuple[str, ...]:
    """The declared ways to a host: `direct`, or `via BASTION`; several where `also_via` names more."""
    first = f"via {host.bastion}" if host.bastion else "direct"
    return tuple(dict.fromkeys([first, *("direct" if each == "direct" else f"via {each}" for each in host.also_via)]))


def by_way(host: Host, way: str) -> Host:
    """The host as it is reached by that way."""
    return replace(host, bastion="" if way == "direct" else way.removeprefix("via "))


@contextlib.contextmanager
def fresh(app: App, host: Host, way: str = "") -> Iterator[Session]:
    """A session that shares nothing with any other, by that way or the first declared. Raises UnreachedError."""
    sessions = app.new_sessions()
    try:
        with sessions.open(by_way(host, way) if way else host, LOGIN) as session:
            yield session
    finally:
        sessions.close()


def log_in(app: App, host: Host, way: str) -> None:
    """Log in afresh, and be root. Raises UnreachedError."""
    word = secrets.token_hex(6)
    with fresh(app, host, way) as session:
        result = session.run(Command(f'[ "$(id -u)" = 0 ] && echo {word}', privileged=True, deadline=LOGIN))
    if result.stdout.strip() != word.encode():
        raise UnreachedError("sudo-denied", "the fresh login did not become root", where=host.name)


def behind(app: App, host: Host) -> tuple[Host, ...]:
    """Hosts that are reached through this one."""
    return tuple(each for each in app.inventory.hosts if host.name in {each.bastion, *each.also_via})


def ways_in(app: App, host: Host, *, first: bool = True) -> tuple[list[str], list[str]]:
    """Try every declared way to a host, and through it to what lies behind; (those that stand, those that do not).

    `first=False` leaves out the first way, for one who has just come by it.
    """
    good, bad = [], []
    tries = [(host, way) for way in ways(host)[0 if first else 1 :]]
    tries += [(inner, f"via {host.name}") for inner in behind(app, host)[:1]]
    for target, way in tries:
        label = f"login {way}" if target is host else f"login {target.name} {way}"
        try:
            log_in(app, target, way)
            good.append(label)
        except AgentError as error:
            bad.append(f"{label}: {one_line(error.message, 160)}")
    return good, bad


def health(app: App, hosts: Sequence[Host]) -> tuple[Health, ...]:
    """What answers on each host: every way in, declared and probed ports, databases."""
    with ThreadPoolExecutor(WORKERS) as pool:
        return tuple(pool.map(lambda host: _health(app, host), hosts))


def worse(before: Iterable[Health], after: Iterable[Health]) -> tuple[str, ...]:
    """`HOST WHAT` of everything that answered before and does not now."""
    now = {one.host: set(one.answered) for one in after}
    return tuple(
        f"{one.host} {what}" for one in before for what in one.answered if what not in now.get(one.host, set())
    )


def _health(app: App, host: Host) -> Health:
    good, bad = ways_in(app, host)
    for listener in dict.fromkeys([*host.listeners, *app.policy.probes.get(host.name, ())]):
        proto, _, port = listener.partition("/")
        if proto != "tcp" or int(port) == host.port or host.bastion:
            continue  # UDP tells nothing, the login tells of its own port, and behind a bastion there is no way to try
        why = _silent(host.address, int(port))
        (bad if why else good).append(f"{listener}: {why}" if why else listener)
    for database in databases_on(app, host):
        why = no_database(app, database)
        (bad if why else good).append(f"{database.name}: {why}" if why else database.name)
    return Health(host.name, tuple(good), tuple(bad))


def _silent(address: str, port: int) -> str:
    try:
        with contextlib.closing(socket.create_connection((address, port), timeout=ANSWER)):
            return ""
    except OSError as error:
        return one_line(str(error), 120)


def databases_on(app: App, host: Host) -> tuple[Database, ...]:
    """Databases that run on a host and that we have a way to."""
    return tuple(each for each in app.inventory.databases if each.host == host.name)


def no_database(app: App, database: Database) -> str:
    """Why the scan's own account cannot use a database; empty when it can."""
    sessions = app.new_sessions()
    try:
        with contextlib.closing(sessions.open_sql(database, LOGIN)) as session:
            session.query("SELECT 1")
    except AgentError as error:
        return one_line(error.message, 160)
    finally:
        sessions.close()
    return ""
