"""SQL sessions: a real PostgreSQL where it is installed, and servers that misbehave for both drivers."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest

from agent.model.asset import Database
from agent.model.errors import AgentError, ToolError, UnreachedError
from agent.session import sql

INITDB = next((str(file) for file in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)), None)


def fails(call, reason: str) -> UnreachedError:
    with pytest.raises(UnreachedError) as caught:
        call()
    assert caught.value.reason == reason, caught.value
    return caught.value


@pytest.fixture(scope="module")
def server():
    """A PostgreSQL of our own on a loopback port; password `s3cret`."""
    if INITDB is None:
        pytest.skip("no PostgreSQL server on this machine; the lab has one")
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # not below pytest's folder, which other users may not enter
    user = None
    if os.geteuid() == 0:  # which PostgreSQL refuses to run as
        user = "postgres" if any(entry.pw_name == "postgres" for entry in pwd.getpwall()) else "nobody"
        folder.chmod(0o755)
        shutil.chown(folder, user)
    (folder / "password").write_text("s3cret\n")
    (folder / "password").chmod(0o644)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    data = folder / "data"
    run = {"user": user, "cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(
        [INITDB, "-D", data, "-U", "scan", "-A", "scram-sha-256", f"--pwfile={folder / 'password'}", "-N"],
        check=True,
        **run,
    )
    options = ["-h", "127.0.0.1", "-p", str(port), "-k", str(folder), "-c", "fsync=off"]
    process = subprocess.Popen([Path(INITDB).with_name("postgres"), "-D", data, *options], **run)
    database = Database("pg", "postgresql", "h", address="127.0.0.1", port=port, user="scan")
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            opened(database).close()
            break
        except UnreachedError:
            time.sleep(0.1)
    yield database
    process.terminate()
    process.wait(10)
    shutil.rmtree(folder)


def opened(database: Database, password: str = "s3cret", seconds: float = 5) -> sql.Sql:
    from agent.model.secret import Secret  # noqa: PLC0415 - here alone
    from agent.session.deadline import Deadline  # noqa: PLC0415 - here alone

    return sql.connect(database, database.address, database.port, Secret(password), Deadline(seconds))


def test_rows_come_back_as_the_server_says(server):
    with opened(server) as session:
        rows = session.query("select 1, 'β', null, true, E'\\\\x00ff'::bytea union all select 2, '', 'x', false, ''")
    assert [row[:4] for row in rows] == [(1, "β", None, True), (2, "", "x", False)]


def test_a_session_cannot_write(server):
    with opened(server) as session:
        for statement in ("create table t (a int)", "alter role scan password 'x'", "create role other"):
            with pytest.raises(ToolError, match="25006"):
                session.query(statement)
        assert session.query("select 1") == [(1,)]


def test_a_wrong_statement_is_an_error_never_an_empty_list(server):
    with opened(server) as session:
        with pytest.raises(ToolError, match="42P01") as caught:
            session.query("select * from nothing")
        assert caught.value.where == "pg"
        assert session.query("select 1 where false") == []


def test_a_slow_statement_is_ended(server, monkeypatch):
    monkeypatch.setattr(sql, "QUERY_SECONDS", 0.5)
    with opened(server) as session:
        began = time.monotonic()
        with pytest.raises(AgentError):
            session.query("select pg_sleep(30)")
        assert time.monotonic() - began < 3


def test_a_connection_that_the_server_ends_is_broken_off(server):
    with opened(server) as session:
        fails(lambda: session.query("select pg_terminate_backend(pg_backend_pid())"), "broken-off")
        fails(lambda: session.query("select 1"), "broken-off")


def test_wrong_password_wrong_database_and_tls(server):
    fails(lambda: opened(server, "wrong"), "auth-failed")
    fails(lambda: opened(replace(server, tls="require")), "no-common-algorithms")
    error = fails(lambda: opened(replace(server, dbname="none")), "refused")
    assert "none" in error.message


@pytest.mark.parametrize("engine", ["postgresql", "mariadb"])
def test_nobody_listens(free_port, engine):
    fails(lambda: opened(Database("db", engine, "h", address="127.0.0.1", port=free_port)), "refused")


@pytest.mark.parametrize("engine", ["postgresql", "mysql"])
def test_a_silent_server_ends_at_the_deadline(misbehaving, engine):
    host = misbehaving(lambda _: time.sleep(8))
    began = time.monotonic()
    fails(lambda: opened(Database("db", engine, "h", address="127.0.0.1", port=host.port), seconds=2), "timeout")
    assert time.monotonic() - began < 4


def test_a_drip_does_not_extend_the_deadline_of_mysql(misbehaving):
    def drip(peer: socket.socket) -> None:
        for byte in b"\xff\x00\x00\x00" + b"a" * 100:
            peer.sendall(bytes([byte]))
            time.sleep(0.1)

    host = misbehaving(drip)
    began = time.monotonic()
    fails(lambda: opened(Database("db", "mysql", "h", address="127.0.0.1", port=host.port), seconds=1), "timeout")
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("engine", ["postgresql", "mysql"])
def test_a_server_that_hangs_up(misbehaving, engine):
    host = misbehaving(lambda peer: peer.recv(1) if engine == "postgresql" else None)
    database = Database("db", engine, "h", address="127.0.0.1", port=host.port, tls="disable")
    fails(lambda: opened(database), "broken-off")


def test_an_engine_that_is_not_there_yet():
    fails(lambda: opened(Database("db", "dm8", "h", address="127.0.0.1")), "unsupported")


def test_a_tunnel_reaches_what_listens_on_the_target_s_loopback(server, sshd, workspace):
    inner = replace(server, host="target", address="", tunnel=True)
    text = "databases: {pg: {password: s3cret}}"
    sessions = workspace(
        sshd.host, key=sshd.folder / "user", pins=[(sshd.host, sshd.key)], text=text, databases=[inner]
    )
    with sessions.open_sql(inner, 10) as session:
        assert session.query("select count(*) from generate_series(1, 1000)") == [(1000,)]
        assert len(session.query("select repeat('x', 1000) from generate_series(1, 5000)")) == 5000
    error = fails(lambda: sessions.open_sql(replace(inner, port=1), 10), "refused")
    assert error.where == "pg"
