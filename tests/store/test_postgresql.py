from __future__ import annotations

import multiprocessing
from datetime import UTC, datetime

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from agent.store import runs, schema
from agent.store.engine import open_store

NOW = datetime(2026, 11, 22, 1, 2, 3, 4, tzinfo=UTC)


def _append(folder, url, start, answers):
    start.wait()
    try:
        with open_store(folder, url) as store:
            for _ in range(5):
                with store.write() as connection:
                    last = connection.execute(text("select coalesce(max(id), 0) from job_slot")).scalar()
                    row = {"id": last + 1, "job": "j", "due_at": str(last), "state": "due"}
                    connection.execute(schema.job_slot.insert().values(row))
        answers.put("ok")
    except BaseException as error:
        answers.put(repr(error))
        raise


def test_eight_processes_open_a_new_database_and_take_turns(tmp_path, postgresql):
    context = multiprocessing.get_context("fork")
    start, answers = context.Event(), context.Queue()
    children = [context.Process(target=_append, args=(tmp_path, postgresql, start, answers)) for _ in range(8)]
    for child in children:
        child.start()
    start.set()
    assert [answers.get(timeout=60) for _ in children] == ["ok"] * 8
    for child in children:
        child.join()
    with open_store(tmp_path, postgresql) as store, store.read() as connection:
        assert connection.execute(text("select max(id), count(*) from job_slot")).one() == (40, 40)


def test_migrations_make_exactly_the_declared_schema(tmp_path, postgresql):
    with open_store(tmp_path, postgresql) as store, store.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, schema.metadata) == []


@pytest.mark.parametrize("verb", ["update checkpoint set seq = 9", "delete from checkpoint", "truncate checkpoint"])
def test_the_chain_only_grows(tmp_path, postgresql, verb):
    row = {"id": 1, "seq": 1, "text": "t", "ed25519": b"e", "ecdsa": b"c"}
    with open_store(tmp_path, postgresql) as store:
        with store.write() as connection:
            if connection.execute(select(schema.checkpoint)).first() is None:
                connection.execute(schema.checkpoint.insert().values(row))
        with pytest.raises(IntegrityError, match="append-only"), store.write() as connection:
            connection.execute(text(verb))
        with store.read() as connection:
            assert connection.execute(select(schema.checkpoint.c.seq)).scalars().all() == [1]


def test_a_read_sees_one_snapshot_and_cannot_write(tmp_path, postgresql):
    with open_store(tmp_path, postgresql) as store:
        with store.read() as reader:
            before = reader.execute(text("select count(*) from changelog")).scalar()
            runs.keep_changelog(store, "openssl", "1", "说明", NOW)
            assert reader.execute(text("select count(*) from changelog")).scalar() == before
        assert runs.changelog(store, "openssl", "1") == "说明"


def test_a_run_comes_back_as_given(tmp_path, postgresql):
    with open_store(tmp_path, postgresql) as store:
        created = runs.create_run(
            store, "r1", kind="scan", period="", plan={"a": 1}, operator="o", started_at=NOW, tasks=[("t", "host")]
        )
        assert runs.latest_runs(store, "scan") == [created]
        runs.save_judgement(store, "r1", [], [], {"n": 1})
        runs.close_run(store, "r1", NOW)
        assert runs.run_by_id(store, "r1").finished_at == NOW
