"""The door to the one database: opened, migrated, and used in read or write transactions.

SQLite is the default (state/agent.db); a PostgreSQL url serves several workers. On
both, one writer works at a time: a record and its chain entry are read, computed
and committed without anyone in between.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from agent.model.errors import StoreError
from agent.store.errors import from_driver, from_system, is_callers
from agent.store.migrate import migrate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

BUSY_SECONDS = 60.0
"""How long a writer of another process is waited for."""
WRITER_LOCK = 0x5EC0_0001
"""PostgreSQL advisory lock that makes writers take turns, as SQLite's do."""
_REMOTE = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "fuse.sshfs", "fuse.glusterfs"}
_WRITE = "agent_write"


class Store:
    """An open database. Shared by the threads of a process; each transaction has its own connection."""

    def __init__(self, engine: Engine, where: str) -> None:
        """Wrap an engine; use `open_store`, which prepares and migrates it."""
        self.engine = engine
        self.where = where
        """The file or the url without its password, for messages."""
        self._turn = threading.Lock()
        self._mine = threading.local()

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self.engine.dialect.name

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One write transaction: committed at the end of the block, rolled back by any exception.

        Never hold it while waiting for a target. Violated constraints leave as
        SQLAlchemy's IntegrityError, for the caller to handle.

        Raises:
            StoreError: disk full, locked for longer than BUSY_SECONDS, damaged, or nested in another write.
        """
        if getattr(self._mine, "writing", False):
            raise StoreError("a write transaction inside another of the same thread", where=self.where)
        # Threads of this process line up here; SQLite's own waiting would poll and is not fair.
        with self._turn:
            self._mine.writing = True
            try:
                with self._guarded(), self.engine.connect() as connection:
                    connection.execution_options(**{_WRITE: True})
                    with connection.begin():
                        if self.dialect == "postgresql":
                            connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": WRITER_LOCK})
                        yield connection
            finally:
                self._mine.writing = False

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One read transaction: a single snapshot for the whole block.

        Raises:
            StoreError: locked, damaged or not reachable.
        """
        with self._guarded(), self.engine.connect() as connection:
            if self.dialect == "postgresql":
                connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with connection.begin():
                yield connection

    def close(self) -> None:
        """Close all connections; safe to call twice."""
        self.engine.dispose()

    def __enter__(self) -> Self:
        """Return itself; closed at the end of the block."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """Close all connections."""
        self.close()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            if is_callers(error):
                raise
            raise from_driver(error, self.where) from error


def open_store(state: Path, url: str = "") -> Store:
    """Open the database of a workspace, made and migrated when needed; eight processes may do so at once.

    Args:
        state: the workspace's state folder; holds agent.db (mode 0600) unless a url is given.
        url: empty, or `postgresql://user@host/name`.

    Raises:
        StoreError: network file system, no permission, disk full, damaged, or newer than this program.
    """
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not url or url.startswith("sqlite"):
            return _open_sqlite(state, Path(make_url(url).database or "") if url else state / "agent.db")
        return _open_postgresql(state, url)
    except OSError as error:
        raise from_system(error, str(state)) from error


def _open_sqlite(state: Path, file: Path) -> Store:
    _refuse_remote(file.parent)
    with suppress(FileExistsError):
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    if file.stat().st_mode & 0o077:
        file.chmod(0o600)
    # Every thread of a scan may hold a connection; none waits for the pool.
    engine = create_engine(
        f"sqlite:///{file}", connect_args={"timeout": BUSY_SECONDS}, pool_size=8, max_overflow=-1, hide_parameters=True
    )

    @event.listens_for(engine, "connect")
    def _connected(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        # pysqlite would begin by itself, deferred, and too late for BEGIN IMMEDIATE.
        connection.isolation_level = None
        # Text that was tampered with must reach verification, which names its place, not fail the whole query.
        connection.text_factory = _text
        cursor = connection.cursor()
        for pragma in ("foreign_keys=ON", "synchronous=FULL", "secure_delete=ON", "trusted_schema=OFF"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        # A deferred read-then-write gets SQLITE_BUSY in spite of busy_timeout.
        write = connection.get_execution_options().get(_WRITE, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    store = Store(engine, str(file))
    migrate(store, state)
    return store


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _open_postgresql(state: Path, url: str) -> Store:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StoreError("the database url is not understood", remedy="write postgresql://USER@HOST/NAME") from error
    if parsed.get_backend_name() != "postgresql":
        raise StoreError(
            f"databases of kind {parsed.get_backend_name()} are not supported", remedy="use SQLite or PostgreSQL"
        )
    engine = create_engine(
        parsed.set(drivername="postgresql+psycopg"), pool_size=8, max_overflow=-1, hide_parameters=True
    )
    store = Store(engine, parsed.render_as_string(hide_password=True))
    migrate(store, state)
    return store


def _refuse_remote(folder: Path) -> None:
    """WAL needs shared memory and locks that network file systems do not keep (sqlite.org/wal.html)."""
    kind = filesystem(folder)
    if kind in _REMOTE:
        raise StoreError(
            f"the folder lies on a network file system ({kind}), where SQLite loses data",
            where=str(folder),
            remedy="put the workspace on a local disk, or use a PostgreSQL url",
        )


def filesystem(folder: Path, mounts: Path = Path("/proc/self/mountinfo")) -> str:
    """Type of the file system that holds the folder (`ext4`, `nfs4` ...); empty where it cannot be told."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ""
    path = str(folder.resolve())
    best, kind = -1, ""
    for line in lines:
        left, _, right = line.partition(" - ")
        point = left.split(" ")[4].replace("\\040", " ")
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        # A later mount on the same point hides the earlier one.
        if inside and len(point) >= best:
            best, kind = len(point), right.split(" ", 1)[0]
    return kind
