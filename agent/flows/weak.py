"""The check of weak passwords: guesses are held against the targets' own records, there; nobody logs in.

Off unless a signed ticket allows it. Two questions a host: which accounts there are and what kind of record each has;
then which of the guesses, if any, is the password. What is sealed is which rule each breaks, never a guess.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from agent.change.library import TXROOT, modules
from agent.declared.people import load_people
from agent.declared.tickets import SHANGHAI
from agent.flows import gates, ways
from agent.flows.held import held
from agent.model.asset import Layer
from agent.model.errors import AgentError, IntegrityError, RefusedError, StoreError, UnreachedError
from agent.model.frames import Section, compose, split
from agent.model.hardening import WEAK_PASSWORDS
from agent.model.session import Command
from agent.model.text import one_line
from agent.model.weak import RULES, Account, Checked, Ended, Rule, Tried
from agent.vault.candidates import MOST_WORDS, Known, dictionary, guesses
from agent.vault.inplace import TESTERS, Script
from agent.vault.inplace.contract import Suspect

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from agent.app import App
    from agent.model.asset import Database, Host
    from agent.model.frames import Answer
    from agent.model.hardening import Leave
    from agent.model.ports import Session

KIND = "weak-password-check"
"""Of the evidence."""
WORKERS = 8
"""Hosts at a time."""
SECONDS = 60
"""Processor time on each host, at the lowest priority."""
_ASKING = 60.0
"""Seconds in which a host must say which accounts it has."""
_MOST_FILE = 4 * 2**20
"""Bytes of a dictionary."""
_SERVICES = ("redis", "tomcat")
"""Tested on every host where they run."""
_NO_ANSWER = "目标没有给出可用的回答"


@dataclass(frozen=True, slots=True)
class Done:
    """What a check found."""

    at: datetime
    leave: Leave
    targets: tuple[str, ...]
    rows: tuple[Checked, ...]
    evidence: int = 0
    words: int = 0
    """Taken of the dictionary."""
    words_cut: int = 0
    """Left out, for it was too long."""

    @property
    def weak(self) -> tuple[Checked, ...]:
        """The accounts that were guessed."""
        return tuple(row for row in self.rows if row.ended is Ended.WEAK)

    @property
    def whole(self) -> bool:
        """Whether every account was held against every guess."""
        return not any(row.ended in {Ended.CUT, Ended.UNSUPPORTED, Ended.UNREACHED} for row in self.rows)


@dataclass(frozen=True, slots=True)
class _Place:
    """What is tested of one target: a host's users, or a database's accounts."""

    target: str
    kind: str
    port: int = 0


@dataclass(frozen=True, slots=True)
class _Words:
    """A customer's dictionary."""

    words: tuple[str, ...] = field(default=(), repr=False)
    there: int = 0
    sha256: str = ""


def check(
    app: App,
    ticket: str,
    targets: Sequence[str] = (),
    *,
    file: Path | None = None,
    seconds: int = SECONDS,
    watch: Callable[[str, str], None] = lambda _target, _what: None,
) -> Done:
    """Hold guesses against the records of a ticket's targets; what was found, sealed, with a signed checkpoint.

    Args:
        app: the workspace.
        ticket: number of a signed ticket that allows it.
        targets: hosts and databases; none: all that the ticket covers.
        file: the customer's own dictionary, UTF-8, a word a line.
        seconds: processor time on each host.
        watch: told of every host and step, from many threads.

    Raises:
        RefusedError: the ticket does not allow it here and now, or the dictionary cannot be used.
        DeclaredError, IntegrityError, StoreError: as declared files and evidence raise them.
    """
    words = _read(file) if file else _Words()
    now = app.clock()
    leave, names = gates.allowed(app, ticket, WEAK_PASSWORDS, targets, now=now)
    known = Known(
        now.astimezone(SHANGHAI).year,
        (app.contract.customer, app.contract.vendor),
        tuple(dict.fromkeys(word for each in load_people(app.root) for word in (each.name, each.login) if word)),
        words.words,
    )
    places: dict[str, list[_Place]] = {}
    hosts = {host.name: host for host in app.inventory.hosts}
    for name in names:
        found, host = _places(app, name)
        places.setdefault(host, []).extend(found)

    def one(name: str) -> list[Checked]:
        return _on_host(app, hosts[name], places[name], known, seconds, watch)

    with held(app.state, KIND), ThreadPoolExecutor(WORKERS) as pool:
        rows = [row for found in pool.map(one, places) for row in found]
    order = {name: number for number, name in enumerate(names)}
    rows.sort(key=lambda row: order[row.target])
    done = Done(now, leave, tuple(names), tuple(rows), 0, len(words.words), words.there - len(words.words))
    return _sealed(app, done, words, seconds)


