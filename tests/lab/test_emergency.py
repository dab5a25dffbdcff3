"""A leak, on real hosts: live sessions of the account, a host that is down, an account that cannot be changed."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import replace

import psycopg
import pymysql
import pytest
import yaml
from workspaces import Workspace

from agent.flows.logins import Candidate
from agent.flows.passwords import chosen
from agent.model.errors import UnreachedError
from agent.model.secret import Secret
from agent.model.session import Command
from agent.vault.vault import CURRENT

ACCOUNTS = """schema_version: 1
accounts:
- {user: leak, on: [node-03, node-04], initial: true, person: 李四（虚构）}
- {user: keyonly, on: [node-03], person: 李四（虚构）}
- {user: leak, on: [maria-01, pg-net], person: 李四（虚构）}
- {user: admin, on: [VPN 网关（虚构）], kind: manual, person: 李四（虚构）}
"""
PSQL = ("runuser", "-u", "postgres", "--", "psql", "-qXAt")


@pytest.fixture(scope="module")
def workspace(lab, tmp_path_factory):
    made = Workspace(tmp_path_factory.mktemp("leak") / "w", lab.workspace)
    (made.folder / "inventory" / "accounts.yaml").write_text(ACCOUNTS, encoding="utf-8")
    for host in ("node-03", "node-04"):
        lab.enter(host, "useradd", "-m", "-s", "/bin/bash", "leak")
    lab.enter("node-03", "useradd", "-m", "keyonly")
    lab.enter("db-01", "mariadb", stdin="CREATE OR REPLACE USER leak@'%' IDENTIFIED BY 'first';")
    lab.enter("db-02", *PSQL, stdin="DROP ROLE IF EXISTS leak; CREATE ROLE leak LOGIN PASSWORD 'first';")
    assert made.run("vault", "init").returncode == 0
    done = made.run("password", "rotate", "--all", "--json")
    assert '"kept"' in done.stdout, done.stdout + done.stderr  # keyonly has no password, and gets none
    yield made
    lab.enter("node-04", "systemctl", "start", "ssh")
    for host in ("node-03", "node-04"):
        lab.enter(host, "userdel", "-r", "-f", "leak")
    lab.enter("node-03", "userdel", "-r", "-f", "keyonly")
    lab.enter("db-01", "mariadb", stdin="DROP USER leak@'%';")
    lab.enter("db-02", *PSQL, stdin="DROP ROLE leak;")


def current(workspace, name: str) -> str:
    app = workspace.app()
    try:
        row = next(row for row in app.vault.versions([name])[name] if row.state == CURRENT)
        return app.vault.reveal(row).reveal()
    finally:
        app.close()


@contextlib.contextmanager
def live(workspace):
    """Three sessions of whoever knows the password: SSH, MariaDB, PostgreSQL; what each of them said at its end."""
    app = workspace.app()
    said: dict[str, str] = {}
    account = chosen(app, ["leak@node-03"])[0]
    host = app.inventory.host("node-03")
    candidate = Candidate("leak", "node-03", Secret(current(workspace, account.id)), app.credentials)
    sessions = app.new_sessions(candidate)

    def shell() -> None:
        try:
            with sessions.open(replace(host, user="leak", auth="password"), 20) as session:
                said["ssh"] = str(session.run(Command("sleep 300", deadline=320)).rc)
        except UnreachedError as error:
            said["ssh"] = error.reason

    thread = threading.Thread(target=shell)
    thread.start()
    maria = pymysql.connect(host="10.66.0.21", user="leak", password=current(workspace, "leak@maria-01"))
    postgres = psycopg.connect(
        host="10.66.0.22", user="leak", password=current(workspace, "leak@pg-net"), dbname="warnings"
    )
    time.sleep(2)
    try:
        yield said, maria, postgres
    finally:
        thread.join(30)
        sessions.close()
        app.close()
        with contextlib.suppress(Exception):
            maria.close()
        postgres.close()


def test_a_leak_from_the_first_minute_to_the_last(workspace, lab):
    old = {name: current(workspace, name) for name in ("leak@node-03", "leak@maria-01", "leak@pg-net")}
    lab.enter("node-04", "systemctl", "stop", "ssh.socket", "ssh.service")
    with live(workspace) as (said, maria, postgres):
        done = workspace.run(
            "password",
            "emergency",
            "--person",
            "李四（虚构）",
            "--reason",
            "笔记本遗失（虚构）",
            "--lock",
            "--end-sessions",
        )
        assert done.returncode == 3, done.stdout + done.stderr
        with pytest.raises(pymysql.err.Error):
            maria.query("SELECT 1")
        with pytest.raises(psycopg.Error):
            postgres.execute("SELECT 1")
    assert said["ssh"] == "broken-off"
    file = next((workspace.folder / "incidents").glob("INC-*.yaml"))
    record = yaml.safe_load(file.read_text(encoding="utf-8"))
    by_account = {one["account"]: one for one in record["measures"]}
    assert {name: one["ended"] for name, one in by_account.items()} == {
        "leak@node-03": "rotated",
        "leak@node-04": "unreached",
        "keyonly@node-03": "kept",
        "leak@maria-01": "rotated",
        "leak@pg-net": "rotated",
        "admin@VPN 网关（虚构）": "manual",
    }
    for name in old:
        assert by_account[name]["sessions"], name
        assert not by_account[name]["left"], name
    assert any("10.66.0.1" in line for line in by_account["leak@maria-01"]["sessions"])
    assert by_account["keyonly@node-03"]["locked"]
    assert "L" in lab.enter("node-03", "passwd", "-S", "keyonly").split()[1]
    assert [line.split()[0] for line in record["tell"]] == ["project-manager", "technical-lead", "customer"]
    assert not [text for text in old.values() if text in file.read_text(encoding="utf-8")]
    with pytest.raises(pymysql.err.OperationalError):
        pymysql.connect(host="10.66.0.21", user="leak", password=old["leak@maria-01"])
    # an hour later the host is back
    lab.enter("node-04", "systemctl", "start", "ssh")
    done = workspace.run("password", "emergency", "--incident", record["id"])
    assert done.returncode == 1, done.stdout + done.stderr  # the VPN is a person's to change
    record = yaml.safe_load(file.read_text(encoding="utf-8"))
    by_account = {one["account"]: one for one in record["measures"]}
    assert by_account["leak@node-04"]["ended"] == "rotated"
    assert current(workspace, "leak@pg-net") != old["leak@pg-net"]
    assert workspace.run("evidence", "verify").returncode == 0
