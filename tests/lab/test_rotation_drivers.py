"""Each kind of account on a real server, driver by driver: changed, proven by a fresh login, the old one refused.

What a test changes it puts back: these hosts have planted weaknesses that others count on.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field

import pytest
import yaml
from workspaces import Workspace

from agent.flows.asking import asked, change_of
from agent.flows.logins import FROM_HERE
from agent.flows.passwords import chosen
from agent.flows.rotation import HostRotation
from agent.model.account import Way
from agent.model.secret import Secret
from agent.vault.drivers import DRIVERS, Login
from agent.vault.drivers.mysql import native_hash
from agent.vault.vault import CURRENT

pytestmark = pytest.mark.lab

FIRST = "First-" + secrets.token_hex(8)


@dataclass(frozen=True)
class Target:
    """A kind on a real host: an account that a test makes there, and takes away."""

    kind: str
    host: str
    on: str
    make: str
    """Shell, as root on the host; @FIRST@ stands for the first password."""
    unmake: str
    stop: str = ""
    start: str = ""
    visit: str = ""
    """Shell that begins a session as the account, with the password on its standard input, and stays in it."""
    refuses: str = ""
    """What the target says of somebody whom it does not know."""
    entry: dict = field(default_factory=dict)


TARGETS = (
    Target(
        "linux", "node-03", "node-03",
        "useradd -m -s /bin/bash rot-x && printf 'rot-x:%s\\n' '@FIRST@' | chpasswd",
        "userdel -r -f rot-x",
        visit="setpriv --reuid=$(id -u rot-x) --clear-groups --regid=$(id -g rot-x) sleep 60",
        refuses="no such user",
    ),
    Target(
        "mariadb", "db-01", "maria-01",
        "printf '%s\\n' \"CREATE USER 'rot-x'@'%' IDENTIFIED BY '@FIRST@';\" | mariadb",
        "mariadb -e \"DROP USER IF EXISTS 'rot-x'@'%'\"",
        # its sockets of systemd's would start it again
        stop="systemctl -q list-units --plain --no-legend 'mariadb*.socket' | awk '{print $1}' >/run/rot.sockets; "
        "systemctl stop $(cat /run/rot.sockets) mariadb; ! pgrep -x mariadbd",
        start="systemctl start mariadb $(cat /run/rot.sockets); rm -f /run/rot.sockets",
        visit="{ printf '[client]\\nuser=rot-x\\nprotocol=tcp\\npassword=%s\\n' \"$(cat)\"; } >/run/rot.cnf; "
        "mariadb --defaults-file=/run/rot.cnf -h 10.66.0.21 -e 'SELECT SLEEP(60)'",
        refuses="no such account",
    ),
    Target(
        "postgresql", "db-02", "pg-net",
        "printf '%s\\n' \"CREATE ROLE \\\"rot-x\\\" LOGIN PASSWORD '@FIRST@';\" | runuser -u postgres -- psql -qX",
        "printf '%s\\n' 'DROP ROLE IF EXISTS \"rot-x\";' | runuser -u postgres -- psql -qX",
        stop="systemctl stop postgresql", start="systemctl start postgresql",
        visit="IFS= read -r p; printf '%s\\n' \"10.66.0.22:5432:*:rot-x:$p\" >/run/rot.pass; chmod 600 /run/rot.pass; "
        "PGPASSFILE=/run/rot.pass psql -h 10.66.0.22 -U rot-x warnings -c 'SELECT pg_sleep(60)'",
        refuses="no such role",
    ),
    Target(
        "redis", "cache-02", "cache-02",
        "cp -a /etc/redis/redis.conf /run/keep.conf; "
        "echo 'user rot-x on >@FIRST@ ~x:* +@read' >>/etc/redis/redis.conf; systemctl restart redis-server; sleep 1",
        "cp -a /run/keep.conf /etc/redis/redis.conf; rm -f /run/keep.conf; systemctl restart redis-server; sleep 1",
        stop="systemctl stop redis-server", start="systemctl start redis-server; sleep 1",
        visit="IFS= read -r p; { printf 'AUTH rot-x %s\\nGET x:1\\n' \"$p\"; sleep 60; } | redis-cli",
        refuses="no such user",
        entry={"kind": "redis"},
    ),
    Target(
        "tomcat", "app-01", "app-01",
        "cp -a /etc/tomcat10/tomcat-users.xml /run/keep.xml; sed -i 's|^</tomcat-users>|  <user username=\"rot-x\" "
        "password=\"@FIRST@\" roles=\"manager-gui\"/>\\n&|' /etc/tomcat10/tomcat-users.xml; sleep 15",
        "cp -a /run/keep.xml /etc/tomcat10/tomcat-users.xml; touch /etc/tomcat10/tomcat-users.xml; "
        "rm -f /run/keep.xml; sleep 15",
        stop="systemctl stop tomcat10",
        start="systemctl start tomcat10; t=0; until ss -Hltn | grep -q :8080 || [ $t -gt 60 ]; do t=$((t + 1)); "
        "sleep 1; done; sleep 5",
        refuses="no such user",
        entry={"kind": "tomcat"},
    ),
)  # fmt: skip
assert {target.kind for target in TARGETS} == set(DRIVERS) - {"mysql"}  # MySQL: tests/lab/test_rotation_mysql.py


class Service:
    """One account of one target, with a workspace that manages it and nothing else."""

    def __init__(self, lab, folder, target: Target) -> None:
        self.lab, self.target = lab, target
        self.workspace = Workspace(folder, lab.workspace)
        entries = [{"user": user, "on": [target.on], **target.entry} for user in ("rot-x", "rot-nobody")]
        (folder / "inventory" / "accounts.yaml").write_text(
            yaml.safe_dump({"schema_version": 1, "accounts": entries}), encoding="utf-8"
        )
        done = self.workspace.run("vault", "init")
        assert done.returncode == 0, done.stderr
        self.root(target.make.replace("@FIRST@", FIRST))
        self.app = self.workspace.app()
        self.account, self.nobody = chosen(self.app, [target.on])

    def close(self) -> None:
        self.app.close()
        self.root(f"{self.target.start or ':'}; rm -f /run/rot.cnf /run/rot.pass; {self.target.unmake}")

    def root(self, script: str, stdin: str = "") -> str:
        return self.lab.enter(self.target.host, "sh", "-c", script, stdin=stdin)

    def rotate(self, account=None, code: int = 0) -> dict:
        name = (account or self.account).id
        done = self.workspace.run("password", "rotate", "--account", name, "--json", "--reason", "test")
        assert done.returncode == code, (done.stdout, done.stderr)
        return json.loads(done.stdout.splitlines()[0])

    def ask(self, compose):
        """What the host answers to a script of the driver's."""
        driver = DRIVERS[self.target.kind]
        with self.app.sessions.open(self.app.inventory.host(self.account.host), 60) as session:
            return asked(session, {"x": (driver, compose(driver))})["x"]

    def held(self) -> list[Secret]:
        """Every password that the vault keeps for it, the oldest first."""
        rows = self.app.vault.versions([self.account.id])[self.account.id]
        return [self.app.vault.reveal(row) for row in rows if row.sealed]

    def current(self) -> Secret:
        """The one that holds; a test that comes first makes it."""
        if not self.app.vault.versions([self.account.id]).get(self.account.id):
            self.rotate()
        rows = self.app.vault.versions([self.account.id])[self.account.id]
        return self.app.vault.reveal(next(row for row in rows if row.state == CURRENT))

    def login(self, secret: Secret) -> Login:
        """By the way that the rotation itself would take."""
        way = DRIVERS[self.target.kind].ways[0]
        if way in FROM_HERE:
            return FROM_HERE[way](self.app, self.account, secret)[0]
        answer = self.ask(lambda driver: driver.login(change_of(self.app, self.account, secret), Way.SERVICE))
        return DRIVERS[self.target.kind].logged_in(answer)


