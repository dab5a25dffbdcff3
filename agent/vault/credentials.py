"""Credentials out of the vault, by account; what was not imported yet comes from the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.model.errors import AgentError, UnreachedError
from agent.model.observation import Reason
from agent.vault.vault import WHOLE, New

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agent.model.asset import Database, Host
    from agent.model.ports import CredentialSource
    from agent.model.secret import Secret
    from agent.vault.vault import Vault


def account(target: Host | Database, purpose: str = "login") -> str:
    """`USER@TARGET`; a password for sudo that is not the login's own: `USER@TARGET#sudo`."""
    return f"{target.user}@{target.name}" + ("#sudo" if purpose == "sudo" else "")


class VaultCredentials:
    """Implements `model.ports.CredentialSource`; the vault is opened on the first password that is asked for."""

    def __init__(self, vault: Callable[[], Vault], rest: CredentialSource) -> None:
        """Take what opens the vault, and the source of keys and of what is not in it."""
        self._vault, self._rest = vault, rest

    def key_file(self, host: Host) -> str:
        """Path of the private key for that host; keys lie in files. Raises UnreachedError(CREDENTIAL)."""
        return self._rest.key_file(host)

    def password(self, target: Host | Database, purpose: str) -> Secret:
        """Password for `login`, `sudo` or `database`. Raises UnreachedError(CREDENTIAL)."""
        try:
            vault = self._vault()
            for name in dict.fromkeys([account(target, purpose), account(target)]):
                found = vault.current(name)
                if found is not None:
                    return found
        except UnreachedError:
            raise
        except AgentError as error:
            raise UnreachedError(
                Reason.CREDENTIAL, f"the vault: {error.message}", where=error.where, remedy=error.remedy
            ) from error
        return self._rest.password(target, purpose)


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
