"""Run by Alembic: migrate on the connection that agent.store.migrate hands over."""

from __future__ import annotations

from alembic import context

from agent.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    # SQLite's DDL is transactional once pysqlite's implicit BEGIN is off: all or nothing.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
