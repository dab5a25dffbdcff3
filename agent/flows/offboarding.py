"""Off-boarding: every account of a person, closed under a ticket; later, again under a ticket, deleted.

The plan is kept as a run and its transactions are those of hardening: armed, looked at over fresh logins, confirmed or
undone by the target itself. What was done, by whose order, and what is left to people is sealed (`offboarding`).
"""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from agent.change.registry import check
from agent.declared.people import load_people
from agent.flows.accounts import registers, roster
from agent.flows.archive import archive
from agent.flows.changing import HostChange, Watcher, leave_to_dict
from agent.flows.harden import Echo, Rollout, approved_steps
from agent.flows.held import held
from agent.flows.judge import SHANGHAI
from agent.flows.planning import Reading
from agent.judge.leaving import Claim, claims
from agent.model.asset import Database
from agent.model.change import Item, Planned, Skip, TxState, Why
from agent.model.errors import AgentError, RefusedError
from agent.model.hardening import HardenPlan
from agent.store import changes, runs

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from agent.app import App
    from agent.declared.people import Person
    from agent.model.hardening import Leave, TxRecord

KIND = "offboarding"
CONTROL = "OFFBOARD"
"""What a ticket names as control."""
GRACE = timedelta(days=30)
"""Between the sealed closing of an account and its deletion."""
_RESOURCES = {"linux": "leave_host", "mariadb": "leave_mysql", "mysql": "leave_mysql", "postgresql": "leave_pg"}


@dataclass(frozen=True, slots=True)
class Departure:
    """What is to be done about a person's accounts."""

    person: Person
    plan: HardenPlan
    finish: bool
    mine: tuple[Claim, ...]
    """Accounts that are the person's alone; the n-th is item `a<n>` of the plan."""
    people: tuple[tuple[str, str], ...]
    """(what, remedy) that is left to people."""
    unseen: tuple[str, ...]
    """`TARGET: WHY`: what is there is not known."""


@dataclass(frozen=True, slots=True)
class Account:
    """How one account ended."""

    target: str
    account: str
    kind: str
    state: str
    """`closed` or `deleted`, said after a fresh look; `open`; `unknown`: nobody could look."""
    why: str = ""
    transactions: tuple[str, ...] = ()
    """Those that were confirmed."""
    archive: str = ""
    """`PATH sha256:HEX BYTES` of the home; or why there is none."""


@dataclass(frozen=True, slots=True)
class Left:
    """How an off-boarding ended."""

    departure: Departure
    accounts: tuple[Account, ...]
    evidence: int
    stopped: str = ""

    @property
    def complete(self) -> bool:
        """Whether it is known of every account and every target how it stands."""
        return not self.departure.unseen and all(one.state != "unknown" for one in self.accounts)

    @property
    def done(self) -> bool:
        """Whether a fresh look found every account closed (or deleted)."""
        return self.complete and all(
            one.state == "deleted" or (one.state == "closed" and not self.departure.finish) for one in self.accounts
        )


def person_of(app: App, name: str) -> Person:
    """A person of people.yaml, by name or login. Raises AgentError, DeclaredError."""
    found = [each for each in load_people(app.root) if name and name in {each.name, each.login}]
    if len(found) != 1:
        what = "no person" if not found else "several people are called"
        raise AgentError(f"{what} {name!r} in people.yaml", where="PERSON", remedy="name a login of people.yaml")
    return found[0]


