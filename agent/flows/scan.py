"""A round: plan it, collect and seal every target, look at the network, judge what was recorded.

Each step leaves a durable row, so that a killed round goes on where it stood:
`advance` does only the tasks that still wait, and judging reads only what was sealed.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from agent.flows.held import held
from agent.flows.judge import judge
from agent.flows.summary import Summary
from agent.model.asset import Database, Host, Layer
from agent.model.errors import AgentError, IntegrityError, StoreError, ToolError, UnreachedError
from agent.model.observation import Reason
from agent.model.session import Command
from agent.model.text import one_line
from agent.observe import database as databases
from agent.observe import host as hosts
from agent.observe import network
from agent.store import runs

if TYPE_CHECKING:
    from agent.app import App
    from agent.model.asset import Target
    from agent.model.facts import NetworkFacts
    from agent.model.period import Period
    from agent.model.ports import Session, SqlSession

DEADLINE = 120.0
"""Seconds that one target may take, connection included."""
GRACE = 15.0
"""Seconds after which the network look starts without the stragglers; they get their own afterwards."""
WORKERS = 32
LOOK = 6
"""The network look of all hosts may take this many deadlines; over all 65,535 ports five times as many."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened, for whoever watches."""

    target: str
    kind: str
    state: str
    """`start`, `done` or `unreached`."""
    detail: str = ""


