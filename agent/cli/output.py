"""Where an export goes: a file, whole or not at all, or standard output, byte for byte."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterable


def put(pieces: Iterable[str], output: Path | None) -> None:
    """Write the pieces; where and how much is told on standard error, so that a pipe holds the export alone."""
    from agent.flows import exports

    if output is None or output == Path("-"):
        stream = sys.stdout.buffer
        for piece in exports.encoded(pieces):
            stream.write(piece)
        stream.flush()
        return
    size = exports.write(output, pieces)
    click.echo(f"{output}: {size} bytes", err=True)
