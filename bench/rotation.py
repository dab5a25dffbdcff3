"""A thousand accounts on 26 targets get new passwords, against the bare cost. Part of `make bench`.

Bare: the same accounts, on as many hosts at a time: chpasswd, ALTER USER or ALTER ROLE for each by one connection to
its host, then one fresh login with each (by su where sshd lets nobody in by password). Nothing is kept, sealed,
compared or judged.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shlex import quote

from agent.app import App
from agent.flows import asking, logins, proving, rotation, ways
from agent.lab.boot import enter
from agent.lab.machines import MACHINES
from agent.lab.record import Record
from agent.model.account import Managed, Way
from agent.model.ports import Session
from agent.model.secret import Secret
from agent.model.session import Command
from agent.vault.drivers import DRIVERS, Change, Login
from agent.vault.drivers.mysql import native_hash
from agent.vault.drivers.postgresql import verifier
from agent.vault.generate import generate

COUNT = 1000
DATABASE = 30
"""Accounts a database."""
SU = DRIVERS["linux"]


def accounts_for(app: App) -> list[Managed]:
    """`bench-N@HOST`, spread evenly, and DATABASE a database."""
    made = []
    for database in app.inventory.databases:
        for number in range(DATABASE):
            user = f"bench_{number}"
            made.append(Managed(f"{user}@{database.name}", user, database.name, database.engine, database.host))
    hosts = app.inventory.hosts
    for number in range(COUNT - len(made)):
        host = hosts[number % len(hosts)]
        user = f"bench-{number}"
        made.append(Managed(f"{user}@{host.name}", user, host.name, "linux", host.name, initial=True))
    return made


def scripts_of(app: App, accounts: list[Managed], *, make: bool) -> dict[str, tuple[str, str, str]]:
    """Host to (shell, MariaDB's statements, PostgreSQL's) that make the accounts or take them away."""
    found: dict[str, list[list[str]]] = {host.name: [[], [], []] for host in app.inventory.hosts}
    for one in accounts:
        if one.kind == "linux":
            word = f"useradd -M -s /bin/bash {one.user}" if make else f"userdel -f {one.user}"
            found[one.host][0].append(word)
        elif one.kind == "mariadb":
            found[one.host][1].append(f"{'CREATE OR REPLACE' if make else 'DROP'} USER {one.user}@'%';")
        else:
            found[one.host][2].append(f"{'CREATE' if make else 'DROP'} ROLE {one.user}{' LOGIN' if make else ''};")
    return {name: ("\n".join(a), "\n".join(b), "\n".join(c)) for name, (a, b, c) in found.items()}


def prepare(app: App, accounts: list[Managed], *, make: bool) -> None:
    """Make the accounts, or take them away, past the agent."""
    record = Record(app.root / "state" / "lab")
    scripts = scripts_of(app, accounts, make=make)

    def one(name: str) -> None:
        machine = next(each for each in MACHINES if each.name == name)
        shell, maria, postgres = scripts[name]
        enter(record, machine, "sh", "-c", f"{shell}\n:")
        if maria:
            enter(record, machine, "mariadb", stdin=maria)
        if postgres:
            enter(record, machine, "runuser", "-u", "postgres", "--", "psql", "-qX", stdin=postgres)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, scripts))


Given = tuple[Managed, Secret]


def told(mine: list[Given]) -> str:
    """Shell that gives the accounts of one host their passwords, as plainly as can be."""
    lines, maria, postgres = [], [], []
    for account, secret in mine:
        if account.kind == "linux":
            lines.append(f"printf '%s\\n' {quote(f'{account.user}:{secret.reveal()}')} | chpasswd")
        elif account.kind == "mariadb":
            maria.append(f"SET PASSWORD FOR {account.user}@'%' = '{native_hash(secret)}';")
        else:
            postgres.append(f"ALTER ROLE {account.user} PASSWORD '{verifier(secret)}';")
    if maria:
        lines.append(f"printf '%s\\n' {quote(chr(10).join(maria))} | mariadb")
    if postgres:
        lines.append(f"printf '%s\\n' {quote(chr(10).join(postgres))} | (cd /; runuser -u postgres -- psql -qX)")
    return "\n".join(lines) + "\n"


def by_su(session: Session, mine: list[Given]) -> None:
    """One login each, from the host itself."""
    scripts = {f"s{n}": (SU, SU.login(Change(*one), Way.SU)) for n, one in enumerate(mine)}
    answers = asking.asked(session, scripts, root=False)
    assert all(SU.logged_in(answer) is Login.IN for answer in answers.values())


def bare(app: App, accounts: list[Managed], barred: set[str]) -> float:
    """Seconds for the floor; `barred`: hosts whose sshd takes no password."""
    by_host: dict[str, list[Given]] = {}
    for account in accounts:
        by_host.setdefault(account.host, []).append((account, generate()))

    def log_in(one: Given) -> None:
        account, secret = one
        login = logins.by_ssh if account.kind == "linux" else logins.by_sql
        ended, why = login(app, account, secret)
        if ended is not Login.IN:  # pam_faillock makes its folder at the first login; of several at once one may lose
            ended, why = login(app, account, secret)
        assert ended is Login.IN, f"{account.id}: {why}"

    def host(name: str) -> None:
        mine = by_host[name]
        users = [one for one in mine if name in barred and one[0].kind == "linux"]
        with ways.fresh(app, app.inventory.host(name)) as session:
            done = session.run(Command(told(mine), privileged=True))
            assert done.rc == 0, done.stderr[-300:]
            by_su(session, users)
        with ThreadPoolExecutor(proving.LOGINS) as pool:
            list(pool.map(log_in, [one for one in mine if one not in users]))

    start = time.perf_counter()
    with ThreadPoolExecutor(rotation.WORKERS) as pool:
        list(pool.map(host, by_host))
    return time.perf_counter() - start


def ours(app: App, accounts: list[Managed]) -> tuple[float, int]:
    """Seconds of `rotate`, and how many were not proven by a login."""
    start = time.perf_counter()
    done = rotation.rotate(app, accounts, reason="bench")
    took = time.perf_counter() - start
    lost = [one for one in done if one.ended not in {rotation.Ended.ROTATED, rotation.Ended.UNPROVEN}]
    assert not lost, lost[:3]
    return took, sum(one.ended is rotation.Ended.UNPROVEN for one in done)


def main(root: Path) -> None:
    """Print the rows."""
    with tempfile.TemporaryDirectory() as place:
        os.environ["AGENT_KEYS"] = f"{place}/keys"
        folder = Path(place) / "w"
        sys.path.insert(0, str(root / "tests" / "support"))
        from workspaces import Workspace

        workspace = Workspace(folder, root)
        workspace.keys.mkdir(mode=0o700, exist_ok=True)
        subprocess.run(
            [sys.executable, "-m", "agent", "-C", str(folder), "vault", "init"],
            check=True, cwd=root, env=workspace.environment, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        app, here = workspace.app(), App(root)
        accounts = accounts_for(app)
        prepare(here, accounts, make=True)
        try:
            barred = {host.name for host in app.inventory.hosts if not _lets_in(app, accounts, host.name)}
            floor = bare(app, accounts, barred)
            took, unproven = ours(app, accounts)
            again, _ = ours(app, accounts)
            best = min(took, again)
            targets = len({each.target for each in accounts})
            print(
                f"| rotating {len(accounts):,} accounts on {targets} targets | {best:.1f} s, "
                f"bare {floor:.1f} s, {best / floor:.2f}x, {unproven} unproven | <= 2x bare |",
                flush=True,
            )
        finally:
            prepare(here, accounts, make=False)
            app.close()


def _lets_in(app: App, accounts: list[Managed], host: str) -> bool:
    """Whether sshd takes a password of its users."""
    one = next((each for each in accounts if each.host == host and each.kind == "linux"), None)
    if one is None:
        return False
    secret = generate()
    with ways.fresh(app, app.inventory.host(host)) as session:
        script = f"printf '%s\\n' {quote(f'{one.user}:{secret.reveal()}')} | chpasswd"
        session.run(Command(script, privileged=True))
    return logins.by_ssh(app, one, secret)[0] is Login.IN


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else Path.cwd())
