from __future__ import annotations

import multiprocessing
import sqlite3
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from agent.model.errors import StoreError
from agent.store import schema
from agent.store.engine import filesystem, open_store
from agent.store.migrate import HEAD, MIGRATIONS

ENTRY = {"seq": 1, "at": "t", "kind": "k", "run": "", "blob": "", "size": 0, "prev": "p", "hash": "h"}
CHECKPOINT = {"id": 1, "seq": 1, "text": "t", "ed25519": b"e", "ecdsa": b"c"}


def test_a_new_database_is_private_and_durable(tmp_path):
    with open_store(tmp_path / "state") as store, store.read() as connection:
        pragmas = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete", "busy_timeout")
        }
    assert pragmas == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "secure_delete": 1,
        "busy_timeout": 60000,
    }
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    for file in (tmp_path / "state").iterdir():
        assert file.stat().st_mode & 0o777 == 0o600, file


def test_a_readable_database_is_closed_again(tmp_path):
    open_store(tmp_path).close()
    (tmp_path / "agent.db").chmod(0o644)
    open_store(tmp_path).close()
    assert (tmp_path / "agent.db").stat().st_mode & 0o777 == 0o600


def test_every_reader_and_writer_has_the_pragmas(tmp_path):
    with open_store(tmp_path) as store, store.write() as one, store.read() as two, store.read() as three:
        for connection in (one, two, three):
            assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
            assert connection.execute(text("PRAGMA synchronous")).scalar() == 2


def test_a_write_is_all_or_nothing(tmp_path):
    with open_store(tmp_path) as store:
        with suppress(RuntimeError), store.write() as connection:
            connection.execute(schema.ledger_entry.insert().values(ENTRY))
            raise RuntimeError
        with store.read() as connection:
            assert connection.execute(select(schema.ledger_entry)).all() == []


def test_a_write_begins_at_once_so_that_no_other_process_comes_between(tmp_path):
    with open_store(tmp_path) as store, store.write():
        other = sqlite3.connect(tmp_path / "agent.db", timeout=0, isolation_level=None)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        other.close()


def test_a_read_sees_one_snapshot(tmp_path):
    with open_store(tmp_path) as store, store.read() as reader:
        assert reader.execute(select(schema.ledger_entry)).all() == []
        with store.write() as writer:
            writer.execute(schema.ledger_entry.insert().values(ENTRY))
        assert reader.execute(select(schema.ledger_entry)).all() == []


def test_a_nested_write_is_named_instead_of_hanging(tmp_path):
    with open_store(tmp_path) as store:
        with pytest.raises(StoreError, match="inside another"), store.write(), store.write():
            pass
        with store.write():
            pass


def test_threads_take_turns(tmp_path):
    with open_store(tmp_path) as store:

        def count() -> None:
            for _ in range(10):
                with store.write() as connection:
                    last = connection.execute(text("select coalesce(max(seq), 0) from ledger_entry")).scalar()
                    connection.execute(
                        schema.ledger_entry.insert().values(ENTRY | {"seq": last + 1, "hash": f"{last}"})
                    )

        threads = [threading.Thread(target=count) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with store.read() as connection:
            assert connection.execute(text("select max(seq), count(*) from ledger_entry")).one() == (80, 80)


@pytest.mark.parametrize(("table", "row"), [(schema.ledger_entry, ENTRY), (schema.checkpoint, CHECKPOINT)])
@pytest.mark.parametrize("verb", ["update {0} set seq = 9", "delete from {0}"])
def test_the_chain_only_grows(tmp_path, table, row, verb):
    with open_store(tmp_path) as store:
        with store.write() as connection:
            connection.execute(table.insert().values(row))
        with pytest.raises(IntegrityError, match="append-only"), store.write() as connection:
            connection.execute(text(verb.format(table.name)))
        with store.read() as connection:
            assert connection.execute(select(table.c.seq)).scalars().all() == [1]


def test_migrations_make_exactly_the_declared_schema(tmp_path):
    with open_store(tmp_path) as store, store.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, schema.metadata) == []
        made = connection.execute(text("select sql from sqlite_master where type = 'table'")).scalars().all()
    # Alembic does not compare checks; SQLite keeps the text of each.
    for table in schema.metadata.tables.values():
        for constraint in table.constraints:
            if type(constraint).__name__ == "CheckConstraint":
                assert any(str(constraint.sqltext) in sql for sql in made), constraint


def test_head_is_the_newest_migration():
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def _open(folder: Path, start: multiprocessing.synchronize.Event, answers: multiprocessing.Queue) -> None:
    start.wait()
    try:
        with open_store(folder) as store, store.write() as connection:
            connection.execute(text("insert into changelog values ('s', hex(randomblob(8)), '', '')"))
        answers.put("ok")
    except BaseException as error:
        answers.put(repr(error))
        raise


def test_eight_processes_open_a_new_database_at_once(tmp_path):
    context = multiprocessing.get_context("fork")
    start, answers = context.Event(), context.Queue()
    children = [context.Process(target=_open, args=(tmp_path / "state", start, answers)) for _ in range(8)]
    for child in children:
        child.start()
    start.set()
    assert [answers.get(timeout=60) for _ in children] == ["ok"] * 8
    for child in children:
        child.join()
    with open_store(tmp_path / "state") as store, store.read() as connection:
        assert connection.execute(text("select count(*) from changelog")).scalar() == 8


