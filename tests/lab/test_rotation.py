"""All managed accounts of the lab get new passwords; none of them stands in clear anywhere but in the vault."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from workspaces import Workspace

from agent.flows import rotation
from agent.flows.passwords import chosen
from agent.lab.machines import MACHINES
from agent.vault.vault import CURRENT

HOSTS = [machine.name for machine in MACHINES if machine.kind == "container"]
LOUD = {
    "db-01": (
        "mariadb",
        "SET GLOBAL general_log_file='/var/lib/mysql/loud.log'; SET GLOBAL general_log=1;",
        "SET GLOBAL general_log=0;",
    ),
    "db-02": ("psql", "ALTER SYSTEM SET log_statement='all'; SELECT pg_reload_conf();",
              "ALTER SYSTEM RESET log_statement; SELECT pg_reload_conf();"),
    "db-03": ("psql", "ALTER SYSTEM SET log_statement='all'; SELECT pg_reload_conf();",
              "ALTER SYSTEM RESET log_statement; SELECT pg_reload_conf();"),
}  # fmt: skip
"""Databases that write down every statement while the passwords change."""
KEPT = {
    "mariadb": "SELECT CONCAT('UPDATE mysql.global_priv SET Priv=UNHEX(''',HEX(Priv),''') WHERE User=UNHEX(''',"
    "HEX(User),''') AND Host=UNHEX(''',HEX(Host),''');') FROM mysql.global_priv; SELECT 'FLUSH PRIVILEGES;';",
    "psql": "SELECT format('UPDATE pg_authid SET rolpassword=%L, rolvaliduntil=%L WHERE rolname=%L;', rolpassword,"
    " rolvaliduntil, rolname) FROM pg_authid WHERE rolcanlogin;",
}
"""Statements that make statements: they put every account's record back as it was, whatever it was hashed by."""
LISTEN = r"""
cp -a /etc/redis/redis.conf /run/keep.conf
pw() { sed -n 's/^requirepass /AUTH /p' /etc/redis/redis.conf; }
{ pw; printf 'CONFIG SET slowlog-log-slower-than 0\nCONFIG SET slowlog-max-len 4096\nCONFIG SET appendonly yes\n'; } |
  redis-cli >/dev/null
( { pw; echo MONITOR; sleep 600; } | timeout 600 redis-cli >/run/monitored 2>&1 ) >/dev/null 2>&1 &
"""
"""Redis on cache-02 tells everything to somebody, and writes it to its append-only file, while its password changes."""
HEARD = r"""
{ sed -n 's/^requirepass /AUTH /p' /etc/redis/redis.conf; printf 'SLOWLOG GET 4096\nACL LOG 100\nBGSAVE\n'; } |
  redis-cli >/run/slow; sleep 1; wc -l </run/monitored; wc -l </run/slow; ls /var/lib/redis
"""
UNHEARD = """
cp -a /run/keep.conf /etc/redis/redis.conf; systemctl stop redis-server
rm -rf /run/keep.conf /run/monitored /run/slow /var/lib/redis/*; systemctl start redis-server; sleep 1
"""
RECORDS = {
    "cache-02": ("etc/redis/redis.conf", "default@cache-02/redis"),
    "app-01": ("etc/tomcat10/tomcat-users.xml", "tomcat@app-01/tomcat"),
}
"""What Redis and Tomcat themselves keep: a line with the text that is valid now, and no other one."""
WATCH = """
i=0; while [ -e /run/watched ] && [ $i -lt 400 ]; do i=$((i+1))
  for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline; echo; tr '\\0' '\\n' <$p/environ; done 2>/dev/null |
    sort -u - /run/watched >/run/watched.new; mv /run/watched.new /run/watched; sleep 0.3; done
"""
SEARCH = """
cd /; { cat /run/watched; journalctl -o cat --no-pager; dmesg; } 2>/dev/null | grep -aFf /run/needles >&2
grep -raFlsf /run/needles etc home root tmp run var opt srv 2>/dev/null | grep -vx run/needles; :
"""
"""Paths of files with a needle, and lines of the journal and of the process list on the error stream."""


