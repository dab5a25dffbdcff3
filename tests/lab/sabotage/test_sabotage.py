"""Seeded sabotage on real hosts: whatever breaks, the way in comes back in time and the journal tells the truth.

A tenth of the cases in `make test`, all of them in `make campaign`; $AGENT_SEED repeats a run, $AGENT_CASES (`12,40`) picks
cases of it. A line a case and the closing table go to standard output (`pytest -s`) and to state/sabotage-SEED.log.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import secrets
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import dbmanifest
import pytest
from hardening import HostUnderChange, differences
from sabotage import DATABASES, LIBRARY, Case, cases

from agent.change import transaction
from agent.change.transaction import Transaction
from agent.flows import ways
from agent.lab import boot
from agent.lab.boot import enter
from agent.lab.machines import MACHINES
from agent.lab.record import Record, alone, leader_of, pid_of
from agent.model.change import TxState
from agent.model.errors import AgentError

SEED = os.environ.get("AGENT_SEED", "2027")
HOSTS = ("node-06", "node-04", "bastion-01", "inner-01")
LANES = (("node-06",), ("node-04",), ("bastion-01", "inner-01"), ("db-01",), ("db-02", "db-03"))
"""Hosts of a lane have their cases one after the other, lanes run at the same time; what lies behind a bastion is in its lane."""
ROOT = Path(__file__).resolve().parents[3]
AGENT = ROOT / "tests" / "support" / "sabotage_agent.py"
SLACK = 12.0
"""Seconds beyond the timer: a poll, a login, the undo itself, on two cores that others use as well."""
BOOT = 75.0
"""Seconds that a container may take to shut down and come up."""

SMALL = """
mkdir -p /run/sab && mount -t tmpfs -o size=6m,nr_inodes=1200 tmpfs /run/sab && mkdir /run/sab/tx && cp -a /etc /run/sab/etc &&
mkdir -p /var/lib/secops-agent && mount --bind /run/sab/tx /var/lib/secops-agent && mount --bind /run/sab/etc /etc
"""
FILL = "cat /dev/zero >/run/sab/fill 2>/dev/null; i=0; while [ $i -lt 1300 ] && true 2>/dev/null >/run/sab/f$i; do i=$((i+1)); done; :"
LARGE = "cd /; umount -l /etc; umount -l /var/lib/secops-agent; umount -l /run/sab; rmdir /run/sab; :"
MANIFEST = r"""
cd / && find etc home/ops -xdev -printf '%y %m %U:%G %p %l\n' | sort; find etc home/ops -xdev -type f -print0 | sort -z | xargs -0 sha256sum
systemctl is-active ssh nftables cron; ss -Hltn | awk '{print $4}' | sort -u; nft list ruleset
"""
"""What the sabotage can reach: bytes, modes, owners; whether services run; who listens; the packet filter."""
DATABASE_MANIFEST = {"mysql": dbmanifest.MARIADB, "postgresql": dbmanifest.POSTGRESQL}
OVER = """cd /var/lib/secops-agent/tx 2>/dev/null || exit 0
for d in */; do [ ! -d "$d" ] || [ -e $d/undone ] || [ -e $d/claimed.agent ] || [ -e $d/opening ] || { echo not over: $(ls $d); }; done"""
"""A harmless change locks nobody out, so its timer is waited for; so is the second undo after a reboot."""
LEFT = r"""
cd /var/lib/secops-agent 2>/dev/null && find . \( -name lock -o -name 'stale.*' -o -name made -o -name '.new.*' -o -name '.gone.*' -o -name '*.stage' \
  -o -name 'busy.*' -o -name idle -o -name token -o -name opening -o -name writer -o -name claimed.sweep \)
