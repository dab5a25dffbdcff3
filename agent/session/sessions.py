"""Opens sessions: one connection a host, shared by scripts, tunnels and the hosts behind a bastion."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import socket
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

import paramiko

from agent.model.asset import Database, Host, Inventory
from agent.model.errors import UnreachedError
from agent.model.observation import Reason
from agent.model.ports import CredentialSource
from agent.model.session import Command, Result
from agent.session import legacy, sql, ssh
from agent.session.deadline import Deadline, Watchdog
from agent.session.exchange import Plan, Stream, converse
from agent.session.failure import explain
from agent.session.hostkeys import HostKey, KnownHosts
from agent.session.local import LocalConnection
from agent.session.tunnel import Tunnel

_SHARED_GRACE = 2.0
"""Seconds that a connection which others use as well may outlive one user's deadline."""


class _Connection(Protocol):
    banner: str

    @property
    def alive(self) -> bool: ...
    def start(self, line: str, clock: Deadline) -> Stream: ...
    def kill(self) -> None: ...
    def close(self) -> None: ...


@dataclass(eq=False)
class _Entry:
    """A connection and how many use it; the future lets late comers wait for the first one's attempt."""

    future: concurrent.futures.Future[_Connection] = field(default_factory=concurrent.futures.Future)
    users: int = 1

    @property
    def usable(self) -> bool:
        return not self.future.done() or (self.future.exception() is None and self.future.result().alive)


class SshSession:
    """Implements `model.ports.Session` over any connection (ssh, ssh-legacy, local)."""

    def __init__(self, owner: SshSessions, host: Host, entry: _Entry, spent: float) -> None:
        self._owner, self._host, self._entry, self._spent = owner, host, entry, spent
        self._connection = entry.future.result()
        self.banner = self._connection.banner
        """The server's identification string as it came; hostile text."""
        self._open = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, command: Command) -> Result:
        """Run a script by standard input of `sh -s`.

        `command.deadline` counts from the opening for the first run (connecting
        is part of the call), from now for later ones. Raises UnreachedError.
        """
        started = time.monotonic()
        clock = Deadline(command.deadline - self._spent)
        self._spent = 0.0
        plan = self._owner.plan(self._host, privileged=command.privileged)
        stream: Stream | None = None
        grace = _SHARED_GRACE if self._entry.users > 1 else 0.0
        with Watchdog(clock, self._connection.kill, grace=grace) as dog:
            try:
                stream = self._connection.start(plan.line(clock.remaining()), clock)
                code, out, err = converse(stream, plan, command.script, clock, command.limit)
            except BaseException as error:
                raise _placed(explain(error, "running the script", clock, fired=dog.fired), self._host) from error
            finally:
                if stream is not None:
                    with contextlib.suppress(Exception):  # a channel of a dead connection is closed already
                        stream.abort()
        return Result(code, out, err, time.monotonic() - started)

    def close(self) -> None:
        """Give the connection back; the last user's close ends it."""
        if self._open:
            self._open = False
            self._owner.release(self._host.name, self._entry)


def _placed(error: BaseException, host: Host) -> BaseException:
    if isinstance(error, UnreachedError) and not error.where:
        error.where = host.name
    return error