class Accounts:
    """The lab's workspace with its vault, and what undoes the test on the hosts."""

    def __init__(self, lab, folder: Path) -> None:
        self.lab = lab
        self.workspace = Workspace(folder, lab.workspace)
        done = self.workspace.run("vault", "init")
        assert done.returncode == 0, done.stderr
        self.shadows = {name: lab.enter(name, "cat", "/etc/shadow") for name in HOSTS}
        self.said = [done.stdout, done.stderr]
        self.users = lab.enter("app-01", "cat", "/etc/tomcat10/tomcat-users.xml")
        self.rows = {host: self.sql(host, KEPT[words[0]]) for host, words in LOUD.items()}

    def sql(self, host: str, statement: str) -> str:
        client = LOUD[host][0]
        words = ["mariadb", "-rN"] if client == "mariadb" else ["runuser", "-u", "postgres", "--", "psql", "-qXAt"]
        return self.lab.enter(host, *words, stdin=statement)

    def agent(self, *words: str, code: int = 0) -> str:
        done = self.workspace.run(*words)
        self.said += [done.stdout, done.stderr]
        assert done.returncode == code, (words, done.stdout, done.stderr)
        return done.stdout

    def needles(self) -> list[str]:
        """Every password that the vault made; those that the lab set by SQL stand in their server's log."""
        app = self.workspace.app()
        try:
            found = [
                app.vault.reveal(row).reveal()
                for rows in app.vault.versions().values()
                for row in rows
                if row.sealed and row.kind == "password"
            ]
        finally:
            app.close()
        return [text for text in found if text not in self.workspace.secrets]

    def current(self, account: str) -> str:
        app = self.workspace.app()
        try:
            rows = app.vault.versions([account])[account]
            return app.vault.reveal(next(row for row in rows if row.state == CURRENT)).reveal()
        finally:
            app.close()

    def restore(self) -> None:
        self.lab.enter("cache-02", "sh", "-c", UNHEARD)
        read_again = "cat >/etc/tomcat10/tomcat-users.xml; sleep 15"  # Tomcat does so by itself, and logs it
        self.lab.enter("app-01", "sh", "-c", read_again, stdin=self.users)
        for name, text in self.shadows.items():
            self.lab.enter(name, "sh", "-c", "cat >/etc/shadow; rm -f /run/needles /run/watched", stdin=text)
        for host, statements in self.rows.items():
            self.sql(host, statements)


@pytest.fixture(scope="module")
def accounts(lab, tmp_path_factory):
    made = Accounts(lab, tmp_path_factory.mktemp("accounts") / "w")
    yield made
    made.restore()


@pytest.fixture(scope="module")
def rotated(accounts):
    """Twice over: the second time every account has a password that the vault knows."""
    for host, (_, loud, _) in LOUD.items():
        accounts.sql(host, loud)
    accounts.lab.enter("cache-02", "sh", "-c", LISTEN)
    stop = threading.Event()
    here: list[str] = []
    watchers = [threading.Thread(target=_watch_here, args=(stop, here))]
    for name in HOSTS:
        accounts.lab.enter(name, "sh", "-c", f"true >/run/watched; ({WATCH}) >/dev/null 2>&1 &")
    for one in watchers:
        one.start()
    try:
        first = [json.loads(line) for line in accounts.agent("password", "rotate", "--all", "--json").splitlines()]
        accounts.agent("password", "rotate", "--all", "--json")
    finally:
        stop.set()
        for one in watchers:
            one.join()
        for host, (_, _, quiet) in LOUD.items():
            accounts.sql(host, quiet)
    accounts.heard = accounts.lab.enter("cache-02", "sh", "-c", HEARD).split()
    accounts.here = here
    return first


def _watch_here(stop: threading.Event, seen: list[str]) -> None:
    while not stop.is_set():
        for process in Path("/proc").glob("[0-9]*"):
            for name in ("cmdline", "environ"):
                try:
                    seen.append((process / name).read_bytes().replace(b"\0", b" ").decode(errors="replace"))
                except OSError:
                    continue
        if len(seen) > 20_000:
            seen[:] = list(dict.fromkeys(seen))
        time.sleep(0.2)


def test_every_account_was_changed(accounts, rotated):
    ends = {one["account"]: (one["ended"], one["why"]) for one in rotated}
    assert len(ends) >= 50
    assert {end for end, _ in ends.values()} <= {"rotated", "unproven"}, ends
    # su is for wheel alone there, and root may not come by SSH: compared in place
    assert [name for name, (end, _) in ends.items() if end == "unproven"] == ["root@node-02"]
    states = [json.loads(line) for line in accounts.agent("password", "status", "--json", code=1).splitlines()]
    assert {one["state"] for one in states if one["kind"] != "manual"} == {"good"}
    assert "0 of them break their policy" in accounts.agent("password", "audit")
    accounts.agent("evidence", "verify")


def test_what_the_agent_itself_logs_in_with_goes_on_working(accounts, rotated):
    assert rotated
    accounts.agent("inventory", "ping")


def test_no_password_is_in_clear_on_the_workstation(accounts, rotated):
    assert rotated
    needles = accounts.needles()
    assert len(needles) > 100
    app = accounts.workspace.app()
    try:
        opened = [app.ledger.open(entry.seq).decode(errors="replace") for entry in app.ledger.entries() if entry.blob]
    finally:
        app.close()
    places = {"evidence": "\n".join(opened), "output": "\n".join(accounts.said), "processes": "\n".join(accounts.here)}
    for path in accounts.workspace.folder.parent.rglob("*"):
        if path.is_file() and path.name != "credentials.yaml":  # what the import read, as the operator wrote it
            places[str(path)] = path.read_bytes().decode("latin-1")
    found = {place for place, text in places.items() if any(needle in text for needle in needles)}
    assert not found
    assert len(places["processes"]) > 10_000


