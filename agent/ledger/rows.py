"""The chain as the database holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

from agent.ledger.chain import GENESIS, Checkpoint, canonical, entry_hash, parse_checkpoint
from agent.model.errors import IntegrityError
from agent.model.evidence import Evidence
from agent.store.schema import checkpoint, ledger_entry
from agent.store.times import from_text

if TYPE_CHECKING:
    from sqlalchemy import Connection, RowMapping


def line_of(row: RowMapping) -> str:
    """Return the canonical line of an entry's row."""
    return canonical(**{name: row[name] for name in ("seq", "at", "kind", "run", "blob", "size")})


def evidence_of(row: RowMapping) -> Evidence:
    """Return an entry's row as a value.

    Raises:
        IntegrityError: its time is none.
    """
    try:
        return Evidence(**{**row, "at": from_text(row["at"])})
    except ValueError as error:
        raise IntegrityError("its time was changed", where=f"entry {row['seq']}") from error


def tip(connection: Connection) -> tuple[int, str]:
    """Return number and hash of the newest entry."""
    newest = select(ledger_entry.c.seq, ledger_entry.c.hash).order_by(ledger_entry.c.seq.desc()).limit(1)
    row = connection.execute(newest).first()
    return (row.seq, row.hash) if row else (0, GENESIS)


def last_checkpoint(connection: Connection) -> Checkpoint | None:
    """Return the newest checkpoint. Raises IntegrityError when its text is none."""
    text = connection.execute(select(checkpoint.c.text).order_by(checkpoint.c.id.desc()).limit(1)).scalar()
    if text is None:
        return None
    try:
        return parse_checkpoint(text)
    except ValueError as error:
        number = connection.execute(select(func.max(checkpoint.c.id))).scalar()
        raise IntegrityError(str(error), where=f"checkpoint {number}") from error


def recompute(connection: Connection, last: Checkpoint | None) -> tuple[int, str]:
    """Follow the chain from the last checkpoint; return where it ends. Raises IntegrityError."""
    seq, head = (last.seq, last.head) if last else (0, GENESIS)
    if last:
        there = connection.execute(select(ledger_entry.c.hash).where(ledger_entry.c.seq == seq)).scalar()
        if there != head:
            raise IntegrityError("the entry is not the one that was signed", where=f"entry {seq}")
    return follow(connection, seq, head)


def follow(connection: Connection, seq: int, head: str) -> tuple[int, str]:
    """Follow the chain from behind an entry to its end; number and hash of the last. Raises IntegrityError."""
    query = select(ledger_entry).where(ledger_entry.c.seq > seq).order_by(ledger_entry.c.seq)
    for row in connection.execute(query).mappings():
        seq += 1
        if row["seq"] != seq or row["prev"] != head or entry_hash(head, line_of(row)) != row["hash"]:
            raise IntegrityError(
                "the chain is broken here; nothing is signed, and the vault stays shut",
                where=f"entry {seq}",
                remedy="run `agent evidence verify`",
            )
        head = row["hash"]
    return seq, head
