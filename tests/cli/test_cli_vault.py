"""vault, password: through the parser, as an operator calls them."""

import io
import json
import shutil
import stat
import sys
from datetime import UTC, datetime

import pytest
import yaml

from agent.app import App
from agent.cli.main import cli
from agent.declared.workspace import make_workspace
from agent.model.errors import AgentError, RefusedError, UnreachedError
from agent.model.secret import Secret
from agent.session import FileCredentials
from agent.vault.generate import generate
from agent.vault.vault import New

HOSTS = (
    "schema_version: 1\nhosts:\n- {name: web-01, address: 192.0.2.1, owner: 张三, zone: dmz}\n"
    "- {name: db-01, address: 192.0.2.2, owner: 张三, zone: data}\n"
)
DATABASES = (
    "schema_version: 1\ndatabases:\n- {name: maria, engine: mariadb, host: db-01, address: 192.0.2.2, port: 3306, "
    "user: scan, zone: data, owner: 张三}\n"
)
PEOPLE = "schema_version: 1\npeople:\n- {name: 诸葛亮, role: engineer, login: kongming}\n"
HELD = {
    "hosts": {
        "web-01": {"login": "login-needle", "sudo": "login-needle"},
        "db-01": {"login": "l", "sudo": "other-needle"},
    },
    "databases": {"maria": {"password": "database-needle"}},
    "key": "lab/key",
}
WORDS = Secret("several words that open")


@pytest.fixture
def app(tmp_path, monkeypatch):
    monkeypatch.setenv("AGENT_KEYS", str(tmp_path / "keys"))
    for name in ("CREDENTIALS_DIRECTORY", "AGENT_VAULT_PASSPHRASE"):
        monkeypatch.delenv(name, raising=False)
    root = tmp_path / "w"
    make_workspace(root)
    for name, text in (("hosts", HOSTS), ("databases", DATABASES), ("people", PEOPLE)):
        (root / "inventory" / f"{name}.yaml").write_text(text, encoding="utf-8")
    (root / "state").mkdir(mode=0o700, exist_ok=True)
    file = root / "state" / "credentials.yaml"
    file.touch(mode=0o600)
    file.write_text(yaml.safe_dump(HELD), encoding="utf-8")
    made = []

    def again(said=None):
        for old in made:
            old.close()
        made.append(App(root, clock=lambda: datetime(2027, 3, 1, 17, tzinfo=UTC), ask=lambda _: said))
        return made[-1]

    yield again
    for old in made:
        old.close()


def verb(app, *words):
    return cli.main(args=list(words), obj=app, standalone_mode=False)


def test_init_takes_in_the_file_and_sessions_ask_the_vault_from_then_on(app, capsys):
    first = app(WORDS)
    verb(first, "vault", "init", "--passphrase")
    assert "4 accounts taken in" in capsys.readouterr().out
    assert stat.S_IMODE(first.vault_key.stat().st_mode) == 0o400
    verb(app(), "vault", "import", "--remove")
    said = capsys.readouterr().out
    assert "0 accounts taken in" in said
    file = first.state / "credentials.yaml"
    assert "needle" not in file.read_text(encoding="utf-8")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    now = app()
    web, db, maria = now.inventory.host("web-01"), now.inventory.host("db-01"), now.inventory.databases[0]
    assert [now.credentials.password(web, purpose) for purpose in ("login", "sudo")] == [Secret("login-needle")] * 2
    assert now.credentials.password(db, "sudo") == Secret("other-needle")
    assert now.credentials.password(maria, "database") == Secret("database-needle")
    for path in now.state.rglob("*"):
        assert not path.is_file() or b"needle" not in path.read_bytes(), path


def test_what_the_vault_does_not_hold_comes_from_the_file_and_a_locked_one_says_so(app):
    verb(app(), "vault", "init")
    now = app()
    file = now.state / "credentials.yaml"
    file.write_text(yaml.safe_dump({"databases": {"pg": {"password": "x"}}}), encoding="utf-8")
    other = type(now.inventory.databases[0])(
        name="pg", engine="postgresql", host="db-01", port=5432, user="scan", zone="data"
    )
    assert now.credentials.password(other, "database") == Secret("x")
    now.vault_key.unlink()
    locked = app()
    with pytest.raises(UnreachedError, match="locked"):
        locked.credentials.password(locked.inventory.host("web-01"), "login")


