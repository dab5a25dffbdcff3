"""The leak procedure: new passwords at once, what cannot have one locked, sessions told, all of it on record.

It goes on where a host is down, and may be run again for the same incident: what is settled is left alone.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from agent.declared.incidents import save_incident
from agent.declared.people import load_people
from agent.flows import ways
from agent.flows.asking import asked, change_of
from agent.flows.rotation import WORKERS, Ended, Event, Rotated, rotate
from agent.model.account import SSH, SSH_KEY
from agent.model.errors import AgentError
from agent.model.incident import Measure
from agent.model.text import one_line
from agent.vault.drivers import DRIVERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from agent.app import App
    from agent.model.account import Managed
    from agent.model.incident import Incident
    from agent.vault.drivers import Change, Driver

MANUAL = "manual"
_TOLD = ("customer", "project-manager", "technical-lead")
"""Roles that are told of every suspected leak."""
_MOST = 40
"""Sessions of one account that the record names."""

_PLAN = "泄露处置"
Compose = Callable[["Driver", "Change"], str]


def respond(
    app: App,
    incident: Incident,
    accounts: Sequence[Managed],
    watch: Callable[[Event], None] = lambda _: None,
    *,
    lock: bool = False,
    end_sessions: bool = False,
) -> Incident:
    """Do what a suspected leak asks for; the incident as it then stands, saved and sealed.

    Args:
        app: the workspace.
        incident: on record already.
        accounts: whose passwords may be known; service accounts without a plan too: a leak outranks it.
        watch: told of every step of the rotation.
        lock: lock what could not be given a new password. Never root, a service account or the agent's own login.
        end_sessions: end their live sessions, after the new password holds.

    Raises:
        IntegrityError, StoreError: as `rotation.rotate`.
    """
    done = {each.account: each for each in incident.measures}
    todo = [each for each in accounts if each.id not in done or not done[each.id].settled]
    keys = [replace(each, plan=each.plan or _PLAN) for each in todo if each.kind == SSH_KEY]
    hurried = [replace(each, plan=each.plan or _PLAN) for each in todo if each.kind in DRIVERS]
    before = _on_hosts(app, hurried, lambda driver, change: driver.sessions(change))
    results = {
        one.account: one for one in rotate(app, [*hurried, *keys], watch, reason=f"{incident.id} {incident.reason}")
    }
    failed = [each for each in hurried if results[each.id].ended not in {Ended.ROTATED, Ended.UNPROVEN}]
    locked = _on_hosts(app, [each for each in failed if lock and _may_lock(each)], lambda d, change: d.lock(change))
    if end_sessions:
        ours = [each for each in hurried if not each.own_login and each.user != "root"]
        _on_hosts(app, ours, lambda driver, change: driver.end_sessions(change))
    after = _on_hosts(app, hurried, lambda driver, change: driver.sessions(change))
    at = app.clock().isoformat(timespec="seconds")
    for account in todo:
        name = account.id
        result = results.get(name)
        closed = locked.get(name, (1, ()))[0] == 0
        done[name] = Measure(
            account=name,
            ended=result.ended.value if result else MANUAL,
            at=at,
            why=result.why if result else "须由人更改",
            locked=closed,
            tasks=tuple(_tasks(incident.id, account, result, locked=closed)),
            sessions=before.get(name, (0, ()))[1] or (done[name].sessions if name in done else ()),
            left=after.get(name, (0, ()))[1],
            dependents=tuple(f"{each.host} {each.file} {each.key}" for each in account.dependents),
        )
    measures = sorted(done.values(), key=lambda one: (not one.locked, one.settled))  # what is shut comes first
    told = tuple(f"{each.role} {each.name}" for each in load_people(app.root) if each.role in _TOLD)
    incident = replace(incident, measures=tuple(measures), tell=told)
    save_incident(app.root, incident)
    payload = json.dumps(asdict(incident), ensure_ascii=False, sort_keys=True).encode(errors="surrogatepass")
    app.ledger.seal("incident", payload, subject=incident.id)
    app.ledger.checkpoint()
    return incident


def _tasks(incident: str, account: Managed, result: Rotated | None, *, locked: bool) -> Iterator[str]:
    """What people have to do; an account that was shut is opened in an order that never lets the leaked one in."""
    user, again = account.user, f"agent password rotate --account '{account.id}' --reason {incident}"
    if result is None:
        yield f"agent password manual '{account.id}'"
    elif locked and account.kind == "linux":
        yield f"usermod -U {user}（账号仍处于过期状态，无人能登录）"
        yield again
        yield f"新口令核实后：usermod -e '' {user}（账号原有到期日的，改填原到期日）"
    elif locked and account.kind == "postgresql":
        yield f'ALTER ROLE "{user}" PASSWORD NULL; ALTER ROLE "{user}" LOGIN;（没有口令，无人能以口令登录）'
        yield again
    elif locked and account.kind in {"mariadb", "mysql"}:
        yield again
        yield f"新口令核实后：ALTER USER '{user}'@'主机部分' ACCOUNT UNLOCK;"
    elif locked:
        yield again
        yield "新口令核实后解除锁定"
    elif result.ended not in {Ended.ROTATED, Ended.UNPROVEN}:
        yield f"agent password emergency --incident {incident}"
    if account.kind == "linux" and not account.id.endswith(SSH):
        yield f"核对其 SSH 公钥，换口令不使密钥失效：agent accounts list --target {account.target}"


def _may_lock(account: Managed) -> bool:
    return not (account.own_login or account.service or account.user == "root")


def _on_hosts(app: App, accounts: Sequence[Managed], compose: Compose) -> dict[str, tuple[int, tuple[str, ...]]]:
    """Run a driver's script for each account, many hosts at a time; (exit code, lines) of those that were reached."""
    by_host: dict[str, list[Managed]] = defaultdict(list)
    for account in accounts:
        by_host[account.host].append(account)

    def one(name: str) -> Mapping[str, tuple[int, tuple[str, ...]]]:
        mine = by_host[name]
        scripts = {}
        for number, account in enumerate(mine):
            driver = DRIVERS[account.kind]
            scripts[f"a{number}"] = (driver, compose(driver, change_of(app, account)))
        try:
            with ways.fresh(app, app.inventory.host(name)) as session:
                answers = asked(session, scripts)
        except AgentError:
            return {}  # the rotation says why
        return {account.id: (answers[f"a{n}"].rc, _lines(answers[f"a{n}"].text)) for n, account in enumerate(mine)}

    found: dict[str, tuple[int, tuple[str, ...]]] = {}
    with ThreadPoolExecutor(WORKERS) as pool:
        for part in pool.map(one, by_host):
            found |= part
    return found


def _lines(text: str) -> tuple[str, ...]:
    return tuple(one_line(line) for line in text.splitlines() if line.strip())[:_MOST]
