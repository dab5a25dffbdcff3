"""The agent's side of one transaction, in a process of its own that may be killed: python sabotage_agent.py <SPEC.

SPEC is JSON: workspace, host, tx (pickled, in hex), cut (seconds into begin after which the connection ends, or null).
It prints `EVENT WORDS` lines at once; what they announce follows them.
"""

from __future__ import annotations

import contextlib
import json
import pickle
import secrets
import socket
import struct
import sys
import threading
from pathlib import Path

from agent.app import App
from agent.change.transaction import begun
from agent.flows import ways
from agent.model.errors import AgentError
from agent.model.frames import split
from agent.model.session import Command


def say(*words: object) -> None:
    """One event."""
    print(*words, flush=True)  # noqa: T201 - its only way out


def ask(session, script, seconds):
    """Run a framed script as root."""
    nonce = secrets.token_hex(16)
    done = session.run(Command(script(nonce), privileged=True, deadline=seconds))
    return split(done.stdout, done.stderr, nonce)


def cut(session) -> None:
    """End the connection from our side, without a word."""
    sock = session._connection._transport.sock
    with contextlib.suppress(OSError):  # it may be closed already
        if isinstance(sock, socket.socket):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()


def main() -> None:
    """The steps of flows.changing.HostChange, each announced."""
    spec = json.loads(sys.stdin.readline())
    app = App(Path(spec["workspace"]))
    host, tx = app.inventory.host(spec["host"]), pickle.loads(bytes.fromhex(spec["tx"]))
    say("before-begin")
    with ways.fresh(app, host) as first:
        if spec["wait"]:
            say("ready")
            sys.stdin.readline()
        say("in-begin")
        if spec["cut"] is not None:
            threading.Timer(spec["cut"], cut, [first]).start()
        start = begun(ask(first, tx.begin, 30.0))
        say("begun", start.state.value, start.busy or "-", start.failed or "-", start.armed_by or "-")
        if start.failed:
            return
        try:
            say("in-look")
            with ways.fresh(app, host) as second:
                looked = ask(second, lambda nonce: tx.look(nonce, []), 30.0)
                good = looked["who"].text.startswith("0\n") and all(one.rc == 0 for one in looked.values())
                good = good and not ways.ways_in(app, host, first=False)[1]
                good = good and not any(ways.no_database(app, database) for database in ways.databases_on(app, host))
                if good:
                    say("before-confirm")
                    say("in-confirm")
                    say("confirmed", ask(second, tx.confirm, 30.0)["confirm"].text.split()[0])
                    return
        except AgentError as error:
            say("refused", error.message)
        say("in-undo")
        say("undone", ask(first, tx.undo, 60.0)["undo"].text.split()[-1])


if __name__ == "__main__":
    try:
        main()
    except Exception as error:  # noqa: BLE001 - whatever ends an agent, the target comes back
        say("lost", type(error).__name__, str(error)[:200])
