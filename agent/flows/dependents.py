"""Programs that keep the password of an account: their files change with it, all of them or none.

Per host one transaction of the kind that hardening uses: captured, armed with a timer of the target's own, written, the
program reloaded, looked at over a fresh connection. Only when all hosts look well is any of them confirmed; until then
whatever happens (kill, cut, a program that does not come up) every file comes back by itself. From the first
confirmation on there is no way back: the next run goes on.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.change import secretfile
from agent.change.transaction import begun, state_of
from agent.flows import ways
from agent.model.change import TxState
from agent.model.errors import AgentError, UnreachedError
from agent.model.frames import Section, compose, split
from agent.model.secret import Secret
from agent.model.session import Command
from agent.model.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from agent.app import App
    from agent.change.transaction import Transaction
    from agent.model.account import Dependent, Managed
    from agent.model.frames import Answer
    from agent.model.ports import Session

TTL = 180
"""Seconds after which a target puts back what nobody confirmed."""
SECONDS = 90.0
"""For writing, reloading and looking; less than the timer."""
_TURNS: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
"""One account at a time on a host of dependents; rotations of other hosts may want the same."""
WORDS = {"absent": "没有该项", "twice": "该项出现多次", "other": "其中不是该账号现用的口令"}


@dataclass(frozen=True, slots=True)
class Place:
    """A dependent as it was found."""

    dependent: Dependent
    real: str = ""
    """Its file, links followed."""
    holds: str = ""
    """Number of the secret that it holds, or a key of WORDS."""
    wrong: str = ""

    def __str__(self) -> str:
        """Host, file and key."""
        return f"{self.dependent.host} {self.dependent.file} {self.dependent.key}"


@dataclass
class Dependents:
    """The places of one account, on their way to a new password."""

    app: App
    account: Managed
    watch: Callable[[str], None]
    confirmed: bool = False
    """From then on there is no way back."""
    _open: dict[str, Transaction] = field(default_factory=dict)

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Have the hosts to ourselves, as far as this process goes; targets refuse the others."""
        names = sorted({each.host for each in self.account.dependents})
        with contextlib.ExitStack() as stack:
            for name in names:
                stack.enter_context(_TURNS[name])
            yield

    def look(self, known: Sequence[Secret]) -> list[Place]:
        """What each place holds. Nothing is changed, but what a dead run left there is undone first."""
        found: list[Place] = []
        for name, mine in self._by_host().items():
            try:
                with ways.fresh(self.app, self.app.inventory.host(name)) as session:
                    self._tidy(session)
                    sections = [Section(f"d{n}", secretfile.ask(each, known)) for n, each in enumerate(mine)]
                    answers = self._run(session, sections)
            except UnreachedError as error:
                found += [Place(each, wrong=_of(error)) for each in mine]
                continue
            for number, each in enumerate(mine):
                real, _, said = answers[f"d{number}"].text.strip().partition("\n")
                why = "" if answers[f"d{number}"].rc == 0 else one_line(answers[f"d{number}"].errors, 160) or "无法读取"
                found.append(Place(each, real, said, why or WORDS.get(said, "" if said.isdigit() else "无法读取")))
        return found

    def told(self) -> Secret | None:
        """What the first place holds, for a vault that does not know it yet. Raises UnreachedError."""
        first = self.account.dependents[0]
        with ways.fresh(self.app, self.app.inventory.host(first.host)) as session:
            answer = self._run(session, [Section("say", secretfile.say(first))])["say"]
        text = answer.text.removesuffix("\n")
        return Secret(text) if answer.rc == 0 and text and "\n" not in text else None

    def apply(self, new: Secret, old: Secret | None) -> str:
        """Bring every place to the new password, and confirm; why not, empty when all is well.

        After a failure `confirmed` says whether the old one can still come back; then `undo`.
        """
        places = self.look([new, *([old] if old else [])])
        wrong = [f"{place}：{place.wrong}" for place in places if place.wrong]
        if wrong:
            return "；".join(wrong)
        todo: dict[str, list[tuple[Dependent, str]]] = defaultdict(list)
        for place in places:
            if place.holds != "0":
                todo[place.dependent.host].append((place.dependent, place.real))
        try:
            for name, mine in todo.items():
                self._begin(name, mine, new)
            for name, mine in todo.items():
                self._look(name, mine, new)
            for name in todo:
                self._confirm(name)
        except AgentError as error:
            return one_line(error.message, 300)
        return ""

    def undo(self) -> None:
        """Put back what was begun; where a host does not answer, its own timer does."""
        for name, tx in list(self._open.items()):
            self.watch("dependents-undo")
            with contextlib.suppress(AgentError), ways.fresh(self.app, self.app.inventory.host(name)) as session:
                self._seal(name, tx, "undo", self._ask(session, tx.undo))
                self._tidy(session)
            del self._open[name]

    # --- one host --------------------------------------------------------------------------------------------------

    def _begin(self, name: str, mine: Sequence[tuple[Dependent, str]], new: Secret) -> None:
        tx = secretfile.rewriting(f"{secretfile.MARK}{secrets.token_hex(6)}", mine, new, TTL)
        self._open[name] = tx
        self.watch("dependents-begin")
        with ways.fresh(self.app, self.app.inventory.host(name)) as session:
            answers = self._ask(session, tx.begin)
        self._seal(name, tx, "begin", answers)
        start = begun(answers)
        if start.failed:
            raise AgentError(f"{name} {start.failed}: {one_line(start.why, 200)}")
        self.watch("dependents-begun")

    def _look(self, name: str, mine: Sequence[tuple[Dependent, str]], new: Secret) -> None:
        tx = self._open[name]
        reads = [Section(f"d{n}", secretfile.ask(each, [new])) for n, (each, _) in enumerate(mine)]
        with ways.fresh(self.app, self.app.inventory.host(name)) as session:
            answers = self._ask(session, lambda nonce: tx.look(nonce, reads))
        self._seal(name, tx, "look", answers)
        for key, answer in answers.items():
            held = answer.rc == 0 and (not key.startswith("d") or answer.text.strip().endswith("\n0"))
            if not held:
                raise AgentError(f"{name} {key}: {one_line(answer.errors or answer.text, 200)}")
        self.watch("dependents-looked")

    def _confirm(self, name: str) -> None:
        tx = self._open[name]
        with ways.fresh(self.app, self.app.inventory.host(name)) as session:
            before, self.confirmed = self.confirmed, True  # while we have heard nothing, it may have been done
            answers = self._ask(session, tx.confirm)
            self._seal(name, tx, "confirm", answers)
            state = state_of(answers.get("confirm"))
            if state in {TxState.UNDOING, TxState.UNDONE, TxState.BROKEN, TxState.ABSENT}:
                self.confirmed = before
            if state is not TxState.CONFIRMED:
                raise AgentError(f"{name}：未能确认（{state.value}）")
            del self._open[name]
            self.watch("dependents-confirmed")
            self._tidy(session)

    def _tidy(self, session: Session) -> None:
        """Undo what a dead run left armed (nobody else is at work here), and take captures away."""
        held = self._run(session, [Section("holder", secretfile.holder())])["holder"].text.strip()
        if held:
            self._ask(session, secretfile.rewriting(held, [], Secret(""), TTL).undo)
        self._run(session, [Section("forget", secretfile.forget())])

    # --- scripts ---------------------------------------------------------------------------------------------------

    def _by_host(self) -> dict[str, list[Dependent]]:
        found: dict[str, list[Dependent]] = defaultdict(list)
        for each in self.account.dependents:
            found[each.host].append(each)
        return found

    def _run(self, session: Session, sections: Sequence[Section]) -> Mapping[str, Answer]:
        return self._ask(session, lambda nonce: compose(list(sections), nonce, secretfile.preamble()))

    def _ask(self, session: Session, script: Callable[[str], str]) -> Mapping[str, Answer]:
        nonce = secrets.token_hex(16)
        result = session.run(Command(script(nonce), privileged=True, deadline=SECONDS))
        return dict(split(result.stdout, result.stderr, nonce))

    def _seal(self, name: str, tx: Transaction, what: str, answers: Mapping[str, Answer]) -> None:
        """What was done and answered; no step's script, which holds the password."""
        body = {
            "account": self.account.id,
            "host": name,
            "transaction": tx.id,
            "what": what,
            "at": self.app.clock().isoformat(),
            "operator": self.app.operator,
            "places": [step.name for step in tx.steps],
            "answers": {key: [answer.rc, answer.text, answer.errors] for key, answer in answers.items()},
        }
        payload = json.dumps(body, ensure_ascii=False, sort_keys=True).encode(errors="surrogatepass")
        self.app.ledger.seal("dependents", payload, subject=name)


def _of(error: UnreachedError) -> str:
    return one_line(f"{error.reason}: {error.message}", 160)
