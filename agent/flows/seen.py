"""What a round saw: every sealed answer opened and parsed in one go. Nothing here reaches a target.

The only thing fetched is a candidate's changelog from the mirror that the host itself names, once a version.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.flows.summary import LAYERS_OF
from agent.model.asset import Layer
from agent.model.errors import UnreachedError
from agent.model.observation import Reason, Unreached
from agent.model.text import one_line
from agent.observe import changelog, network
from agent.observe import database as databases
from agent.observe import host as hosts
from agent.store import runs

if TYPE_CHECKING:
    from datetime import datetime

    from agent.app import App
    from agent.model.facts import DatabaseFacts, HostFacts, NetworkFacts
    from agent.store.engine import Store


@dataclass
class Seen:
    """Facts of all targets of one round, opened from the evidence in one go."""

    hosts: dict[str, HostFacts] = field(default_factory=dict)
    databases: dict[str, DatabaseFacts] = field(default_factory=dict)
    networks: dict[str, NetworkFacts] = field(default_factory=dict)
    layers: frozenset[Layer] = frozenset(Layer)
    """Layers that the round was asked to look at."""
    evidence: dict[tuple[str, str], int] = field(default_factory=dict)
    """(target, kind of task) to ledger sequence number."""
    unreached: list[Unreached] = field(default_factory=list)
    again: bool = False
    """Recorded evidence is judged again: nothing is fetched."""

    def numbers(self, target: str, *kinds: str) -> tuple[int, ...]:
        """Ledger sequence numbers of a target's observations of these kinds."""
        return tuple(self.evidence[target, kind] for kind in kinds if (target, kind) in self.evidence)


def look(app: App, run_id: str) -> Seen:
    """Open and parse all that a run sealed."""
    plan = runs.run_by_id(app.store, run_id).plan
    seen = Seen(layers=frozenset(Layer(layer) for layer in plan["layers"]), again="of" in plan)
    xml: dict[int, tuple[NetworkFacts, ...]] = {}
    addresses = {host.name: host.address for host in app.inventory.hosts}
    declared = {target.name for target in app.inventory.targets}
    for task in runs.tasks(app.store, run_id):
        if task.state != "unreached" and task.target not in declared:
            seen.unreached += [
                Unreached(task.target, layer, Reason.GONE, "taken out of the inventory since the run began")
                for layer in _planned(app, seen, task.target, task.kind)
            ]
            continue
        if task.state == "unreached":
            seen.unreached += [
                Unreached(task.target, layer, Reason(task.reason), task.detail)
                for layer in _planned(app, seen, task.target, task.kind)
            ]
        if task.state != "done" or not task.evidence:
            continue
        seen.evidence[task.target, task.kind] = task.evidence
        if task.kind == "network":
            if task.evidence not in xml:
                xml[task.evidence] = network.parse(app.ledger.open(task.evidence), addresses)
            mine = [facts for facts in xml[task.evidence] if facts.target == task.target]
            seen.networks |= {facts.target: facts for facts in mine}
            if not mine:
                detail = "the sealed answer of nmap does not hold the address that the inventory declares now"
                seen.unreached.append(Unreached(task.target, Layer.NETWORK, Reason.UNREACHABLE, detail))
            continue
        payload = app.ledger.open(task.evidence)
        try:
            if task.kind == "host":
                seen.hosts[task.target] = hosts.facts(task.target, payload)
            else:
                seen.databases[task.target] = databases.facts(task.target, payload)
        except (UnreachedError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            # one answer that is not understood must not keep the others from being judged
            reason = Reason(error.reason) if isinstance(error, UnreachedError) else Reason.INTERNAL
            said = error.message if isinstance(error, UnreachedError) else f"{type(error).__name__}: {error}"
            seen.unreached += [
                Unreached(task.target, layer, reason, one_line(said))
                for layer in _planned(app, seen, task.target, task.kind)
            ]
    return seen


@dataclass(frozen=True, slots=True)
class _Kept:
    """Changelogs in the store: what `observe.changelog` asks of its keeper."""

    store: Store
    now: datetime

    def get(self, source: str, version: str) -> str | None:
        """What was fetched earlier."""
        return runs.changelog(self.store, source, version)

    def put(self, source: str, version: str, text: str) -> None:
        """Keep it for every host and every later round."""
        runs.keep_changelog(self.store, source, version, text, self.now)


def _planned(app: App, seen: Seen, target: str, kind: str) -> list[Layer]:
    declared = next((item.layers for item in app.inventory.targets if item.name == target), tuple(Layer))
    return [layer for layer in LAYERS_OF[kind] if layer in declared and layer in seen.layers]


def enrich(app: App, seen: Seen, now: datetime) -> None:
    """Add the CVEs that the candidates' changelogs name; a changelog that cannot be had costs nothing else."""
    known = changelog.Changelogs(_Kept(app.store, now), () if seen.again else app.inventory.mirrors)
    for name, facts in seen.hosts.items():
        seen.hosts[name] = changelog.enrich(facts, known)
