"""ticket: through the parser, as operator and approver call it."""

import hashlib
import json
from datetime import UTC, datetime

import click
import pytest

from agent.app import App
from agent.cli.main import cli
from agent.declared import opslocation
from agent.declared.workspace import make_workspace
from agent.flows.harden import approved_steps
from agent.model.change import Item, Planned, Risk, Step
from agent.model.errors import AgentError, DeclaredError, RefusedError
from agent.model.hardening import HardenPlan
from agent.store import changes, runs

HOSTS = (
    "schema_version: 1\ngroups: {web: {owner: 张三}}\nhosts:\n- {name: web-01, address: 192.0.2.1, groups: [web]}\n"
    "- {name: web-02, address: 192.0.2.2, groups: [web]}\n- {name: db-01, address: 192.0.2.3}\n"
)
PEOPLE = (
    "schema_version: 1\npeople:\n- {name: 王五, role: engineer, login: worker}\n"
    "- {name: 赵六, role: approver, login: boss}\n"
)
WINDOW = ("--from", "2027-02-20 22:00", "--to", "2027-02-21 02:00")


class Site(App):
    who = "worker"

    @property
    def operator(self):
        return self.who


@pytest.fixture
def app(tmp_path, monkeypatch):
    monkeypatch.setenv("AGENT_KEYS", str(tmp_path / "keys"))
    root = tmp_path / "w"
    make_workspace(root)
    (root / "inventory" / "hosts.yaml").write_text(HOSTS, encoding="utf-8")
    (root / "inventory" / "people.yaml").write_text(PEOPLE, encoding="utf-8")
    made = Site(root, clock=lambda: datetime(2027, 2, 20, 15, tzinfo=UTC))
    made.key = tmp_path / "approver.pem"
    opslocation.make_key(made.key)
    opslocation.designate(root, ["192.0.2.100"], made.key)
    yield made
    made.close()


def verb(app, *words):
    return cli.main(args=["ticket", *map(str, words)], obj=app, standalone_mode=False)


def new(app, number, *words):
    return verb(app, "new", number, "--title", "节前加固", "--reference", "函 1", *WINDOW, *words)


def shown(app, capsys, number):
    capsys.readouterr()
    verb(app, "show", number, "--json")
    return json.loads(capsys.readouterr().out)


def kept(app, *, risk=()):
    step = Step("sshd_option", "sshd", "PermitRootLogin", "yes", "no", "true", risk=risk)
    planned = tuple(
        Planned(Item(f"i{n}", "sshd_option", {}, target=name, control="LIN-AC-B-01"), (step,))
        for n, name in enumerate(("web-02", "web-01"))
    )
    plan = HardenPlan("harden-1", "scan-1", "level-3", planned, {"web-01": "web-01", "web-02": "web-02"})
    body = {
        "scan": "scan-1", "profile": "level-3", "plan_digest": plan.digest, "steps": approved_steps(plan),
        "planned": [changes.planned_to_dict(one) for one in plan.planned], "hosts": dict(plan.hosts), "unread": {},
    }  # fmt: skip
    runs.create_run(
        app.store, plan.run, kind="harden", period="", plan=body, operator="worker", started_at=app.clock(), tasks=()
    )
    return plan


def test_from_new_to_verified(app, capsys):
    new(app, "GD-1", "--target", "web-01")
    assert "not signed yet" in capsys.readouterr().out
    assert verb(app, "verify", "GD-1") == 1
    assert "未验签: it bears no signature" in capsys.readouterr().out
    app.who = "boss"
    verb(app, "sign", "GD-1", "--approver-key", app.key)
    told = capsys.readouterr().out
    for words in ("节前加固", "函 1", "asked by     worker", "2027-02-20 22:00 to 2027-02-21 02:00", "web-01", "赵六"):
        assert words in told
    assert verb(app, "verify", "GD-1") == 0
    assert "does not count for work that boss does" in capsys.readouterr().out
    app.who = "worker"
    assert verb(app, "verify", "GD-1") == 0
    assert capsys.readouterr().out == "GD-1: signed by 赵六\n"


def test_list_and_show(app, capsys):
    new(app, "GD-2", "--all", "--control", "LIN-*", "--control", "LIN-*")
    new(app, "GD-1", "--target", "web-01")
    verb(app, "sign", "GD-1", "--approver-key", app.key)
    capsys.readouterr()
    verb(app, "list")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["GD-1", "GD-2"]
    assert "signed by 赵六" in lines[1]
    assert "未验签" in lines[2]
    verb(app, "list", "--json")
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["signed"] for row in rows] == [True, False]
    assert rows[0]["start"] == "2027-02-20T14:00:00+00:00"
    assert shown(app, capsys, "GD-2")["controls"] == ["LIN-*"]
    verb(app, "show", "GD-2")
    told = capsys.readouterr().out
    assert "signature    未验签: it bears no signature" in told
    assert "none: whatever fits targets and controls" in told


