"""Ask or tell a host's accounts by their drivers: one script for all, in turn with any other of ours."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from agent.change.library import TXROOT, modules
from agent.flows.logins import keys_of
from agent.model.frames import Section, compose, split
from agent.model.secret import Secret
from agent.model.session import Command
from agent.vault.drivers import Change

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.app import App
    from agent.model.account import Managed
    from agent.model.frames import Answer
    from agent.model.ports import Session
    from agent.vault.drivers import Driver

SECONDS = 120.0
"""For the change of all accounts of one host."""
NOTHING = Secret("")
_TURN = 30
"""Seconds that a script waits for another one on the same host."""
_BUSY = 75
"""Exit code of a script that did nothing (EX_TEMPFAIL)."""


def change_of(app: App, account: Managed, secret: Secret = NOTHING) -> Change:
    """What a driver needs to know of an account."""
    port = next((each.port for each in app.inventory.databases if each.name == account.target), 0)
    policy = app.password_policies[account.policy]
    days = policy.max_age if account.enforce and not (account.own_login or account.service) else 0
    return Change(account, secret, port, days, keys_of(app, account))


def asked(session: Session, scripts: Mapping[str, tuple[Driver, str]], *, root: bool = True) -> dict[str, Answer]:
    """Run a section for each key, one script for all, in turn with any other of ours; answers by key.

    Args:
        session: to the host.
        scripts: by key, each with the driver whose libraries it stands on.
        root: with root's rights; else as the login user.

    Raises:
        UnreachedError: no answer, or it broke off: what was asked for may have been done.
    """
    if not scripts:
        return {}
    libraries = tuple(dict.fromkeys(name for driver, _ in scripts.values() for name in driver.libraries))
    preamble = []
    if root:
        preamble.append(
            "if [ -w /run ] && command -v flock >/dev/null; then\n"
            f"exec 9>>/run/secops-password.lock; flock -w {_TURN} 9 || exit {_BUSY}; fi"
        )
    if libraries:
        preamble.append(f"TX=none; TXROOT=$R{TXROOT}\nhandles() {{ :; }}; acts() {{ :; }}\n")
        preamble.append(modules(name.removesuffix(".sh") for name in libraries))
    nonce = secrets.token_hex(16)
    sections = [Section(key, script) for key, (_, script) in scripts.items()]
    script = compose(sections, nonce, "\n".join(preamble))
    result = session.run(Command(script, privileged=root, deadline=SECONDS))
    return dict(split(result.stdout, result.stderr, nonce))
