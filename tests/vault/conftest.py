"""A vault in a folder of its own, and the means of an attacker who may write to the database but has no key."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from agent.ledger import open_ledger
from agent.model.secret import Secret
from agent.store.engine import open_store
from agent.vault import opening, slots
from agent.vault.keyfile import Key
from agent.vault.vault import New

PASSPHRASE = Secret("correct horse battery staple")


class Bench:
    """state/ and keys/ side by side, a key file's slot and a passphrase's."""

    def __init__(self, root) -> None:
        self.root, self.state, self.keys = root, root / "state", root / "keys"
        self.now = datetime(2026, 11, 22, 8, tzinfo=UTC)
        self.private = slots.new_private()
        self.store = None
        self._open()
        made = [
            slots.with_key("file", slots.KEYFILE, slots.public_of(self.private)),
            slots.with_passphrase("people", PASSPHRASE),
        ]
        self.vault = opening.create(self.store, self.ledger, made, ["dmz", "data"], self.clock)

    def _open(self) -> None:
        if self.store is not None:
            self.store.close()
        self.store = open_store(self.state)
        self.ledger = open_ledger(self.state, self.keys, self.store, clock=self.clock)

    def clock(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now

    def unlock(self, *, private=b"", passphrase=None):
        """Opened anew, as another process would."""
        self._open()
        key = Key("test", passphrase=passphrase) if passphrase else Key("test", private=private or self.private)
        self.vault = opening.unlock(self.store, self.ledger, self.clock, key)
        return self.vault

    def keep(self, account: str, text: str, zone: str = "dmz"):
        """A current version; its row."""
        made = self.vault.pend([New(account, zone, Secret(text))])[account]
        return self.vault.promote(made)

    def attack(self, statement: str, *values: object) -> None:
        """Change the database behind the vault's back."""
        with closing(sqlite3.connect(self.state / "agent.db")) as raw, raw:
            raw.execute(statement, values)

    def ask(self, statement: str, *values: object) -> list[tuple]:
        with closing(sqlite3.connect(self.state / "agent.db")) as raw:
            return raw.execute(statement, values).fetchall()


@pytest.fixture
def bench(tmp_path):
    made = Bench(tmp_path)
    yield made
    made.store.close()