@pytest.fixture(scope="module", params=TARGETS, ids=lambda target: target.kind)
def service(lab, tmp_path_factory, request):
    made = Service(lab, tmp_path_factory.mktemp("drivers") / "w", request.param)
    yield made
    made.close()


def test_a_change_is_proven_and_the_old_one_is_refused(service):
    first = service.rotate()
    assert (first["ended"], first["why"]) == ("rotated", "")
    assert service.login(service.current()) is Login.IN
    assert service.login(Secret(FIRST)) is Login.REJECTED
    before = service.current()
    assert service.rotate()["ended"] == "rotated"
    assert service.login(before) is Login.REJECTED
    driver, known = DRIVERS[service.target.kind], service.held()
    turn = HostRotation(service.app, service.app.inventory.host(service.account.host), [service.account], print)
    with service.app.sessions.open(turn.host, 60) as session:
        assert turn._which(session, [service.account]) == {service.account.id: CURRENT}
    strangers = service.ask(lambda _: driver.which(change_of(service.app, service.account), [Secret("x" * 24)]))
    assert strangers.text.strip().startswith(("none", "ask "))
    assert len(known) == 2


def test_an_account_that_is_not_there_is_refused_with_a_word(service):
    answer = service.ask(lambda driver: driver.change(change_of(service.app, service.nobody, Secret("Xx-1" * 6))))
    assert answer.rc == 4
    assert service.target.refuses in answer.errors
    done = service.rotate(service.nobody, code=1)
    assert done["ended"] == "kept"
    assert service.target.refuses in done["why"]


