"""Whatever is changed in state/ by whoever does not have the keys, verification fails and names the place."""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass

import pytest

from agent.ledger import load_keys
from agent.ledger.anchor import Anchor
from agent.ledger.blobs import Blobs
from agent.ledger.chain import GENESIS, Checkpoint, canonical, entry_hash
from agent.ledger.suites import AES
from agent.model.errors import IntegrityError

SEED = 20261122
"""The tenth that always runs is the same everywhere; the campaign runs the whole."""


@dataclass(frozen=True)
class Flip:
    """One bit of one place in the database."""

    table: str
    key: str
    """Primary key's column."""
    row: object
    column: str
    value: object
    """The value with its bit flipped."""
    expected: str
    """How the place of the flaw begins."""

    def apply(self, bench) -> None:
        cast = "cast(? as text)" if isinstance(self.value, _Text) else "?"
        value = bytes(self.value) if isinstance(self.value, _Text) else self.value
        bench.attack((f"update {self.table} set {self.column} = {cast} where {self.key} = ?", (value, self.row)))


class _Text(bytes):
    """Bytes that SQLite is to take for text, well-formed or not."""

    __slots__ = ()


def flips_of(bench, rng: random.Random) -> list[Flip]:
    """One flipped bit for every byte of every field of every row."""
    flips = []
    for table, key in (("ledger_entry", "seq"), ("blob", "id"), ("checkpoint", "id")):
        columns = [row[1] for row in bench.ask(f"pragma table_info({table})")]
        taken = {row[0] for row in bench.ask(f"select {key} from {table}")}
        for row in bench.ask(f"select * from {table}"):
            values = dict(zip(columns, row, strict=True))
            place = {"ledger_entry": "entry", "blob": "blob", "checkpoint": "checkpoint"}[table]
            for column, value in values.items():
                flips += [
                    Flip(table, key, values[key], column, flipped, f"{place} {values[key]}")
                    for flipped in _flipped(value, rng)
                    if column != key or flipped not in taken  # two rows with one key cannot be written
                ]
    return flips


def _flipped(value, rng):
    if isinstance(value, int):
        return [value ^ (1 << bit) for bit in range(16) if value ^ (1 << bit) > 0]
    raw = value.encode() if isinstance(value, str) else value
    kind = _Text if isinstance(value, str) else bytes
    return [kind(raw[:at] + bytes([raw[at] ^ (1 << rng.randrange(8))]) + raw[at + 1 :]) for at in range(len(raw))]


@pytest.mark.parametrize("share", [0.1, pytest.param(1.0, marks=pytest.mark.campaign)])
def test_any_byte_flipped_in_any_row(bench, share):
    bench.fill(2, run="scan-1")
    bench.fill(2, run="scan-2")
    rng = random.Random(SEED)
    flips = flips_of(bench, rng)
    chosen = rng.sample(flips, int(len(flips) * share))
    assert {flip.column for flip in chosen} >= {"hash", "prev", "salt", "wrapped_key", "text", "ed25519", "ecdsa"}
    bench.save()
    for flip in chosen:
        shutil.copyfile(bench.root / "saved" / "agent.db", bench.state / "agent.db")
        bench.reopen()
        flip.apply(bench)
        found = bench.places()
        assert any(place.startswith(flip.expected) for place in found), (flip, found)
        bench.close()


@pytest.mark.parametrize("share", [0.1, pytest.param(1.0, marks=pytest.mark.campaign)])
def test_any_byte_flipped_in_a_blob(bench, share):
    bench.fill(3)
    rng = random.Random(SEED)
    for entry in bench.ledger.entries():
        path = bench.ledger.blobs.path(entry.blob)
        whole = path.read_bytes()
        for at in rng.sample(range(len(whole)), int(len(whole) * share)):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << rng.randrange(8))]) + whole[at + 1 :])
            assert bench.places() == {f"blob {entry.blob}"}, at
            with pytest.raises(IntegrityError):
                bench.ledger.open(entry.seq)
        path.write_bytes(whole)
    assert bench.ledger.verify().ok


@pytest.mark.parametrize("damage", ["missing", "cut", "longer", "empty"])
def test_a_blob_file_missing_cut_or_lengthened(bench, damage):
    bench.fill()
    blob = bench.ledger.entries()[1].blob
    path = bench.ledger.blobs.path(blob)
    whole = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes({"cut": whole[:-1], "longer": whole + b"x", "empty": b""}[damage])
    assert bench.places() == {f"blob {blob}"}
    with pytest.raises(IntegrityError, match="missing" if damage == "missing" else "header|decrypt") as caught:
        bench.ledger.open(2)
    assert blob in caught.value.where


