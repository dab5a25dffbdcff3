"""Controls of identity and access, as items to mend and as judged on a fresh look at a host of the lab."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

from agent.declared.playbooks import load_playbooks, shipped_playbooks
from agent.judge.controls import judge
from agent.model.change import Item, Risk
from agent.model.control import Control
from agent.model.session import Command
from agent.observe import host as collector

if TYPE_CHECKING:
    from hardening import HostUnderChange


@cache
def controls() -> dict[str, Control]:
    return {control.id: control for control in load_playbooks([shipped_playbooks()])}


def fixed(control: str, **options: Any) -> Item:
    """The item that a control's `fix` makes."""
    entry = controls()[control]
    more = {key: value for key, value in entry.fix.items() if key not in {"resource", "want"}}
    return Item(
        control,
        str(entry.fix["resource"]),
        entry.fix.get("want"),
        {**more, **options},
        control=control,
        title=entry.title,
        risk=tuple(map(Risk, entry.risk)),
    )


def judged(under: HostUnderChange, names: Iterable[str]) -> dict[str, str]:
    """Outcome of each control, by a fresh collection of the host."""
    chosen = [controls()[name] for name in names]
    nonce = secrets.token_hex(16)
    with under.app.sessions.open(under.host, 60) as session:
        done = session.run(Command(collector.script(chosen, nonce), privileged=True, deadline=120))
    facts = collector.parse(under.host.name, done.stdout, done.stderr, nonce)
    own = next(subject for subject in facts.subjects if subject.kind == "linux")
    return {verdict.control: verdict.outcome.value for verdict in judge(own, chosen)}
