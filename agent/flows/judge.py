"""Judge a round from what was recorded: open the evidence, parse, judge, compare with exceptions, keep.

Nothing here reaches a target. The only thing fetched is a candidate's changelog
from the mirror that the host itself names, once a version.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from agent.flows.summary import LAYERS_OF, Summary, TargetSummary
from agent.judge import controls as control_judge
from agent.judge import coverage, exposure, updates
from agent.judge import exceptions as accepted_risks
from agent.model.asset import Database, Host, Layer
from agent.model.control import Outcome
from agent.model.errors import AgentError, UnreachedError
from agent.model.finding import Finding, FindingState
from agent.model.observation import Reason, Unreached
from agent.model.text import one_line
from agent.observe import changelog, network
from agent.observe import database as databases
from agent.observe import host as hosts
from agent.store import runs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from agent.app import App
    from agent.model.control import Control, Verdict
    from agent.model.facts import DatabaseFacts, HostFacts, NetworkFacts, Subject
    from agent.model.finding import RiskException
    from agent.store.engine import Store

SHANGHAI = ZoneInfo("Asia/Shanghai")


@dataclass
class _Seen:
    """Facts of all targets of one round, opened from the evidence in one go."""

    hosts: dict[str, HostFacts] = field(default_factory=dict)
    databases: dict[str, DatabaseFacts] = field(default_factory=dict)
    networks: dict[str, NetworkFacts] = field(default_factory=dict)
    layers: frozenset[Layer] = frozenset(Layer)
    """Layers that the round was asked to look at."""
    evidence: dict[tuple[str, str], int] = field(default_factory=dict)
    """(target, kind of task) to ledger sequence number."""
    unreached: list[Unreached] = field(default_factory=list)

    def numbers(self, target: str, *kinds: str) -> tuple[int, ...]:
        """Ledger sequence numbers of a target's observations of these kinds."""
        return tuple(self.evidence[target, kind] for kind in kinds if (target, kind) in self.evidence)


def judge(app: App, run_id: str) -> Summary:
    """Judge every recorded observation of a run, keep findings and verdicts, seal a checkpoint, close the run."""
    now = app.clock()
    seen = _open(app, run_id)
    _enrich(app, seen, now)
    findings: list[Finding] = []
    verdicts: list[Verdict] = []
    for host in app.inventory.hosts:
        _judge_host(host, seen, app.controls, now, findings, verdicts)
    for database in app.inventory.databases:
        _judge_database(database, seen, app.controls, findings, verdicts)
    findings += _coverage(seen)
    findings = sorted_findings(app, accept(distinct(findings), app.exceptions, now))
    summary = _summary(app, run_id, seen, findings, verdicts)
    runs.save_judgement(app.store, run_id, findings, verdicts, summary.to_dict())
    app.ledger.checkpoint()
    runs.close_run(app.store, run_id, app.clock())
    return summary


def _open(app: App, run_id: str) -> _Seen:
    wanted = runs.run_by_id(app.store, run_id).plan["layers"]
    seen = _Seen(layers=frozenset(Layer(layer) for layer in wanted))
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


def _planned(app: App, seen: _Seen, target: str, kind: str) -> list[Layer]:
    declared = next((item.layers for item in app.inventory.targets if item.name == target), tuple(Layer))
    return [layer for layer in LAYERS_OF[kind] if layer in declared and layer in seen.layers]


def _enrich(app: App, seen: _Seen, now: datetime) -> None:
    """Add the CVEs that the candidates' changelogs name; a changelog that cannot be had costs nothing else."""
    known = changelog.Changelogs(_Kept(app.store, now), app.inventory.mirrors)
    for name, facts in seen.hosts.items():
        seen.hosts[name] = changelog.enrich(facts, known)


def _judge_subjects(
    subjects: Sequence[Subject],
    controls: Sequence[Control],
    evidence: tuple[int, ...],
    findings: list[Finding],
    verdicts: list[Verdict],
) -> None:
    for subject in subjects:
        mine = [control for control in controls if control.target == subject.kind]
        judged = control_judge.judge(subject, mine)
        verdicts += judged
        findings += control_judge.findings(judged, mine, layer_of(subject.kind), evidence)


def layer_of(kind: str) -> Layer:
    """The layer on which a subject of that kind is reported."""
    if kind == "linux":
        return Layer.HOST
    return Layer.DATABASE if kind in {"mysql", "postgresql"} else Layer.MIDDLEWARE


def _judge_host(
    host: Host,
    seen: _Seen,
    controls: Sequence[Control],
    now: datetime,
    findings: list[Finding],
    verdicts: list[Verdict],
) -> None:
    facts, outside = seen.hosts.get(host.name), seen.networks.get(host.name)
    if facts:
        evidence = seen.numbers(host.name, "host")
        layers = seen.layers & set(host.layers)
        subjects = [item for item in facts.subjects if layer_of(item.kind) in layers]
        _judge_subjects(subjects, controls, evidence, findings, verdicts)
        if Layer.HOST in layers:
            findings += updates.judge(facts, evidence, now)
    if (facts or outside) and Layer.NETWORK in seen.layers:
        findings += exposure.judge(host, facts, outside, seen.numbers(host.name, "host", "network"), now)


