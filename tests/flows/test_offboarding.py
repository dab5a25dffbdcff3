"""Off-boarding without a lab: what is planned, when deletion is due, and a host that is down."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime, timedelta
from shlex import quote

import pytest

from agent.app import App
from agent.cli.main import Exit, cli
from agent.declared import opslocation, tickets
from agent.declared.tickets import TicketFile
from agent.declared.workspace import make_workspace
from agent.flows import archive, gates, offboarding
from agent.flows.accounts import Roster
from agent.model.change import Item, Planned, Skip, Step, TxState, Why
from agent.model.errors import AgentError, RefusedError
from agent.model.hardening import TxRecord
from agent.model.holder import Found, Holding
from agent.store import changes, runs

NOW = datetime(2027, 2, 20, 14, 30, tzinfo=UTC)
HOSTS = "schema_version: 1\nhosts:\n- {name: web-01, address: 127.0.0.1, port: 1, user: ops}\n"
PEOPLE = (
    "schema_version: 1\npeople:\n- {name: 甲（虚构）, role: engineer, login: worker}\n"
    "- {name: 乙（虚构）, role: approver, login: boss}\n"
    "- {name: 孙八（虚构）, role: engineer, login: sunba, accounts: ['deploy@web-01', 'ops@*']}\n"
    "- {name: 周九（虚构）, role: engineer, login: zhou, accounts: ['deploy@web-01']}\n"
)
ACCOUNTS = (
    "schema_version: 1\naccounts:\n- {user: deploy, on: [web-01]}\n"
    "- {user: admin, on: [VPN], kind: manual, person: sunba}\n"
)
FOUND = [
    Found("web-01", name, name, "linux", ("password", "key"), keys=("SHA256:x",)) for name in ("sunba", "deploy", "ops")
]


class Site(App):
    @property
    def operator(self):
        return "worker"


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.setenv("AGENT_KEYS", str(tmp_path / "keys"))
    root = tmp_path / "w"
    make_workspace(root)
    for name, text in (("hosts", HOSTS), ("people", PEOPLE), ("accounts", ACCOUNTS)):
        (root / "inventory" / f"{name}.yaml").write_text(text, encoding="utf-8")
    opslocation.make_key(tmp_path / "approver.pem")
    opslocation.designate(root, [*opslocation.local_addresses()], tmp_path / "approver.pem")
    credentials = root / "state" / "credentials.yaml"
    credentials.parent.mkdir(exist_ok=True)
    credentials.touch(mode=0o600)
    key = tmp_path / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    credentials.write_text(f"key: {key}\n")
    (root / "inventory" / "known_hosts").touch()
    app = Site(root, clock=lambda: NOW)
    app.key = tmp_path / "approver.pem"
    runs.create_run(app.store, "scan-1", kind="scan", period="", plan={}, operator="worker", started_at=NOW, tasks=())
    seen = Roster("scan-1", NOW, tuple(Holding(one) for one in FOUND), ())
    monkeypatch.setattr(offboarding, "roster", lambda _: seen)
    yield app
    app.close()


def ticket(site, number="GD-1"):
    body = TicketFile(
        schema_version=1, number=number, title="离岗", reference="函 1", start=NOW - timedelta(hours=1),
        end=NOW + timedelta(hours=4), targets=("*",),
    )  # fmt: skip
    tickets.write(site.root, body)
    tickets.sign(site.root, number, site.key, "worker")
    return number


def test_nobody_of_that_name(site):
    for name in ("", "nobody"):
        with pytest.raises(AgentError, match="no person"):
            offboarding.begin(site, name)
    with pytest.raises(AgentError, match="no target"):
        offboarding.begin(site, "sunba", targets=["web-99"])
    assert offboarding.person_of(site, "孙八（虚构）") == offboarding.person_of(site, "sunba")


def test_what_is_shared_and_what_no_program_reaches_is_left_to_people(site):
    departure = offboarding.begin(site, "sunba")
    assert [one.found.name for one in departure.mine] == ["sunba"]
    told = dict(departure.people)
    shared = next(remedy for what, remedy in told.items() if what.startswith("deploy"))
    assert "agent password rotate --account deploy@web-01" in shared
    assert "authorized_keys" in shared
    assert any(what.startswith("ops") and "登录账号" in what for what in told)
    assert any(what.startswith("admin@VPN") for what in told)
    assert any("没有离岗日" in what for what in told)


def test_a_host_that_is_down_is_said_and_sealed_as_not_known(site, capsys):
    departure = offboarding.begin(site, "sunba")
    assert departure.plan.steps == ()
    assert departure.unseen[0].startswith("web-01: ")
    with pytest.raises(RefusedError, match="no change ticket"):
        gates.leave(site, departure.plan, ticket=None, now=NOW)
    allowed = gates.leave(site, departure.plan, ticket=ticket(site), now=NOW)
    left = offboarding.apply(site, departure, allowed, lambda _: None, lambda _: None)
    assert (left.complete, left.done) == (False, False)
    assert [one.state for one in left.accounts] == ["unknown"]
    body = json.loads(site.ledger.open(left.evidence))
    assert (body["person"], body["ordered_by"], body["ticket"]) == ("孙八（虚构）", "乙（虚构）", "GD-1")
    assert runs.run_by_id(site.store, departure.plan.run).state == "closed"
    assert offboarding.closings(site, departure.person) == {}
    capsys.readouterr()
    words = ["accounts", "offboard", "sunba", "--apply", "--ticket", "GD-1"]
    assert cli.main(args=words, obj=site, standalone_mode=False) == Exit.INCOMPLETE
    assert "run it again" in capsys.readouterr().err
    assert cli.main(args=words[:3], obj=site, standalone_mode=False) == Exit.INCOMPLETE
    with pytest.raises(RefusedError):
        cli.main(args=words[:4], obj=site, standalone_mode=False)


def test_a_home_that_cannot_be_packed_leaves_its_account_alone(site, monkeypatch):
    departure = offboarding.begin(site, "sunba")
    (one,) = departure.plan.planned
    step = Step("leave_host", "accounts", "sunba", "可登录", "锁定", "exit 1")
    departure = offboarding.replace(
        departure, plan=offboarding.replace(departure.plan, planned=(Planned(one.item, (step,)),))
    )

    def full(*_):
        raise AgentError("no space left")

    monkeypatch.setattr(offboarding, "archive", full)
    allowed = gates.leave(site, departure.plan, ticket=ticket(site), now=NOW)
    left = offboarding.apply(site, departure, allowed, lambda _: None, lambda _: None)
    assert changes.of_run(site.store, departure.plan.run) == []
    assert "家目录未能归档，账号未动：no space left" in left.accounts[0].why


def test_what_a_killed_run_left_is_told_until_its_target_was_asked(site):
    first = offboarding.begin(site, "sunba")
    record = TxRecord("tx-cut", first.plan.run, "web-01", "accounts", 1, (), TxState.SENT)
    changes.add(site.store, [record])
    assert any("中断" in line for line in offboarding.begin(site, "sunba").unseen)
    changes.save(site.store, offboarding.replace(record, state=TxState.UNDONE))
    assert not any("中断" in line for line in offboarding.begin(site, "sunba").unseen)


def sealed(site, state, *txs, day=0):
    at = NOW + timedelta(days=day)
    site.ledger.clock = lambda: at
    one = {"target": "web-01", "account": "sunba", "state": state, "transactions": txs}
    site.ledger.seal("offboarding", json.dumps({"person": "孙八（虚构）", "accounts": [one]}).encode())


def transaction(site, name, reverted_by=""):
    record = TxRecord(name, "scan-1", "web-01", "accounts", 1, (), TxState.CONFIRMED, reverted_by=reverted_by)
    changes.add(site.store, [record])


@pytest.mark.parametrize(
    ("history", "since"),
    [
        ([], None),
        ([("closed", "tx-a")], 0),
        ([("closed", "tx-a"), ("closed",)], 0),
        ([("closed", "tx-a"), ("open",), ("closed", "tx-b")], 2),
        ([("closed", "tx-a"), ("unknown",)], None),
        ([("closed", "tx-back")], None),
        ([("closed", "tx-back"), ("closed",)], None),
        ([("closed", "tx-back"), ("closed", "tx-b")], 1),
        ([("closed",)], 0),
    ],
)
def test_the_grace_time_runs_from_the_sealed_closing_that_still_holds(site, history, since):
    for name in ("tx-a", "tx-b"):
        transaction(site, name)
    transaction(site, "tx-back", reverted_by="tx-c")
    for day, (state, *txs) in enumerate(history):
        sealed(site, state, *txs, day=day)
    person = offboarding.person_of(site, "sunba")
    found = offboarding.closings(site, person)
    assert found == ({} if since is None else {("web-01", "sunba"): NOW + timedelta(days=since)})
    assert offboarding.closings(site, offboarding.person_of(site, "zhou")) == {}


@pytest.mark.parametrize(("days", "early"), [(0, True), (29, True), (30, False), (400, False)])
def test_deletion_is_due_after_thirty_days(site, days, early):
    claim = offboarding.Claim(FOUND[0])
    closed = {("web-01", "sunba"): NOW - timedelta(days=days)}
    assert bool(offboarding._early(site, claim, closed)) is early
    assert "没有封存" in offboarding._early(site, claim, {})


def test_done_is_said_only_by_the_second_look():
    item = Item("a1", "leave_host", {})
    todo = Planned(item, (Step("leave_host", "accounts", "sunba", "", "", ""),))
    done = Planned(item, skip=Skip(Why.DONE, ""))
    assert offboarding._state(todo, done, finish=False)[0] == "closed"
    assert offboarding._state(todo, done, finish=True)[0] == "deleted"
    assert offboarding._state(todo, todo, finish=False) == ("open", "仍须：sunba")
    assert offboarding._state(todo, Planned(item, skip=Skip(Why.ERROR, "x")), finish=False) == ("unknown", "x")
    assert offboarding._state(todo, Planned(item, skip=Skip(Why.MANUAL, "x")), finish=False) == ("open", "x")
    early = Planned(item, skip=Skip(Why.EXCLUDED, "宽限期未满"))
    assert offboarding._state(early, todo, finish=True) == ("closed", "宽限期未满")


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_the_archive_is_whole_and_private(tmp_path, shell):
    home = tmp_path / "home" / "sun"
    home.mkdir(parents=True)
    (home / "work.txt").write_text("the only copy")
    passwd = tmp_path / "passwd"
    passwd.write_text(f"sun:x:1050:1050::/home/../..{home}:/bin/sh\nown:x:1051:1051::{home}:/bin/sh\n")
    folder = tmp_path / "backups"

    def run(name, allowed):
        script = archive._SCRIPT.replace("/etc/passwd", str(passwd)).replace("/home/?*|", f"{allowed}|")
        script = script.replace("chown 0:0", "true")
        head = f"set -- {name} {quote(str(folder))} {name}-run\n"
        return subprocess.run(
            [shell, "-s"], input=head + script, capture_output=True, text=True, timeout=60, check=False
        )

    assert run("sun", f"{tmp_path}/*").stdout == "none\n", "a home with .. is nobody's"
    assert run("own", "/nowhere/*").stdout == "none\n"
    done = run("own", f"{tmp_path}/*")
    path, digest, size = done.stdout.split()
    packed = folder / "own-run.tar.gz"
    assert (path, int(size), packed.stat().st_mode & 0o777) == (str(packed), packed.stat().st_size, 0o600)
    assert (
        digest.removeprefix("sha256:")
        in subprocess.run(["sha256sum", path], capture_output=True, text=True, check=True).stdout
    )
    inside = subprocess.run(["tar", "-xzOf", path, f".{home}/work.txt"], capture_output=True, text=True, check=True)
    assert inside.stdout == "the only copy"
    passwd.write_text(passwd.read_text() + f"mate:x:1052:1052::{home}:/bin/sh\n")
    assert run("own", f"{tmp_path}/*").stdout == "none\n"
    folder.joinpath("x").mkdir()
    (tmp_path / "blocked").write_text("")
    folder = tmp_path / "blocked" / "below"
    passwd.write_text(f"own:x:1051:1051::{home}:/bin/sh\n")
    assert run("own", f"{tmp_path}/*").returncode != 0
