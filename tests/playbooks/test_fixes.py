"""Every control says how it is mended in its resource's own form, or why only a person can."""

import pytest

from agent.change.registry import check, registry
from agent.declared.playbooks import load_playbooks, shipped_playbooks
from agent.flows.planning import filled
from agent.model.change import Item, Risk

CONTROLS = load_playbooks([shipped_playbooks()])
VARIABLES = {
    "log_host": "192.0.2.9",
    "ssh_sources": ["192.0.2.0/24"],
    "db_networks": ["192.0.2.0/24"],
    "ops_networks": ["192.0.2.0/24"],
}


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.id)
def test_a_fix_is_of_its_resources_form(control):
    resource = control.fix.get("resource")
    if resource == "manual":
        assert control.fix.get("text") or control.remedy
        return
    fix = filled(dict(control.fix), VARIABLES)
    options = {key: value for key, value in fix.items() if key not in {"resource", "want"}}
    check(Item("i", resource, fix.get("want"), options, risk=tuple(map(Risk, control.risk))))


def test_most_controls_are_mended_by_the_program():
    mended = [control.id for control in CONTROLS if control.fix.get("resource") != "manual"]
    assert len(mended) > 130
    assert {str(control.fix["resource"]) for control in CONTROLS} - {"manual"} <= set(registry())