def _judge_database(
    database: Database,
    seen: _Seen,
    controls: Sequence[Control],
    findings: list[Finding],
    verdicts: list[Verdict],
) -> None:
    facts = seen.databases.get(database.name)
    if facts:
        evidence = seen.numbers(database.name, "database")
        _judge_subjects([facts.subject], controls, evidence, findings, verdicts)


def _coverage(seen: _Seen) -> list[Finding]:
    numbers: dict[str, list[int]] = {}
    for (target, _), number in seen.evidence.items():
        numbers.setdefault(target, []).append(number)
    return coverage.judge(
        seen.unreached,
        list(seen.hosts.values()),
        list(seen.databases.values()),
        list(seen.networks.values()),
        {target: tuple(of_target) for target, of_target in numbers.items()},
    )


def distinct(findings: Sequence[Finding]) -> list[Finding]:
    """One finding a key; of several the worst, with the evidence of all."""
    by_key: dict[str, Finding] = {}
    for finding in findings:
        other = by_key.get(finding.key)
        if other is None:
            by_key[finding.key] = finding
            continue
        worst = min(finding, other, key=lambda item: item.severity.rank)
        by_key[finding.key] = replace(worst, evidence=tuple(sorted({*finding.evidence, *other.evidence})))
    return list(by_key.values())


def accept(findings: Sequence[Finding], exceptions: Sequence[RiskException], now: datetime) -> list[Finding]:
    """Mark what an unexpired exception covers; it stays in the list, and so does what a part of is covered."""
    return accepted_risks.mark(findings, exceptions, now.astimezone(SHANGHAI).date().isoformat())


def sorted_findings(app: App, findings: Sequence[Finding]) -> list[Finding]:
    """In the inventory's order, worst first."""
    order = {target.name: index for index, target in enumerate(app.inventory.targets)}
    return sorted(
        findings, key=lambda item: (order.get(item.target, len(order)), item.severity.rank, item.check, item.location)
    )


def _summary(app: App, run_id: str, seen: _Seen, findings: Sequence[Finding], verdicts: Sequence[Verdict]) -> Summary:
    planned = {task.target for task in runs.tasks(app.store, run_id)}
    per_target = {}
    for target in app.inventory.targets:
        if target.name in planned:
            mine = Counter(verdict.outcome.value for verdict in verdicts if verdict.target == target.name)
            per_target[target.name] = _target_summary(target, seen, dict(mine))
    return Summary(
        run=run_id,
        targets=len(planned),
        unreached=tuple(seen.unreached),
        severities=dict(Counter(item.severity.value for item in findings if item.state is FindingState.OPEN)),
        states=dict(Counter(item.state.value for item in findings)),
        verdicts={outcome.value: sum(item.outcome is outcome for item in verdicts) for outcome in Outcome},
        per_target=per_target,
        notes=tuple(_notes(seen)),
    )


def _target_summary(target: Host | Database, seen: _Seen, counts: Mapping[str, int]) -> TargetSummary:
    name = target.name
    layers: list[Layer] = []
    lost = {item.layer for item in seen.unreached if item.target == name}
    for kind, seen_by in LAYERS_OF.items():
        if (name, kind) in seen.evidence:
            layers += [layer for layer in seen_by if layer in target.layers and layer in seen.layers - lost]
    if isinstance(target, Database):
        facts = seen.databases.get(name)
        return TargetSummary(
            f"{facts.flavour} {facts.version}" if facts else "",
            tuple(layer.value for layer in layers) if facts else (),
            counts,
            (),
            seen.numbers(name, "database"),
        )
    host = seen.hosts.get(name)
    instances = tuple(f"{item.kind} {item.version} {item.location}" for item in host.instances) if host else ()
    return TargetSummary(
        host.os_name if host else "",
        tuple(layer.value for layer in layers),
        counts,
        instances,
        seen.numbers(name, "host", "network"),
    )


def _notes(seen: _Seen) -> list[str]:
    """What the report must say of how the round was made."""
    if seen.networks and network.technique() != "-sS":
        return [
            "本机没有发送原始报文的权限，端口扫描用完整连接（connect）代替半连接（SYN），会在目标日志中留下连接记录。"
        ]
    return []


def run_or_latest(app: App, run_id: str | None) -> str:
    """The run asked for, or the newest closed scan.

    Raises:
        AgentError: there is none.
    """
    if run_id:
        return runs.run_by_id(app.store, run_id).id
    for run in runs.latest_runs(app.store, "scan"):
        if run.state == "closed":
            return run.id
    raise AgentError("no finished scan yet", remedy="run `agent scan --period NAME` first")