def test_status_needs_no_key_and_unlock_looks_at_everything(app, capsys):
    verb(app(WORDS), "vault", "init", "--passphrase", "--no-key-file")
    capsys.readouterr()
    verb(app(), "vault", "status", "--json")
    told = json.loads(capsys.readouterr().out)
    assert (told["accounts"], told["states"]) == (4, {"current": 4})
    assert told["slots"] == [{"name": "passphrase", "kind": "passphrase", "zones": ["data", "dmz"]}]
    verb(app(), "vault", "status")
    assert "4 accounts" in capsys.readouterr().out
    verb(app(WORDS), "vault", "unlock")
    assert "6 records are whole" in capsys.readouterr().out
    with pytest.raises(RefusedError, match="locked"):
        verb(app(), "vault", "unlock")
    with pytest.raises(RefusedError, match="wrong"):
        verb(app(Secret("something else")), "vault", "unlock")


def test_slots_come_and_go(app, capsys, tmp_path):
    verb(app(), "vault", "init")
    verb(app(), "vault", "add-slot", "cron", "--key-file", str(tmp_path / "cron.key"), "--zone", "dmz")
    verb(app(WORDS), "vault", "add-slot", "people", "--passphrase")
    with pytest.raises(AgentError, match="one of"):
        verb(app(), "vault", "add-slot", "x")
    with pytest.raises(RefusedError, match="of that name"):
        verb(app(WORDS), "vault", "add-slot", "people", "--passphrase")
    with pytest.raises(RefusedError, match="nobody is at the terminal"):
        verb(app(), "vault", "add-slot", "other", "--passphrase")
    with pytest.raises(RefusedError, match="at least"):
        verb(app(Secret("short")), "vault", "add-slot", "other", "--passphrase")
    verb(app(), "vault", "remove-slot", "people")
    verb(app(), "vault", "rekey")
    capsys.readouterr()
    verb(app(), "vault", "status", "--json")
    assert [slot["name"] for slot in json.loads(capsys.readouterr().out)["slots"]] == ["cron", "keyfile"]


def test_a_backup_goes_out_and_comes_back_and_tells_what_changed_since(app, capsys, tmp_path):
    verb(app(), "vault", "init")
    verb(app(), "vault", "backup", str(tmp_path / "b"))
    now = app()
    now.vault.promote(now.vault.pend([New("ops@web-01", "dmz", Secret("a newer one"))])["ops@web-01"])
    with pytest.raises(RefusedError, match="there is a vault"):
        verb(app(), "vault", "restore", str(tmp_path / "b"))
    capsys.readouterr()
    verb(app(), "vault", "restore", str(tmp_path / "b"), "--yes")
    assert "changed after the backup was made: ops@web-01" in capsys.readouterr().out
    assert app().vault.current("ops@web-01") == Secret("login-needle")


@pytest.mark.parametrize("words", [("init", "--no-key-file"), ("unlock",), ("status",), ("backup", "x"), ("rekey",)])
def test_where_there_is_no_vault_it_says_what_to_do(app, words, tmp_path):
    with pytest.raises(AgentError) as caught:
        verb(app(), "vault", *[str(tmp_path / word) if word == "x" else word for word in words])
    assert caught.value.remedy


def _check(app, monkeypatch, text, *words):
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    return verb(app, "password", "check", *words)


def test_check_reads_standard_input_and_knows_who_is_who(app, monkeypatch, capsys):
    good = generate().reveal()
    assert _check(app(), monkeypatch, good + "\n") == 0
    assert _check(app(), monkeypatch, "Xq7!Zhugeliang-vR2#w\n", "--json") == 1
    assert "name" in json.loads(capsys.readouterr().out.splitlines()[-1])["faults"]
    assert _check(app(), monkeypatch, good + "\n", "--name", good[4:12]) == 1
    with pytest.raises(AgentError, match="no password"):
        _check(app(), monkeypatch, "")


def test_check_finds_what_an_account_has(app, monkeypatch, capsys):
    now = app()
    verb(now, "vault", "init")
    good = generate()
    now.vault.pend([New("a", "dmz", good)])
    assert _check(now, monkeypatch, good.reveal() + "\n") == 1
    out = capsys.readouterr().out
    assert "与其他账号或历史口令相同" in out
    assert good.reveal() not in out