def test_no_password_is_in_clear_on_a_target(accounts, rotated):
    assert rotated
    needles = "\n".join(accounts.needles()) + "\n"

    def search(name: str) -> tuple[str, set[str], int]:
        accounts.lab.enter(name, "sh", "-c", "umask 077; cat >/run/needles", stdin=needles)
        out = accounts.lab.enter(name, "sh", "-c", f"({SEARCH}) 2>&1")
        size = int(accounts.lab.enter(name, "sh", "-c", "wc -c </run/watched"))
        accounts.lab.enter(name, "rm", "-f", "/run/needles", "/run/watched")
        return name, set(out.splitlines()), size

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(search, HOSTS))
    assert {name: found for name, found, _ in done if found} == {name: {path} for name, (path, _) in RECORDS.items()}
    for name, (path, account) in RECORDS.items():
        text = accounts.lab.enter(name, "cat", f"/{path}")
        assert [needle for needle in needles.split() if needle in text] == [accounts.current(account)]
    assert int(accounts.heard[0]) > 10
    assert int(accounts.heard[1]) > 100
    assert {"dump.rdb", "appendonlydir"} <= set(accounts.heard[2:])
    assert min(size for _, _, size in done) > 1000  # the watch did watch


def test_the_search_finds_what_is_there(accounts, rotated):
    assert rotated
    needle = accounts.needles()[0]
    accounts.lab.enter("node-03", "sh", "-c", "cat >/var/tmp/leak", stdin=f"x {needle} y")
    accounts.lab.enter("node-03", "sh", "-c", "cat >/run/needles", stdin=needle)
    out = accounts.lab.enter("node-03", "sh", "-c", f"({SEARCH}) 2>&1")
    accounts.lab.enter("node-03", "rm", "-f", "/run/needles", "/var/tmp/leak")
    assert "var/tmp/leak" in out.splitlines()


def test_a_traceback_shows_no_password(accounts, rotated):
    """A failure in the middle, with tracebacks on and locals shown."""
    assert rotated
    code = (
        "import sys, rich.traceback; rich.traceback.install(show_locals=True)\n"
        "from pathlib import Path\nfrom agent.app import App\nfrom agent.flows import asking, rotation, passwords\n"
        "asking.split = lambda *_: 1 / 0\n"
        f"app = App(Path({str(accounts.workspace.folder)!r}))\n"
        "rotation.rotate(app, passwords.chosen(app, ['ops@node-06']), reason='test')\n"
    )
    environment = accounts.workspace.environment | {"PYTHONPATH": str(Path(rotation.__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert "ZeroDivisionError" in done.stderr
    accounts.said += [done.stdout, done.stderr]
    accounts.agent("password", "rotate", "--settle", "--json")
    assert not [needle for needle in accounts.needles() if needle in done.stderr + done.stdout]


def test_the_disk_under_the_vault_is_full(lab, tmp_path):
    """It stops before the target hears anything, or settles afterwards; nothing is lost."""
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1200k,mode=0700", "tmpfs", str(place)], check=True)
    try:
        workspace = Workspace(place / "w", lab.workspace)
        (workspace.folder / "inventory" / "accounts.yaml").write_text(
            "schema_version: 1\naccounts:\n- {user: ops, on: [node-06], initial: true}\n", encoding="utf-8"
        )
        assert workspace.run("vault", "init").returncode == 0
        assert workspace.run("password", "rotate", "--all").returncode == 0
        filler = place / "filler"
        ends = []
        for left in (60_000, 40_000, 30_000, 20_000, 12_000, 8_000, 4_000, 0):
            free = os.statvfs(place).f_bavail * os.statvfs(place).f_bsize
            with filler.open("ab") as file:
                file.write(b"x" * max(free - left, 0))
            ends.append(workspace.run("password", "rotate", "--all"))
            filler.unlink()
        assert 2 in {one.returncode for one in ends}, [one.stdout + one.stderr for one in ends]
        assert not [one.stderr for one in ends if "Traceback" in one.stderr or "internal error" in one.stderr]
        assert workspace.run("password", "rotate", "--settle").returncode in {0, 1}
        app = workspace.app()
        account = rotation_account(app)
        current = next(row for row in app.vault.versions([account.id])[account.id] if row.state == CURRENT)
        held = lab.enter(
            "node-06", "sh", "-c", "printf '%s\\0' \"$(cat)\" | /usr/sbin/unix_chkpwd ops nonull && echo same",
            stdin=app.vault.reveal(current).reveal(),
        )  # fmt: skip
        app.close()
        assert held.strip() == "same"
    finally:
        subprocess.run(["umount", str(place)], check=True)


def rotation_account(app):
    return chosen(app, ["ops@node-06"])[0]
