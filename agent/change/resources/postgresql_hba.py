"""PostgreSQL: the rules of pg_hba.conf, field by field; what a line was stays above it as a comment.

fix: {resource: pg_hba, want: {method: {trust: scram-sha-256}}}
fix: {resource: pg_hba, want: {type: {host: hostssl}}}
fix: {resource: pg_hba, want: {address: declared}, networks: [10.0.0.0/24]}

All lines that are meant, or none: where one cannot be changed safely, the reason is told. A method becomes scram-sha-256
only where every role that the line lets in has such a password. The way in of the server's own account is never touched.

Several items may mean one line: whichever comes first writes it as all of them want it, so that each has the same step and
none is planned on a line that is no more. A step is named by what its line says, for numbers shift as lines are added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_address, ip_network

from agent.change.contract import Facts, FixError
from agent.change.pghba import WAS, Line, Network, lets_in, located, loopback, network, wide
from agent.change.pgread import PgRole, PgRule, PgSeen, acts_of, people, pg_seen, port_of, stands
from agent.change.splice import Edit, Shown, shown, write
from agent.model.change import Handle, Item, Skip, Step, Why
from agent.model.frames import Answer

_METHODS = frozenset({"trust", "password", "ident", "md5"})
_WEAK = frozenset({"trust", "password", "ident"})
_TYPES = frozenset({"host", "hostnossl"})
_FORMS = "fix.want: {method: {trust: scram-sha-256}}, {type: {host: hostssl}} or {address: declared} with networks"


class PgHba:
    """pg_hba: see the module's text."""

    name = "pg_hba"
    library = ("splice", "postgresql")
    alone = True
    together = True

    def check(self, item: Item) -> None:
        """Raises FixError."""
        match item.want:
            case {"method": dict(made), **rest} if made and not rest:
                good = set(made) <= _METHODS and set(made.values()) == {"scram-sha-256"}
            case {"type": dict(made), **rest} if made and not rest:
                good = set(made) <= _TYPES and set(made.values()) == {"hostssl"}
            case {"address": "declared", **rest} if not rest:
                good = bool(_networks(item))
            case _:
                good = False
        if not good:
            raise FixError(_FORMS)

    def read(self, item: Item, facts: Facts) -> str:
        """See postgresql.sh: the same for every item of a server."""
        del facts
        return f"pg_look {port_of(item)} || exit 0; pg_rules && pg_roles && pg_sessions"

    def plan(self, item: Item, answer: Answer, facts: Facts) -> tuple[Step, ...] | Skip:
        """One step a line."""
        if answer.rc:
            return Skip(Why.ERROR, "没有读到 pg_hba.conf 的规则")
        seen = pg_seen(answer.text)
        if skip := seen.unusable(item):
            return skip
        files, missing = shown(answer.text.splitlines())
        todo = _todo(item, seen, facts) if seen.rules else Skip(Why.ERROR, "；".join(missing) or "没有读到规则")
        if isinstance(todo, Skip):
            return todo
        wishes = [item, *(each for each in _others(item) if not isinstance(_todo(each, seen, facts), Skip))]
        steps: dict[str, Step] = {}
        for rule in todo:
            made = _step(item, rule, seen, files, [each for each in wishes if _meant(each, rule)])
            if isinstance(made, Skip):
                return made
            while made.name in steps:  # equal lines
                made = replace(made, name=f"{made.name}（又一处）")
            steps[made.name] = made
        return tuple(steps.values())


def _others(item: Item) -> list[Item]:
    """What else is wanted of the same server."""
    return [
        replace(item, want=each["want"], options={**item.options, **each["options"]})
        for each in item.options.get("also", ())
    ]


def _todo(item: Item, seen: PgSeen, facts: Facts) -> list[PgRule] | Skip:
    """The lines that an item means; why none may be changed if one of them must not be."""
    broken = [rule for rule in seen.rules if rule.error]
    if broken:
        return Skip(Why.MANUAL, f"{_at(broken[0])} 有错误，服务端不会重载，先改正")
    todo = [rule for rule in seen.rules if _meant(item, rule)]
    refused = (_refused(item, rule, seen, facts) for rule in todo)
    return next((each for each in refused if each), todo)


def _at(rule: PgRule) -> str:
    return f"{rule.file}:{rule.line}"


def _networks(item: Item) -> tuple[Network, ...] | None:
    """The declared ones; None when there are none, or one of them is no network or holds everybody."""
    declared = item.options.get("networks")
    try:
        made = tuple(ip_network(str(each)) for each in declared) if isinstance(declared, (list, tuple)) else ()
    except ValueError:
        return None
    return made if made and all(each.prefixlen for each in made) else None


def _meant(item: Item, rule: PgRule) -> bool:
    if "method" in item.want:
        return rule.method in item.want["method"]
    if rule.method == "reject":
        return False
    if "type" in item.want:
        return rule.kind in item.want["type"] and not loopback(rule)
    return bool(wide(rule))


def _refused(item: Item, rule: PgRule, seen: PgSeen, facts: Facts) -> Skip | None:
    if "method" in item.want:
        return _no_password(rule, seen)
    return _bare(rule, seen) if "type" in item.want else _outside(item, rule, seen, facts)


