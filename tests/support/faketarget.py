"""A target in a folder: the composed scripts run for real, as `sh -s` runs them, on files below it.

Nothing of the machine is touched: journal, boot units, cron and the programs on PATH lie in the folder. Timers are those of
`setsid` and of a made-up `at` or systemd; the shell is the one that is asked for, also for the undo.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from shlex import quote

from agent.change import transaction
from agent.change.transaction import Transaction
from agent.model.change import Handle, Step, TxState
from agent.model.frames import Answer, split

SHELLS = ("dash", "bash", "busybox")
"""`bash` runs as `sh`, in POSIX mode; `busybox` with its own userland alone."""
ME = f"{os.getuid()}:{os.getgid()}"


class FakeTarget:
    """One target. `tmp` is an empty folder of its own."""

    def __init__(self, tmp: Path, shell: str = "dash", *, cron: bool = True) -> None:
        self.tmp, self.shell = tmp, shell
        self.etc, self.bin = tmp / "etc", tmp / "bin"
        for folder in (self.etc, self.bin, tmp / "boot", *((tmp / "cron",) if cron else ())):
            folder.mkdir(parents=True)
        if shell == "busybox":
            subprocess.run(["busybox", "--install", "-s", str(self.bin)], check=True)
            self.path = str(self.bin)
        else:
            (self.bin / "sh").symlink_to(shutil.which(shell) or "/bin/sh")
            self.path = f"{self.bin}:/usr/sbin:/usr/bin:/sbin:/bin"
        self.root = str(tmp / "var")

    def program(self, name: str, script: str) -> None:
        """A program of that name on the target's PATH."""
        path = self.bin / name
        path.unlink(missing_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def file(self, name: str, text: str = "old\n", mode: int = 0o640) -> Path:
        """A file below etc."""
        path = self.etc / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def transaction(self, *steps: Step, ttl: int = 60, arm: tuple[str, ...] = ("nohup",)) -> Transaction:
        """A transaction of these steps, not begun."""
        return Transaction(f"t{secrets.token_hex(5)}", steps, ttl=ttl, arm=arm, txroot=self.root)

    def script(self, script: str) -> str:
        """The script with every place of the machine put into the folder."""
        places = {
            "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin": self.path,
            "/etc/systemd/system": f"{self.tmp}/boot",
            "/etc/systemd/logind.conf ": f"{self.tmp}/logind.conf ",
            "/etc/cron.d": f"{self.tmp}/cron",
            "/run/systemd/system": f"{self.tmp}/systemd",
            "/bin/sh ": f"{self.bin}/sh ",
        }
        for old, new in places.items():
            script = script.replace(old, new)
        return script

    def run(self, script: str, seconds: float = 60.0) -> subprocess.CompletedProcess[bytes]:
        """Run it as a session does: in a session of its own, the script on standard input."""
        argv = [str(self.bin / "sh"), "-s"]
        return subprocess.run(
            argv, input=self.script(script).encode(), capture_output=True, timeout=seconds, start_new_session=True, check=False
        )  # fmt: skip

    def ask(self, script: str, nonce: str) -> dict[str, Answer]:
        """Run a framed script."""
        done = self.run(script)
        return dict(split(done.stdout, done.stderr, nonce))

    def begin(self, tx: Transaction) -> transaction.Begun:
        """Arm, write, validate, apply."""
        return transaction.begun(self.ask(tx.begin("q7"), "q7"))

    def confirm(self, tx: Transaction) -> str:
        """Look, and claim it; the answer."""
        looked = self.ask(tx.look("q7", []), "q7")
        assert looked["left"].rc == 0, looked
        return self.ask(tx.confirm("q7"), "q7")["confirm"].text.strip()

    def undo(self, tx: Transaction) -> TxState:
        """Undo it now."""
        return TxState(self.ask(tx.undo("q7"), "q7")["undo"].text.split()[-1])

    def state(self, tx: Transaction) -> TxState:
        """How it stands; what killed ones left is swept on the way."""
        nonce = "q7"
        return transaction.state_of(self.ask(transaction.states([tx.id], nonce, self.root), nonce)[f"tx.{tx.id}"])

    def settled(self, tx: Transaction, seconds: float = 15.0) -> TxState:
        """Wait until nothing will happen to it by itself any more."""
        until = time.monotonic() + seconds
        while not (state := self.state(tx)).settled and time.monotonic() < until:
            time.sleep(0.2)
        return state

    def tree(self) -> dict[str, tuple[int, bytes | str]]:
        """Everything below etc: mode, and bytes or link."""
        found: dict[str, tuple[int, bytes | str]] = {}
        for path in sorted(self.etc.rglob("*")):
            mode = path.lstat().st_mode
            body: bytes | str = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else ""
            found[str(path.relative_to(self.etc))] = (mode, body)
        return found

    def leavings(self, seconds: float = 3.0) -> list[str]:
        """What a transaction that is over still leaves after that time: an undo says so before it tidies up."""
        until = time.monotonic() + seconds
        while (found := self._left()) and time.monotonic() < until:
            time.sleep(0.1)
        return found

    def _left(self) -> list[str]:
        """Lock, units, cron, timers, staged copies, half-made folders."""
        journal = Path(self.root)
        found = [str(path) for path in (*(self.tmp / "boot").rglob("*"), *(self.tmp / "cron").glob("*"))]
        found += [str(path) for name in ("lock", "stale.*", "made", "tx/.*") for path in journal.glob(name)]
        for pattern in ("*.stage", "busy.*", "idle", "writer", "opening", "token", "claimed.sweep"):
            found += [str(path) for path in journal.glob(f"tx/*/{pattern}")]
        for process in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                command = process.read_bytes()
            except OSError:
                continue
            if f"{self.root}/tx/".encode() in command:
                found.append(command.decode(errors="replace"))
        return found

    def end(self) -> None:
        """Take the journal away: a keeper that sleeps finds nothing when it wakes."""
        shutil.rmtree(self.root, ignore_errors=True)


def put(path: Path, text: str = "new") -> Step:
    """A step that gives a file that content, as a resource would."""
    write = f"echo {quote(text)} | e_put {quote(str(path))} 640 {ME}"
    return Step("t", "files", str(path), "", "", write, handles=(Handle("file", (str(path),)),))


def but(step: Step, **more: object) -> Step:
    """The step with other attributes."""
    return replace(step, **more)  # type: ignore[arg-type]
