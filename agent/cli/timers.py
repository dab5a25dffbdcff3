"""The timer that calls `agent run-due`: a crontab line or systemd units, as text and installed."""

from __future__ import annotations

import hashlib
import os
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from subprocess import CompletedProcess

from agent.model.errors import AgentError, ToolError

Run = Callable[[list[str], str | None], "CompletedProcess[str]"]


def program() -> list[str]:
    """Words that start this agent again, whatever the PATH of cron is."""
    return [str(Path(sys.executable).absolute()), "-m", "agent"]


def _name(root: Path) -> str:
    """Return a unit's name that differs for each workspace."""
    return f"secops-agent-{hashlib.sha256(str(root).encode()).hexdigest()[:8]}"


def _plain(root: Path) -> None:
    if any(c in str(root) for c in "\n\r%"):
        raise AgentError("the workspace's path holds a line break or %", where=str(root), remedy="rename the folder")


def cron_line(words: list[str], root: Path) -> str:
    """Return the crontab line; output goes to state/run-due.log.

    Raises:
        AgentError: cron could not keep this path apart.
    """
    _plain(root)
    call = shlex.join([*words, "-C", str(root), "run-due"])
    log = shlex.quote(str(root / "state" / "run-due.log"))
    return f"*/5 * * * * umask 077; {call} >>{log} 2>&1 # {_name(root)}"


def install_cron(line: str, root: Path, run: Run) -> None:
    """Put the line into this user's crontab; an earlier one of the same workspace is replaced.

    Raises:
        ToolError: crontab is missing or refuses.
    """
    held = _call(["crontab", "-l"], run, None)
    if held.returncode and "no crontab" not in held.stderr:
        raise ToolError(f"crontab -l failed: {held.stderr.strip()}", remedy="ask who may use cron here (cron.allow)")
    mark = f"# {_name(root)}"
    kept = [row for row in held.stdout.splitlines() if not row.endswith(mark)] if not held.returncode else []
    put = _call(["crontab", "-"], run, "\n".join([*kept, line]) + "\n")
    if put.returncode:
        raise ToolError(f"crontab refused: {put.stderr.strip()}", remedy="ask who may use cron here (cron.allow)")


def units(words: list[str], root: Path) -> Mapping[str, str]:
    """Return service and timer by unit name.

    Raises:
        AgentError: systemd could not keep this path apart.
    """
    _plain(root)

    def quoted(word: str) -> str:
        return '"' + word.replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$") + '"'

    call = " ".join(quoted(word) for word in [*words, "-C", str(root), "run-due"])
    name = _name(root)
    service = f"""[Unit]
Description=Run what is due: {root}
After=network-online.target time-sync.target
Wants=network-online.target

[Service]
Type=oneshot
ExecStart={call}
# 1: a period waits for confirmation. A failed job (3) shall show as a failed unit.
SuccessExitStatus=1
UMask=0077
TimeoutStartSec=infinity
"""
    timer = f"""[Unit]
Description=Every five minutes: {root}

[Timer]
OnCalendar=*:0/5
Persistent=true
Unit={name}.service

[Install]
WantedBy=timers.target
"""
    return {f"{name}.service": service, f"{name}.timer": timer}


def unit_folder() -> Path:
    """Return where units go: the system's for root, else the user's."""
    if os.geteuid() == 0:
        return Path("/etc/systemd/system")
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd" / "user"


def install_units(texts: Mapping[str, str], folder: Path, run: Run) -> None:
    """Write the units and start the timer.

    Raises:
        ToolError: systemctl is missing or refuses, or the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ToolError(f"cannot be written: {error.strerror}", where=str(folder), remedy="check owner") from None
    scope = [] if folder == Path("/etc/systemd/system") else ["--user"]
    timer = next(name for name in texts if name.endswith(".timer"))
    for words in (["daemon-reload"], ["enable", "--now", timer]):
        answer = _call(["systemctl", *scope, *words], run, None)
        if answer.returncode:
            raise ToolError(f"systemctl {words[0]} failed: {answer.stderr.strip()}", remedy="is systemd running here?")


def _call(words: list[str], run: Run, given: str | None) -> CompletedProcess[str]:
    try:
        return run(words, given)
    except FileNotFoundError:
        raise ToolError(f"{words[0]} is not installed", remedy="use the other of --cron and --systemd") from None
