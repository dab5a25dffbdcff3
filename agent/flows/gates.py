"""The gates before a change: ticket, window, scope, freeze, reboot, service accounts, ops location. All fail closed."""

from __future__ import annotations

from datetime import timedelta
from fnmatch import fnmatchcase
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from agent.declared import load_people
from agent.declared.opscheck import allowed
from agent.declared.tickets import application, load_ticket, path_of
from agent.model.change import Risk
from agent.model.errors import RefusedError
from agent.model.hardening import Leave
from agent.store import runs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from agent.app import App
    from agent.model.change import Planned, Step
    from agent.model.hardening import HardenPlan, Ticket

SHANGHAI = ZoneInfo("Asia/Shanghai")
SPARE = timedelta(minutes=10)
"""A window that ends sooner than this is told."""
_MOST = 5
"""Names shown of a longer list."""


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
    paper = load_ticket(app.root, ticket, app.operator)
    overrides: dict[str, str] = {}
    notes: list[str] = []
    _signed(app, paper, unsigned_by, overrides, notes)
    _in_window(app, paper, now, notes)
    _covers(app, paper, plan)
    _approved(app, paper, plan)
    _frozen(app, now, freeze_by, overrides, notes)
    _service_accounts(app, plan)
    reboot = _reboot(app, paper, plan)
    evidence = [app.ledger.seal("ticket", path_of(app.root, ticket).read_bytes(), run=plan.run).seq]
    if reboot:
        evidence.append(app.ledger.seal("application", application(app.root, paper), run=plan.run).seq)
    return Leave(paper, overrides, reboot, tuple(notes), tuple(evidence))


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
            "the ticket bears no signature of an approver that holds (missing, of other bytes, or the operator's own)",
            where=str(path_of(app.root, paper.number)),
            remedy=f"let the approver run: agent ticket sign {paper.number} --approver-key KEY",
        )
    overrides["unsigned"] = _person(app, unsigned_by, "--unsigned-by")
    notes.append(f"工单 {paper.number} 未验签，由 {overrides['unsigned']} 准许执行")


def _person(app: App, name: str, where: str, *, operator_too: bool = False) -> str:
    """The name of a person of people.yaml, by name or login, who is not the operator."""
    for person in load_people(app.root):
        if name in {person.name, person.login} and name:
            if person.login == app.operator and not operator_too:
                raise RefusedError("who operates does not approve", where=where, remedy="name another person")
            return person.name
    raise RefusedError(f"no person {name!r} in people.yaml", where=where, remedy="name one who stands there")


def _in_window(app: App, paper: Ticket, now: datetime, notes: list[str]) -> None:
    shown = f"{paper.start.astimezone(SHANGHAI):%Y-%m-%d %H:%M} to {paper.end.astimezone(SHANGHAI):%Y-%m-%d %H:%M}"
    if not paper.start <= now < paper.end:
        when = "has not begun" if now < paper.start else "is over"
        raise RefusedError(
            f"the ticket's window {when} ({shown}, Asia/Shanghai)",
            where=str(path_of(app.root, paper.number)),
            remedy="work inside the window, or have a new ticket signed",
        )
    if paper.end - now < SPARE:
        notes.append(f"工单窗口即将结束（{shown}）")


def _covers(app: App, paper: Ticket, plan: HardenPlan) -> None:
    targets = sorted({one.item.target for one, _ in plan.steps if not _matches(one.item.target, paper.targets)})
    controls = sorted({one.item.control for one, _ in plan.steps if not _matches(one.item.control, paper.controls)})
    for what, names in (("target", targets), ("control", controls)):
        if names:
            raise RefusedError(
                f"the ticket does not name {what} {_shown(names)}",
                where=str(path_of(app.root, paper.number)),
                remedy=f"narrow the work with --{what}, or have a ticket signed that names them",
            )


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, each) for each in patterns)


def _shown(names: list[str]) -> str:
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return ", ".join(names[:_MOST]) + more


