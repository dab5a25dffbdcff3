"""Change passwords so that none is ever lost.

The order is what keeps the promise: a new secret is sealed in the vault (pending) before any target hears of it; the
target is told through its own root, never through the account itself; a fresh login proves it; then one transaction
makes it current. Whatever ends this process in between, the next run finds the pending one and asks the target which
of the two it holds (`settle`) before it does anything else. One process at a time works on a host, here and there.
"""

from __future__ import annotations

import contextlib
import json
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from agent.flows import ways
from agent.flows.asking import asked, change_of
from agent.flows.dependents import Dependents
from agent.flows.held import held
from agent.flows.logins import FROM_HERE, Candidate
from agent.flows.passwords import known_names
from agent.flows.proving import Prover
from agent.flows.sshkeys import KeyRotation
from agent.model.account import SSH_KEY, Way
from agent.model.errors import AgentError, IntegrityError, StoreError, UnreachedError
from agent.model.observation import Reason
from agent.model.secret import Secret
from agent.model.session import Command
from agent.model.text import one_line
from agent.vault.drivers import DRIVERS, Change, Login
from agent.vault.generate import CHARACTERS, generate
from agent.vault.vault import CURRENT, PENDING, VOID, WHOLE, New

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from agent.app import App
    from agent.flows.proving import Proof
    from agent.model.account import Managed
    from agent.model.asset import Host
    from agent.model.frames import Answer
    from agent.model.ports import Session
    from agent.vault.records import Row

WORKERS = 16
"""Hosts at a time."""
_VOIDS = 3
"""Candidates of earlier runs that are asked after, newest first: a change in flight can land late."""
_OLD = "目标仍用旧口令"


class Ended(StrEnum):
    """How the rotation of one account ended."""

    ROTATED = "rotated"
    """Changed, and proven by a fresh login."""
    UNPROVEN = "unproven"
    """Changed, as the target says; no login could prove it."""
    KEPT = "kept"
    """The old one still holds."""
    OPEN = "open"
    """Not known which one holds; both are kept, and the next run asks again."""
    HELD = "held"
    """Not tried: a service account without a plan, or no driver for its kind."""
    UNREACHED = "unreached"
    """The host was not reached, or another process is at work on it; nothing was tried."""


WORDS = {
    Ended.ROTATED: "已轮换并验证",
    Ended.UNPROVEN: "已轮换，未能登录验证",
    Ended.KEPT: "未更改，旧口令有效",
    Ended.OPEN: "待核实，新旧口令均已保留",
    Ended.HELD: "未执行",
    Ended.UNREACHED: "未到达",
}


@dataclass(frozen=True, slots=True)
class Rotated:
    """One account's end."""

    account: str
    ended: Ended
    why: str = ""
    way: Way = Way.NONE
    """How it was proven."""
    version: int = 0


@dataclass(frozen=True, slots=True)
class Event:
    """A step that is about to be taken, or was taken, for whoever watches."""

    host: str
    step: str
    """`settle`, `pend`, `pended`, `change`, `changed`, `prove`, `proven`, `finish`, `finished`, `end`."""
    count: int = 0


Watcher = Callable[[Event], None]


def rotate(
    app: App, accounts: Sequence[Managed], watch: Watcher = lambda _: None, *, reason: str, settle_only: bool = False
) -> list[Rotated]:
    """Change the passwords of accounts, many hosts at a time; how each ended, in the order given.

    Args:
        app: the workspace.
        accounts: which; those of kind `manual` are HELD.
        watch: told of every step, from many threads.
        reason: why; sealed with the result.
        settle_only: ask after what an earlier run left open, and change nothing else.

    Raises:
        IntegrityError: the vault is not sound; no target was told of anything.
        StoreError: the store cannot be written. What was pending is kept, and the next run settles it.
    """
    app.vault.sound()
    done: dict[str, Rotated] = {}
    by_host: dict[str, list[Managed]] = defaultdict(list)
    for account in accounts:
        why = "" if settle_only else account.held
        if account.kind not in {*DRIVERS, SSH_KEY}:
            why = "没有自动改密的驱动：agent password manual"
        if why:
            done[account.id] = Rotated(account.id, Ended.HELD, why)
        else:
            by_host[account.host].append(account)
    for zone in sorted({account.zone or WHOLE for account in accounts}):
        app.vault.add_zone(zone)
    names = known_names(app)

    def one(name: str) -> list[Rotated]:
        host = app.inventory.host(name)
        turn = HostRotation(app, host, by_host[name], watch, names=names, reason=reason)
        return turn.run(settle_only=settle_only)

    with ThreadPoolExecutor(WORKERS) as pool:
        for results in pool.map(one, by_host):
            done |= {each.account: each for each in results}
    destroyed = 0 if settle_only else app.vault.destroy()
    if by_host or destroyed:
        app.ledger.checkpoint()
    return [done[account.id] for account in accounts if account.id in done]


