"""`agent watch`: stay, and run what is due, minute by minute."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import TYPE_CHECKING

import click

from agent.cli.ending import leave
from agent.cli.main import Exit
from agent.cli.run_due import tell, tick
from agent.model.errors import AgentError

if TYPE_CHECKING:
    from agent.app import App


class _Stop:
    """Ends the loop between two ticks, or the running job, when SIGTERM or SIGINT comes."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.busy = False

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        """Take the signal: a job that runs is interrupted as by Ctrl-C and can be gone on with."""
        self.asked.set()
        if self.busy:
            raise KeyboardInterrupt


def _fresh(app: App) -> App:
    """Return an App that reads the declared files again: somebody may have confirmed a period meanwhile."""
    from agent.app import App

    return App(app.root, app.clock)


def _once(app: App, stop: _Stop) -> None:
    """Tick once; whatever goes wrong is told, and the loop goes on (`schedule` would end with it)."""
    fresh = _fresh(app)
    try:
        stop.busy = True
        ran, waiting = tick(fresh)
        tell(ran, waiting if ran else [])
    except AgentError as error:
        click.echo(f"agent: {error}", err=True)
    except Exception as error:  # noqa: BLE001 - a watch must outlive any tick
        click.echo(f"agent: {type(error).__name__}: {error}", err=True)
    finally:
        stop.busy = False
        fresh.close()


@click.command()
@click.option("--every", default=60, show_default=True, type=click.IntRange(1, 3600), help="Seconds between ticks.")
@click.pass_obj
def command(app: App, every: int) -> int:
    """Stay and run what is due, minute by minute, until SIGTERM or Ctrl-C."""
    import schedule

    stop = _Stop()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    ticker = schedule.Scheduler()
    ticker.every(every).seconds.do(_once, app, stop)
    click.echo(f"watching {app.root}, every {every} s", err=True)
    try:
        _once(app, stop)
        while not stop.asked.is_set():
            ticker.run_pending()
            idle = ticker.idle_seconds
            stop.asked.wait(max(0.05, min(idle if idle is not None else 1.0, 60.0)))
    except KeyboardInterrupt:
        click.echo("stopped while a job ran; it is gone on with at the next start", err=True)
        leave()  # the round's own thread would else be waited for, to its end
    click.echo("stopped", err=True)
    return Exit.CLEAN