def test_generate_prints_one_that_passes(app, monkeypatch, capsys):
    verb(app(), "password", "generate", "--for", "oracle", "--length", "20")
    made = capsys.readouterr().out.strip()
    assert len(made) == 20
    assert _check(app(), monkeypatch, made) == 0
    with pytest.raises(AgentError, match="no such kind"):
        verb(app(), "password", "generate", "--for", "abacus")


def test_a_file_of_keys_only_is_left_when_passwords_are_taken_out(app):
    now = app()
    held = FileCredentials(now.state / "credentials.yaml")
    assert len(held.held()) == 5
    held.drop(set(held.held()))
    assert yaml.safe_load((now.state / "credentials.yaml").read_text(encoding="utf-8")) == {"key": "lab/key"}
    assert held.held() == {}


def test_showing_one_is_evidence_before_it_is_shown(app, capsys):
    verb(app(), "vault", "init")
    capsys.readouterr()
    now = app()
    people = f"schema_version: 1\npeople:\n- {{name: 关羽, role: technical-lead, login: {now.operator}}}\n"
    (now.root / "inventory" / "people.yaml").write_text(people, encoding="utf-8")
    verb(now, "password", "show", "ops@web-01", "--reason", "变更 7 号")
    assert capsys.readouterr().out == "login-needle\n"
    last = [entry for entry in now.ledger.entries() if entry.kind == "vault"][-1]
    told = json.loads(now.ledger.open(last.seq))["changes"][0]
    assert (told["what"], told["reason"], told["to"]) == ("shown", "变更 7 号", now.operator)
    assert told["records"] == [{"account": "ops@web-01", "version": 1}]
    for words in (("nobody@web-01", "--reason", "x"), ("ops@web-01", "--reason", " ")):
        with pytest.raises(AgentError):
            verb(now, "password", "show", *words)


def test_a_keepass_file_holds_what_every_account_has(app, capsys, tmp_path):
    keepass = pytest.importorskip("pykeepass")
    verb(app(), "vault", "init")
    verb(app(WORDS), "vault", "export", "--kdbx", str(tmp_path / "x.kdbx"), "--reason", "应急")
    assert "4 accounts" in capsys.readouterr().out
    assert stat.S_IMODE((tmp_path / "x.kdbx").stat().st_mode) == 0o600
    assert b"needle" not in (tmp_path / "x.kdbx").read_bytes()
    opened = keepass.PyKeePass(str(tmp_path / "x.kdbx"), password=WORDS.reveal())
    assert {entry.title: entry.password for entry in opened.entries}["scan@maria"] == "database-needle"
    with pytest.raises(RefusedError, match="a file already"):
        verb(app(WORDS), "vault", "export", "--kdbx", str(tmp_path / "x.kdbx"), "--reason", "应急")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["keys", "w", "x.kdbx"]


PENDED = "gone@web-01"


def test_what_is_pending_and_not_declared_is_named_and_can_be_given_up(app, capsys):
    now = app()
    warned = []
    now.warn = warned.append
    verb(now, "vault", "init")
    row = now.vault.pend([New(PENDED, "dmz", generate())])[PENDED]
    capsys.readouterr()
    assert verb(now, "password", "status") == 1
    assert PENDED in warned[-1]
    with pytest.raises(AgentError, match="a reason"):
        verb(now, "password", "forget", PENDED, "--reason", " ")
    verb(now, "password", "forget", PENDED, "--reason", "设备已退役")
    assert [each.state for each in now.vault.versions([PENDED])[PENDED]] == ["void"]
    assert "设备已退役" in now.vault.versions([PENDED])[PENDED][0].why
    assert now.vault.reveal(row)
    with pytest.raises(RefusedError, match="nothing is pending"):
        verb(now, "password", "forget", PENDED, "--reason", "x")


def test_one_that_is_declared_is_not_given_up_by_hand(app):
    now = app()
    file = now.root / "inventory" / "accounts.yaml"
    file.write_text("schema_version: 1\naccounts:\n- {user: gone, on: [web-01]}\n", encoding="utf-8")
    verb(now, "vault", "init")
    now.vault.pend([New(PENDED, "dmz", generate())])
    with pytest.raises(RefusedError, match="the next run settles it"):
        verb(now, "password", "forget", PENDED, "--reason", "x")


