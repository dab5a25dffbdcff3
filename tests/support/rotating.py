"""A rotation in a process of its own that dies, or waits, at a given step: what a campaign kills and cuts.

Usage: rotating.py WORKSPACE STEP COUNT DELAY SECONDS ACCOUNT...

At the COUNT-th event called STEP (`random`: any) it waits DELAY seconds and kills itself with SIGKILL; `none` lets it
come to its end. SECONDS is how long the change of a host may take.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from functools import partial
from pathlib import Path

from agent.app import App
from agent.flows import asking, rotation
from agent.flows.passwords import chosen

say = partial(print, flush=True)


def main(folder: str, step: str, count: str, delay: str, seconds: str, *names: str) -> int:
    asking.SECONDS = float(seconds)
    seen = 0
    lock = threading.Lock()

    def die() -> None:
        time.sleep(float(delay))
        os.kill(os.getpid(), signal.SIGKILL)

    def watch(event: rotation.Event) -> None:
        nonlocal seen
        say(event.step)
        with lock:
            if step not in {event.step, "random"}:
                return
            seen += 1
            if seen != int(count):
                return
        if float(delay):
            threading.Thread(target=die, daemon=True).start()
        else:
            die()

    app = App(Path(folder))
    for one in rotation.rotate(app, chosen(app, names), watch, reason="test"):
        say("ended", one.account, one.ended.value, one.why)
    app.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