def begin(app: App, name: str, *, targets: Collection[str] = (), finish: bool = False) -> Departure:
    """Plan by the newest round's evidence and what the targets say now; keep the plan as a run. Nothing is changed.

    Args:
        app: the workspace.
        name: who leaves: a name or login of people.yaml.
        targets: only these; empty: all.
        finish: delete what was closed long enough ago.

    Raises:
        AgentError: no such person or target, or no round has looked at accounts.
        RefusedError: this machine is no designated ops location.
    """
    app.require_ops_location()
    person = person_of(app, name)
    known = {target.name for target in app.inventory.targets}
    for each in targets:
        if each not in known:
            raise AgentError(f"no target named {each!r}", where="--target", remedy="see `agent inventory list`")
    found = roster(app)
    now = app.clock()
    day = now.astimezone(SHANGHAI).date()
    others = [each for each in load_people(app.root) if each != person and (each.until is None or each.until >= day)]
    about = registers(app)
    all_ = claims(
        [one.found for one in found.holdings if not targets or one.found.target in targets], person, others, about
    )
    mine = tuple(one for one in all_ if not one.kept)
    run_id = f"{KIND}-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    plan = _plan(app, run_id, found.run, mine, finish=finish, person=person)
    unseen = [line for line in found.unseen if not targets or line.partition(": ")[0] in targets]
    unseen += [
        f"{host}: {why}" for host, why in plan.unread.items() if not any(x.startswith(f"{host}: ") for x in unseen)
    ]
    cut = dict.fromkeys(record.host for record in _cut_off(app))
    unseen += [f"{host}: 上次离岗处理在此中断，--apply 先问明其状态，再执行一次" for host in cut]
    departure = Departure(
        person,
        plan,
        finish,
        mine,
        tuple(_people(app, person, all_, day_passed=person.until is not None)),
        tuple(unseen),
    )
    _keep(app, departure)
    return departure


def _plan(app: App, run_id: str, source: str, mine: Sequence[Claim], *, finish: bool, person: Person) -> HardenPlan:
    homes = {each.name: each.host if isinstance(each, Database) else each.name for each in app.inventory.targets}
    items = [_item(app, number, one, finish=finish) for number, one in enumerate(mine, 1)]
    due = closings(app, person) if finish else {}
    early = {item.id: why for item, one in zip(items, mine, strict=True) if finish and (why := _early(app, one, due))}
    read = Reading(app).read({homes[item.target] for item in items}, items, homes)
    answers = {one.item.id: one for one in read.planned}
    planned = []
    for item in items:
        one = answers[item.id]
        if item.id in early and one.steps:
            one = Planned(item, skip=Skip(Why.EXCLUDED, early[item.id]))
        planned.append(one)
    return HardenPlan(run_id, source, KIND, tuple(planned), homes, read.unread)


def _item(app: App, number: int, claim: Claim, *, finish: bool) -> Item:
    one = claim.found
    target = next(each for each in app.inventory.targets if each.name == one.target)
    subject = {}
    if isinstance(target, Database):
        subject = {"engine": target.engine, "port": str(target.port), "dbname": target.dbname, "account": target.user}
    item = Item(
        f"a{number}",
        _RESOURCES[one.kind],
        {"state": "deleted" if finish else "locked"},
        {
            "account": one.user,
            "host": one.name.rpartition("@")[2] if one.kind in {"mariadb", "mysql"} else "",
            "keep": sorted({*app.policy.keep_accounts, *([] if subject else [target.user])}),
        },
        target=one.target,
        control=CONTROL,
        title=f"人员离岗：{'删除' if finish else '关闭'} {one.name}",
        subject=subject,
    )
    check(item)
    return item


def _people(app: App, person: Person, all_: Sequence[Claim], *, day_passed: bool) -> list[tuple[str, str]]:
    """What no program does: shared accounts get another password, devices are seen to, declarations are mended."""
    left = []
    managed = {account.id for account in app.accounts}
    for one in all_:
        if one.kept:
            name = one.found.id
            how = f"agent password rotate --account {name}" if name in managed else "change it by hand"
            keys = "; take the person's key out of its authorized_keys" if one.found.keys else ""
            left.append((f"{one.found.name}（{one.found.target}）：{one.kept}", f"rotate its password: {how}{keys}"))
    mine = {person.name, person.login} - {""}
    for account in app.accounts:
        if account.person not in mine:
            continue
        if account.kind in {"manual", "redis", "tomcat"}:
            left.append((f"{account.id}（{account.kind}）", "close it, or change its password, by hand"))
        left.append(
            (f"{account.id}：由 {person.name} 负责", "name another person in inventory/accounts.yaml, or remove it")
        )
    if not day_passed:
        left.append((f"{person.name} 在 people.yaml 中没有离岗日", "set `to` in inventory/people.yaml"))
    return left


