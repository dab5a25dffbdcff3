"""What planning decides without a target: variables, profiles, clashes, transactions, waves."""

from dataclasses import dataclass, replace

import pytest

from agent.flows import planning
from agent.flows.changing import records_of
from agent.flows.harden import waves_of
from agent.flows.planning import UnfilledError, filled
from agent.model.asset import Host, Inventory
from agent.model.change import GROUPS, Handle, Item, Planned, Step, Why
from agent.model.errors import AgentError
from agent.model.hardening import Policy


def test_a_variable_alone_keeps_its_kind_and_within_a_text_becomes_text():
    variables = {"ops_networks": ["10.0.0.0/8"], "log_host": "10.0.0.9"}
    fix = {"sources": "{{ops_networks}}", "forward": "{{ log_host }}:6514/tcp", "deep": [{"x": "{{log_host}}"}], "n": 3}
    assert filled(fix, variables) == {
        "sources": ["10.0.0.0/8"],
        "forward": "10.0.0.9:6514/tcp",
        "deep": [{"x": "10.0.0.9"}],
        "n": 3,
    }


@pytest.mark.parametrize("variables", [{}, {"log_host": ""}, {"log_host": None}, {"log_host": []}])
def test_a_variable_that_nobody_declared_is_told_by_name(variables):
    with pytest.raises(UnfilledError, match="log_host"):
        filled({"forward": "{{log_host}}:6514"}, variables)


def test_profiles_take_by_pattern_and_leave_out_by_pattern():
    assert planning._in_profile("LIN-AC-A-01", ())
    assert not planning._in_profile("LIN-AC-A-01", ("!LIN-AC-*",))
    assert planning._in_profile("LIN-IA-A-01", ("LIN-*", "!LIN-AC-*"))
    assert not planning._in_profile("PG-IA-A-01", ("LIN-*",))


def test_the_undertaking_is_in_one_shipped_profile_only():
    assert planning._in_profile("LIN-IA-A-11", planning._profile(Policy(), "level-3-password"))
    assert not planning._in_profile("LIN-IA-A-11", planning._profile(Policy(), "level-3"))
    with pytest.raises(AgentError, match="no profile"):
        planning._profile(Policy(), "level-9")
    assert planning._profile(Policy(profiles={"level-3": ("LIN-*",)}), "level-3") == ("LIN-*",)


def step(name, after="1", group="system", **more):
    return Step("sysctl", group, name, "0", after, "true", handles=(Handle("sysctl", (name,)),), **more)


def planned(control, *steps, target="a", number=1):
    return Planned(Item(f"i{number}", "sysctl", {}, target=target, control=control), steps)


def test_of_two_that_want_otherwise_the_second_is_left_to_a_person():
    one, two = planning._without_clashes([planned("C-1", step("k", "1")), planned("C-2", step("k", "2"))], {"a": "a"})
    assert one.steps
    assert not two.steps
    assert two.skip.why is Why.MANUAL
    assert "C-1" in two.skip.text


def test_two_that_want_alike_both_stay():
    both = planning._without_clashes([planned("C-1", step("k")), planned("C-2", step("k"))], {"a": "a"})
    assert all(one.steps for one in both)


def test_a_group_of_a_host_is_one_transaction_and_what_cannot_be_undone_stands_alone():
    plan = [
        planned("C-1", step("a"), step("s", group="sshd"), number=1),
        planned("C-2", step("b"), number=2),
        planned("C-3", step("p", group="packages", irreversible="no way back"), number=3),
        planned("C-4", step("x"), target="db", number=4),
        planned("C-5", step("x"), target="b", number=5),
        planned("C-6", step("q", group="packages", irreversible="no way back"), number=6),
        planned("C-7", step("r", group="packages"), number=7),
    ]
    records = records_of("harden-1-abcd", plan, {"a": "a", "b": "b", "db": "a"})
    told = [(one.host, one.group, [p.item.control for p in one.planned]) for one in records]
    assert told == [
        ("a", "packages", ["C-3", "C-6"]),
        ("a", "packages", ["C-7"]),
        ("a", "system", ["C-1", "C-2", "C-4"]),
        ("a", "sshd", ["C-1"]),
        ("b", "system", ["C-5"]),
    ]
    assert len({one.id for one in records}) == len(records)
    assert all(one.id.startswith("abcd-") for one in records)


def test_what_may_lock_out_comes_last():
    assert (
        GROUPS.index("pam") < GROUPS.index("sudo") < GROUPS.index("sshd") < GROUPS.index("firewall") == len(GROUPS) - 1
    )


@dataclass
class Site:
    inventory: Inventory
    policy: Policy


def site(**policy):
    hosts = (
        Host("core", "10.0.0.1", importance="core"),
        Host("way", "10.0.0.2"),
        Host("in", "10.0.0.3", bastion="way"),
        *(Host(f"n{i}", f"10.0.1.{i}") for i in range(6)),
    )
    return Site(Inventory(hosts, ()), Policy(**policy))


def test_a_plain_host_goes_first_the_important_later_and_bastions_last_by_themselves():
    app = site()
    waves = waves_of(app, [host.name for host in app.inventory.hosts])
    assert waves[0] == ["in"]
    assert [len(wave) for wave in waves] == [1, 3, 4, 1]
    assert waves[2][-1] == "core"
    assert waves[-1] == ["way"]


def test_the_declared_canary_goes_first():
    app = site(canary="core")
    assert waves_of(app, ["n1", "core"]) == [["core"], ["n1"]]
    assert waves_of(app, ["n1"]) == [["n1"]]
    assert waves_of(app, []) == []


def test_the_digest_of_a_step_is_of_what_changes_not_of_how():
    assert step("k").digest == replace(step("k"), write="other").digest
    assert step("k").digest != step("k", "2").digest
