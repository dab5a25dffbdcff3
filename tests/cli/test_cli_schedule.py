"""schedule, run-due, watch: through the parser with an injected clock, and as real processes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.app import App
from agent.cli import timers
from agent.cli.main import cli
from agent.declared.workspace import make_workspace
from agent.model.errors import AgentError, ToolError

ROOT = Path(__file__).parents[2]
AUTUMN = datetime(2026, 9, 24, 2, tzinfo=UTC)
CONFIRMED = "status: confirmed\n  confirmed_by: 赵六"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_workspace(tmp_path / "ws")
    return tmp_path / "ws"


def call(root: Path, now: datetime, *words: str) -> int:
    app = App(root, lambda: now)
    try:
        return int(cli.main(list(words), obj=app, standalone_mode=False))
    finally:
        app.close()


def rows(root: Path, now: datetime, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, dict[str, str]]:
    capsys.readouterr()
    call(root, now, "schedule", "show", "--json", *words)
    return {row["job"]: row for row in json.loads(capsys.readouterr().out)}


def test_show_lists_the_contract_year(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(root, AUTUMN, "schedule", "show") == 1
    shown = capsys.readouterr().out
    assert shown.startswith("2026-07-01 to 2027-06-30")
    assert "2027-03-01 01:00  scan:lianghui-2027" in shown
    assert "waiting for confirmation" in shown
    found = rows(root, AUTUMN, capsys)
    assert len(found) == 18
    assert found["scan:guoqing-2026"]["state"] == "due"
    assert found["scan:lianghui-2027"]["due_at"] == "2027-02-28T17:00:00+00:00"
    assert set(rows(root, AUTUMN, capsys, "--year", "2026")) == {
        f"{kind}:{period}"
        for kind in ("scan", "report")
        for period in ("zhongqiu-2026", "guoqing-2026", "yuandan-2027", "beijing-lianghui-2027")
    }
    assert set(rows(root, AUTUMN, capsys, "--from", "2027-06-01")) == {"scan:duanwu-2027", "report:duanwu-2027"}
    assert rows(root, AUTUMN, capsys, "--from", "2026-07-01", "--to", "2026-07-31") == {}


def test_run_due_runs_the_flow_and_shows_its_record(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []

    def flow(app: App, job: str) -> str:
        assert app.root == root
        ran.append(job)
        if job.startswith("report"):
            raise AgentError("no font", remedy="install one")
        return "run r-1"

    monkeypatch.setattr("agent.flows.jobs.run", flow)
    assert call(root, AUTUMN, "run-due", "--json") == 3
    found = json.loads(capsys.readouterr().out)
    assert ran == ["scan:guoqing-2026", "report:guoqing-2026"]
    assert [row["state"] for row in found["ran"]] == ["done", "due"]
    shown = rows(root, AUTUMN, capsys)
    assert (shown["scan:guoqing-2026"]["state"], shown["scan:guoqing-2026"]["result"]) == ("done", "run r-1")
    assert shown["report:guoqing-2026"]["state"] == "retrying"
    assert "no font" in shown["report:guoqing-2026"]["result"]
    assert shown["scan:zhongqiu-2026"]["state"] == "missed"
    assert call(root, AUTUMN, "run-due") == 0
    assert len(ran) == 2


def test_an_estimated_period_is_named_and_not_run(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []
    monkeypatch.setattr("agent.flows.jobs.run", lambda _app, job: ran.append(job) or "ok")
    spring = datetime(2027, 3, 1, 2, tzinfo=UTC)
    assert call(root, spring, "run-due") == 1
    assert "scan:lianghui-2027: waiting for confirmation" in capsys.readouterr().err
    assert ran == []
    file = root / "periods.yaml"
    text = file.read_text("utf-8")
    head, tail = text.split("id: lianghui-2027")
    file.write_text(f"{head}id: lianghui-2027{tail.replace('status: estimated', CONFIRMED, 1)}", "utf-8")
    assert call(root, spring, "run-due") == 0
    assert ran == ["scan:lianghui-2027", "report:lianghui-2027"]


def test_done_and_retry_by_hand(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(root, AUTUMN, "schedule", "done", "scan:lianghui-2027", "--record", "run r-9") == 0
    found = rows(root, AUTUMN, capsys)["scan:lianghui-2027"]
    assert found["state"] == "done"
    assert found["result"].endswith("run r-9")
    for words in (["done", "scan:nope", "--record", "x"], ["retry", "scan:nope"], ["retry", "scan:lianghui-2027"]):
        with pytest.raises(AgentError):
            call(root, AUTUMN, "schedule", *words)


SCRIPT = """
import os, sys, time
from datetime import UTC, datetime
from pathlib import Path
import agent.flows.jobs
from agent.app import App
from agent.cli.main import cli

