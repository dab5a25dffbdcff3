"""The ledger: seal, open, list, sign, verify. What verification looks for stands in `verify`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import Connection, func, insert, select

from agent.ledger import anchor as anchors
from agent.ledger.blobs import BlobRow, Blobs, Envelope, row_of
from agent.ledger.chain import GENESIS, Checkpoint, canonical, entry_hash
from agent.ledger.export import export
from agent.ledger.rows import evidence_of, follow, last_checkpoint, line_of, recompute, tip
from agent.ledger.suites import AES, usable
from agent.ledger.verify import verify
from agent.model.errors import IntegrityError
from agent.model.evidence import Evidence, Verification
from agent.store.gather import Gatherer
from agent.store.schema import blob, checkpoint, ledger_entry
from agent.store.times import to_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from agent.ledger.keys import Keys, PublicKeys
    from agent.model.ports import Clock
    from agent.store.engine import Store

Done = TypeVar("Done")
_NAME_CAP = 40
"""As schema.ledger_entry says."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Item:
    """Something to be sealed."""

    kind: str
    """Stands in clear in the chain; no name, address or secret."""
    payload: bytes
    run: str = ""
    subject: str = ""
    """Whose answer it is; goes inside the encrypted blob."""


@dataclass(frozen=True, slots=True)
class _Batch:
    items: Sequence[Item]
    prepared: list[tuple[str, BlobRow]]


