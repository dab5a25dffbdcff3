"""Workspaces of their own for tests: the lab's inventory and credentials, a fresh state, keys elsewhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from agent.app import App
from agent.flows.demo import allow_here

PROJECT = Path(__file__).resolve().parents[2]


class Workspace:
    """A folder in which `agent` is run as a user runs it: a process of its own."""

    def __init__(self, folder: Path, source: Path) -> None:
        self.folder = folder
        self.keys = folder.with_name(f"{folder.name}-keys")
        folder.mkdir(parents=True)
        shutil.copytree(source / "inventory", folder / "inventory")
        for name in ("approver.pub", "ops-location.yaml", "ops-location.yaml.sig"):
            (folder / "inventory" / name).unlink(missing_ok=True)
        for name in ("periods.yaml", "contract.yaml", "hardening.yaml"):
            shutil.copy(PROJECT / name, folder / name)
        self._credentials(source)
        allow_here(folder)

    def _credentials(self, source: Path) -> None:
        held = yaml.safe_load((source / "state" / "credentials.yaml").read_text(encoding="utf-8"))
        held["key"] = str((source / "state" / held["key"]).resolve())
        held["keys"] = {name: str((source / "state" / path).resolve()) for name, path in held.get("keys", {}).items()}
        state = self.folder / "state"
        state.mkdir(mode=0o700, exist_ok=True)
        path = state / "credentials.yaml"
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(held), encoding="utf-8")
        self.secrets = [
            word for kind in ("hosts", "databases") for words in held.get(kind, {}).values() for word in words.values()
        ]

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {"AGENT_KEYS": str(self.keys)}

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "agent", "-C", str(self.folder), *words],
            cwd=PROJECT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str, timeout: float = 400) -> subprocess.CompletedProcess[str]:
        process = self.start(*words)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def json(self, *words: str) -> list[dict]:
        done = self.run(*words, "--json")
        assert done.returncode in {0, 1, 3}, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def app(self) -> App:
        os.environ["AGENT_KEYS"] = str(self.keys)
        return App(self.folder)
