"""A backup is as encrypted as the store, comes back whole, and says what was changed since."""

from __future__ import annotations

import json
import stat

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.model.errors import AgentError, IntegrityError, RefusedError, StoreError
from agent.model.secret import Secret
from agent.vault import backup, slots
from agent.vault.keyfile import Key


def _key(bench) -> Key:
    return Key("test", private=bench.private)


def test_a_backup_comes_back_and_tells_what_changed_since(bench):
    bench.keep("a", "one-needle")
    bench.keep("b", "two-needle", "data")
    file = bench.root / "vault.backup"
    assert backup.write(bench.store, file) == 3
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "needle" not in file.read_text(encoding="utf-8")
    bench.keep("a", "three")
    bench.keep("c", "four")
    vault, newer = backup.restore(bench.store, bench.ledger, bench.clock, backup.read(file), _key(bench))
    assert newer == ("a", "c")
    assert (vault.current("a"), vault.current("c")) == (Secret("one-needle"), None)
    again = bench.unlock()
    assert again.check() == 3
    assert again.current("b") == Secret("two-needle")
    bench.keep("c", "five")


def test_it_comes_back_into_an_empty_store(bench):
    bench.keep("a", "one")
    file = bench.root / "vault.backup"
    backup.write(bench.store, file)
    for table in ("vault_root", "vault_slot", "secret", "vault"):
        bench.attack(f"delete from {table}")
    _, newer = backup.restore(bench.store, bench.ledger, bench.clock, backup.read(file), _key(bench))
    assert newer == ()
    assert bench.unlock().current("a") == Secret("one")


@pytest.mark.parametrize(
    "path", ["records.1.state", "records.1.version", "generation", "balance", "vault", "records.1.sealed", "roots.0.2"]
)
def test_a_changed_backup_is_refused_and_nothing_is_changed(bench, path):
    bench.keep("a", "one")
    file = bench.root / "vault.backup"
    backup.write(bench.store, file)
    body = json.loads(file.read_text(encoding="utf-8"))
    *way, last = path.split(".")
    place = body
    for name in way:
        place = place[int(name) if name.isdigit() else name]
    last = int(last) if last.isdigit() else last
    value = place[last]
    place[last] = (
        value + 1
        if isinstance(value, int)
        else "void"
        if value == "current"
        else ("0" if value[:1] != "0" else "1") + value[1:]
    )
    file.write_text(json.dumps(body), encoding="utf-8")
    with pytest.raises((IntegrityError, RefusedError)):
        backup.restore(bench.store, bench.ledger, bench.clock, backup.read(file), _key(bench))
    assert bench.unlock().current("a") == Secret("one")


def test_another_vaults_key_opens_no_backup(bench):
    file = bench.root / "vault.backup"
    backup.write(bench.store, file)
    with pytest.raises(RefusedError, match="opens no slot"):
        backup.restore(bench.store, bench.ledger, bench.clock, backup.read(file), Key("x", private=slots.new_private()))


def test_a_file_that_cannot_be_written_is_told(bench):
    with pytest.raises(StoreError, match="cannot write"):
        backup.write(bench.store, bench.root / "no" / "such" / "folder")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    raw=st.one_of(
        st.binary(max_size=80),
        st.recursive(
            st.none() | st.text() | st.integers(),
            lambda x: (
                st.dictionaries(
                    st.sampled_from(["format", "vault", "slots", "records", "roots", "generation", "balance"]),
                    x | st.just(backup.FORMAT),
                )
                | st.lists(x)
            ),
        ).map(lambda x: json.dumps(x).encode()),
    )
)
def test_anything_else_is_refused_and_never_falls_over(tmp_path, raw):
    file = tmp_path / "x"
    file.write_bytes(raw)
    with pytest.raises(AgentError):
        backup.read(file)
