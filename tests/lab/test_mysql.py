"""MySQL as it is in Debian's unstable suite: rotation with two passwords, against a real server in a box of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rotationplace import HOSTS

from agent.app import App
from agent.declared.workspace import make_workspace
from agent.flows.logins import by_sql
from agent.flows.passwords import chosen
from agent.flows.rotation import Ended, rotate
from agent.lab.run import run
from agent.lab.sources import one_line_sources
from agent.model.secret import Secret
from agent.session.local import LocalConnection, LocalStream
from agent.vault import opening, slots
from agent.vault.drivers import Login
from agent.vault.generate import PLAIN, generate

pytestmark = pytest.mark.campaign
START = r"""
mount --make-rprivate /; mount -t proc proc "$1/proc"; mount -t tmpfs tmpfs "$1/run"; mkdir -p "$1/run/mysqld"
chroot "$1" sh -c 'rm -rf /var/lib/mysql/*; chown mysql: /run/mysqld /var/lib/mysql; mysqld --initialize-insecure'
exec chroot "$1" mysqld --user=mysql --port="$2" --bind-address=127.0.0.1 --mysqlx=OFF \
  --socket=/run/mysqld/mysqld.sock --general-log=ON --slow-query-log=ON --long-query-time=0 --log-bin=binlog
"""
ACCOUNTS = """schema_version: 1
accounts:
- {user: app, on: [my-01]}
- {user: batch, on: [my-01]}
"""
APP = "app@my-01"


class Server:
    """A MySQL server that runs; everything of it ends with its process."""

    def __init__(self, root: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.root = root
        self.log = (root / "start.log").open("w")
        command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", START, "sh", str(root)]
        self.process = subprocess.Popen([*command, str(self.port)], stdout=self.log, stderr=self.log)
        until = time.monotonic() + 120
        while not self._answers():
            assert time.monotonic() < until, (root / "start.log").read_text()
            assert self.process.poll() is None, (root / "start.log").read_text()
            time.sleep(0.3)

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    @property
    def words(self) -> list[str]:
        """What to put before a command that is to run beside the server."""
        pid = self.process.pid
        inner = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0]
        return ["nsenter", "-t", inner, "-m", "-p", "-r", "-w", "--"]

    def sql(self, text: str) -> str:
        return run(*self.words, "mysql", "-N", "-u", "root", stdin=text)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        self.log.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Built anew each time."""
    folder = tmp_path_factory.mktemp("mysql")
    main = [line for line in one_line_sources(Path("/etc/apt")) if " bookworm " in line]
    (folder / "sid.list").write_text(main[0].replace(" bookworm ", " sid ") + "\n")
    held = [line for line in run("apt-config", "dump").splitlines() if line.startswith("Acquire::")]
    # a mirror that stands still serves a release file whose time is over
    (folder / "apt.conf").write_text("\n".join(['Acquire::Check-Valid-Until "false";', *held]) + "\n")
    run(
        "mmdebstrap", "--variant=minbase", "--mode=root", f"--aptopt={folder / 'apt.conf'}", "--include=mysql-server",
        "sid", str(folder / "root"), str(folder / "sid.list"),
    )  # fmt: skip
    made = Server(folder / "root")
    yield made
    made.stop()
    shutil.rmtree(folder / "root", ignore_errors=True)


class Rotation:
    """A workspace whose one database is that server."""

    def __init__(self, root: Path, server: Server) -> None:
        make_workspace(root)
        database = (
            f"schema_version: 1\ndatabases:\n- {{name: my-01, engine: mysql, host: here-01, address: 127.0.0.1, "
            f"port: {server.port}, user: scan, owner: 张三, zone: dmz}}\n"
        )
        for name, text in (("hosts", HOSTS), ("databases", database), ("accounts", ACCOUNTS)):
            (root / "inventory" / f"{name}.yaml").write_text(text, encoding="utf-8")
        self.app = App(root, clock=lambda: datetime.now(UTC))
        made = [slots.with_key("file", slots.KEYFILE, slots.public_of(slots.new_private()))]
        self.app.vault = opening.create(self.app.store, self.app.ledger, made, ["dmz"], self.app.clock)

    def rotate(self, *names: str, **more):
        accounts = chosen(self.app, names or ("my-01",))
        return {one.account: one for one in rotate(self.app, accounts, reason="test", **more)}

    def lets_in(self, name: str, secret: Secret) -> Login:
        [account] = chosen(self.app, [name])
        return by_sql(self.app, account, secret)[0]

    def states(self, name: str) -> list[str]:
        return [row.state for row in self.app.vault.versions([name]).get(name, [])]

    def texts(self) -> list[str]:
        return [self.app.vault.reveal(row).reveal() for rows in self.app.vault.versions().values() for row in rows
                if row.kind == "password"]  # fmt: skip


