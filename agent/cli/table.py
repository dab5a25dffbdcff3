"""Rows for people: aligned text that is the same on a terminal, in cron and in a pipe."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import click


def width(text: str) -> int:
    """Columns that the text takes on a terminal (a Chinese character takes two)."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def echo_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a head and rows in aligned columns; an empty table prints its head only."""
    widths = [max(width(row[i]) for row in (head, *rows)) for i in range(len(head))]
    for row in (head, *rows):
        cells = [cell + " " * (w - width(cell)) for cell, w in zip(row, widths, strict=True)]
        click.echo("  ".join(cells).rstrip())
