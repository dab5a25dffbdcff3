"""Export for whoever has none of our software: text files, signatures, and a verify.sh of openssl and sha256sum.

ledger.txt               a line an entry: its hash, a blank, its canonical JSON
checkpoint.txt           the newest checkpoint; checkpoint.sig (ECDSA), checkpoint-ed25519.sig
sign.pub                 ECDSA P-256 public key; sign-ed25519.pub
contents.txt, content/   with content: `SEQ BLOB ALGORITHM SALT`, and SEQ.head, SEQ.data
SHA256SUMS, verify.sh
"""

from __future__ import annotations

import hashlib
import secrets
import shutil
from importlib.resources import files
from typing import TYPE_CHECKING

from sqlalchemy import select

from agent.ledger.blobs import row_of
from agent.ledger.rows import line_of
from agent.model.errors import IntegrityError, StoreError
from agent.store.errors import from_system
from agent.store.files import fsync_folder, write_private
from agent.store.schema import blob, checkpoint, ledger_entry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection

    from agent.ledger.ledger import EvidenceLedger

CORE = ("ledger.txt", "checkpoint.txt", "checkpoint.sig", "checkpoint-ed25519.sig", "sign.pub", "sign-ed25519.pub")
"""Files that every export has; without one of them it does not verify."""


def export(ledger: EvidenceLedger, out: Path, run: str | None, *, content: bool) -> Path:
    """Write the folder; see `EvidenceLedger.export`."""
    # Signs a tail that no run has closed yet; refuses a chain that does not hold.
    ledger.checkpoint()
    found = ledger.verify()
    if not found.ok:
        flaw = found.flaws[0]
        raise IntegrityError(
            f"the ledger does not verify, nothing is exported: {flaw.problem}",
            where=flaw.place,
            remedy="run `agent evidence verify`",
        )
    new = out.with_name(f".{out.name}.{secrets.token_hex(4)}")
    try:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise StoreError("is there already", where=str(out), remedy="name a new folder")
        new.mkdir(mode=0o700, parents=True)
        try:
            sums = [_write(new, name, data) for name, data in _parts(ledger, run, content=content)]
            write_private(new / "SHA256SUMS", "".join(sums).encode())
            fsync_folder(new)
            new.rename(out)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
        fsync_folder(out.parent)
    except OSError as error:
        raise from_system(error, str(out)) from error
    return out


def _write(folder: Path, name: str, data: bytes) -> str:
    file = folder / name
    file.parent.mkdir(mode=0o700, exist_ok=True)
    write_private(file, data)
    return f"{hashlib.sha256(data).hexdigest()}  {name}\n"


def _parts(ledger: EvidenceLedger, run: str | None, *, content: bool) -> Iterator[tuple[str, bytes]]:
    with ledger.store.read() as connection:
        newest = connection.execute(select(checkpoint).order_by(checkpoint.c.id.desc()).limit(1)).mappings().one()
        query = select(ledger_entry).where(ledger_entry.c.seq <= newest["seq"]).order_by(ledger_entry.c.seq)
        rows = connection.execute(query).mappings().all()
        yield "ledger.txt", "".join(f"{row['hash']} {line_of(row)}\n" for row in rows).encode()
        yield "checkpoint.txt", newest["text"].encode()
        yield "checkpoint.sig", bytes(newest["ecdsa"])
        yield "checkpoint-ed25519.sig", bytes(newest["ed25519"])
        ecdsa, ed25519 = ledger.keys.public.pem()
        yield "sign.pub", ecdsa
        yield "sign-ed25519.pub", ed25519
        if content:
            wanted = [row["seq"] for row in rows if run is None or row["run"] == run]
            yield from _contents(ledger, connection, wanted)
    yield "verify.sh", files("agent.ledger").joinpath("verify.sh").read_bytes()


def _contents(ledger: EvidenceLedger, connection: Connection, wanted: list[int]) -> Iterator[tuple[str, bytes]]:
    index = []
    for seq in wanted:
        of_entry = select(blob).join(ledger_entry, ledger_entry.c.blob == blob.c.id).where(ledger_entry.c.seq == seq)
        row = row_of(dict(connection.execute(of_entry).mappings().one()))
        head, _, payload = ledger.blobs.get(row).pack().partition(b"\n")
        # Named by number alone: what a target says never becomes a path.
        yield f"content/{seq}.head", head + b"\n"
        yield f"content/{seq}.data", payload
        index.append(f"{seq} {row.id} {row.algorithm} {row.salt.hex()}\n")
    yield "contents.txt", "".join(index).encode()
