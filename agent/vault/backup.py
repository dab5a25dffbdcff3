"""A vault as one file, as encrypted as it lies in the store, and the way back."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from agent.model.errors import IntegrityError, RefusedError, StoreError
from agent.store.files import replace_private
from agent.store.times import to_text
from agent.vault import rows
from agent.vault.opening import opened, roots_of
from agent.vault.records import Row, balance, pin, stamp, stamped
from agent.vault.slots import Slot
from agent.vault.vault import WHOLE, Vault

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sqlalchemy import Connection

    from agent.model.ports import Clock, Ledger
    from agent.store.engine import Store
    from agent.vault.keyfile import Key

FORMAT = "secops-agent vault 1"
_LARGEST = 1 << 30


@dataclass(frozen=True, slots=True)
class Backup:
    """What a file holds."""

    vault: str
    generation: int
    kept: bytes
    slots: tuple[Slot, ...]
    roots: Mapping[tuple[str, str], bytes]
    records: tuple[Row, ...]


def write(store: Store, file: Path) -> int:
    """Write the vault to a file (0600, whole or not at all); how many records.

    Raises:
        RefusedError: there is no vault.
        StoreError: the file cannot be written.
    """
    with store.read() as connection:
        head = rows.head(connection)
        if head is None:
            raise RefusedError("this workspace has no vault", remedy="agent vault init")
        records = rows.records(connection)
        body = {
            "format": FORMAT,
            "vault": head[0],
            "generation": head[1],
            "balance": head[2],
            "slots": [
                {"name": slot.name, "kind": slot.kind, "public": slot.public, "params": dict(slot.params)}
                for slot in rows.slots(connection)
            ],
            "roots": [[slot, zone, sealed] for (slot, zone), sealed in rows.sealed_roots(connection).items()],
            "records": [asdict(row) for row in records],
        }
    try:
        replace_private(file, json.dumps(body, ensure_ascii=False, default=bytes.hex).encode() + b"\n")
    except OSError as error:
        raise StoreError(f"cannot write the backup ({error.strerror})", where=str(file)) from error
    return len(records)


def read(file: Path) -> Backup:
    """Read a file.

    Raises:
        RefusedError: it is none of ours, or damaged.
    """
    try:
        body = json.loads(file.read_bytes()) if file.stat().st_size <= _LARGEST else {}
        if body["format"] != FORMAT:
            body = {}
        slots = tuple(
            Slot(str(one["name"]), str(one["kind"]), bytes.fromhex(one["public"]), dict(one["params"]))
            for one in body["slots"]
        )
        roots = {(str(slot), str(zone)): bytes.fromhex(sealed) for slot, zone, sealed in body["roots"]}
        records = tuple(_row(one) for one in body["records"])
        return Backup(
            str(body["vault"]), int(body["generation"]), bytes.fromhex(body["balance"]), slots, roots, records
        )
    except OSError as error:
        raise RefusedError(f"cannot be read ({error.strerror})", where=str(file)) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RefusedError(
            f"this is no backup of a vault ({type(error).__name__})",
            where=str(file),
            remedy="agent vault backup makes one",
        ) from error


def restore(store: Store, ledger: Ledger, clock: Clock, backup: Backup, key: Key) -> tuple[Vault, tuple[str, ...]]:
    """Put a backup in place of the vault; the vault, and accounts that were changed after the backup was made.

    The entry that tells of it goes on where the chain stands, so that the old state is the newest from now on.

    Raises:
        RefusedError: the key opens none of its slots, or not every zone.
        IntegrityError: the backup was changed.
    """
    slot, half = opened(backup.slots, key)
    roots = roots_of(backup.vault, slot, half, backup.roots)
    total = stamped(roots[WHOLE], backup.vault, backup.generation, backup.kept)
    if total is None or total != balance(roots[WHOLE], backup.records, backup.slots):
        raise IntegrityError("the backup was changed", remedy="take another")
    if set(roots) != {zone for _, zone in backup.roots}:
        raise RefusedError(
            "this slot does not open every zone of the backup", where=f"slot {slot.name}", remedy="use one that does"
        )
    known = {(row.account, row.version) for row in backup.records}
    newer: set[str] = set()

    def work(connection: Connection) -> None:
        there = rows.records(connection)
        newer.update(row.account for row in there if (row.account, row.version) not in known)
        rows.clear(connection)
        rows.begin(
            connection, backup.vault, to_text(clock()), stamp(roots[WHOLE], backup.vault, generation, total), generation
        )
        for each in backup.slots:
            rows.put_slot(connection, each, to_text(clock()))
        rows.put_roots(connection, backup.roots)
        rows.put(connection, backup.records)

    with store.read() as connection:
        head = rows.head(connection)
    generation = max(head[1] if head else 0, backup.generation) + 1
    told = {"what": "restored", "from": backup.generation}
    pins = {zone: pin(root, backup.vault, zone) for zone, root in roots.items()}
    ledger.seal_with(rows.KIND, rows.entry(backup.vault, generation, [told], pins), work)
    return Vault(store, ledger, backup.vault, roots, clock), tuple(sorted(newer))


def _row(raw: Mapping[str, Any]) -> Row:
    values = dict(raw)
    for name in ("sealed", "reuse"):
        values[name] = bytes.fromhex(values[name])
    row = Row(**values)
    for field in fields(Row):
        if not isinstance(getattr(row, field.name), {"int": int, "bytes": bytes}.get(str(field.type), str)):
            raise TypeError(field.name)
    return row
