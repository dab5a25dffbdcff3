"""A ledger in a folder of its own, and the means of an attacker who may write to state/ but not to the keys."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from agent.ledger import EvidenceLedger, open_ledger
from agent.store.engine import open_store

if TYPE_CHECKING:
    from pathlib import Path

    from agent.model.evidence import Verification


class Bench:
    """state/ and keys/ side by side."""

    def __init__(self, root: Path, algorithm: str = "") -> None:
        self.root, self.state, self.keys = root, root / "state", root / "keys"
        self.algorithm = algorithm
        self.ticks = 0
        self.store = None
        self.ledger: EvidenceLedger = self.reopen()

    def clock(self) -> datetime:
        self.ticks += 1
        return datetime(2026, 11, 22, 8, tzinfo=UTC) + timedelta(milliseconds=self.ticks)

    def reopen(self) -> EvidenceLedger:
        self.close()
        self.store = open_store(self.state)
        self.ledger = open_ledger(self.state, self.keys, self.store, clock=self.clock, algorithm=self.algorithm)
        return self.ledger

    def close(self) -> None:
        if self.store is not None:
            self.store.close()

    def fill(self, count: int = 4, run: str = "scan-1") -> None:
        for number in range(count):
            self.ledger.seal("host", f"answer {number} of {run}".encode(), run=run, subject=f"web{number:02}")
        self.ledger.checkpoint()

    def attack(self, *statements: str | tuple[str, tuple[object, ...]]) -> None:
        """Change the database behind the program's back; its triggers are no hindrance."""
        with closing(sqlite3.connect(self.state / "agent.db")) as raw, raw:
            for table in ("ledger_entry", "checkpoint"):
                for verb in ("update", "delete"):
                    raw.execute(f"drop trigger if exists {table}_no_{verb}")
            for statement in statements:
                sql, values = (statement, ()) if isinstance(statement, str) else statement
                raw.execute(sql, values)

    def ask(self, sql: str) -> list[tuple]:
        with closing(sqlite3.connect(self.state / "agent.db")) as raw:
            return raw.execute(sql).fetchall()

    def save(self) -> None:
        """Keep a copy of state/, as a backup would."""
        self.close()
        shutil.copytree(self.state, self.root / "saved")

    def restore(self) -> None:
        self.close()
        shutil.rmtree(self.state)
        shutil.copytree(self.root / "saved", self.state)
        self.reopen()

    def places(self) -> set[str]:
        return places(self.ledger.verify())


def places(found: Verification) -> set[str]:
    """Where the flaws are; `blob` without its address."""
    assert found.ok == (not found.flaws)
    return {flaw.place for flaw in found.flaws}


@pytest.fixture
def bench(tmp_path):
    made = Bench(tmp_path)
    yield made
    made.close()


@pytest.fixture
def other_bench(tmp_path):
    """Another workspace, with keys of its own."""
    made = Bench(tmp_path / "other")
    yield made
    made.close()
