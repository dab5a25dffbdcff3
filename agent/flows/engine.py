"""What an engine may be asked to do: tasks by name, each taking a run's id and a zone, all else read from the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.flows import scan
from agent.flows.summary import Summary, summary_of
from agent.jobs import Engine

if TYPE_CHECKING:
    from agent.app import App
    from agent.flows.scan import Watcher


def advance(app: App, run_id: str, watch: Watcher = lambda _: None) -> Summary:
    """Have the engine take a run to its end, and return its summary. Raises what `scan.advance` raises."""

    def task(run: str, _zone: str) -> str:
        done = scan.advance(app, run, watch)
        return f"{run}: {done.targets} targets, {len(done.unreached)} layers not seen"

    engine = Engine({"scan": task}, workers=1)
    future = engine.submit("scan", run_id, "")
    future.result()  # an interrupt leaves here at once: the pool is not waited for, the caller ends the process
    engine.close()
    return summary_of(app, run_id)