def _read(file: Path) -> _Words:
    remedy = f"a text of UTF-8, a word a line, at most {_MOST_FILE // 2**20} MiB"
    try:
        with file.open("rb") as handle:
            raw = handle.read(_MOST_FILE + 1)
    except OSError as error:
        raise RefusedError(
            f"the dictionary cannot be read: {error.strerror}", where=str(file), remedy="name a file that can be read"
        ) from None
    if len(raw) > _MOST_FILE:
        raise RefusedError("the dictionary is too large", where=str(file), remedy=remedy)
    try:
        words, there = dictionary(raw)
    except ValueError:
        words, there = (), 0
    if not words:
        raise RefusedError("the dictionary holds no words", where=str(file), remedy=remedy)
    return _Words(words, there, hashlib.sha256(raw).hexdigest())


def _places(app: App, name: str) -> tuple[list[_Place], str]:
    """What is tested of a target, and the host where."""
    database: Database | None = next((each for each in app.inventory.databases if each.name == name), None)
    if database is not None:
        return [_Place(name, database.engine, database.port)], database.host
    services = _SERVICES if Layer.MIDDLEWARE in app.inventory.host(name).layers else ()
    return [_Place(name, kind) for kind in ("linux", *services)], name


def _on_host(
    app: App, host: Host, places: Sequence[_Place], known: Known, seconds: int, watch: Callable[[str, str], None]
) -> list[Checked]:
    """Every account of what is tested on a host. Raises IntegrityError, StoreError."""
    mine = [place for place in places if place.kind in TESTERS]
    rows = [_not_done(place, "这一类目标尚不支持") for place in places if place not in mine]
    try:
        with ways.fresh(app, host) as session:
            watch(host.name, "accounts")
            asked = {f"l{number}": TESTERS[place.kind].listing(place.port) for number, place in enumerate(mine)}
            answers = _run(session, mine, asked, _ASKING)
            for number, place in enumerate(mine):
                answer = answers[f"l{number}"]
                accounts = TESTERS[place.kind].accounts(place.target, place.kind, answer.text)
                if answer.rc or not (accounts or place.kind in _SERVICES):
                    rows.append(_not_done(place, one_line(answer.errors, 200) or _NO_ANSWER))
                    continue
                watch(place.target, "compare")
                rows += _compared(session, host, place, accounts, known, seconds)
    except (StoreError, IntegrityError):
        raise
    except AgentError as error:
        seen = {(row.target, row.kind) for row in rows}
        lost = [place for place in mine if (place.target, place.kind) not in seen and place.kind not in _SERVICES]
        rows += [_not_done(place, one_line(error.message, 200)) for place in lost]
    return rows


def _not_done(place: _Place, why: str) -> Checked:
    return Checked(place.target, "", place.kind, Ended.UNREACHED, why=why)


def _run(
    session: Session, places: Sequence[_Place], scripts: Mapping[str, str], deadline: float, more: str = ""
) -> Mapping[str, Answer]:
    """Run a section for each key as root. Raises UnreachedError."""
    libraries = tuple(dict.fromkeys(name for place in places for name in TESTERS[place.kind].libraries))
    preamble = [more]
    if libraries:
        preamble.insert(0, f"TX=none; TXROOT=$R{TXROOT}\nhandles() {{ :; }}; acts() {{ :; }}\n")
        preamble.insert(1, modules(name.removesuffix(".sh") for name in libraries))
    nonce = secrets.token_hex(16)
    script = compose([Section(key, text) for key, text in scripts.items()], nonce, "\n".join(preamble))
    result = session.run(Command(script, privileged=True, deadline=deadline))
    return split(result.stdout, result.stderr, nonce)