def _groups(role: PgRole, seen: PgSeen) -> frozenset[str]:
    """Every role that it is a member of, through others too."""
    found: set[str] = set()
    left = [*role.groups]
    while left:
        group = left.pop()
        if group not in found:
            found.add(group)
            left += seen.roles[group].groups if group in seen.roles else ()
    return frozenset(found)


def _no_password(rule: PgRule, seen: PgSeen) -> Skip | None:
    """A method is changed only where nobody is shut out by it."""
    inside = [role for role in seen.roles.values() if role.login and lets_in(rule, role.name, _groups(role, seen))]
    # who has no password at all does not get in by md5 or password today either
    lacks = {"md5"} if rule.method in {"md5", "password"} else {"md5", "none", "other"}
    out = [role.name for role in inside if role.password in lacks]
    if out:
        text = f"{_at(rule)}（{rule.method}）放行的角色没有 scram 口令：{people(out)}；先按 scram 换口令，再改此行"
        return Skip(Why.UNSAFE, text)
    if rule.kind == "local" and "replication" not in rule.databases and lets_in(rule, seen.me, frozenset()):
        return Skip(Why.UNSAFE, f"{_at(rule)} 是 {seen.me} 自己的本机登录行，先在它之前加 local all {seen.me} peer")
    return None


def _bare(rule: PgRule, seen: PgSeen) -> Skip | None:
    """TLS may be asked of all only where it is spoken and nobody comes without it now."""
    if not seen.ssl:
        return Skip(Why.UNSAFE, "服务端未启用 TLS（PG-IA-C-01），改为 hostssl 后远程连接会全部断开")
    clear = people(f"{each.role}@{each.address}" for each in seen.sessions if each.remote and not each.tls)
    if clear:
        return Skip(Why.UNSAFE, f"{_at(rule)}：现有远程会话未用 TLS：{clear}；先改其连接串")
    return None


def _outside(item: Item, rule: PgRule, seen: PgSeen, facts: Facts) -> Skip | None:
    """Addresses are narrowed only where whoever is known to come lies within."""
    declared = _networks(item) or ()
    ours = facts["from"]
    if not ours or not _within(ours, declared):
        return Skip(Why.MANUAL, f"登记的应用网段不含本程序的来源 {ours or '（未知）'}，收窄后扫描将连不上；先补登网段")
    away = [
        f"{each.role}@{each.address}"
        for each in seen.sessions
        if each.remote and not _within(each.address, declared) and not _elsewhere(each.address, seen)
    ]
    if away:
        return Skip(Why.UNSAFE, f"{_at(rule)}：现有会话来自登记网段之外：{people(away)}；先核对并补登")
    weak = [each for each in seen.rules[seen.rules.index(rule) + 1 :] if each.method in _WEAK and each.kind != "local"]
    if weak:
        return Skip(
            Why.UNSAFE, f"收窄 {_at(rule)} 会使其余地址落到后面的弱认证行 {_at(weak[0])}，先改该行（PG-IA-A-03）"
        )
    return None


def _within(address: str, networks: tuple[Network, ...]) -> bool:
    try:
        return any(ip_address(address) in each for each in networks)
    except ValueError:
        return False


def _elsewhere(address: str, seen: PgSeen) -> bool:
    """Whether another line, that stays, lets that address in."""
    return any((found := network(rule)) and found.prefixlen and _within(address, (found,)) for rule in seen.rules)


def _step(item: Item, rule: PgRule, seen: PgSeen, files: dict[str, Shown], wishes: Sequence[Item]) -> Step | Skip:
    line = located(rule, files.get(rule.file))
    if isinstance(line, str):
        return Skip(Why.MANUAL, f"{_at(rule)}：{line}，由人修改")
    made = _made(wishes, line)
    kept = line.text.encode("latin-1")
    try:
        was, new = (
            (line.was or WAS + line.text).encode("latin-1").decode(),
            [each.encode("latin-1").decode() for each in made],
        )
    except UnicodeError:
        return Skip(Why.MANUAL, f"{_at(rule)}：此行不是 UTF-8，由人修改")
    text: list[str] = []
    for number, each in enumerate(new or [""]):
        text += [was] if number or not line.was else []
        text += [each] if each else []
    file = line.file
    length = len(kept) + (0 if text else file.text[line.offset + len(kept) :].startswith("\n"))
    edit = Edit(line.offset, length, "\n".join(text))
    said = "；".join(" ".join(each.split()) for each in new) or "（无此类地址的登记网段，注释掉）"
    before = " ".join(kept.decode().split())
    return Step(
        "pg_hba",
        "postgresql",
        f"{rule.file}：{before}",
        before,
        said,
        write(file, [edit]),
        handles=(Handle("file", (file.real,)),),
        source=_at(rule),
        validate=f"pg_sound {port_of(item)}",
        acts=acts_of(item, seen),
        risk=item.risk,
        confirm=stands(item),
    )


def _made(wishes: Sequence[Item], line: Line) -> list[str]:
    """The lines that take its place."""
    method = kind = None
    addresses: list[str | None] = [None]
    for item in wishes:
        if "method" in item.want:
            method = str(item.want["method"][line.rule.method])
        elif "type" in item.want:
            kind = str(item.want["type"][line.rule.kind])
        else:
            addresses = [str(each) for each in _networks(item) or () if each.version in wide(line.rule)]
    return [line.became(kind, each, method) for each in addresses]


RESOURCES = (PgHba(),)
