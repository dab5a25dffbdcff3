"""Figures of the goals, each against its bare floor in the same run. `make bench` prints them; none is a timed test.

Needs root and the lab (raised when it is not up, and then taken down again). Results
of one machine are kept in docs/benchmarks.md.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import feeds
import harden
import match
import paramiko
import rotation
import vault

from agent import lab
from agent.app import App
from agent.flows import demo, scan
from agent.model.asset import Host, Layer
from agent.observe import host as hosts
from agent.observe import network
from agent.session import FileCredentials
from agent.store import runs

ROOT = Path(__file__).parents[1]
AGENT = [sys.executable, "-m", "agent"]
ROUNDS = 3


def timed(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Median seconds of some rounds."""
    took = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        took.append(time.perf_counter() - start)
    return statistics.median(took)


def row(what: str, figure: str, goal: str) -> None:
    """One line of the table."""
    print(f"| {what} | {figure} | {goal} |", flush=True)


def help_time() -> None:
    """`agent --help`."""
    seconds = timed(lambda: subprocess.run([*AGENT, "--help"], check=True, capture_output=True), 7)
    row("`agent --help`", f"{seconds:.2f} s", "< 0.3 s")


def plain_hosts(app: App) -> list[Host]:
    """Hosts that paramiko reaches by itself: neither the bastion's inner host nor the one with old algorithms."""
    return [host for host in app.inventory.hosts if host.transport == "ssh" and not host.bastion]


def bare_host(app: App, credentials: FileCredentials, host: Host) -> bytes:
    """The floor: paramiko connect and the same script, nothing kept, nothing checked but the login."""
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.WarningPolicy())
    key = credentials.key_file(host) if host.auth == "key" else None
    word = credentials.password(host, "login").reveal() if host.auth == "password" else None
    login = {"password": word, "key_filename": key, "look_for_keys": False, "allow_agent": False}
    client.connect(host.address, host.port, host.user, **login)
    sudo = credentials.password(host, "sudo").reveal() + "\n" if host.become.password else ""
    stdin, stdout, _ = client.exec_command("sudo -k -S -p '' sh -s" if sudo else "sudo -n sh -s")
    stdin.write(sudo + hosts.script(app.controls, "0" * 24))
    stdin.channel.shutdown_write()
    out = stdout.read()
    client.close()
    return bytes(out)


def bare_collection(app: App) -> None:
    """A thread each."""
    credentials = FileCredentials(app.state / "credentials.yaml")
    plain = plain_hosts(app)
    with ThreadPoolExecutor(len(plain)) as pool:
        for out in pool.map(lambda host: bare_host(app, credentials, host), plain):
            assert out.rstrip().endswith(b"end"), "the bare floor got half an answer"


def our_collection(app: App, chosen: Sequence[Host]) -> None:
    """The host tasks of a round, sealed and stored."""
    plan = scan.Plan("", tuple(host.name for host in chosen), (Layer.HOST, Layer.MIDDLEWARE), "bench")
    run_id = scan.begin(app, None, plan)
    scan._Round(app, run_id, plan, lambda _: None).collect()  # noqa: SLF001 - collecting alone is what is measured
    states = {task.state for task in runs.tasks(app.store, run_id)}
    assert states == {"done"}, "a host was not reached"


def bare_nmap(app: App) -> None:
    """The same nmap with the same options, its answer thrown away."""
    addresses = {host.name: host.address for host in app.inventory.hosts if not host.bastion}
    ports = sorted(
        {int(item.split("/")[1]) for host in app.inventory.hosts for item in host.listeners if item[:3] == "tcp"}
    )
    subprocess.run(network.bare_command(addresses, ports), check=True, stdout=subprocess.DEVNULL)


def whole_scan() -> tuple[float, float]:
    """Seconds and peak MiB of `agent scan` as a user runs it."""
    start = time.perf_counter()
    child = subprocess.Popen([*AGENT, "scan", "--period", "lianghui", "--json"], cwd=ROOT, stdout=subprocess.DEVNULL)
    peak = 0
    while child.poll() is None:
        try:
            status = Path(f"/proc/{child.pid}/status").read_text(encoding="ascii")
        except OSError:
            break
        peak = max([peak, *(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))])
        time.sleep(0.05)
    child.wait()
    return time.perf_counter() - start, peak / 1024


def advisories() -> None:
    """Importing the real feeds and matching against all of them."""
    folder = Path(os.environ.get("AGENT_TEST_FEEDS") or ROOT.parent / "shared" / "feeds")
    if not folder.is_dir():
        print(f"\nno feeds here ({folder}): importing and matching were not measured", flush=True)
        return
    with tempfile.TemporaryDirectory() as place:
        state = Path(place) / "state"
        loaded = feeds.run("--part", "load", folder, "--state", state)
        floor = feeds.run("--part", "bare", folder)["seconds"]
        told = (
            f"{loaded['seconds']:.1f} s, {loaded['MiB']} MiB, {loaded['records']:,} records; "
            f"bare parsing {floor:.1f} s, {loaded['seconds'] / floor:.1f}x"
        )
        row("importing all feeds", told, "< 60 s, < 400 MiB")
        row("importing the same again", f"{loaded['again']:.2f} s", "-")
        for line in match.rows(state):
            row(*line)


def main() -> int:
    """Print the table."""
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"{datetime.now(UTC):%Y-%m-%d}, {machine}, median of {ROUNDS}\n")
    print("| what | figure | goal |\n|---|---|---|")
    help_time()
    advisories()
    missing = lab.missing()
    if missing:
        print(f"\nno lab here: {'; '.join(missing)}")
        return 1
    app = App(ROOT)
    raised = not any(item.up for item in lab.status(app.root))
    demo.raise_lab(app, lambda line: print(line, file=sys.stderr))
    try:
        plain = plain_hosts(app)
        bare, ours = timed(lambda: bare_collection(app)), timed(lambda: our_collection(app, plain))
        every = timed(lambda: our_collection(app, app.inventory.hosts))
        row(f"collecting {len(plain)} hosts", f"{ours:.2f} s, bare {bare:.2f} s, {ours / bare:.2f}x", "<= 2x bare")
        row(f"collecting all {len(app.inventory.hosts)} hosts", f"{every:.2f} s", "< 3 s")
        nmap = timed(lambda: bare_nmap(app), 1)
        seconds, peak = whole_scan()
        floor = bare + nmap  # the bare collection leaves two hosts and the databases out: a floor on the low side
        row(
            f"whole scan of {len(app.inventory.targets)} targets",
            f"{seconds:.2f} s, bare {bare:.2f} + {nmap:.2f} s, {seconds / floor:.2f}x",
            "<= 1.5x bare",
        )
        row("peak memory of the scan", f"{peak:.0f} MiB", "< 200 MiB")
        harden.main(app.root)
        rotation.main(app.root)
        vault.main()
    finally:
        app.close()
        if raised:
            lab.down(ROOT, echo=lambda line: print(line, file=sys.stderr))
    return subprocess.run([sys.executable, str(ROOT / "bench" / "report.py")], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
