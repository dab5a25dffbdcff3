"""Credentials out of the vault, by account; what was not imported yet comes from the file."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from agent.model.account import SSH
from agent.model.errors import AgentError, UnreachedError
from agent.model.observation import Reason
from agent.vault.vault import CURRENT, PENDING, WHOLE, New

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from agent.model.asset import Database, Host
    from agent.model.ports import CredentialSource
    from agent.model.secret import Secret
    from agent.vault.vault import Vault


def account(target: Host | Database, purpose: str = "login") -> str:
    """`USER@TARGET`; a password for sudo that is not the login's own: `USER@TARGET#sudo`."""
    return f"{target.user}@{target.name}" + ("#sudo" if purpose == "sudo" else "")


class VaultCredentials:
    """Implements `model.ports.CredentialSource`; the vault is opened on the first password that is asked for."""

    def __init__(self, vault: Callable[[], Vault], holds: Callable[[str], bool], rest: CredentialSource) -> None:
        """Take what opens the vault, what knows an account of it without opening, and the source of the rest."""
        self._vault, self._holds, self._rest = vault, holds, rest

    def key_file(self, host: Host) -> str:
        """Path of the private key for that host; keys lie in files. Raises UnreachedError(CREDENTIAL)."""
        return self._rest.key_file(host)

    def kept_keys(self, host: Host) -> tuple[Secret, ...]:
        """The current one, and one that is on its way to become it: a change broken off leaves either on the host.

        The vault stays shut where it keeps no key for that login. Raises UnreachedError(CREDENTIAL).
        """
        name = f"{account(host)}{SSH}"
        if not self._holds(name):
            return ()
        with _told():
            vault = self._vault()
            found = {row.state: row for row in vault.versions([name]).get(name, [])}
            return tuple(vault.reveal(found[state]) for state in (CURRENT, PENDING) if state in found)

    def password(self, target: Host | Database, purpose: str) -> Secret:
        """Password for `login`, `sudo` or `database`. Raises UnreachedError(CREDENTIAL)."""
        with _told():
            vault = self._vault()
            for name in dict.fromkeys([account(target, purpose), account(target)]):
                found = vault.current(name)
                if found is not None:
                    return found
        return self._rest.password(target, purpose)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """What the vault refuses is a credential that is missing."""
    try:
        yield
    except UnreachedError:
        raise
    except AgentError as error:
        raise UnreachedError(
            Reason.CREDENTIAL, f"the vault: {error.message}", where=error.where, remedy=error.remedy
        ) from error


def bring_in(vault: Vault, held: Iterable[tuple[Host | Database, str, Secret]]) -> tuple[str, ...]:
    """Keep what a file held; the accounts that are new to the vault.

    Args:
        vault: open.
        held: (target, purpose, secret); one of sudo that equals the login's is the login's.

    Raises:
        RefusedError: this slot does not open a target's zone.
        StoreError: it cannot be written; nothing was kept.
    """
    wanted: dict[str, New] = {}
    for target, purpose, secret in sorted(held, key=lambda one: (one[0].name, one[1] == "sudo")):
        login = wanted.get(account(target))
        same = login is None or login.text == secret
        name = account(target, "login" if same else purpose)
        wanted.setdefault(name, New(name, target.zone or WHOLE, secret))
    there = vault.versions(wanted)
    new = [one for name, one in wanted.items() if name not in there]
    for zone in {one.zone for one in new}:
        vault.add_zone(zone)
    vault.adopt(new)
    return tuple(one.account for one in new)
