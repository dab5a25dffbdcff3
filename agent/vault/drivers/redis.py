"""Redis: the default user's requirepass and ACL users, by root on the server's own host; nothing is restarted.

The server gets a hash where it takes one (ACL SETUSER). `requirepass` it keeps as text, in its file: that line is its
own record, and the one place outside the vault where the text stands. The file is written first and by one rename, then
the running server is told; where that fails the file is put back.
"""

from __future__ import annotations

import hashlib
from shlex import quote
from typing import TYPE_CHECKING

from agent.model.account import Way
from agent.vault.drivers.contract import Change, Login

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.model.frames import Answer
    from agent.model.secret import Secret

PORT = 6379
"""IANA's; another one is the account's `at`."""
_DEFAULT = "default"
_NONE = "it has no password, and none is to be given (initial: true)"
_COPIED = "replicas or sentinels log in with it: write in the account's plan how they get the new one"
_WRONG = ("WRONGPASS", "ERR invalid password", "ERR Client sent AUTH, but no password", "ERR AUTH <password> called")
"""What Redis 2 to 8 says to a password that is not the user's (acl.c: authCommand)."""


def _word(text: str) -> str:
    """A word as redis-cli reads it (sds.c: sdssplitargs)."""
    return '"' + "".join(f"\\x{byte:02x}" for byte in text.encode()) + '"'


def sha256(secret: Secret) -> str:
    """What Redis keeps of a user's password (acl.c: ACLHashPassword)."""
    return hashlib.sha256(secret.reveal().encode()).hexdigest()


def _auth(user: str, secret: Secret) -> str:
    """A server before 6.0 takes but one word, and later ones take it for the default user."""
    return f"AUTH {_word(secret.reveal())}" if user == _DEFAULT else f"AUTH {_word(user)} {_word(secret.reveal())}"


class Redis:
    """Redis >= 3.2 with requirepass; from 6.0 on also its ACL users. One with ports by its command line is refused."""

    kind = "redis"
    libraries: tuple[str, ...] = ("splice.sh", "mw.sh", "redis.sh", "redispass.sh")
    ways: tuple[Way, ...] = (Way.SERVICE, Way.IN_PLACE)
    login_as_root = True

    def _in(self, change: Change, *more: tuple[str, Secret]) -> str:
        keys = " ".join(quote(_auth(*each)) for each in (*more, *change.admins))
        return f"rp_on {change.account.at or PORT} || exit 75\nrp_in {keys} || exit 75\n"

    def change(self, change: Change) -> str:
        """Set it, in the file and in the server that runs; rules, flags and masterauth of a master go along."""
        user, default = quote(change.account.user), change.account.user == _DEFAULT
        text, own = (change.secret.reveal(), [(_DEFAULT, change.secret)]) if default else ("", [])
        none = "" if change.account.initial else f"if rp_open {user}; then echo {quote(_NONE)} >&2; exit 4; fi\n"
        copied = "" if change.account.plan else f"if rp_copied {user}; then echo {quote(_COPIED)} >&2; exit 4; fi\n"
        return (
            f"{self._in(change, *own)}rp_there {user} || exit 4\n{none}{copied}"
            f"rp_set {user} {quote(text)} {sha256(change.secret)} || exit 4"
        )

    def which(self, change: Change, secrets: Sequence[Secret], said: str = "") -> str:
        """Compare SHA-256 in place. One that the file and the running server do not both hold is none of ours."""
        del said
        user = quote(change.account.user)
        tries = "".join(
            f"rp_both {sha256(secret)} && {{ echo {place}; exit 0; }}\n" for place, secret in enumerate(secrets)
        )
        return (
            f"{self._in(change)}rp_there {user} || exit 4\nrp_record {user}\n_a=$(rp_hashes {user})\n"
            f"_b=$(rp_filed)\n[ $_rk != none ] || _b=$_a\nif rp_open {user}; then _a=; fi\n{tries}echo none"
        )

    def login(self, change: Change, way: Way) -> str:
        """AUTH over a new connection, as an unprivileged user of the host."""
        if way is not Way.SERVICE:
            return ""
        return (
            f"rp_on {change.account.at or PORT} || exit 75\nrp_client; _rpl=$_low\n"
            f"rp_raw {quote(_auth(change.account.user, change.secret))} | head -n 1"
        )

    def logged_in(self, answer: Answer) -> Login:
        """OK, or what the server says of a wrong one."""
        said = answer.text.strip()
        if said == "OK":
            return Login.IN
        return Login.REJECTED if said.startswith(_WRONG) else Login.BARRED

    def finish(self, change: Change) -> str:
        """Nothing: Redis knows no expiry."""
        del change
        return ""

    def sessions(self, change: Change) -> str:
        """Its connections, our own left out."""
        return f"{self._in(change)}rp_sessions {quote(change.account.user)}"

    def end_sessions(self, change: Change) -> str:
        """Its connections; those of its replicas, too, where they log in with it."""
        return f"{self._in(change)}rp_end {quote(change.account.user)}"

    def lock(self, change: Change) -> str:
        """`off`, in the server and in its file; connections that stand are not ended by it."""
        user = quote(change.account.user)
        return f"{self._in(change)}rp_there {user} || exit 4\nrp_lock {user}"