class EvidenceLedger:
    """The evidence of one workspace; implements `model.ports.Ledger`. Threads and processes may share it.

    Invariants: an entry is committed only after its blob is durable; the chain is read,
    extended and committed by one writer at a time; nothing is sealed onto a chain that
    no longer holds the last known head.
    """

    def __init__(self, store: Store, folder: Path, keys: Keys, *, clock: Clock = _utc_now, algorithm: str = "") -> None:
        """Seal into `folder` with `algorithm` (AES-256-GCM or SM4-GCM). Use `agent.ledger.open_ledger`.

        Raises:
            RefusedError: the algorithm is not to be had here.
        """
        self.store = store
        self.keys = keys
        self.clock = clock
        self.blobs = Blobs(folder, keys, usable(algorithm or AES.name))
        self.anchor = anchors.Anchor(keys.folder)
        self._commits = Gatherer(self._commit)
        self.blobs.sweep()

    def seal(self, kind: str, payload: bytes, *, run: str = "", subject: str = "") -> Evidence:
        """Seal a payload; it is durable when this returns.

        Raises:
            StoreError: disk full, locked or damaged; nothing was sealed.
            IntegrityError: the database was rolled back behind the last known head.
        """
        return self.seal_many([Item(kind, payload, run, subject)])[0]

    def seal_many(self, items: Sequence[Item]) -> list[Evidence]:
        """Seal several payloads in one transaction: all or none. Raises like `seal`."""
        if not items:
            return []
        if any(max(len(item.kind), len(item.run)) > _NAME_CAP or not item.kind for item in items):
            # Found here, for a row that the database refuses would take its whole group along.
            raise ValueError(f"kind and run have at most {_NAME_CAP} characters, and kind is not empty")
        with self.blobs.session():
            return self._commits.do(_Batch(items, self._prepare(items)))

    def seal_with(self, kind: str, payload: Callable[[str], bytes], work: Callable[[Connection], Done]) -> Done:
        """Seal a payload and do work in the same transaction: both or neither; what the work returns.

        Args:
            kind: stands in clear in the chain.
            payload: made of the hash of the entry that it follows, so that it can be bound to its place.
            work: gets the transaction's connection.

        Raises:
            StoreError, IntegrityError: as `seal`; whatever the work raises.
        """
        spare: list[str] = []
        with self.blobs.session():
            with self.store.write() as connection:
                self._check_anchor(connection)
                end = tip(connection)
                item = Item(kind, payload(end[1]))
                rows = self._insert_blobs(connection, self._prepare([item]), spare)
                sealed = self._append(connection, end, [item], rows)[-1]
                done = work(connection)
            for unused in spare:
                self.blobs.discard(unused)
            self._advance(sealed.seq, sealed.hash, to_text(sealed.at))
        return done

    def current(self) -> None:
        """Raises IntegrityError when the database is older than the last known head."""
        with self.store.read() as connection:
            self._check_anchor(connection)

    def newest(self, kind: str) -> Evidence | None:
        """The newest entry of a kind; None when there is none.

        That it is the newest is proven: from it on the chain is followed to the last known head and to its end.

        Raises:
            IntegrityError: the database is older than the last known head, or the chain is broken from there on.
        """
        with self.store.read() as connection:
            self._check_anchor(connection)
            query = select(func.max(ledger_entry.c.seq)).where(ledger_entry.c.kind == kind)
            seq = connection.execute(query).scalar()
            if seq is None:
                recompute(connection, None)
                return None
            found = connection.execute(select(ledger_entry).where(ledger_entry.c.seq == seq)).mappings().one()
            follow(connection, seq - 1, found["prev"])
            return evidence_of(found)

    def open(self, seq: int) -> bytes:
        """Return the payload of an entry, decrypted and checked.

        Raises:
            IntegrityError: there is no such entry, or it or its blob does not verify.
        """
        return self._envelope(seq).payload

    def subject(self, seq: int) -> str:
        """Return whose answer an entry holds. Raises like `open`."""
        return str(self._envelope(seq).head.get("subject", ""))

    def entry(self, seq: int) -> Evidence:
        """Return one entry, its own hash checked.

        Raises:
            IntegrityError: there is no such entry, or it was changed.
        """
        with self.store.read() as connection:
            row = connection.execute(select(ledger_entry).where(ledger_entry.c.seq == seq)).mappings().first()
        if row is None:
            raise IntegrityError("there is no such entry", where=f"entry {seq}", remedy="see `agent evidence list`")
        if entry_hash(row["prev"], line_of(row)) != row["hash"]:
            raise IntegrityError("the entry was changed", where=f"entry {seq}", remedy="run `agent evidence verify`")
        return evidence_of(row)

    def entries(self, run: str | None = None) -> list[Evidence]:
        """Return the entries in order, of one run or of all."""
        query = select(ledger_entry).order_by(ledger_entry.c.seq)
        if run is not None:
            query = query.where(ledger_entry.c.run == run)
        with self.store.read() as connection:
            return [evidence_of(row) for row in connection.execute(query).mappings()]

    def checkpoint(self) -> Checkpoint | None:
        """Sign how far the chain reached; returns the newest checkpoint, None for an empty ledger.

        What is signed is recomputed first, from the last checkpoint on. Called at the close of each run.

        Raises:
            IntegrityError: the chain does not hold; nothing is signed.
            StoreError: it cannot be written.
        """
        with self.store.write() as connection:
            last = last_checkpoint(connection)
            self._check_anchor(connection)
            seq, head = recompute(connection, last)
            if seq == (last.seq if last else 0):
                return last
            new = Checkpoint(
                id=last.id + 1 if last else 1,
                seq=seq,
                head=head,
                at=to_text(self.clock()),
                previous=last.hash if last else GENESIS,
            )
            one, other = self.keys.sign(new.text.encode())
            connection.execute(
                insert(checkpoint).values(id=new.id, seq=new.seq, text=new.text, ed25519=one, ecdsa=other)
            )
        self._advance(seq, head, new.at)
        return new

    def verify(self, public: PublicKeys | None = None) -> Verification:
        """Verify everything: chain, signatures, anchor, and each blob by decrypting it. Changes nothing.

        Args:
            public: whose signatures count; None: those of the ledger's own keys.
        """
        return verify(self.store, self.blobs, self.anchor, public or self.keys.public)

    def export(self, out: Path, run: str | None = None, *, content: bool = False) -> Path:
        """Write a folder that a customer verifies with openssl and sha256sum; see `agent.ledger.export`.

        Args:
            out: must not exist yet, or be empty.
            run: whose content is wanted; the chain itself is always whole.
            content: add the decrypted payloads.

        Raises:
            IntegrityError: the ledger does not verify; nothing is exported.
            StoreError: the folder cannot be written or is not empty.
        """
        return export(self, out, run, content=content)

    def _commit(self, batches: Sequence[_Batch]) -> list[list[Evidence]]:
        """Commit the batches of all threads that wait, in one transaction; their blobs are durable already."""
        spare: list[str] = []
        # When the commit fails, whole blobs stay: its answer may be lost and the entry there.
        with self.store.write() as connection:
            self._check_anchor(connection)
            end = tip(connection)
            sealed = []
            for batch in batches:
                rows = self._insert_blobs(connection, batch.prepared, spare)
                sealed.append(self._append(connection, end, batch.items, rows))
                end = (sealed[-1][-1].seq, sealed[-1][-1].hash)
        for unused in spare:
            self.blobs.discard(unused)
        self._advance(*end, to_text(sealed[-1][-1].at))
        return sealed

    def _prepare(self, items: Iterable[Item]) -> list[tuple[str, BlobRow]]:
        """(tag, blob) for each item; a blob is written unless a good one with the same content is there."""
        packed = [Envelope({"kind": item.kind, "subject": item.subject}, item.payload).pack() for item in items]
        tags = [self.blobs.tag(envelope) for envelope in packed]
        with self.store.read() as connection:
            known = {
                row["dedup"]: row_of(dict(row))
                for row in connection.execute(select(blob).where(blob.c.dedup.in_(set(tags)))).mappings()
            }
        for item, envelope, tag in zip(items, packed, tags, strict=True):
            there = known.get(tag)
            if there is None or not self._good(there):
                known[tag] = self.blobs.put(envelope, len(item.payload), None if there else tag)
        return [(tag, known[tag]) for tag in tags]

    def _good(self, row: BlobRow) -> bool:
        """Whether a duplicate may rely on that blob: what is there is read, not believed."""
        try:
            self.blobs.get(row)
        except IntegrityError:
            return False
        return True

    def _insert_blobs(
        self, connection: Connection, prepared: list[tuple[str, BlobRow]], spare: list[str]
    ) -> list[BlobRow]:
        """Insert rows of new blobs; where another writer was quicker, its blob is used and ours is spare."""
        used: dict[str, BlobRow] = {}
        for tag, row in prepared:
            if tag in used:
                continue
            same = (blob.c.dedup == tag) if row.dedup else (blob.c.id == row.id)
            there = connection.execute(select(blob).where(same)).mappings().first()
            if there is None:
                connection.execute(insert(blob).values(asdict(row)))
            elif there["id"] != row.id:
                spare.append(row.id)
            used[tag] = row_of(dict(there)) if there else row
        return [used[tag] for tag, _ in prepared]

    def _append(
        self, connection: Connection, end: tuple[int, str], items: Sequence[Item], rows: list[BlobRow]
    ) -> list[Evidence]:
        seq, prev = end
        sealed = []
        for item, row in zip(items, rows, strict=True):
            seq, at, size = seq + 1, self.clock(), len(item.payload)
            line = canonical(seq=seq, at=to_text(at), kind=item.kind, run=item.run, blob=row.id, size=size)
            this = entry_hash(prev, line)
            sealed.append(Evidence(seq, at, item.kind, item.run, row.id, size, this, prev))
            prev = this
        connection.execute(insert(ledger_entry), [asdict(each) | {"at": to_text(each.at)} for each in sealed])
        return sealed

    def _check_anchor(self, connection: Connection) -> None:
        known = self.anchor.read()
        if known is None:
            return
        there = connection.execute(select(ledger_entry.c.hash).where(ledger_entry.c.seq == known.seq)).scalar()
        if there != known.hash:
            raise IntegrityError(
                f"the database does not hold the last known head (entry {known.seq} of {known.at}): "
                "it was rolled back, cut or exchanged, and nothing is sealed onto it",
                where=f"entry {known.seq}",
                remedy=anchors.REMEDY,
            )

    def _advance(self, seq: int, head: str, at: str) -> None:
        self.anchor.advance(anchors.Head(seq, head, at))

    def _envelope(self, seq: int) -> Envelope:
        found = self.entry(seq)
        with self.store.read() as connection:
            row = connection.execute(select(blob).where(blob.c.id == found.blob)).mappings().first()
        if row is None:
            raise IntegrityError(f"blob {found.blob} has no key", where=f"entry {seq}")
        envelope = self.blobs.get(row_of(dict(row)))
        if envelope.head.get("kind") != found.kind or len(envelope.payload) != found.size:
            raise IntegrityError("the blob is not the one that was sealed", where=f"entry {seq}")
        return envelope
