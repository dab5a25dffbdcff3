"""Rotations that are killed, cut, frozen and raced on real hosts: no password is lost, no account locked.

A tenth of the cases in `make test`, all of them in `make campaign`; $AGENT_SEED repeats a run, $AGENT_CASES (`12,40`)
picks cases of it. A line a case goes to standard output (`pytest -s`).
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest
from workspaces import Workspace

from agent.flows.logins import by_sql, by_ssh
from agent.flows.passwords import chosen
from agent.model.secret import Secret
from agent.vault.drivers import Login
from agent.vault.drivers.mysql import native_hash
from agent.vault.vault import CURRENT, PENDING, VOID

SEED = os.environ.get("AGENT_SEED", "2027")
CASES = 220
AGENT = Path(__file__).resolve().parents[1] / "support" / "rotating.py"
STEPS = ("settle", "pend", "pended", "change", "changed", "prove", "proven", "finish", "finished", "end")
_LIKELY = (CURRENT, PENDING, VOID)
say = partial(print, flush=True)
LANES = {
    "linux-1": ("node-01", ("rot-a@node-01", "rot-b@node-01", "rot-c@node-01")),
    "linux-3": ("node-03", ("rot-a@node-03", "rot-b@node-03", "rot-c@node-03")),
    "mariadb": ("db-01", ("rota@maria-01", "rotb@maria-01")),
    "postgresql": ("db-02", ("rota@pg-net", "rotb@pg-net")),
}
"""A lane's cases come one after the other; lanes run at the same time."""
ACCOUNTS = """schema_version: 1
accounts:
- {user: rot-a, on: [node-01, node-03], initial: true}
- {user: rot-b, on: [node-01, node-03], initial: true}
- {user: rot-c, on: [node-01, node-03], initial: true}
- {user: rota, on: [maria-01, pg-net]}
- {user: rotb, on: [maria-01, pg-net]}
"""


@dataclass(frozen=True)
class Case:
    """One thing that goes wrong."""

    number: int
    lane: str
    fault: str
    """`kill` at a step, `delayed` kill after it, `cut` the connection, `freeze` it past the deadline, `race`."""
    step: str
    count: int
    delay: float
    twice: bool
    """Whether the run that should mend it is killed as well."""


