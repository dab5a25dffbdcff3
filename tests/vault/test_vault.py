"""What is kept comes back, versions go their way, and whoever changes the store without a key is found out."""

from __future__ import annotations

import multiprocessing
import resource
import secrets
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.ledger.chain import canonical, entry_hash
from agent.model.errors import AgentError, IntegrityError, RefusedError, StoreError
from agent.model.secret import Secret
from agent.store.times import to_text
from agent.vault import opening, records, slots
from agent.vault.keyfile import Key
from agent.vault.vault import REUSE, New

PASSPHRASE = Secret("correct horse battery staple")


def test_what_was_kept_comes_back_by_every_slot(bench):
    bench.keep("ops@web-01", "old text")
    bench.keep("ops@web-01", "new text 口令")
    assert bench.vault.current("ops@web-01") == Secret("new text 口令")
    assert bench.unlock().current("ops@web-01") == Secret("new text 口令")
    assert bench.unlock(passphrase=PASSPHRASE).current("ops@web-01") == Secret("new text 口令")
    assert [row.state for row in bench.vault.versions(["ops@web-01"])["ops@web-01"]] == ["previous", "current"]


def test_nothing_that_is_kept_stands_in_clear_in_any_file(bench):
    bench.keep("ops@web-01", "Zq7-needle-in-the-haystack")
    bench.ledger.checkpoint()
    for file in [*bench.state.rglob("*"), *bench.keys.rglob("*")]:
        if file.is_file():
            assert b"needle-in-the-haystack" not in file.read_bytes(), file


def test_states_go_one_way(bench):
    made = bench.vault.pend([New("a", "dmz", Secret("one"))])["a"]
    with pytest.raises(RefusedError, match="pending version already"):
        bench.vault.pend([New("a", "dmz", Secret("two"))])
    void = bench.vault.void(made, "rejected")
    assert (void.state, void.why) == ("void", "rejected")
    with pytest.raises(RefusedError, match="not pending any more"):
        bench.vault.promote(made)
    second = bench.vault.promote(bench.vault.pend([New("a", "dmz", Secret("two"))])["a"])
    assert (second.version, second.state) == (2, "current")
    with pytest.raises(RefusedError, match="not pending any more"):
        bench.vault.void(second, "too late")
    assert bench.vault.reveal(void) == Secret("one")


def test_one_refused_change_does_not_hold_back_those_beside_it(bench):
    first = bench.vault.pend([New("a", "dmz", Secret("one")), New("b", "dmz", Secret("two"))])
    bench.vault.void(first["a"], "x")
    errors = []

    def promote(row):
        try:
            bench.vault.promote(row)
        except RefusedError as error:
            errors.append(error.message)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(promote, [first["a"], first["b"]]))
    assert errors == ["version 1 is not pending any more"]
    assert bench.vault.current("b") == Secret("two")


def test_no_text_is_kept_twice_whatever_became_of_it(bench):
    bench.vault.void(bench.vault.pend([New("a", "dmz", Secret("one"))])["a"], "x")
    bench.keep("b", "two")
    for text in ("one", "two"):
        with pytest.raises(RefusedError, match="used before"):
            bench.vault.pend([New("c", "data", Secret(text))])
    with pytest.raises(RefusedError, match="used before"):
        bench.vault.pend([New("c", "data", Secret("x")), New("d", "data", Secret("x"))])
    assert bench.vault.used(Secret("one")) == ("a",)
    assert bench.vault.used(Secret("two"), but="b") == ()


def test_texts_of_ended_versions_go_after_their_time_and_are_still_not_used_again(bench):
    bench.vault.void(bench.vault.pend([New("a", "dmz", Secret("one"))])["a"], "x")
    bench.keep("a", "two")
    bench.now += timedelta(days=89)
    assert bench.vault.destroy() == 0
    bench.now += timedelta(days=2)
    assert bench.vault.destroy() == 1
    gone = bench.unlock().versions(["a"])["a"][0]
    assert gone.sealed == b""
    with pytest.raises(IntegrityError, match="destroyed"):
        bench.vault.reveal(gone)
    with pytest.raises(RefusedError, match="used before"):
        bench.vault.pend([New("c", "data", Secret("one"))])
    bench.vault.rekey()
    with pytest.raises(RefusedError, match="used before"):
        bench.unlock().pend([New("c", "data", Secret("one"))])


