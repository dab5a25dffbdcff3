"""What every process of the command line denies itself, as the kernel tells it."""

import subprocess
import sys

import pytest

_LOOK = """
import os, sys, threading
from pathlib import Path
import agent.cli.main
def look():
    core = [line.split()[4:6] for line in Path("/proc/self/limits").read_text().splitlines() if "core file" in line]
    mask = [line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("Umask")]
    import ctypes
    print(core[0], mask[0], ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
    return 0
agent.cli.main.main = look
from agent.__main__ import main
sys.argv = ["agent", *sys.argv[1:]]
main()
"""


def _looked(*words: str) -> str:
    code = "import os, resource; os.umask(0o022)\n" + _LOOK
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize("words", [["scan"], ["-C", "lab", "vault", "status"], ["vault", "status", "lab"], []])
def test_no_core_file_no_debugger_and_files_for_their_owner_alone(words):
    assert _looked(*words) == "['0', '0'] 0077 0"


@pytest.mark.parametrize("words", [["lab", "up"], ["-C", "x", "demo"]])
def test_who_builds_root_file_systems_writes_them_for_all(words):
    assert "0022" in _looked(*words)