def _approved(app: App, paper: Ticket, plan: HardenPlan) -> None:
    """Every step must be one of the plan that was signed; fewer are fine, other ones are not."""
    if not paper.plan_digest or paper.plan_digest == plan.digest:
        return
    signed = next(
        (run for run in runs.latest_runs(app.store, "harden") if run.plan.get("plan_digest") == paper.plan_digest), None
    )
    if signed is None:
        raise RefusedError(
            "the plan that the ticket approves is not in this workspace",
            where=str(path_of(app.root, paper.number)),
            remedy="plan here, and have a ticket with that plan's digest signed",
        )
    steps = {tuple(each) for each in signed.plan["steps"]}
    other = sorted(
        f"{one.item.target} {one.item.control} {step.name}"
        for one, step in plan.steps
        if (one.item.target, one.item.control, step.digest) not in steps
    )
    if other:
        raise RefusedError(
            f"{len(other)} changes are not those of the approved plan {signed.id}: {_shown(other)}",
            where=str(path_of(app.root, paper.number)),
            remedy="the targets have changed since; have a ticket for the new plan signed, or narrow the work",
        )


def _frozen(app: App, now: datetime, freeze_by: str, overrides: dict[str, str], notes: list[str]) -> None:
    today = now.astimezone(SHANGHAI).date()
    period = next((each for each in app.periods if each.start <= today <= each.end), None)
    if period is None:
        return
    if not freeze_by:
        raise RefusedError(
            f"no change inside an important period: {period.title}, {period.start} to {period.end}",
            where=period.id,
            remedy="wait until it is over, or name who allows it with --freeze-by",
        )
    overrides["freeze"] = _person(app, freeze_by, "--freeze-by")
    notes.append(f"在 {period.title} 变更冻结期内，由 {overrides['freeze']} 准许执行")


def _of_risk(plan: HardenPlan, risk: Risk) -> Iterator[tuple[Planned, Step]]:
    return ((one, step) for one, step in plan.steps if risk in step.risk)


def _service_accounts(app: App, plan: HardenPlan) -> None:
    for one, step in _of_risk(plan, Risk.ACCOUNT_EXPIRY):
        for entry in app.policy.service_accounts:
            here = "*" in entry.targets or one.item.target in entry.targets
            if here and entry.account in step.name.replace("/", " ").replace(":", " ").split():
                raise RefusedError(
                    f"{step.name} on {one.item.target} is a service account of {entry.owner}"
                    + (f" (window: {entry.window})" if entry.window else ""),
                    where="hardening.yaml: service_accounts",
                    remedy="agree with its owner, rotate its password first, or leave the control out with --control",
                )


def _reboot(app: App, paper: Ticket, plan: HardenPlan) -> bool:
    if not any(_of_risk(plan, Risk.REBOOT)):
        return bool(paper.reboot_application)
    application(app.root, paper)
    return True


def variables(app: App) -> dict[str, Any]:
    """What fills `{{name}}` in fixes: hardening.yaml's own, and what other declared files say.

    `ops_networks` (the signed ops location), `ssh_sources` (these, the bastions, and `bastion_networks`, their
    addresses on the inner side), `roster` (logins of people.yaml), `keep` (accounts that must stay).

    Raises:
        RefusedError: hardening.yaml lets in more than the signed ops location does.
    """
    networks = [str(each) for each in allowed(app.root)]
    own = dict(app.policy.variables)
    asked = own.get("ops_networks")
    for each in asked if isinstance(asked, list) else []:
        wanted = ip_network(str(each), strict=False)
        inside = any(
            wanted.version == net.version and wanted.subnet_of(net)  # type: ignore[arg-type]
            for net in allowed(app.root)
        )
        if not inside:
            raise RefusedError(
                f"hardening.yaml's ops_networks lets in {each}, which the signed ops location does not",
                where="hardening.yaml: variables.ops_networks",
                remedy="have the ops location signed with it, or take it out",
            )
    keep = {host.user for host in app.inventory.hosts} | set(app.policy.keep_accounts)
    keep |= {each.account for each in app.policy.service_accounts}
    ways = {host.bastion for host in app.inventory.hosts if host.bastion}
    bastions = [host.address for host in app.inventory.hosts if host.name in ways]
    asked_networks = [str(each) for each in asked] if isinstance(asked, list) else networks
    more = own.get("bastion_networks", [])
    inner = [str(each) for each in more] if isinstance(more, list) else [str(more)]
    return {
        "ops_networks": networks,
        "ssh_sources": [*asked_networks, *bastions, *inner],
        **own,
        "roster": sorted({person.login for person in load_people(app.root) if person.login} | keep),
        "keep": sorted(keep),
    }
