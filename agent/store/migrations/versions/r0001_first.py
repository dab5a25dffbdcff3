"""The first schema: evidence, runs, jobs; the chain's tables only grow.

Revision ID: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

APPEND_ONLY = ("ledger_entry", "checkpoint")


def upgrade() -> None:
    """Create every table and the triggers of the append-only ones."""
    _evidence()
    _runs()
    _jobs()
    for table in APPEND_ONLY:
        _refuse_changes(table)


def downgrade() -> None:
    """There is no way back: evidence is never dropped by a program."""
    raise RuntimeError("a schema is not taken back: restore a backup instead")


def _refuse_changes(table: str) -> None:
    words = f"{table} is append-only"
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("update", "delete"):
            op.execute(
                f"create trigger {table}_no_{verb} before {verb} on {table} begin select raise(abort, '{words}'); end"
            )
        return
    op.execute(
        f"create function {table}_append_only() returns trigger language plpgsql as "
        f"$$ begin raise exception '{words}' using errcode = 'integrity_constraint_violation'; end $$"
    )
    for when, each in (("update or delete", "row"), ("truncate", "statement")):
        op.execute(
            f"create trigger {table}_no_{each} before {when} on {table} "
            f"for each {each} execute function {table}_append_only()"
        )


def _evidence() -> None:
    op.create_table(
        "ledger_entry",
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("run", sa.String(length=40), nullable=False),
        sa.Column("blob", sa.String(length=64), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("prev", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.CheckConstraint("seq > 0", name=op.f("ck_ledger_entry_seq_positive")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_ledger_entry")),
        sa.UniqueConstraint("hash", name=op.f("uq_ledger_entry_hash")),
    )
    op.create_table(
        "blob",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=False),
        sa.Column("algorithm", sa.String(length=20), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("destroyed_at", sa.String(length=32), nullable=False),
        sa.Column("dedup", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_blob")),
        sa.UniqueConstraint("dedup", name=op.f("uq_blob_dedup")),
    )
    op.create_table(
        "checkpoint",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("ed25519", sa.LargeBinary(), nullable=False),
        sa.Column("ecdsa", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_checkpoint")),
    )


def _runs() -> None:
    op.create_table(
        "run",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("period", sa.String(length=60), nullable=False),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("operator", sa.String(length=80), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("started_at", sa.String(length=32), nullable=False),
        sa.Column("finished_at", sa.String(length=32), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.CheckConstraint("state in ('open','observed','judged','closed')", name=op.f("ck_run_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
    )
    op.create_table(
        "task",
        sa.Column("run", sa.String(length=40), nullable=False),
        sa.Column("target", sa.String(length=80), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.Column("evidence", sa.Integer(), nullable=True),
        sa.Column("nonce", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.CheckConstraint("state in ('waiting','done','unreached')", name=op.f("ck_task_state")),
        sa.ForeignKeyConstraint(["run"], ["run.id"], name=op.f("fk_task_run")),
        sa.PrimaryKeyConstraint("run", "target", "kind", name=op.f("pk_task")),
    )
    op.create_table(
        "finding",
        sa.Column("run", sa.String(length=40), nullable=False),
        sa.Column("key", sa.String(length=16), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("target", sa.String(length=80), nullable=False),
        sa.Column("layer", sa.String(length=20), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("check", sa.String(length=120), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("severity", sa.String(length=10), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["run.id"], name=op.f("fk_finding_run")),
        sa.PrimaryKeyConstraint("run", "key", name=op.f("pk_finding")),
    )
    op.create_index("ix_finding_key", "finding", ["key"], unique=False)
    op.create_table(
        "verdict",
        sa.Column("run", sa.String(length=40), nullable=False),
        sa.Column("target", sa.String(length=80), nullable=False),
        sa.Column("control", sa.String(length=60), nullable=False),
        sa.Column("location", sa.String(length=400), nullable=False),
        sa.Column("outcome", sa.String(length=20), nullable=False),
        sa.Column("actual", sa.Text(), nullable=False),
        sa.Column("expected", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["run.id"], name=op.f("fk_verdict_run")),
        sa.PrimaryKeyConstraint("run", "target", "control", "location", name=op.f("pk_verdict")),
    )
    op.create_table(
        "changelog",
        sa.Column("source", sa.String(length=120), nullable=False),
        sa.Column("version", sa.String(length=120), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("fetched_at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("source", "version", name=op.f("pk_changelog")),
    )


def _jobs() -> None:
    op.create_table(
        "job_slot",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("job", sa.String(length=120), nullable=False),
        sa.Column("due_at", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(length=120), nullable=False),
        sa.Column("lease_until", sa.String(length=32), nullable=False),
        sa.Column("not_before", sa.String(length=32), nullable=False),
        sa.Column("finished_at", sa.String(length=32), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.CheckConstraint("state in ('due','claimed','done','failed','missed')", name=op.f("ck_job_slot_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_slot")),
        sa.UniqueConstraint("job", "due_at", name=op.f("uq_job_slot_job_due_at")),
    )