systemctl list-units --all --plain --no-legend 'secops-undo-*' 2>/dev/null | grep -v not-found | grep -vE 'secops-undo-(early|late).service +loaded +inactive'
find /etc/systemd/system -name '*secops-undo*'
for p in /proc/[0-9]*; do [ "${p#/proc/}" != $$ ] && tr '\0' ' ' 2>/dev/null <$p/cmdline | grep 'secops-agent/tx/' | grep -v grep; done
:
"""


@dataclass
class Outcome:
    """How a case ended."""

    case: Case
    state: str = ""
    back: float = 0.0
    """Seconds from arming until a fresh privileged login worked, where it was looked for."""
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.case} -> {self.state:9} back after {self.back:5.1f} s  {'; '.join(self.wrong) or 'ok'}"


class Agent:
    """A child process that plays the agent, and what it said."""

    def __init__(self, case: Case, tx: Transaction, cut: float | None = None, *, wait: bool = False) -> None:
        spec = {"workspace": str(ROOT), "host": case.host, "tx": pickle.dumps(tx).hex(), "cut": cut, "wait": wait}
        self.said: dict[str, list[str]] = {}
        self.times: dict[str, float] = {}
        self.heard = threading.Condition()
        self.process = subprocess.Popen(
            [sys.executable, AGENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )  # fmt: skip
        self.go(json.dumps(spec))
        threading.Thread(target=self._listen, daemon=True).start()

    def go(self, line: str = "") -> None:
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def _listen(self) -> None:
        for line in self.process.stdout:
            event, *words = line.split()
            with self.heard:
                self.said[event], self.times[event] = words, time.monotonic()
                self.heard.notify_all()
        with self.heard:
            self.said["end"], self.times["end"] = [], time.monotonic()
            self.heard.notify_all()

    def wait(self, *events: str, seconds: float = 45.0) -> None:
        """Until one of these events, or its end."""
        with self.heard:
            self.heard.wait_for(lambda: {*events, "end"} & set(self.said), seconds)

    def kill(self) -> None:
        """SIGKILL: it has no last word."""
        self.process.kill()
        self.process.wait()


class Saboteur:
    """One host, case after case."""

    def __init__(self, name: str) -> None:
        self.under = HostUnderChange(ROOT, name)
        self.host = self.under.host
        self.before = self.manifest()

    def manifest(self) -> list[str]:
        engine = DATABASES.get(self.host.name, "")
        return self.under.root(f"{MANIFEST}\n{DATABASE_MANIFEST.get(engine, '')}\n:").splitlines()

    def run(self, case: Case) -> Outcome:
        """Do it, then look at everything. The host is as before when it returns, or the outcome says what is wrong."""
        out = Outcome(case)
        txs = [self._transaction(case) for _ in range(2 if case.moment == "two" else 1)]
        small = case.moment.startswith("full")
        began = time.monotonic()
        try:
            if small:
                self.under.root(SMALL)
            began = self._sabotage(case, txs, out)
        except (AgentError, AssertionError, OSError) as error:
            out.wrong.append(f"the harness: {str(error)[:300]}")
        limit = BOOT if case.moment.startswith(("reboot", "power")) else case.ttl + SLACK
        if not self._back(began, limit, out):
            out.wrong.append("LOCKED OUT")
            self._back(time.monotonic(), 90.0, out)
        try:
            self._look(case, txs, out)
            self.under.root((LARGE if small else "") + "\nrm -rf /var/lib/secops-agent/tx")
            if left := differences(self.before, self.manifest()):
                out.wrong.append(f"left different: {left[:4]}")
        except (AgentError, AssertionError, OSError) as error:
            out.wrong.append(f"the look: {str(error)[:300]}")
        return out

    def _transaction(self, case: Case) -> Transaction:
        return Transaction(
            f"s{secrets.token_hex(5)}", (case.step,), LIBRARY[case.step.group], ttl=case.ttl, arm=(case.arm,)
        )

    def _sabotage(self, case: Case, txs: list[Transaction], out: Outcome) -> float:
        """Returns when the timer, or the boot, began to run."""
        kind, _, when = case.moment.partition(":")
        agent = Agent(case, txs[0], case.delay if kind == "cut" else None, wait=kind in {"two", "full"})
        try:
            match kind:
                case "left":
                    agent.wait("begun", "lost", seconds=case.ttl + 30.0)
                case "refused" | "cut":
                    agent.wait("undone", "confirmed", "lost")
                case "kill":
                    agent.wait(when)
                    if when.startswith("in-"):
                        time.sleep(case.delay if when != "in-confirm" else case.delay / 3)
                case "full":
                    self._fill(case, agent, when)
                case "reboot" | "power":
                    agent.wait("begun")
                    agent.kill()
                    return self._reboot(case, txs[0], out)
                case "two":
                    self._two(case, agent, txs, out)
        finally:
            agent.kill()
        if kind == "refused" and "confirmed" in agent.said:
            out.wrong.append("confirmed, although it was sabotaged")
        return agent.times.get("in-begin", time.monotonic()) if "begun" not in agent.said else agent.times["begun"]

    def _fill(self, case: Case, agent: Agent, when: str) -> None:
        """Fill the disk before, during or after begin; past SSH, for the sabotage may have closed the door."""
        agent.wait("ready")
        machine = next(each for each in MACHINES if each.name == self.host.name)

        def fill() -> None:
            enter(Record(ROOT / "state" / "lab"), machine, "sh", "-c", FILL)

        if when == "before":
            fill()
            agent.go()
        else:
            agent.go()
            agent.wait(*(("begun",) if when == "after" else ("in-begin",)))
            time.sleep(case.delay if when == "during" else 0.0)
            fill()
        agent.wait("begun", "lost", seconds=15.0)

    def _reboot(self, case: Case, tx: Transaction, out: Outcome) -> float:
        """Shut it down, or cut its power, and bring it up: the lab's nspawn does not do it by itself.

        Meanwhile nobody may take it for a dead host that must be made anew.
        """
        kind, _, when = case.moment.partition(":")
        machine = next(each for each in MACHINES if each.name == self.host.name)
        record = Record(ROOT / "state" / "lab")
        pid = pid_of(record.folder / "pids" / machine.name, f"--machine={machine.netns}")
        leader = leader_of(pid)
        undo = f"setsid /bin/sh /var/lib/secops-agent/tx/{tx.id}/undo.sh agent >/dev/null 2>&1 &"
        began = time.monotonic()
        with alone():
            # past SSH: the sabotage may have closed the door
            script = f"{undo if when == 'undoing' else ''} sleep {case.delay / 2:.2f}; {'systemctl reboot' if kind == 'reboot' else ':'}"
            enter(record, machine, "sh", "-c", script)
            if kind == "power":
                os.kill(leader, signal.SIGKILL)
            while boot.alive(record, machine) and time.monotonic() - began < BOOT:
                time.sleep(0.1)
            boot.spawn(record, machine, record.folder / "run" / machine.name / "root")
            self._back(began, BOOT, out)
        return began

    def _two(self, case: Case, agent: Agent, txs: list[Transaction], out: Outcome) -> None:
        """Two agents at once: one holds it, the other is told so."""
        other = Agent(case, txs[1], wait=True)
        try:
            for each in (agent, other):
                each.wait("ready")
            for each in (agent, other):
                each.go()
            for each in (agent, other):
                each.wait("begun", "lost")
            told = [each.said.get("begun", ["?"] * 4) for each in (agent, other)]
        finally:
            other.kill()
        held = [words for words in told if words[0] == "armed"]
        busy = [words for words in told if words[:1] == ["absent"] and words[1] in {tx.id for tx in txs}]
        if (len(held), len(busy)) != (1, 1):
            out.wrong.append(f"two agents: {told}")

    def _back(self, began: float, limit: float, out: Outcome) -> bool:
        """A fresh privileged login by every declared way, to what lies behind and to its databases; and it is over."""
        while True:
            left = "no login"
            with contextlib.suppress(AgentError):
                left = self._shut_out()
            out.back = time.monotonic() - began
            if not left:
                return True
            if out.back > limit:
                out.wrong.append(f"after {out.back:.0f} s: {left}")
                return False
            time.sleep(0.3)

    def _shut_out(self) -> str:
        """Ways that do not lead in, or what is not over yet. Raises AgentError when the first of them does not."""
        app = self.under.app
        for way in ways.ways(self.host):
            ways.log_in(app, self.host, way)
        shut = ways.ways_in(app, self.host, first=False)[1]
        silent = [ways.no_database(app, database) for database in ways.databases_on(app, self.host)]
        return "; ".join(filter(None, [*shut, *silent])) or self.under.root(OVER).strip()

    def _look(self, case: Case, txs: list[Transaction], out: Outcome) -> None:
        """The journal's word against what is there."""
        nonce = secrets.token_hex(8)
        answers = self.under.ask(transaction.states([tx.id for tx in txs], nonce), nonce)
        states = [transaction.state_of(answers[f"tx.{tx.id}"]) for tx in txs]
        out.state = "/".join(state.value for state in states)
        changed = differences(self.before, self.manifest())
        confirmed = TxState.CONFIRMED in states
        if not all(state in {TxState.CONFIRMED, TxState.UNDONE, TxState.ABSENT} for state in states):
            out.wrong.append(f"LIE: not settled: {out.state}")
        if confirmed and case.name != "harmless":
            out.wrong.append("LIE: confirmed, although it was sabotaged")
        if bool(changed) != confirmed:
            out.wrong.append(f"LIE: {out.state}, and yet {changed[:4] or 'nothing is changed'}")
        if answers["lock"].text.strip():
            out.wrong.append(f"lock of {answers['lock'].text.strip()}")
        if left := self.under.root(LEFT).strip():
            out.wrong.append(f"left behind: {left[:300]}")
        if confirmed:
            self._take_back(changed, txs[states.index(TxState.CONFIRMED)], out)

    def _take_back(self, changed: list[str], tx: Transaction, out: Outcome) -> None:
        """A confirmed one is reverted, as `agent rollback` does."""
        wanted = ["etc/issue", "etc/login.defs", "etc/sabotage.d", "etc/sabotage.d/new.conf"]
        if not all(any(name in line for line in changed) for name in wanted):
            out.wrong.append("LIE: confirmed, and not all of it is there")
        try:
            self.under.revert(tx)
        except (AgentError, AssertionError, IndexError, KeyError) as error:
            out.wrong.append(f"revert: {str(error)[:300]}")
            self._back(time.monotonic(), self.under.ttl + SLACK, out)
        self.under.root("rmdir /etc/sabotage.d 2>/dev/null; :")