def _compared(
    session: Session, host: Host, place: _Place, accounts: Sequence[Account], known: Known, seconds: int
) -> list[Checked]:
    """How each account of one target ended."""
    tester = TESTERS[place.kind]
    suspects = [
        Suspect(
            each, guesses(each.kind, each.user, tuple(dict.fromkeys((place.target, host.name))), known, each.full_name)
        )
        for each in accounts
        if each.state == "hash"
    ]
    ends: dict[str, tuple[Suspect, Tried | None]] = {}
    if suspects:
        script: Script = tester.compare(suspects, place.port, seconds)
        try:
            answer = _run(session, [place], {"compare": script.body}, seconds * 3 + _ASKING, script.preamble)["compare"]
            tried = tester.tried(suspects, answer.text)
        except UnreachedError as error:
            tried = [Tried(Ended.UNREACHED, why=one_line(error.message, 200)) for _ in suspects]
        ends = {each.account.name: (each, one) for each, one in zip(suspects, tried, strict=True)}
    return [_row(account, *ends.get(account.name, (None, None))) for account in accounts]


def _row(account: Account, suspect: Suspect | None, tried: Tried | None) -> Checked:
    base = Checked(account.target, account.name, account.kind, Ended.NONE, locked=account.locked)

    def ended(how: Ended, rule: Rule | None = None, count: int = 0, why: str = "") -> Checked:
        many = len(suspect.guesses) if suspect else 0
        return Checked(base.target, base.account, base.kind, how, rule, count, many, base.locked, why)

    if account.state == "empty":
        return ended(Ended.WEAK, Rule.EMPTY)
    if account.state == "other":
        return ended(Ended.UNSUPPORTED, why=f"{account.how} 不能就地核对")
    if suspect is None:
        return base
    if tried is None:
        return ended(Ended.UNREACHED, why=_NO_ANSWER)
    rule = suspect.guesses[tried.place].rule if tried.ended is Ended.WEAK else None
    return ended(tried.ended, rule, tried.count, tried.why)


def told(row: Checked) -> dict[str, object]:
    """A row for machines and for the evidence."""
    body = asdict(row) | {"ended": row.ended.value, "rule": row.rule.value if row.rule else "", "weak": row.word}
    return body | {"said": RULES[row.rule] if row.rule else ""}


def _sealed(app: App, done: Done, words: _Words, seconds: int) -> Done:
    ticket = done.leave.ticket
    body = {
        "at": done.at.isoformat(),
        "ended_at": app.clock().isoformat(),
        "operator": app.operator,
        "ticket": ticket.number if ticket else "",
        "ticket_evidence": list(done.leave.evidence),
        "approver": ticket.approver if ticket else "",
        "notes": list(done.leave.notes),
        "targets": list(done.targets),
        "seconds": seconds,
        "dictionary": {"sha256": words.sha256, "words": done.words, "left_out": done.words_cut, "most": MOST_WORDS},
        "ends": dict(Counter(row.ended.value for row in done.rows)),
        "accounts": [told(row) for row in done.rows],
    }
    payload = json.dumps(body, ensure_ascii=False, sort_keys=True).encode(errors="surrogatepass")
    entry = app.ledger.seal(KIND, payload, subject="、".join(done.targets)[:200])
    app.ledger.checkpoint()
    return Done(done.at, done.leave, done.targets, done.rows, entry.seq, done.words, done.words_cut)


def last_found(app: App) -> dict[tuple[str, str], tuple[str, str, str]]:
    """What each target's newest check found: (target, account) to (kind, rule's words, day).

    A password that was changed since stays named until the next check: only a fresh look says otherwise.

    Raises:
        IntegrityError: the evidence does not open.
    """
    found: dict[tuple[str, str], tuple[str, str, str]] = {}
    seen: set[tuple[str, str]] = set()
    for entry in reversed(app.ledger.entries()):
        if entry.kind != KIND or not entry.blob:
            continue
        body = json.loads(app.ledger.open(entry.seq))
        day = str(datetime.fromisoformat(body["at"]).astimezone(SHANGHAI).date())
        lost = {(row["target"], row["kind"]) for row in body["accounts"] if not row["account"]}
        # of a service that is gone no row tells, but its host's users do
        told_of = {(row["target"], row["kind"]) for row in body["accounts"] if row["account"]}
        told_of |= {(target, kind) for target, of in told_of if of == "linux" for kind in _SERVICES}
        for row in body["accounts"]:
            if row["ended"] == Ended.WEAK and (row["target"], row["kind"]) not in seen:
                found[row["target"], row["account"]] = (row["kind"], row["said"], day)
        seen |= told_of - lost
    return found