def closings(app: App, person: Person) -> dict[tuple[str, str], datetime]:
    """(target, account) to when the ledger has it as closed, unbroken since. Raises IntegrityError."""
    since: dict[tuple[str, str], datetime] = {}
    void: set[tuple[str, str]] = set()
    for entry in app.ledger.entries():
        if entry.kind != KIND:
            continue
        body = json.loads(app.ledger.open(entry.seq))
        if body["person"] != person.name:
            continue
        for one in body["accounts"]:
            key = (one["target"], one["account"])
            if one["state"] != "closed":
                since.pop(key, None)
            elif one["transactions"]:
                void.discard(key)
                since[key] = entry.at
                if any(changes.by_id(app.store, each).reverted_by for each in one["transactions"]):
                    since.pop(key)
                    void.add(key)
            elif key not in void:
                since.setdefault(key, entry.at)
    return since


def _early(app: App, one: Claim, closed: Mapping[tuple[str, str], datetime]) -> str:
    """Why it is not deleted yet; empty when it may be."""
    at = closed.get((one.found.target, one.found.name))
    if at is None:
        return "没有封存的关闭记录：先执行 offboard --apply"
    due = at + GRACE
    return f"宽限期未满：{due.astimezone(SHANGHAI):%Y-%m-%d} 起可删除" if app.clock() < due else ""


def _keep(app: App, departure: Departure) -> None:
    plan = departure.plan
    body = {
        "scan": plan.scan,
        "profile": KIND,
        "person": departure.person.name,
        "finish": departure.finish,
        "plan_digest": plan.digest,
        "steps": approved_steps(plan),
        "planned": [changes.planned_to_dict(one) for one in plan.planned],
        "hosts": dict(plan.hosts),
        "unread": dict(plan.unread),
    }
    runs.create_run(
        app.store,
        plan.run,
        kind=KIND,
        period=runs.run_by_id(app.store, plan.scan).period,
        plan=body,
        operator=app.operator,
        started_at=app.clock(),
        tasks=(),
    )
    app.ledger.seal("change-plan", _bytes(body), run=plan.run)
    app.ledger.checkpoint()


def _bytes(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, sort_keys=True).encode(errors="surrogatepass")


class _Rollout(Rollout):
    """An account that comes back on one host is closed on the others all the same."""

    def _learn(self, names: Sequence[str], records: Sequence[TxRecord]) -> None:
        """Nothing is withheld."""
        del names, records


def apply(app: App, departure: Departure, leave: Leave, watch: Watcher, echo: Echo) -> Left:
    """Archive homes, change the targets, look afresh, seal.

    Raises:
        AgentError: another process is at work on it.
        RefusedError: this machine is no designated ops location; nobody approved.
    """
    if leave.ticket is None:
        raise RefusedError("no change ticket", where="--ticket", remedy="agent ticket new NUMBER ...")
    plan = departure.plan
    with held(app.state, KIND):
        app.require_ops_location()
        _settle(app, watch, echo)
        changes.note(app.store, plan.run, {"leave": leave_to_dict(leave)})
        archives, failed = _archives(app, plan, echo)
        kept = tuple(one for one in plan.planned if one.item.id not in failed)
        rollout = _Rollout(app, replace(plan, planned=kept), watch, echo)
        rollout.until = leave.ticket.end
        rollout.prepare()
        rollout.go()
        return _close(app, departure, leave, rollout.stopped, archives, failed)


def _cut_off(app: App) -> list[TxRecord]:
    """Transactions of an off-boarding that was killed, of which nothing final is known."""
    return [each for each in changes.unsettled(app.store) if runs.run_by_id(app.store, each.run).kind == KIND]


