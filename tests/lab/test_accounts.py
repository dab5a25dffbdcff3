"""Accounts of a whole round: what is planted is found, what is right is not."""

import json

import pytest


@pytest.fixture(scope="module")
def wrong(main):
    done = main.run("accounts", "reconcile", "--json")
    assert done.returncode in {1, 3}, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return {(row["target"], row["name"]): {flaw["flaw"] for flaw in row["flaws"]} for row in rows}


@pytest.mark.parametrize(
    ("account", "flaws"),
    [
        (("node-01", "toor"), {"shared", "privileged"}),
        (("node-01", "guest9"), {"unknown", "open"}),
        (("node-01", "oldmd5"), {"unknown"}),
        (("maria-01", "@localhost"), {"unknown", "default", "open"}),
        (("maria-01", "root@%"), {"unknown", "default", "privileged"}),
        (("maria-01", "app@%"), {"privileged"}),
        (("pg-net", "report"), {"privileged"}),
    ],
)
def test_what_is_planted_is_found(wrong, account, flaws):
    assert flaws <= wrong[account], wrong[account]


@pytest.mark.parametrize(
    "account",
    [("node-02", "operator1"), ("node-02", "ops"), ("node-02", "root"), ("pg-local", "scan"), ("pg-local", "postgres")],
)
def test_what_is_right_is_left_in_peace(wrong, account):
    assert account not in wrong


def test_the_list_names_ways_rights_and_people(main):
    done = main.run("accounts", "list", "--target", "node-02", "--json")
    rows = {row["name"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert rows["ops"]["ways"][-1] == "key"
    assert rows["ops"]["rights"]
    assert rows["ops"]["people"] == ["王五（虚构）"]
    assert rows["ops"]["keys"][0].startswith("SHA256:")
    assert rows["operator1"]["people"] == ["李四（虚构）"]
    assert "daemon" not in rows
    table = main.run("accounts", "list", "--target", "node-02").stdout
    assert "operator1" in table
    assert "$y$" not in table + done.stdout