Watcher = Callable[[Step], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a round looks at; kept with the run, so that a resumed one is the same."""

    period: str
    targets: tuple[str, ...]
    layers: tuple[Layer, ...]
    scope: str
    full_ports: bool = False
    deadline: float = DEADLINE
    whole: bool = False
    """Whether it looks at every target on every layer; `begin` sets it."""
    brought: Mapping[str, str] = field(default_factory=dict)
    """Of an answer that a person carried here: who, when, its hash, and `note`, the report's sentence."""

    def to_dict(self) -> dict[str, Any]:
        """For the run's row."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Plan:
        """Read it back."""
        fields = dict(raw)
        fields["targets"] = tuple(fields["targets"])
        fields["layers"] = tuple(Layer(layer) for layer in fields["layers"])
        return cls(**fields)


def select(targets: Iterable[Target], *, names: Sequence[str] = (), groups: Sequence[str] = ()) -> tuple[Target, ...]:
    """Targets asked for, in declared order; none asked for means all.

    Raises:
        AgentError: a name or a group that the inventory does not have.
    """
    every = tuple(targets)
    known = {target.name for target in every}
    known_groups = {group for target in every if isinstance(target, Host) for group in target.groups}
    for name in names:
        if name not in known:
            raise AgentError(f"no target named {name!r}", where="--target", remedy="see `agent inventory list`")
    for group in groups:
        if group not in known_groups:
            have = ", ".join(sorted(known_groups)) or "none"
            raise AgentError(f"no group named {group!r}", where="--group", remedy=f"groups: {have}")
    if not names and not groups:
        return every
    return tuple(
        target
        for target in every
        if target.name in names or (isinstance(target, Host) and set(groups) & set(target.groups))
    )


def begin(app: App, period: Period | None, plan: Plan, *, kind: str = "scan") -> str:
    """Write the run and its tasks; return the run's id. Nothing is touched yet.

    `kind` is `scan`, or `verify` for the fresh look after a change, which counts as no round.
    """
    now = app.clock()
    everything = {target.name for target in app.inventory.targets} == set(plan.targets)
    plan = replace(plan, whole=everything and set(plan.layers) == set(Layer))
    run_id = f"{kind}-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    tasks = []
    for target in app.inventory.targets:
        if target.name not in plan.targets:
            continue
        if isinstance(target, Database):
            if Layer.DATABASE in plan.layers:
                tasks.append((target.name, "database"))
            continue
        layers = set(target.layers) & set(plan.layers)
        if layers & {Layer.HOST, Layer.MIDDLEWARE}:
            tasks.append((target.name, "host"))
        if Layer.NETWORK in layers:
            tasks.append((target.name, "network"))
    if not tasks:
        raise AgentError("nothing to scan: no selected target has a selected layer", remedy="see --target, --layer")
    runs.create_run(
        app.store,
        run_id,
        kind=kind,
        period=period.id if period else "",
        plan=plan.to_dict(),
        operator=app.operator,
        started_at=now,
        tasks=tasks,
    )
    return run_id


def advance(app: App, run_id: str, watch: Watcher = lambda _: None) -> Summary:
    """Do what the run still lacks and judge it. Run again after a kill, it does no finished target twice.

    Raises:
        AgentError: there is no such run, it is closed already, or another process is at work on it.
        DeclaredError: what judging needs is wrong; told before any target is reached.
        RefusedError: this machine is no designated ops location.
    """
    runs.run_by_id(app.store, run_id)
    with held(app.state, run_id):
        run = runs.run_by_id(app.store, run_id)
        if run.state == "closed":
            raise AgentError("this run is finished; there is nothing to resume", where=run_id)
        app.require_ops_location()
        app.controls, app.exceptions  # noqa: B018 - a wrong file is told now, not after the whole round
        _Round(app, run_id, Plan.from_dict(run.plan), watch).collect()
        return judge(app, run_id)


def _fits(target: Target | None, kind: str) -> bool:
    """Whether a task's target is still declared, and still as what it was planned."""
    return isinstance(target, Database if kind == "database" else Host)


class _Bounded:
    """A database session that answers no more once the target's time is up.

    Each statement has a limit of its own, and there are dozens.
    """

    def __init__(self, session: SqlSession, until: float) -> None:
        self._session, self._until = session, until

    def query(self, statement: str) -> Sequence[Sequence[object]]:
        """Rows of one SELECT. Raises UnreachedError(`timeout`) when nothing is left, and what the session raises."""
        if time.monotonic() >= self._until:
            raise UnreachedError(Reason.TIMEOUT, "the time for this database is up")
        return self._session.query(statement)

    def close(self) -> None:
        """Close the session."""
        self._session.close()


class _Round:
    """Collecting, for one run: hosts and databases side by side, then the network by one nmap."""

    def __init__(self, app: App, run_id: str, plan: Plan, watch: Watcher) -> None:
        self.app, self.run_id, self.plan, self.watch = app, run_id, plan, watch
        self.ports: dict[str, set[int]] = {}
        self.open: set[Session | SqlSession] = set()
        self.lock = threading.Lock()

    def collect(self) -> None:
        """Every waiting task ends as done or unreached; only our own failure leaves it waiting."""
        by_name = {target.name: target for target in self.app.inventory.targets}
        waiting = []
        for task in runs.tasks(self.app.store, self.run_id):
            if task.state == "waiting" and _fits(by_name.get(task.target), task.kind):
                waiting.append(task)
            elif task.state == "waiting":
                self._unreached(task.target, task.kind, Reason.GONE, "taken out of the inventory since the run began")
        looks = [by_name[task.target] for task in waiting if task.kind == "network"]
        self._recall_ports()
        pool = ThreadPoolExecutor(max_workers=WORKERS, thread_name_prefix="collect")
        try:
            futures: dict[Future[None], str] = {}
            for task in waiting:
                target = by_name[task.target]
                if task.kind == "host":
                    futures[pool.submit(self._task, target, "host", self._host)] = task.target
                elif task.kind == "database":
                    futures[pool.submit(self._task, target, "database", self._database)] = task.target
            self._look_at_network(looks, futures)
            for future in futures:
                future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            self._abort()
            raise
        pool.shutdown()

    def _look_at_network(self, looks: list[Target], futures: dict[Future[None], str]) -> None:
        """Run nmap over those whose listeners are known; stragglers get a second look when they are done."""
        pending = set(futures)
        until = time.monotonic() + GRACE
        while pending and (left := until - time.monotonic()) > 0:
            done, pending = wait(pending, timeout=left, return_when=FIRST_COMPLETED)
            for future in done:
                future.result()
        late = {futures[future] for future in pending}
        self._network([host for host in looks if isinstance(host, Host) and host.name not in late])
        if late:
            wait(pending)
            self._network([host for host in looks if isinstance(host, Host) and host.name in late])

    def _task(self, target: Target, kind: str, work: Callable[..., int]) -> None:
        self.watch(Step(target.name, kind, "start"))
        try:
            evidence = work(target)
        except UnreachedError as error:
            told = f"{error.message}; {error.remedy}" if error.remedy else error.message
            self._unreached(target.name, kind, Reason(error.reason), told)
        except (StoreError, IntegrityError):
            raise  # ours, not the target's: the task stays waiting and the run can be resumed
        except AgentError as error:
            self._unreached(target.name, kind, Reason.TOOL, str(error))
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
            # What one target says must not end the round of all the others; the sealed answer stays in the chain.
            detail = f"its answer is not understood ({type(error).__name__}: {error})"
            self._unreached(target.name, kind, Reason.INTERNAL, detail)
        else:
            self._done(target.name, kind, evidence)

    def _host(self, host: Host) -> int:
        nonce = secrets.token_hex(12)
        command = Command(
            hosts.script(self.app.controls, nonce),
            privileged=host.become.method != "none",
            deadline=self.plan.deadline,
        )
        session = self.app.sessions.open(host, self.plan.deadline)
        with self._kept(session):
            result = session.run(command)
            payload = hosts.pack(result, nonce, session.banner)
        evidence = self.app.ledger.seal("host", payload, run=self.run_id, subject=host.name)
        facts = hosts.facts(host.name, payload)
        self.ports[host.name] = {item.port for item in facts.listeners if item.proto == "tcp" and not item.loopback}
        return evidence.seq

    def _database(self, database: Database) -> int:
        session = self.app.sessions.open_sql(database, self.plan.deadline)
        with self._kept(session):
            bounded = _Bounded(session, time.monotonic() + self.plan.deadline)
            payload = databases.collect(bounded, database.engine, self.app.controls)
        return self.app.ledger.seal("database", payload, run=self.run_id, subject=database.name).seq

    def _network(self, looks: list[Host]) -> None:
        for host in looks:
            if host.bastion:
                self._unreached(host.name, "network", Reason.UNSUPPORTED, f"reached only through {host.bastion}")
        direct = [host for host in looks if not host.bastion]
        for six in (False, True):  # nmap takes one family a run
            reachable = {host.name: host.address for host in direct if (":" in host.address) is six}
            if reachable:
                self._nmap(reachable)

    def _nmap(self, reachable: dict[str, str]) -> None:
        for name in reachable:
            self.watch(Step(name, "network", "start"))
        ports = {port for name in reachable for port in self.ports.get(name, ())}
        try:
            patience = self.plan.deadline * LOOK * (5 if self.plan.full_ports else 1)
            xml = network.scan(reachable, sorted(ports), full=self.plan.full_ports, timeout=patience)
            seen = {facts.target: facts for facts in network.parse(xml, reachable)}
        except (UnreachedError, ToolError) as error:
            reason = Reason(error.reason) if isinstance(error, UnreachedError) else Reason.TOOL
            for name in reachable:
                self._unreached(name, "network", reason, error.message)
            return
        evidence = self.app.ledger.seal("network", xml, run=self.run_id, subject="@network").seq
        for name in reachable:
            self._seen_by_nmap(name, seen.get(name), evidence)

    def _seen_by_nmap(self, name: str, facts: NetworkFacts | None, evidence: int) -> None:
        if facts is None:
            self._unreached(name, "network", Reason.UNREACHABLE, "nmap's answer does not hold this address")
        elif facts.timed_out:
            self._unreached(name, "network", Reason.TIMEOUT, "nmap gave up on it (--host-timeout)")
        else:
            self._done(name, "network", evidence)

    def _recall_ports(self) -> None:
        """What finished hosts of a resumed run listen on, from their sealed answers."""
        for task in runs.tasks(self.app.store, self.run_id):
            if task.kind == "host" and task.state == "done" and task.evidence:
                facts = hosts.facts(task.target, self.app.ledger.open(task.evidence))
                self.ports[task.target] = {
                    item.port for item in facts.listeners if item.proto == "tcp" and not item.loopback
                }

    def _kept(self, session: Session | SqlSession) -> closing[Session | SqlSession]:
        with self.lock:
            self.open.add(session)
        return closing(session)

    def _abort(self) -> None:
        with self.lock:
            for session in self.open:
                session.close()

    def _done(self, target: str, kind: str, evidence: int) -> None:
        runs.finish_task(
            self.app.store, self.run_id, target, kind, state="done", at=self.app.clock(), evidence=evidence
        )
        self.watch(Step(target, kind, "done"))

    def _unreached(self, target: str, kind: str, reason: Reason, detail: str) -> None:
        detail = one_line(detail)
        runs.finish_task(
            self.app.store,
            self.run_id,
            target,
            kind,
            state="unreached",
            at=self.app.clock(),
            reason=reason.value,
            detail=detail,
        )
        self.watch(Step(target, kind, "unreached", f"{reason.value}: {detail}"))
