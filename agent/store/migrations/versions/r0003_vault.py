"""The vault: slots, root keys sealed to them, and versions of secrets.

Revision ID: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the four tables."""
    op.create_table(
        "vault",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("balance", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_vault"),
    )
    op.create_table(
        "vault_slot",
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("public", sa.LargeBinary(), nullable=False),
        sa.Column("params", sa.Text(), nullable=False),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.CheckConstraint("kind in ('passphrase','keyfile','officer')", name="ck_vault_slot_kind"),
        sa.PrimaryKeyConstraint("name", name="pk_vault_slot"),
    )
    op.create_table(
        "vault_root",
        sa.Column("slot", sa.String(length=60), nullable=False),
        sa.Column("zone", sa.String(length=60), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["slot"], ["vault_slot.name"], name="fk_vault_root_slot"),
        sa.PrimaryKeyConstraint("slot", "zone", name="pk_vault_root"),
    )
    op.create_table(
        "secret",
        sa.Column("account", sa.String(length=200), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("zone", sa.String(length=60), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("reuse", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", sa.String(length=32), nullable=False),
        sa.Column("current_at", sa.String(length=32), nullable=False),
        sa.Column("verified_at", sa.String(length=32), nullable=False),
        sa.Column("ended_at", sa.String(length=32), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.CheckConstraint("state in ('pending','current','previous','void')", name="ck_secret_state"),
        sa.PrimaryKeyConstraint("account", "version", name="pk_secret"),
    )
    for state in ("pending", "current"):
        one = sa.text(f"state='{state}'")
        op.create_index(
            f"uq_secret_{state}", "secret", ["account"], unique=True, sqlite_where=one, postgresql_where=one
        )
    op.create_index("ix_secret_reuse", "secret", ["reuse"])


def downgrade() -> None:
    """There is no way back: secrets are never dropped by a program."""
    raise RuntimeError("a schema is not taken back: restore a backup instead")
