"""The floors of the house hold: plain pytest guards what docs/architecture.md draws."""

import subprocess
import sys
from pathlib import Path

from agent.cli.main import VERBS

ROOT = Path(__file__).parents[1]


def test_imports_run_downward_only():
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_model_needs_the_standard_library_only():
    probe = (
        "import pkgutil, importlib, sys, agent.model as m\n"
        "[importlib.import_module(f'agent.model.{i.name}') for i in pkgutil.iter_modules(m.__path__)]\n"
        "print([n for n in sys.modules if n.split('.')[0] in ('sqlalchemy', 'pydantic', 'yaml', 'paramiko', 'lxml')])"
    )
    done = subprocess.run([sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_readmes_name_only_verbs_that_are_there():

    for name in ("README.md", "README.zh-CN.md"):
        text = (ROOT / name).read_text()
        for line in text.splitlines():
            words = line.strip().removeprefix("$ ").split()
            if words[:1] == ["agent"] and len(words) > 1 and not words[1].startswith("-"):
                assert words[1] in VERBS, f"{name}: {line}"
