"""A program that keeps a database's password: it follows a rotation, or everything goes back; killed at every step."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from workspaces import Workspace

from agent.flows.logins import by_sql
from agent.flows.passwords import chosen
from agent.model.secret import Secret
from agent.vault.drivers import Login
from agent.vault.drivers.mysql import native_hash
from agent.vault.vault import CURRENT, PENDING

ROTATING = Path(__file__).resolve().parents[1] / "support" / "rotating.py"
STEPS = (
    "pended", "change", "changed", "proven", "dependents-begin", "dependents-begun", "dependents-looked",
    "dependents-confirmed", "finish", "end",
)  # fmt: skip
BACK = ("back", "backed", "dependents-undo")
NAME = "depapp@maria-01"
FIRST = "First-1-password-of-depapp"
ACCOUNTS = """schema_version: 1
accounts:
- user: depapp
  on: [maria-01]
  dependents:
  - {host: db-01, file: /etc/dep-app.properties, key: db.password, service: dep-app.service}
  - {host: node-03, file: /etc/dep-web.env, key: DATABASE_URL, form: url}
  - {host: node-03, file: /etc/dep-web.yaml, key: password, form: yaml}
"""
PROGRAM = """#!/bin/sh
check() {
  p=$(sed -n 's/^.db.password = //p' /etc/dep-app.properties)
  MYSQL_PWD=$p mariadb -h 10.66.0.21 -u depapp -e 'SELECT 1' >/dev/null || exit 1
  echo in >> /run/dep-app.log
}
trap check HUP
check
while :; do sleep 1 & wait $!; done
"""
UNIT = """[Service]
ExecStart=/usr/local/sbin/dep-app
ExecReload=/bin/kill -HUP $MAINPID
"""
PLANT = f"""cat > /usr/local/sbin/dep-app <<'E'
{PROGRAM}E
chmod 755 /usr/local/sbin/dep-app
cat > /etc/systemd/system/dep-app.service <<'E'
{UNIT}E
printf '# of the app\\ndb.user=depapp\\n\\tdb.password = {FIRST}\\nx=1' > /etc/dep-app.properties
chmod 640 /etc/dep-app.properties; chown root:adm /etc/dep-app.properties
systemctl daemon-reload; systemctl restart dep-app"""
PLANT_WEB = f"""printf 'A=1\\nexport DATABASE_URL="mysql://depapp:{FIRST}@10.66.0.21:3306/x?y=1"\\n' > /etc/dep-web.env
printf 'db:\\n  user: depapp\\n  password: {FIRST} # ours\\n' > /etc/dep-web.yaml; chmod 600 /etc/dep-web.*"""
FAILING = "/run/systemd/system/dep-app.service.d"


class Program:
    def __init__(self, lab, folder) -> None:
        self.lab, self.workspace = lab, Workspace(folder, lab.workspace)
        (folder / "inventory" / "accounts.yaml").write_text(ACCOUNTS, encoding="utf-8")
        assert self.workspace.run("vault", "init").returncode == 0

    def plant(self) -> None:
        hashed = native_hash(Secret(FIRST))
        user = f"CREATE OR REPLACE USER depapp@'%' IDENTIFIED VIA mysql_native_password USING '{hashed}';"
        self.lab.enter("db-01", "mariadb", stdin=user)
        self.inside(PLANT)
        self.inside(PLANT_WEB, "node-03")

    def remove(self) -> None:
        self.inside(
            "systemctl stop dep-app; rm -rf /etc/dep-app.properties /etc/systemd/system/dep-app.service"
            f" /usr/local/sbin/dep-app /run/dep-app.log {FAILING}; systemctl daemon-reload; :"
        )
        self.inside("rm -f /etc/dep-web.env /etc/dep-web.yaml", "node-03")
        self.lab.enter("db-01", "mariadb", stdin="DROP USER IF EXISTS depapp@'%';")

    def fail(self, *, now: bool) -> None:
        script = (
            f"mkdir -p {FAILING}; printf '[Service]\\nExecReload=\\nExecReload=/bin/false\\n' > {FAILING}/f.conf"
            if now
            else f"rm -rf {FAILING}"
        )
        self.inside(f"{script}; systemctl daemon-reload")

    def inside(self, script: str, host: str = "db-01") -> str:
        return self.lab.enter(host, "sh", "-c", script)

    def rotate(self, *more: str):
        return self.workspace.run("password", "rotate", "--account", NAME, "--json", *more)

    def killed(self, step: str) -> str:
        words = [sys.executable, ROTATING, self.workspace.folder, step, 1, 0, 60, NAME]
        env = self.workspace.environment | {"PYTHONPATH": str(ROTATING.parents[2])}
        return subprocess.run(
            [str(word) for word in words], env=env, capture_output=True, text=True, check=False, timeout=200
        ).stdout

    def wrong(self) -> str:
        """What does not hold: the target, the vault and every place must agree, and the program must be in."""
        app = self.workspace.app()
        try:
            [account] = chosen(app, [NAME])
            states = {row.state: app.vault.reveal(row) for row in app.vault.versions([NAME]).get(NAME, [])}
            faults = ["still pending"] if PENDING in states else []
            text = states[CURRENT].reveal()
            if by_sql(app, account, states[CURRENT])[0] is not Login.IN:
                faults.append("the current one does not log in")
        finally:
            app.close()
        left = "ls -d /var/lib/secops-agent/tx/pw-* /var/lib/secops-agent/lock 2>/dev/null || :"
        called = (
            "rm -f /run/dep-app.log; systemctl kill --kill-who=main -s HUP dep-app; sleep 2;"
            "cat /run/dep-app.log 2>/dev/null || :"
        )
        url = f'A=1\nexport DATABASE_URL="mysql://depapp:{text}@10.66.0.21:3306/x?y=1"\n'
        wanted = (
            ("cat /etc/dep-app.properties", "db-01", f"# of the app\ndb.user=depapp\n\tdb.password = {text}\nx=1"),
            ("stat -c '%U:%G %a' /etc/dep-app.properties", "db-01", "root:adm 640\n"),
            ("cat /etc/dep-web.env", "node-03", url),
            ("cat /etc/dep-web.yaml", "node-03", f"db:\n  user: depapp\n  password: {text} # ours\n"),
            ("systemctl is-active dep-app || :", "db-01", "active\n"),
            (called, "db-01", "in\n"),
            (left, "db-01", ""),
            (left, "node-03", ""),
        )
        faults += [script for script, host, said in wanted if self.inside(script, host) != said]
        return "; ".join(faults).replace(text, "***")


@pytest.fixture(scope="module")
def program(lab, tmp_path_factory):
    made = Program(lab, tmp_path_factory.mktemp("dependents") / "w")
    made.plant()
    yield made
    made.remove()


def test_the_first_takes_what_the_program_has_and_all_places_follow(program):
    done = program.rotate("--dry-run")
    assert FIRST not in done.stdout
    done = program.rotate()
    assert done.returncode == 0, done.stdout + done.stderr
    assert program.wrong() == ""
    assert FIRST not in program.inside("cat /etc/dep-app.properties")


def test_a_place_that_is_not_as_declared_holds_the_rotation_back(program):
    before = program.inside("cat /etc/dep-web.yaml", "node-03")
    program.inside("sed -i 's/password:/pass:/' /etc/dep-web.yaml", "node-03")
    done = program.rotate()
    program.lab.enter("node-03", "sh", "-c", "cat > /etc/dep-web.yaml", stdin=before)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "/etc/dep-web.yaml password：没有该项" in done.stdout
    assert program.wrong() == ""


def test_a_program_that_does_not_take_it_sends_everything_back(program):
    program.fail(now=True)
    try:
        done = program.rotate()
    finally:
        program.fail(now=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "关联程序" in done.stdout
    assert program.wrong() == ""


def cases(share):
    rng = random.Random(f"dependents {os.environ.get('AGENT_SEED', '2027')}")
    made = [(step, False) for step in STEPS for _ in range(3)] + [(step, True) for step in BACK for _ in range(3)]
    return made if share == 1 else rng.sample(made, round(len(made) * share))


@pytest.mark.parametrize("share", [0.1, pytest.param(1, marks=pytest.mark.campaign)])
def test_a_kill_at_any_step_is_settled_by_the_next_run(program, share):
    wrong = []
    for step, failing in cases(share):
        program.fail(now=failing)
        try:
            said = program.killed(step)
        finally:
            program.fail(now=False)
        if step not in said.split():
            wrong.append((step, "was not reached", said))
        done = program.rotate("--settle")
        fault = program.wrong()
        if done.returncode not in {0, 1} or fault:
            wrong.append((step, fault, done.stdout + done.stderr))
    assert wrong == []


def test_no_password_is_left_in_a_journal_or_in_the_evidence(program):
    done = program.rotate()
    assert done.returncode == 0, done.stdout + done.stderr
    app = program.workspace.app()
    try:
        texts = [app.vault.reveal(row).reveal() for row in app.vault.versions([NAME])[NAME]]
        kept = [
            app.ledger.open(entry.seq) for entry in app.ledger.entries() if entry.kind in {"dependents", "rotation"}
        ]
    finally:
        app.close()
    assert len(kept) > 3
    assert not [text for text in texts for each in kept if text.encode() in each]
    find = "grep -rlF -f - /var/lib/secops-agent /var/log /run/systemd/journal /tmp /var/tmp 2>/dev/null || :"
    for host in ("db-01", "node-03"):
        assert program.lab.enter(host, "sh", "-c", find, stdin="\n".join(texts) + "\n") == ""
