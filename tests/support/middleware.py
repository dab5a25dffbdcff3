"""Controls of nginx, Redis and Tomcat, as items to mend and as judged on a fresh look at a host of the lab."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from identity import controls, fixed

from agent.change.splice import Shown
from agent.judge.controls import judge
from agent.model.change import Item
from agent.model.session import Command
from agent.observe import host as collector

if TYPE_CHECKING:
    from hardening import HostUnderChange


def of(control: str, location: str, **options: Any) -> Item:
    """The item that a control's `fix` makes for an instance; services may be restarted."""
    return replace(fixed(control, **({"restart": True} | options)), location=location)


def judged(under: HostUnderChange, names: Iterable[str], location: str) -> dict[str, str]:
    """Outcome of each control for the instance at `location`, by a fresh collection of the host."""
    chosen = [controls()[name] for name in names]
    nonce = secrets.token_hex(16)
    with under.app.sessions.open(under.host, 60) as session:
        done = session.run(Command(collector.script(chosen, nonce), privileged=True, deadline=120))
    facts = collector.parse(under.host.name, done.stdout, done.stderr, nonce)
    own = next(subject for subject in facts.subjects if subject.location == location)
    return {verdict.control: verdict.outcome.value for verdict in judge(own, chosen)}


def shown(path: str, text: str, real: str = "") -> Shown:
    """A file as a target would show it."""
    return Shown(path, real or path, "0" * 64, text)
