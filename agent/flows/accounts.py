"""Who has an account where: what a round found, held against people.yaml, the managed accounts and the registers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from agent.declared.people import CORE, load_people
from agent.flows.judge import SHANGHAI
from agent.flows.seen import look
from agent.flows.weak import last_found
from agent.judge import accounts as judge
from agent.judge import leaving
from agent.model.errors import AgentError
from agent.model.holder import Flaw, Found, Holding
from agent.store import runs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from agent.app import App
    from agent.store.runs import Run


@dataclass(frozen=True, slots=True)
class Roster:
    """Every account that a round found."""

    run: str
    seen_at: datetime
    holdings: tuple[Holding, ...]
    unseen: tuple[str, ...]
    """`TARGET: WHY` of those whose accounts are not known."""
    people: tuple[tuple[str, Flaw, str], ...] = field(default=())
    """What is wrong with people's own entries."""


def roster(app: App, run_id: str = "") -> Roster:
    """The accounts of a round, by default the newest that looked at hosts.

    Raises:
        AgentError: there is none.
        DeclaredError, IntegrityError: as declared files and evidence raise them.
    """
    run = _run(app, run_id)
    seen = look(app, run.id)
    found: list[Found] = []
    unseen = []
    for target in app.inventory.targets:
        if target.name in seen.hosts:
            facts = seen.hosts[target.name]
            found += judge.on_host(facts)
            if "users" in facts.unseen or not facts.accounts:
                unseen.append(f"{target.name}: {facts.unseen.get('users', '没有账号信息')}")
        elif target.name in seen.databases:
            answers = seen.databases[target.name]
            found += judge.on_database(answers, answers.answers)
            if "accounts" in answers.unseen:
                unseen.append(f"{target.name}: {answers.unseen['accounts']}")
        else:
            why = next((each.detail for each in seen.unreached if each.target == target.name), "本轮未采集")
            unseen.append(f"{target.name}: {why}")
    day = app.clock().astimezone(SHANGHAI).date()
    people = load_people(app.root)
    about = registers(app)
    holdings = judge.reconcile(found, people, day, about.groups, about.managed, about.services, about.own)
    holdings = _guessed(app, holdings)
    late = [
        (person.name, Flaw.CONSENT, f"{person.role}，{person.since} 到岗")
        for person in people
        if person.role in CORE and person.since and person.since > app.contract.start and not person.consent
    ]
    left = [
        (
            person.name,
            Flaw.LEFT,
            f"{person.until} 离岗，仍可登录：{'、'.join(f'{one.name}@{one.target}' for one in mine)}",
        )
        for person, mine in leaving.left_behind(found, people, day, about)
    ]
    return Roster(run.id, run.started_at, tuple(holdings), tuple(unseen), (*late, *left))


def registers(app: App) -> leaving.Registers:
    """What is declared about accounts besides people. Raises DeclaredError."""
    return leaving.Registers(
        {host.name: host.groups for host in app.inventory.hosts},
        {account.id: account.person for account in app.accounts},
        {(each.account, target) for each in app.policy.service_accounts for target in each.targets},
        {f"{target.user}@{target.name}" for target in app.inventory.targets},
        app.policy.keep_accounts,
    )


def _guessed(app: App, holdings: Sequence[Holding]) -> list[Holding]:
    """The same with what the newest check of weak passwords found; accounts that the round did not name are added."""
    weak = last_found(app)
    made = []
    for one in holdings:
        kind, said, day = weak.pop((one.found.target, one.found.name), ("", "", ""))
        empty = any(flaw is Flaw.OPEN for flaw, _ in one.flaws)
        guessed = ((Flaw.WEAK, f"{day} 就地核对：{said}"),) if kind and not empty else ()
        made.append(replace(one, flaws=(*one.flaws, *guessed)))
    declared = {target.name for target in app.inventory.targets}
    for (target, name), (kind, said, day) in weak.items():
        if target in declared:
            found = Found(target, name, name.rpartition("@")[0] or name, kind, ("password",))
            made.append(Holding(found, flaws=((Flaw.WEAK, f"{day} 就地核对：{said}"),)))
    return made


def _run(app: App, run_id: str) -> Run:
    if run_id:
        return runs.run_by_id(app.store, run_id)
    for kind in ("scan", "verify"):
        for run in runs.latest_runs(app.store, kind):
            if run.state == "closed" and {"host", "database"} & set(run.plan.get("layers", ())):
                return run
    raise AgentError("no round has looked at accounts yet", remedy="agent scan --layer host --layer database")
