"""From a scan's findings to a plan: what would change where, and why the rest would not. Reads only.

One connection and one script a host: the reads of every resource that its findings call for.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from agent.change.contract import Facts, FixError
from agent.change.facts import facts_of, facts_section
from agent.change.library import TXROOT, modules
from agent.change.registry import check, registry
from agent.flows import remedies
from agent.flows.seen import look
from agent.model.asset import Database
from agent.model.change import Item, Planned, Risk, Skip, Step, Why
from agent.model.errors import AgentError, UnreachedError
from agent.model.finding import Finding, FindingKind, FindingState
from agent.model.frames import Answer, Section, compose, split
from agent.model.hardening import HardenPlan
from agent.model.session import Command
from agent.model.text import one_line
from agent.store import runs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from agent.app import App
    from agent.flows.seen import Seen
    from agent.model.asset import Host
    from agent.model.control import Control
    from agent.model.hardening import Policy

WORKERS = 32
DEADLINE = 60.0
"""Seconds that the planning read of one host may take, connection included."""
_VARIABLE = re.compile(r"\{\{\s*([a-z][a-z0-9_]*)\s*\}\}")
_NOT_OPTIONS = {"resource", "want"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be mended of a scan."""

    targets: tuple[str, ...] = ()
    """Inventory names; empty: all that have findings."""
    checks: tuple[str, ...] = ()
    """Control or check ids, with `*`; empty: all."""
    profile: str = ""
    """Empty: the policy's."""
    restart: bool = False
    """Whether services may be restarted."""


class UnfilledError(ValueError):
    """A fix names a variable that hardening.yaml does not have. Its text is the variable's name."""


