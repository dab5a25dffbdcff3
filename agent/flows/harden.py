"""Harden: a plan kept as a run, its gates, a canary, waves, a fresh look, and how each finding ended.

Each step leaves a durable row: whoever resumes a killed run first asks the targets how
their transactions stand, then goes on with those that were never begun.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from agent.flows import closing, engine, planning, rollback, scan, ways
from agent.flows.changing import HostChange, Watcher, leave_to_dict, records_of
from agent.flows.held import held
from agent.model.asset import Database, Layer
from agent.model.change import TxState
from agent.model.errors import AgentError
from agent.model.finding import FindingKind
from agent.model.hardening import HardenPlan, Health, Leave, TxRecord, Wave
from agent.store import changes, runs

if TYPE_CHECKING:
    from datetime import datetime

    from agent.app import App
    from agent.model.asset import Host

IMPORTANCE = {"normal": 0, "important": 1, "core": 2}
Echo = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Done:
    """How an applied run ended."""

    run: str
    transactions: tuple[TxRecord, ...]
    waves: tuple[Wave, ...]
    verify: str
    """Run of the fresh look; empty when nothing was changed."""
    stopped: str = ""
    """Why the roll-out stopped; empty: it went through."""

    @property
    def settled(self) -> bool:
        """Whether every transaction is known to have ended one way or the other."""
        return all(one.state.settled for one in self.transactions if one.state is not TxState.PLANNED)


def begin(app: App, scan_run: str, wanted: planning.Wanted) -> HardenPlan:
    """Read the targets, plan, and keep the plan as a run. Nothing is changed."""
    now = app.clock()
    run_id = f"harden-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    plan = planning.make(app, scan_run, run_id, wanted)
    body = {
        "scan": scan_run,
        "profile": plan.profile,
        "wanted": asdict(wanted),
        "plan_digest": plan.digest,
        "steps": approved_steps(plan),
        "planned": [changes.planned_to_dict(one) for one in plan.planned],
        "hosts": dict(plan.hosts),
        "unread": dict(plan.unread),
    }
    runs.create_run(
        app.store,
        run_id,
        kind="harden",
        period=runs.run_by_id(app.store, scan_run).period,
        plan=body,
        operator=app.operator,
        started_at=now,
        tasks=(),
    )
    payload = json.dumps(body, ensure_ascii=False, sort_keys=True).encode(errors="surrogatepass")
    seq = app.ledger.seal("change-plan", payload, run=run_id).seq
    changes.note(app.store, run_id, {"plan_evidence": seq})
    app.ledger.checkpoint()
    return plan


def approved_steps(plan: HardenPlan) -> list[list[str]]:
    """[target, control, digest] of every step: what a ticket approves."""
    return sorted([one.item.target, one.item.control, step.digest] for one, step in plan.steps)


def load(app: App, run_id: str, kinds: Collection[str] = ("harden",)) -> HardenPlan:
    """Read a kept plan. Raises AgentError when the run is no hardening (or none of these kinds)."""
    run = runs.run_by_id(app.store, run_id)
    if run.kind not in kinds:
        raise AgentError("this run is no hardening", where=run_id, remedy="see `agent harden --list`")
    return changes.plan_of(run_id, run.plan)


def apply(app: App, plan: HardenPlan, leave: Leave, watch: Watcher, echo: Echo) -> Done:
    """Change the targets as the plan says and the gates let, then look afresh and close the run.

    Raises:
        AgentError: the run is closed, or another process is at work on it.
        RefusedError: this machine is no designated ops location.
    """
    with held(app.state, plan.run):
        run = runs.run_by_id(app.store, plan.run)
        if run.state == "closed":
            raise AgentError("this hardening is finished", where=plan.run, remedy="plan anew: agent harden --from-scan")
        app.require_ops_location()
        changes.note(app.store, plan.run, {"leave": leave_to_dict(leave)})
        rollout = Rollout(app, plan, watch, echo)
        rollout.until = leave.ticket.end if leave.ticket else None
        rollout.prepare()
        rollout.settle()
        rollout.go()
        return rollout.close()


class Rollout:
    """Waves over hosts; what a wave hurts is undone, and nothing follows."""

    def __init__(self, app: App, plan: HardenPlan, watch: Watcher, echo: Echo) -> None:
        self.app, self.plan, self.watch, self.echo = app, plan, watch, echo
        self.approved: Collection[tuple[str, str, str]] = {
            (target, control, digest) for target, control, digest in approved_steps(plan)
        }
        self.waves: list[Wave] = []
        self.withheld: set[tuple[str, str]] = set()
        self.stopped = ""
        self.until: datetime | None = None
        """End of the ticket's window: no wave begins after it."""

    def prepare(self) -> None:
        """Write down every transaction, once."""
        if not changes.of_run(self.app.store, self.plan.run):
            changes.add(self.app.store, records_of(self.plan.run, self.plan.planned, self.plan.hosts))

    def settle(self) -> None:
        """Ask about what an earlier process of this run left."""
        for record in changes.of_run(self.app.store, self.plan.run):
            if record.state is not TxState.PLANNED and not record.state.settled:
                self.echo(f"asking {record.host} about {record.id} ({record.group}) ...")
                self._change(self._host(record.host), 0).settle(record)

    def _host(self, name: str) -> Host:
        return self.app.inventory.host(name)

    def _change(self, host: Host, wave: int) -> HostChange:
        return HostChange(self.app, host, self.watch, approved=self.approved, wave=wave)

    def waiting(self) -> dict[str, list[TxRecord]]:
        """Transactions not begun yet, by host."""
        found: dict[str, list[TxRecord]] = {}
        for record in changes.of_run(self.app.store, self.plan.run):
            if record.state is TxState.PLANNED:
                found.setdefault(record.host, []).append(record)
        return found

    def go(self) -> None:
        """One wave after the other, as long as none hurts."""
        waiting = self.waiting()
        for number, names in enumerate(waves_of(self.app, list(waiting)), 1):
            if self.until and self.app.clock() >= self.until:
                self.stopped = self.stopped or f"第 {number} 波次前工单窗口已过，停止推进"
            if self.stopped:
                return
            self._wave(number, names, waiting)
            changes.note(self.app.store, self.plan.run, {"waves": [asdict(wave) for wave in self.waves]})

    def _wave(self, number: int, names: Sequence[str], waiting: dict[str, list[TxRecord]]) -> None:
        hosts = [self._host(name) for name in names]
        self.echo(f"wave {number}: {', '.join(names)}")
        before = ways.health(self.app, hosts)
        lost = {one.host for one in before if any(each.startswith("login") for each in one.silent)}
        for one in before:
            if one.host in lost:
                self._leave_alone(waiting[one.host], f"执行前已无法登录：{'；'.join(one.silent)}")
        able = [host for host in hosts if host.name not in lost]
        with ThreadPoolExecutor(max(len(able), 1)) as pool:
            done = list(pool.map(lambda host: self._change(host, number).run(self._allowed(waiting[host.name])), able))
        after = ways.health(self.app, hosts)
        hurt = ways.worse(before, after)
        self.waves.append(Wave(number, tuple(names), before, after, hurt))
        records = [record for of_host in done for record in of_host]
        if hurt:
            self._undo(records, hurt)
        elif number == 1:
            self._learn(names, records)
        unknown = [record for record in records if not record.state.settled]
        if unknown and not self.stopped:
            self.stopped = f"{unknown[0].host} 上的事务 {unknown[0].id} 状态不明（{unknown[0].state.value}），停止推进"

    def _leave_alone(self, records: Sequence[TxRecord], why: str) -> None:
        for record in records:
            changes.save(self.app.store, replace(record, state=TxState.ABSENT, why=why, ended_at=self.app.clock()))

    def _allowed(self, records: Sequence[TxRecord]) -> list[TxRecord]:
        """Without what came back on the canary."""
        kept = []
        for record in records:
            planned = tuple(one for one in record.planned if (record.group, one.item.control) not in self.withheld)
            if planned:
                kept.append(replace(record, planned=planned))
            else:
                self._leave_alone([record], "同一项在先行主机上被撤销，未在此执行")
        return kept

    def _learn(self, names: Sequence[str], records: Sequence[TxRecord]) -> None:
        """What was undone on the first hosts is not tried on the others."""
        for record in records:
            if record.state is TxState.UNDONE and not record.why.endswith("（逐项重做）"):
                self.withheld |= {(record.group, one.item.control) for one in record.planned}
        if self.withheld:
            items = ", ".join(sorted(control for _, control in self.withheld))
            self.echo(f"came back on {', '.join(names)}, not tried elsewhere: {items}")

    def _undo(self, records: Sequence[TxRecord], hurt: Sequence[str]) -> None:
        self.stopped = f"本波次使服务变差：{'；'.join(hurt)}；已撤销本波次并停止推进"
        self.echo(f"stopped: {'; '.join(hurt)} answered before and does not now; taking this wave back")
        done = [record for record in records if record.state is TxState.CONFIRMED]
        rollback.take_back(self.app, done, self.watch)

    def close(self) -> Done:
        """Look afresh at what was touched, say how every finding ended, close the run."""
        records = changes.of_run(self.app.store, self.plan.run)
        touched = {record.host for record in records if record.state is not TxState.ABSENT and record.sent_at}
        verify = ""
        if touched:
            self.echo("looking afresh ...")
            verify = look_afresh(self.app, self.plan, touched)
        changes.note(self.app.store, self.plan.run, {"verify": verify, "stopped": self.stopped})
        records = changes.of_run(self.app.store, self.plan.run)
        open_left = [one for one in records if one.state is TxState.PLANNED]
        if open_left and self.stopped:
            self._leave_alone(open_left, self.stopped)
            records = changes.of_run(self.app.store, self.plan.run)
        done = Done(self.plan.run, tuple(records), tuple(self.waves), verify, self.stopped)
        closing.close(self.app, self.plan, records, verify)
        self.app.ledger.checkpoint()
        if done.settled:
            runs.close_run(self.app.store, self.plan.run, self.app.clock())
        return done