@dataclass
class HostRotation:
    """The accounts of one host: its users, and those of the databases and services on it."""

    app: App
    host: Host
    everything: Sequence[Managed]
    """Their passwords, and their SSH keys."""
    watch: Watcher
    names: Sequence[str] = ()
    reason: str = ""
    _done: dict[str, Rotated] = field(default_factory=dict)
    _secrets: dict[tuple[str, int], Secret] = field(default_factory=dict)

    def run(self, *, settle_only: bool = False) -> list[Rotated]:
        """Settle, change, prove, promote; how each ended. Raises StoreError, IntegrityError."""
        try:
            with held(self.app.state, f"rotation-{self.host.name}"), self._session() as session:
                self._settle(session, last=settle_only)
                if not settle_only:
                    self._change(session)
                self._keys(session, settle_only=settle_only)
                self._seal()
        except (StoreError, IntegrityError):
            raise
        except AgentError as error:
            why = one_line(error.message, 200)
            for account in self.everything:
                self._done.setdefault(account.id, Rotated(account.id, Ended.UNREACHED, why))
        return [self._done[account.id] for account in self.everything if account.id in self._done]

    @property
    def accounts(self) -> list[Managed]:
        """Those whose passwords are changed."""
        return [account for account in self.everything if account.kind != SSH_KEY]

    def _keys(self, session: Session, *, settle_only: bool) -> None:
        """The accounts' SSH keys, by the same session."""
        mine = [account for account in self.everything if account.kind == SSH_KEY]
        if not mine:
            return

        def ask(scripts: Mapping[str, str]) -> dict[str, Answer]:
            return asked(session, {key: (DRIVERS["linux"], script) for key, script in scripts.items()})

        rotation = KeyRotation(self.app, ask, lambda step, count: self.watch(Event(self.host.name, step, count)))
        for name, one in rotation.run(mine, settle_only=settle_only).items():
            way = Way.SSH if one.ended == Ended.ROTATED else Way.NONE
            self._end(name, Ended(one.ended), one.why, way=way, row=one.row)

    # --- the way in ------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _session(self) -> Iterator[Session]:
        """A session with root's rights. Where the agent's own password may have changed already, with either."""
        try:
            with ways.fresh(self.app, self.host) as session:
                session.run(Command("true", privileged=True, deadline=ways.LOGIN))
                yield session
                return
        except UnreachedError as error:
            own = next((each for each in self.accounts if each.own_login and each.kind == "linux"), None)
            row = self._row(own.id, PENDING) if own else None
            if own is None or row is None or error.reason not in {Reason.AUTH_FAILED, Reason.SUDO_DENIED}:
                raise
        sessions = self.app.new_sessions(Candidate(own.user, self.host.name, self._reveal(row), self.app.credentials))
        try:
            with sessions.open(self.host, ways.LOGIN) as session:
                session.run(Command("true", privileged=True, deadline=ways.LOGIN))
                yield session
        finally:
            sessions.close()

    # --- what an earlier run left ----------------------------------------------------------------------------------

    def _settle(self, session: Session, *, last: bool) -> None:
        """Find out what every pending secret became. Nothing else is done to the account before that.

        `last`: nothing is done to it afterwards either.
        """
        pending = {account.id: row for account in self.accounts if (row := self._row(account.id, PENDING))}
        if not pending:
            return
        self.watch(Event(self.host.name, "settle", len(pending)))
        mine = [account for account in self.accounts if account.id in pending]
        held_by_target = self._which(session, mine)
        again: list[Managed] = []
        for account in mine:
            row = pending[account.id]
            state = held_by_target.get(account.id) or self._by_login(session, account, row)
            if state == PENDING:
                self._prove(session, {account.id: (account, row)}, landed=True)
            elif state == CURRENT:
                if account.dependents:
                    self._stage(account).look([])  # what a dead run left at its places is undone
                self.app.vault.void(row, _OLD)
                if last:
                    self._end(account.id, Ended.KEPT, _OLD, row=row)
            elif state == Ended.OPEN:
                self._open(row, "登录未能说明哪个口令有效")
            else:  # neither, or one of long ago: the pending one is given to it again
                again.append(account)
        if again:
            self._apply(session, {account.id: (account, pending[account.id]) for account in again})

    def _which(self, session: Session, accounts: Sequence[Managed]) -> dict[str, str]:
        """By account the state of the secret that its target holds, or `none`; nothing where it cannot tell."""
        rows = {account.id: self._candidates(account.id) for account in accounts}
        waiting = {account.id: (account, "") for account in accounts}
        found: dict[str, str] = {}
        for _ in range(2):
            scripts = {}
            for account, said in waiting.values():
                driver = DRIVERS[account.kind]
                with contextlib.suppress(ValueError, ArithmeticError):  # a salt of a form that we do not know
                    known = [self._reveal(row) for row in rows[account.id]]
                    script = driver.which(self._plain(account), known, said)
                    if script:
                        scripts[account.id] = (driver, script)
            waiting = {}
            answers = asked(session, {f"w{n}": script for n, script in enumerate(scripts.values())})
            for number, name in enumerate(scripts):
                answer = answers[f"w{number}"]
                text = answer.text.strip()
                account = next(each for each in accounts if each.id == name)
                if answer.rc == 0 and text.startswith("ask "):
                    waiting[name] = (account, text.removeprefix("ask "))
                elif answer.rc == 0 and text.isdigit() and int(text) < len(rows[name]):
                    found[name] = rows[name][int(text)].state
                elif answer.rc == 0 and text == "none":
                    found[name] = "none"
        return found

    def _by_login(self, session: Session, account: Managed, row: Row) -> str:
        """The state of the secret that lets us in: at most two tries, far below what locks an account."""
        prover = self._prover(session)
        proof = prover.one(account, row)
        if proof.ended is Login.IN:
            return PENDING
        current = self._row(account.id, CURRENT)
        if proof.ended is Login.BARRED:
            return Ended.OPEN
        if current is None:
            return "none"
        before = prover.one(account, current)
        return {Login.IN: CURRENT, Login.REJECTED: "none", Login.BARRED: Ended.OPEN}[before.ended]

    # --- the change ------------------------------------------------------------------------------------------------

    def _change(self, session: Session) -> None:
        new: list[New] = []
        todo: dict[str, Managed] = {}
        for account in self.accounts:
            if account.id in self._done:
                continue  # settled this moment: it is new, or nobody knows
            if account.dependents and (why := self._ready(session, account)):
                self._done[account.id] = Rotated(account.id, Ended.KEPT, why)
                continue
            policy = self.app.password_policies[account.policy]
            text = generate(CHARACTERS[account.kind], policy, names=(*self.names, account.user))
            new.append(New(account.id, account.zone or WHOLE, text))
            todo[account.id] = account
        if not new:
            return
        self.watch(Event(self.host.name, "pend", len(new)))
        rows = self.app.vault.pend(new)
        self._secrets |= {(one.account, rows[one.account].version): one.text for one in new}
        self.watch(Event(self.host.name, "pended", len(new)))
        self._apply(session, {name: (account, rows[name]) for name, account in todo.items()})

    # --- programs that keep the password ---------------------------------------------------------------------------

    def _stage(self, account: Managed) -> Dependents:
        return Dependents(self.app, account, lambda step: self.watch(Event(self.host.name, step, 1)))

    def _ready(self, session: Session, account: Managed) -> str:
        """Why an account with dependents is not changed now: a place is not as declared, or holds another password."""
        stage = self._stage(account)
        current = self._row(account.id, CURRENT)
        with stage.turn():
            try:
                old = self._reveal(current) if current else stage.told()
            except UnreachedError as error:
                return one_line(f"{error.reason}: {error.message}", 160)
            if old is None:
                return f"{account.dependents[0].file} 中没有读到口令"
            places = stage.look([old])
        wrong = [f"{place}：{place.wrong}" for place in places if place.wrong]
        if not wrong and current is None:
            if not self._is(session, account, old):
                return f"{places[0]} 中的口令不是该账号现用的口令"
            self.app.vault.adopt([New(account.id, account.zone or WHOLE, old)])
        return "；".join(wrong)

    def _is(self, session: Session, account: Managed, secret: Secret) -> bool:
        """Whether the target holds it: asked in place, else by one login."""
        driver, said = DRIVERS[account.kind], ""
        for _ in range(2):
            script = driver.which(self._plain(account), [secret], said)
            if not script:
                return any(FROM_HERE[way](self.app, account, secret)[0] is Login.IN for way in driver.ways[:1])
            answer = asked(session, {"is": (driver, script)})["is"]
            text = answer.text.strip()
            if not text.startswith("ask "):
                return answer.rc == 0 and text == "0"
            said = text.removeprefix("ask ")
        return False

    def _dependents(self, session: Session, account: Managed, row: Row) -> bool:
        """Have every place follow; else everything goes back. Whether the new one may become current."""
        stage = self._stage(account)
        current = self._row(account.id, CURRENT)
        old = self._reveal(current) if current else None
        with stage.turn():
            why = stage.apply(self._reveal(row), old)
            if not why:
                return True
            why = self._masked(f"关联程序：{why}", row)
            if stage.confirmed or old is None:
                self._open(row, why)
                return False
            driver = DRIVERS[account.kind]
            self.watch(Event(self.host.name, "back", 1))
            try:
                back = change_of(self.app, account, old)
                gone = asked(session, {"back": (driver, driver.change(back))})["back"].rc == 0
                gone = gone and self._is(session, account, old)
                if gone and (script := driver.finish(back)):
                    asked(session, {"finish": (driver, script)})
            except UnreachedError:
                gone = False
            self.watch(Event(self.host.name, "backed", 1))
            stage.undo()
        if gone:
            self.app.vault.void(row, why)
            self._end(account.id, Ended.KEPT, why, row=row)
        else:
            self._open(row, why)
        return False

    def _apply(self, session: Session, wanted: Mapping[str, tuple[Managed, Row]]) -> None:
        """Tell the target, hear what it says, prove what it says."""
        scripts = {}
        for number, (account, row) in enumerate(wanted.values()):
            driver = DRIVERS[account.kind]
            scripts[f"c{number}"] = (driver, driver.change(self._changed(account, row)))
        self.watch(Event(self.host.name, "change", len(wanted)))
        try:
            answers = asked(session, scripts)
        except UnreachedError as error:
            # It may have landed, all of it or some. The host is asked over a new connection.
            self._asked_again(wanted, one_line(f"{error.reason}: {error.message}", 160))
            return
        self.watch(Event(self.host.name, "changed", len(wanted)))
        landed = {}
        for number, (name, (account, row)) in enumerate(wanted.items()):
            answer = answers[f"c{number}"]
            if answer.rc == 0:
                landed[name] = (account, row)
            else:
                why = self._masked(answer.errors, row) or f"exit {answer.rc}"
                self.app.vault.void(row, why)
                self._end(account.id, Ended.KEPT, why, row=row)
        self._prove(session, landed, landed=True)

    def _asked_again(self, wanted: Mapping[str, tuple[Managed, Row]], why: str) -> None:
        try:
            with ways.fresh(self.app, self.host) as session:
                states = self._which(session, [account for account, _ in wanted.values()])
                for name, (account, row) in wanted.items():
                    state = states.get(name) or self._by_login(session, account, row)
                    if state == PENDING:
                        self._prove(session, {name: (account, row)}, landed=True)
                    elif state == CURRENT:
                        self.app.vault.void(row, why)
                        self._end(name, Ended.KEPT, why, row=row)
                    else:
                        self._open(row, why)
        except UnreachedError:
            for name, (_, row) in wanted.items():
                if name not in self._done:
                    self._open(row, why)

    # --- the proof -------------------------------------------------------------------------------------------------

    def _prove(self, session: Session, wanted: Mapping[str, tuple[Managed, Row]], *, landed: bool) -> None:
        """Log in afresh with each; what is proven is finished and becomes current."""
        if not wanted:
            return
        self.watch(Event(self.host.name, "prove", len(wanted)))
        prover = self._prover(session)
        proofs = prover.all(wanted)
        unsure = [account for name, (account, _) in wanted.items() if proofs[name].ended is not Login.IN]
        held_by_target = self._which(session, unsure) if unsure else {}
        proofs |= prover.second_way(wanted, proofs, held_by_target)
        good: dict[str, Way] = {}
        for name, (_, row) in wanted.items():
            proof = proofs[name]
            state = held_by_target.get(name, "")
            if proof.ended is Login.IN:
                good[name] = proof.way
            elif state == PENDING:
                good[name] = Way.IN_PLACE
            elif not state and landed and proof.ended is Login.BARRED:
                good[name] = Way.NONE
            elif state == CURRENT:
                self.app.vault.void(row, proof.why)
                self._end(name, Ended.KEPT, proof.why, row=row)
            else:
                self._open(row, proof.why)
        self.watch(Event(self.host.name, "proven", len(good)))
        for name in [name for name in good if wanted[name][0].dependents]:
            if not self._dependents(session, *wanted[name]):
                del good[name]
        self._finish(session, {name: wanted[name] for name in good})
        self._promote({name: wanted[name][1] for name in good}, good, proofs)

    def _prover(self, session: Session) -> Prover:
        return Prover(self.app, session, self._reveal, self._masked)

    # --- the end ---------------------------------------------------------------------------------------------------

    def _finish(self, session: Session, wanted: Mapping[str, tuple[Managed, Row]]) -> None:
        """What follows a proven change: expiry, the old one dropped. A failure is told and undoes nothing."""
        scripts = {}
        for number, (account, row) in enumerate(wanted.values()):
            driver = DRIVERS[account.kind]
            script = driver.finish(self._changed(account, row))
            if script:
                scripts[f"f{number}"] = (driver, script)
        if scripts:
            self.watch(Event(self.host.name, "finish", len(scripts)))
            with contextlib.suppress(UnreachedError):  # the next rotation does it
                asked(session, scripts)
            self.watch(Event(self.host.name, "finished", len(scripts)))

    def _promote(self, rows: Mapping[str, Row], by: Mapping[str, Way], proofs: Mapping[str, Proof]) -> None:
        """One transaction for all that a login proved, one for the others."""
        for proven in (True, False):
            mine = [row for name, row in rows.items() if (by[name] not in {Way.IN_PLACE, Way.NONE}) is proven]
            if not mine:
                continue
            self.app.vault.promote_all(mine, verified=proven, why={row.account: by[row.account].value for row in mine})
            for row in mine:
                ended = Ended.ROTATED if proven else Ended.UNPROVEN
                why = "" if proven else proofs[row.account].why
                self._end(row.account, ended, why, way=by[row.account], row=row)
        self.watch(Event(self.host.name, "end", len(rows)))

    def _open(self, row: Row, why: str) -> None:
        self.app.vault.remind(row, why)
        self._end(row.account, Ended.OPEN, why, row=row)

    def _end(self, account: str, ended: Ended, why: str = "", *, way: Way = Way.NONE, row: Row) -> None:
        self._done[account] = Rotated(account, ended, why, way, row.version)

    def _seal(self) -> None:
        """What was done, without any secret."""
        if not self._done:
            return
        body = {
            "host": self.host.name,
            "at": self.app.clock().isoformat(),
            "operator": self.app.operator,
            "reason": self.reason,
            "accounts": [
                {"account": one.account, "version": one.version, "ended": one.ended, "way": one.way, "why": one.why}
                for one in self._done.values()
            ],
        }
        payload = json.dumps(body, ensure_ascii=False, sort_keys=True).encode(errors="surrogatepass")
        self.app.ledger.seal("rotation", payload, subject=self.host.name)

    # --- rows and secrets ------------------------------------------------------------------------------------------

    def _row(self, account: str, state: str) -> Row | None:
        return next((row for row in self.app.vault.versions([account]).get(account, []) if row.state == state), None)

    def _candidates(self, account: str) -> list[Row]:
        """Whatever the target may hold: pending, current, and what was given up lately."""
        rows = self.app.vault.versions([account]).get(account, [])
        live = [row for state in (PENDING, CURRENT) for row in rows if row.state == state]
        return [*live, *[row for row in reversed(rows) if row.state == VOID and row.sealed][:_VOIDS]]

    def _reveal(self, row: Row) -> Secret:
        key = (row.account, row.version)
        if key not in self._secrets:
            self._secrets[key] = self.app.vault.reveal(row)
        return self._secrets[key]

    def _plain(self, account: Managed) -> Change:
        return change_of(self.app, account)

    def _changed(self, account: Managed, row: Row) -> Change:
        return change_of(self.app, account, self._reveal(row))

    def _masked(self, text: str, row: Row) -> str:
        """What a target said, without the secret that it may have repeated."""
        return one_line(text.replace(self._reveal(row).reveal(), "***"), 200)
