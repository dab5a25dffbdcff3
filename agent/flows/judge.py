"""Judge a round from what was recorded: open the evidence, parse, judge, compare with exceptions, keep.

Nothing here reaches a target. The only thing fetched is a candidate's changelog
from the mirror that the host itself names, once a version.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from agent.flows.advise import Advice, advise
from agent.flows.seen import Seen, enrich, look
from agent.flows.summary import LAYERS_OF, Summary, TargetSummary
from agent.judge import controls as control_judge
from agent.judge import coverage, ended, exposure, feedcover, lifecycle, outside, updates
from agent.judge import exceptions as accepted_risks
from agent.model.asset import Database, Host, Layer
from agent.model.control import Outcome
from agent.model.errors import AgentError
from agent.model.finding import Finding, FindingState
from agent.observe import network
from agent.store import runs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from agent.app import App
    from agent.model.control import Control, Verdict
    from agent.model.facts import HostFacts, Subject
    from agent.model.finding import RiskException

SHANGHAI = ZoneInfo("Asia/Shanghai")


def judge(app: App, run_id: str) -> Summary:
    """Judge every recorded observation of a run, keep findings and verdicts, seal a checkpoint, close the run."""
    now = app.clock()
    seen = look(app, run_id)
    enrich(app, seen, now)
    advice = advise(app, seen)
    findings: list[Finding] = []
    verdicts: list[Verdict] = []
    for host in app.inventory.hosts:
        _judge_host(host, seen, advice, app.controls, now, findings, verdicts)
    for database in app.inventory.databases:
        _judge_database(database, seen, advice, app.controls, now, findings, verdicts)
    findings += _coverage(seen)
    findings = sorted_findings(app, accept(distinct(findings), app.exceptions, now))
    summary = _summary(app, run_id, seen, advice, findings, verdicts)
    runs.save_judgement(app.store, run_id, findings, verdicts, summary.to_dict())
    app.ledger.checkpoint()
    runs.close_run(app.store, run_id, app.clock())
    return summary


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
    seen: Seen,
    advice: Advice,
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
            findings += updates.judge(facts, evidence, now, advice.packages[host.name], advice.cves)
            findings += _covered(facts, advice, evidence, now)
        if Layer.MIDDLEWARE in layers:
            findings += _products(host.name, Layer.MIDDLEWARE, advice, evidence, now)
    if (facts or outside) and Layer.NETWORK in seen.layers:
        findings += exposure.judge(host, facts, outside, seen.numbers(host.name, "host", "network"), now)


def _judge_database(
    database: Database,
    seen: Seen,
    advice: Advice,
    controls: Sequence[Control],
    now: datetime,
    findings: list[Finding],
    verdicts: list[Verdict],
) -> None:
    facts = seen.databases.get(database.name)
    if facts:
        evidence = seen.numbers(database.name, "database")
        _judge_subjects([facts.subject], controls, evidence, findings, verdicts)
        findings += _products(database.name, Layer.DATABASE, advice, evidence, now)


def _covered(facts: HostFacts, advice: Advice, evidence: tuple[int, ...], now: datetime) -> list[Finding]:
    """Whether any feed speaks of the host's system, and its maker still mends it."""
    system = facts.os_name or f"{facts.os_id} {facts.os_version}".strip() or "未能识别的系统"
    mirror = "updates" not in facts.unseen and facts.lists_age_days is not None
    releases = [one.version for one in facts.packages]
    today = now.astimezone(SHANGHAI).date()
    support = lifecycle.system(facts.os_id, facts.os_version, facts.os_name, advice.lifecycle, today, releases)
    return [
        *feedcover.judge(
            facts.target,
            Layer.HOST,
            system,
            advice.there[facts.target],
            advice.streams,
            advice.sizes,
            now,
            evidence,
            mirror=mirror,
        ),
        *feedcover.kernel(facts, system, evidence),
        *ended.judge(facts.target, Layer.HOST, system, "", support, evidence),
    ]


def _products(name: str, layer: Layer, advice: Advice, evidence: tuple[int, ...], now: datetime) -> list[Finding]:
    """What is open in software that no package manager knows, what is mended no longer, what could not be matched."""
    findings = []
    today = now.astimezone(SHANGHAI).date()
    for product in advice.products[name]:
        one = product.software
        support = lifecycle.software(one.kind, one.version, advice.lifecycle, today)
        findings += ended.judge(name, layer, f"{one.kind} {one.version}", one.location, support, evidence)
        findings += outside.findings(name, layer, one, product.matches, advice.cves, evidence)
        if product.why:
            findings.append(outside.unjudged(name, layer, one, product.why, evidence))
    return findings


def _coverage(seen: Seen) -> list[Finding]:
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


def _summary(
    app: App,
    run_id: str,
    seen: Seen,
    advice: Advice,
    findings: Sequence[Finding],
    verdicts: Sequence[Verdict],
) -> Summary:
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
        notes=(*_again(app, run_id), *_notes(seen), *_carried(app, run_id)),
        feeds=advice.feeds,
        feeds_digest=advice.digest,
    )


def _target_summary(target: Host | Database, seen: Seen, counts: Mapping[str, int]) -> TargetSummary:
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


def _notes(seen: Seen) -> list[str]:
    """What the report must say of how the round was made."""
    if seen.networks and network.technique() != "-sS":
        return [
            "本机没有发送原始报文的权限，端口扫描用完整连接（connect）代替半连接（SYN），会在目标日志中留下连接记录。"
        ]
    return []


def _again(app: App, run_id: str) -> list[str]:
    """That a round is a judgement of an earlier round's answers: its time is not when the targets were looked at."""
    of = runs.run_by_id(app.store, run_id).plan.get("of")
    if not of:
        return []
    looked = runs.run_by_id(app.store, of).started_at.astimezone(SHANGHAI)
    when = f"{looked:%Y-%m-%d %H:%M} 开始采集"
    told = f"本批次以当前的漏洞库、检查项与例外重新判定批次 {of}（{when}）封存的结果，没有再次检查目标；"
    return [f"{told}此后目标上的变化不在其中，起止时间是重新判定的时间。"]


def _carried(app: App, run_id: str) -> list[str]:
    """Who brought an answer that was collected by hand."""
    note = runs.run_by_id(app.store, run_id).plan.get("brought", {}).get("note")
    return [note] if note else []


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
