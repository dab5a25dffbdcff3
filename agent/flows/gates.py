"""The gates before a change: ticket, window, scope, freeze, reboot, service accounts, ops location. All fail closed."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from agent.declared import load_people
from agent.declared.tickets import application, path_of, read_ticket
from agent.flows.variables import variables
from agent.ledger.ledger import Item
from agent.model.change import Risk
from agent.model.errors import RefusedError
from agent.model.hardening import RISKY, Leave
from agent.store import runs

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from agent.app import App
    from agent.declared.tickets import Paper
    from agent.model.change import Planned, Step
    from agent.model.hardening import HardenPlan, ServiceAccount, Ticket

__all__ = ["allowed", "emergency", "leave", "uncovered", "variables"]

SHANGHAI = ZoneInfo("Asia/Shanghai")
PLANS = ("harden", "offboarding")
"""Kinds of runs that keep a plan which a ticket may approve."""
SPARE = timedelta(minutes=10)
"""A window that ends sooner than this is told, however little is to be done."""
_MOST = 5
"""Names shown of a longer list."""
_LETTERS = r"[A-Za-z0-9_.$-]"
"""What may go on in an account's name."""


def leave(
    app: App,
    plan: HardenPlan,
    *,
    ticket: str | None,
    unsigned_by: str = "",
    freeze_by: str = "",
    now: datetime,
) -> Leave:
    """What may be done of a plan, now. Nothing is reached.

    Args:
        ticket: number of the ticket; None is refused.
        unsigned_by: who allowed work under a ticket that no approver signed.
        freeze_by: who allowed work inside an important period.

    Raises:
        RefusedError: a gate is closed; its reason, and what to do.
        DeclaredError: a declared file is wrong.
    """
    app.require_ops_location()
    variables(app)
    if not ticket:
        raise RefusedError(
            "no change ticket",
            where="--ticket",
            remedy=f"agent ticket new NUMBER --plan {plan.run} ..., and have it signed",
        )
    paper = read_ticket(app.root, ticket, app.operator)
    overrides: dict[str, str] = {}
    notes: list[str] = []
    _signed(app, paper.ticket, unsigned_by, overrides, notes)
    _in_window(app, paper.ticket, now, notes, _longest(app, plan))
    _covers(app, paper.ticket, plan)
    _approved(app, paper.ticket, plan)
    _frozen(app, plan, now, freeze_by, overrides, notes)
    _service_accounts(app, plan, notes)
    letter = _letter(app, paper.ticket, plan)
    _known(app, notes)
    return Leave(paper.ticket, overrides, letter is not None, tuple(notes), _sealed(app, paper, letter, plan.run))


def allowed(app: App, ticket: str, what: str, targets: Sequence[str], *, now: datetime) -> tuple[Leave, list[str]]:
    """Leave to do what changes nothing and is off unless a signed ticket allows it; the targets that it covers.

    Nobody's word stands in for the signature. Nothing is reached.

    Args:
        app: the workspace.
        ticket: its number.
        what: of `model.hardening.ALLOWANCES`.
        targets: names that were asked for; empty: all that the ticket covers.
        now: the present.

    Raises:
        RefusedError: a gate is closed; its reason, and what to do.
        DeclaredError: a declared file is wrong.
    """
    app.require_ops_location()
    paper = read_ticket(app.root, ticket, app.operator)
    where = str(path_of(app.root, ticket))
    if what not in paper.ticket.allows:
        raise RefusedError(
            f"the ticket does not allow {what}",
            where=where,
            remedy=f"agent ticket new NUMBER --allow {what} ..., and have it signed",
        )
    notes: list[str] = []
    _signed(app, paper.ticket, "", {}, notes)
    _in_window(app, paper.ticket, now, notes, SPARE)
    every = [each.name for each in app.inventory.targets]
    if unknown := sorted(set(targets) - set(every)):
        raise RefusedError(f"no such target: {_shown(unknown)}", where="--target", remedy="see `agent inventory list`")
    covered = [name for name in every if _matches(name, paper.ticket.targets)]
    if outside := sorted(set(targets) - set(covered)):
        raise RefusedError(
            f"the ticket does not name target {_shown(outside)}",
            where=where,
            remedy="narrow the work with --target, or have a ticket signed that names them",
        )
    if not covered:
        raise RefusedError(
            "the ticket covers no target of the inventory", where=where, remedy="see `agent inventory list`"
        )
    _known(app, notes)
    chosen = [name for name in covered if not targets or name in targets]
    return Leave(paper.ticket, notes=tuple(notes), evidence=_sealed(app, paper, None, "")), chosen


