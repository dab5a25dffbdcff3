"""What verbs show alike: progress of a round, the summary's tables."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.progress import TaskID

    from agent.app import App
    from agent.flows.scan import Step
    from agent.flows.summary import Summary
    from agent.model.finding import Finding


@contextmanager
def watcher(*, quiet: bool) -> Iterator[Callable[[Step], None]]:
    """A progress bar for each kind of work on a terminal, plain lines in cron, nothing when quiet."""
    if quiet:
        yield lambda _step: None
        return
    if not (sys.stderr and sys.stderr.isatty()):
        yield _deaf(_plain)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:<9}"), BarColumn(30), MofNCompleteColumn(), TimeElapsedColumn())
    last = TextColumn("{task.fields[last]}", markup=False)
    # On standard error, as the plain lines: standard output is for what was found.
    with Progress(*columns, last, console=Console(stderr=True), transient=False) as progress:
        bars: dict[str, TaskID] = {}
        begun: Counter[str] = Counter()

        def watch(step: Step) -> None:
            if step.kind not in bars:
                bars[step.kind] = progress.add_task(step.kind, total=0, last="")
            bar = bars[step.kind]
            if step.state == "start":
                begun[step.kind] += 1
                progress.update(bar, total=begun[step.kind], last=step.target)
            else:
                progress.update(bar, advance=1, last=step.target)
            if step.state == "unreached":
                progress.console.print(f"not reached: {step.target} ({step.kind}): {step.detail}", markup=False)

        yield _deaf(watch)


def _deaf(watch: Callable[[Step], None]) -> Callable[[Step], None]:
    """One step at a time, from whatever thread; a terminal that has gone must not end the round."""
    lock = threading.Lock()
    gone = False

    def quiet(step: Step) -> None:
        nonlocal gone
        with lock:
            if gone:
                return
            try:
                watch(step)
            except (OSError, ValueError):  # closed pipe or terminal; ValueError: closed file
                gone = True

    return quiet


def _plain(step: Step) -> None:
    if step.state != "start":
        detail = f": {step.detail}" if step.detail else ""
        click.echo(f"{step.state:<9} {step.kind:<8} {step.target}{detail}", err=True)


def _broken() -> None:
    raise BrokenPipeError


def echo_summary(app: App, summary: Summary) -> None:
    """The round in a table: a row a target, what was not seen, and where to go on."""
    from rich.console import Console
    from rich.table import Table

    from agent.model.finding import FindingState
    from agent.model.severity import Severity
    from agent.store import runs

    findings = runs.findings(app.store, summary.run)
    counts: Counter[tuple[str, Severity]] = Counter(
        (item.target, item.severity) for item in findings if item.state is FindingState.OPEN
    )
    table = Table(title=f"{summary.run}", title_justify="left", pad_edge=False)
    for name in ("target", "system", "seen"):
        table.add_column(name, no_wrap=True)  # a row a target, whatever the width
    for grade in list(Severity)[:4]:
        table.add_column(grade.zh, justify="right")
    for name in ("pass", "manual", "error"):
        table.add_column(name, justify="right")
    order = [target.name for target in app.inventory.targets]  # a kept summary has lost the inventory's order
    for name in sorted(summary.per_target, key=lambda name: order.index(name) if name in order else len(order)):
        row = summary.per_target[name]
        grades = [str(counts[name, grade] or "") for grade in list(Severity)[:4]]
        table.add_row(
            name,
            row.os[:34],
            " ".join(layer[:4] for layer in row.seen),
            *grades,
            *(str(row.counts.get(name, 0) or "") for name in ("pass", "manual", "error")),
        )
    console = Console(width=None if sys.stdout.isatty() else 120, markup=False, highlight=False)
    console.on_broken_pipe = _broken  # type: ignore[method-assign] # its own way is to exit with 1: findings
    console.print(table)
    total = "  ".join(f"{grade.zh} {summary.severities.get(grade.value, 0)}" for grade in Severity)
    states = "  ".join(f"{name} {summary.states.get(name, 0)}" for name in ("open", "manual", "unknown", "accepted"))
    click.echo(f"{summary.targets} targets, open: {total}")
    click.echo(f"findings by state: {states}")
    _echo_first(findings)
    without = sum(item.check == "COV-FEED" for item in findings)
    click.echo(f"feeds: {len(summary.feeds)} imported" + (f"; 无漏洞库: {without} hosts" if without else ""))
    for item in summary.unreached:
        click.echo(f"not seen: {item.target} ({item.layer.value}): {item.reason.value}: {item.detail}")
    for note in summary.notes:
        click.echo(f"note: {note}")
    click.echo(f"next: agent report scan --run {summary.run}    agent findings --run {summary.run}")


def _echo_first(findings: Sequence[Finding], most: int = 5) -> None:
    """What to mend first: upgrades that are urgent, each with its targets."""
    from agent.model.finding import FindingState, Urgency

    due: dict[tuple[str, str], list[Finding]] = {}
    for item in findings:
        plan = item.remediation
        if plan and plan.urgency is not Urgency.PLANNED and item.state is FindingState.OPEN:
            due.setdefault((plan.package, plan.fixed), []).append(item)
    ranked = sorted(due.values(), key=lambda found: -max(item.remediation.risk for item in found if item.remediation))
    for found in ranked[:most]:
        plan = max((item.remediation for item in found if item.remediation), key=lambda one: one.risk)
        targets = list(dict.fromkeys(item.target for item in found))
        where = ", ".join(targets[:4]) + (f" and {len(targets) - 4} more" if len(targets) > 4 else "")  # noqa: PLR2004
        why = [f"KEV {len(plan.kev)}"] if plan.kev else []
        why += [f"CVSS {plan.score:.1f}"] if plan.score is not None else []
        why += ["reachable"] if plan.exposed else []
        told = plan.fixed or plan.fix or plan.status
        click.echo(f"{plan.urgency.zh}: {plan.package} -> {told} ({', '.join(why) or 'see explain'}) on {where}")
    if len(ranked) > most:
        click.echo(f"and {len(ranked) - most} more urgent upgrades: see 漏洞处置次序 in the report")
