"""due, orders: through the parser, as an operator calls them."""

import json
from datetime import UTC, datetime

import pytest

from agent.app import App
from agent.cli.main import cli
from agent.declared.workspace import make_workspace
from agent.model.errors import AgentError
from agent.vault.generate import generate
from agent.vault.vault import New

RULES = (
    "amount: 100000\nescalation: [{days: 3, role: engineer}, {days: 0, role: project-manager}]\n"
    "penalties: [{on: rectification, percent: 10, clause: 第八条}]\n"
)
HOSTS = "schema_version: 1\nhosts:\n- {name: web-01, address: 192.0.2.1, owner: 张三}\n"
PEOPLE = "schema_version: 1\npeople:\n- {name: 王五, role: engineer}\n"


@pytest.fixture
def app(tmp_path, monkeypatch):
    monkeypatch.setenv("AGENT_KEYS", str(tmp_path / "keys"))
    root = tmp_path / "w"
    make_workspace(root)
    (root / "inventory" / "hosts.yaml").write_text(HOSTS, encoding="utf-8")
    (root / "inventory" / "people.yaml").write_text(PEOPLE, encoding="utf-8")
    (root / "notice.pdf").write_bytes(b"%PDF-")
    with (root / "contract.yaml").open("a", encoding="utf-8") as file:
        file.write(RULES)
    made = App(root, clock=lambda: datetime(2027, 3, 1, 17, tzinfo=UTC))
    yield made
    made.close()


def verb(app, *words):
    return cli.main(args=list(words), obj=app, standalone_mode=False)


def order(app, number, due, *words):
    verb(
        app, "orders", "add", number, "--title", "限期整改", "--received", "2027-02-20", "--due", due,
        "--target", "web-01", *words,
    )  # fmt: skip


def test_nothing_open_is_clean(app, capsys):
    assert verb(app, "due") == 0
    assert "2027-03-02: 0 open" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("due", "code", "words"),
    [
        ("2027-03-20", 0, "from 2027-03-17 engineer 王五"),
        ("2027-03-05", 1, "now engineer 王五; from 2027-03-05 project-manager"),
        ("2027-03-02", 1, "now project-manager (nobody declared)"),
        ("2027-03-01", 1, "overdue: 合同总价的 10%（10,000.00 元），依据：第八条"),
    ],
)
def test_the_exit_code_says_that_something_is_near(app, capsys, due, code, words):
    order(app, "ZG-1", due)
    capsys.readouterr()
    assert verb(app, "due") == code
    out = capsys.readouterr().out
    assert words in out
    assert ("合同总价" in out) is (due == "2027-03-01")
    assert verb(app, "due", "--json") == code
    (row,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (row["kind"], row["ref"], row["due"], row["owner"]) == ("order", "ZG-1", due, "张三")
    assert [each["role"] for each in row["escalation"]] == ["engineer", "project-manager"]


def test_within_hides_what_is_far(app, capsys):
    order(app, "ZG-1", "2027-03-20")
    assert verb(app, "due", "--within", "5") == 0
    assert "0 open" in capsys.readouterr().err
    with pytest.raises(AgentError, match="no target named"):
        verb(app, "due", "--target", "nowhere")


def test_orders_are_entered_once_and_listed_with_their_standing(app, capsys):
    order(app, "ZG-1", "2027-03-05", "--check", "LIN-*", "--cve", "cve-2024-3094", "--notice", "notice.pdf")
    with pytest.raises(AgentError, match="stands at"):
        order(app, "ZG-1", "2027-03-06")
    with pytest.raises(AgentError, match=r"n\.pdf is not there"):
        order(app, "ZG-2", "2027-03-06", "--notice", "n.pdf")
    capsys.readouterr()
    verb(app, "orders", "list")
    assert "3 days left" in capsys.readouterr().out
    verb(app, "orders", "list", "--json")
    (row,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (row["number"], row["cves"], row["standing"]) == ("ZG-1", ["CVE-2024-3094"], "3 days left")


def test_a_settled_order_leaves_the_list(app, capsys):
    order(app, "ZG-1", "2027-02-25")
    file = app.root / "orders.yaml"
    text = file.read_text("utf-8")
    file.write_text(text.replace("number:", "settled: 2027-02-24, settled_by: 钱七, number:"), "utf-8")
    assert verb(app, "due") == 0
    capsys.readouterr()
    verb(app, "orders", "list")
    assert "settled 2027-02-24" in capsys.readouterr().out


def test_passwords_that_are_due_are_named_with_what_to_do(app, capsys):
    accounts = "schema_version: 1\naccounts:\n- {user: ops, on: [web-01]}\n- {user: admin, on: [VPN], kind: manual}\n"
    (app.root / "inventory" / "accounts.yaml").write_text(accounts, encoding="utf-8")
    verb(app, "vault", "init")
    capsys.readouterr()
    assert verb(app, "due") == 1
    said = capsys.readouterr().out
    assert "password ops@web-01: 未纳入; agent password rotate --due" in said
    assert "agent password manual 'admin@VPN'" in said
    assert verb(app, "due", "--json", "--target", "web-01") == 1
    assert [json.loads(line)["ref"] for line in capsys.readouterr().out.splitlines()] == ["ops@web-01"]
    app.vault.promote_all(
        list(app.vault.pend([New(name, "", generate()) for name in ("ops@web-01", "admin@VPN")]).values())
    )
    assert verb(app, "due") == 0