def filled(value: Any, variables: Mapping[str, Any]) -> Any:  # noqa: ANN401 - YAML
    """A fix with its `{{name}}` filled in; a text that is nothing else becomes the variable's own value.

    Raises:
        UnfilledError: there is no such variable, or it is empty.
    """
    if isinstance(value, dict):
        return {key: filled(each, variables) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [filled(each, variables) for each in value]
    if not isinstance(value, str):
        return value

    def of(name: str) -> Any:  # noqa: ANN401 - as declared
        if variables.get(name) in (None, "", [], ()):
            raise UnfilledError(name)
        return variables[name]

    whole = _VARIABLE.fullmatch(value)
    if whole:
        return of(whole[1])
    return _VARIABLE.sub(lambda hit: str(of(hit[1])), value)


def make(app: App, scan_run: str, run_id: str, wanted: Wanted) -> HardenPlan:
    """Plan what a finished scan found. Nothing on a target is changed.

    Raises:
        AgentError: no such run, or it is not finished; an unknown target or profile.
        RefusedError: this machine is no designated ops location.
    """
    run = runs.run_by_id(app.store, scan_run)
    if run.state != "closed" or run.kind not in {"scan", "rejudge"}:
        raise AgentError("this is no finished scan", where=scan_run, remedy=f"agent scan --resume {scan_run}")
    app.require_ops_location()
    chosen = _chosen(app, runs.findings(app.store, scan_run), wanted)
    planned = _Items(app, look(app, run.observed), wanted).of(chosen)
    hosts = {target.name: _home(target) for target in app.inventory.targets}
    todo = [one for one in planned if one.skip is None]
    read = Reading(app).read({hosts[one.item.target] for one in todo}, [one.item for one in todo], hosts)
    answers = {one.item.id: one for one in read.planned}
    planned = _without_clashes([answers.get(one.item.id, one) for one in planned], hosts)
    profile = wanted.profile or app.policy.profile
    return HardenPlan(run_id, scan_run, profile, tuple(planned), hosts, read.unread)


def _home(target: Any) -> str:  # noqa: ANN401 - a host or a database
    return target.host if isinstance(target, Database) else target.name


def _chosen(app: App, findings: Iterable[Finding], wanted: Wanted) -> list[Finding]:
    known = {target.name for target in app.inventory.targets}
    for name in wanted.targets:
        if name not in known:
            raise AgentError(f"no target named {name!r}", where="--target", remedy="see `agent inventory list`")
    return [
        finding
        for finding in findings
        if finding.target in known
        and (not wanted.targets or finding.target in wanted.targets)
        and (not wanted.checks or any(fnmatchcase(finding.check, each) for each in wanted.checks))
    ]


class _Items:
    """Makes items out of findings."""

    def __init__(self, app: App, seen: Seen, wanted: Wanted) -> None:
        from agent.flows import gates  # noqa: PLC0415 - it needs the contract's own checks, planning may go without

        self.app, self.seen, self.wanted = app, seen, wanted
        self.policy: Policy = app.policy
        self.variables = gates.variables(app)
        self.controls = {control.id: control for control in app.controls}
        self.targets = {target.name: target for target in app.inventory.targets}
        self.patterns = _profile(self.policy, wanted.profile or self.policy.profile)

    def of(self, findings: Sequence[Finding]) -> list[Planned]:
        """One for each finding that a control made; one a host for all its packages."""
        planned = []
        rest = []
        for number, finding in enumerate(findings, 1):
            bare = Item(f"i{number}", "none", None, **_of(finding))
            skip = self._out(finding)
            if skip:
                planned.append(Planned(bare, skip=skip))
            elif finding.kind is FindingKind.CONTROL:
                planned.append(self._control(bare, finding))
            else:
                rest.append(finding)
        planned += remedies.planned(rest, self.app.inventory, start=len(findings) + 1)
        return _together(planned)

    def _out(self, finding: Finding) -> Skip | None:
        """Why a finding is no work for us, whatever its control says."""
        if finding.state is FindingState.ACCEPTED:
            return Skip(Why.EXCLUDED, "已登记例外")
        if finding.state is FindingState.UNKNOWN or finding.kind is FindingKind.COVERAGE:
            return Skip(Why.ERROR, "未能看到，无从判断")
        if finding.state is FindingState.MANUAL:
            return Skip(Why.MANUAL, "需人工判断")
        left = [*self.policy.leave.get(finding.target, ()), *self.policy.leave.get("*", ())]
        if any(fnmatchcase(finding.check, each) for each in left):
            return Skip(Why.EXCLUDED, "hardening.yaml 规定此处不动")
        if finding.kind is FindingKind.CONTROL and not _in_profile(finding.check, self.patterns):
            return Skip(Why.EXCLUDED, "不在所选加固档内")
        return None

    def _control(self, bare: Item, finding: Finding) -> Planned:
        control = self.controls.get(finding.check)
        if control is None:
            return Planned(bare, skip=Skip(Why.MANUAL, "检查项已不在检查手册中"))
        resource = str(control.fix.get("resource", "manual"))
        if resource == "manual":
            return Planned(bare, skip=Skip(Why.MANUAL, str(control.fix.get("text") or control.remedy or "需人工处理")))
        try:
            item = self._item(bare, finding, control, resource)
            check(item)
        except UnfilledError as error:
            return Planned(bare, skip=Skip(Why.MANUAL, f"hardening.yaml 缺少变量 {error}"))
        except FixError as error:
            return Planned(bare, skip=Skip(Why.ERROR, f"检查项的 fix 有误：{error}"))
        return Planned(item)

    def _item(self, bare: Item, finding: Finding, control: Control, resource: str) -> Item:
        fix = filled(dict(control.fix), self.variables)
        target = self.targets[finding.target]
        host = self.targets[_home(target)]
        options = {key: value for key, value in fix.items() if key not in _NOT_OPTIONS}
        for name, value in self._known(host).items():
            options.setdefault(name, value)
        return replace(
            bare,
            resource=resource,
            want=fix.get("want"),
            options=options,
            risk=tuple(Risk(each) for each in control.risk),
            subject=self._subject(finding),
        )

    def _known(self, host: Any) -> dict[str, Any]:  # noqa: ANN401 - a Host
        """What every resource may want to know of the host and the site."""
        return {
            "roster": list(self.variables.get("roster", ())),
            "keep": list(self.variables.get("keep", ())),
            "listeners": [*host.listeners, *self.policy.probes.get(host.name, ())],
            "networks": list(self.variables.get("ops_networks", ())),
            "ssh_port": host.port,
            "legacy": host.transport == "ssh-legacy",
            "restart": self.wanted.restart,
        }

    def _subject(self, finding: Finding) -> dict[str, str]:
        target = self.targets[finding.target]
        if isinstance(target, Database):
            facts = self.seen.databases.get(target.name)
            return {
                "engine": target.engine,
                "flavour": facts.flavour if facts else "",
                "version": facts.version if facts else "",
                "port": str(target.port),
                "dbname": target.dbname,
                "account": target.user,
                "address": target.address,
            }
        found = self.seen.hosts.get(finding.target)
        for one in found.instances if found else ():
            if one.location == finding.location:
                tables = next((s.tables for s in found.subjects if s.location == one.location), {}) if found else {}
                return {
                    "kind": one.kind,
                    "conf": one.location,
                    "version": one.version,
                    "exe": one.exe,
                    "package": one.package,
                    "user": one.user,
                    "pid": str(one.pid),
                    **{key: value for key, value in tables.get("process", {}).items() if "\n" not in value},
                }
        return {}


def _of(finding: Finding) -> dict[str, Any]:
    return {
        "target": finding.target,
        "location": finding.location,
        "control": finding.check,
        "title": finding.title,
        "findings": (finding.key,),
    }


def _together(planned: Sequence[Planned]) -> list[Planned]:
    """Tell items that may mean one place what the others of their target want of it."""
    wanted: dict[tuple[str, str], list[Item]] = defaultdict(list)
    for one in planned:
        if one.skip is None and getattr(registry()[one.item.resource], "together", False):
            wanted[one.item.target, one.item.resource].append(one.item)

    def told(item: Item) -> Item:
        also = [each for each in wanted.get((item.target, item.resource), ()) if each.id != item.id]
        if not also:
            return item
        return replace(
            item, options={**item.options, "also": [{"want": each.want, "options": each.options} for each in also]}
        )

    return [replace(one, item=told(one.item)) for one in planned]


_SHIPPED = {"level-3-password": (), "level-3": ("!LIN-IA-A-11", "!LIN-IA-A-12", "!MYS-IA-A-08", "!MYS-IA-A-13")}
"""Profiles that come with the program, as what they leave out: the undertaking's 30 days reach those who exist only
with it."""


def _profile(policy: Policy, name: str) -> tuple[str, ...]:
    if name in policy.profiles:
        return policy.profiles[name]
    if name in _SHIPPED:
        return _SHIPPED[name]
    have = ", ".join(sorted({*policy.profiles, *_SHIPPED}))
    raise AgentError(f"no profile named {name!r}", where="--profile", remedy=f"profiles: {have}")


def _in_profile(check_id: str, patterns: Sequence[str]) -> bool:
    """Whether a control is in: any pattern (or none written) takes it, and no `!pattern` takes it out."""
    takes = [each for each in patterns if not each.startswith("!")]
    leaves = [each[1:] for each in patterns if each.startswith("!")]
    inside = not takes or any(fnmatchcase(check_id, each) for each in takes)
    return inside and not any(fnmatchcase(check_id, each) for each in leaves)


@dataclass(frozen=True, slots=True)
class Read:
    """What a planning read of several hosts gave."""

    planned: tuple[Planned, ...]
    unread: dict[str, str]
    facts: dict[str, Facts]


class Reading:
    """Reads the state of hosts, one round trip each, and plans items by it."""

    def __init__(self, app: App) -> None:
        self.app = app

    def read(self, hosts: Iterable[str], items: Sequence[Item], homes: Mapping[str, str]) -> Read:
        """Read all hosts side by side; a host that does not answer makes its items `error`."""
        by_host: dict[str, list[Item]] = {name: [] for name in sorted(hosts)}
        for item in items:
            by_host[homes[item.target]].append(item)
        planned: list[Planned] = []
        unread: dict[str, str] = {}
        facts: dict[str, Facts] = {}
        with ThreadPoolExecutor(WORKERS) as pool:
            for name, answer in zip(by_host, pool.map(self._one, by_host, by_host.values()), strict=True):
                if isinstance(answer, str):
                    unread[name] = answer
                    planned += [
                        Planned(each, skip=Skip(Why.ERROR, f"主机未能读取：{answer}")) for each in by_host[name]
                    ]
                else:
                    facts[name] = answer[0]
                    planned += answer[1]
        return Read(tuple(planned), unread, facts)

    def _one(self, name: str, items: list[Item]) -> str | tuple[Facts, list[Planned]]:
        host = self.app.inventory.host(name)
        nonce = secrets.token_hex(16)
        try:
            with self.app.sessions.open(host, DEADLINE) as session:
                script = reading_script(items, nonce)
                result = session.run(Command(script, privileged=True, deadline=DEADLINE))
            answers = split(result.stdout, result.stderr, nonce)
        except UnreachedError as error:
            return one_line(f"{error.reason}: {error.message}")
        return judged(items, answers)


def reading_script(items: Sequence[Item], nonce: str) -> str:
    """The one script of a host: facts, and every item's read."""
    return compose([facts_section(), *reads_of(items, Facts({}))], nonce, read_preamble(items))


def read_preamble(items: Sequence[Item]) -> str:
    """The library that the items' reads need."""
    head = f"TX=none; TXROOT=$R{TXROOT}\nhandles() {{ :; }}; acts() {{ :; }}\n"
    return head + modules(library_of(items))


def library_of(items: Iterable[Item]) -> tuple[str, ...]:
    """Shell modules that the resources of these items name."""
    return tuple(dict.fromkeys(name for item in items for name in registry()[item.resource].library))


def reads_of(items: Sequence[Item], facts: Facts) -> list[Section]:
    """The sections of these items' reads; items whose reads are the same share one."""
    keys = _keys(items, facts)
    found = {keys[item.id]: item for item in reversed(items)}
    return [Section(key, registry()[item.resource].read(item, facts)) for key, item in sorted(found.items())]


def _keys(items: Sequence[Item], facts: Facts) -> dict[str, str]:
    """Item id to the key of its section: a digest of the script."""
    keys = {}
    for item in items:
        script = registry()[item.resource].read(item, facts)
        keys[item.id] = f"{item.resource}.{hashlib.sha256(script.encode()).hexdigest()[:16]}"
    return keys


def judged(items: Sequence[Item], answers: Mapping[str, Answer]) -> tuple[Facts, list[Planned]]:
    """What each item leads to by what its host answered."""
    facts = facts_of(answers.get("facts", Answer(255, "", "")))
    keys = _keys(items, Facts({}))
    return facts, [_planned(item, answers.get(keys[item.id]), facts) for item in items]


_ERROR = 2
"""From this exit code on a read is an error."""


def _planned(item: Item, answer: Answer | None, facts: Facts) -> Planned:
    if answer is None or answer.rc >= _ERROR:
        said = one_line(answer.errors)[-200:] if answer else ""
        return Planned(item, skip=Skip(Why.ERROR, f"状态无法读取{'：' + said if said else ''}"))
    found = registry()[item.resource].plan(item, answer, facts)
    if isinstance(found, Skip):
        return Planned(item, skip=found)
    return Planned(item, tuple(found)) if found else Planned(item, skip=Skip(Why.DONE, "已符合要求"))


def _without_clashes(planned: Sequence[Planned], homes: Mapping[str, str]) -> list[Planned]:
    """The first of two items that want the same thing otherwise stays; of two that want it alike, both do."""
    first: dict[tuple[str, str, str, str], tuple[str, str]] = {}
    kept = []
    for one in planned:
        clash = None
        for step in one.steps:
            place = (homes[one.item.target], step.resource, step.name, one.item.location)
            wanted, by = first.setdefault(place, (step.after, one.item.control))
            if wanted != step.after and by != one.item.control:
                clash = (step, by)
        kept.append(replace(one, steps=(), skip=_clashing(*clash)) if clash else one)
    return kept


def _clashing(step: Step, by: str) -> Skip:
    return Skip(Why.MANUAL, f"{step.name} 与 {by} 的要求不同，请选定一个")


def bastions(hosts: Iterable[Host]) -> frozenset[str]:
    """Names of hosts through which others are reached."""
    return frozenset(host.bastion for host in hosts if host.bastion)
