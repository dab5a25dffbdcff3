"""Somebody who leaves, on two hosts and in two databases: closed, brought back, closed again, deleted."""

from __future__ import annotations

import contextlib
import json
import time
from datetime import UTC, datetime, timedelta

import paramiko
import psycopg
import pymysql
import pytest
from workspaces import Workspace

from agent.flows import gates, offboarding
from agent.model.errors import RefusedError
from agent.vault.drivers import sshkey

HOSTS = {"node-03": "10.66.0.53", "node-04": "10.66.0.54"}
TARGETS = [*HOSTS, "maria-01", "pg-net"]
NARROW = [word for name in TARGETS for word in ("--target", name)]
SECRET = "Fictional#Person-2026-Qz"
PERSON = "- {name: 孙八（虚构）, role: engineer, login: sunba, to: 2026-11-01, accounts: [ops@node-03]}\n"
PLANT = """
id sunba >/dev/null 2>&1 || useradd -m -s /bin/bash sunba
echo "sunba:{secret}" | chpasswd
install -d -m 700 -o sunba -g sunba /home/sunba/.ssh
echo '{key}' >/home/sunba/.ssh/authorized_keys; chown sunba: /home/sunba/.ssh/authorized_keys
chmod 600 /home/sunba/.ssh/authorized_keys
echo 'the only copy' >/home/sunba/work.txt; chown sunba: /home/sunba/work.txt
mkdir -p /var/spool/cron/crontabs; echo '0 3 1 1 * true' >/var/spool/cron/crontabs/sunba
printf '# handed over\\nsunba ALL=(ALL) NOPASSWD: ALL\\n' >/etc/sudoers.d/90-sunba; chmod 440 /etc/sudoers.d/90-sunba
printf 'games, sunba ALL=(root) /bin/true\\n' >/etc/sudoers.d/91-team; chmod 440 /etc/sudoers.d/91-team
"""
CLEAN = """
pkill -KILL -u sunba; userdel -rf sunba; rm -f /etc/sudoers.d/90-sunba /etc/sudoers.d/91-team
rm -f /var/spool/cron/crontabs/sunba /var/backups/secops-agent/sunba-*; :
"""