def cases(seed: str, count: int = CASES) -> list[Case]:
    """The same ones for a seed; every step and every fault in every lane."""
    rng = random.Random(f"rotation {seed}")
    made = []
    for number in range(count):
        lane = tuple(LANES)[number % len(LANES)]
        fault = rng.choices(("kill", "delayed", "cut", "freeze", "race"), (45, 30, 12, 3, 10))[0]
        step = (
            STEPS[(number // len(LANES)) % len(STEPS)] if fault == "kill" else rng.choice(("pended", "change", "prove"))
        )
        made.append(Case(number, lane, fault, step, 1, round(rng.random() * 0.6, 3), rng.random() < 0.2))
    return made


def wanted(config) -> list[Case]:
    everything = cases(SEED)
    picked = os.environ.get("AGENT_CASES")
    if picked:
        return [case for case in everything if case.number in {int(word) for word in picked.split(",")}]
    if "campaign" in (config.getoption("markexpr") or "") and "not campaign" not in config.getoption("markexpr"):
        return everything
    return random.Random(f"tenth {SEED}").sample(everything, len(everything) // 10)


class Rotations:
    """The workspace with its vault, and what is known of the accounts past it."""

    def __init__(self, lab, folder: Path) -> None:
        self.lab = lab
        self.workspace = Workspace(folder, lab.workspace)
        (folder / "inventory" / "accounts.yaml").write_text(ACCOUNTS, encoding="utf-8")
        done = self.workspace.run("vault", "init")
        assert done.returncode == 0, done.stderr
        for lane, (host, names) in LANES.items():
            for name in names:
                self._make(lane, host, name.partition("@")[0])

    def _make(self, lane: str, host: str, user: str) -> None:
        if lane.startswith("linux"):
            self.lab.enter(host, "sh", "-c", f"id {user} >/dev/null 2>&1 || useradd -m -s /bin/bash {user}")
        elif lane == "mariadb":
            hashed = native_hash(Secret(f"first-{user}"))
            self.lab.enter(
                host, "mariadb",
                stdin=f"CREATE OR REPLACE USER {user}@'%' IDENTIFIED VIA mysql_native_password USING '{hashed}';",
            )  # fmt: skip
        else:
            self.lab.enter(
                host, "runuser", "-u", "postgres", "--", "psql", "-qX",
                stdin=f"DROP ROLE IF EXISTS {user}; CREATE ROLE {user} LOGIN PASSWORD 'first-{user}';",
            )  # fmt: skip

    def remove(self) -> None:
        for lane, (host, names) in LANES.items():
            for name in names:
                user = name.partition("@")[0]
                if lane.startswith("linux"):
                    self.lab.enter(host, "userdel", "-r", "-f", user)
                elif lane == "mariadb":
                    self.lab.enter(host, "mariadb", stdin=f"DROP USER IF EXISTS {user}@'%';")
                else:
                    sql = f"DROP ROLE IF EXISTS {user};"
                    self.lab.enter(host, "runuser", "-u", "postgres", "--", "psql", "-qX", stdin=sql)

    def start(self, case: Case, *, fault: bool = True) -> subprocess.Popen[str]:
        step = case.step if fault and case.fault in {"kill", "delayed"} else "none"
        delay = case.delay if case.fault == "delayed" else 0.0
        seconds = 3.0 if case.fault == "freeze" and fault else 60.0
        names = LANES[case.lane][1]
        words = [sys.executable, AGENT, self.workspace.folder, step, case.count, delay, seconds, *names]
        return subprocess.Popen(
            [str(word) for word in words],
            env=self.workspace.environment | {"PYTHONPATH": str(AGENT.parents[2])},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def hurt(self, case: Case) -> str:
        """Do what the case says; what the process said."""
        process = self.start(case)
        other = self.start(case) if case.fault == "race" else None
        if case.fault in {"cut", "freeze"}:
            self._at_change(process, case)
        out, err = process.communicate(timeout=180)
        if other is not None:
            more, _ = other.communicate(timeout=180)
            out += more
        assert "Traceback" not in err or "-9" in str(process.returncode), err
        return out

    def _at_change(self, process: subprocess.Popen[str], case: Case) -> None:
        """When the change is sent, cut the agent's sessions on the host, or stop them past the deadline."""
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() == "change":
                break
        time.sleep(case.delay / 2)
        host = LANES[case.lane][0]
        find = "pgrep -f '^sshd: ops'"
        if case.fault == "cut":
            self.lab.enter(host, "sh", "-c", f"{find} | xargs -r kill -9; :")
        else:
            self.lab.enter(
                host, "sh", "-c", f"{find} | xargs -r kill -STOP; (sleep 4; {find} | xargs -r kill -CONT) & wait"
            )

    def held_by_target(self, account) -> set[str]:
        """State of the version with which a login works, found by logging in; past every record of the agent.

        The likeliest first: each that is refused costs the seconds that PAM waits.
        """
        app = self.workspace.app()
        try:
            rows = app.vault.versions([account.id]).get(account.id, [])
            kept = [row for row in rows if row.state in _LIKELY and row.sealed]
            kept.sort(key=lambda row: (_LIKELY.index(row.state), -row.version))
            login = by_ssh if account.kind == "linux" else by_sql
            for row in kept:
                if login(app, account, app.vault.reveal(row))[0] is Login.IN:
                    return {row.state}
            return set()
        finally:
            app.close()

    def accounts(self, lane: str):
        app = self.workspace.app()
        try:
            return chosen(app, LANES[lane][1])
        finally:
            app.close()

    def states(self, lane: str) -> dict[str, list[str]]:
        app = self.workspace.app()
        try:
            return {name: [row.state for row in rows] for name, rows in app.vault.versions(LANES[lane][1]).items()}
        finally:
            app.close()


@pytest.fixture(scope="module")
def rotations(lab, tmp_path_factory):
    made = Rotations(lab, tmp_path_factory.mktemp("rotation") / "w")
    yield made
    made.remove()


def run(rotations: Rotations, case: Case) -> str:
    """One case; the fault that it found in us, or nothing."""
    out = rotations.hurt(case)
    # what the target holds now, before anything is mended, must be in the vault
    begun = any(rotations.states(case.lane).values())
    accounts = rotations.accounts(case.lane)
    if begun and case.number % 4 == 0:
        states = rotations.states(case.lane)
        for account in accounts:
            known = {PENDING, CURRENT, VOID} & set(states.get(account.id, []))
            if CURRENT in known and not rotations.held_by_target(account):
                return f"{account.id}: LOST before it was settled ({out.split()[-5:]})"
    if case.twice:
        process = rotations.start(replace(case, fault="kill", step="settle"))
        process.communicate(timeout=180)
    narrow = [word for name in LANES[case.lane][1] for word in ("--account", name)]
    done = rotations.workspace.run("password", "rotate", "--settle", "--json", *narrow)
    if done.returncode not in {0, 1}:  # 1: some kept the old one
        return f"the next run did not settle it: {done.stdout}{done.stderr}"
    for name, states in rotations.states(case.lane).items():
        if PENDING in states:
            return f"{name}: still pending: {done.stdout}"
    for account in accounts:
        states = rotations.states(case.lane).get(account.id, [])
        if CURRENT in states and rotations.held_by_target(account) != {CURRENT}:
            return f"{account.id}: the current one does not log in (states {states}, {done.stdout})"
    return ""


def lane_of(rotations: Rotations, mine: list[Case]) -> list[tuple[Case, str, float]]:
    done = []
    for case in mine:
        began = time.monotonic()
        try:
            wrong = run(rotations, case)
        except Exception as error:  # noqa: BLE001 - a case that breaks is a case that failed
            wrong = f"{type(error).__name__}: {error}"
        done.append((case, wrong, time.monotonic() - began))
        say(f"case {case.number} {case.lane} {case.fault} {case.step} {case.delay}: {wrong or 'good'}")
    return done


@pytest.mark.lab
@pytest.mark.campaign
def test_no_password_is_lost_whole(rotations, request):
    _all(rotations, request)


@pytest.mark.lab
def test_no_password_is_lost(rotations, request):
    _all(rotations, request)


def _all(rotations, request):
    picked = wanted(request.config)
    lanes = [[case for case in picked if case.lane == lane] for lane in LANES]
    with ThreadPoolExecutor(len(lanes)) as pool:
        done = [one for lane in pool.map(lambda mine: lane_of(rotations, mine), lanes) for one in lane]
    counts = Counter(case.fault for case, _, _ in done)
    say(f"seed {SEED}: {len(done)} cases {dict(counts)}, {sum(took for _, _, took in done):.0f} s")
    wrong = [f"{case}: {fault}" for case, fault, _ in done if fault]
    assert not wrong, "\n".join(wrong)
    for host in ("node-01", "node-03"):
        states = rotations.lab.enter(
            host, "sh", "-c", "for u in rot-a rot-b rot-c; do passwd -S $u; faillock --user $u; done"
        )
        assert " L " not in states, states
