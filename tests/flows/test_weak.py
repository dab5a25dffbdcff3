"""The check of weak passwords: gates, what is sealed, what is told; the target is this machine, its record a folder."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from shlex import quote

import click
import pytest

from agent.app import App
from agent.cli.main import Exit, cli
from agent.declared import opslocation, tickets
from agent.declared.tickets import TicketFile
from agent.declared.workspace import make_workspace
from agent.flows import weak
from agent.flows.accounts import _guessed
from agent.ledger.ledger import Item
from agent.model.errors import RefusedError
from agent.model.holder import Flaw, Found, Holding
from agent.model.weak import Ended, Rule
from agent.vault.inplace import TESTERS
from agent.vault.inplace.linux import Linux

NOW = datetime(2027, 2, 20, 14, 30, tzinfo=UTC)
HOSTS = """schema_version: 1
hosts:
- {name: here-01, address: 192.0.2.1, transport: local, become: {method: none}, owner: 张三, zone: dmz}
- {name: down-01, address: 127.0.0.1, port: 9, owner: 张三, zone: dmz}
"""
PEOPLE = (
    "schema_version: 1\npeople:\n- {name: 甲（虚构）, role: engineer, login: worker}\n"
    "- {name: 乙（虚构）, role: approver, login: boss}\n"
)
SHA512 = (
    "$6$rounds=1000$saltsalt$Z4JSTxrdbkCzMXKZlkEscLlj72EI3PIJ2sU/cMtALkuPbXAePR1AgS7tYuNC37zVBsnkB7ZTziEE15bz76xIc1"
)
"""Of bob."""


class Site(App):
    who = "worker"
    now = NOW

    @property
    def operator(self):
        return self.who


class Elsewhere(Linux):
    """Linux, whose root is a folder."""

    def __init__(self, root, *, breaks="") -> None:
        self.root, self.breaks = root, breaks

    def listing(self, port):
        return f"R={quote(str(self.root))}\n{super().listing(port)}"

    def compare(self, suspects, port, seconds):
        made = super().compare(suspects, port, seconds)
        return type(made)(made.preamble, self.breaks or f"R={quote(str(self.root))}\n{made.body}")


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.setenv("AGENT_KEYS", str(tmp_path / "keys"))
    root = tmp_path / "w"
    make_workspace(root)
    (root / "inventory" / "hosts.yaml").write_text(HOSTS, encoding="utf-8")
    (root / "inventory" / "databases.yaml").write_text("schema_version: 1\ndatabases: []\n", encoding="utf-8")
    (root / "inventory" / "accounts.yaml").unlink(missing_ok=True)
    (root / "inventory" / "people.yaml").write_text(PEOPLE, encoding="utf-8")
    opslocation.make_key(tmp_path / "approver.pem")
    opslocation.designate(root, [*opslocation.local_addresses()], tmp_path / "approver.pem")
    app = Site(root, clock=lambda: app.now)
    app.key = tmp_path / "approver.pem"
    app.target = tmp_path / "target"
    (app.target / "etc").mkdir(parents=True)
    plant(app, bob=SHA512, carol="!" + SHA512, erin="", none="*")
    monkeypatch.setitem(TESTERS, "linux", Elsewhere(app.target))
    yield app
    app.close()


def plant(app, **users):
    lines = [f"{name}:x:{1000 + n}:{1000 + n}::/:/bin/sh\n" for n, name in enumerate(users)]
    (app.target / "etc" / "passwd").write_text("".join(lines), encoding="utf-8")
    shadow = [f"{name}:{text}:20000:0:99999:7:::\n" for name, text in users.items()]
    (app.target / "etc" / "shadow").write_text("".join(shadow), encoding="utf-8")


def ticket(site, number="GD-1", *, sign=True, **more):
    values = {
        "schema_version": 1, "number": number, "title": "核查", "reference": "函 1", "allows": ("weak-passwords",),
        "start": NOW - timedelta(hours=1), "end": NOW + timedelta(hours=4), "targets": ("here-01",),
    }  # fmt: skip
    tickets.write(site.root, TicketFile(**(values | more)))
    if sign:
        tickets.sign(site.root, number, site.key, "worker")
    return number


def verb(site, *words):
    return cli.main(args=["password", "weak", *map(str, words)], obj=site, standalone_mode=False)


def by_name(done):
    return {row.account: row for row in done.rows}


def test_what_is_weak_is_told_with_its_rule_and_sealed_without_a_guess(site):
    done = weak.check(site, ticket(site))
    rows = by_name(done)
    assert {name: (row.ended, row.rule, row.word) for name, row in rows.items()} == {
        "bob": (Ended.WEAK, Rule.SAME, "default"),
        "carol": (Ended.CLEAN, None, ""),
        "erin": (Ended.WEAK, Rule.EMPTY, "empty"),
        "none": (Ended.NONE, None, ""),
    }
    assert rows["carol"].locked
    assert rows["carol"].tried == rows["carol"].candidates > 300
    body = json.loads(site.ledger.open(done.evidence))
    assert body["ticket"] == "GD-1"
    assert body["approver"] == "乙（虚构）"
    assert {row["account"] for row in body["accounts"]} == set(rows)
    assert "$6$" not in json.dumps(body)
    assert "123456" not in json.dumps(body)
    verified = site.ledger.verify()
    assert verified.ok
    assert verified.checkpoints


def test_a_customers_dictionary_finds_what_no_rule_does(site, tmp_path):
    plant(site, xavier=SHA512)
    words = tmp_path / "words"
    words.write_text("nothing\nbob\n", encoding="utf-8")
    number = ticket(site)
    assert by_name(weak.check(site, number))["xavier"].ended is Ended.CLEAN
    row = by_name(weak.check(site, number, file=words))["xavier"]
    assert (row.ended, row.rule, row.word) == (Ended.WEAK, Rule.DICTIONARY, "dictionary")


@pytest.mark.parametrize("raw", [b"", b"\n\n", b"\xff\xfe", b"x" * (5 * 2**20)])
def test_a_dictionary_that_is_none_is_refused_before_anything_is_reached(site, tmp_path, raw):
    words = tmp_path / "words"
    words.write_bytes(raw)
    with pytest.raises(RefusedError, match="dictionary") as caught:
        weak.check(site, ticket(site), file=words)
    assert caught.value.remedy
    with pytest.raises(RefusedError, match="cannot be read"):
        weak.check(site, "GD-1", file=tmp_path / "missing")


def refused(site, number, match, **more):
    with pytest.raises(RefusedError, match=match) as caught:
        weak.check(site, number, **more)
    assert caught.value.remedy
    assert not [entry for entry in site.ledger.entries() if entry.kind == weak.KIND]


def test_without_an_allowance_a_signature_a_window_or_the_scope_nothing_is_done(site):
    refused(site, "GD-404", "no such ticket")
    refused(site, ticket(site, "GD-2", allows=()), "does not allow weak-passwords")
    refused(site, ticket(site, "GD-3", sign=False), "does not count as signed")
    refused(site, ticket(site, "GD-4"), "does not name target down-01", targets=["down-01"])
    refused(site, "GD-4", "no such target", targets=["moon-01"])
    refused(site, ticket(site, "GD-5", targets=("moon-*",)), "covers no target")
    site.now = NOW + timedelta(hours=5)
    refused(site, "GD-4", "is over")
    site.now = NOW - timedelta(hours=5)
    refused(site, "GD-4", "has not begun")


def test_who_operates_does_not_allow_it(site):
    number = ticket(site)
    site.who = "boss"
    refused(site, number, "does not count as signed")


def test_a_ticket_changed_after_it_was_signed_allows_nothing(site):
    number = ticket(site, allows=())
    file = site.root / "tickets" / "GD-1.yaml"
    file.write_text(
        file.read_text(encoding="utf-8").replace("allows: []", 'allows: ["weak-passwords"]'), encoding="utf-8"
    )
    refused(site, number, "does not count as signed")


def test_a_host_that_is_down_and_an_answer_that_breaks_off_are_rows(site, monkeypatch):
    done = weak.check(site, ticket(site, targets=("*",)))
    ends = {(row.target, row.account): row.ended for row in done.rows}
    assert ends["down-01", ""] is Ended.UNREACHED
    assert ends["here-01", "bob"] is Ended.WEAK
    assert not done.whole
    for breaks in ("kill -9 $$", "echo nonsense", "exit 5"):
        monkeypatch.setitem(TESTERS, "linux", Elsewhere(site.target, breaks=breaks))
        rows = by_name(weak.check(site, "GD-1", ["here-01"]))
        assert rows["bob"].ended is Ended.UNREACHED
        assert rows["bob"].why
        assert rows["erin"].ended is Ended.WEAK


def test_time_that_ran_out_is_told(site):
    plant(site, slow=SHA512.replace("rounds=1000", "rounds=900000"))
    row = by_name(weak.check(site, ticket(site), seconds=1))["slow"]
    assert row.ended is Ended.CUT
    assert 0 < row.tried < row.candidates


def test_the_verb_tells_and_ends_with_its_code(site, capsys):
    number = ticket(site, targets=("here-01",))
    assert verb(site, "--ticket", number) == Exit.FINDINGS
    out = capsys.readouterr().out
    assert "口令与账号名相同" in out
    assert "carol" not in out  # only what wants a look
    assert verb(site, "--ticket", number, "--json") == Exit.FINDINGS
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {row["account"]: row["weak"] for row in rows} == {"bob": "default", "carol": "", "erin": "empty", "none": ""}
    plant(site, carol="!" + SHA512)
    assert verb(site, "--ticket", number) == Exit.CLEAN
    plant(site, odd="$zz$strange$record")
    assert verb(site, "--ticket", number) == Exit.INCOMPLETE
    with pytest.raises(click.UsageError):
        verb(site)


def test_the_newest_check_is_what_accounts_are_said_to_be(site):
    number = ticket(site)
    weak.check(site, number)
    held = [
        Holding(Found("here-01", "bob", "bob", "linux", ("password",))),
        Holding(Found("here-01", "erin", "erin", "linux", ("open",)), flaws=((Flaw.OPEN, "口令为空"),)),
        Holding(Found("here-01", "carol", "carol", "linux", ("password",))),
    ]
    flaws = {one.found.name: one.flaws for one in _guessed(site, held)}
    assert flaws["bob"] == ((Flaw.WEAK, "2027-02-20 就地核对：口令与账号名相同"),)
    assert [flaw for flaw, _ in flaws["erin"]] == [Flaw.OPEN]
    assert flaws["carol"] == ()
    assert {one.found.name for one in _guessed(site, [])} == {"bob", "erin"}
    plant(site, bob="*")
    weak.check(site, number)
    assert {one.found.name: one.flaws for one in _guessed(site, held[:1])} == {"bob": ()}


def test_a_target_that_was_not_reached_keeps_what_was_found_before(site):
    weak.check(site, ticket(site))
    lost = {"at": NOW.isoformat(), "accounts": [weak.told(weak._not_done(weak._Place("here-01", "linux"), "x"))]}
    site.ledger.seal_many([Item(weak.KIND, json.dumps(lost).encode(), "", "here-01")])
    assert set(weak.last_found(site)) == {("here-01", "bob"), ("here-01", "erin")}
