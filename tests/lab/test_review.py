"""Rounds under bad luck: what changes under them, who interrupts them, who no longer listens."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from workspaces import Workspace

from agent.flows import jobs, scan
from agent.flows.held import held
from agent.model.asset import Layer
from agent.model.errors import AgentError
from agent.store import runs


@pytest.fixture
def workspace(lab, tmp_path):
    return Workspace(tmp_path / "w", lab.workspace)


def begun(workspace, *names, layers=(Layer.HOST,)):
    """A run of which nothing was done yet, as a kill right after its beginning leaves it."""
    app = workspace.app()
    period = next(item for item in app.periods if item.name == "lianghui")
    try:
        return scan.begin(app, period, scan.Plan(period.id, names, tuple(layers), "选定"))
    finally:
        app.close()


def rename(workspace, old, new):
    path = workspace.folder / "inventory" / "hosts.yaml"
    text = path.read_text(encoding="utf-8")
    assert f"name: {old}," in text
    path.write_text(text.replace(f"name: {old},", f"name: {new},"), encoding="utf-8")


def test_a_host_that_left_the_inventory_is_told_not_forgotten(workspace):
    run = begun(workspace, "node-05", "node-06", layers=(Layer.HOST, Layer.NETWORK))
    rename(workspace, "node-06", "node-66")
    done = workspace.run("scan", "--resume", run, "--json")
    assert done.returncode == 3, done.stderr
    summary = json.loads(done.stdout)
    assert {(item["target"], item["reason"]) for item in summary["unreached"]} == {("node-06", "not-in-inventory")}
    told = json.loads(workspace.run("report", "scan", "--format", "html", "--json").stdout)
    assert "node-06" in Path(told["paths"]["html"]).read_text(encoding="utf-8")


def test_a_finished_round_is_still_reported_when_a_host_leaves_later(workspace):
    assert workspace.run("scan", "--period", "lianghui", "--target", "node-06", "--layer", "host").returncode == 1
    before = len(workspace.json("findings"))
    rename(workspace, "node-06", "node-66")
    done = workspace.run("report", "scan", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["findings"] == before


def test_two_processes_do_not_work_on_one_run(workspace):
    run = begun(workspace, "node-05")
    with held(workspace.folder / "state", run):
        done = workspace.run("scan", "--resume", run)
    assert done.returncode == 2
    assert "another process" in done.stderr
    assert workspace.run("scan", "--resume", run).returncode == 1


def test_a_part_that_was_cut_off_is_no_attempt_at_the_scheduled_whole(workspace):
    part = begun(workspace, "node-05")
    app = workspace.app()
    period = next(item for item in app.periods if item.name == "lianghui")
    assert jobs._unfinished(app, period) == ""
    whole = begun(workspace, *(target.name for target in app.inventory.targets), layers=tuple(Layer))
    assert jobs._unfinished(app, period) == whole != part
    app.close()


def test_a_scheduled_round_that_saw_nothing_does_not_count(workspace, monkeypatch):
    (workspace.folder / "state" / "credentials.yaml").unlink()
    monkeypatch.setattr(scan.network, "scan", lambda *_a, **_k: b"<nmaprun><runstats><finished/></runstats></nmaprun>")
    app = workspace.app()
    with pytest.raises(AgentError, match="counts for nothing"):
        jobs.run(app, "scan:lianghui-2027")
    app.close()


def test_broken_exceptions_are_told_before_any_host_is_reached(workspace):
    (workspace.folder / "exceptions.yaml").write_text("exceptions: [", encoding="utf-8")
    done = workspace.run("scan", "--period", "lianghui", "--target", "node-05", "--layer", "host")
    assert done.returncode == 2
    assert "exceptions.yaml:" in done.stderr
    run = re.search(r"--resume (scan-\S+)", done.stderr)[1]
    assert {task.state for task in runs.tasks(workspace.app().store, run)} == {"waiting"}


def knocking(address):
    """Processes of nmap that look at this address."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = file.read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"nmap") and address.encode() in words:
            found.append(int(file.parent.name))
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_nothing_knocks_on_hosts_after_the_agent_was_ended(workspace, number):
    process = workspace.start("scan", "--period", "lianghui", "--layer", "network", "--target", "legacy-01")
    until = time.monotonic() + 30
    while not knocking("10.66.0.43") and time.monotonic() < until:
        time.sleep(0.05)
    assert knocking("10.66.0.43")
    process.send_signal(number)
    process.send_signal(number)
    _, said = process.communicate(timeout=10)
    assert process.returncode == 3
    assert "--resume scan-" in said
    until = time.monotonic() + 3
    while knocking("10.66.0.43") and time.monotonic() < until:
        time.sleep(0.05)
    assert knocking("10.66.0.43") == []


def test_a_round_whose_reader_has_gone_is_a_round_all_the_same(workspace):
    command = (
        f"python -m agent -C {workspace.folder} scan --period lianghui --layer host"
        " --target node-05 --target node-06 2>&1 | true; echo ${PIPESTATUS[0]}"
    )
    environment = workspace.environment | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    here = Path(__file__).parents[2]
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, check=False, env=environment, cwd=here
    )
    (run,) = runs.latest_runs(workspace.app().store, "scan")
    assert run.state == "closed"
    assert done.stdout.strip() == "1"


def test_what_was_mended_is_fixed_and_what_was_not_looked_at_is_not(lab, workspace):
    words = ("scan", "--period", "lianghui", "--layer", "host", "--target", "slow-01")
    workspace.run(*words)
    before = {item["check"] for item in workspace.json("findings") if item["state"] == "open"}
    lab.enter("slow-01", "sh", "-c", "cp -a /etc/login.defs /etc/login.defs.kept")
    try:
        lab.enter("slow-01", "sed", "-i", "s/^PASS_MAX_DAYS.*/PASS_MAX_DAYS 30/", "/etc/login.defs")
        workspace.run(*words)
        after = {item["check"] for item in workspace.json("findings") if item["state"] == "open"}
    finally:
        lab.enter("slow-01", "sh", "-c", "mv /etc/login.defs.kept /etc/login.defs")
    newest, older = runs.latest_runs(workspace.app().store, "scan")
    rows = workspace.json("findings", "compare", older.id, newest.id)
    fixed = {row["check"] for row in rows if row["change"] == "已修复"}
    assert fixed == before - after
    assert fixed
    workspace.run("scan", "--period", "lianghui", "--layer", "host", "--target", "node-05")
    rows = workspace.json("findings", "compare", newest.id, runs.latest_runs(workspace.app().store, "scan")[0].id)
    assert {row["change"] for row in rows if row["target"] == "slow-01"} == {"未复核"}
