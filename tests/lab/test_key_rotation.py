"""SSH keys on real hosts, rotated and killed at every step: one that the vault knows always lets in."""

import contextlib
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from workspaces import Workspace

from agent.flows import ways
from agent.flows.logins import by_key
from agent.flows.passwords import chosen
from agent.vault.drivers import Login, sshkey
from agent.vault.vault import CURRENT, PENDING

ROTATING = Path(__file__).resolve().parents[1] / "support" / "rotating.py"
STEPS = ("pend", "pended", "change", "changed", "prove", "proven", "finish", "finished", "end")
HOST, KEY, OTHER = "node-01", "keyed@node-01#ssh", "keyed2@node-01#ssh"
ACCOUNTS = """schema_version: 1
accounts:
- {user: keyed, on: [node-01], ssh_key: true}
- {user: keyed2, on: [node-01], ssh_key: true}
- {user: nobody, on: [node-01], ssh_key: true}
- {user: ops, on: [node-03], ssh_key: true}
"""
FILE = "/home/keyed/.ssh/authorized_keys"


class Keys:
    def __init__(self, lab, folder) -> None:
        self.lab, self.workspace = lab, Workspace(folder, lab.workspace)
        (folder / "inventory" / "accounts.yaml").write_text(ACCOUNTS, encoding="utf-8")
        assert self.workspace.run("vault", "init").returncode == 0
        for user in ("keyed", "keyed2"):
            self.inside(f"id {user} >/dev/null 2>&1 || useradd -m -s /bin/bash {user}")
        self.public = sshkey.public(sshkey.make())
        self.inside(f"install -d -m 700 -o keyed -g keyed /home/keyed/.ssh; echo '{self.public} theirs' > {FILE};"
                    f" chown keyed: {FILE}; chmod 600 {FILE}")  # fmt: skip

    def inside(self, script: str, host: str = HOST) -> str:
        return self.lab.enter(host, "sh", "-c", script)

    def rotate(self, *names: str, settle: bool = False):
        narrow = [word for name in names for word in ("--account", name)]
        return self.workspace.run("password", "rotate", *(["--settle"] if settle else []), "--json", *narrow)

    def killed(self, step: str, *names: str) -> None:
        words = [sys.executable, ROTATING, self.workspace.folder, step, 1, 0, 60, *names]
        env = self.workspace.environment | {"PYTHONPATH": str(ROTATING.parents[2])}
        subprocess.run([str(word) for word in words], env=env, capture_output=True, check=False, timeout=120)

    @contextlib.contextmanager
    def app(self):
        app = self.workspace.app()
        try:
            yield app
        finally:
            app.close()

    def lets_in(self, name: str) -> dict[str, Login]:
        """State of each version whose text is kept to how a login by it ends; the last of a state counts."""
        with self.app() as app:
            [account] = chosen(app, [name])
            rows = app.vault.versions([name]).get(name, [])
            return {row.state: by_key(app, account, app.vault.reveal(row))[0] for row in rows}


@pytest.fixture(scope="module")
def keys(lab, tmp_path_factory):
    made = Keys(lab, tmp_path_factory.mktemp("keys") / "w")
    before = made.inside("cat /home/ops/.ssh/authorized_keys", "node-03")
    yield made
    lab.enter("node-03", "sh", "-c", "cat > /home/ops/.ssh/authorized_keys", stdin=before)
    made.inside("for u in keyed keyed2; do pkill -KILL -u $u; userdel -r -f $u; done 2>/dev/null; :")


def test_a_key_is_made_proven_and_the_next_takes_its_place(keys):
    done = keys.rotate(KEY)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "另有 1 个公钥" in done.stdout
    assert keys.lets_in(KEY) == {"current": Login.IN}
    done = keys.rotate(KEY)
    assert done.returncode == 0, done.stdout + done.stderr
    assert keys.lets_in(KEY) == {"previous": Login.REJECTED, "current": Login.IN}
    lines = keys.inside(f"cat {FILE}").splitlines()
    assert [line.rsplit(" ", 1)[1] for line in lines] == ["theirs", "secops-agent"]
    assert keys.inside(f"stat -c '%U %a' {FILE}").strip() == "keyed 600"


def test_its_password_and_its_key_stand_side_by_side(keys):
    done = keys.workspace.run("password", "status", "--json")
    assert '"account": "keyed@node-01#ssh", "kind": "ssh-key", "state": "good"' in done.stdout
    assert '"account": "keyed@node-01", "kind": "linux", "state": "missing"' in done.stdout


def test_one_that_cannot_log_in_keeps_what_it_has(keys):
    done = keys.rotate("nobody@node-01#ssh")
    assert done.returncode == 1, done.stdout + done.stderr
    assert '"ended": "kept"' in done.stdout


def test_the_agents_own_login_goes_on_with_the_vaults_key(keys):
    name = "ops@node-03#ssh"
    assert keys.rotate(name).returncode == 0
    here = keys.inside("cat /home/ops/.ssh/authorized_keys", "node-03")
    keys.inside("sed -i '/secops-agent$/!d' /home/ops/.ssh/authorized_keys", "node-03")
    try:
        with keys.app() as app:
            ways.log_in(app, app.inventory.host("node-03"), "direct")
        assert keys.rotate(name).returncode == 0
        keys.killed("finished", name)
        with keys.app() as app:
            ways.log_in(app, app.inventory.host("node-03"), "direct")
        assert keys.rotate(name, settle=True).returncode == 0
    finally:
        keys.lab.enter("node-03", "sh", "-c", "cat > /home/ops/.ssh/authorized_keys", stdin=here)


def cases(share):
    rng = random.Random(f"keys {os.environ.get('AGENT_SEED', '2027')}")
    made = [(step, rng.random() < 0.3) for step in STEPS for _ in range(3)]
    return made if share == 1 else rng.sample(made, round(len(made) * share))


@pytest.mark.parametrize("share", [0.12, pytest.param(1, marks=pytest.mark.campaign)])
def test_a_kill_at_any_step_leaves_one_that_lets_in(keys, share):
    assert keys.rotate(KEY, OTHER).returncode == 0
    wrong = []
    for step, twice in cases(share):
        keys.killed(step, KEY, OTHER)
        before = keys.lets_in(KEY)
        if Login.IN not in {before.get(CURRENT), before.get(PENDING)}:
            wrong.append((step, "locked out", before))
        if twice:
            keys.killed("finish", KEY, OTHER)
        done = keys.rotate(KEY, OTHER, settle=True)
        after = keys.lets_in(KEY)
        if done.returncode not in {0, 1} or PENDING in after or after[CURRENT] is not Login.IN:
            wrong.append((step, done.stdout + done.stderr, after))
        if {end for state, end in after.items() if state != CURRENT} - {Login.REJECTED}:
            wrong.append((step, "an old one lets in", after))
    assert wrong == []
