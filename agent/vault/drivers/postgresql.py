"""PostgreSQL roles: a SCRAM-SHA-256 verifier made here, so that the server never sees the text, nor its log."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
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


def verifier(secret: Secret, salt: bytes = b"", iterations: int = ITERATIONS) -> str:
    """What pg_authid keeps of a password (RFC 5802, section 3; RFC 7677).

    Args:
        secret: ASCII only, so that SASLprep leaves it as it is.
        salt: 16 bytes; empty: random ones.
        iterations: of PBKDF2.
    """
    salt = salt or secrets.token_bytes(_SALT)
    salted = hashlib.pbkdf2_hmac("sha256", secret.reveal().encode("ascii"), salt, iterations)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    salt64, stored64, server64 = (base64.b64encode(part).decode() for part in (salt, stored, server))
    return f"SCRAM-SHA-256${iterations}:{salt64}${stored64}:{server64}"


class PostgreSql:
    """Roles that log in by password."""

    kind = "postgresql"
    libraries = ("postgresql.sh",)
    ways = (Way.SQL,)

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
        return f"""pg_on {change.port} || {{ echo 'no server answers on the socket of port {change.port}' >&2; exit 75; }}
_n=$(pg_ask postgres {quote(there)} {name}) || exit 75
[ "$_n" = 1 ] || {{ echo 'no such role that may log in' >&2; exit 4; }}
pg_ask postgres {quote(chr(10).join(statements))} {name} >/dev/null"""

    def which(self, change: Change, secrets: Sequence[Secret]) -> str:
        """Empty: the salt is the server's own; a login tells as well, and locks nobody out."""
        del change, secrets
        return ""

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
