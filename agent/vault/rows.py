"""The vault's tables, read and written; nothing here is decrypted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from agent.model.errors import IntegrityError
from agent.store.schema import secret, vault, vault_root, vault_slot
from agent.vault.records import Row
from agent.vault.slots import Slot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sqlalchemy import RowMapping

COLUMNS = tuple(Row.__dataclass_fields__)
KIND = "vault"
"""What every change of the vault is called in the evidence chain."""


RESTORE = "restore a backup (agent vault restore FILE), then agent password reconcile"
_BYTES = {"sealed", "reuse", "public", "balance"}
_NUMBERS = {"version", "generation"}
_KINDS = tuple(bytes if name in _BYTES else int if name in _NUMBERS else str for name in COLUMNS)


def _whole(values: RowMapping | dict[str, Any], where: str) -> RowMapping | dict[str, Any]:
    """A row as it was read; SQLite takes any value in any column. Raises IntegrityError for what we never wrote."""
    for name, value in values.items():
        kind = bytes if name in _BYTES else int if name in _NUMBERS else str
        if not isinstance(value, kind):
            raise IntegrityError(f"{name} was changed", where=where, remedy=RESTORE)
    return values


def _rows(found: Iterable[Sequence[Any]]) -> list[Row]:
    """Versions as they were read, in the order of COLUMNS. Raises IntegrityError as `_whole` does."""
    made = []
    for values in found:
        if tuple(map(type, values)) != _KINDS:
            told = dict(zip(COLUMNS, values, strict=True))
            _whole(told, f"vault record {told['account']}")
        made.append(Row(*values))
    return made


def head(connection: Connection) -> tuple[str, int, bytes] | None:
    """Id, generation and stamped balance; None when there is no vault."""
    found = connection.execute(select(vault.c.id, vault.c.generation, vault.c.balance)).mappings().first()
    row = _whole(found, "vault") if found else None
    return (row["id"], row["generation"], row["balance"]) if row else None


def entry(
    vault_id: str, generation: int, changes: Sequence[Mapping[str, Any]], pins: Mapping[str, str]
) -> Callable[[str], bytes]:
    """What the chain is told of a change, bound to the entry that it follows: told again elsewhere it counts nothing.

    Args:
        vault_id: which.
        generation: the one that the change leads to.
        changes: what was done, without any secret.
        pins: of every zone's root key, see `records.pin`.
    """

    def body(after: str) -> bytes:
        told = {"vault": vault_id, "generation": generation, "after": after, "changes": list(changes), "roots": pins}
        return json.dumps(told, ensure_ascii=False).encode()

    return body


def slots(connection: Connection) -> list[Slot]:
    """All slots by name."""
    rows = connection.execute(select(vault_slot).order_by(vault_slot.c.name)).mappings()
    return [_slot(_whole(row, "vault slot")) for row in rows]


def _slot(row: RowMapping | dict[str, Any]) -> Slot:
    try:
        params = json.loads(row["params"])
    except ValueError as error:
        raise IntegrityError("the slot was changed", where=f"slot {row['name']}", remedy=RESTORE) from error
    return Slot(row["name"], row["kind"], row["public"], params)


def put_slot(connection: Connection, slot: Slot, at: str) -> None:
    """Add a slot. Raises IntegrityError of the driver when the name is taken."""
    connection.execute(
        insert(vault_slot).values(
            name=slot.name, kind=slot.kind, public=slot.public, params=json.dumps(dict(slot.params)), created_at=at
        )
    )


def drop_slot(connection: Connection, name: str) -> None:
    """Remove a slot and what was sealed to it."""
    connection.execute(delete(vault_root).where(vault_root.c.slot == name))
    connection.execute(delete(vault_slot).where(vault_slot.c.name == name))


def sealed_roots(connection: Connection, slot: str | None = None) -> dict[tuple[str, str], bytes]:
    """(slot, zone) to the sealed root key; of one slot or of all."""
    query = select(vault_root) if slot is None else select(vault_root).where(vault_root.c.slot == slot)
    found = [_whole(row, "vault root key") for row in connection.execute(query).mappings()]
    return {(row["slot"], row["zone"]): row["sealed"] for row in found}


def put_roots(connection: Connection, sealed: Mapping[tuple[str, str], bytes]) -> None:
    """Add root keys, or put them in place of those that are there."""
    for (slot, zone), value in sealed.items():
        connection.execute(delete(vault_root).where((vault_root.c.slot == slot) & (vault_root.c.zone == zone)))
        connection.execute(insert(vault_root).values(slot=slot, zone=zone, sealed=value))


def records(connection: Connection, accounts: Iterable[str] | None = None) -> list[Row]:
    """Versions by account and age; of some accounts, or of all."""
    columns = [secret.c[name] for name in COLUMNS]
    query = select(*columns).order_by(secret.c.account, secret.c.version)
    if accounts is None:
        return _rows(connection.execute(query))
    wanted, found = list(dict.fromkeys(accounts)), []
    for start in range(0, len(wanted), 500):
        part = query.where(secret.c.account.in_(wanted[start : start + 500]))
        found += _rows(connection.execute(part))
    return found


def alike(connection: Connection, reuse: Iterable[bytes]) -> list[Row]:
    """Versions, of whatever account and state, that have one of these in common."""
    wanted, found = list(dict.fromkeys(reuse)), []
    for start in range(0, len(wanted), 500):
        query = select(*(secret.c[name] for name in COLUMNS)).where(secret.c.reuse.in_(wanted[start : start + 500]))
        found += _rows(connection.execute(query))
    return found


def _values(row: Row) -> dict[str, Any]:
    return {name: getattr(row, name) for name in COLUMNS}


def put(connection: Connection, rows: Sequence[Row]) -> None:
    """Add versions. Raises the driver's IntegrityError when one is there, or an account would have two pending ones."""
    if rows:
        connection.execute(insert(secret), [_values(row) for row in rows])


def change(connection: Connection, changed: Sequence[Row]) -> None:
    """Put versions in place of those that are there, in this order."""
    if not changed:
        return
    key = (secret.c.account == bindparam("_account")) & (secret.c.version == bindparam("_version"))
    values: dict[str, Any] = {name: bindparam(name) for name in COLUMNS[2:]}
    connection.execute(
        update(secret).where(key).values(values),
        [_values(row) | {"_account": row.account, "_version": row.version} for row in changed],
    )


def change_all(connection: Connection, everything: Sequence[Row]) -> None:
    """Put every version in place of itself."""
    if everything:
        connection.execute(delete(secret))
        put(connection, everything)


def advance(connection: Connection, generation: int, balance: bytes) -> None:
    """Write down what all records weigh now."""
    connection.execute(update(vault).values(generation=generation, balance=balance))


def begin(connection: Connection, vault_id: str, at: str, balance: bytes, generation: int = 1) -> None:
    """The one row of a vault."""
    connection.execute(insert(vault).values(id=vault_id, created_at=at, generation=generation, balance=balance))


def clear(connection: Connection) -> None:
    """Take everything away, for what is put in its place by the same transaction."""
    for table in (vault_root, vault_slot, secret, vault):
        connection.execute(delete(table))
