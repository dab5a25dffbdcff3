"""`agent password weak`: guesses held against the targets' own records, in place."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli.main import Exit, say

if TYPE_CHECKING:
    from agent.app import App
    from agent.flows.weak import Done


@click.command("weak")
@click.option("--ticket", required=True, help="A signed ticket that allows weak-passwords (agent ticket new --allow).")
@click.option("--target", "targets", multiple=True, help="Host or database; may be given again. Default: the ticket's.")
@click.option(
    "--dictionary",
    "file",
    type=click.Path(path_type=Path),
    help="The customer's own words, UTF-8, one a line; the first 20,000 are used.",
)
@click.option(
    "--seconds",
    type=click.IntRange(1, 3600),
    default=60,
    show_default=True,
    help="Processor time on each host, at the lowest priority.",
)
@click.option("--json", "as_json", is_flag=True, help="For machines: every account, one a line.")
@click.pass_obj
def command(app: App, ticket: str, targets: tuple[str, ...], file: Path | None, seconds: int, *, as_json: bool) -> int:
    """Find empty, default and guessable passwords without one login: no attempt is counted, no hash leaves a target.

    Says which rule a password breaks, never the password. Sealed, with a signed checkpoint.
    Exit codes: 0 none was guessed, 1 some were, 2 no ticket allows it, 3 some could not be tested, or not to the end.
    """
    from agent.flows.weak import check, told

    def watch(target: str, what: str) -> None:
        if sys.stderr.isatty():
            say(f"{target}: {what}", err=True)

    done = check(app, ticket, targets, file=file, seconds=seconds, watch=watch)
    for note in done.leave.notes:
        say(f"note: {note}", err=True)
    if done.words_cut:
        say(f"note: the dictionary is too long: {done.words} words are used, {done.words_cut} left out", err=True)
    if as_json:
        for row in done.rows:
            say(json.dumps(told(row), ensure_ascii=False))
    else:
        _tell(done)
    if not done.whole:
        return Exit.INCOMPLETE
    return Exit.FINDINGS if done.weak else Exit.CLEAN


def _tell(done: Done) -> None:
    from collections import Counter

    from agent.cli.table import echo_table
    from agent.model.weak import ENDS, RULES, Ended

    rows = [
        (
            row.target,
            row.account or "-",
            ENDS[row.ended] + ("（已锁定）" if row.locked else ""),
            RULES[row.rule] if row.rule else row.why,
            f"{row.tried}/{row.candidates}" if row.candidates else "-",
        )
        for row in done.rows
        if row.ended not in {Ended.CLEAN, Ended.NONE}
    ]
    if rows:
        echo_table(("target", "account", "ended", "rule", "tried"), rows)
    counts = Counter(row.ended for row in done.rows)
    named = ", ".join(f"{ENDS[end]} {count}" for end, count in counts.items())
    say(f"{sum(counts.values())} accounts on {len(done.targets)} targets: {named}; evidence {done.evidence}")
