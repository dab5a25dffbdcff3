"""Hardening: transactions on targets, and how each finding was closed.

Revision ID: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the two tables."""
    op.create_table(
        "change_tx",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("run", sa.String(length=40), nullable=False),
        sa.Column("host", sa.String(length=80), nullable=False),
        sa.Column("grp", sa.String(length=40), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("sent_at", sa.String(length=32), nullable=False),
        sa.Column("ended_at", sa.String(length=32), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["run.id"], name="fk_change_tx_run"),
        sa.PrimaryKeyConstraint("id", name="pk_change_tx"),
    )
    op.create_index("ix_change_tx_run", "change_tx", ["run"])
    op.create_index("ix_change_tx_state", "change_tx", ["state"])
    op.create_table(
        "closure",
        sa.Column("run", sa.String(length=40), nullable=False),
        sa.Column("finding", sa.String(length=16), nullable=False),
        sa.Column("target", sa.String(length=80), nullable=False),
        sa.Column("closure", sa.String(length=20), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["run.id"], name="fk_closure_run"),
        sa.PrimaryKeyConstraint("run", "finding", name="pk_closure"),
    )


def downgrade() -> None:
    """There is no way back: records of changes are never dropped by a program."""
    raise RuntimeError("a schema is not taken back: restore a backup instead")
