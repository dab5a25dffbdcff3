from pathlib import Path

import pytest

from agent.declared import load_inventory
from agent.model.asset import Become, Inventory, Layer
from agent.model.errors import DeclaredError

GOOD = """\
schema_version: 1
defaults:
  user: ops
  become: {method: sudo}
  zone: gov
groups:
  web: {port: 2222, listeners: [tcp/22, tcp/443], owner: web team, become: {password: true}}
  old: {port: 2200, transport: ssh-legacy, auth: password}
hosts:
- {name: jump, address: 10.0.0.1}
- {name: web-01, address: 10.0.0.2, groups: [web, old], bastion: jump, zone: dmz}
- {name: win, address: WIN.Intra, transport: winrm, become: {method: none}, layers: [host], user: 'CORP\\ops'}
- {name: v6, address: "FD00:0::5", importance: core}
"""
DATABASES = """\
schema_version: 1
databases:
- {name: pg, engine: postgresql, host: web-01, tunnel: true, user: scan}
- {name: maria, engine: mariadb, host: jump, address: 10.0.0.1, port: 3307, zone: data}
"""


def inventory(root: Path, hosts: str = GOOD, databases: str | None = None) -> Inventory:
    (root / "inventory").mkdir(exist_ok=True)
    (root / "inventory/hosts.yaml").write_text(hosts, "utf-8")
    if databases is not None:
        (root / "inventory/databases.yaml").write_text(databases, "utf-8")
    return load_inventory(root)


def test_host_over_groups_in_order_over_defaults(tmp_path: Path) -> None:
    found = inventory(tmp_path, GOOD, DATABASES)
    web = found.host("web-01")
    assert (web.port, web.transport, web.auth, web.owner) == (2222, "ssh-legacy", "password", "web team")
    assert (web.user, web.zone, web.bastion) == ("ops", "dmz", "jump")
    assert web.become == Become("sudo", password=True)
    assert web.listeners == ("tcp/22", "tcp/443")
    win = found.host("win")
    assert (win.address, win.port, win.become.method, win.layers) == ("win.intra", 5986, "none", (Layer.HOST,))
    assert found.host("v6").address == "fd00::5"
    assert found.host("jump").layers == (Layer.HOST, Layer.MIDDLEWARE, Layer.NETWORK)
    pg, maria = found.databases
    assert (pg.port, pg.zone, pg.tunnel, pg.address) == (5432, "dmz", True, "")
    assert (maria.port, maria.zone) == (3307, "data")
    assert found.groups == ("web", "old")
    assert [target.name for target in found.targets] == ["jump", "web-01", "win", "v6", "pg", "maria"]


HEAD = "schema_version: 1\nhosts:\n"