def _sealed(app: App, paper: Paper, letter: bytes | None, run: str) -> tuple[int, ...]:
    """Ledger numbers of ticket, application and signature, the very bytes that were judged; all or none are sealed."""
    items = [Item("ticket", paper.raw, run, paper.ticket.number)]
    if letter is not None:
        items.append(Item("application", letter, run, paper.ticket.reboot_application))
    if paper.signature:
        items.append(Item("ticket", paper.signature, run, f"{paper.ticket.number} 的签名"))
    return tuple(each.seq for each in app.ledger.seal_many(items))


def emergency(app: App, by: str) -> Leave:
    """Leave to take something back without a ticket, by a named person's word. Raises RefusedError."""
    app.require_ops_location()
    name = _person(app, by, "--emergency-by", operator_too=True)
    return Leave(None, {"emergency": name}, notes=(f"无工单，由 {name} 口头指令紧急回退（未验签）",))


def _signed(app: App, paper: Ticket, unsigned_by: str, overrides: dict[str, str], notes: list[str]) -> None:
    if paper.signed:
        return
    if not unsigned_by:
        raise RefusedError(
            f"the ticket does not count as signed: {paper.doubt}",
            where=str(path_of(app.root, paper.number)),
            remedy=f"let the approver run: agent ticket sign {paper.number} --approver-key KEY",
        )
    overrides["unsigned"] = _person(app, unsigned_by, "--unsigned-by")
    notes.append(f"工单 {paper.number} 未验签，由 {overrides['unsigned']} 准许执行")


def _person(app: App, name: str, where: str, *, operator_too: bool = False) -> str:
    """The name of a person of people.yaml, by name or login, who is not the operator."""
    people = load_people(app.root)
    found = next((each.name for each in people if name and name in {each.name, each.login}), "")
    if not found:
        raise RefusedError(f"no person {name!r} in people.yaml", where=where, remedy="name one who stands there")
    operating = {each.name for each in people if each.login == app.operator}
    if found in operating and not operator_too:
        raise RefusedError("who operates does not approve", where=where, remedy="name another person")
    return found


def _known(app: App, notes: list[str]) -> None:
    """Who operates is somebody: where people.yaml lacks the login, nobody can tell whose approval is his own."""
    if all(each.login != app.operator for each in load_people(app.root)):
        notes.append(f"操作账号 {app.operator} 未登记在人员台账（people.yaml）")


def _in_window(app: App, paper: Ticket, now: datetime, notes: list[str], longest: timedelta) -> None:
    shown = f"{paper.start.astimezone(SHANGHAI):%Y-%m-%d %H:%M} to {paper.end.astimezone(SHANGHAI):%Y-%m-%d %H:%M}"
    if not paper.start <= now < paper.end:
        when = "has not begun" if now < paper.start else "is over"
        raise RefusedError(
            f"the ticket's window {when} ({shown}, Asia/Shanghai)",
            where=str(path_of(app.root, paper.number)),
            remedy="work inside the window, or have a new ticket signed",
        )
    if paper.end - now < max(SPARE, longest):
        notes.append(f"工单窗口即将结束（{shown}），工作可能做不完")


def _longest(app: App, plan: HardenPlan) -> timedelta:
    """Time that the work may take: in each wave one undo may wait out its whole ttl."""
    hosts = {plan.hosts.get(one.item.target, one.item.target) for one, _ in plan.steps}
    return timedelta(seconds=app.policy.ttl * min(len(hosts), len(app.policy.waves) + 1))


def _covers(app: App, paper: Ticket, plan: HardenPlan) -> None:
    for what, names in uncovered(plan, paper.targets, paper.controls).items():
        if names:
            raise RefusedError(
                f"the ticket does not name {what} {_shown(names)}",
                where=str(path_of(app.root, paper.number)),
                remedy=f"narrow the work with --{what}, or have a ticket signed that names them",
            )


def uncovered(plan: HardenPlan, targets: tuple[str, ...], controls: tuple[str, ...]) -> dict[str, list[str]]:
    """Targets and controls of a plan's steps that a ticket of these patterns does not name, by `target`, `control`."""
    return {
        "target": sorted({one.item.target for one, _ in plan.steps if not _matches(one.item.target, targets)}),
        "control": sorted({one.item.control for one, _ in plan.steps if not _matches(one.item.control, controls)}),
    }


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, each) for each in patterns)


def _shown(names: list[str]) -> str:
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return ", ".join(names[:_MOST]) + more


