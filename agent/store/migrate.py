"""Bring the database to the newest revision: Alembic, from package data, one process at a time."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError

from agent.model.errors import StoreError
from agent.store.errors import from_driver

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.store.engine import Store

HEAD = "0003"
"""The newest revision in migrations/versions; a test holds the two together."""
MIGRATIONS = Path(__file__).parent / "migrations"
_MIGRATION_LOCK = 0x5EC0_0002


def migrate(store: Store, state: Path) -> None:
    """Upgrade to HEAD, in one transaction, under a lock that eight processes may contend for.

    Raises:
        StoreError: the database is newer than this program, or cannot be written.
    """
    with store.read() as connection:
        current = _revision(connection)
    if current == HEAD:
        return
    with _alone(store, state):
        with store.read() as connection:
            current = _revision(connection)
        if current != HEAD:
            _upgrade(store, current)


def _revision(connection: Connection) -> str:
    """Return the database's revision; empty for a new one."""
    if not inspect(connection).has_table("alembic_version"):
        return ""
    return str(connection.execute(text("select version_num from alembic_version")).scalar() or "")


def _upgrade(store: Store, current: str) -> None:
    # Alembic is needed once a release only; every other start is spared its import.
    from alembic import command  # noqa: PLC0415 - see above
    from alembic.config import Config  # noqa: PLC0415 - see above
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - see above
    from alembic.util import CommandError  # noqa: PLC0415 - see above

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if current and current not in known:
        raise StoreError(
            f"the database (revision {current}) is newer than this program (revision {HEAD})",
            where=store.where,
            remedy="use the program version that wrote it, or a newer one",
        )
    if store.dialect == "sqlite":
        with store.engine.connect() as connection:
            _use_wal(connection, store.where)
    try:
        with store.write() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except CommandError as error:
        raise StoreError(f"migration failed: {error}", where=store.where, remedy="restore a backup") from error
    except DBAPIError as error:
        raise from_driver(error, store.where) from error


def _use_wal(connection: Connection, where: str) -> None:
    """Switch to write-ahead logging; the file remembers it, so that this happens once."""
    raw = connection.connection.driver_connection
    assert raw is not None  # noqa: S101 - an open connection has a driver's
    mode = raw.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    if mode != "wal":
        raise StoreError(
            f"write-ahead logging is not possible here (mode {mode})", where=where, remedy="use a local disk"
        )


@contextmanager
def _alone(store: Store, state: Path) -> Iterator[None]:
    """One migrating process at a time: a file lock here, an advisory lock among the workers of a server."""
    if store.dialect == "postgresql":
        with store.engine.connect() as connection:
            connection.execute(text("select pg_advisory_lock(:key)"), {"key": _MIGRATION_LOCK})
            try:
                yield
            finally:
                connection.execute(text("select pg_advisory_unlock(:key)"), {"key": _MIGRATION_LOCK})
        return
    handle = os.open(state / "migrate.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