def campaign(chosen: list[Case]) -> list[Outcome]:
    """All these cases, by lanes, with a line each and a table at the end."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()
    log = (ROOT / "state" / f"sabotage-{SEED}.log").open("a", encoding="utf-8")
    lock = threading.Lock()

    def say(line: str) -> None:
        with lock:
            print(line, flush=True)  # noqa: T201 - the campaign's log
            print(line, file=log, flush=True)

    say(f"sabotage: seed {SEED}, commit {commit}, {len(chosen)} cases")

    def lane(names: tuple[str, ...]) -> list[Outcome]:
        done = []
        hosts: dict[str, Saboteur] = {}
        for case in chosen:
            if case.host in names:
                if case.host not in hosts:
                    hosts[case.host] = Saboteur(case.host)
                done.append(hosts[case.host].run(case))
                say(str(done[-1]))
        return done

    with ThreadPoolExecutor(len(LANES)) as pool:
        outcomes = [one for done in pool.map(lane, LANES) for one in done]
    say(f"{'moment':20} {'cases':>5} {'wrong':>5} {'longest':>8}")
    for moment in dict.fromkeys(one.case.moment for one in sorted(outcomes, key=lambda one: one.case.number)):
        mine = [one for one in outcomes if one.case.moment == moment]
        say(
            f"{moment:20} {len(mine):5} {sum(bool(one.wrong) for one in mine):5} {max(one.back for one in mine):6.1f} s"
        )
    words = [word for one in outcomes for word in one.wrong]
    say(
        f"{len(outcomes)} cases, seed {SEED}, commit {commit}: lock-outs {sum('LOCKED' in word for word in words)}, "
        f"lies {sum('LIE' in word for word in words)}, wrong otherwise {sum('LOCKED' not in w and 'LIE' not in w for w in words)}"
    )
    return outcomes


def picked(one_in: int) -> list[Case]:
    numbers = {int(number) for number in os.environ.get("AGENT_CASES", "").split(",") if number}
    return [
        case
        for case in cases(SEED, HOSTS, tuple(DATABASES), 1 if numbers else one_in)
        if not numbers or case.number in numbers
    ]


def test_a_tenth_of_the_sabotage_locks_nobody_out_and_tells_no_lie(lab):
    del lab
    assert [str(one) for one in campaign(picked(10)) if one.wrong] == []


@pytest.mark.campaign
def test_all_of_the_sabotage_locks_nobody_out_and_tells_no_lie(lab):
    del lab
    chosen = picked(1)
    assert len(chosen) >= 200 or os.environ.get("AGENT_CASES")
    assert [str(one) for one in campaign(chosen) if one.wrong] == []
