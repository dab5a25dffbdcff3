"""Verification of the ledger. It fails closed: what is missing or not covered by a signature is a flaw.

Each flaw names its place. Chain, signatures and blobs read one snapshot of the database.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select

from agent.ledger.blobs import BlobRow, Blobs, row_of
from agent.ledger.chain import GENESIS, Checkpoint, entry_hash, parse_checkpoint
from agent.ledger.rows import line_of
from agent.ledger.suites import named
from agent.model.errors import AgentError
from agent.model.evidence import Flaw, Verification
from agent.model.text import one_line
from agent.store.schema import blob, checkpoint, ledger_entry
from agent.store.times import from_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from sqlalchemy import RowMapping

    from agent.ledger.anchor import Anchor
    from agent.ledger.keys import PublicKeys
    from agent.store.engine import Store


@dataclass
class _Seen:
    """What the chain was found to be."""

    hashes: list[str] = field(default_factory=lambda: [GENESIS])
    """By sequence number; an entry that is missing leaves an empty text."""
    at: str = ""
    uses: dict[str, list[tuple[int, str, int]]] = field(default_factory=dict)
    """Blob to (entry, kind, size) of each entry that names it."""

    @property
    def entries(self) -> int:
        return len(self.hashes) - 1


def verify(store: Store, blobs: Blobs, anchor: Anchor, public: PublicKeys) -> Verification:
    """Verify the whole ledger; see `EvidenceLedger.verify`."""
    seen = _Seen()
    flaws: list[Flaw] = []
    # The anchor first: one that is read later could have moved on with entries outside the snapshot.
    before = list(_anchor_state(anchor))
    with store.read() as connection:
        flaws += _chain(connection, seen)
        signed, count = _Signed(public, seen), 0
        for row in connection.execute(select(checkpoint).order_by(checkpoint.c.id)).mappings():
            count += 1
            flaws += signed.take(row)
        flaws += signed.rest()
        flaws += _anchored(before, seen)
        flaws += _blobs(connection, blobs, seen)
    return Verification(
        entries=seen.entries,
        blobs=len(seen.uses),
        checkpoints=count,
        head=seen.hashes[-1],
        head_at=_time(seen.at),
        flaws=tuple(flaws),
    )


def _time(text: str) -> datetime | None:
    try:
        return from_text(text)
    except ValueError:
        return None


def _chain(connection: Connection, seen: _Seen) -> Iterator[Flaw]:
    prev = GENESIS
    for row in connection.execute(select(ledger_entry).order_by(ledger_entry.c.seq)).mappings():
        seq = row["seq"]
        expected = len(seen.hashes)
        if seq != expected:
            yield Flaw(f"entry {expected}", f"is missing; after entry {expected - 1} comes entry {seq}")
            if not expected < seq <= expected + 1_000_000:
                return
            seen.hashes += [""] * (seq - expected)
        if {type(row[name]) for name in ("at", "kind", "run", "blob", "prev", "hash")} != {str}:
            yield Flaw(f"entry {seq}", "holds values of a wrong type: it was changed")
            return
        if row["prev"] != prev:
            yield Flaw(f"entry {seq}", f"does not follow on entry {expected - 1}: inserted, reordered or changed")
        if entry_hash(row["prev"], line_of(row)) != row["hash"]:
            yield Flaw(f"entry {seq}", "its content does not have its hash: it was changed")
        prev = row["hash"]
        seen.hashes.append(prev)
        seen.at = row["at"]
        seen.uses.setdefault(row["blob"], []).append((seq, row["kind"], row["size"]))


class _Signed:
    """Takes checkpoints in order; says at the end what no signature covers."""

    def __init__(self, public: PublicKeys, seen: _Seen) -> None:
        self.public, self.seen = public, seen
        self.last: Checkpoint | None = None
        self.number = 0
        self.covered = 0

    def take(self, row: RowMapping) -> Iterator[Flaw]:
        self.number += 1
        place = f"checkpoint {row['id']}"
        if not isinstance(row["text"], str):
            yield Flaw(place, "holds values of a wrong type: it was changed")
            return
        data = row["text"].encode(errors="surrogateescape")
        good = True
        for name, ok, signature in (
            ("Ed25519", self.public.ed25519_ok, row["ed25519"]),
            ("ECDSA", self.public.ecdsa_ok, row["ecdsa"]),
        ):
            if not signature:
                good = False
                yield Flaw(place, f"the {name} signature is missing")
            elif not isinstance(signature, bytes) or not ok(signature, data):
                good = False
                yield Flaw(place, f"the {name} signature is not good: changed, or signed with a foreign key")
        try:
            this = parse_checkpoint(row["text"])
        except ValueError as error:
            yield Flaw(place, str(error))
            return
        if row["id"] != self.number:
            yield Flaw(f"checkpoint {self.number}", f"is missing; in its place comes checkpoint {row['id']}")
        problems = list(self._problems(row, this))
        yield from (Flaw(place, problem) for problem in problems)
        self.last, self.number = this, row["id"]
        if good and not problems:
            self.covered = this.seq

    def _problems(self, row: RowMapping, this: Checkpoint) -> Iterator[str]:
        if (row["id"], row["seq"]) != (this.id, this.seq):
            yield "its row differs from what was signed"
        if this.previous != (self.last.hash if self.last else GENESIS):
            yield "does not follow on the checkpoint before it"
        if this.seq > self.seen.entries:
            yield f"signs entry {this.seq}, the ledger ends at entry {self.seen.entries}: its tail was cut"
        elif self.seen.hashes[this.seq] != this.head:
            yield f"entry {this.seq} is not the one that was signed"

    def rest(self) -> Iterator[Flaw]:
        if self.number == 0:
            yield Flaw("checkpoint 1", "there is none: nothing is signed")
        if self.covered < self.seen.entries:
            first, last = self.covered + 1, self.seen.entries
            span = f"entry {first}" if first == last else f"entries {first} to {last}"
            yield Flaw(f"entry {first}", f"{span}: not covered by a good signed checkpoint")


def _anchor_state(anchor: Anchor) -> Iterator[tuple[int, str, str] | Flaw]:
    try:
        head = anchor.read()
    except AgentError as error:
        yield Flaw("anchor", error.message)
        return
    if head is not None:
        yield (head.seq, head.hash, head.at)


def _anchored(before: list[tuple[int, str, str] | Flaw], seen: _Seen) -> Iterator[Flaw]:
    if not before:
        if seen.entries:
            yield Flaw("anchor", "the last known head is missing beside the keys: a roll-back would go unnoticed")
        return
    known = before[0]
    if isinstance(known, Flaw):
        yield known
        return
    seq, head, at = known
    if not 0 < seq <= seen.entries:
        yield Flaw(
            f"entry {seq}",
            f"known since {at} and gone: the database was rolled back or its tail was cut "
            f"(it ends at entry {seen.entries})",
        )
    elif seen.hashes[seq] != head:
        yield Flaw(f"entry {seq}", f"is not the last known head of {at}: the database was exchanged")


def _blobs(connection: Connection, blobs: Blobs, seen: _Seen) -> Iterator[Flaw]:
    rows: dict[str, BlobRow] = {}
    for row in connection.execute(select(blob)).mappings():
        try:
            rows[row["id"]] = row_of(dict(row))
        except TypeError:
            yield Flaw(f"blob {row['id']}", "holds values of a wrong type: it was changed")
    for name in rows.keys() - seen.uses.keys():
        yield Flaw(f"blob {name}", "belongs to no entry")
    tags = {row.dedup for row in rows.values()}
    for name, uses in seen.uses.items():
        of_blob = rows.get(name)
        if of_blob is None:
            yield Flaw(f"blob {name}", f"of entry {uses[0][0]}: its key and salt are missing")
            continue
        for problem in _blob(blobs, of_blob, uses, tags):
            yield Flaw(f"blob {name}", f"of entry {uses[0][0]}: {problem}")


def _blob(blobs: Blobs, row: BlobRow, uses: list[tuple[int, str, int]], tags: set[str | None]) -> Iterator[str]:
    try:
        envelope = blobs.get(row)
        tag = blobs.tag(envelope.pack(), named(row.algorithm))
    except AgentError as error:
        yield one_line(error.message)
        return
    # A second blob of the same content exists only beside a damaged first one, which keeps the tag.
    if row.dedup != tag and (row.dedup is not None or tag not in tags):
        yield "its tag for duplicates was changed"
    for seq, kind, size in uses:
        if envelope.head.get("kind") != kind or len(envelope.payload) != size:
            yield f"is not what entry {seq} says"