def test_sessions_are_told_and_ended(service):
    if not service.target.visit:  # Tomcat does not know
        answer = service.ask(lambda driver: driver.sessions(change_of(service.app, service.account)))
        assert (answer.rc, answer.text.strip()) == (3, "")
        assert "whose" in answer.errors
        return
    service.rotate()
    run = f"({service.target.visit}) >/dev/null 2>&1 <&3 &"
    service.root(f"exec 3<<.\n$(cat)\n.\n{run} sleep 3", stdin=service.current().reveal() + "\n")

    def sessions() -> list[str]:
        answer = service.ask(lambda driver: driver.sessions(change_of(service.app, service.account)))
        assert answer.rc == 0, answer.errors
        return [line for line in answer.text.splitlines() if line.strip()]

    found = sessions()
    assert len(found) == 1, found
    assert len(found[0].split("\t")) == 3
    other = service.ask(lambda driver: driver.sessions(change_of(service.app, service.nobody)))
    assert not other.text.strip()
    for _ in range(2):  # twice does no harm
        ended = service.ask(lambda driver: driver.end_sessions(change_of(service.app, service.account)))
        assert ended.rc == 0, ended.errors
    assert sessions() == []


def test_a_server_that_is_down_is_left_as_it_was(service):
    if service.target.kind == "linux":  # a host that is down is tests/lab/test_emergency.py's matter
        assert not service.target.stop
        return
    before = service.current()
    service.root(service.target.stop)
    try:
        done = service.rotate(code=1)
        assert done["ended"] == "kept"
        assert done["why"]
    finally:
        service.root(service.target.start)
    assert service.login(before) is Login.IN
    assert service.current() == before


def test_a_locked_account_lets_nobody_in(service):
    before = service.current()
    for _ in range(2):
        answer = service.ask(lambda driver: driver.lock(change_of(service.app, service.account)))
        assert answer.rc == 0, answer.errors
    if service.target.kind == "redis":  # and after a start, too
        service.root("systemctl restart redis-server; sleep 1")
    assert service.login(before) is not Login.IN


@pytest.fixture
def strict(lab):
    """MariaDB checks the text of every new password, and so takes no hash."""
    lab.enter("db-01", "mariadb", stdin=(
        "INSTALL SONAME 'simple_password_check';"
        f"CREATE USER 'rot-s'@'%' IDENTIFIED BY 'Aa1-{FIRST}';"
    ))  # fmt: skip
    yield
    lab.enter("db-01", "mariadb", stdin="DROP USER 'rot-s'@'%'; UNINSTALL SONAME 'simple_password_check';")


