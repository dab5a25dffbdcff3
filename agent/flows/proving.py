"""Prove secrets by fresh logins: from here, or from the host itself by an unprivileged script."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.flows.asking import asked, change_of
from agent.flows.logins import FROM_HERE
from agent.model.account import Way
from agent.model.errors import UnreachedError
from agent.model.text import one_line
from agent.vault.drivers import DRIVERS, Login
from agent.vault.vault import PENDING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agent.app import App
    from agent.model.account import Managed
    from agent.model.frames import Answer
    from agent.model.ports import Session
    from agent.model.secret import Secret
    from agent.vault.records import Row

LOGINS = 4
"""Logins at a time to one host; sshd's own MaxStartups begins to refuse at 10."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What is known of a change after asking: by which way the secret was proven, or what stands against it."""

    way: Way = Way.NONE
    ended: Login = Login.BARRED
    why: str = ""


@dataclass(frozen=True, slots=True)
class Prover:
    """Logins with secrets of one host's accounts."""

    app: App
    session: Session
    reveal: Callable[[Row], Secret]
    masked: Callable[[str, Row], str]
    """What a target said, without the secret that it may have repeated."""

    def all(self, wanted: Mapping[str, tuple[Managed, Row]]) -> dict[str, Proof]:
        """Log in afresh with each secret; what came of it, by account."""
        by_ssh = self._lets_passwords() if any(a.kind == "linux" for a, _ in wanted.values()) else ()
        found: dict[str, Proof] = {}
        here, there = [], {}
        for name, (account, row) in wanted.items():
            first = next(iter(self._ways(account, by_ssh)), Way.NONE)
            if first in FROM_HERE:
                here.append((name, account, row, first))
            elif first not in {Way.NONE, Way.IN_PLACE, Way.PERSON}:
                there[name] = (account, row, first)
            else:
                found[name] = Proof(why="声明为不登录验证")

        def try_here(one: tuple[str, Managed, Row, Way]) -> tuple[str, Proof]:
            name, account, row, way = one
            ended, why = FROM_HERE[way](self.app, account, self.reveal(row))
            return name, Proof(way, ended, why)

        with ThreadPoolExecutor(LOGINS) as pool:
            found |= dict(pool.map(try_here, here))
        for name, account, row, way in here:  # refused the way, not the password: there may be another
            if found[name].ended is Login.BARRED and way is Way.SSH and account.verify is Way.AUTO:
                there[name] = (account, row, Way.SU)
        return found | self._there(there)

    def second_way(
        self,
        wanted: Mapping[str, tuple[Managed, Row]],
        proofs: Mapping[str, Proof],
        held_by_target: Mapping[str, str],
    ) -> dict[str, Proof]:
        """By su, where sshd refuses somebody whose password is right (AllowUsers and the like)."""
        mine = {
            name: (account, row, Way.SU)
            for name, (account, row) in wanted.items()
            if held_by_target.get(name) == PENDING and proofs[name].way is Way.SSH and account.verify is Way.AUTO
        }
        return {name: proof for name, proof in self._there(mine).items() if proof.ended is Login.IN}

    def _there(self, wanted: Mapping[str, tuple[Managed, Row, Way]]) -> dict[str, Proof]:
        """Logins from the host itself, by one unprivileged script; and one of root's that gives its rights up."""
        scripts = {}
        for number, (account, row, way) in enumerate(wanted.values()):
            driver = DRIVERS[account.kind]
            scripts[f"p{number}"] = (driver, driver.login(change_of(self.app, account, self.reveal(row)), way))
        try:
            answers: dict[str, Answer] = {}
            for root in (False, True):
                mine = {key: script for key, script in scripts.items() if script[0].login_as_root is root}
                answers |= asked(self.session, mine, root=root)
        except UnreachedError as error:
            return {name: Proof(why=one_line(error.message, 160)) for name in wanted}
        found = {}
        for number, (name, (account, row, way)) in enumerate(wanted.items()):
            answer = answers[f"p{number}"]
            found[name] = Proof(way, DRIVERS[account.kind].logged_in(answer), self.masked(answer.errors, row))
        return found

    def one(self, account: Managed, row: Row) -> Proof:
        """Log in with one secret of one account."""
        return self.all({account.id: (account, row)})[account.id]

    def _ways(self, account: Managed, by_ssh: Sequence[str]) -> list[Way]:
        """Ways to try, best first."""
        if account.verify is not Way.AUTO:
            return [account.verify]
        possible = list(DRIVERS[account.kind].ways)
        if account.kind == "linux" and ("root" if account.user == "root" else "users") not in by_ssh:
            possible.remove(Way.SSH)
        return possible

    def _lets_passwords(self) -> tuple[str, ...]:
        """Whom the host's sshd lets log in by password: `users`, `root`. An attempt that cannot work is not made."""
        script = "sshd -T 2>/dev/null || true"
        try:
            answer = asked(self.session, {"sshd": (DRIVERS["linux"], script)})["sshd"]
        except UnreachedError:
            return ()
        said = dict(line.split(" ", 1) for line in answer.text.splitlines() if " " in line)
        if not said:
            return ("users",)
        if "yes" not in {said.get("passwordauthentication"), said.get("kbdinteractiveauthentication")}:
            return ()
        return ("users", "root") if said.get("permitrootlogin") == "yes" else ("users",)