def _settle(app: App, watch: Watcher, echo: Echo) -> None:
    """Ask the targets about them; what nobody confirmed is undone."""
    for record in _cut_off(app):
        echo(f"asking {record.host} about {record.id} ({record.group}) ...")
        HostChange(app, app.inventory.host(record.host), watch, approved=()).settle(record)


def _archives(app: App, plan: HardenPlan, echo: Echo) -> tuple[dict[str, str], dict[str, str]]:
    """Item id to its archive; item id to why it could not be made: that account is not touched."""
    made: dict[str, str] = {}
    failed: dict[str, str] = {}
    for one in plan.planned:
        if one.item.resource != "leave_host" or not one.steps:
            continue
        name = str(one.item.options["account"])
        echo(f"archiving the home of {name} on {one.item.target} ...")
        try:
            made[one.item.id] = archive(app, app.inventory.host(one.item.target), name, plan.run)
        except AgentError as error:
            failed[one.item.id] = f"家目录未能归档，账号未动：{error.message}"
    return made, failed


def _close(
    app: App,
    departure: Departure,
    leave: Leave,
    stopped: str,
    archives: Mapping[str, str],
    failed: Mapping[str, str],
) -> Left:
    """Look afresh, by the same code that planned, and seal how it ended."""
    plan = departure.plan
    items = [one.item for one in plan.planned]
    again = Reading(app).read({plan.hosts[item.target] for item in items}, items, plan.hosts)
    seen = {one.item.id: one for one in again.planned}
    records = changes.of_run(app.store, plan.run)
    accounts = []
    for first, claim in zip(plan.planned, departure.mine, strict=True):
        now = seen[first.item.id]
        mine = [one for one in records if any(each.item.id == first.item.id for each in one.planned)]
        done = tuple(one.id for one in mine if one.state is TxState.CONFIRMED)
        state, why = _state(first, now, finish=departure.finish)
        why = failed.get(first.item.id, "") or why or next((one.why for one in mine if one.why and state == "open"), "")
        accounts.append(
            Account(
                claim.found.target,
                claim.found.name,
                claim.found.kind,
                state,
                why,
                done,
                archives.get(first.item.id, ""),
            )
        )
    unsettled = [one for one in records if not one.state.settled and one.state is not TxState.PLANNED]
    body = {
        "person": departure.person.name,
        "login": departure.person.login,
        "finish": departure.finish,
        "operator": app.operator,
        "ordered_by": leave.ticket.approver or "未验签" if leave.ticket else "",
        "ticket": leave.ticket.number if leave.ticket else "",
        "overrides": dict(leave.overrides),
        "run": plan.run,
        "round": plan.scan,
        "at": app.clock().isoformat(),
        "accounts": [asdict(one) for one in accounts],
        "steps": [
            [one.id, one.host, one.state.value, step.name, step.before, step.after]
            for one in records
            for step in one.steps
        ],
        "people": [list(each) for each in departure.people],
        "unseen": list(departure.unseen),
        "stopped": stopped,
    }
    seq = app.ledger.seal(KIND, _bytes(body), run=plan.run, subject=departure.person.name).seq
    changes.note(app.store, plan.run, {"evidence": seq, "stopped": stopped})
    app.ledger.checkpoint()
    if not unsettled:
        runs.close_run(app.store, plan.run, app.clock())
    return Left(departure, tuple(accounts), seq, stopped)


def _state(first: Planned, now: Planned, *, finish: bool) -> tuple[str, str]:
    """By the second reading: nothing that was to be taken away may be there."""
    if now.skip and now.skip.why is Why.DONE:
        return "deleted" if finish else "closed", ""
    if now.skip and now.skip.why is Why.ERROR:
        return "unknown", now.skip.text
    if finish and first.skip and first.skip.why is Why.EXCLUDED:
        return "closed", first.skip.text
    if now.skip:
        return "open", now.skip.text
    return "open", f"仍须：{'、'.join(step.name for step in now.steps)}"