def test_swapped_blob_files(bench):
    bench.fill()
    one, other = (bench.ledger.entries()[index].blob for index in (0, 2))
    first, second = bench.ledger.blobs.path(one), bench.ledger.blobs.path(other)
    kept = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(kept)
    assert bench.places() == {f"blob {one}", f"blob {other}"}


def test_swapped_blobs_with_their_keys_and_salts(bench):
    bench.fill()
    one, other = (bench.ledger.entries()[index].blob for index in (0, 2))
    first, second = bench.ledger.blobs.path(one), bench.ledger.blobs.path(other)
    kept = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(kept)
    for column in ("salt", "wrapped_key", "size"):
        (a,), (b,) = bench.ask(f"select {column} from blob where id in ('{one}', '{other}') order by id = '{other}'")
        bench.attack(
            (f"update blob set {column} = ? where id = ?", (b, one)),
            (f"update blob set {column} = ? where id = ?", (a, other)),
        )
    assert bench.places() >= {f"blob {one}", f"blob {other}"}


def test_swapped_references(bench):
    bench.fill()
    one, other = (bench.ledger.entries()[index].blob for index in (0, 2))
    bench.attack(
        ("update ledger_entry set blob = ? where seq = 1", (other,)),
        ("update ledger_entry set blob = ? where seq = 3", (one,)),
    )
    assert bench.places() >= {"entry 1", "entry 3"}


def test_a_blob_row_deleted_or_invented(bench):
    bench.fill()
    blob = bench.ledger.entries()[1].blob
    bench.attack(("delete from blob where id = ?", (blob,)))
    bench.attack("insert into blob values ('ff', x'00', x'00', 'AES-256-GCM', 1, '', null)")
    assert bench.places() == {f"blob {blob}", "blob ff"}


def test_a_blob_said_to_be_destroyed(bench):
    bench.fill()
    blob = bench.ledger.entries()[1].blob
    bench.attack(("update blob set destroyed_at = '2026-11-22T00:00:00.000000Z' where id = ?", (blob,)))
    assert bench.places() == {f"blob {blob}"}


def test_a_tag_for_duplicates_removed(bench):
    bench.fill()
    blob = bench.ledger.entries()[1].blob
    bench.attack(("update blob set dedup = null where id = ?", (blob,)))
    assert bench.places() == {f"blob {blob}"}


def test_an_entry_deleted_from_the_middle(bench):
    bench.fill()
    bench.attack("delete from ledger_entry where seq = 2")
    assert "entry 2" in bench.places()


def test_an_entry_deleted_and_the_rest_moved_up(bench):
    bench.fill()
    bench.attack("delete from ledger_entry where seq = 2", "update ledger_entry set seq = seq - 1 where seq > 2")
    assert bench.places() >= {"entry 2", "checkpoint 1"}


def test_the_first_entry_deleted(bench):
    bench.fill()
    bench.attack("delete from ledger_entry where seq = 1")
    assert "entry 1" in bench.places()


def test_two_entries_reordered(bench):
    bench.fill()
    bench.attack(
        "update ledger_entry set seq = 99 where seq = 2",
        "update ledger_entry set seq = 2 where seq = 3",
        "update ledger_entry set seq = 3 where seq = 99",
    )
    assert bench.places() >= {"entry 2", "entry 3"}


def test_an_entry_inserted_in_the_middle(bench):
    bench.fill()
    bench.attack(
        "update ledger_entry set seq = seq + 100 where seq >= 3",
        "update ledger_entry set seq = seq - 99 where seq > 100",
        "insert into ledger_entry select 3, at, kind, run, blob, size, prev, 'new' from ledger_entry where seq = 2",
    )
    assert "entry 3" in bench.places()


def rehash(bench) -> None:
    """What an attacker does who knows the format: every hash fits again."""
    prev = GENESIS
    rows = bench.ask("select seq, at, kind, run, blob, size from ledger_entry order by seq")
    for seq, at, kind, run, blob, size in rows:
        this = entry_hash(prev, canonical(seq=seq, at=at, kind=kind, run=run, blob=blob, size=size))
        bench.attack(("update ledger_entry set prev = ?, hash = ? where seq = ?", (prev, this, seq)))
        prev = this


