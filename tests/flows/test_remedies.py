"""Findings that no control made: which of them are upgrades, and why the others are none."""

from dataclasses import replace

import pytest

from agent.change.registry import check
from agent.flows.remedies import planned
from agent.model.asset import Database, Host, Inventory, Layer
from agent.model.change import Risk, Why
from agent.model.finding import Finding, FindingKind, FindingState, Remediation
from agent.model.severity import Severity

INVENTORY = Inventory(
    (Host("web", "192.0.2.1"), Host("win", "192.0.2.2", transport="winrm")),
    (Database("orders", "mysql", "web"),),
)
OPENSSL = Remediation(
    "openssl",
    "3.0.15-1",
    "3.0.16-1",
    "fixed",
    "vendor",
    packages=("libssl3 3.0.15-1", "openssl 3.0.15-1"),
    restart="service",
)
FINDING = Finding(
    "web", Layer.HOST, FindingKind.UPDATE, "UPDATE:openssl", "openssl", "openssl 有未安装的安全更新", Severity.HIGH,
    FindingState.OPEN, "openssl 3.0.15-1", "3.0.16-1 或更新", "执行 apt-get install", remediation=OPENSSL,
)  # fmt: skip


def one(finding):
    (found,) = planned([finding], INVENTORY, start=7)
    return found


def test_a_fix_becomes_an_upgrade_of_every_package_that_it_touches():
    found = one(FINDING)
    assert found.skip is None
    item = found.item
    assert (item.id, item.resource, item.target, item.control) == ("i7", "package", "web", "UPDATE:openssl")
    assert item.want == {"libssl3": "3.0.16-1", "openssl": "3.0.16-1"}
    assert item.findings == (FINDING.key,)
    assert item.risk == (Risk.RESTART,)
    check(item)


def test_every_finding_has_its_row_in_their_order():
    others = [replace(FINDING, check=f"UPDATE:p{number}", location=f"p{number}") for number in range(3)]
    found = planned([*others, replace(FINDING, target="gone")], INVENTORY, start=2)
    assert [(each.item.id, each.item.control) for each in found] == [
        ("i2", "UPDATE:p0"),
        ("i3", "UPDATE:p1"),
        ("i4", "UPDATE:p2"),
    ]


@pytest.mark.parametrize(
    ("change", "why", "words"),
    [
        ({"remediation": replace(OPENSSL, fixed="", status="will_not_fix")}, Why.NO_FIX, "厂商不予修复"),
        (
            {"remediation": replace(OPENSSL, fixed="", status="fix_deferred"), "check": "NOFIX:openssl"},
            Why.NO_FIX,
            "厂商推迟修复",
        ),
        ({"remediation": replace(OPENSSL, fixed="", status="nonsense")}, Why.NO_FIX, "暂无修复"),
        (
            {
                "layer": Layer.MIDDLEWARE,
                "check": "UPDATE:tomcat",
                "location": "/opt/tomcat",
                "remediation": replace(OPENSSL, packages=()),
            },
            Why.MANUAL,
            "/opt/tomcat",
        ),
        (
            {"target": "orders", "layer": Layer.DATABASE, "remediation": replace(OPENSSL, packages=())},
            Why.MANUAL,
            "来源",
        ),
        ({"target": "win"}, Why.UNSUPPORTED, "Windows"),
        ({"remediation": None}, Why.MANUAL, "重新判定"),
        ({"remediation": None, "check": "REBOOT-REQUIRED", "location": ""}, Why.MANUAL, "待重启"),
        ({"remediation": None, "check": "STALE-LIBRARIES", "location": ""}, Why.MANUAL, "待重启"),
        ({"remediation": None, "check": "UPDATES-OTHER", "location": ""}, Why.EXCLUDED, "例行升级"),
        ({"remediation": None, "check": "EOL", "location": ""}, Why.MANUAL, "apt-get"),
        ({"remediation": None, "kind": FindingKind.EXPOSURE, "check": "EXP-LISTENER"}, Why.MANUAL, "apt-get"),
        ({"remediation": replace(OPENSSL, packages=("$(reboot) 1",))}, Why.ERROR, "无法识别"),
    ],
)
def test_what_is_no_upgrade_of_ours_says_why(change, why, words):
    found = one(replace(FINDING, **change))
    assert found.skip is not None
    assert found.skip.why is why
    assert words in found.skip.text


def test_a_kernel_needs_a_restart():
    kernel = replace(OPENSSL, package="linux", packages=("linux-image-6.1.0-30-amd64 6.1.124-1",), restart="reboot")
    assert one(replace(FINDING, remediation=kernel)).item.risk == (Risk.REBOOT,)
