"""What no program reaches: kept before it is shown, current only when a person says so, never lost in between."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from rotationplace import Place

from agent.cli import terminal
from agent.cli.main import cli
from agent.flows import manual
from agent.flows.passwords import chosen
from agent.model.errors import AgentError, RefusedError
from agent.model.secret import Secret
from agent.vault.vault import CURRENT, PENDING, VOID

ACCOUNT = "admin@VPN"


@pytest.fixture
def place(tmp_path, monkeypatch):
    return Place(tmp_path, monkeypatch)


def offer(place, **more):
    return manual.offer(place.app, chosen(place.app, [ACCOUNT])[0], **more)


def test_it_is_kept_before_anybody_sees_it_and_offered_again(place):
    first = offer(place)
    assert place.states(ACCOUNT) == [PENDING]
    place.again()
    second = offer(place)
    assert (second.secret, second.again, first.again) == (first.secret, True, False)


def test_a_person_says_that_it_works(place, tmp_path):
    proof = tmp_path / "vpn.png"
    proof.write_bytes(b"\x89PNG a page")
    made = offer(place)
    assert not manual.same_tail(made, Secret("xxxxxx"))
    assert manual.same_tail(made, Secret(made.secret.reveal()[-6:]))
    row = manual.confirm(place.app, made, proof=proof)
    assert (row.state, row.why, bool(row.verified_at)) == (CURRENT, "person", True)
    kinds = {entry.kind: entry for entry in place.app.ledger.entries()}
    assert place.app.ledger.open(kinds["manual-proof"].seq) == b"\x89PNG a page"
    told = json.loads(place.app.ledger.open(kinds["manual-rotation"].seq))
    assert told["by"] == place.app.operator
    assert made.secret.reveal() not in json.dumps(told)
    assert place.app.ledger.verify().ok


def test_proof_that_cannot_be_read_changes_nothing(place, tmp_path):
    made = offer(place)
    with pytest.raises(AgentError, match="cannot be read"):
        manual.confirm(place.app, made, proof=tmp_path / "none.png")
    assert place.states(ACCOUNT) == [PENDING]


def test_given_up_it_is_kept_a_while(place):
    manual.give_up(place.app, offer(place), "设备仍用旧口令")
    assert place.states(ACCOUNT) == [VOID]
    assert not offer(place).again


def test_what_the_device_takes(place):
    assert len(offer(place, length=18, special="-_").secret.reveal()) == 18
    manual.give_up(place.app, offer(place), "x")
    with pytest.raises(RefusedError, match="asks for 18"):
        offer(place, length=12)
    with pytest.raises(RefusedError, match="a program can change it"):
        manual.offer(place.app, chosen(place.app, ["one@here-01"])[0])


def run(place, *words):
    return cli.main(["password", "manual", *words], standalone_mode=False, obj=place.app)


def test_on_the_command_line(place, monkeypatch, capsys):
    shown = []
    monkeypatch.setattr(terminal, "show_aside", lambda _, secret: shown.append(secret))
    said = iter(["", "wrong!"])
    place.app.ask = lambda _: Secret(next(said, shown[-1].reveal()[-6:]))
    assert run(place, ACCOUNT) == 1  # not yet
    assert place.states(ACCOUNT) == [PENDING]
    assert run(place, ACCOUNT, "--done") == 0
    assert place.states(ACCOUNT) == [CURRENT]
    assert shown[0].reveal() not in "".join(capsys.readouterr())
    with pytest.raises(AgentError, match="nothing was pending"):
        run(place, ACCOUNT, "--done")
    assert PENDING not in place.states(ACCOUNT)
    with pytest.raises(AgentError, match="no such managed account"):
        run(place, "nobody@VPN")


OURS = "import fcntl, termios\nfcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
SCRIPT = """
from agent.cli.terminal import copy_aside, show_aside
from agent.model.secret import Secret
show_aside(["web"], Secret("the-needle"))
copy_aside(Secret("the-needle"), 0.1)
"""


def test_a_secret_is_shown_on_the_terminal_alone():
    """A real terminal: on its alternate screen, and on its clipboard for a while; nothing goes to standard output."""
    controller, user = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", OURS + SCRIPT], stdin=user, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "TMUX": ""},
        start_new_session=True,
    )  # fmt: skip
    os.close(user)
    os.write(controller, b"\n")
    out, err = process.communicate(timeout=20)
    seen = b""
    while True:
        try:
            part = os.read(controller, 4096)
        except OSError:
            break
        if not part:
            break
        seen += part
    os.close(controller)
    assert (process.returncode, out, err) == (0, b"", b"")
    assert seen.index(b"\x1b[?1049h") < seen.index(b"the-needle") < seen.index(b"\x1b[?1049l")
    assert seen.count(b"the-needle") == 1  # the clipboard's is in base64
    assert seen.rindex(b"\x1b]52;c;\x07") > seen.index(b"\x1b]52;c;dGhlLW5lZWRsZQ==\x07")


def test_without_a_terminal_it_is_refused():
    code = SCRIPT.replace('show_aside(["web"]', 'print("x") or show_aside(["web"]')
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, start_new_session=True, check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert "there is no terminal" in process.stderr
    assert "the-needle" not in process.stdout