@pytest.mark.parametrize(
    ("person", "may"),
    [
        ("{name: 甲, role: project-manager, login: ME}", True),
        ("{name: 甲, role: engineer, login: ME, accounts: [ops@web-01]}", True),
        ("{name: 甲, role: engineer, login: ME, privileged: ['ops@*']}", True),
        ("{name: 甲, role: engineer, login: ME, accounts: [ops@db-01]}", False),
        ("{name: 甲, role: engineer, login: ME, to: 2027-02-28, accounts: [ops@web-01]}", False),
        ("{name: 甲, role: engineer, login: other, accounts: [ops@web-01]}", False),
        ("", False),
    ],
)
def test_who_may_see_one_is_said_by_people_yaml(app, capsys, person, may):
    now = app()
    people = f"schema_version: 1\npeople:\n- {person}\n" if person else "schema_version: 1\npeople: []\n"
    (now.root / "inventory" / "people.yaml").write_text(people.replace("ME", now.operator), encoding="utf-8")
    verb(now, "vault", "init")
    capsys.readouterr()
    if may:
        verb(now, "password", "show", "ops@web-01", "--reason", "x")
    else:
        with pytest.raises(RefusedError):
            verb(now, "password", "show", "ops@web-01", "--reason", "x")
    assert (capsys.readouterr().out == "login-needle\n") is may
    last = [entry for entry in now.ledger.entries() if entry.kind == "vault"][-1]
    assert json.loads(now.ledger.open(last.seq))["changes"][0]["what"] == ("shown" if may else "refused")


def test_only_what_the_vault_holds_is_taken_out_of_the_file(app, capsys):
    now = app()
    verb(now, "vault", "init")
    file = now.state / "credentials.yaml"
    strange = {"hosts": {**HELD["hosts"], "old-09": {"login": "nobody-knows"}}, "databases": HELD["databases"]}
    strange["hosts"]["web-01"] = {"login": "changed-by-hand", "sudo": "login-needle"}
    file.write_text(yaml.safe_dump(strange | {"key": "lab/key"}), encoding="utf-8")
    warned = []
    now = app()
    now.warn = warned.append
    capsys.readouterr()
    verb(now, "vault", "import", "--remove")
    assert yaml.safe_load(file.read_text(encoding="utf-8")) == {
        "key": "lab/key",
        "hosts": {"old-09": {"login": "nobody-knows"}, "web-01": {"login": "changed-by-hand"}},
    }
    assert {line.split(" ", 1)[0] for line in warned} == {"hosts.web-01.login", "hosts.old-09.login"}
    assert "2 left" in capsys.readouterr().out


def test_evidence_keys_that_were_lost_come_back_out_of_the_vault(app, tmp_path, monkeypatch):
    now = app(WORDS)
    verb(now, "vault", "init", "--passphrase")
    now.ledger.seal("note", b"before")
    now.ledger.checkpoint()
    shown = now.ledger.keys.public.fingerprint
    saved = tmp_path / "usb" / "vault.key"
    saved.parent.mkdir()
    saved.write_bytes(now.vault_key.read_bytes())
    saved.chmod(0o400)
    shutil.rmtree(tmp_path / "keys")
    with pytest.raises(RefusedError):
        app().vault.check()
    for number, words in enumerate((["--key-file", str(saved)], [])):
        place = tmp_path / f"again-{number}"
        verb(app(WORDS), "vault", "recover-keys", str(place), *words)
        monkeypatch.setenv("AGENT_KEYS", str(place))
        back = app(WORDS)
        assert back.ledger.keys.public.fingerprint == shown
        assert back.ledger.open(back.ledger.entries()[-1].seq) == b"before"
        assert back.vault.check() == 6
    with pytest.raises(RefusedError, match="not empty"):
        verb(app(WORDS), "vault", "recover-keys", str(tmp_path / "again-0"))
    with pytest.raises(RefusedError, match="wrong"):
        verb(app(Secret("no such words")), "vault", "recover-keys", str(tmp_path / "none"))
    assert not (tmp_path / "none").exists()