def test_a_slot_opens_the_zones_it_was_given_and_no_other(bench):
    bench.keep("web", "one", "dmz")
    bench.keep("db", "two", "data")
    officer = slots.new_private()
    bench.vault.add_slot(slots.with_key("li", slots.OFFICER, slots.public_of(officer)), ["dmz"])
    vault = bench.unlock(private=officer)
    assert vault.zones == ("dmz",)
    assert vault.current("web") == Secret("one")
    with pytest.raises(RefusedError, match="does not open the zone data"):
        vault.current("db")
    with pytest.raises(RefusedError, match="does not open the zone data"):
        vault.rekey()
    with pytest.raises(RefusedError, match="does not open the zone data"):
        vault.add_slot(slots.with_passphrase("p2", Secret("x")), ["data"])
    bench.unlock().add_zone("new")
    assert bench.unlock(private=officer).zones == ("dmz",)
    assert bench.unlock(passphrase=PASSPHRASE).zones == ("data", "dmz", "new")


def test_a_removed_slot_opens_nothing_not_even_with_an_old_root_key(bench):
    bench.keep("web", "one")
    old = dict(bench.vault._roots)
    bench.vault.remove_slot("people")
    with pytest.raises(RefusedError, match="no slot of the vault has a passphrase"):
        bench.unlock(passphrase=PASSPHRASE)
    vault = bench.unlock()
    row = vault.versions(["web"])["web"][-1]
    with pytest.raises(IntegrityError):
        records.unseal(old["dmz"], vault.id, row)
    assert vault.current("web") == Secret("one")
    with pytest.raises(RefusedError, match="last slot"):
        vault.remove_slot("file")
    with pytest.raises(RefusedError, match="no such slot"):
        vault.remove_slot("nobody")


@pytest.mark.parametrize("key", [{"passphrase": Secret("wrong")}, {"private": slots.new_private()}])
def test_what_opens_no_slot_is_refused_and_says_what_to_do(bench, key):
    with pytest.raises(RefusedError, match=r"wrong|opens no slot") as caught:
        bench.unlock(**key)
    assert caught.value.remedy


def _swap(bench):
    (one,), (two,) = (
        bench.ask("select sealed from secret where account='a'"),
        bench.ask("select sealed from secret where account='b'"),
    )
    bench.attack("update secret set sealed=? where account='a'", two[0])
    bench.attack("update secret set sealed=? where account='b'", one[0])


