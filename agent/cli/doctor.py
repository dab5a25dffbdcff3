"""`agent doctor` examines whether this machine and workspace are fit for work."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli.main import Exit
from agent.cli.table import echo_table
from agent.model.errors import AgentError

if TYPE_CHECKING:
    from agent.app import App

OLDEST_NMAP = (7, 80)
YEARS = range(2026, 2040)
SLACK = timedelta(minutes=2)
LOW, SCARCE = 2 << 30, 256 << 20
"""Free bytes under which a round may not fit: a warning, a failure."""


@dataclass(frozen=True, slots=True)
class Check:
    """One row of the table."""

    name: str
    state: str
    """`ok`, `warn` or `fail`."""
    detail: str
    remedy: str = ""


def nmap() -> Iterator[Check]:
    """Look for nmap and its version."""
    path = shutil.which("nmap")
    if path is None:
        yield Check("nmap", "fail", "not installed: the network layer cannot be seen", "apt install nmap")
        return
    answer = subprocess.run([path, "--version"], capture_output=True, text=True, check=False, timeout=20)  # noqa: S603 - what PATH calls nmap
    hit = re.search(r"version (\d+)\.(\d+)", answer.stdout)
    if not hit:
        yield Check("nmap", "fail", f"{path} does not tell its version", "reinstall nmap")
        return
    fit = (int(hit[1]), int(hit[2])) >= OLDEST_NMAP
    way = "SYN scan" if os.geteuid() == 0 else "connect scan (no CAP_NET_RAW); the report says so"
    remedy = "" if fit else f"upgrade to {'.'.join(map(str, OLDEST_NMAP))} or later"
    yield Check("nmap", "ok" if fit else "warn", f"{hit[1]}.{hit[2]} at {path}, {way}", remedy)


def fonts() -> Iterator[Check]:
    """Look for Chinese fonts, without which PDF and charts show boxes."""
    from agent.report.typefaces import fonts as found

    if files := found():
        yield Check("fonts", "ok", f"{len(files)} Chinese font files, e.g. {files[0].name}")
    else:
        yield Check("fonts", "fail", "no Chinese font found: a PDF would show boxes", "apt install fonts-noto-cjk")


def _private(path: Path, most: int) -> str:
    """Say what is wrong with owner and mode; empty when nothing is."""
    status = path.lstat()
    if status.st_uid != os.geteuid():
        return f"belongs to uid {status.st_uid}, not to us"
    mode = stat.S_IMODE(status.st_mode)
    return f"has mode {mode:04o}" if mode & ~most else ""


def keys(app: App) -> Iterator[Check]:
    """Look at the keys that seal evidence: outside state/, ours alone."""
    from agent.ledger import keys_folder

    folder = keys_folder(app.root)
    if not folder.is_dir():
        sealed = (app.state / "agent.db").exists() and _last_entry(app)
        state, remedy = ("fail", "restore the keys from their backup") if sealed else ("ok", "")
        yield Check("keys", state, f"none yet at {folder}" + (", but evidence is there" if sealed else ""), remedy)
        return
    if folder.resolve().is_relative_to(app.state.resolve()):
        yield Check("keys", "fail", f"{folder} lies inside state/", "move it out and set $AGENT_KEYS")
        return
    wrong = [
        f"{p} {w}"
        for p in (folder, *folder.iterdir())
        if not p.name.endswith(".pub")
        if (w := _private(p, 0o700 if p.is_dir() else 0o600))
    ]
    remedy = f"chown and chmod: 0700 for {folder}, 0600 for its files" if wrong else ""
    yield Check("keys", "fail" if wrong else "ok", "; ".join(wrong) or str(folder), remedy)


def _last_entry(app: App) -> str:
    from sqlalchemy import func, select

    from agent.store.schema import ledger_entry

    with app.store.read() as connection:
        return connection.execute(select(func.max(ledger_entry.c.at))).scalar() or ""


def clock(app: App) -> Iterator[Check]:
    """Compare the clock with sense and with the last evidence; both zones must be known."""
    from agent.jobs import ZONE

    now = app.clock()
    shown = now.astimezone(ZONE).strftime("%Y-%m-%d %H:%M:%S %Z")
    if now.year not in YEARS:
        yield Check("clock", "fail", f"{shown} cannot be right", "set the clock; turn time synchronisation on")
        return
    if (app.state / "agent.db").exists() and (last := _last_entry(app)):
        from agent.store.times import from_text

        if from_text(last) > now + SLACK:
            detail = f"{shown} lies before the last evidence ({last})"
            yield Check("clock", "fail", detail, "set the clock before anything is sealed")
            return
    yield Check("clock", "ok", shown)


def disk(app: App) -> Iterator[Check]:
    """Look at the free space under state/."""
    free = shutil.disk_usage(app.state).free
    state = "fail" if free < SCARCE else "warn" if free < LOW else "ok"
    yield Check("disk", state, f"{free >> 20} MiB free for state/", "" if state == "ok" else "make room")


def modes(app: App) -> Iterator[Check]:
    """Look at owner and mode of state/ and of the credentials."""
    wrong = []
    for path, most in ((app.state, 0o700), (app.state / "agent.db", 0o600)):
        if path.exists() and (what := _private(path, most)):
            wrong.append(f"{path} {what}")
    remedy = "chown to who runs the agent; chmod 700 state, chmod 600 state/agent.db" if wrong else ""
    yield Check("file modes", "fail" if wrong else "ok", "; ".join(wrong) or "state/ is ours alone", remedy)
    from agent.session import FileCredentials

    path = app.state / "credentials.yaml"
    if path.exists():
        FileCredentials(path).check()
        yield Check("credentials", "ok", str(path))
    else:
        yield Check("credentials", "warn", f"none: no {path}", "write it with mode 0600, see the README")


def feeds(_app: App) -> Iterator[Check]:
    """Say that no vulnerability feed is read yet."""
    detail = "none: this version reads no vulnerability feed; pending updates come from each host's own mirror"
    yield Check("feeds", "warn", detail, "say so when the report is handed over")


def location(app: App) -> Iterator[Check]:
    """Ask whether targets may be reached from here."""
    app.require_ops_location()
    yield Check("ops location", "ok", "this machine is on the approver's signed list")


def workspace(app: App) -> Iterator[Check]:
    """Read the declared files."""
    hosts, databases = len(app.inventory.hosts), len(app.inventory.databases)
    state = "ok" if hosts else "warn"
    detail = f"{hosts} hosts, {databases} databases, {len(app.periods)} periods, {app.contract.project}"
    yield Check("workspace", state, detail, "" if hosts else "declare hosts in inventory/hosts.yaml")


def user(app: App) -> Iterator[Check]:
    """Say who works, and that root need not."""
    from agent.declared import load_people

    person = next((p for p in load_people(app.root) if p.login == app.operator), None)
    if person is None:
        detail = f"login {app.operator!r} is nobody of people.yaml"
        yield Check("operator", "warn", detail, "declare the person with this login in inventory/people.yaml")
    else:
        yield Check("operator", "ok", f"{person.name} ({person.role})")


CHECKS: dict[str, Callable[[App], Iterator[Check]]] = {
    "workspace": workspace,
    "operator": user,
    "ops location": location,
    "nmap": lambda _app: nmap(),
    "fonts": lambda _app: fonts(),
    "keys": keys,
    "clock": clock,
    "disk": disk,
    "file modes": modes,
    "feeds": feeds,
}


def examine(app: App) -> list[Check]:
    """Do every check; one that breaks is a failure, never a pass, and stops no other."""
    found: list[Check] = []
    for name, check in CHECKS.items():
        try:
            found += check(app)
        except AgentError as error:
            where = f"{error.where}: " if error.where else ""
            found.append(Check(name, "fail", f"{where}{error.message}", error.remedy))
        except Exception as error:  # noqa: BLE001 - an examination goes on to its end
            found.append(Check(name, "fail", f"{type(error).__name__}: {error}", "report this as a fault"))
    return found


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.pass_obj
def command(app: App, as_json: bool) -> int:
    """Check this machine and workspace before work begins.

    Exit codes: 0 all well, 1 warnings, 2 something must be mended first.
    """
    _ = app.root  # without a workspace there is nothing to examine
    found = examine(app)
    if as_json:
        click.echo(json.dumps([asdict(one) for one in found], ensure_ascii=False, indent=2))
    else:
        echo_table(("check", "state", "detail"), [(one.name, one.state, one.detail) for one in found])
        for one in found:
            if one.remedy:
                click.echo(f"{one.state}: {one.name}: {one.remedy}")
    states = {one.state for one in found}
    return Exit.ERROR if "fail" in states else Exit.FINDINGS if "warn" in states else Exit.CLEAN
