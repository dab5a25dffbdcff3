"""inventory/accounts.yaml: spread over targets, and every mistake named with its line."""

import pytest

from agent.declared.accounts import load_accounts
from agent.model.account import Way
from agent.model.asset import Database, Host, Inventory
from agent.model.errors import DeclaredError
from agent.model.hardening import ServiceAccount

INVENTORY = Inventory(
    (
        Host("web-01", "192.0.2.1", groups=("web",), zone="dmz"),
        Host("web-02", "192.0.2.2", groups=("web",), zone="dmz"),
        Host("db-01", "192.0.2.3", zone="data"),
        Host("win-01", "192.0.2.4", transport="winrm"),
    ),
    (
        Database("maria", "mariadb", "db-01", "192.0.2.3", 3306, user="scan", zone="data"),
        Database("pg", "postgresql", "db-01", "192.0.2.3", 5432, user="scan", zone="data"),
    ),
    ("web",),
)


def load(tmp_path, text, **more):
    (tmp_path / "inventory").mkdir(exist_ok=True)
    (tmp_path / "inventory" / "accounts.yaml").write_text(f"schema_version: 1\naccounts:\n{text}\n", encoding="utf-8")
    more = {"people": frozenset({"李四"}), **more}
    return load_accounts(tmp_path, INVENTORY, **more)


def test_no_file_no_accounts(tmp_path):
    assert load_accounts(tmp_path, INVENTORY) == ()


@pytest.mark.parametrize(
    ("entry", "ids"),
    [
        ("{user: ops, on: [web]}", ["ops@web-01", "ops@web-02"]),
        ("{user: ops, on: [web], but: [web-02]}", ["ops@web-01"]),
        ('{user: root, on: ["*"], kind: linux}', ["root@web-01", "root@web-02", "root@db-01"]),
        ("{user: app, on: [maria, pg]}", ["app@maria", "app@pg"]),
        ('{user: app, on: ["*"], kind: postgresql}', ["app@pg"]),
        ("{user: app, on: [maria], at: 192.0.2.%}", ["app:192.0.2.%@maria"]),
        ("{user: default, on: [web-01], kind: redis}", ["default@web-01/redis"]),
        ("{user: default, on: [web-01], kind: redis, at: '6380'}", ["default:6380@web-01/redis"]),
        ("{user: admin, on: [web-01], kind: tomcat, at: /opt/tomcat-9}", ["admin:/opt/tomcat-9@web-01/tomcat"]),
        ("{user: admin, on: [VPN 网关], kind: manual}", ["admin@VPN 网关"]),
        ("{user: ops, on: [web, web-01]}", ["ops@web-01", "ops@web-02"]),
        ("{user: ops, on: [web-01, pg], ssh_key: true}", ["ops@web-01", "ops@web-01#ssh", "ops@pg"]),
    ],
)
def test_an_entry_is_spread_over_its_targets(tmp_path, entry, ids):
    assert [one.id for one in load(tmp_path, f"- {entry}")] == ids


def test_what_follows_from_the_rest_of_the_inventory(tmp_path):
    services = (ServiceAccount("scan", ("maria",), "李四"),)
    text = "- {user: ops, on: [web-01]}\n- {user: scan, on: [maria, pg]}\n- {user: app, on: [maria], person: 李四}"
    ops, scan, other, app = load(tmp_path, text, services=services)
    assert (ops.kind, ops.host, ops.zone, ops.own_login, ops.verify) == ("linux", "web-01", "dmz", True, Way.AUTO)
    assert (scan.kind, scan.host, scan.service, scan.own_login) == ("mariadb", "db-01", True, True)
    assert scan.held
    assert not other.service
    assert (app.person, app.own_login, app.held) == ("李四", False, "")


def test_a_plan_or_dependents_let_a_service_account_be_changed(tmp_path):
    services = (ServiceAccount("app", ("*",), "李四"),)
    entry = (
        "{user: app, on: [maria], dependents: [{host: web-01, file: /etc/app.conf, key: db.password, service: app}]}"
    )
    (one,) = load(tmp_path, f"- {entry}", services=services)
    assert one.service
    assert not one.held
    assert one.dependents[0].file == "/etc/app.conf"
    assert not load(tmp_path, "- {user: app, on: [maria], plan: 随发布窗口}", services=services)[0].held


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- {user: ops, on: [wbe]}", "accounts.yaml:3: accounts[0].on[0]: no target or group 'wbe'"),
        ("- {user: ops, on: [win-01]}", "has no target of this kind"),
        ("- {user: app, on: [pg], kind: mariadb}", "'pg' has no target of this kind"),
        ("- {user: ops, on: [web], person: 王五}", "nobody is called '王五'"),
        ("- {user: ops, on: [web], policy: weak}", "no policy 'weak'"),
        ("- {user: ops, on: [web]}\n- {user: ops, on: [web-02]}", "ops@web-02 stands already at"),
        ("- {user: ops, on: []}", "accounts[0].on"),
        ("- {user: 'a b', on: [web]}", "is not a login name"),
        ("- {user: ops, on: [web], at: x, kind: linux}", "host part"),
        ("- {user: ops, on: [web], at: 6380x, kind: redis}", "Redis' port"),
        ("- {user: ops, on: [web], at: '/opt/a b', kind: tomcat}", "Tomcat's folder"),
        ("- {user: ops, on: [web], at: /opt/../etc, kind: tomcat}", "Tomcat's folder"),
        ("- {user: app, on: [pg], ssh_key: true, kind: postgresql}", "has no SSH key"),
        ("- {user: ops, on: [web], pasword: x}", "pasword"),
        ("- {user: ops, on: [web], verify: maybe}", "verify"),
        ("- {user: a, on: [maria], dependents: [{host: no-01, file: /etc/a, key: k}]}", "no host 'no-01'"),
        ("- {user: a, on: [maria], dependents: [{host: web-01, file: etc/a, key: k}]}", "is not the path of a file"),
        ("- {user: a, on: [maria], dependents: [{host: web-01, file: /a/../b, key: k}]}", "is not the path of a file"),
        ("- {user: a, on: [maria, pg], dependents: [{host: web-01, file: /a, key: k}]}", "write an entry for each"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path, text, said):
    with pytest.raises(DeclaredError) as error:
        load(tmp_path, text)
    assert said in str(error.value)
    assert "accounts.yaml" in str(error.value)


def test_every_mistake_at_once(tmp_path):
    with pytest.raises(DeclaredError, match="2 problems"):
        load(tmp_path, "- {user: ops, on: [wbe]}\n- {user: ops, on: [web], person: 王五}")