def test_what_it_covers(app, capsys):
    new(app, "GD-1", "--target", "db-01", "--group", "web", "--target", "web-02")
    assert shown(app, capsys, "GD-1")["targets"] == ["db-01", "web-02", "web-01"]
    new(app, "GD-2", "--all")
    assert shown(app, capsys, "GD-2")["targets"] == ["*"]
    new(app, "GD-3", "--target", "web-*")
    assert shown(app, capsys, "GD-3")["targets"] == ["web-*"]
    with pytest.raises(AgentError, match="no target is named"):
        new(app, "GD-4", "--target", "web-09")
    with pytest.raises(AgentError, match="no group"):
        new(app, "GD-4", "--group", "wep")
    for words in ((), ("--all", "--target", "web-01")):
        with pytest.raises(click.UsageError):
            new(app, "GD-4", *words)


def test_from_a_plan(app, capsys):
    plan = kept(app, risk=(Risk.REBOOT,))
    new(app, "GD-1", "--plan", plan.run)
    assert "restarts hosts" in capsys.readouterr().err
    told = shown(app, capsys, "GD-1")
    assert told["plan_digest"] == plan.digest
    assert told["targets"] == ["web-01", "web-02"]
    assert told["requested_by"] == "worker"
    (app.root / "letter.pdf").write_bytes(b"letter")
    capsys.readouterr()
    new(
        app, "GD-2", "--plan", plan.run, "--target", "web-01", "--control", "PG-*", "--reboot-application", "letter.pdf"
    )
    notes = capsys.readouterr().err
    assert "restarts" not in notes
    assert "target that it does not cover: web-02" in notes
    assert "control that it does not cover: LIN-AC-B-01" in notes
    assert shown(app, capsys, "GD-2")["reboot_application_sha256"] == hashlib.sha256(b"letter").hexdigest()
    with pytest.raises(AgentError, match="no such run"):
        new(app, "GD-3", "--plan", "harden-9")


def test_what_is_wrong_is_told_and_nothing_is_written(app):
    wrong = {
        ("--reboot-application", "none.pdf"): RefusedError,
        ("--reboot-application", "/etc/passwd"): RefusedError,
        ("--from", "tomorrow"): DeclaredError,
        ("--to", "2027-02-20 21:00"): DeclaredError,
        ("--title", "a\x07b"): DeclaredError,
    }
    for words, error in wrong.items():
        with pytest.raises(error) as caught:
            new(app, "GD-1", "--target", "web-01", *words)
        assert caught.value.remedy
    with pytest.raises(DeclaredError, match="usable name"):
        new(app, "../GD-1", "--target", "web-01")
    assert not list(app.root.rglob("GD-1*"))


def test_only_an_approvers_key_signs(app, tmp_path):
    new(app, "GD-1", "--target", "web-01")
    opslocation.make_key(tmp_path / "other.pem")
    with pytest.raises(RefusedError, match="no approver's key"):
        verb(app, "sign", "GD-1", "--approver-key", tmp_path / "other.pem")
    app.who = "boss"
    new(app, "GD-2", "--target", "web-01")
    with pytest.raises(RefusedError, match="does not approve"):
        verb(app, "sign", "GD-2", "--approver-key", app.key)
    with pytest.raises(RefusedError, match="no such ticket"):
        verb(app, "sign", "GD-404", "--approver-key", app.key)


def test_inventory_check_reads_policy_and_tickets_too(app, capsys):
    new(app, "GD-1", "--target", "web-01")
    assert cli.main(args=["inventory", "check"], obj=app, standalone_mode=False) == 0
    out = capsys.readouterr().out
    assert "hardening: profile level-3, 0 service accounts" in out
    assert "tickets: 1 tickets" in out
    (app.root / "hardening.yaml").write_text("schema_version: 1\ncanary: web-09\n")
    (app.root / "tickets" / "GD-2.yaml").write_text("schema_version: 1\n")
    del app.policy
    assert cli.main(args=["inventory", "check"], obj=app, standalone_mode=False) == 2
    wrong = capsys.readouterr().err
    assert "no host named 'web-09'" in wrong
    assert "GD-2.yaml" in wrong


def test_an_allowance_stands_in_the_ticket_and_opens_no_control(app, capsys):
    new(app, "GD-9", "--all", "--allow", "weak-passwords")
    verb(app, "show", "GD-9", "--json")
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["allows"] == ["weak-passwords"]
    assert told["controls"] == ["weak-passwords"]
    new(app, "GD-10", "--all", "--allow", "weak-passwords", "--control", "LIN-*")
    verb(app, "show", "GD-10")
    out = capsys.readouterr().out
    assert "weak-passwords" in out
    assert "LIN-*" in out
    with pytest.raises(click.UsageError):
        new(app, "GD-11", "--all", "--allow", "everything")
