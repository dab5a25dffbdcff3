"""Findings for people: filter, explain one with its evidence, accept a risk."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.flows.judge import SHANGHAI, run_or_latest
from agent.model.errors import AgentError
from agent.model.finding import Finding, RiskException
from agent.store import runs

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import date

    from agent.app import App
    from agent.model.control import Control
    from agent.model.evidence import Evidence


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to show; an empty field means all."""

    targets: Collection[str] = ()
    severities: Collection[str] = ()
    layers: Collection[str] = ()
    kinds: Collection[str] = ()
    states: Collection[str] = ()
    check: str = ""

    def holds(self, finding: Finding) -> bool:
        """Whether a finding is wanted."""
        chosen = (
            (self.targets, finding.target),
            (self.severities, finding.severity.value),
            (self.layers, finding.layer.value),
            (self.kinds, finding.kind.value),
            (self.states, finding.state.value),
        )
        return all(not want or value in want for want, value in chosen) and finding.check.startswith(self.check)


def pick(app: App, run_id: str | None, wanted: Wanted) -> tuple[str, list[Finding]]:
    """The run and its findings that are wanted.

    Raises:
        AgentError: there is no finished run, or a target is none of that run: nothing found would look like clean.
    """
    found = run_or_latest(app, run_id)
    planned = runs.run_by_id(app.store, found).plan["targets"]
    for name in wanted.targets:
        if name not in planned:
            raise AgentError(f"{name!r} is no target of this run", where=found, remedy="see `agent inventory list`")
    return found, [item for item in runs.findings(app.store, found) if wanted.holds(item)]


@dataclass(frozen=True, slots=True)
class Explained:
    """One finding with what it was judged by and from."""

    finding: Finding
    control: Control | None
    evidence: tuple[Evidence, ...]


def explain(app: App, run_id: str | None, key: str) -> Explained:
    """One finding by its key, or by a beginning of it that is unique.

    Raises:
        AgentError: no finding, or several, begin so.
    """
    found, every = pick(app, run_id, Wanted())
    hits = [item for item in every if item.key.startswith(key)]
    if len(hits) != 1:
        many = "several findings begin" if hits else "no finding begins"
        raise AgentError(f"{many} with {key!r}", where=found, remedy="see the keys in `agent findings`")
    control = next((item for item in app.controls if item.id == hits[0].check), None)
    entries = {item.seq: item for item in app.ledger.entries(run=runs.run_by_id(app.store, found).observed)}
    return Explained(hits[0], control, tuple(entries[seq] for seq in hits[0].evidence if seq in entries))


def _plain(name: str) -> str:
    """A name without what two spellings of one person differ in."""
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())


def _names_of_operator(app: App) -> set[str]:
    """Login, name and mail of who operates, so that nobody approves by another of their own names."""
    from agent.declared import load_people  # noqa: PLC0415 - used by this verb alone

    me = [person for person in load_people(app.root) if person.login == app.operator]
    return {_plain(word) for word in (app.operator, *(word for one in me for word in (one.name, one.mail)))}


def refuse_own_approval(app: App, approver: str) -> None:
    """Who operates does not approve.

    Raises:
        AgentError: the approver is nobody, or the operator by any of their names.
    """
    if _plain(approver) in {"", *_names_of_operator(app)}:
        raise AgentError("who operates does not approve", where="--approver", remedy="name the person who allowed it")


def accept(app: App, key: str, *, approver: str, expires: date, reason: str) -> RiskException:
    """Write an exception for a finding to the workspace's exceptions.yaml.

    Raises:
        AgentError: no such finding, nobody else approves it, or the expiry has passed.
    """
    finding = explain(app, None, key).finding
    today = app.clock().astimezone(SHANGHAI).date()
    if expires <= today:
        raise AgentError(f"the expiry {expires} has passed", where="--expires", remedy="name a later day")
    if not reason.strip():
        raise AgentError("an accepted risk needs its reason", where="--reason")
    refuse_own_approval(app, approver)
    exception = RiskException(
        finding.target,
        finding.check,
        finding.location,
        reason.strip(),
        approver.strip(),
        expires.isoformat(),
        today.isoformat(),
    )
    from agent.declared import add_exception  # noqa: PLC0415 - used by this verb alone

    add_exception(app.root, exception)
    return exception
