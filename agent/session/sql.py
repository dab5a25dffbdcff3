"""An open way to a database: read-only, with a limit on time, errors told as what they are."""

from __future__ import annotations

import contextlib
import os
import re
import socket
from collections.abc import Callable, Sequence
from typing import Any, Self

from agent.model.asset import Database
from agent.model.errors import AgentError, ToolError, UnreachedError
from agent.model.observation import Reason
from agent.model.secret import Secret
from agent.model.text import decode, one_line
from agent.session.deadline import Deadline, Watchdog
from agent.session.failure import explain

QUERY_SECONDS = 30.0
"""Longest that one statement may take, told to the server and enforced here."""
_MOST_ROWS = 200_000
_PORTS = {"postgresql": 5432, "mysql": 3306, "mariadb": 3306}

# MySQL's and MariaDB's own codes, https://dev.mysql.com/doc/mysql-errors/8.0/en/server-error-reference.html
_MYSQL_AUTH = {1044, 1045, 1130, 1251, 1698, 1862, 2058, 2059, 2061, 3118, 4151}
_MYSQL_TLS = {2026, 3159}
_MYSQL_LOST = {2006, 2013, 2014}

_PG_WORDS = (
    # libpq's own words; ours is the C locale, so these are never translated.
    (Reason.TIMEOUT, re.compile("timeout expired|timed out")),
    (Reason.REFUSED, re.compile("Connection refused")),
    (Reason.UNREACHABLE, re.compile("No route to host|Network is unreachable|could not translate host name")),
    (Reason.ALGORITHMS, re.compile("server does not support SSL|SSL error|SSL SYSCALL")),
    (Reason.BROKEN_OFF, re.compile("server closed the connection|could not receive data|Connection reset")),
    (Reason.GARBLED, re.compile("received invalid response|unsupported frontend protocol")),
    # The server's, in its own language; libpq tells no code for a connection that failed. In a language that is
    # not here the reason is the weaker, and still true, `refused`.
    (Reason.AUTH_FAILED, re.compile("authentication failed|认证失败|驗證失敗|pg_hba.conf|no password supplied")),
    (Reason.AUTH_FAILED, re.compile("role .* (does not exist|is not permitted to log in)")),
)


def port_of(database: Database) -> int:
    """The declared port, or the engine's own."""
    return database.port or _PORTS.get(database.engine, 0)


class Sql:
    """Implements `model.ports.SqlSession` over a DB-API connection."""

    def __init__(self, name: str, connection: Any, shut: Callable[[], None], done: Callable[[], None]) -> None:  # noqa: ANN401 - a driver's connection
        self._name, self._connection, self._shut, self._done = name, connection, shut, done
        self._open = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def query(self, statement: str) -> Sequence[Sequence[object]]:
        """Rows of one SELECT; bytes become text, decoded with care but not cleaned.

        Raises:
            ToolError: the server refused the statement; `where` names the database.
            UnreachedError: `broken-off`, `timeout` or `too-much-output`.
        """
        clock = Deadline(QUERY_SECONDS + 1)
        with Watchdog(clock, self._shut) as dog:
            try:
                with contextlib.closing(self._connection.cursor()) as cursor:
                    cursor.execute(statement)
                    rows = cursor.fetchmany(_MOST_ROWS + 1)
            except Exception as error:
                raise self._error(error, clock, fired=dog.fired) from error
        if len(rows) > _MOST_ROWS:
            raise UnreachedError(Reason.TOO_MUCH, f"more than {_MOST_ROWS} rows", where=self._name)
        return [tuple(decode(bytes(x)) if isinstance(x, bytes | memoryview) else x for x in row) for row in rows]

    def _error(self, error: Exception, clock: Deadline, *, fired: bool) -> AgentError:
        if fired or clock.expired:
            return UnreachedError(Reason.TIMEOUT, f"no answer within {clock.seconds:g} s", where=self._name)
        code = getattr(error, "sqlstate", None) or (error.args[0] if error.args else "")
        text = one_line(str(error.args[-1] if error.args else error), 300)
        lost = getattr(self._connection, "closed", False) or code in _MYSQL_LOST
        if lost or isinstance(error, OSError):
            return UnreachedError(Reason.BROKEN_OFF, f"the connection ended: {text}", where=self._name)
        return ToolError(f"the server refused the statement ({code}): {text}", where=self._name)

    def close(self) -> None:
        """Close the connection and its tunnel; safe to call twice."""
        if self._open:
            self._open = False
            with contextlib.suppress(Exception):  # a broken connection is closed already
                self._connection.close()
            self._done()


def _nothing() -> None:
    pass


def connect(
    database: Database,
    address: str,
    port: int,
    password: Secret,
    clock: Deadline,
    *,
    done: Callable[[], None] = _nothing,
) -> Sql:
    """Open a read-only session at an address; `done` is called when it closes.

    Raises:
        UnreachedError: `refused`, `timeout`, `unreachable`, `auth-failed`, `no-common-algorithms` (TLS),
            `broken-off`, `garbled` or `unsupported`.
    """
    port = port or port_of(database)
    if database.engine == "postgresql":
        return _postgresql(database, address, port, password, clock, done)
    if database.engine in {"mysql", "mariadb"}:
        return _mysql(database, address, port, password, clock, done)
    raise UnreachedError(Reason.UNSUPPORTED, f"engine {database.engine} is not supported yet", where=database.name)


