"""Real processes that race for the same jobs, and some that are killed in the middle."""

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from agent.jobs import plan, slots
from agent.model.period import Period, PeriodStatus
from agent.store.engine import Store

ROOT = Path(__file__).parents[2]
NOW = datetime(2027, 3, 1, 2, tzinfo=UTC)

WORKER = """
import json, os, sys, time
from datetime import UTC, datetime, timedelta
from pathlib import Path
sys.path.insert(0, sys.argv[4])
from agent.jobs import Policy, plan, run_due
from agent.store.engine import open_store
from tests.jobs.test_race import NOW, many

state, began, pause = Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
log = os.open(state.parent / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def say(**what):
    os.write(log, (json.dumps(what | {"pid": os.getpid()}) + "\\n").encode())

def runner(job):
    say(event="begin", job=job)
    time.sleep(pause)
    say(event="end", job=job)
    return f"by {os.getpid()}"

clock = (lambda: NOW + timedelta(seconds=time.time() - began)) if pause else (lambda: NOW)
policy = Policy(lease=timedelta(seconds=1.5), attempts=60)
while time.time() < began:
    time.sleep(0.001)
with open_store(state) as store:
    say(event="ready")
    for one in run_due(store, plan(many()), clock, runner, policy=policy):
        say(event="ran", job=one.job, state=one.state)
"""


def many() -> tuple[Period, ...]:
    """Return ten periods that begin on the same day, so that none catches up another."""
    days = date(2027, 3, 4), date(2027, 3, 13), date(2027, 3, 1)
    return tuple(Period(f"p-{i}", f"p{i}", "t", "national", *days, PeriodStatus.OFFICIAL) for i in range(10))


def start(state: Path, began: float, pause: float) -> "subprocess.Popen[bytes]":
    words = [sys.executable, "-c", WORKER, str(state), str(began), str(pause), str(ROOT)]
    return subprocess.Popen(words, cwd=ROOT, stderr=subprocess.PIPE)


def told(state: Path, event: str) -> list[dict[str, object]]:
    lines = (state.parent / "log").read_text().splitlines()
    return [said for line in lines if (said := json.loads(line))["event"] == event]


def test_eight_processes_at_once_run_each_job_exactly_once(store: Store, tmp_path: Path) -> None:
    state = tmp_path / "state"
    began = time.time() + 2.5
    workers = [start(state, began, 0.0) for _ in range(8)]
    for worker in workers:
        _, errors = worker.communicate(timeout=120)
        assert worker.returncode == 0, errors.decode()
    assert len(told(state, "ready")) == 8
    jobs = {one.job for one in plan(many())}
    assert Counter(said["job"] for said in told(state, "begin")) == dict.fromkeys(jobs, 1)
    assert Counter((said["job"], said["state"]) for said in told(state, "ran")) == {(job, "done"): 1 for job in jobs}
    assert {(row.job, row.state, row.attempt) for row in slots(store)} == {(job, "done", 1) for job in jobs}


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(int(os.environ.get("CAMPAIGN_SEEDS", "1"))))
def test_killed_in_the_middle_every_job_is_done_and_only_the_killed_are_begun_again(
    store: Store, tmp_path: Path, seed: int
) -> None:
    state = tmp_path / "state"
    chance = random.Random(seed)
    began = time.time()
    workers = [start(state, began, 0.15) for _ in range(4)]
    killed: set[int] = set()
    deadline = time.monotonic() + 150
    jobs = {one.job for one in plan(many())}
    while {row.job for row in slots(store) if row.state == "done"} != jobs:
        assert time.monotonic() < deadline, [(row.job, row.state, row.attempt) for row in slots(store)]
        time.sleep(chance.uniform(0.05, 0.5))
        if len(killed) < 12:
            victim = chance.choice(workers)
            if victim.poll() is None:
                victim.kill()
                killed.add(victim.pid)
        for index, worker in enumerate(workers):
            if worker.poll() is not None:
                assert worker.returncode in {0, -9}, worker.communicate()[1].decode()
                workers[index] = start(state, began, 0.15)
    for worker in workers:
        worker.wait(60)
    assert killed
    begins: dict[str, list[int]] = {}
    for said in told(state, "begin"):
        begins.setdefault(str(said["job"]), []).append(int(str(said["pid"])))
    for row in slots(store):
        assert len(begins[row.job]) <= row.attempt
        # Whoever began a job that was begun again had been killed; the last one finished it.
        assert set(begins[row.job][:-1]) <= killed, (row.job, begins[row.job])
        assert row.result == f"by {begins[row.job][-1]}"


def test_the_worker_of_the_race_sees_the_same_jobs() -> None:
    assert all(one.due_at <= NOW < one.until - timedelta(days=1) for one in plan(many()))
