"""What ends a verb is told in two lines, with the right exit code, whoever listens."""

import os
import shutil
import subprocess
import sys

import click
import pytest

from agent.cli import main as door
from agent.cli.show import watcher
from agent.flows.scan import Step


@pytest.fixture
def failing(monkeypatch):
    """A verb that ends with the error it is given."""

    def make(error):
        @click.command()
        def command():
            raise error

        monkeypatch.setattr(door.Verbs, "get_command", lambda *_: command)
        return door.main(["doctor"])

    return make


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ValueError("x" * 9), 2),
        (PermissionError(13, "Permission denied", "/nowhere/state"), 2),
        (BrokenPipeError(), 3),
        (KeyboardInterrupt(), 3),
    ],
)
def test_an_error_of_ours_is_never_told_as_findings(failing, capfd, monkeypatch, error, code):
    monkeypatch.setattr(door, "mute", lambda: None)
    assert failing(error) == code
    said = capfd.readouterr().err
    assert "Traceback" not in said
    if code == 2:
        assert "remedy" in said


def run(*words, **more):
    return subprocess.run(
        [sys.executable, "-m", "agent", *words], capture_output=True, text=True, check=False, timeout=60, **more
    )


def test_a_state_that_cannot_be_made_is_told_with_its_place(tmp_path):
    assert run("init", str(tmp_path / "w")).returncode == 0
    state = tmp_path / "w" / "state"
    shutil.rmtree(state, ignore_errors=True)
    state.write_text("a file where the folder should be")
    done = run("-C", str(tmp_path / "w"), "findings")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert str(state) in done.stderr
    assert "remedy" in done.stderr


def test_a_terminal_without_chinese_is_no_reason_to_end(tmp_path):
    run("init", str(tmp_path / "w"))
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = run("-C", str(tmp_path / "w"), "schedule", "show", env=environment)
    assert "UnicodeEncodeError" not in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode in {0, 1}


def test_verbs_leave_no_core_and_no_open_file(tmp_path):
    code = (
        "import os,resource,sys;sys.argv=['agent','--version'];"
        "from agent.__main__ import main\n"
        "try: main()\n"
        "except SystemExit: print(resource.getrlimit(resource.RLIMIT_CORE), oct(os.umask(0)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "(0, 0) 0o77" in done.stdout, done.stderr


def test_a_filter_that_names_nothing_is_refused_not_clean(tmp_path):
    run("init", str(tmp_path / "w"))
    for words in (("--layer", "hosts"), ("--kind", "x"), ("--state", "opne")):
        done = run("-C", str(tmp_path / "w"), "findings", *words)
        assert done.returncode == 2
        assert "Invalid value" in done.stderr


def test_a_terminal_that_has_gone_ends_no_round(monkeypatch):
    def gone(*_args, **_more):
        raise BrokenPipeError

    monkeypatch.setattr(click, "echo", gone)
    with watcher(quiet=False) as watch:
        watch(Step("web-01", "host", "done"))
        watch(Step("web-02", "host", "unreached", "timeout"))