@pytest.mark.usefixtures("strict")
def test_mariadb_that_wants_to_see_the_text_still_gets_the_hash(lab, tmp_path):
    refused = "ALTER USER 'rot-s'@'%' IDENTIFIED VIA mysql_native_password USING '{}';"
    said = lab.enter("db-01", "sh", "-c", "mariadb 2>&1; :", stdin=refused.format(native_hash(Secret("x"))))
    assert "ERROR 1396" in said  # the server does refuse it
    workspace = Workspace(tmp_path / "w", lab.workspace)
    (workspace.folder / "inventory" / "accounts.yaml").write_text(
        "schema_version: 1\naccounts:\n- {user: rot-s, on: [maria-01]}\n", encoding="utf-8"
    )
    assert workspace.run("vault", "init").returncode == 0
    for _ in range(2):
        done = workspace.run("password", "rotate", "--all", "--json")
        assert json.loads(done.stdout.splitlines()[0])["ended"] == "rotated", done.stdout + done.stderr
    strictness = lab.enter("db-01", "mariadb", "-N", stdin="SELECT @@strict_password_validation;")
    assert strictness.strip() == "1"


def test_redis_tells_no_text_to_who_listens(lab, tmp_path):
    """MONITOR, the slow log, the append-only file and the dump, while requirepass and a user change."""
    workspace = Workspace(tmp_path / "w", lab.workspace)
    (workspace.folder / "inventory" / "accounts.yaml").write_text(
        "schema_version: 1\naccounts:\n- {user: default, on: [cache-01], kind: redis, initial: true}\n"
        "- {user: rot-r, on: [cache-01], kind: redis}\n", encoding="utf-8",
    )  # fmt: skip
    assert workspace.run("vault", "init").returncode == 0
    lab.enter("cache-01", "sh", "-c", (
        "cp -a /etc/redis/redis.conf /run/keep.conf; echo 'user rot-r on >x-1 +@read' >>/etc/redis/redis.conf; "
        "systemctl restart redis-server; sleep 1; "
        "(timeout 60 redis-cli monitor >/run/monitor 2>&1 &); redis-cli config set slowlog-log-slower-than 0; "
        "redis-cli config set appendonly yes; stat -c '%a %U:%G' /etc/redis/redis.conf >/run/mode"
    ))  # fmt: skip
    try:
        for _ in range(2):
            done = workspace.run("password", "rotate", "--all", "--json")
            assert {json.loads(line)["ended"] for line in done.stdout.splitlines()} == {"rotated"}, done.stdout
        app = workspace.app()
        rows = [row for rows in app.vault.versions().values() for row in rows if row.kind == "password" and row.sealed]
        made = {(row.account, row.state): app.vault.reveal(row).reveal() for row in rows if "@cache-01/" in row.account}
        app.close()
        assert len(made) == 4
        now = made["default@cache-01/redis", CURRENT]
        search = (
            "cat >/run/needles; IFS= read -r p </run/now; "
            "printf 'AUTH %s\\nSLOWLOG GET 500\\nBGSAVE\\n' \"$p\" | redis-cli >/run/slow; sleep 2; "
            "wc -l </run/slow; wc -l </run/monitor; grep -rlFf /run/needles /run/slow /run/monitor /var/lib/redis "
            "/var/log/redis /etc/redis; :"
        )
        lab.enter("cache-01", "sh", "-c", "cat >/run/now", stdin=now + "\n")
        out = lab.enter("cache-01", "sh", "-c", search, stdin="\n".join(made.values())).splitlines()
        assert int(out[0]) > 50
        assert int(out[1]) > 10
        assert out[2:] == ["/etc/redis/redis.conf"]  # requirepass: the server's own record
        conf = lab.enter("cache-01", "cat", "/etc/redis/redis.conf")
        assert [text for text in made.values() if text in conf] == [now]
        same = lab.enter(
            "cache-01", "sh", "-c", "stat -c '%a %U:%G' /etc/redis/redis.conf | cmp - /run/mode && echo same"
        )
        assert same.strip() == "same"
        lasts = "systemctl restart redis-server; sleep 1; { cat; echo PING; } | redis-cli"
        assert lab.enter("cache-01", "sh", "-c", lasts, stdin=f"AUTH {now}\n").split() == ["OK", "PONG"]
    finally:
        lab.enter("cache-01", "sh", "-c", (
            "cp -a /run/keep.conf /etc/redis/redis.conf; systemctl stop redis-server; rm -rf /run/keep.conf /run/slow "
            "/run/monitor /run/needles /run/now /run/mode /var/lib/redis/*; systemctl start redis-server; sleep 1"
        ))  # fmt: skip