def test_an_edited_entry_with_every_hash_made_to_fit(bench):
    bench.fill()
    bench.attack("update ledger_entry set run = 'scan-9' where seq = 2")
    assert bench.places() == {"entry 2"}
    rehash(bench)
    assert bench.places() >= {"checkpoint 1", "entry 4"}


def test_an_entry_appended_by_hand_with_a_hash_that_fits(bench):
    bench.fill()
    bench.attack(
        "insert into ledger_entry select 5, at, kind, run, blob, size, hash, 'x' from ledger_entry where seq = 4"
    )
    rehash(bench)
    assert bench.places() == {"entry 5"}


def test_an_unsigned_tail_is_a_flaw_until_it_is_signed(bench):
    bench.fill(2)
    bench.ledger.seal("host", b"one")
    bench.ledger.seal("host", b"two")
    (flaw,) = bench.ledger.verify().flaws
    assert flaw.place == "entry 3"
    assert "entries 3 to 4" in flaw.problem
    bench.ledger.checkpoint()
    assert bench.ledger.verify().ok


def test_a_cut_tail(bench):
    bench.fill()
    bench.attack("delete from ledger_entry where seq > 2")
    assert bench.places() >= {"checkpoint 1", "entry 4"}


def test_a_cut_tail_with_its_checkpoints(bench):
    bench.fill(2, run="scan-1")
    bench.fill(2, run="scan-2")
    bench.attack("delete from ledger_entry where seq > 2", "delete from checkpoint where id > 1")
    bench.attack("delete from blob where id not in (select blob from ledger_entry)")
    (flaw,) = bench.ledger.verify().flaws
    assert flaw.place == "entry 4"
    assert "rolled back or its tail was cut" in flaw.problem


def test_a_cut_tail_that_was_never_signed(bench):
    bench.fill(2)
    bench.ledger.seal("host", b"never signed")
    bench.attack("delete from ledger_entry where seq = 3")
    bench.attack("delete from blob where id not in (select blob from ledger_entry)")
    assert bench.places() == {"entry 3"}


def test_an_older_copy_of_the_whole_state_is_noticed_and_nothing_is_sealed_onto_it(bench):
    bench.fill(2)
    bench.save()
    bench.reopen()
    bench.fill(2, run="scan-2")
    bench.restore()
    assert bench.places() == {"entry 4"}
    for write in (lambda: bench.ledger.seal("host", b"x"), bench.ledger.checkpoint):
        with pytest.raises(IntegrityError, match="rolled back") as caught:
            write()
        assert "anchor.json" in caught.value.remedy
    assert len(bench.ledger.entries()) == 2


def test_an_accepted_loss_goes_on(bench):
    bench.fill(2)
    bench.save()
    bench.reopen()
    bench.fill(2, run="scan-2")
    bench.restore()
    (bench.keys / "anchor.json").unlink()
    assert bench.places() == {"anchor"}
    bench.fill(1, run="scan-3")
    assert bench.ledger.verify().ok


def test_a_database_that_was_deleted_is_noticed(bench):
    bench.fill()
    bench.close()
    for file in bench.state.glob("agent.db*"):
        file.unlink()
    bench.reopen()
    assert "entry 4" in bench.places()
    with pytest.raises(IntegrityError, match="rolled back"):
        bench.ledger.seal("host", b"x")


@pytest.mark.parametrize("text", [b"", b"{}", b"[1]", b'{"seq": 1', b"\xff"])
def test_a_damaged_anchor_fails_closed(bench, text):
    bench.fill()
    (bench.keys / "anchor.json").write_bytes(text)
    assert bench.places() == {"anchor"}
    with pytest.raises(IntegrityError, match="anchor is damaged"):
        bench.ledger.seal("host", b"x")


@pytest.mark.parametrize("column", ["ed25519", "ecdsa"])
def test_one_signature_missing_is_enough_to_fail(bench, column):
    bench.fill()
    bench.attack(f"update checkpoint set {column} = x''")
    assert bench.places() == {"checkpoint 1", "entry 1"}


def test_all_checkpoints_deleted(bench):
    bench.fill()
    bench.attack("delete from checkpoint")
    assert bench.places() == {"checkpoint 1", "entry 1"}


def test_a_checkpoint_missing_in_the_middle(bench):
    for number in range(3):
        bench.fill(1, run=f"scan-{number}")
    bench.attack("delete from checkpoint where id = 2")
    assert bench.places() == {"checkpoint 2", "checkpoint 3", "entry 2"}


