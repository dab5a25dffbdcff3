"""SSH keys of managed accounts, changed so that there is always one that lets in and that the vault knows.

A new pair is sealed in the vault (pending); root puts its public half beside the old one; a fresh login proves it; only
then is the old one taken away, and the new one current. Whatever ends this process in between, the next run goes on
from there, and sessions of the agent itself try the pending one as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.flows.logins import by_key
from agent.flows.proving import LOGINS
from agent.model.errors import UnreachedError
from agent.model.text import one_line
from agent.vault.drivers import Login, sshkey
from agent.vault.vault import CURRENT, PENDING, WHOLE, New
from agent.vault.vault import SSH_KEY as KIND

if TYPE_CHECKING:
    from agent.app import App
    from agent.model.account import Managed
    from agent.model.frames import Answer
    from agent.vault.records import Row

Ask = Callable[[Mapping[str, str]], Mapping[str, "Answer"]]
"""Runs scripts on the host as root, a key each; raises UnreachedError."""
ROTATED, KEPT, OPEN = "rotated", "kept", "open"
"""As `rotation.Ended` has them."""


@dataclass(frozen=True, slots=True)
class KeyEnd:
    """How the change of one key ended."""

    row: Row
    ended: str
    why: str = ""


@dataclass
class KeyRotation:
    """The keys of one host's accounts."""

    app: App
    ask: Ask
    watch: Callable[[str, int], None]
    _done: dict[str, KeyEnd] = field(default_factory=dict)

    def run(self, accounts: Sequence[Managed], *, settle_only: bool = False) -> dict[str, KeyEnd]:
        """Change them, or only see through what an earlier run left open; how each ended, by account.

        Raises:
            StoreError, IntegrityError: the vault cannot be written, or is not sound.
        """
        wanted = {account.id: (account, row) for account in accounts if (row := self._row(account.id, PENDING))}
        if settle_only:
            wanted = self._landed(wanted)
        else:
            wanted |= self._pended([account for account in accounts if account.id not in wanted])
        try:
            wanted = self._added(wanted)
            wanted = self._proven(wanted)
            self._swapped(wanted)
        except UnreachedError as error:  # what was asked for may have been done
            for account, row in wanted.values():
                if account.id not in self._done:
                    self._open(row, one_line(f"{error.reason}: {error.message}", 160))
        return self._done

    def _landed(self, pending: Mapping[str, tuple[Managed, Row]]) -> dict[str, tuple[Managed, Row]]:
        """Those that their host holds already; a candidate that never came there is given up."""
        answers = self._asked(pending, lambda account, row: sshkey.holds(account.user, self._public(row)))
        found = {}
        for name, (account, row) in pending.items():
            said = answers[name].text.strip()
            if said == "yes":
                found[name] = (account, row)
            elif said == "no":
                self._keep(row, "新公钥未曾写入")
            else:
                self._open(row, answers[name].errors)
        return found

    def _pended(self, accounts: Sequence[Managed]) -> dict[str, tuple[Managed, Row]]:
        new = [New(account.id, account.zone or WHOLE, sshkey.make(), KIND) for account in accounts]
        if not new:
            return {}
        self.watch("pend", len(new))
        rows = self.app.vault.pend(new)
        self.watch("pended", len(new))
        return {account.id: (account, rows[account.id]) for account in accounts}

    def _added(self, wanted: Mapping[str, tuple[Managed, Row]]) -> dict[str, tuple[Managed, Row]]:
        """Beside the old one, with the options of its line."""

        def script(account: Managed, row: Row) -> str:
            old = self._row(account.id, CURRENT)
            return sshkey.add(account.user, self._public(row), self._public(old) if old else "")

        self.watch("change", len(wanted))
        answers = self._asked(wanted, script)
        self.watch("changed", len(wanted))
        found = {}
        for name, (account, row) in wanted.items():
            if answers[name].rc == 0:
                found[name] = (account, row)
            else:
                self._keep(row, answers[name].errors or f"exit {answers[name].rc}")
        return found

    def _proven(self, wanted: Mapping[str, tuple[Managed, Row]]) -> dict[str, tuple[Managed, Row]]:
        """By a fresh login; one that does not let in is taken away again."""
        self.watch("prove", len(wanted))
        with ThreadPoolExecutor(LOGINS) as pool:
            ends = dict(zip(wanted, pool.map(self._login, wanted.values()), strict=True))
        found = {name: one for name, one in wanted.items() if ends[name][0] is Login.IN}
        refused = {name: one for name, one in wanted.items() if name not in found}
        answers = self._asked(refused, lambda account, row: sshkey.remove(account.user, [self._public(row)]))
        for name, (_, row) in refused.items():
            why = f"新密钥登录失败：{ends[name][1]}"
            if answers[name].rc == 0:
                self._keep(row, why)
            else:
                self._open(row, why)
        self.watch("proven", len(found))
        return found

    def _swapped(self, wanted: Mapping[str, tuple[Managed, Row]]) -> None:
        """Every other key that the vault ever gave the account goes; then the new one is current."""
        self.watch("finish", len(wanted))
        answers = self._asked(wanted, lambda account, row: sshkey.remove(account.user, self._others(row)))
        self.watch("finished", len(wanted))
        good = []
        for name, (_, row) in wanted.items():
            if answers[name].rc == 0:
                good.append(row)
            else:
                self._open(row, f"旧公钥未能移除：{answers[name].errors}")
        if good:
            self.app.vault.promote_all(good, why=dict.fromkeys((row.account for row in good), "ssh"))
        for row in good:
            left = int(answers[row.account].text.partition("keys ")[2].strip() or 1) - 1
            self._done[row.account] = KeyEnd(row, ROTATED, f"另有 {left} 个公钥不由口令库管理" if left > 0 else "")
        self.watch("end", len(good))

    def _login(self, one: tuple[Managed, Row]) -> tuple[Login, str]:
        account, row = one
        return by_key(self.app, account, self.app.vault.reveal(row))

    def _asked(
        self, wanted: Mapping[str, tuple[Managed, Row]], script: Callable[[Managed, Row], str]
    ) -> dict[str, Answer]:
        if not wanted:
            return {}
        answers = self.ask({f"k{number}": script(*one) for number, one in enumerate(wanted.values())})
        return {name: answers[f"k{number}"] for number, name in enumerate(wanted)}

    def _row(self, account: str, state: str) -> Row | None:
        return next((row for row in self.app.vault.versions([account]).get(account, []) if row.state == state), None)

    def _others(self, mine: Row) -> list[str]:
        """Public halves of the account's other versions, as long as their texts are kept."""
        rows = self.app.vault.versions([mine.account])[mine.account]
        return [self._public(row) for row in rows if row.version != mine.version and row.sealed]

    def _public(self, row: Row) -> str:
        return sshkey.public(self.app.vault.reveal(row))

    def _keep(self, row: Row, why: str) -> None:
        self._done[row.account] = KeyEnd(self.app.vault.void(row, one_line(why, 200)), KEPT, one_line(why, 200))

    def _open(self, row: Row, why: str) -> None:
        self.app.vault.remind(row, one_line(why, 200))
        self._done[row.account] = KeyEnd(row, OPEN, one_line(why, 200))
