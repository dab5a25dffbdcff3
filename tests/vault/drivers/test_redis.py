"""Redis: its file and its running server get the same, or neither; nothing else of the file changes."""

from __future__ import annotations

import json

import pytest
from driverbench import CONF, Bench

from agent.model.account import Way
from agent.model.frames import Answer
from agent.model.secret import Secret
from agent.vault.drivers import Login
from agent.vault.drivers.redis import sha256

NEW = "New.2-aB3cD4eF5gH6iJ7k"


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path, "redis")


def conf(bench):
    return (bench.root / "redis.conf").read_text()


def change(bench, user, text=NEW, **more):
    return bench.run(bench.driver.change(bench.change(user, text, **more)))


def which(bench, user, *texts):
    return bench.run(bench.driver.which(bench.change(user), [Secret(text) for text in texts])).text.strip()


def test_requirepass_is_changed_in_one_line_and_in_the_server(bench):
    (bench.root / "redis.conf").chmod(0o640)
    assert change(bench, "default").rc == 0
    assert conf(bench) == CONF.replace("first-1", NEW)
    assert (bench.root / "redis.conf").stat().st_mode & 0o777 == 0o640
    assert bench.server()["users"]["default"] == sha256(Secret(NEW))
    assert which(bench, "default", "first-1", NEW) == "1"
    assert change(bench, "default").rc == 0  # twice does no harm
    assert [path.name for path in bench.root.iterdir() if path.name.startswith(".secops")] == []


def test_an_acl_user_keeps_its_rules_and_the_server_never_sees_the_text(bench):
    assert change(bench, "app").rc == 0
    assert conf(bench) == CONF.replace("on >a-1 ~app:* +@read", f"on ~app:* +@read #{sha256(Secret(NEW))}")
    words = [word for line in bench.server()["seen"] for word in line]
    assert "#" + sha256(Secret(NEW)) in words
    assert NEW not in words
    assert which(bench, "app", "a-1", NEW, "x") == "1"


@pytest.mark.parametrize(("user", "command"), [("default", "CONFIG SET"), ("app", "ACL SETUSER")])
def test_a_server_that_refuses_leaves_its_file_as_it_was(bench, user, command):
    bench.fault(command, "ERR no")
    answer = change(bench, user)
    assert (answer.rc, conf(bench)) == (4, CONF)
    assert "refused" in answer.errors
    assert NEW not in answer.errors + answer.text


def test_a_file_that_cannot_be_written_leaves_the_server_as_it_was(bench):
    fails = "splice_put() { return 1; }\n"
    answer = bench.run(fails + bench.driver.change(bench.change("default", NEW)))
    assert (answer.rc, conf(bench)) == (4, CONF)
    assert "cannot be written" in answer.errors
    assert bench.server()["users"] == bench.redis["users"]


def test_a_kill_between_the_file_and_the_server_is_told_as_neither(bench):
    dies = "rp_pass() { kill -9 $$; }\n"
    answer = bench.run(dies + bench.driver.change(bench.change("default", NEW)))
    assert answer.rc == -9
    assert NEW in conf(bench)
    # the file's no longer lets root in: the vault's does
    keys = (("default", Secret(NEW)), ("default", Secret("first-1")))
    account = bench.change("default", "Next-3").account
    again = type(bench.change("x"))(account, Secret("Next-3"), admins=keys)
    script = bench.driver.which(again, [Secret("first-1"), Secret(NEW)])
    assert bench.run(script).text.strip() == "none"
    assert bench.run(bench.driver.change(again)).rc == 0
    assert which(bench, "default", "Next-3") == "0"


def test_one_without_a_password_gets_one_only_where_that_is_meant(bench):
    text = CONF.replace("requirepass first-1\n", "").rstrip("\n")
    (bench.root / "redis.conf").write_text(text)
    state = bench.server()
    bench.state.write_text(json.dumps(state | {"users": {"default": None}}))
    answer = change(bench, "default")
    assert (answer.rc, conf(bench)) == (4, text)
    assert "initial: true" in answer.errors
    assert which(bench, "default", NEW) == "none"
    assert change(bench, "default", initial=True).rc == 0
    assert conf(bench) == f"{text}\nrequirepass {NEW}\n"


def test_one_that_replicas_log_in_with_wants_a_plan(bench):
    state = bench.server() | {"clients": "id=3 addr=192.0.2.1:5 flags=S user=default cmd=psync"}
    bench.state.write_text(json.dumps(state))
    answer = change(bench, "default")
    assert (answer.rc, conf(bench)) == (4, CONF)
    assert "replicas" in answer.errors
    assert change(bench, "app").rc == 0
    assert change(bench, "default", plan="both at once").rc == 0


def test_a_user_that_no_file_has_is_left(bench):
    state = bench.server()
    state["users"]["memory"] = "0" * 64
    bench.state.write_text(json.dumps(state))
    answer = change(bench, "memory")
    assert (answer.rc, conf(bench)) == (4, CONF)
    assert "ACL SAVE" in answer.errors


def test_odd_characters_come_back_as_they_were(bench):
    odd = "a\"b\\c'd$e`f #g"
    assert change(bench, "default", odd).rc == 0
    assert which(bench, "default", odd, NEW) == "0"
    assert change(bench, "default").rc == 0  # root reads it back to get in


def test_its_sessions_without_our_own(bench):
    clients = "\n".join(
        f"id={number} addr=192.0.2.{number}:99 age=5 user={user} cmd=get"
        for number, user in ((7, "app"), (8, "app"), (9, "x"))
    )
    bench.state.write_text(json.dumps(bench.server() | {"clients": clients}))
    answer = bench.run(bench.driver.sessions(bench.change("app")))
    [line] = answer.text.splitlines()
    assert (line.split("\t")[0], line.split("\t")[2]) == ("192.0.2.8", "get")


def test_a_lock_is_kept_by_the_file(bench):
    assert bench.run(bench.driver.lock(bench.change("app"))).rc == 0
    assert "user app off >a-1 ~app:* +@read\n" in conf(bench)
    assert bench.run(bench.driver.lock(bench.change("default"))).rc == 0
    assert conf(bench).endswith("user default off\n")


@pytest.mark.parametrize(
    ("said", "ended"),
    [
        ("OK", Login.IN),
        ("WRONGPASS invalid username-password pair or user is disabled.", Login.REJECTED),
        ("ERR invalid password", Login.REJECTED),
        ("ERR AUTH <password> called without any password configured for the default user.", Login.REJECTED),
        ("Could not connect to Redis at 127.0.0.1:6379: Connection refused", Login.BARRED),
    ],
)
def test_how_a_login_ended(bench, said, ended):
    assert bench.driver.logged_in(Answer(0, said + "\n", "")) is ended


def test_a_login_is_one_with_the_secret(bench):
    right, wrong = (
        bench.driver.logged_in(bench.run(bench.driver.login(bench.change("app", text), Way.SERVICE)))
        for text in ("a-1", "x")
    )
    assert (right, wrong) == (Login.IN, Login.REJECTED)