def _approved(app: App, paper: Ticket, plan: HardenPlan) -> None:
    """Every step must be one of the plan that was signed; fewer are fine, other ones are not."""
    if not paper.plan_digest or paper.plan_digest == plan.digest:
        return
    signed, steps = _plan_of(app, paper.plan_digest)
    if not signed:
        raise RefusedError(
            "the plan that the ticket approves is not in this workspace",
            where=str(path_of(app.root, paper.number)),
            remedy=f"have a ticket with this plan's digest signed: agent ticket new NUMBER --plan {plan.run} ...",
        )
    other = sorted(
        f"{one.item.target} {one.item.control} {step.name}"
        for one, step in plan.steps
        if (one.item.target, one.item.control, step.digest) not in steps
    )
    if other:
        raise RefusedError(
            f"{len(other)} changes are not those of the approved plan {signed}: {_shown(other)}",
            where=str(path_of(app.root, paper.number)),
            remedy="the targets have changed since; have a ticket for the new plan signed, or narrow the work",
        )


def _plan_of(app: App, digest: str) -> tuple[str, frozenset[tuple[str, ...]]]:
    """The run whose kept steps have this digest, and these steps; the store is believed in nothing else."""
    for run in [each for kind in PLANS for each in runs.latest_runs(app.store, kind)]:
        rows = sorted(tuple(map(str, each)) for each in run.plan.get("steps", ()))
        if hashlib.sha256(json.dumps(rows).encode()).hexdigest() == digest:
            return run.id, frozenset(rows)
    return "", frozenset()


def _frozen(
    app: App, plan: HardenPlan, now: datetime, freeze_by: str, overrides: dict[str, str], notes: list[str]
) -> None:
    today, last = (each.astimezone(SHANGHAI).date() for each in (now, now + _longest(app, plan)))
    period = next((each for each in app.periods if each.start <= today <= each.end), None)
    if period is None:
        notes.extend(f"{each.title} 变更冻结期即将开始" for each in app.periods if today < each.start <= last)
        return
    if not freeze_by:
        raise RefusedError(
            f"no change inside an important period: {period.title}, {period.start} to {period.end}",
            where=period.id,
            remedy="wait until it is over, or name who allows it with --freeze-by",
        )
    overrides["freeze"] = _person(app, freeze_by, "--freeze-by")
    notes.append(f"在 {period.title} 变更冻结期内，由 {overrides['freeze']} 准许执行")


def _of_risk(plan: HardenPlan, risks: Iterable[Risk]) -> list[tuple[Planned, Step]]:
    wanted = set(risks)
    return [(one, step) for one, step in plan.steps if wanted & set(step.risk)]


def _names(step: Step, account: str) -> bool:
    """Whether a step is about an account: it is a handle's argument, or stands as a word in the step's name."""
    word = re.compile(rf"(?<!{_LETTERS}){re.escape(account)}(?!{_LETTERS})", re.IGNORECASE)
    args = {arg.lower() for handle in step.handles for arg in handle.args}
    return account.lower() in args or bool(word.search(step.name))


def _service_accounts(app: App, plan: HardenPlan, notes: list[str]) -> None:
    """Nothing that can expire a registered account is done to it; what may reach it as one of all is told."""
    told: dict[tuple[str, str, str], list[str]] = {}
    for one, step in _of_risk(plan, {Risk.ACCOUNT_EXPIRY}):
        for entry in _registered(app, one.item.target):
            if _names(step, entry.account):
                raise RefusedError(
                    f"{step.name} on {one.item.target} is about the service account {entry.account} of {entry.owner}"
                    + (f" (window: {entry.window})" if entry.window else ""),
                    where="hardening.yaml: service_accounts",
                    remedy="agree with its owner, rotate its password first, or leave the control out with --control",
                )
            told.setdefault((one.item.target, entry.account, entry.owner), []).append(step.name)
    for (target, account, owner), names in told.items():
        shown = "、".join(dict.fromkeys(names[:_MOST]))
        notes.append(
            f"{target} 上可能使账户到期的变更（{shown} 等 {len(names)} 项）：其上登记有服务账户 {account}（{owner}）"
        )


def _registered(app: App, target: str) -> list[ServiceAccount]:
    return [each for each in app.policy.service_accounts if {"*", target} & set(each.targets)]


def _letter(app: App, paper: Ticket, plan: HardenPlan) -> bytes | None:
    """The customer's application, where a step may need it or the ticket names one."""
    if paper.reboot_application or _of_risk(plan, RISKY):
        return application(app.root, paper)
    return None
