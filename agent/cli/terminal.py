"""What is shown to the person at the terminal and to nobody else: neither a pipe nor a log gets it."""

from __future__ import annotations

import base64
import contextlib
import io
import os
import time
from typing import TYPE_CHECKING, TextIO

from agent.model.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.model.secret import Secret

_OTHER, _BACK = "\x1b[?1049h\x1b[2J\x1b[H", "\x1b[2J\x1b[3J\x1b[?1049l"
"""xterm's alternate screen, which keeps no scroll-back (xterm control sequences, DECSET 1049)."""


@contextlib.contextmanager
def terminal() -> Iterator[TextIO]:
    """The controlling terminal itself. Raises RefusedError where there is none."""
    try:
        raw = io.FileIO(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY), "w+")
    except OSError:
        raise RefusedError("there is no terminal", remedy="run it at one, e.g. ssh -t") from None
    # a device has no place to seek to: the text layer alone, as the standard library's getpass has it
    with raw, io.TextIOWrapper(raw, encoding="utf-8", write_through=True) as stream:
        yield stream


def show_aside(lines: list[str], secret: Secret) -> None:
    """Show a secret on the alternate screen until Enter is pressed; nothing of it stays. Raises RefusedError."""
    with terminal() as tty:
        try:
            tty.write(f"{_OTHER}\n" + "\n".join(lines) + f"\n\n    {secret.reveal()}\n\n[Enter] ")
            tty.flush()
            tty.readline()
        finally:
            tty.write(_BACK)


def copy_aside(secret: Secret, seconds: float) -> None:
    """Put a secret on the clipboard of the operator's own terminal, and take it off again.

    By OSC 52 (xterm control sequences), which goes through SSH; through tmux where it lets sequences pass. A terminal
    that does not know it ignores it.

    Raises:
        RefusedError: there is no terminal.
    """
    with terminal() as tty:
        try:
            tty.write(_clipboard(secret.reveal()))
            tty.flush()
            time.sleep(seconds)
        finally:
            tty.write(_clipboard(""))


def _clipboard(text: str) -> str:
    sequence = f"\x1b]52;c;{base64.b64encode(text.encode()).decode()}\x07"
    if os.environ.get("TMUX"):
        return "\x1bPtmux;" + sequence.replace("\x1b", "\x1b\x1b") + "\x1b\\" + sequence
    return sequence
