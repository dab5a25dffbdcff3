"""`agent demo`: the whole chain on the lab, from raise to report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agent.cli.main import Exit
from agent.cli.show import echo_summary, watcher

if TYPE_CHECKING:
    from agent.app import App
    from agent.flows.demo import Shown


@click.command("demo")
@click.option("--keep", is_flag=True, help="Leave the lab up afterwards.")
@click.pass_obj
def command(app: App, keep: bool) -> int:
    """Raise the lab, import its feeds, scan for lianghui, harden what was found, change passwords, report all of it.

    The lab is taken down at the end.

    Where the lab cannot run, this machine itself is scanned; nothing on it is changed.
    """
    from agent import lab
    from agent.app import App as Fresh
    from agent.flows import demo

    missing = lab.missing()
    if missing:
        click.echo(f"no lab here ({'; '.join(missing)}): looking at this machine itself")
        app = Fresh(demo.local_workspace(app.root), app.clock)
        return _show(app, _run(app))
    try:
        demo.raise_lab(app, click.echo)
        took = demo.take_feeds(app)
        click.echo(f"feeds     {', '.join(change.name for change in took.changes) or 'as they were'}")
        shown = _run(app)
        code = _show(app, shown)
        code = max(code, _harden(app, shown.summary.run))
        return max(code, _rotate(app))
    finally:
        app.close()
        if keep:
            click.echo("the lab stays up; take it down with: agent lab down")
        else:
            lab.down(app.root, echo=click.echo)


def _run(app: App) -> Shown:
    from agent.declared import resolve
    from agent.flows import demo
    from agent.flows.judge import SHANGHAI

    period = resolve(app.periods, "lianghui", app.clock().astimezone(SHANGHAI).date())
    with watcher(quiet=False) as watch:
        return demo.run(app, period, watch)


def _harden(app: App, scan_run: str) -> int:
    from agent.cli.harden import tell, watcher_of_changes
    from agent.flows import demo

    hardened = demo.harden_lab(app, scan_run, watcher_of_changes(quiet=False), click.echo)
    tell(app, hardened.done, as_json=False)
    for path in hardened.rendered.paths.values():
        click.echo(f"report    {path}")
    checked = app.ledger.verify()
    click.echo(f"evidence  {checked.entries} entries, {checked.checkpoints} signed checkpoints, head {checked.head}")
    if not checked.ok or hardened.done.stopped:
        return Exit.ERROR
    return Exit.CLEAN if hardened.done.settled else Exit.INCOMPLETE


def _rotate(app: App) -> int:
    from agent.flows import demo
    from agent.flows.rotation import WORDS, Ended

    done, rendered = demo.change_passwords(app, lambda _: None)
    counts = {end: sum(one.ended is end for one in done) for end in Ended}
    told = ", ".join(f"{WORDS[end]} {count}" for end, count in counts.items() if count)
    click.echo(f"passwords {len(done)} accounts: {told}; see agent password status")
    for path in rendered.paths.values():
        click.echo(f"report    {path}")
    return Exit.CLEAN if counts[Ended.ROTATED] + counts[Ended.UNPROVEN] == len(done) else Exit.INCOMPLETE


def _show(app: App, shown: Shown) -> int:
    echo_summary(app, shown.summary)
    for path in shown.rendered.paths.values():
        click.echo(f"report    {path}")
    checked = shown.verification
    click.echo(f"evidence  {checked.entries} entries, {checked.checkpoints} signed checkpoints, head {checked.head}")
    for flaw in checked.flaws:
        click.echo(f"evidence  FLAW {flaw.place}: {flaw.problem}", err=True)
    click.echo(f"state     {app.state}")
    if not checked.ok:
        return Exit.ERROR
    return Exit.CLEAN if shown.summary.complete else Exit.INCOMPLETE
