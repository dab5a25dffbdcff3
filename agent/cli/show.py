"""What verbs show alike: progress of a round, the summary's tables."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from agent.app import App
    from agent.flows.scan import Step
    from agent.flows.summary import Summary


@contextmanager
def watcher(*, quiet: bool) -> Iterator[Callable[[Step], None]]:
    """A progress bar for each kind of work on a terminal, plain lines in cron, nothing when quiet."""
    if quiet:
        yield lambda _step: None
        return
    if not sys.stderr.isatty():
        yield _plain
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:<9}"), BarColumn(30), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.fields[last]}"), transient=False) as progress:
        bars: dict[str, object] = {}

        def watch(step: Step) -> None:
            if step.kind not in bars:
                bars[step.kind] = progress.add_task(step.kind, total=0, last="")
            bar = bars[step.kind]
            task = next(item for item in progress.tasks if item.id == bar)
            if step.state == "start":
                progress.update(task.id, total=(task.total or 0) + 1, last=step.target)
            else:
                progress.update(task.id, advance=1, last=step.target)
            if step.state == "unreached":
                progress.console.print(f"not reached: {step.target} ({step.kind}): {step.detail}", markup=False)

        yield watch


def _plain(step: Step) -> None:
    if step.state != "start":
        detail = f": {step.detail}" if step.detail else ""
        click.echo(f"{step.state:<9} {step.kind:<8} {step.target}{detail}", err=True)


def echo_summary(app: App, summary: Summary) -> None:
    """The round in a table: a row a target, what was not seen, and where to go on."""
    from rich.console import Console
    from rich.table import Table

    from agent.model.finding import FindingState
    from agent.model.severity import Severity
    from agent.store import runs

    counts: Counter[tuple[str, Severity]] = Counter(
        (item.target, item.severity)
        for item in runs.findings(app.store, summary.run)
        if item.state is FindingState.OPEN
    )
    table = Table(title=f"{summary.run}", title_justify="left", pad_edge=False)
    for name in ("target", "system", "seen"):
        table.add_column(name, no_wrap=name == "target")
    for grade in list(Severity)[:4]:
        table.add_column(grade.zh, justify="right")
    for name in ("pass", "manual", "error"):
        table.add_column(name, justify="right")
    for name, row in summary.per_target.items():
        grades = [str(counts[name, grade] or "") for grade in list(Severity)[:4]]
        table.add_row(
            name,
            row.os[:34],
            " ".join(layer[:4] for layer in row.seen),
            *grades,
            *(str(row.counts.get(name, 0) or "") for name in ("pass", "manual", "error")),
        )
    console = Console(width=None if sys.stdout.isatty() else 120, markup=False, highlight=False)
    console.print(table)
    total = "  ".join(f"{grade.zh} {summary.severities.get(grade.value, 0)}" for grade in Severity)
    states = "  ".join(f"{name} {summary.states.get(name, 0)}" for name in ("open", "manual", "unknown", "accepted"))
    console.print(f"{summary.targets} targets, open: {total}")
    console.print(f"findings by state: {states}")
    for item in summary.unreached:
        console.print(f"not seen: {item.target} ({item.layer.value}): {item.reason.value}: {item.detail}")
    for note in summary.notes:
        console.print(f"note: {note}")
    console.print(f"next: agent report scan --run {summary.run}    agent findings --run {summary.run}")
