"""A vault of ten thousand records: opening and changing it. Part of `make bench`; needs neither root nor lab.

Bare: writing as many rows of as many bytes into an SQLite file in one transaction, synchronous=FULL.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from agent.ledger import open_ledger
from agent.model.secret import Secret
from agent.store.engine import open_store
from agent.vault import opening, slots
from agent.vault.keyfile import Key
from agent.vault.vault import New

COUNT = 10_000
WORDS = Secret("several words that open it")
Made = TypeVar("Made")


def timed(what: str, goal: str, work: Callable[[], Made]) -> Made:
    """Run it and print its row."""
    start = time.perf_counter()
    made = work()
    print(f"| {what} | {time.perf_counter() - start:.2f} s | {goal} |", flush=True)
    return made


def bare(folder: Path) -> None:
    """The floor of keeping them."""
    with closing(sqlite3.connect(folder / "bare.db")) as raw, raw:
        raw.execute("PRAGMA journal_mode=WAL")
        raw.execute("PRAGMA synchronous=FULL")
        raw.execute("CREATE TABLE t (a TEXT, v INTEGER, b BLOB, c BLOB, PRIMARY KEY (a, v))")
        rows = [(f"user-{n}@host-{n % 23}", 1, os.urandom(60), os.urandom(32)) for n in range(COUNT)]
        raw.executemany("INSERT INTO t VALUES (?,?,?,?)", rows)


def main() -> None:
    """Print the rows."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        store = open_store(folder / "state")

        def clock() -> datetime:
            return datetime.now(UTC)

        ledger = open_ledger(folder / "state", folder / "keys", store, clock=clock)
        private = slots.new_private()
        made = [
            slots.with_key("file", slots.KEYFILE, slots.public_of(private)),
            slots.with_passphrase("people", WORDS),
        ]
        vault = opening.create(store, ledger, made, ["dmz"], clock)
        new = [New(f"user-{n}@host-{n % 23}", "dmz", Secret(secrets.token_urlsafe(18))) for n in range(COUNT)]
        timed(f"bare: {COUNT:,} rows of that size", "-", lambda: bare(folder))
        rows = timed(f"vault: keeping {COUNT:,} pending ones", "< 1 s", lambda: vault.pend(new))
        timed(f"vault: making {COUNT:,} current", "< 1 s", lambda: vault.promote_all(list(rows.values())))
        key = Key("file", private=private)
        opened = "vault: opening by a key file, every row weighed"
        timed(opened, "< 0.5 s", lambda: opening.unlock(store, ledger, clock, key))
        words = Key("people", passphrase=WORDS)
        timed("vault: opening by a passphrase", "< 0.5 s", lambda: opening.unlock(store, ledger, clock, words))
        timed(f"vault: decrypting and checking all {COUNT:,}", "< 1 s", vault.check)
        timed("vault: whether a text was ever used", "< 1 s", lambda: vault.used(new[5].text))
        timed("vault: new root keys for everything", "< 1 s", vault.rekey)
        store.close()


if __name__ == "__main__":
    main()
