"""What every kind of target does for a rotation. `tests/vault/drivers` holds each driver to it.

A driver composes scripts for the target's host, where they run as root; it opens no connection and reads no clock.
Secrets stand in the script alone, which travels on standard input: never in a program's arguments or environment,
never in a file that is not the target's own record. Where the target takes a hash, the script holds the hash.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.model.account import Managed, Way
    from agent.model.frames import Answer
    from agent.model.secret import Secret


@dataclass(frozen=True, slots=True)
class Change:
    """An account and a secret for it."""

    account: Managed
    secret: Secret
    port: int = 0
    """Of the database; 0: the kind has none."""
    days: int = 0
    """Days after which the target lets it expire; 0: it is not told."""
    admins: tuple[tuple[str, Secret], ...] = ()
    """(user, secret), tried in turn by root where the target lets nobody in for being root (Redis)."""


class Landed(StrEnum):
    """What a target says of a change."""

    YES = "yes"
    NO = "no"
    """Refused, and nothing was changed."""
    UNKNOWN = "unknown"


class Login(StrEnum):
    """How a login ended."""

    IN = "in"
    REJECTED = "rejected"
    """The secret is not the account's."""
    BARRED = "barred"
    """It says nothing of the secret: locked, expired, not allowed here, no answer."""


class Driver(Protocol):
    """One kind of target."""

    kind: str
    """As in `model.account.KINDS`; the key of `generate.CHARACTERS`."""
    libraries: tuple[str, ...]
    """Modules of the change column's shell that the scripts stand on."""
    ways: tuple[Way, ...]
    """How a login can be tried, best first."""
    login_as_root: bool
    """Whether `login` needs root's eyes to find the service; it gives the rights up before it logs in (`$_low`)."""

    def change(self, change: Change) -> str:
        """Shell that gives the account the secret, and nothing else; doing it twice does no harm.

        It may be begun and its end never be heard of. Exit codes: 0 it landed, 75 nothing was done (try again),
        anything else nothing was done, with the reason on standard error.
        """
        ...

    def which(self, change: Change, secrets: Sequence[Secret], said: str = "") -> str:
        """Shell that prints the place of the secret that the target's own record holds, or `none`, and counts no login.

        It may print `ask TEXT` instead (a salt): then it is composed once more, with the text as `said`. Empty where
        the target cannot tell; then logins tell. Exit code other than 0: it could not be read.
        """
        ...

    def login(self, change: Change, way: Way) -> str:
        """Shell, on the host: one fresh login with the secret, unprivileged. Empty: tried from here (ssh, sql)."""
        ...

    def logged_in(self, answer: Answer) -> Login:
        """What `login` answered."""
        ...

    def finish(self, change: Change) -> str:
        """Shell that follows once the new secret is proven: expiry, the old one dropped. Empty: nothing follows.

        Doing it twice does no harm.
        """
        ...

    def sessions(self, change: Change) -> str:
        """Shell that prints a line `FROM<tab>SINCE<tab>WHAT` for every live session of the account; changes nothing."""
        ...

    def end_sessions(self, change: Change) -> str:
        """Shell that ends the account's live sessions, and no other's. Doing it twice does no harm."""
        ...

    def lock(self, change: Change) -> str:
        """Shell that keeps everybody from logging in with the account, by whatever means, until a person opens it."""
        ...