TAMPERED = {
    "a bit of a text": lambda b: b.attack("update secret set sealed=x'00'||substr(sealed,2) where account='a'"),
    "two texts exchanged": _swap,
    "a state": lambda b: b.attack("update secret set state='void' where account='a'"),
    "a day": lambda b: b.attack("update secret set current_at='2036-01-01T00:00:00.000000Z' where account='a'"),
    "a zone": lambda b: b.attack("update secret set zone='data' where account='a'"),
    "what tells reuse": lambda b: b.attack("update secret set reuse=x'00' where account='a'"),
    "a row taken away": lambda b: b.attack("delete from secret where account='a'"),
    "a row added": lambda b: b.attack(
        "insert into secret select 'c',version,zone,kind,state,sealed,reuse,made_at,current_at,verified_at,ended_at,"
        "why from secret where account='a'"
    ),
    "the balance": lambda b: b.attack("update vault set balance=zeroblob(64)"),
    "the generation": lambda b: b.attack("update vault set generation=generation-1"),
    "a root key": lambda b: b.attack("update vault_root set sealed=zeroblob(length(sealed))"),
    "a slot's public key": lambda b: b.attack("update vault_slot set public=randomblob(32) where name='people'"),
    "what a slot says": lambda b: b.attack("update vault_slot set kind='officer' where name='people'"),
    "a slot of his own": lambda b: b.attack(
        "insert into vault_slot select 'evil',kind,randomblob(32),params,created_at from vault_slot where name='file'"
    ),
    "a slot taken away": lambda b: b.attack("delete from vault_slot where name='people'"),
    "two root keys exchanged": lambda b: b.attack(
        "update vault_root set sealed=(select sealed from vault_root r where r.slot=vault_root.slot and r.zone='data') "
        "where zone='dmz'"
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", TAMPERED)
def test_whoever_changes_the_store_without_a_key_is_found_out(bench, what):
    bench.keep("a", "one")
    bench.keep("b", "two")
    TAMPERED[what](bench)
    with pytest.raises((IntegrityError, RefusedError)) as caught:
        bench.unlock()
    assert caught.value.remedy


def test_an_old_copy_of_the_database_is_refused(bench):
    bench.keep("a", "one")
    bench.store.close()
    shutil.copy(bench.state / "agent.db", bench.root / "old.db")
    bench.unlock()
    bench.keep("a", "two")
    bench.store.close()
    for suffix in ("", "-wal", "-shm"):
        (bench.state / f"agent.db{suffix}").unlink(missing_ok=True)
    shutil.copy(bench.root / "old.db", bench.state / "agent.db")
    with pytest.raises(IntegrityError, match="rolled back") as caught:
        bench.unlock()
    assert caught.value.remedy


def test_old_rows_in_a_newer_chain_are_refused(bench):
    bench.keep("a", "one")
    tables = ("vault", "secret")
    kept = {table: bench.ask(f"select * from {table}") for table in tables}
    bench.keep("a", "two")
    for table in tables:
        bench.attack(f"delete from {table}")
        for row in kept[table]:
            bench.attack(f"insert into {table} values ({','.join('?' * len(row))})", *row)
    with pytest.raises(IntegrityError, match="old copy"):
        bench.unlock()


def test_a_tampered_row_is_found_while_the_vault_is_open_too(bench):
    bench.keep("a", "one")
    bench.attack("update secret set sealed=x'00'||substr(sealed,2) where account='a'")
    with pytest.raises(IntegrityError, match="changed"):
        bench.vault.current("a")
    with pytest.raises(IntegrityError):
        bench.vault.check()


def test_nobody_slips_a_slot_in_before_a_rekey(bench):
    bench.keep("a", "one")
    bench.attack("update vault_slot set public=randomblob(32) where name='people'")
    for change in (bench.vault.rekey, lambda: bench.vault.remove_slot("people"), lambda: bench.vault.add_zone("new")):
        with pytest.raises(IntegrityError, match="do not add up"):
            change()


def test_nobody_slips_a_root_key_of_his_own_in(bench):
    """HPKE tells nothing of who sealed: whoever reads a slot's public half can seal to it."""
    bench.keep("a", "one")
    [slot] = [slot for slot, _ in bench.vault.slots() if slot.name == "file"]
    for zone in ("dmz", "", "new"):
        mine = slots.seal_root(slot, bench.vault.id, zone, secrets.token_bytes(slots.SIZE))
        bench.attack("DELETE FROM vault_root WHERE slot='file' AND zone=?", zone)
        bench.attack("INSERT INTO vault_root (slot, zone, sealed) VALUES ('file', ?, ?)", zone, mine)
        with pytest.raises(IntegrityError, match="a root key was exchanged for another, or added"):
            bench.unlock()
        bench.attack("DELETE FROM vault_root WHERE slot='file' AND zone=?", zone)
        good = {"dmz": bench.vault._roots["dmz"], "": bench.vault._roots[""]}.get(zone)
        if good:
            mine = slots.seal_root(slot, bench.vault.id, zone, good)
            bench.attack("INSERT INTO vault_root (slot, zone, sealed) VALUES ('file', ?, ?)", zone, mine)
    assert bench.unlock().check() == 2


def test_the_last_slot_that_opens_a_zone_stays(bench):
    with_one = slots.with_key("other", slots.KEYFILE, slots.public_of(slots.new_private()))
    bench.vault.add_slot(with_one, ["dmz"])
    bench.vault.remove_slot("people")
    bench.keep("a", "one", "data")
    with pytest.raises(RefusedError, match="no other slot opens the zone data"):
        bench.vault.remove_slot("file")
    assert bench.unlock().current("a") == Secret("one")


def _tables(bench):
    with closing(sqlite3.connect(bench.state / "agent.db")) as raw:
        return {name: raw.execute(f"SELECT * FROM {name}").fetchall()
                for name in ("vault", "vault_slot", "vault_root", "secret")}  # fmt: skip


def _put_back(bench, tables):
    for name, found in tables.items():
        bench.attack(f"DELETE FROM {name}")
        for row in found:
            bench.attack(f"INSERT INTO {name} VALUES ({','.join('?' * len(row))})", *row)


def test_an_old_entry_told_again_does_not_make_old_tables_new(bench):
    bench.keep("a", "one")
    old = _tables(bench)
    entry = [entry for entry in bench.ledger.entries() if entry.kind == "vault"][-1]
    bench.keep("a", "two")
    _put_back(bench, old)
    with pytest.raises(IntegrityError, match="an old copy"):
        bench.unlock()
    last = bench.ledger.entries()[-1]
    at = to_text(bench.clock())
    line = canonical(seq=last.seq + 1, at=at, kind="vault", run="", blob=entry.blob, size=entry.size)
    bench.attack(
        "INSERT INTO ledger_entry (seq, at, kind, run, blob, size, hash, prev) VALUES (?,?,?,?,?,?,?,?)",
        last.seq + 1, at, "vault", "", entry.blob, entry.size, entry_hash(last.hash, line), last.hash,
    )  # fmt: skip
    with pytest.raises(IntegrityError, match="an old copy"):
        bench.unlock()


@pytest.mark.parametrize("how", ["gone", "called otherwise"])
def test_newer_entries_that_were_taken_away_are_missed(bench, how):
    bench.keep("a", "one")
    old = _tables(bench)
    before = bench.ledger.entries()[-1].seq
    bench.keep("a", "two")
    bench.ledger.seal("note", b"after it")
    _put_back(bench, old)
    with closing(sqlite3.connect(bench.state / "agent.db")) as raw:
        for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type='trigger'").fetchall():
            raw.execute(f"DROP TRIGGER {name}")
    if how == "gone":
        bench.attack("DELETE FROM ledger_entry WHERE kind='vault' AND seq>?", before)
    else:
        bench.attack("UPDATE ledger_entry SET kind='note' WHERE kind='vault' AND seq>?", before)
    with pytest.raises(IntegrityError, match="the chain is broken"):
        bench.unlock()


def test_a_rekey_beside_an_open_vault_is_noticed_before_anything_is_written_or_shown(bench):
    row = bench.keep("a", "one")
    other = opening.unlock(bench.store, bench.ledger, bench.clock, Key("test", private=bench.private))
    other.rekey()
    with pytest.raises(RefusedError, match="new root keys since it was opened"):
        bench.vault.pend([New("b", "dmz", Secret("two"))])
    with pytest.raises(RefusedError, match="new root keys since it was opened"):
        bench.vault.reveal(bench.vault.versions(["a"])["a"][0])
    with pytest.raises(RefusedError, match="new root keys since it was opened"):
        bench.vault.promote_all([row])
    assert bench.unlock().check() == 2


def test_every_change_is_an_entry_that_names_no_secret(bench):
    bench.keep("ops@web-01", "Zq7-needle")
    bench.vault.rekey()
    told = [bench.ledger.open(entry.seq).decode() for entry in bench.ledger.entries() if entry.kind == "vault"]
    assert [text.split('"what": "')[1].split('"')[0] for text in told] == ["created", "pending", "promote", "rekey"]
    assert "ops@web-01" in told[1]
    assert "needle" not in "".join(told)
    bench.ledger.checkpoint()
    assert bench.ledger.verify().ok


def test_a_change_and_its_entry_are_there_together_or_not_at_all(bench, monkeypatch):
    before = len(bench.ledger.entries())
    made = bench.vault.pend([New("a", "dmz", Secret("one"))])["a"]
    assert len(bench.ledger.entries()) == before + 1

    def fails(*_):
        raise RefusedError("no")

    monkeypatch.setattr("agent.vault.rows.advance", fails)
    with pytest.raises(RefusedError):
        bench.vault.promote(made)
    monkeypatch.undo()
    assert len(bench.ledger.entries()) == before + 1
    assert bench.unlock().versions(["a"])["a"][0].state == "pending"


def _fill(vault):
    for number in range(50):
        vault.pend([New(f"b{number}", "dmz", Secret(f"text {number} " * 500))])


def test_a_full_disk_keeps_nothing_and_loses_nothing(bench):
    bench.keep("a", "one")
    size = (bench.state / "agent.db").stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (max(size // 8, 1024), hard))
        with pytest.raises((StoreError, OSError)):
            _fill(bench.vault)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, old)
    vault = bench.unlock()
    assert vault.current("a") == Secret("one")
    vault.check()
    bench.keep("c", "three")


def _changes(root: Path, name: str, private: bytes) -> None:
    from datetime import UTC, datetime  # noqa: PLC0415 - in a process of its own

    from agent.ledger import open_ledger  # noqa: PLC0415
    from agent.store.engine import open_store  # noqa: PLC0415

    store = open_store(root / "state")
    clock = lambda: datetime.now(UTC)  # noqa: E731
    vault = opening.unlock(
        store, open_ledger(root / "state", root / "keys", store, clock=clock), clock, Key("test", private=private)
    )
    for number in range(10):
        vault.promote(vault.pend([New(f"{name}", "dmz", Secret(f"{name} {number}"))])[name])
        try:
            vault.pend([New("shared", "dmz", Secret(f"{name} shared {number}"))])
        except RefusedError:
            continue


def test_processes_at_once_lose_nothing(bench):
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=_changes, args=(bench.root, f"p{number}", bench.private)) for number in range(3)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    vault = bench.unlock()
    versions = vault.versions()
    assert [versions[f"p{number}"][-1].version for number in range(3)] == [10, 10, 10]
    assert len(versions["shared"]) == 1
    assert vault.check() == 32


_KILLED = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from agent.ledger import open_ledger
from agent.model.secret import Secret
from agent.store.engine import open_store
from agent.vault import opening
from agent.vault.keyfile import Key
from agent.vault.vault import New
root, private = Path(sys.argv[1]), bytes.fromhex(sys.stdin.readline())
store = open_store(root / "state")
clock = lambda: datetime.now(UTC)
ledger = open_ledger(root / "state", root / "keys", store, clock=clock)
vault = opening.unlock(store, ledger, clock, Key("test", private=private))
print("ready", flush=True)
number = len(vault.versions(["a"]).get("a", []))
while True:
    number += 1
    row = vault.pend([New("a", "dmz", Secret(f"text {number}"))])["a"]
    print("kept", number, flush=True)
    vault.promote(row)
    print("promoted", number, flush=True)
"""


def _kill_at(bench, delay: float) -> list[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", _KILLED, bench.root], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    process.stdin.write(bench.private.hex() + "\n")
    process.stdin.flush()
    assert process.stdout.readline() == "ready\n"
    threading.Timer(delay, process.kill).start()
    said = process.stdout.read().splitlines()
    process.wait()
    return said


@pytest.mark.parametrize("turn", range(4))
def test_a_kill_at_any_moment_loses_nothing_that_was_told(bench, turn):
    bench.store.close()
    said = _kill_at(bench, 0.02 + 0.037 * turn)
    vault = bench.unlock()
    vault.check()
    mine = vault.versions(["a"]).get("a", [])
    kept = sum(line.startswith("kept") for line in said)
    promoted = sum(line.startswith("promoted") for line in said)
    assert kept <= len(mine) <= kept + 1
    assert sum(row.state in {"current", "previous"} for row in mine) in {promoted, promoted + 1}
    assert [vault.reveal(row).reveal() for row in mine] == [f"text {row.version}" for row in mine]
    if mine and mine[-1].state == "pending":
        vault.promote(mine[-1])


@pytest.mark.campaign
@pytest.mark.parametrize("turn", range(40))
def test_forty_kills_lose_nothing_that_was_told(bench, turn):
    test_a_kill_at_any_moment_loses_nothing_that_was_told(bench, turn / 5)


@settings(max_examples=20, deadline=None)
@given(account=st.text(min_size=1, max_size=40), version=st.integers(1, 99), text=st.binary(max_size=200))
def test_a_record_opens_as_itself_and_as_nothing_else(account, version, text):
    root = bytes(range(32))
    row = records.Row(
        account, version, "z", "password", "current", records.seal(root, "v", account, version, text), b"", ""
    )
    assert records.unseal(root, "v", row) == text
    for other in (
        {"account": account + "x"}, {"version": version + 1}, {"sealed": row.sealed[:-1] + bytes([row.sealed[-1] ^ 1])},
    ):  # fmt: skip
        with pytest.raises(IntegrityError):
            records.unseal(
                root, "v", type(row)(**{**{name: getattr(row, name) for name in row.__dataclass_fields__}, **other})
            )
    with pytest.raises(IntegrityError):
        records.unseal(root, "w", row)


@settings(max_examples=30, deadline=None)
@given(raw=st.binary(max_size=64))
def test_anything_else_is_no_key(raw):
    if len(raw) != slots.SIZE:
        with pytest.raises(RefusedError):
            slots.public_of(raw)


def test_a_slot_whose_cost_was_raised_does_not_make_us_work_for_hours(bench):
    bench.attack("update vault_slot set params=json_set(params,'$.memory_cost',1e9) where name='people'")
    began = time.monotonic()
    with pytest.raises(AgentError):
        bench.unlock(passphrase=PASSPHRASE)
    assert time.monotonic() - began < 30


def test_a_vault_is_made_once(bench):
    made = [slots.with_passphrase("p", Secret("x"))]
    with pytest.raises(RefusedError, match="has a vault already"):
        opening.create(bench.store, bench.ledger, made, [], bench.clock)
    with pytest.raises(RefusedError, match="needs a slot"):
        opening.create(bench.store, bench.ledger, [], [], bench.clock)
    assert opening.exists(bench.store)
    assert REUSE in bench.vault.versions()