class Leaver:
    def __init__(self, lab, folder) -> None:
        self.lab, self.workspace = lab, Workspace(folder / "w", lab.workspace)
        people = folder / "w" / "inventory" / "people.yaml"
        people.write_text(people.read_text(encoding="utf-8") + PERSON, encoding="utf-8")
        made = sshkey.make()
        self.key = folder / "key"
        self.key.touch(mode=0o600)
        self.key.write_text(made.reveal(), encoding="utf-8")
        for host in HOSTS:
            self.inside(host, PLANT.format(secret=SECRET, key=sshkey.public(made)))
        self.maria(f"CREATE OR REPLACE USER sunba@'%' IDENTIFIED BY '{SECRET}';")
        self.postgres(f"CREATE ROLE sunba LOGIN PASSWORD '{SECRET}';")

    def inside(self, host, script):
        return self.lab.enter(host, "sh", "-c", script)

    def maria(self, sql):
        return self.lab.enter("db-01", "mariadb", "-N", stdin=sql)

    def postgres(self, sql):
        return self.lab.enter("db-02", "runuser", "-u", "postgres", "--", "psql", "-qAtX", stdin=sql)

    def ssh(self, host, **how):
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        client.connect(HOSTS[host], username="sunba", allow_agent=False, look_for_keys=False, timeout=15, **how)
        return client

    def by_key(self, host):
        with contextlib.suppress(paramiko.SSHException, OSError):
            self.ssh(host, key_filename=str(self.key)).close()
            return True
        return False

    def by_password(self, host):
        with contextlib.suppress(paramiko.SSHException, OSError):
            self.ssh(host, password=SECRET).close()
            return True
        return False

    def by_su(self, host):
        script = f"echo '{SECRET}' | runuser -u ops -- su sunba -c 'echo in-$((40+2))' 2>&1; :"
        return "in-42" in self.inside(host, script)

    def by_sql(self, engine):
        who = {"user": "sunba", "password": SECRET, "connect_timeout": 10}
        try:
            if engine == "mariadb":
                pymysql.connect(host="10.66.0.21", **who).close()
            else:
                psycopg.connect(host="10.66.0.22", dbname="warnings", **who).close()
        except (pymysql.Error, psycopg.Error):
            return False
        return True

    def ways(self):
        """Every way in that stands."""
        found = {f"{way} {host}" for host in HOSTS for way, test in
                 (("key", self.by_key), ("password", self.by_password), ("su", self.by_su)) if test(host)}  # fmt: skip
        return found | {engine for engine in ("mariadb", "postgresql") if self.by_sql(engine)}

    def things(self, host):
        files = "/etc/sudoers.d/9[01]-* /var/spool/cron/crontabs/sunba /home/sunba/.ssh/authorized_keys"
        return self.inside(host, f"grep -E '^sunba:' /etc/passwd /etc/shadow; cat {files} 2>/dev/null; :")

    def shadow(self, host):
        return self.inside(host, "grep '^sunba:' /etc/shadow").splitlines()

    def offboard(self, *words):
        return self.workspace.run("accounts", "offboard", "sunba", "--json", *NARROW, *words)

    def ticket(self, number, plan):
        done = self.workspace.run(
            "ticket", "new", number, "--title", "人员离岗", "--reference", "甲方函 2 号（虚构）",
            "--from", "2026-01-01 00:00", "--to", "2036-01-01 00:00", "--plan", plan,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        key = self.workspace.folder / "state" / "lab" / "approver.pem"
        done = self.workspace.run("ticket", "sign", number, "--approver-key", str(key))
        assert done.returncode == 0, done.stderr

    def applied(self, number, *words):
        plan = json.loads(self.offboard().stdout)
        if not (self.workspace.folder / "tickets" / f"{number}.yaml").exists():
            self.ticket(number, plan["run"])
        done = self.offboard("--apply", "--ticket", number, "--freeze-by", "zhaoliu", *words)
        assert done.returncode in {0, 1, 3}, (done.stdout, done.stderr)
        return done.returncode, json.loads(done.stdout.splitlines()[-1])

    def move(self, host, address):
        """Let the inventory call another address."""
        file = self.workspace.folder / "inventory" / "hosts.yaml"
        text = file.read_text(encoding="utf-8")
        old = next(line for line in text.splitlines() if f"name: {host}," in line)
        start = old.index("address: ") + len("address: ")
        new = old[:start] + address + old[old.index(",", start) :]
        file.write_text(text.replace(old, new), encoding="utf-8")


@pytest.fixture(scope="module")
def leaver(lab, tmp_path_factory):
    made = Leaver(lab, tmp_path_factory.mktemp("leaver"))
    try:
        yield made
    finally:
        for host in HOSTS:
            made.inside(host, CLEAN)
        made.maria("DROP USER IF EXISTS sunba@'%';")
        made.postgres("DROP ROLE IF EXISTS sunba;")


@pytest.fixture(scope="module")
def scanned(leaver):
    done = leaver.workspace.run("scan", "--period", "lianghui", *NARROW, "--layer", "host", "--layer", "database")
    assert done.returncode in {0, 1, 3}, done.stderr
    leaver.everything = leaver.ways()
    leaver.before = {host: leaver.things(host) for host in HOSTS}
    assert {f"{way} {host}" for way in ("key", "su") for host in HOSTS} | {"mariadb", "postgresql"} <= leaver.everything
    return leaver


def test_without_a_ticket_nothing_is_changed(scanned):
    told = scanned.workspace.run("accounts", "reconcile").stdout
    assert "孙八（虚构）: 已离岗而账号未清" in told
    plan = json.loads(scanned.offboard().stdout)
    assert {target for target, *_ in plan["steps"]} == set(TARGETS), plan
    assert any("ops" in what and "登录账号" in what for what, _ in plan["people"])
    refused = scanned.offboard("--apply")
    assert refused.returncode == 2
    assert "no change ticket" in refused.stderr
    assert {host: scanned.things(host) for host in HOSTS} == scanned.before
    assert scanned.ways() == scanned.everything


def test_a_host_that_is_down_is_said_and_the_others_are_closed(scanned):
    live = scanned.ssh("node-03", key_filename=str(scanned.key))
    channel = live.get_transport().open_session()
    channel.exec_command("sleep 600")
    scanned.move("node-04", "10.66.0.250")
    code, first = scanned.applied("LEAVE-1")
    scanned.runs = [first["run"]]
    assert code == 3
    assert not first["done"]
    ended = {one["target"]: one for one in first["accounts"]}
    assert {name: one["state"] for name, one in ended.items()} == {
        "node-03": "closed", "node-04": "unknown", "maria-01": "closed", "pg-net": "closed",
    }, first  # fmt: skip
    assert scanned.inside("node-03", "pgrep -u sunba; :") == ""
    assert channel.exit_status_ready() or not live.get_transport().is_active()
    assert {way for way in scanned.ways() if "node-04" not in way} == set()
    path, digest, _ = ended["node-03"]["archive"].split()
    assert scanned.inside("node-03", f"sha256sum {path}").split()[0] == digest.removeprefix("sha256:")
    assert scanned.inside("node-03", f"stat -c '%a %u' {path}").split() == ["600", "0"]
    assert scanned.inside("node-03", f"tar -xzOf {path} ./home/sunba/work.txt") == "the only copy\n"
    left = scanned.things("node-03")
    assert "games ALL=(root) /bin/true" in left
    assert not [word for word in ("NOPASSWD", "ssh-ed25519", "0 3 1 1") if word in left]


def test_run_again_it_does_what_is_left_and_all_can_be_taken_back(scanned):
    scanned.move("node-04", HOSTS["node-04"])
    code, second = scanned.applied("LEAVE-2")
    scanned.runs.append(second["run"])
    assert {one["target"] for one in second["accounts"] if one["transactions"]} == {"node-04"}
    assert (code, second["done"]) == (1, True)  # the agent's own login is left to people
    assert scanned.ways() == set()
    for run in reversed(scanned.runs):
        done = scanned.workspace.run("rollback", run, "--emergency-by", "zhaoliu", "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        assert json.loads(done.stdout.splitlines()[-1])["whole"], done.stdout
    assert {host: scanned.things(host) for host in HOSTS} == scanned.before
    assert scanned.ways() == scanned.everything


def test_killed_in_the_middle_it_is_run_again_until_it_is_done(scanned):
    plan = json.loads(scanned.offboard().stdout)
    scanned.ticket("LEAVE-K", plan["run"])
    words = ("--apply", "--ticket", "LEAVE-K", "--freeze-by", "zhaoliu")
    running = scanned.workspace.start("accounts", "offboard", "sunba", "--json", *NARROW, *words)
    until = time.monotonic() + 90
    while not any("!" in line.split(":")[1] for host in HOSTS for line in scanned.shadow(host)):
        assert time.monotonic() < until
        assert running.poll() is None, running.communicate()
    running.kill()
    running.communicate()
    for _ in range(4):
        done = scanned.offboard(*words)
        last = json.loads(done.stdout.splitlines()[-1])
        if last["done"]:
            break
        assert done.returncode in {1, 3}, (last, done.stderr)
    assert last["done"], last
    assert scanned.ways() == set()


def test_deleted_after_the_grace_time_and_not_before(scanned):
    early = json.loads(scanned.offboard("--finish").stdout)
    assert early["steps"] == []
    assert {text[:5] for *_, text in early["skipped"]} == {"宽限期未满"}, early
    finished(scanned)
    for host in HOSTS:
        assert "no such user" in scanned.inside(host, "id sunba 2>&1; :")
        assert scanned.inside(host, "test -e /home/sunba && echo there; :") == ""
        assert scanned.inside(host, "ls /var/backups/secops-agent/ | grep -c sunba-") != "0\n"
    assert scanned.maria("SELECT COUNT(*) FROM mysql.user WHERE User='sunba';").strip() == "0"
    assert scanned.postgres("SELECT count(*) FROM pg_roles WHERE rolname='sunba';").strip() == "0"
    verified = scanned.workspace.run("evidence", "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr


def finished(leaver):
    """In this process, 31 days later."""
    app = leaver.workspace.app()
    later = datetime.now(UTC) + timedelta(days=31)
    app.clock = lambda: later
    try:
        departure = offboarding.begin(app, "孙八（虚构）", targets=TARGETS, finish=True)
        with pytest.raises(RefusedError):
            gates.leave(app, departure.plan, ticket=None, now=later)
        leaver.ticket("LEAVE-9", departure.plan.run)
        allowed = gates.leave(app, departure.plan, ticket="LEAVE-9", freeze_by="zhaoliu", now=later)
        left = offboarding.apply(app, departure, allowed, lambda _: None, lambda _: None)
    finally:
        app.close()
    assert left.done, left.accounts
    assert {one.state for one in left.accounts} == {"deleted"}