def waves_of(app: App, names: Sequence[str]) -> list[list[str]]:
    """The canary first, then waves of the policy's sizes, the least important first; bastions last, one by one."""
    bastions = planning.bastions(app.inventory.hosts)
    order = {host.name: (IMPORTANCE[host.importance], index) for index, host in enumerate(app.inventory.hosts)}
    plain = sorted((name for name in names if name not in bastions), key=lambda name: order[name])
    if app.policy.canary in plain:
        plain.remove(app.policy.canary)
        plain.insert(0, app.policy.canary)
    waves = []
    for size in app.policy.waves:
        if plain:
            waves.append(plain[:size])
            plain = plain[size:]
    if plain:
        waves.append(plain)
    return [*waves, *([name] for name in sorted(names) if name in bastions)]


def look_afresh(app: App, plan: HardenPlan, hosts: Collection[str]) -> str:
    """Scan what was touched once more, from outside too where an exposure is to be closed; the id of that run."""
    targets = tuple(
        target.name
        for target in app.inventory.targets
        if (target.host if isinstance(target, Database) else target.name) in hosts
    )
    layers = [Layer.HOST, Layer.MIDDLEWARE, Layer.DATABASE]
    inside = {key for one in plan.planned for key in one.item.findings}
    found = [each for each in runs.findings(app.store, plan.scan) if each.key in inside and each.target in targets]
    if any(each.kind is FindingKind.EXPOSURE for each in found):
        layers.append(Layer.NETWORK)
    scope = f"加固 {plan.run} 之后的复核（{len(targets)} 个对象）"
    run_id = scan.begin(app, None, scan.Plan("", targets, tuple(layers), scope), kind="verify")
    engine.advance(app, run_id)
    return run_id


def health_of(raw: Sequence[dict[str, Any]]) -> tuple[Wave, ...]:
    """Waves as the run's row keeps them."""

    def each(one: dict[str, Any]) -> Health:
        return Health(one["host"], tuple(one["answered"]), tuple(one["silent"]))

    return tuple(
        Wave(
            wave["number"],
            tuple(wave["hosts"]),
            tuple(each(one) for one in wave["before"]),
            tuple(each(one) for one in wave["after"]),
            tuple(wave["hurt"]),
        )
        for wave in raw
    )