class SshSessions:
    """Implements `model.ports.Sessions`. Safe to use from many threads.

    Args:
        inventory: names the hosts, so that bastions and databases find theirs.
        credentials: where keys and passwords come from.
        known_hosts: OpenSSH file of pinned host keys; never written here but by `pin`.
    """

    def __init__(self, inventory: Inventory, credentials: CredentialSource, known_hosts: Path) -> None:
        self._inventory, self._credentials = inventory, credentials
        self.pins = KnownHosts(known_hosts)
        self._lock = threading.Lock()
        self._entries: dict[str, _Entry] = {}
        self._kept: dict[str, _Entry] = {}

    def open(self, host: Host, deadline: float) -> SshSession:
        """Connect within `deadline` seconds. Raises UnreachedError, `where` naming the host."""
        clock = Deadline(deadline)
        try:
            entry = self._acquire(host, clock)
        except UnreachedError as error:
            raise _placed(error, host) from error.__cause__
        return SshSession(self, host, entry, clock.seconds - clock.remaining())

    def open_sql(self, database: Database, deadline: float) -> sql.Sql:
        """Connect within `deadline` seconds, by tunnel where declared. Raises UnreachedError."""
        clock = Deadline(deadline)
        try:
            password = self._credentials.password(database, "database")
            if not (database.tunnel or not database.address):
                return sql.connect(database, database.address, database.port, password, clock)
            return self._open_tunnelled(database, password, clock)
        except UnreachedError as error:
            error.where = error.where or database.name
            raise

    def _open_tunnelled(self, database: Database, password: Any, clock: Deadline) -> sql.Sql:  # noqa: ANN401 - a Secret
        host = self._inventory.host(database.host)
        far = database.address or "127.0.0.1"
        if host.transport == "local":
            return sql.connect(database, far, database.port, password, clock)
        entry = self._acquire(host, clock)
        connection: Any = entry.future.result()
        tunnel = Tunnel(
            lambda: connection.dial(far, database.port or sql.port_of(database), clock), max(clock.remaining(), 0.001)
        )

        def done() -> None:
            tunnel.close()
            self.release(host.name, entry)

        try:
            session = sql.connect(database, "127.0.0.1", tunnel.port, password, clock, done=done)
            tunnel.seal()
        except UnreachedError as error:
            done()
            if isinstance(tunnel.failure, paramiko.ChannelException):
                text = f"{host.name} cannot reach {far}:{database.port} ({tunnel.failure.text})"
                raise UnreachedError(Reason.REFUSED, text) from error
            raise
        except BaseException:
            done()
            raise
        return session

    def fetch_key(self, host: Host, deadline: float) -> HostKey:
        """The key that the server shows now, through its bastion if it has one; no login. Raises UnreachedError."""
        clock = Deadline(deadline)
        try:
            if host.transport == "ssh-legacy":
                return legacy.fetch_key(host, self._plain(host, clock), self.pins.pinned(host), clock)
            return ssh.fetch_key(lambda: self._dial(host, clock), self.pins.pinned(host), clock)
        except UnreachedError as error:
            raise _placed(error, host) from error.__cause__

    def plan(self, host: Host, *, privileged: bool) -> Plan:
        """How a shell with the wanted privilege is had on a host. Raises UnreachedError(`credential-missing`)."""
        root = os.geteuid() == 0 if host.transport == "local" else host.user == "root"
        if not privileged or root or host.become.method == "none":
            return Plan()
        if not host.become.password:
            return Plan(sudo=True)
        return Plan(sudo=True, password=self._credentials.password(host, "sudo"))

    def release(self, name: str, entry: _Entry) -> None:
        """Give up one use of a connection; the last one closes it."""
        with self._lock:
            entry.users -= 1
            if entry.users > 0:
                return
            if self._entries.get(name) is entry:
                del self._entries[name]
        if entry.future.done() and entry.future.exception() is None:
            entry.future.result().close()

    def close(self) -> None:
        """Close the kept bastion connections."""
        with self._lock:
            kept, self._kept = self._kept, {}
        for name, entry in kept.items():
            self.release(name, entry)

    def _acquire(self, host: Host, clock: Deadline) -> _Entry:
        with self._lock:
            entry = self._entries.get(host.name)
            first = entry is None or not entry.usable
            if entry is None or first:
                entry = self._entries[host.name] = _Entry()
            else:
                entry.users += 1
        if first:
            try:
                entry.future.set_result(self._connect(host, clock))
            except BaseException as error:
                entry.future.set_exception(error)
                self.release(host.name, entry)
                raise
            return entry
        try:
            entry.future.result(max(clock.remaining(), 0.001))
        except concurrent.futures.TimeoutError:
            self.release(host.name, entry)
            raise clock.error("waiting for the shared connection") from None
        except UnreachedError as error:
            self.release(host.name, entry)
            raise UnreachedError(error.reason, error.message, where=error.where, remedy=error.remedy) from error
        return entry

    def _connect(self, host: Host, clock: Deadline) -> _Connection:
        if host.transport == "local":
            return LocalConnection()
        if host.transport == "ssh-legacy":
            return legacy.connect(host, self._plain(host, clock), self.pins, self._credentials, clock)
        if host.transport != "ssh":
            raise UnreachedError(Reason.UNSUPPORTED, f"transport {host.transport} is not supported yet")
        return ssh.connect(host, lambda: self._dial(host, clock), self.pins, self._credentials, clock)

    def _dial(self, host: Host, clock: Deadline) -> Any:  # noqa: ANN401 - a socket or a channel
        if host.bastion:
            return self._through(host, clock)
        try:
            return ssh.reach(host, clock)
        except OSError as error:
            raise explain(error, "connecting", clock) from error

    def _plain(self, host: Host, clock: Deadline) -> socket.socket:
        """A real socket, as asyncio wants it, also through a bastion."""
        if not host.bastion:
            sock: socket.socket = self._dial(host, clock)
            return sock
        tunnel = Tunnel(lambda: self._through(host, clock), max(clock.remaining(), 0.001))
        return socket.create_connection(("127.0.0.1", tunnel.port), max(clock.remaining(), 0.001))

    def _through(self, host: Host, clock: Deadline) -> Any:  # noqa: ANN401 - a socket or a channel
        try:
            bastion = self._inventory.host(host.bastion)
            entry = self._acquire(bastion, clock)
        except KeyError:
            raise UnreachedError(Reason.BASTION, f"bastion {host.bastion} is not in the inventory") from None
        except UnreachedError as error:
            text = f"bastion {host.bastion}: {error.message} ({error.reason})"
            raise UnreachedError(Reason.BASTION, text, remedy=error.remedy) from error
        with self._lock:  # kept open for the next host behind it
            before = self._kept.get(bastion.name)
            self._kept[bastion.name] = entry
        if before is not None:
            self.release(bastion.name, before)
        connection: Any = entry.future.result()
        try:
            return connection.dial(host.address, host.port, clock)
        except (paramiko.SSHException, EOFError, OSError) as error:
            if clock.expired:
                raise clock.error(f"connecting through bastion {host.bastion}") from error
            detail = getattr(error, "text", "") or str(error) or "the connection ended"
            text = f"bastion {host.bastion} opens no way to {host.address}:{host.port} ({detail})"
            raise UnreachedError(Reason.BASTION, text) from error