root, pause, start, words = Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]), sys.argv[4:]
log = os.open(root.parent / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def run(app, job):
    os.write(log, f"{job}\\n".encode())
    time.sleep(pause)
    return "ok"

agent.flows.jobs.run = run
while time.time() < start:
    time.sleep(0.001)
sys.exit(cli.main(words, obj=App(root, lambda: datetime(2026, 9, 24, 2, tzinfo=UTC)), standalone_mode=False))
"""


def spawn(root: Path, pause: float, start: float, *words: str) -> "subprocess.Popen[str]":
    args = [sys.executable, "-c", SCRIPT, str(root), str(pause), str(start), *words]
    return subprocess.Popen(args, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def log(root: Path) -> list[str]:
    file = root.parent / "log"
    return file.read_text().split() if file.exists() else []


def until(true: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_run_due_from_eight_processes_at_once(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start = time.time() + 8
    processes = [spawn(root, 0.2, start, "run-due") for _ in range(8)]
    for process in processes:
        _, errors = process.communicate(timeout=180)
        assert process.returncode == 0, errors
    assert Counter(log(root)) == {"scan:guoqing-2026": 1, "report:guoqing-2026": 1}
    assert rows(root, AUTUMN, capsys)["report:guoqing-2026"]["state"] == "done"


def test_watch_ends_clean_on_sigterm(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    process = spawn(root, 0.0, 0.0, "watch", "--every", "1")
    until(lambda: len(log(root)) == 2)
    time.sleep(1.5)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert errors.rstrip().endswith("stopped")
    assert len(log(root)) == 2
    assert rows(root, AUTUMN, capsys)["report:guoqing-2026"]["state"] == "done"


def test_watch_gives_a_running_job_back(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    process = spawn(root, 60.0, 0.0, "watch")
    until(lambda: bool(log(root)))
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 3, errors
    found = rows(root, AUTUMN, capsys)["scan:guoqing-2026"]
    assert (found["state"], found["result"]) == ("due", "interrupted")


def test_watch_outlives_a_broken_file_and_sees_it_mended(root: Path) -> None:
    file = root / "periods.yaml"
    good = file.read_bytes()
    file.write_bytes(b"periods: [\n")
    process = spawn(root, 0.0, 0.0, "watch", "--every", "1")
    time.sleep(4)
    assert process.poll() is None
    assert log(root) == []
    file.write_bytes(good)
    until(lambda: len(log(root)) == 2)
    time.sleep(1.5)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert "is not YAML" in errors


def _tool(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def test_install_cron_prints_then_writes_once(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "table"
    read = f'cat {table} 2>/dev/null || {{ echo "no crontab for x" >&2; exit 1; }}'
    script = f'if [ "$1" = -l ]; then {read}; else cat >{table}; fi'
    _tool(tmp_path / "bin", "crontab", script)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    assert call(root, AUTUMN, "schedule", "install", "--cron") == 0
    line = capsys.readouterr().out.strip()
    assert line.startswith("*/5 * * * * umask 077; ")
    assert f"-C {root} run-due >>{root}/state/run-due.log" in line
    assert not table.exists()
    for _ in range(2):
        assert call(root, AUTUMN, "schedule", "install", "--cron", "--write") == 0
        assert table.read_text() == f"{line}\n"
    table.write_text(f"0 1 * * * other\n{line.replace('*/5', '*/9')}\n")
    call(root, AUTUMN, "schedule", "install", "--cron", "--write")
    assert table.read_text() == f"0 1 * * * other\n{line}\n"
    _tool(tmp_path / "bin", "crontab", "echo you may not >&2; exit 1")
    with pytest.raises(ToolError, match="you may not"):
        call(root, AUTUMN, "schedule", "install", "--cron", "--write")


def test_install_systemd_writes_units_and_starts_the_timer(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "units"
    _tool(tmp_path / "bin", "systemctl", f'echo "$@" >>{tmp_path}/calls')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(timers, "unit_folder", lambda: folder)
    assert call(root, AUTUMN, "schedule", "install", "--systemd") == 0
    shown = capsys.readouterr().out
    assert "Persistent=true" in shown
    assert not folder.exists()
    assert call(root, AUTUMN, "schedule", "install", "--systemd", "--write") == 0
    service, timer = sorted(folder.iterdir())
    assert service.suffix == ".service"
    assert f'"-C" "{root}" "run-due"' in service.read_text()
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls == ["--user daemon-reload", f"--user enable --now {timer.name}"]
    _tool(tmp_path / "bin", "systemctl", "echo no bus >&2; exit 1")
    with pytest.raises(ToolError, match="no bus"):
        call(root, AUTUMN, "schedule", "install", "--systemd", "--write")


def test_a_path_that_cron_would_break_is_refused() -> None:
    with pytest.raises(AgentError, match="line break or %"):
        timers.cron_line(["agent"], Path("/srv/50%"))
    assert "'/srv/a b'" in timers.cron_line(["agent"], Path("/srv/a b"))
    service, _timer = timers.units(["agent"], Path("/srv/$x")).values()
    assert '"-C" "/srv/$$x" "run-due"' in service