def _postgresql(
    database: Database, address: str, port: int, password: Secret, clock: Deadline, done: Callable[[], None]
) -> Sql:
    import psycopg  # noqa: PLC0415 - loaded where there is such a database

    def attempt(sslmode: str) -> psycopg.Connection[Any]:
        return psycopg.connect(
            host=address,
            port=port,
            user=database.user,
            password=password.reveal(),
            dbname=database.dbname or "postgres",
            sslmode=sslmode,
            # Nothing of the operator's own environment or home decides what is sent.
            passfile=os.devnull,
            sslcert="/nonexistent",
            sslkey="/nonexistent",
            gssencmode="disable",
            target_session_attrs="any",
            application_name="secops-agent",
            client_encoding="UTF8",
            connect_timeout=max(2, int(clock.remaining() + 0.5)),  # whole seconds, at least 2: libpq's rule
            options=f"-c default_transaction_read_only=on -c statement_timeout={limit} -c lock_timeout={limit}",
            autocommit=True,
        )

    limit = int(QUERY_SECONDS * 1000)
    try:
        # libpq's own `prefer` logs in a second time, without TLS, after a refused password: that would count
        # towards locking the account, and send it in the clear.
        try:
            connection = attempt("require" if database.tls == "prefer" else database.tls)
        except psycopg.OperationalError as error:
            if database.tls != "prefer" or "server does not support SSL" not in str(error):
                raise
            connection = attempt("disable")
    except psycopg.Error as error:
        raise _pg_reason(error, clock) from error
    # A copy of the descriptor: shutting it ends a blocked read, and cannot hit another file meanwhile.
    line = socket.socket(fileno=os.dup(connection.fileno()))

    def shut() -> None:
        line.shutdown(socket.SHUT_RDWR)

    def finish() -> None:
        line.close()
        done()

    return Sql(database.name, connection, shut, finish)


def _pg_reason(error: Exception, clock: Deadline) -> UnreachedError:
    text = one_line(str(error), 300)
    if clock.expired or type(error).__name__ == "ConnectionTimeout":
        return clock.error("connecting to the database")
    for reason, words in _PG_WORDS:
        if words.search(text):
            return UnreachedError(reason, text)
    return UnreachedError(Reason.REFUSED, text)


def _mysql(
    database: Database, address: str, port: int, password: Secret, clock: Deadline, done: Callable[[], None]
) -> Sql:
    import pymysql  # noqa: PLC0415 - loaded where there is such a database

    try:
        sock = socket.create_connection((address, port), timeout=max(clock.remaining(), 0.001))
    except OSError as error:
        raise explain(error, "connecting to the database", clock) from error
    line = socket.socket(fileno=os.dup(sock.fileno()))

    def shut() -> None:
        line.shutdown(socket.SHUT_RDWR)

    def finish() -> None:
        line.close()
        done()

    modes: dict[str, dict[str, Any]] = {
        "require": {"ssl": {"check_hostname": False, "verify_mode": "none"}},
        "disable": {"ssl_disabled": True},
    }
    connection = pymysql.connect(
        host=address,
        port=port,
        user=database.user,
        password=password.reveal(),
        database=database.dbname or None,
        charset="utf8mb4",
        use_unicode=False,  # GBK in a comment must not end the batch; model.text decodes
        local_infile=False,
        init_command="SET SESSION TRANSACTION READ ONLY",
        autocommit=True,
        defer_connect=True,
        **modes.get(database.tls, {}),  # prefer: the driver's own default
    )
    with Watchdog(clock, shut) as dog:
        try:
            sock.settimeout(None)
            connection.connect(sock)
            _limit(connection)
        except Exception as error:
            line.close()
            raise _mysql_reason(error, clock, fired=dog.fired) from error
    return Sql(database.name, connection, shut, finish)


def _limit(connection: Any) -> None:  # noqa: ANN401 - PyMySQL's connection
    version = str(connection.get_server_info())
    seconds = int(QUERY_SECONDS)
    maria = "mariadb" in version.lower()
    name, value = ("max_statement_time", seconds) if maria else ("max_execution_time", seconds * 1000)
    # MySQL before 5.7.8 has no such variable (1193); the watchdog here still has its limit.
    with contextlib.closing(connection.cursor()) as cursor, contextlib.suppress(Exception):
        cursor.execute(f"SET SESSION {name}={value}")


def _mysql_reason(error: Exception, clock: Deadline, *, fired: bool) -> BaseException:
    code = error.args[0] if error.args else 0
    text = one_line(str(error.args[-1] if error.args else error), 300)
    if fired or clock.expired:
        return clock.error("connecting to the database")
    if code in _MYSQL_AUTH:
        return UnreachedError(Reason.AUTH_FAILED, text)
    if code in _MYSQL_TLS or "SSL" in text:
        return UnreachedError(Reason.ALGORITHMS, text)
    if code in _MYSQL_LOST or isinstance(error, OSError) or code == 2003:  # noqa: PLR2004 - CR_CONN_HOST_ERROR
        return UnreachedError(Reason.BROKEN_OFF, text)
    if isinstance(code, int) and code:
        return UnreachedError(Reason.REFUSED, f"{text} ({code})")
    return UnreachedError(Reason.GARBLED, f"this is no MySQL server ({type(error).__name__}: {text})")
