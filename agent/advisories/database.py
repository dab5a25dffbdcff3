"""Open state/feeds.db: private, on a local disk, of the right version; and say its errors in words that help."""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from agent.advisories.schema import STEPS, VERSION
from agent.model.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUSY_SECONDS = 60.0
"""How long an import of another process is waited for."""
_CACHE_KIB = 64 * 1024
_REMOTE = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "fuse.sshfs", "fuse.glusterfs"}

_REMEDIES = (
    (
        ("full", "disk i/o error"),
        "the disk under the feeds is full or failing",
        "free space (`df -h`, `dmesg | tail`), then import again: the feeds are as they were before",
    ),
    (("locked", "busy"), "another import holds the feeds", "let it end, then run the verb again"),
    (
        ("malformed", "not a database", "corrupt", "no such table", "no such column"),
        "the database of feeds is damaged",
        "move it away and import the feeds again; evidence does not lie in it",
    ),
    (
        ("readonly", "unable to open", "permission denied", "authorization"),
        "the database of feeds cannot be opened",
        "check that the folder and feeds.db belong to you (modes 0700 and 0600)",
    ),
)


@contextmanager
def guarded(file: Path) -> Iterator[None]:
    """Turn what SQLite says into a StoreError."""
    try:
        yield
    except sqlite3.Error as error:
        said = str(error)
        for words, message, remedy in _REMEDIES:
            if any(word in said.lower() for word in words):
                raise StoreError(f"{message} ({said})", where=str(file), remedy=remedy) from error
        raise StoreError(f"the database of feeds refused ({said})", where=str(file)) from error


def open_writing(file: Path) -> sqlite3.Connection:
    """Make the file when needed, and bring it to the newest version; several processes may do so at once.

    Raises:
        StoreError: network file system, no permission, damaged, or newer than this program.
    """
    from agent.store.engine import filesystem  # noqa: PLC0415 - with SQLAlchemy behind it; reading needs neither

    with guarded(file):
        _private(file)
        kind = filesystem(file.parent)
        if kind in _REMOTE:
            raise StoreError(
                f"the folder lies on a network file system ({kind}), where SQLite loses data",
                where=str(file.parent),
                remedy="put the workspace on a local disk",
            )
        connection = sqlite3.connect(file, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            # Feeds can be imported again: a commit need not outlive a power cut (NORMAL), the file must stay sound.
            _set_up(connection, "journal_mode=WAL", "synchronous=NORMAL")
            _migrate(connection, file)
        except BaseException:
            connection.close()
            raise
        return connection


def _private(file: Path) -> None:
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        if file.stat().st_mode & 0o077:
            file.chmod(0o600)
    except OSError as error:
        raise StoreError(
            f"cannot read or write ({error.strerror or error})",
            where=str(file),
            remedy="check the folder's owner, mode and free space",
        ) from error


def open_reading(file: Path) -> sqlite3.Connection:
    """Open for reading, one snapshot for the connection's life; without a file an empty database in memory."""
    with guarded(file):
        if not file.exists():
            connection = sqlite3.connect(":memory:", isolation_level=None)
            _migrate(connection, file)
            return connection
        connection = _reader(file)
        if _version(connection) < VERSION:
            connection.close()
            open_writing(file).close()
            connection = _reader(file)
        _refuse_newer(connection, file)
        connection.execute("BEGIN")
        return connection


def _reader(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS, isolation_level=None
    )
    _set_up(connection, "temp_store=MEMORY")
    return connection


def _set_up(connection: sqlite3.Connection, *pragmas: str) -> None:
    for pragma in ("trusted_schema=OFF", f"cache_size=-{_CACHE_KIB}", *pragmas):
        connection.execute(f"PRAGMA {pragma}")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _refuse_newer(connection: sqlite3.Connection, file: Path) -> None:
    version = _version(connection)
    if version > VERSION:
        connection.close()
        raise StoreError(
            f"the database of feeds (version {version}) is newer than this program (version {VERSION})",
            where=str(file),
            remedy="use the program version that wrote it, or move the file away and import the feeds again",
        )


def _migrate(connection: sqlite3.Connection, file: Path) -> None:
    _refuse_newer(connection, file)
    if _version(connection) == VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Read again: another process may have been quicker.
        for number in range(_version(connection), VERSION):
            for statement in STEPS[number].split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version={number + 1}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
