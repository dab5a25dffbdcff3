"""Break, harden, verify, undo on a host of the lab, by the very scripts that `agent harden` runs."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from agent.app import App
from agent.change import transaction
from agent.change.contract import Facts
from agent.change.facts import facts_of, facts_section
from agent.change.library import modules
from agent.change.registry import registry
from agent.change.transaction import Transaction
from agent.model.change import Item, Skip, Step, TxState
from agent.model.frames import Answer, Section, compose, split
from agent.model.session import Command

MANIFEST = r"""
cd / && find etc -xdev \( -type f -o -type l -o -type d \) ! -name '*.lock' -printf '%y %m %U:%G %p %l\n' | sort
find etc -xdev -type f -print0 | sort -z | xargs -0 sha256sum
systemctl list-units --type=service,socket,timer --state=active --plain --no-legend 2>/dev/null | cut -d' ' -f1 |
  grep -Ev '^(apt-daily|dpkg-db|e2scrub|fstrim|logrotate|man-db|systemd-tmpfiles|session|user@|user-runtime|run-|getty|motd)' | sort
ss -Hltun | awk '{print $1,$5}' | sort -u
sysctl -a 2>/dev/null | grep -E '^net\.(ipv4|ipv6)\.(conf\.(all|default)|icmp|tcp_|ip_)' | grep -vE 'stable_secret|tcp_mem|fastopen_key|_used|tcp_fack'
nft list ruleset 2>/dev/null
"""


class HostUnderChange:
    """One host of the lab, reached as the agent reaches it."""

    def __init__(self, workspace: Path, name: str, *, ttl: int = 60) -> None:
        self.app, self.ttl = App(workspace), ttl
        self.host = self.app.inventory.host(name)
        self.facts = Facts({})

    def root(self, script: str, deadline: float = 120.0) -> str:
        """Run a script as root; its standard output. AssertionError unless it ends with 0."""
        with self.app.sessions.open(self.host, 30) as session:
            done = session.run(Command(script, privileged=True, deadline=deadline))
        assert done.rc == 0, (done.rc, done.stdout[-800:], done.stderr[-800:])
        return done.stdout.decode(errors="replace")

    def ask(self, script: str, nonce: str, deadline: float = 300.0) -> dict[str, Answer]:
        """Run a framed script as root over a new connection."""
        with self.app.sessions.open(self.host, 30) as session:
            done = session.run(Command(script, privileged=True, deadline=deadline))
        return dict(split(done.stdout, done.stderr, nonce))

    def plan(self, *items: Item) -> dict[str, tuple[Step, ...] | Skip]:
        """What each item (by id) leads to now; one round trip, or two the first time."""
        nonce = secrets.token_hex(8)
        library = modules(name for item in items for name in registry()[item.resource].library)
        head = "TX=none; TXROOT=/nonexistent\n" + library
        if not self.facts.values:
            self.facts = facts_of(self.ask(compose([facts_section()], nonce, head), nonce)["facts"])
        reads = [Section(f"i.{item.id}", registry()[item.resource].read(item, self.facts)) for item in items]
        answers = self.ask(compose(reads, nonce, head), nonce)
        found = {}
        for item in items:
            registry()[item.resource].check(item)
            found[item.id] = registry()[item.resource].plan(item, answers[f"i.{item.id}"], self.facts)
        return found

    def steps(self, *items: Item) -> tuple[Step, ...]:
        """All steps of all items; AssertionError when one is skipped."""
        planned = self.plan(*items)
        assert not any(isinstance(one, Skip) for one in planned.values()), planned
        return tuple(step for one in planned.values() for step in one)

    def transaction(self, items: Sequence[Item], steps: Sequence[Step], ttl: int = 0) -> Transaction:
        """A transaction of these steps, not begun."""
        library = tuple(dict.fromkeys(name for item in items for name in registry()[item.resource].library))
        return Transaction(f"t{secrets.token_hex(5)}", tuple(steps), library, ttl=ttl or self.ttl)

    def begin(self, tx: Transaction) -> transaction.Begun:
        """Arm, write, validate, apply."""
        nonce = secrets.token_hex(8)
        return transaction.begun(self.ask(tx.begin(nonce), nonce))

    def confirm(self, tx: Transaction) -> str:
        """Note what is left and claim it, each over a new connection; the answer's text."""
        nonce = secrets.token_hex(8)
        looked = self.ask(tx.look(nonce, []), nonce)
        assert all(answer.rc == 0 for answer in looked.values()), looked
        return self.ask(tx.confirm(nonce), nonce)["confirm"].text.strip()

    def undo(self, tx: Transaction) -> TxState:
        """Undo now; how it stands."""
        nonce = secrets.token_hex(8)
        return TxState(self.ask(tx.undo(nonce), nonce)["undo"].text.split()[-1])

    def state(self, tx: Transaction) -> TxState:
        """How it stands, as the target says."""
        nonce = secrets.token_hex(8)
        return transaction.state_of(self.ask(transaction.states([tx.id], nonce), nonce)[f"tx.{tx.id}"])

    def manifest(self, more: str = "") -> list[str]:
        """Bytes, modes and owners of /etc, active units, listeners, kernel parameters, packet filter; `more`: shell."""
        return self.root(f"{MANIFEST}\n{more}\n:").splitlines()

    def harden(self, *items: Item) -> Transaction:
        """Plan, do, confirm; afterwards nothing is left to do."""
        steps = self.steps(*items)
        assert steps, "nothing to do: the host was not broken"
        tx = self.transaction(items, steps)
        begun = self.begin(tx)
        assert not begun.failed, begun
        assert begun.state is TxState.ARMED, begun
        again = self.plan(*items)
        assert all(one == () for one in again.values()), again
        assert self.confirm(tx) == "confirmed"
        return tx

    def revert(self, tx: Transaction) -> None:
        """Take back a confirmed transaction, as `agent rollback` does."""
        nonce = secrets.token_hex(8)
        answer = self.ask(tx.compare(nonce), nonce)["compare"]
        kept = [int(line.split()[0]) for line in answer.text.splitlines() if line.split()[1] == "kept"]
        assert len(kept) == len(tx.handles), answer
        step = transaction.reverting(tx, kept, tx.steps[0].group)
        back = Transaction(f"r{secrets.token_hex(5)}", (step,), tx.library, ttl=self.ttl)
        begun = self.begin(back)
        assert not begun.failed, begun
        assert self.confirm(back) == "confirmed"


def differences(before: Sequence[str], after: Sequence[str]) -> list[str]:
    """Lines that only one of two manifests has."""
    one, two = set(before), set(after)
    return [f"- {line}" for line in before if line not in two] + [f"+ {line}" for line in after if line not in one]


def proves(under: HostUnderChange, items: Sequence[Item], broken: str, mended: str, *, more: str = "") -> None:
    """Break by a script, harden, verify, undo in both ways; each time the state is that after the break. Then mend."""
    before = under.manifest(more)
    under.root(broken)
    try:
        weak = under.manifest(more)
        tx = under.harden(*items)
        assert under.state(tx) is TxState.CONFIRMED
        under.revert(tx)
        assert differences(weak, under.manifest(more)) == []
        assert any(one != () for one in under.plan(*items).values()), "undone, and yet all is as wanted"
        steps = under.steps(*items)
        second = under.transaction(items, steps)
        assert not under.begin(second).failed
        assert under.undo(second) is TxState.UNDONE
        assert differences(weak, under.manifest(more)) == []
    finally:
        under.root(mended)
    assert differences(before, under.manifest(more)) == []


def with_id(item: Item, name: str) -> Item:
    """The same item under another id."""
    return replace(item, id=name)
