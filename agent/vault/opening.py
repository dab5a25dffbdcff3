"""Making a vault, and opening one by a slot."""

from __future__ import annotations

import secrets
from collections import Counter
from typing import TYPE_CHECKING, Any

from agent.model.errors import RefusedError
from agent.store.times import to_text
from agent.vault import rows, slots
from agent.vault.records import Row, balance, pin, seal, stamp, unseal
from agent.vault.vault import CURRENT, EVIDENCE, KEY, PENDING, REUSE, WHOLE, Vault

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection

    from agent.model.ports import Clock, Ledger
    from agent.model.secret import Secret
    from agent.store.engine import Store
    from agent.vault.keyfile import Key
    from agent.vault.slots import Slot

INIT = "agent vault init"


def create(store: Store, ledger: Ledger, made: Sequence[Slot], zones: Iterable[str], clock: Clock) -> Vault:
    """Make the vault of a workspace; all or nothing.

    Args:
        store: the one database.
        ledger: takes the entry that tells of it.
        made: at least one slot.
        zones: each has a root key of its own.
        clock: the injected one.

    Raises:
        RefusedError: there is a vault already, or no slot.
    """
    if not made:
        raise RefusedError("a vault needs a slot: a key file, a passphrase or an officer's key")
    vault = secrets.token_hex(8)
    roots = {zone: secrets.token_bytes(slots.SIZE) for zone in {WHOLE, *zones}}
    now = to_text(clock())
    key = seal(roots[WHOLE], vault, REUSE, 1, secrets.token_bytes(slots.SIZE))
    reuse = Row(REUSE, 1, WHOLE, KEY, CURRENT, key, b"", now, current_at=now)

    def work(connection: Connection) -> None:
        if rows.head(connection) is not None:
            raise RefusedError("this workspace has a vault already", remedy="agent vault status")
        rows.begin(connection, vault, now, stamp(roots[WHOLE], vault, 1, balance(roots[WHOLE], [reuse], made)))
        rows.put(connection, [reuse])
        for slot in made:
            rows.put_slot(connection, slot, now)
            sealed = {(slot.name, zone): slots.seal_root(slot, vault, zone, root) for zone, root in roots.items()}
            rows.put_roots(connection, sealed)

    told = {"what": "created", "slots": [slot.name for slot in made], "zones": sorted(roots)}
    pins = {zone: pin(root, vault, zone) for zone, root in roots.items()}
    ledger.seal_with(rows.KIND, rows.entry(vault, 1, [told], pins), work)
    return Vault(store, ledger, vault, roots, clock)


def exists(store: Store) -> bool:
    """Whether the workspace has a vault."""
    with store.read() as connection:
        return rows.head(connection) is not None


def holds(store: Store, account: str) -> bool:
    """Whether the vault has something current or pending of an account; nothing is opened."""
    with store.read() as connection:
        found = rows.records(connection, [account])
    return any(row.state in {CURRENT, PENDING} for row in found)


def told(store: Store) -> dict[str, Any]:
    """What anybody may know of a vault: id, change, slots and their zones, how many accounts and versions by state.

    Raises:
        RefusedError: there is none.
    """
    with store.read() as connection:
        head = rows.head(connection)
        known = rows.slots(connection)
        sealed = rows.sealed_roots(connection)
        records = [row for row in rows.records(connection) if row.kind != KEY]
    if head is None:
        raise RefusedError("this workspace has no vault", remedy=INIT)
    return {
        "vault": head[0],
        "generation": head[1],
        "accounts": len({row.account for row in records}),
        "states": dict(sorted(Counter(row.state for row in records).items())),
        "slots": [
            {
                "name": slot.name,
                "kind": slot.kind,
                "zones": sorted(zone for name, zone in sealed if name == slot.name and zone),
            }
            for slot in known
        ],
    }


def unlock(store: Store, ledger: Ledger, clock: Clock, key: Key) -> Vault:
    """Open the vault.

    Raises:
        RefusedError: there is none; the key or passphrase opens no slot.
        IntegrityError: rows were changed, exchanged or taken away, or the store is an old copy.
    """
    with store.read() as connection:
        head = rows.head(connection)
        known = rows.slots(connection)
        sealed = rows.sealed_roots(connection)
    if head is None:
        raise RefusedError("this workspace has no vault", remedy=INIT)
    slot, half = opened(known, key)
    vault = Vault(store, ledger, head[0], roots_of(head[0], slot, half, sealed), clock)
    vault.sound()
    return vault


def evidence_keys(store: Store, key: Key) -> str:
    """The copy of the evidence keys, for one who lost these: without them nothing of the chain can be looked up.

    The record proves itself under the root key; whether these are the right keys the chain's signatures tell.

    Raises:
        RefusedError: there is no vault or no copy, or the key or passphrase opens no slot.
        IntegrityError: the record was changed.
    """
    with store.read() as connection:
        head = rows.head(connection)
        known = rows.slots(connection)
        sealed = rows.sealed_roots(connection)
        found = [row for row in rows.records(connection, [EVIDENCE]) if row.state == CURRENT]
    if head is None:
        raise RefusedError("this workspace has no vault", remedy=INIT)
    if not found:
        raise RefusedError("the vault holds no copy of the evidence keys", remedy="agent vault import takes one")
    slot, half = opened(known, key)
    return unseal(roots_of(head[0], slot, half, sealed)[WHOLE], head[0], found[0]).decode()


def opened(known: Sequence[Slot], key: Key) -> tuple[Slot, bytes]:
    """The slot that a key opens, and its private half. Raises RefusedError when it opens none."""
    if key.passphrase is None:
        return _by_private(known, key.private)
    return _by_passphrase(known, key.passphrase)


def roots_of(vault: str, slot: Slot, half: bytes, sealed: Mapping[tuple[str, str], bytes]) -> dict[str, bytes]:
    """Root keys by zone. Raises RefusedError when one was changed, or the vault's own is not among them."""
    mine = {zone: value for (name, zone), value in sealed.items() if name == slot.name}
    roots = {zone: slots.open_root(slot, half, vault, zone, value) for zone, value in mine.items()}
    if WHOLE not in roots:
        raise RefusedError(
            "this slot opens nothing", where=f"slot {slot.name}", remedy="open the vault by another slot"
        )
    return roots


def _by_private(known: Sequence[Slot], private: bytes) -> tuple[Slot, bytes]:
    public = slots.public_of(private)
    for slot in known:
        if slot.public == public:
            return slot, private
    raise RefusedError(
        "this key opens no slot of the vault: it is another vault's, or its slot was removed",
        remedy="name the right key file, or open the vault by another slot (agent vault status)",
    )


def _by_passphrase(known: Sequence[Slot], passphrase: Secret) -> tuple[Slot, bytes]:
    refused = RefusedError("no slot of the vault has a passphrase", remedy="open it by its key file")
    for slot in known:
        if slot.kind == slots.PASSPHRASE:
            try:
                return slot, slots.private_by_passphrase(slot, passphrase)
            except RefusedError as error:
                refused = error
    raise refused