@pytest.fixture
def rotation(server, tmp_path, monkeypatch):
    monkeypatch.setenv("AGENT_KEYS", str(tmp_path / "keys"))
    words = " ".join(server.words)
    monkeypatch.setattr(LocalConnection, "start", lambda _self, line, _clock: LocalStream(f"{words} {line}"))
    first = generate(PLAIN)
    for one in ("app", "batch"):
        server.sql(
            f"SET sql_log_bin=0; SET sql_log_off=1; DROP USER IF EXISTS {one};"
            f"CREATE USER {one} IDENTIFIED BY '{first.reveal()}';"
        )
    made = Rotation(tmp_path / "w", server)
    made.first = first
    yield made
    made.app.close()


def test_both_are_rotated_and_proven(rotation, server):
    assert int(server.sql("SELECT VERSION();").split(".")[0]) >= 9, "older ones may do as well, and were not run"
    done = rotation.rotate()
    assert {one.ended for one in done.values()} == {Ended.ROTATED}, done
    assert rotation.lets_in(APP, rotation.app.vault.current(APP)) is Login.IN
    assert rotation.lets_in(APP, rotation.first) is Login.REJECTED
    said = server.sql("SELECT User_attributes, password_lifetime, plugin FROM mysql.user WHERE User='app';")
    assert "additional_password" not in said
    assert said.split()[1:] == ["30", "caching_sha2_password"]


class KilledError(Exception):
    """The agent, at this moment."""


def test_the_old_one_works_until_the_new_one_is_proven(rotation):
    def watch(event):
        if event.step == "changed":
            raise KilledError

    with pytest.raises(KilledError):
        rotation.rotate(APP, watch=watch)
    assert rotation.states(APP) == ["pending"]
    assert rotation.lets_in(APP, rotation.first) is Login.IN
    done = rotation.rotate(APP, settle_only=True)
    assert done[APP].ended is Ended.ROTATED
    assert rotation.states(APP) == ["current"]
    assert rotation.lets_in(APP, rotation.first) is Login.REJECTED


def test_a_change_done_twice_keeps_the_old_one_beside_it(rotation):
    """A kill before the answer: the next run may do it again, and programs still have the first."""

    def watch(event):
        if event.step == "changed":
            raise KilledError

    assert rotation.rotate(APP)[APP].ended is Ended.ROTATED
    before = rotation.app.vault.current(APP)
    with pytest.raises(KilledError):
        rotation.rotate(APP, watch=watch)
    assert rotation.lets_in(APP, before) is Login.IN
    assert rotation.rotate(APP)[APP].ended is Ended.ROTATED
    assert rotation.lets_in(APP, before) is Login.REJECTED


def test_an_unknown_account_is_refused(rotation, server):
    server.sql("DROP USER batch;")
    done = rotation.rotate("batch@my-01")["batch@my-01"]
    assert done.ended is Ended.KEPT
    assert "no such account" in done.why


def test_a_server_that_is_down_changes_nothing(rotation, server):
    pid = server.words[2]
    os.kill(int(pid), 19)  # SIGSTOP: it listens and says nothing
    try:
        done = rotation.rotate(APP)[APP]
    finally:
        os.kill(int(pid), 18)
    assert done.ended in {Ended.KEPT, Ended.OPEN, Ended.UNREACHED}
    assert rotation.lets_in(APP, rotation.first) is Login.IN
    assert rotation.rotate(APP)[APP].ended is Ended.ROTATED


def test_no_text_is_in_any_log(rotation, server):
    rotation.rotate()
    rotation.rotate()
    server.sql("FLUSH LOGS;")
    texts = rotation.texts()
    assert len(texts) == 4
    files = [path for path in (server.root / "var" / "lib" / "mysql").rglob("*") if path.is_file()]
    kept = {path: path.read_bytes() for path in files}
    assert any(b"ALTER USER" in data for path, data in kept.items() if path.suffix == ".log")
    assert [str(path) for path, data in kept.items() for text in texts if text.encode() in data] == []
