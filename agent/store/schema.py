"""The schema, SQLAlchemy Core. One database, so that a record and its chain entry commit together.

Times are ISO 8601 UTC text with microseconds (`2026-11-22T01:02:03.000004Z`): they
sort as text on every engine. JSON columns hold text written by `json.dumps`.
"""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# --- evidence (agent.ledger) -------------------------------------------------

ledger_entry = Table(
    "ledger_entry",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", String(32), nullable=False),
    Column("kind", String(40), nullable=False),
    Column("run", String(40), nullable=False),
    Column("blob", String(64), nullable=False),
    Column("size", Integer, nullable=False),
    Column("prev", String(64), nullable=False),
    Column("hash", String(64), nullable=False, unique=True),
    CheckConstraint("seq > 0", name="seq_positive"),
)

blob = Table(
    "blob",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("salt", LargeBinary, nullable=False),
    Column("wrapped_key", LargeBinary, nullable=False),
    Column("algorithm", String(20), nullable=False),
    Column("size", Integer, nullable=False),
    Column("destroyed_at", String(32), nullable=False, default=""),
    Column("dedup", String(64), nullable=True, unique=True),
)

checkpoint = Table(
    "checkpoint",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("seq", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("ed25519", LargeBinary, nullable=False),
    Column("ecdsa", LargeBinary, nullable=False),
)

# --- runs (agent.flows through agent.store.runs) -------------------------------

run = Table(
    "run",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("kind", String(20), nullable=False),
    Column("period", String(60), nullable=False),
    Column("plan", Text, nullable=False),
    Column("operator", String(80), nullable=False),
    Column("state", String(20), nullable=False),
    Column("started_at", String(32), nullable=False),
    Column("finished_at", String(32), nullable=False, default=""),
    Column("summary", Text, nullable=False, default="{}"),
    CheckConstraint("state in ('open','observed','judged','closed')", name="state"),
)

task = Table(
    "task",
    metadata,
    Column("run", String(40), ForeignKey("run.id"), primary_key=True),
    Column("target", String(80), primary_key=True),
    Column("kind", String(20), primary_key=True),
    Column("state", String(20), nullable=False),
    Column("at", String(32), nullable=False, default=""),
    Column("evidence", Integer, nullable=True),
    Column("nonce", String(64), nullable=False, default=""),
    Column("reason", String(40), nullable=False, default=""),
    Column("detail", Text, nullable=False, default=""),
    CheckConstraint("state in ('waiting','done','unreached')", name="state"),
)

finding = Table(
    "finding",
    metadata,
    Column("run", String(40), ForeignKey("run.id"), primary_key=True),
    Column("key", String(16), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("target", String(80), nullable=False),
    Column("layer", String(20), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("check", String(120), nullable=False),
    Column("location", Text, nullable=False),
    Column("severity", String(10), nullable=False),
    Column("state", String(10), nullable=False),
    Column("body", Text, nullable=False),
    Index("ix_finding_key", "key"),
)

verdict = Table(
    "verdict",
    metadata,
    Column("run", String(40), ForeignKey("run.id"), primary_key=True),
    Column("target", String(80), primary_key=True),
    Column("control", String(60), primary_key=True),
    Column("location", String(400), primary_key=True),
    Column("outcome", String(20), nullable=False),
    Column("actual", Text, nullable=False),
    Column("expected", Text, nullable=False),
    Column("reason", Text, nullable=False),
)

changelog = Table(
    "changelog",
    metadata,
    Column("source", String(120), primary_key=True),
    Column("version", String(120), primary_key=True),
    Column("text", Text, nullable=False),
    Column("fetched_at", String(32), nullable=False),
)

# --- hardening (agent.flows through agent.store.changes) --------------------------

change_tx = Table(
    "change_tx",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("run", String(40), ForeignKey("run.id"), nullable=False),
    Column("host", String(80), nullable=False),
    Column("grp", String(40), nullable=False),
    Column("position", Integer, nullable=False),
    Column("state", String(20), nullable=False),
    Column("sent_at", String(32), nullable=False, default=""),
    Column("ended_at", String(32), nullable=False, default=""),
    Column("body", Text, nullable=False),
    Index("ix_change_tx_run", "run"),
    Index("ix_change_tx_state", "state"),
)

closure = Table(
    "closure",
    metadata,
    Column("run", String(40), ForeignKey("run.id"), primary_key=True),
    Column("finding", String(16), primary_key=True),
    Column("target", String(80), nullable=False),
    Column("closure", String(20), nullable=False),
    Column("body", Text, nullable=False),
)

# --- secrets (agent.vault through agent.store.secrets) ----------------------------

vault = Table(
    "vault",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("created_at", String(32), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("balance", LargeBinary, nullable=False),
)
"""One row. `balance` binds all records together: see agent.vault.balance."""

vault_slot = Table(
    "vault_slot",
    metadata,
    Column("name", String(60), primary_key=True),
    Column("kind", String(20), nullable=False),
    Column("public", LargeBinary, nullable=False),
    Column("params", Text, nullable=False),
    Column("created_at", String(32), nullable=False),
    CheckConstraint("kind in ('passphrase','keyfile','officer')", name="kind"),
)

vault_root = Table(
    "vault_root",
    metadata,
    Column("slot", String(60), ForeignKey("vault_slot.name"), primary_key=True),
    Column("zone", String(60), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
)

secret = Table(
    "secret",
    metadata,
    Column("account", String(200), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("zone", String(60), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("state", String(20), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("reuse", LargeBinary, nullable=False),
    Column("made_at", String(32), nullable=False),
    Column("current_at", String(32), nullable=False, default=""),
    Column("verified_at", String(32), nullable=False, default=""),
    Column("ended_at", String(32), nullable=False, default=""),
    Column("why", Text, nullable=False, default=""),
    CheckConstraint("state in ('pending','current','previous','void')", name="state"),
    Index("uq_secret_pending", "account", unique=True, sqlite_where=text("state='pending'"),
          postgresql_where=text("state='pending'")),
    Index("uq_secret_current", "account", unique=True, sqlite_where=text("state='current'"),
          postgresql_where=text("state='current'")),
    Index("ix_secret_reuse", "reuse"),
)  # fmt: skip
"""Versions of what each account was given. Of a destroyed one `sealed` is empty; `reuse` stays: never used again."""

# --- jobs (agent.jobs) ---------------------------------------------------------

job_slot = Table(
    "job_slot",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job", String(120), nullable=False),
    Column("due_at", String(32), nullable=False),
    Column("state", String(20), nullable=False),
    Column("attempt", Integer, nullable=False, default=0),
    Column("owner", String(120), nullable=False, default=""),
    Column("lease_until", String(32), nullable=False, default=""),
    Column("not_before", String(32), nullable=False, default=""),
    Column("finished_at", String(32), nullable=False, default=""),
    Column("result", Text, nullable=False, default=""),
    UniqueConstraint("job", "due_at"),
    CheckConstraint("state in ('due','claimed','done','failed','missed')", name="state"),
)
