"""The gates before a change: each alone, all together, and never one that lets through what it should not."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import combinations_with_replacement, count

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from agent.app import App
from agent.declared import opscheck, opslocation, tickets
from agent.declared.tickets import TicketFile
from agent.declared.workspace import make_workspace
from agent.flows import gates
from agent.flows.harden import Rollout, approved_steps
from agent.model.change import Handle, Item, Planned, Risk, Step
from agent.model.errors import RefusedError
from agent.model.hardening import HardenPlan, Wave
from agent.store import runs, schema

NUMBERS = count()
NOW = datetime(2027, 2, 20, 14, 30, tzinfo=UTC)
FROZEN = datetime(2027, 3, 5, 4, 0, tzinfo=UTC)
HOSTS = (
    "schema_version: 1\nhosts:\n- {name: web-01, address: 192.0.2.1, user: ops}\n"
    "- {name: in-01, address: 192.0.2.9, user: ops, bastion: web-01}\n"
)
PEOPLE = (
    "schema_version: 1\npeople:\n- {name: 甲（虚构）, role: engineer, login: worker}\n"
    "- {name: 乙（虚构）, role: approver, login: boss}\n- {name: 丙（虚构）, role: customer, login: client}\n"
)
PERIODS = (
    "schema_version: 1\nperiods:\n- {id: lianghui-2027, name: lianghui, title: 两会, kind: national, "
    "start: 2027-03-04, end: 2027-03-13, lead_from: 2027-03-01, status: confirmed, source: s, confirmed_by: 丙}\n"
)
POLICY = {
    "schema_version": 1,
    "service_accounts": [{"account": "appsvc", "targets": ["web-01"], "owner": "丙（虚构）", "window": "周日"}],
}


class Site(App):
    """A workspace whose operator and time a test sets."""

    who = "worker"
    now = NOW

    @property
    def operator(self):
        return self.who


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.setenv("AGENT_KEYS", str(tmp_path / "keys"))
    root = tmp_path / "w"
    make_workspace(root)
    (root / "inventory" / "hosts.yaml").write_text(HOSTS, encoding="utf-8")
    (root / "inventory" / "people.yaml").write_text(PEOPLE, encoding="utf-8")
    (root / "periods.yaml").write_text(PERIODS, encoding="utf-8")
    (root / "hardening.yaml").write_text(yaml.safe_dump(POLICY, allow_unicode=True), encoding="utf-8")
    opslocation.make_key(tmp_path / "approver.pem")
    opslocation.designate(root, [*opslocation.local_addresses()], tmp_path / "approver.pem")
    app = Site(root, clock=lambda: NOW)
    app.key = tmp_path / "approver.pem"
    yield app
    app.close()


def step(name="PermitRootLogin", after="no", risk=()):
    return Step("sshd_option", "sshd", name, "yes", after, "true", risk=risk)


def plan_of(*steps, target="web-01", control="LIN-AC-B-01", run="harden-1-abcd"):
    item = Item("i1", "sshd_option", {}, target=target, control=control)
    return HardenPlan(run, "scan-1", "level-3", (Planned(item, tuple(steps or (step(),))),), {target: target})


def ticket(site, number="GD-1", *, sign=True, key=None, **more):
    values = {
        "schema_version": 1, "number": number, "title": "节前加固", "reference": "函 1",
        "start": NOW - timedelta(hours=1), "end": NOW + timedelta(hours=4), "targets": ("web-01",),
    }  # fmt: skip
    tickets.write(site.root, TicketFile(**(values | more)))
    if sign:
        tickets.sign(site.root, number, key or site.key, "worker")
    return number


def refused(site, plan, number, **more):
    with pytest.raises(RefusedError) as caught:
        gates.leave(site, plan, ticket=number, now=more.pop("now", NOW), **more)
    assert caught.value.remedy
    return caught.value.message


def test_a_signed_ticket_that_covers_all_lets_through_and_is_sealed(site):
    plan = plan_of()
    leave = gates.leave(site, plan, ticket=ticket(site, plan_digest=plan.digest), now=NOW)
    assert leave.ticket.signed
    assert leave.ticket.approver == "乙（虚构）"
    assert leave.notes == ()
    assert b"GD-1" in site.ledger.open(leave.evidence[0])


def test_no_ticket(site):
    assert "no change ticket" in refused(site, plan_of(), None)
    assert "no such ticket" in refused(site, plan_of(), "GD-404")
    assert "usable name" in refused(site, plan_of(), "../../etc/passwd")


def test_an_unsigned_ticket_needs_somebody_who_allows_it_and_bears_the_mark(site):
    number = ticket(site, sign=False)
    assert "signature" in refused(site, plan_of(), number)
    assert "who operates" in refused(site, plan_of(), number, unsigned_by="worker")
    assert "no person" in refused(site, plan_of(), number, unsigned_by="nobody")
    leave = gates.leave(site, plan_of(), ticket=number, unsigned_by="client", now=NOW)
    assert leave.overrides == {"unsigned": "丙（虚构）"}
    assert "未验签" in leave.notes[0]


def test_a_ticket_changed_after_it_was_signed_is_unsigned(site):
    number = ticket(site)
    path = tickets.path_of(site.root, number)
    path.write_text(path.read_text(encoding="utf-8").replace("web-01", "'*'"), encoding="utf-8")
    assert "signature" in refused(site, plan_of(), number)


def test_a_signature_made_for_another_purpose_or_by_another_key_counts_for_nothing(site, tmp_path):
    number = ticket(site, sign=False)
    opslocation.make_key(tmp_path / "other.pem")
    with pytest.raises(RefusedError, match="no approver's key"):
        tickets.sign(site.root, number, tmp_path / "other.pem", "worker")
    path = tickets.path_of(site.root, number)
    path.with_suffix(".yaml.sig").write_bytes((site.root / "inventory" / "ops-location.yaml.sig").read_bytes())
    assert "signature" in refused(site, plan_of(), number)
    path.with_suffix(".yaml.sig").write_text("not base64!")
    assert "signature" in refused(site, plan_of(), number)


def test_who_operates_does_not_approve(site):
    number = ticket(site)
    site.who = "boss"
    assert "signature" in refused(site, plan_of(), number)
    with pytest.raises(RefusedError, match="does not approve"):
        tickets.sign(site.root, number, site.key, "boss")


@pytest.mark.parametrize(("hours", "word"), [(-2, "has not begun"), (4, "is over"), (100, "is over")])
def test_outside_its_window(site, hours, word):
    number = ticket(site)
    assert word in refused(site, plan_of(), number, now=NOW + timedelta(hours=hours))


def test_a_window_that_is_about_to_end_is_told(site):
    number = ticket(site)
    leave = gates.leave(site, plan_of(), ticket=number, now=NOW + timedelta(hours=3, minutes=55))
    assert "即将结束" in leave.notes[0]


def test_a_target_or_a_control_that_it_does_not_name(site):
    number = ticket(site, controls=("LIN-IA-*",))
    assert "target in-01" in refused(site, plan_of(target="in-01"), number)
    assert "control LIN-AC-B-01" in refused(site, plan_of(), number)
    assert gates.leave(site, plan_of(control="LIN-IA-A-05"), ticket=number, now=NOW)


def keep(site, plan):
    body = {"plan_digest": plan.digest, "steps": approved_steps(plan)}
    runs.create_run(
        site.store, plan.run, kind="harden", period="", plan=body, operator="worker", started_at=NOW, tasks=()
    )


def test_only_what_was_approved_fewer_are_fine_others_are_not(site):
    approved = plan_of(step("A"), step("B"))
    number = ticket(site, plan_digest=approved.digest)
    assert "not in this workspace" in refused(site, plan_of(step("A")), number)
    keep(site, approved)
    assert gates.leave(site, plan_of(step("A"), run="harden-2"), ticket=number, now=NOW)
    message = refused(site, plan_of(step("A"), step("B", after="maybe"), run="harden-3"), number)
    assert "1 changes are not those" in message
    assert "web-01 LIN-AC-B-01 B" in message


def test_inside_an_important_period(site):
    number = ticket(site, start=FROZEN - timedelta(hours=1), end=FROZEN + timedelta(hours=1))
    assert "两会" in refused(site, plan_of(), number, now=FROZEN)
    assert "who operates" in refused(site, plan_of(), number, now=FROZEN, freeze_by="甲（虚构）")
    leave = gates.leave(site, plan_of(), ticket=number, now=FROZEN, freeze_by="client")
    assert leave.overrides == {"freeze": "丙（虚构）"}
    assert "冻结" in leave.notes[0]


def test_a_reboot_needs_the_customers_application_on_file(site):
    plan = plan_of(step(risk=(Risk.REBOOT,)))
    assert "written application" in refused(site, plan, ticket(site, "GD-1"))
    number = ticket(site, "GD-2", reboot_application="notices/reboot.pdf")
    assert "cannot be read" in refused(site, plan, number)
    (site.root / "notices").mkdir()
    (site.root / "notices" / "reboot.pdf").write_bytes(b" \n")
    assert "empty" in refused(site, plan, number)
    (site.root / "notices" / "reboot.pdf").write_bytes(b"%PDF the customer's letter")
    leave = gates.leave(site, plan, ticket=number, now=NOW)
    assert leave.reboot
    assert b"letter" in site.ledger.open(leave.evidence[1])
    (site.root / "notices" / "reboot.pdf").unlink()
    (site.root / "notices" / "reboot.pdf").symlink_to("/etc/passwd")
    assert "outside" in refused(site, plan, number)


def test_a_service_account_is_not_expired_behind_its_owners_back(site):
    plan = plan_of(step("appsvc 口令最长使用期", risk=(Risk.ACCOUNT_EXPIRY,)))
    message = refused(site, plan, ticket(site))
    assert "appsvc" in message
    assert "丙（虚构）" in message
    elsewhere = plan_of(step("appsvc 口令最长使用期", risk=(Risk.ACCOUNT_EXPIRY,)), target="in-01")
    assert gates.leave(site, elsewhere, ticket=ticket(site, "GD-9", targets=("*",)), now=NOW)


def test_elsewhere_than_at_the_ops_location(site):
    number = ticket(site)
    opslocation.designate(site.root, ["198.51.100.7"], site.key, only=True)
    assert "not a designated ops location" in refused(site, plan_of(), number)


def test_an_emergency_take_back_names_a_person_and_bears_the_mark(site):
    assert "未验签" in gates.emergency(site, "worker").notes[0]
    with pytest.raises(RefusedError):
        gates.emergency(site, "")


def policy(site, **variables):
    body = POLICY | {"variables": variables}
    (site.root / "hardening.yaml").write_text(yaml.safe_dump(body, allow_unicode=True), encoding="utf-8")
    site.__dict__.pop("policy", None)


def test_variables_follow_from_what_is_declared(site):
    found = gates.variables(site)
    assert found["ops_networks"] == [str(each) for each in opscheck.allowed(site.root)]
    assert found["ssh_sources"] == [*found["ops_networks"], "192.0.2.1"]
    assert found["keep"] == ["appsvc", "ops"]
    assert found["roster"] == ["appsvc", "boss", "client", "ops", "worker"]
    policy(site, log_host="192.0.2.8", bastion_networks=["198.51.100.0/24"])
    found = gates.variables(site)
    assert found["log_host"] == "192.0.2.8"
    assert found["ssh_sources"][-2:] == ["192.0.2.1", "198.51.100.0/24"]


def test_targets_never_let_in_more_than_the_signed_ops_location(site):
    opslocation.designate(site.root, ["10.1.0.0/25", "10.1.0.128/25"], site.key)
    policy(site, ops_networks=["10.1.0.0/24", "10.1.0.7"])
    assert gates.variables(site)["ssh_sources"][:2] == ["10.1.0.0/24", "10.1.0.7"]
    for wider in ("10.1.0.0/23", "10.2.0.1", "fd00:9::/64"):
        policy(site, ops_networks=["10.1.0.0/24", wider])
        with pytest.raises(RefusedError, match=wider):
            gates.variables(site)
        assert wider in refused(site, plan_of(), ticket(site, f"W-{next(NUMBERS)}"))


def sealed(site):
    with site.store.read() as connection:
        return connection.execute(select(func.count()).select_from(schema.ledger_entry)).scalar_one()


GATES = {
    "place", "paper", "signature", "own", "early", "late", "target", "control", "plan", "freeze", "letter", "account",
    "wider",
}  # fmt: skip
OVERRIDDEN = {"unsigned_by": {"signature", "own"}, "freeze_by": {"freeze"}}


def attempt(site, closed, **words):
    """Ask for leave with every gate open but those named."""
    now = FROZEN if "freeze" in closed else NOW
    site.who = "boss" if "own" in closed else "worker"
    account = "appsvc" if "account" in closed else "person"
    plan = plan_of(step(), step("kernel", risk=(Risk.REBOOT,)), step(account, risk=(Risk.ACCOUNT_EXPIRY,)))
    (site.root / "letter.pdf").write_bytes(b" " if "letter" in closed else b"letter")
    begin = {"early": now + timedelta(minutes=1), "late": now - timedelta(hours=9)}
    opslocation.designate(site.root, [*opslocation.local_addresses()], site.key, only=True)
    if "place" in closed:
        opslocation.designate(site.root, ["198.51.100.7"], site.key, only=True)
    policy(site, **({"ops_networks": ["203.0.113.0/24"]} if "wider" in closed else {}))
    number = ticket(
        site, f"T-{next(NUMBERS)}", sign="signature" not in closed, reboot_application="letter.pdf",
        start=next((begin[each] for each in ("early", "late") if each in closed), now - timedelta(hours=1)),
        end=now - timedelta(minutes=1) if "late" in closed and "early" not in closed else now + timedelta(hours=2),
        targets=("web-02",) if "target" in closed else ("web-01",),
        controls=("PG-*",) if "control" in closed else ("LIN-AC-*",),
        plan_digest="0" * 64 if "plan" in closed else plan.digest,
    )  # fmt: skip
    return gates.leave(site, plan, ticket=None if "paper" in closed else number, now=now, **words)


def test_with_every_gate_open_it_passes(site):
    leave = attempt(site, set())
    assert leave.reboot
    assert len(leave.evidence) == 3


def test_one_closed_gate_or_two_are_enough(site):
    before = sealed(site)
    for pair in combinations_with_replacement(sorted(GATES), 2):
        with pytest.raises(RefusedError) as caught:
            attempt(site, set(pair))
        assert caught.value.remedy, pair
    assert sealed(site) == before


PEOPLE_NAMED = st.sampled_from(["", "client", "丙（虚构）", "worker", "甲（虚构）", "stranger"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(closed=st.sets(st.sampled_from(sorted(GATES)), max_size=4), unsigned_by=PEOPLE_NAMED, freeze_by=PEOPLE_NAMED)
def test_no_combination_passes_with_a_gate_closed(site, closed, unsigned_by, freeze_by):
    words = {"unsigned_by": unsigned_by, "freeze_by": freeze_by}
    # `worker` operates, save where `own` is closed: then `boss` does
    allowing = {"client", "丙（虚构）"} | ({"worker", "甲（虚构）"} if "own" in closed else set())
    opened = {gate for word, gates_of in OVERRIDDEN.items() if words[word] in allowing for gate in gates_of}
    before = sealed(site)
    if closed <= opened:
        leave = attempt(site, closed, **words)
        assert set(leave.overrides) == {
            name for name, word in (("unsigned", "unsigned_by"), ("freeze", "freeze_by")) if closed & OVERRIDDEN[word]
        }
        assert any("未验签" in note for note in leave.notes) == bool(closed & OVERRIDDEN["unsigned_by"])
    else:
        with pytest.raises(RefusedError):
            attempt(site, closed, **words)
        assert sealed(site) == before


def test_an_operator_whom_nobody_declared_is_told(site):
    number = ticket(site)
    site.who = "ghost"
    (note,) = gates.leave(site, plan_of(), ticket=number, now=NOW).notes
    assert "ghost" in note


def test_who_stands_twice_in_people_yaml_allows_nothing_to_himself(site):
    number = ticket(site, sign=False)
    again = PEOPLE + "- {name: 甲（虚构）, role: customer}\n"
    (site.root / "inventory" / "people.yaml").write_text(again, encoding="utf-8")
    assert "who operates" in refused(site, plan_of(), number, unsigned_by="甲（虚构）")


def test_steps_slipped_into_the_store_are_not_approved(site):
    approved = plan_of(step("A"))
    number = ticket(site, plan_digest=approved.digest)
    more = plan_of(step("A"), step("B"), run="harden-2")
    body = {"plan_digest": approved.digest, "steps": approved_steps(more)}
    runs.create_run(site.store, "harden-1", kind="harden", period="", plan=body, operator="w", started_at=NOW, tasks=())
    assert "not in this workspace" in refused(site, more, number)


@pytest.mark.parametrize(
    "name", ["appsvc", "appsvc@localhost 有效期", "账户appsvc", "口令/appsvc", "APPSVC 30 天", "'appsvc'@'%'"]
)
def test_a_service_account_is_known_by_its_name_however_a_step_writes_it(site, name):
    assert "appsvc" in refused(site, plan_of(step(name, risk=(Risk.ACCOUNT_EXPIRY,))), ticket(site))


@pytest.mark.parametrize("name", ["appsvc2", "my-appsvc", "appsvc.old", "default_password_lifetime"])
def test_what_may_expire_others_beside_a_service_account_is_told(site, name):
    leave = gates.leave(site, plan_of(step(name, risk=(Risk.ACCOUNT_EXPIRY,))), ticket=ticket(site), now=NOW)
    assert "appsvc" in leave.notes[0]
    assert "丙（虚构）" in leave.notes[0]
    assert name in leave.notes[0]


def test_a_handle_names_a_service_account_too(site):
    bare = step("最长使用期", risk=(Risk.ACCOUNT_EXPIRY,))
    named = replace(bare, handles=(Handle("account", ("appsvc",)),))
    assert "appsvc" in refused(site, plan_of(named), ticket(site))


def test_another_application_than_the_signed_one(site):
    (site.root / "letter.pdf").write_bytes(b"one")
    number = ticket(site, reboot_application="letter.pdf", reboot_application_sha256=hashlib.sha256(b"one").hexdigest())
    plan = plan_of(step(risk=(Risk.REBOOT,)))
    assert gates.leave(site, plan, ticket=number, now=NOW).reboot
    (site.root / "letter.pdf").write_bytes(b"another")
    assert "not the file" in refused(site, plan, number)


def test_a_window_shorter_than_the_work_and_a_freeze_at_hand_are_told(site):
    policy(site)
    many = replace(plan_of(), planned=plan_of().planned + plan_of(target="in-01").planned, hosts={})
    number = ticket(site, targets=("*",), end=NOW + timedelta(hours=100 * 24))
    assert gates.leave(site, many, ticket=number, now=NOW).notes == ()
    eve = datetime(2027, 3, 3, 15, 55, tzinfo=UTC)  # 23:55 of the day before
    assert "两会" in gates.leave(site, many, ticket=number, now=eve).notes[0]
    assert "两会" in refused(site, many, number, now=eve + timedelta(minutes=5))
    short = ticket(site, "GD-2", targets=("*",), end=NOW + timedelta(minutes=11))
    assert gates.leave(site, plan_of(), ticket=short, now=NOW).notes == ()
    site.policy = replace(site.policy, ttl=600)
    assert "做不完" in gates.leave(site, many, ticket=short, now=NOW).notes[0]


def test_what_is_sealed_is_what_was_signed(site):
    leave = gates.leave(site, plan_of(), ticket=ticket(site), now=NOW)
    raw, signature = (site.ledger.open(number) for number in leave.evidence)
    assert hashlib.sha256(raw).hexdigest() == leave.ticket.sha256
    public = opscheck.read_public((site.root / "inventory" / "approver.pub").read_bytes(), site.root)
    assert opscheck.genuine(public, base64.b64decode(signature), raw, tickets.PREFIX)


class Waves(Rollout):
    """A roll-out whose waves touch nothing and take an hour each."""

    def waiting(self):
        return {"web-01": [], "in-01": []}

    def _wave(self, number, names, waiting):  # noqa: ARG002 - as the real one
        self.waves.append(Wave(number, tuple(names)))
        self.app.now += timedelta(hours=1)


@pytest.mark.parametrize(("minutes", "done"), [(0, 0), (59, 1), (60, 1), (61, 2)])
def test_no_wave_begins_after_the_window(site, minutes, done):
    plan = plan_of()
    keep(site, plan)
    site.clock = lambda: site.now
    rollout = Waves(site, plan, lambda _: None, lambda _: None)
    rollout.until = NOW + timedelta(minutes=minutes)
    rollout.go()
    assert len(rollout.waves) == done
    assert ("窗口已过" in rollout.stopped) == (done < 2)