def test_swapped_checkpoints(bench):
    bench.fill(1, run="scan-1")
    bench.fill(1, run="scan-2")
    bench.attack(
        "update checkpoint set id = 9 where id = 1",
        "update checkpoint set id = 1 where id = 2",
        "update checkpoint set id = 2 where id = 9",
    )
    assert bench.places() >= {"checkpoint 1", "checkpoint 2"}


def test_swapped_signatures(bench):
    bench.fill(1, run="scan-1")
    bench.fill(1, run="scan-2")
    (one,), (other,) = bench.ask("select ed25519 from checkpoint order by id")
    bench.attack(
        ("update checkpoint set ed25519 = ? where id = 1", (other,)),
        ("update checkpoint set ed25519 = ? where id = 2", (one,)),
    )
    assert bench.places() >= {"checkpoint 1", "checkpoint 2"}


def test_everything_signed_again_with_a_foreign_key(bench, other_bench):
    bench.fill()
    bench.attack("update ledger_entry set run = 'scan-9' where seq = 2")
    rehash(bench)
    (head,) = bench.ask("select hash from ledger_entry where seq = 4")[0]
    forged = Checkpoint(1, 4, head, "2026-11-22T08:00:00.000000Z", GENESIS)
    other_bench.fill(1)
    one, other = other_bench.ledger.keys.sign(forged.text.encode())
    bench.attack(("update checkpoint set text = ?, ed25519 = ?, ecdsa = ?", (forged.text, one, other)))
    assert bench.places() == {"checkpoint 1", "entry 1", "entry 4"}
    found = bench.ledger.verify(other_bench.ledger.keys.public)
    assert {flaw.place for flaw in found.flaws} == {"entry 4"}, "the anchor tells even who is given the wrong key"


def test_a_good_ledger_does_not_verify_with_a_foreign_key(bench, other_bench):
    bench.fill()
    found = bench.ledger.verify(other_bench.ledger.keys.public)
    assert {flaw.place for flaw in found.flaws} == {"checkpoint 1", "entry 1"}


def test_the_whole_state_of_another_workspace(bench, other_bench):
    bench.fill()
    other_bench.fill(6)
    other_bench.close()
    bench.close()
    shutil.rmtree(bench.state)
    shutil.copytree(other_bench.state, bench.state)
    bench.reopen()
    assert bench.places() >= {"checkpoint 1", "entry 1", "entry 4"}


def test_another_type_of_text_signed_with_our_key_is_no_checkpoint(bench):
    bench.fill()
    text = bench.ask("select text from checkpoint")[0][0].replace("checkpoint 1", "greeting 1")
    one, other = bench.ledger.keys.sign(text.encode())
    bench.attack(("update checkpoint set text = ?, ed25519 = ?, ecdsa = ?", (text, one, other)))
    assert "checkpoint 1" in bench.places()


def test_nothing_is_signed_over_a_broken_chain(bench):
    bench.fill(2)
    bench.ledger.seal("host", b"new")
    bench.attack("update ledger_entry set run = 'scan-9' where seq = 3")
    with pytest.raises(IntegrityError, match="chain is broken") as caught:
        bench.ledger.checkpoint()
    assert caught.value.where == "entry 3"
    assert bench.ask("select count(*) from checkpoint") == [(1,)]


def test_an_edited_entry_is_not_opened(bench):
    bench.fill()
    bench.attack("update ledger_entry set kind = 'database' where seq = 2")
    with pytest.raises(IntegrityError, match="changed") as caught:
        bench.ledger.open(2)
    assert caught.value.where == "entry 2"


@pytest.mark.parametrize(
    "statement",
    [
        "update ledger_entry set size = 'many' where seq = 2",
        "update ledger_entry set kind = x'00ff' where seq = 2",
        "update blob set size = 'many'",
        "update blob set salt = 'text'",
        "update checkpoint set ed25519 = 'text'",
        "update checkpoint set seq = 'text'",
        "update checkpoint set text = x'00ff'",
    ],
)
def test_values_of_a_wrong_type_are_flaws_not_crashes(bench, statement):
    bench.fill()
    bench.attack(statement)
    assert bench.places()


def test_foreign_keys_open_nothing(bench, other_bench):
    bench.fill()
    other_bench.fill()
    foreign = Blobs(bench.state / "blobs", load_keys(other_bench.keys), AES)
    from_here = bench.ledger
    from_here.blobs, from_here.anchor = foreign, Anchor(bench.keys)
    with pytest.raises(IntegrityError, match="does not decrypt"):
        from_here.open(1)
    assert len(bench.places()) == 4
