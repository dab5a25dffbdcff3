"""Evidence: encrypted blobs, a hash chain, signed checkpoints, verification and export."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

from agent.ledger.check import verify_export
from agent.ledger.keys import Keys, PublicKeys, init_keys, keys_folder, load_keys, packed, unpack
from agent.ledger.ledger import EvidenceLedger, Item
from agent.model.errors import RefusedError
from agent.store.schema import ledger_entry

if TYPE_CHECKING:
    from pathlib import Path

    from agent.model.ports import Clock
    from agent.model.secret import Secret
    from agent.store.engine import Store

__all__ = [
    "EvidenceLedger",
    "Item",
    "Keys",
    "PublicKeys",
    "init_keys",
    "keys_folder",
    "load_keys",
    "open_ledger",
    "packed",
    "unpack",
    "verify_export",
]


def open_ledger(
    state: Path,
    keys: Path | None,
    store: Store,
    *,
    clock: Clock | None = None,
    passphrase: Secret | None = None,
    algorithm: str = "",
) -> EvidenceLedger:
    """Open the ledger of a workspace; its keys are made when nothing was ever sealed.

    Args:
        state: holds blobs/.
        keys: the key folder; None: `keys_folder` of the workspace.
        store: the database.
        clock: the injected clock; None: the system's.
        passphrase: unlocks (or, at the first opening, protects) the keys.
        algorithm: `AES-256-GCM` (default) or `SM4-GCM` for what is sealed from now on.

    Raises:
        RefusedError: keys are missing though the ledger has entries, unsafe, damaged, or inside state/.
        StoreError: the folder cannot be written.
    """
    folder = (keys or keys_folder(state.parent)).absolute()
    if folder.resolve().is_relative_to(state.resolve()):
        raise RefusedError(
            "the evidence keys lie inside state/: one backup would hold both",
            where=str(folder),
            remedy="move them elsewhere and name that folder in $AGENT_KEYS",
        )
    made = load_keys if _has_entries(store) else init_keys
    more = {"clock": clock} if clock else {}
    return EvidenceLedger(store, state / "blobs", made(folder, passphrase), algorithm=algorithm, **more)


def _has_entries(store: Store) -> bool:
    with store.read() as connection:
        return bool(
            connection.execute(select(func.count()).select_from(ledger_entry.select().limit(1).subquery())).scalar()
        )