def test_a_second_start_does_not_load_alembic(tmp_path):
    open_store(tmp_path).close()
    code = (
        "import sys; from pathlib import Path; from agent.store.engine import open_store; "
        f"open_store(Path({str(tmp_path)!r})).close(); print('alembic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_a_newer_database_is_refused(tmp_path):
    with open_store(tmp_path) as store, store.write() as connection:
        connection.execute(text("update alembic_version set version_num = '9999'"))
    with pytest.raises(StoreError, match=r"revision 9999.*newer than this program") as caught:
        open_store(tmp_path)
    assert caught.value.remedy


def test_a_failed_migration_leaves_nothing(tmp_path):
    with sqlite3.connect(tmp_path / "agent.db") as raw:
        raw.execute("create table job_slot (mine text)")  # stands in the way of the last table
    with pytest.raises(StoreError, match="already exists"):
        open_store(tmp_path)
    with sqlite3.connect(tmp_path / "agent.db") as raw:
        assert [name for (name,) in raw.execute("select name from sqlite_master")] == ["job_slot"]


@pytest.mark.parametrize("damage", [b"this is no database, it is a letter" * 100, b""])
def test_damage_is_a_clear_error_and_emptiness_a_new_database(tmp_path, damage):
    (tmp_path / "agent.db").write_bytes(damage)
    if not damage:
        open_store(tmp_path).close()
        return
    with pytest.raises(StoreError, match="damaged") as caught:
        open_store(tmp_path)
    assert "agent.db" in str(caught.value)
    assert "backup" in caught.value.remedy


def test_damage_in_the_middle_is_a_clear_error(tmp_path):
    with open_store(tmp_path) as store, store.write() as connection:
        for number in range(600):
            connection.execute(text("insert into changelog values ('s', :n, :t, '')"), {"n": number, "t": "x" * 900})
    with (tmp_path / "agent.db").open("r+b") as file:
        file.seek(4096 * 60)  # behind the schema, among the rows
        file.write(b"\xff" * 4096 * 40)
    with open_store(tmp_path) as store, pytest.raises(StoreError, match="damaged"), store.write() as connection:
        connection.execute(text("delete from changelog"))


def test_a_lock_held_for_too_long_is_a_clear_error(tmp_path):
    holder = open_store(tmp_path)
    waiter = open_store(tmp_path)
    with holder.write():
        with waiter.read() as connection:
            connection.exec_driver_sql("PRAGMA busy_timeout=50")
        with pytest.raises(StoreError, match="another process holds") as caught, waiter.write():
            pass
    assert "fuser" in caught.value.remedy
    holder.close()
    waiter.close()


FULL = """
import resource, sys
from pathlib import Path
from sqlalchemy import text
from agent.model.errors import StoreError
from agent.store.engine import open_store
store = open_store(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
done = 0
try:
    while True:
        with store.write() as connection:
            connection.execute(text("insert into changelog values ('s', :n, :t, '')"), {"n": done, "t": "x" * 9000})
        done += 1
except StoreError as error:
    print(done)
    print(error)
"""


def test_a_full_disk_is_a_clear_error_and_what_was_acknowledged_is_there(tmp_path):
    result = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=True)
    done, *message = result.stdout.splitlines()
    assert int(done) > 0
    assert "full" in message[0]
    assert "free space" in message[1]
    with open_store(tmp_path) as store, store.read() as connection:
        assert connection.execute(text("select count(*) from changelog")).scalar() == int(done)
        assert connection.execute(text("PRAGMA integrity_check")).scalar() == "ok"


def test_network_file_systems_are_refused(tmp_path, monkeypatch):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "1 0 8:1 / / rw - ext4 /dev/vda rw\n"
        f"2 1 0:40 / {tmp_path} rw shared:1 - nfs4 server:/x rw\n"
        f"3 1 0:41 / {tmp_path}/local\\040disk rw - xfs /dev/vdb rw\n"
    )
    assert filesystem(tmp_path / "state", mounts) == "nfs4"
    assert filesystem(tmp_path / "local disk" / "state", mounts) == "xfs"
    assert filesystem(Path("/etc"), mounts) == "ext4"
    assert filesystem(tmp_path, tmp_path / "none") == ""
    monkeypatch.setattr("agent.store.engine.filesystem", lambda folder: filesystem(folder, mounts))
    with pytest.raises(StoreError, match="network file system") as caught:
        open_store(tmp_path / "state")
    assert "PostgreSQL" in caught.value.remedy


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path):
    (tmp_path / "state").write_text("a file stands here")
    with pytest.raises(StoreError, match="cannot read or write"):
        open_store(tmp_path / "state")


@pytest.mark.parametrize(
    ("url", "message"), [("nonsense", "not understood"), ("mysql://h/d", "kind mysql are not supported")]
)
def test_other_databases_are_refused(tmp_path, url, message):
    with pytest.raises(StoreError, match=message):
        open_store(tmp_path, url)


def test_an_absent_server_is_a_clear_error_without_the_password(tmp_path):
    with pytest.raises(StoreError, match="cannot be reached") as caught:
        open_store(tmp_path, "postgresql://ops:hunter2secret@127.0.0.1:1/agent")
    assert "hunter2secret" not in str(caught.value)
