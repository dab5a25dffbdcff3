"""PostgreSQL roles: a SCRAM-SHA-256 verifier made here, so that the server never sees the text, nor its log."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import unicodedata
from shlex import quote
from typing import TYPE_CHECKING

from agent.model.account import Way
from agent.vault.drivers.contract import Change, Login

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.model.frames import Answer
    from agent.model.secret import Secret

ITERATIONS = 4096
"""As the server's own (scram_iterations)."""
_SALT = 16


def _prepared(secret: Secret) -> bytes:
    return unicodedata.normalize("NFKC", secret.reveal()).encode()


def verifier(secret: Secret, salt: bytes = b"", iterations: int = ITERATIONS) -> str:
    """What pg_authid keeps of a password (RFC 5802, section 3; RFC 7677).

    Args:
        secret: the password; SASLprep (RFC 4013) is NFKC here, which is the same for what people type.
        salt: 16 bytes; empty: random ones.
        iterations: of PBKDF2.
    """
    salt = salt or secrets.token_bytes(_SALT)
    salted = hashlib.pbkdf2_hmac("sha256", _prepared(secret), salt, iterations)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    salt64, stored64, server64 = (base64.b64encode(part).decode() for part in (salt, stored, server))
    return f"SCRAM-SHA-256${iterations}:{salt64}${stored64}:{server64}"


def _kept(secret: Secret, user: str, said: str) -> str:
    """What the server would keep of it, with the salt that it said. Raises ValueError for an answer of another form."""
    if said == "md5":
        return "md5" + hashlib.md5((secret.reveal() + user).encode(), usedforsecurity=False).hexdigest()
    iterations, salt = said.split(":")
    return verifier(secret, base64.b64decode(salt, validate=True), int(iterations))


class PostgreSql:
    """Roles that log in by password."""

    kind = "postgresql"
    libraries: tuple[str, ...] = ("postgresql.sh",)
    ways: tuple[Way, ...] = (Way.SQL,)
    login_as_root = False

    def change(self, change: Change) -> str:
        """Set it, and the day on which it ends: one that has ended already would keep the new one from logging in."""
        name = quote(f"r={change.account.user}")
        until = f"SELECT format('ALTER ROLE %I VALID UNTIL %L', :'r', now() + interval '{change.days} days') \\gexec"
        statements = [
            "BEGIN;",
            "SET LOCAL lock_timeout='5s'; SET LOCAL log_statement='none'; SET LOCAL log_min_duration_statement=-1;",
            "SET LOCAL log_min_error_statement='panic'; SET LOCAL log_duration=off;",
            f"SELECT format('ALTER ROLE %I PASSWORD %L', :'r', '{verifier(change.secret)}') \\gexec",
            *([until] if change.days else []),
            "COMMIT;",
        ]
        there = "SELECT count(*) FROM pg_roles WHERE rolname=:'r' AND rolcanlogin;"
        return f"""pg_on {change.port} || {{ echo 'no server answers on port {change.port}' >&2; exit 75; }}
_n=$(pg_ask postgres {quote(there)} {name}) || exit 75
[ "$_n" = 1 ] || {{ echo 'no such role that may log in' >&2; exit 4; }}
pg_ask postgres {quote(chr(10).join(statements))} {name} >/dev/null"""

    def which(self, change: Change, secrets: Sequence[Secret], said: str = "") -> str:
        """Have the server say the salt, then compare there: no verifier leaves it."""
        if not said:
            ask = (
                "SELECT CASE WHEN rolpassword LIKE 'SCRAM-SHA-256$%' THEN 'ask '||split_part(rolpassword,'$',2)"
                " WHEN rolpassword LIKE 'md5%' THEN 'ask md5' ELSE 'none' END FROM pg_authid WHERE rolname=:'r';"
            )
            return self._asked(change, ask)
        kept = [_kept(secret, change.account.user, said) for secret in secrets]
        cases = " ".join(f"WHEN '{text}' THEN '{place}'" for place, text in enumerate(kept))
        ask = f"SELECT CASE rolpassword {cases} ELSE 'none' END FROM pg_authid WHERE rolname=:'r';"
        return self._asked(change, f"SET log_statement='none'; SET log_min_error_statement='panic'; {ask}")

    def _asked(self, change: Change, ask: str) -> str:
        name = quote(f"r={change.account.user}")
        return f"pg_on {change.port} || exit 75\n_o=$(pg_ask postgres {quote(ask)} {name}) && printf '%s\\n' \"$_o\""

    def login(self, change: Change, way: Way) -> str:
        """Empty: it is tried from here."""
        del change, way
        return ""

    def logged_in(self, answer: Answer) -> Login:
        """Nothing is asked on the host."""
        del answer
        return Login.BARRED

    def finish(self, change: Change) -> str:
        """Nothing: the day came with the change."""
        del change
        return ""

    def sessions(self, change: Change) -> str:
        """Its backends."""
        ask = (
            "SELECT coalesce(host(client_addr),'local')||E'\\t'||backend_start||E'\\t'||coalesce(application_name,'')"
            " FROM pg_stat_activity WHERE usename=:'r' AND pid<>pg_backend_pid();"
        )
        return self._asked(change, ask)

    def end_sessions(self, change: Change) -> str:
        """Its backends."""
        ask = (
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE usename=:'r' AND pid<>pg_backend_pid();"
        )
        return self._asked(change, ask)

    def lock(self, change: Change) -> str:
        """NOLOGIN."""
        return self._asked(change, "SELECT format('ALTER ROLE %I NOLOGIN', :'r') \\gexec")
