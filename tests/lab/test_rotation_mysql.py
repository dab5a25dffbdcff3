"""MySQL from Debian's unstable suite, on this machine's loopback: two passwords until the new one is proven.

Its root is built anew (200 MB from this machine's own package mirror), so it is for `make campaign` alone.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time

import pytest
from rotationplace import Killed, Place, killer

from agent.flows import ways
from agent.flows.logins import by_sql
from agent.flows.passwords import chosen
from agent.flows.rotation import Ended, rotate
from agent.lab.run import run
from agent.lab.sources import machine_sources
from agent.model.session import Result
from agent.vault.drivers import Login
from agent.vault.vault import CURRENT, PENDING

pytestmark = [pytest.mark.lab, pytest.mark.campaign]

PORT = 33306
FIRST = "First-0a.Bc1d2E3f4G5h6"
SERVE = """mount -t proc proc {root}/proc && exec chroot {root} mysqld --user=mysql --datadir=/var/lib/rot --port={port}
--bind-address=127.0.0.1 --mysqlx=OFF --socket=/run/mysqld/mysqld.sock --pid-file=/run/mysqld/mysqld.pid --log-bin
--general-log=1 --slow-query-log=1 --long-query-time=0 --log-output=FILE,TABLE --innodb-buffer-pool-size=32M
--log-error=/var/lib/rot/error.log --performance-schema-consumer-events-statements-history-long=ON""".replace("\n", " ")


class Server:
    """A root file system with a MySQL that runs in it, and the way in as root."""

    def __init__(self, folder) -> None:
        self.folder, self.root = folder, folder / "root"
        sources = machine_sources(folder / "build", "bookworm")
        text = (sources.folder / "main.list").read_text(encoding="utf-8")
        (sources.folder / "sid.list").write_text(text.replace(" bookworm ", " unstable "), encoding="utf-8")
        run(
            "mmdebstrap", "--variant=minbase", "--mode=root", "--include=mysql-server",
            f"--aptopt={sources.folder / 'acquire.conf'}", "unstable", str(self.root), str(sources.folder / "sid.list"),
        )  # fmt: skip
        run("chroot", str(self.root), "mysqld", "--initialize-insecure", "--user=mysql", "--datadir=/var/lib/rot")
        run("chroot", str(self.root), "install", "-d", "-o", "mysql", "/run/mysqld")
        self.process = subprocess.Popen(
            ["unshare", "-m", "sh", "-c", SERVE.format(root=self.root, port=PORT)], stdin=subprocess.DEVNULL
        )
        end = time.monotonic() + 60
        while self.sql("SELECT 1;", check=False).strip() != "1":
            assert time.monotonic() < end, (self.root / "var/lib/rot/error.log").read_text(encoding="utf-8")[-2000:]
            time.sleep(0.5)

    def enter(self, *command: str, stdin: str = "") -> subprocess.CompletedProcess[bytes]:
        words = ["nsenter", "-t", str(self.process.pid), "-m", "chroot", str(self.root), *command]
        return subprocess.run(words, input=stdin.encode(), capture_output=True, check=False, timeout=120)

    def sql(self, statement: str, *, check: bool = True) -> str:
        done = self.enter("mysql", "-u", "root", "-N", "--raw", stdin=statement)
        assert not check or done.returncode == 0, done.stderr
        return done.stdout.decode()

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(60)
        shutil.rmtree(self.root)

    # --- as a session ----------------------------------------------------------------------------------------------

    def run(self, command) -> Result:
        done = self.enter("sh", stdin=command.script)
        return Result(done.returncode, done.stdout, done.stderr, 0.0)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    assert os.geteuid() == 0, "it mounts and changes its root: run it as root"
    made = Server(tmp_path_factory.mktemp("mysql"))
    yield made
    made.close()


@pytest.fixture
def place(server, tmp_path, monkeypatch):
    made = Place(tmp_path, monkeypatch)
    (made.root / "inventory" / "databases.yaml").write_text(
        "schema_version: 1\ndatabases:\n- {name: my-01, engine: mysql, host: here-01, address: 127.0.0.1, "
        f"port: {PORT}, user: scan, dbname: mysql, owner: 张三}}\n",
        encoding="utf-8",
    )
    (made.root / "inventory" / "accounts.yaml").write_text(
        "schema_version: 1\naccounts:\n- {user: app, on: [my-01]}\n- {user: nobody, on: [my-01]}\n", encoding="utf-8"
    )
    made.again()
    server.sql(f"DROP USER IF EXISTS app@'%'; CREATE USER app@'%' IDENTIFIED BY '{FIRST}';")

    @contextlib.contextmanager
    def fresh(*_):
        yield server

    monkeypatch.setattr(ways, "fresh", fresh)
    yield made
    made.app.close()


def secret_of(place, state):
    return next(place.app.vault.reveal(row) for row in place.rows("app@my-01") if row.state == state)


def test_the_old_one_works_until_the_new_one_is_proven(place, server):
    [account] = chosen(place.app, ["app@my-01"])
    assert place.rotate("app@my-01")["app@my-01"].ended is Ended.ROTATED
    old = secret_of(place, CURRENT)
    seen = {}

    def watch(event):
        if event.step in {"prove", "finished"}:
            seen[event.step] = by_sql(place.app, account, old)[0]

    [done] = rotate(place.app, [account], watch, reason="test")
    assert (done.ended, done.why) == (Ended.ROTATED, "")
    assert seen == {"prove": Login.IN, "finished": Login.REJECTED}
    assert by_sql(place.app, account, secret_of(place, CURRENT))[0] is Login.IN
    row = server.sql("SELECT plugin, User_attributes, password_lifetime FROM mysql.user WHERE User='app';")
    assert row.split() == ["caching_sha2_password", "NULL", "30"]  # no additional_password


def test_a_kill_in_between_loses_neither(place):
    [account] = chosen(place.app, ["app@my-01"])
    place.rotate("app@my-01")
    old = secret_of(place, CURRENT)
    with pytest.raises(Killed):
        rotate(place.app, [account], killer("changed"), reason="test")
    place.again()
    assert by_sql(place.app, account, old)[0] is Login.IN
    new = secret_of(place, PENDING)
    assert by_sql(place.app, account, new)[0] is Login.IN
    assert place.rotate("app@my-01", settle_only=True)["app@my-01"].ended is Ended.ROTATED
    assert secret_of(place, CURRENT).reveal() == new.reveal()
    assert by_sql(place.app, account, old)[0] is Login.REJECTED


def test_nothing_is_in_clear_in_what_the_server_writes(place, server):
    for _ in range(2):
        place.rotate("app@my-01")
    needles = [place.app.vault.reveal(row).reveal() for row in place.rows("app@my-01")]
    assert len(needles) == 2
    history = server.sql("SELECT SQL_TEXT FROM performance_schema.events_statements_history_long;")
    assert "ALTER USER" in history
    places = {"history": history}
    server.sql("FLUSH LOGS;")
    for folder in ("var/lib/rot", "var/log", "tmp", "root"):
        for path in (server.root / folder).rglob("*"):
            if path.is_file():
                places[str(path)] = path.read_bytes().decode("latin-1")
    assert not {name for name, text in places.items() if any(needle in text for needle in needles)}
    logs = [text for name, text in places.items() if "ALTER USER" in text and name != "history"]
    assert logs  # the binlog at the least: the search reads what was written


def test_an_account_that_is_not_there_is_refused_with_a_word(place):
    done = place.rotate("nobody@my-01")["nobody@my-01"]
    assert done.ended is Ended.KEPT
    assert "no such account" in done.why