@pytest.mark.parametrize(
    ("hosts", "where", "words"),
    [
        (HEAD + "- {name: a, address: 10.0.0.1, prot: 22}", ":3: hosts[0].prot", "unknown key"),
        ("hosts: []", ":1: schema_version", "missing"),
        ("schema_version: 2\nhosts: []", ":1: schema_version", "1"),
        (HEAD + "- {name: a, address: 10.0.0.1}\n- {name: A, address: 10.0.0.2}", ":4: hosts[1].name", "taken"),
        (HEAD + "- {name: a, address: 10.0.0.1}\n- {name: b, address: 10.0.0.1}", ":4: hosts[1].address", "taken"),
        (HEAD + "- {name: a, address: 10.0.0.1, groups: [web]}", ":3: hosts[0].groups[0]", "no group"),
        (HEAD + "- {name: a, address: 10.0.0.1, groups: [w, w]}", ":3: hosts[0].groups", "twice"),
        (HEAD + "- {name: a, address: 10.0.0.1, bastion: b}", ":3: hosts[0].bastion", "no host"),
        (HEAD + "- {name: a, address: 10.0.0.1, bastion: a}", ":3: hosts[0].bastion", "circle: a -> a"),
        (
            HEAD + "- {name: a, address: 10.0.0.1, bastion: b, transport: local}\n- {name: b, address: 10.0.0.2}",
            ":3: hosts[0].bastion",
            "local",
        ),
        (
            HEAD + "- {name: a, address: 10.0.0.1, bastion: b}\n- {name: b, address: 10.0.0.2, transport: winrm}",
            ":3: hosts[0].bastion",
            "not reached by SSH",
        ),
        (HEAD + "- {name: ../etc, address: 10.0.0.1}", ":3: hosts[0].name", "not a usable name"),
        (HEAD + "- {name: a..b, address: 10.0.0.1}", ":3: hosts[0].name", "not a usable name"),
        (HEAD + "- {name: -a, address: 10.0.0.1}", ":3: hosts[0].name", "not a usable name"),
        (HEAD + "- {name: con, address: 10.0.0.1}", ":3: hosts[0].name", "not a usable name"),
        (HEAD + "- {name: '@network', address: 10.0.0.1}", ":3: hosts[0].name", "not a usable name"),
        (HEAD + "- {name: a, address: 10.0.0.300}", ":3: hosts[0].address", "neither"),
        (HEAD + "- {name: a, address: --script=x}", ":3: hosts[0].address", "neither"),
        (HEAD + "- {name: a, address: 0.0.0.0}", ":3: hosts[0].address", "one host"),
        (HEAD + "- {name: a, address: 224.0.0.1}", ":3: hosts[0].address", "one host"),
        (HEAD + "- {name: a, address: fe80::1%eth0}", ":3: hosts[0].address", "one host"),
        (HEAD + "- {name: a, address: 10.0.0.1, port: 0}", ":3: hosts[0].port", "greater"),
        (HEAD + "- {name: a, address: 10.0.0.1, port: true}", ":3: hosts[0].port", "integer"),
        (HEAD + "- {name: a, address: 10.0.0.1, user: -oProxyCommand=x}", ":3: hosts[0].user", "not a login"),
        (HEAD + "- {name: a, address: 10.0.0.1, listeners: [22]}", ":3: hosts[0].listeners[0]", "string"),
        (HEAD + "- {name: a, address: 10.0.0.1, listeners: [tcp/70000]}", ":3: hosts[0].listeners[0]", "listener"),
        (HEAD + "- {name: a, address: 10.0.0.1, listeners: [sctp/22]}", ":3: hosts[0].listeners[0]", "listener"),
        (HEAD + "- {name: a, address: 10.0.0.1, layers: [moon]}", ":3: hosts[0].layers[0]", "host"),
        (HEAD + "- {name: a, address: 10.0.0.1, become: {password: S3cret!}}", "become.password", "boolean"),
        ("schema_version: 1\ndefaults: {name: x}\nhosts: []", ":2: defaults.name", "unknown key"),
        ("schema_version: 1\ngroups: {../x: {}}\nhosts: []", ":2: groups", "not a usable name"),
    ],
)
def test_each_refusal_names_line_and_field(tmp_path: Path, hosts: str, where: str, words: str) -> None:
    with pytest.raises(DeclaredError) as caught:
        inventory(tmp_path, hosts)
    assert where in caught.value.where
    assert words in caught.value.message
    assert caught.value.remedy
    assert "S3cret" not in str(caught.value)


def test_a_circle_of_bastions_is_shown(tmp_path: Path) -> None:
    ways = enumerate(["ab", "bc", "ca"], 1)
    rows = "".join(f"- {{name: {a}, address: 10.0.0.{i}, bastion: {b}}}\n" for i, (a, b) in ways)
    with pytest.raises(DeclaredError) as caught:
        inventory(tmp_path, HEAD + rows)
    assert "a -> b -> c -> a" in str(caught.value)


def test_the_same_private_address_behind_two_bastions_is_two_hosts(tmp_path: Path) -> None:
    rows = (
        "- {name: j1, address: 10.0.0.1}\n- {name: j2, address: 10.0.0.2}\n"
        "- {name: a, address: 192.168.1.5, bastion: j1}\n- {name: b, address: 192.168.1.5, bastion: j2}\n"
    )
    assert len(inventory(tmp_path, HEAD + rows).hosts) == 4


@pytest.mark.parametrize(
    ("row", "where", "words"),
    [
        ("{name: jump, engine: mysql, host: jump, address: 10.0.0.1}", "[0].name", "taken"),
        ("{name: d, engine: mysql, host: nope, address: 10.0.0.1}", "[0].host", "no host"),
        ("{name: d, engine: mysql, host: jump}", "[0].address", "missing"),
        ("{name: d, engine: foxpro, host: jump, address: 10.0.0.1}", "[0].engine", "mysql"),
        ("{name: d, engine: mysql, host: jump, address: 10.0.0.1, password: x}", "[0].password", "unknown key"),
        (
            "{name: d, engine: mysql, host: jump, tunnel: true}\n- {name: e, engine: mysql, host: jump, tunnel: true}",
            "[1].address",
            "taken",
        ),
    ],
)
def test_each_refusal_of_a_database(tmp_path: Path, row: str, where: str, words: str) -> None:
    with pytest.raises(DeclaredError) as caught:
        inventory(tmp_path, GOOD, f"schema_version: 1\ndatabases:\n- {row}\n")
    assert f"databases{where}" in caught.value.where
    assert words in caught.value.message
    assert caught.value.remedy


def test_a_missing_inventory_says_how_to_begin(tmp_path: Path) -> None:
    with pytest.raises(DeclaredError, match="agent init"):
        load_inventory(tmp_path)
