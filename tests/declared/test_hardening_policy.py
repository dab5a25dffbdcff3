"""hardening.yaml: what it says, and that what is wrong is told with file, line, field and remedy."""

from pathlib import Path

import pytest

from agent.declared.hardening import HARDENING, load_policy
from agent.declared.schemas import schemas
from agent.declared.workspace import make_workspace
from agent.model.errors import DeclaredError
from agent.model.hardening import Policy, ServiceAccount

HOSTS = "schema_version: 1\nhosts:\n- {name: web-01, address: 192.0.2.1}\n- {name: db-01, address: 192.0.2.2}\n"
DATABASES = (
    "schema_version: 1\ndatabases:\n"
    "- {name: pg-main, engine: postgresql, host: db-01, address: 192.0.2.2, port: 5432, user: scan, dbname: app}\n"
)
WHOLE = """\
schema_version: 1
variables:
  log_host: 192.0.2.9
  ops_networks: [192.0.2.0/28, 192.0.2.77]
  db_networks: [0.0.0.0/0]
  ntp_servers: [a.example, b.example]
  number: 3
profile: own
profiles: {own: [LIN-*, "!LIN-AC-B-01"]}
canary: web-01
waves: [2, 4, 8]
ttl: 60
leave: {"*": [NOFIX:*], pg-main: [PG-IA-A-06]}
service_accounts:
- {account: appsvc, targets: [web-01, pg-main], owner: 丙, window: 周日, dependents: [billing]}
- {account: backup, owner: 丁}
keep_accounts: [breakglass]
probes: {web-01: [tcp/8080]}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "w"
    make_workspace(folder)
    (folder / "inventory" / "hosts.yaml").write_text(HOSTS, "utf-8")
    (folder / "inventory" / "databases.yaml").write_text(DATABASES, "utf-8")
    return folder


def test_everything_is_read(root):
    (root / HARDENING).write_text(WHOLE, "utf-8")
    policy = load_policy(root)
    assert policy.variables["ops_networks"] == ["192.0.2.0/28", "192.0.2.77"]
    assert policy.variables["number"] == 3
    assert policy.profiles == {"own": ("LIN-*", "!LIN-AC-B-01")}
    assert (policy.profile, policy.canary, policy.waves, policy.ttl) == ("own", "web-01", (2, 4, 8), 60)
    assert policy.leave == {"*": ("NOFIX:*",), "pg-main": ("PG-IA-A-06",)}
    assert policy.service_accounts == (
        ServiceAccount("appsvc", ("web-01", "pg-main"), "丙", "周日", ("billing",)),
        ServiceAccount("backup", ("*",), "丁"),
    )
    assert policy.keep_accounts == ("breakglass",)
    assert policy.probes == {"web-01": ("tcp/8080",)}


def test_without_the_file_and_with_the_starter_the_built_in_policy_holds(root):
    assert load_policy(root) == Policy()
    (root / HARDENING).unlink()
    assert load_policy(root) == Policy()


def test_what_the_starter_shows_in_comments_is_accepted(root):
    shown = (root / HARDENING).read_text("utf-8").partition("schema_version: 1\n")[2]
    lines = [line.removeprefix("# ") for line in shown.splitlines()]
    (root / HARDENING).write_text("schema_version: 1\n" + "\n".join(lines), "utf-8")
    policy = load_policy(root)
    assert policy.canary == "web-01"
    assert policy.service_accounts
    assert policy.variables["ops_networks"]


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("ttl: 59", "2: ttl", "60"),
        ("ttl: 3601", "2: ttl", "3600"),
        ("ttl: '300'", "2: ttl", "integer"),
        ("waves: []", "2: waves", "at least 1"),
        ("waves: [1, 0]", "2: waves[1]", "greater"),
        ("surprise: 1", "2: surprise", "unknown key"),
        ("canery: web-01", "2: canery", "did you mean `canary`"),
        ("canary: pg-main", "2: canary", "no host named"),
        ("probes: {web-01: [22]}", "2: probes.web-01", "string"),
        ("probes: {web-01: [tcp/0]}", "2: probes.web-01[0]", "is not a listener"),
        ("probes:\n  web-1: [tcp/22]", "3: probes.web-1", "no host named"),
        ("leave: {pg-mian: [PG-*]}", "2: leave.pg-mian", "no target named"),
        ("leave: {web-01: [lin-*]}", "2: leave.web-01[0]", "pattern"),
        ("service_accounts: [{account: x}]", "2: service_accounts[0].owner", "is missing"),
        ("service_accounts: [{account: 'a b', owner: o}]", "2: service_accounts[0].account", "is not a login"),
        ("service_accounts: [{account: a, owner: o, targets: []}]", "2: service_accounts[0].targets", "at least 1"),
        ("service_accounts:\n- account: a\n  owner: o\n  targets: [web-01, web-1]", "5: service_accounts[0].targets[1]",
         "no target named 'web-1'"),
        ("keep_accounts: [a, a]", "2: keep_accounts", "twice"),
        ("variables: {Log: x}", "2: variables.Log", "pattern"),
        ("variables: {log_host: 'a b'}", "2: variables.log_host", "neither an IP address"),
        ("variables: {ops_networks: 10.0.0.0/24}", "2: variables.ops_networks", "is no list"),
        ("variables: {ops_networks: [10.0.0.1/24]}", "2: variables.ops_networks[0]", "no address or CIDR"),
        ("variables: {ops_networks: [0.0.0.0/0]}", "2: variables.ops_networks[0]", "wider than /8"),
        ("variables: {bastion_networks: [127.0.0.1]}", "2: variables.bastion_networks[0]", "every machine has"),
        ("variables: {db_networks: [10.0.0.0/24, nonsense]}", "2: variables.db_networks[1]", "no address or CIDR"),
        ("variables:\n  x: 1\n  ssh_sources: [10.0.0.1]", "4: variables.ssh_sources", "follows from"),
        ("variables: {roster: [root]}", "2: variables.roster", "follows from"),
        ("variables: {keep: [root]}", "2: variables.keep", "follows from"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_where_it_stands(root, text, where, what):
    (root / HARDENING).write_text(f"schema_version: 1\n{text}\n", "utf-8")
    with pytest.raises(DeclaredError) as caught:
        load_policy(root)
    assert f"{root / HARDENING}:{where}" in caught.value.where
    assert what in str(caught.value)
    assert caught.value.remedy


def test_all_problems_are_told_at_once(root):
    text = "schema_version: 1\ncanary: a\nvariables: {keep: [x], ops_networks: [y]}\nprobes: {b: [tcp/1]}\n"
    (root / HARDENING).write_text(text, "utf-8")
    with pytest.raises(DeclaredError) as caught:
        load_policy(root)
    assert "4 problems" in caught.value.message


def test_editors_are_given_its_schema():
    schema = schemas()["hardening"]
    assert set(schema["properties"]) >= {"variables", "profile", "canary", "waves", "ttl", "service_accounts", "leave"}
    assert schema["properties"]["ttl"]["minimum"] == 60
    ticket = schemas()["ticket"]
    assert ticket["properties"]["start"]["pattern"].startswith("^[0-9]{4}")
