"""PostgreSQL: the salt and its iterations are asked, keys are made here, the server compares them."""

from __future__ import annotations

import base64
import hashlib
import time
from shlex import quote
from typing import TYPE_CHECKING

from agent.model.secret import Secret
from agent.model.weak import Account, Ended, Tried
from agent.vault.drivers.postgresql import verifier
from agent.vault.inplace.contract import Script, Suspect, answers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_MOST_ITERATIONS = 1_000_000
_QUIET = (
    "SET log_statement='none'; SET log_min_duration_statement=-1; SET log_duration=off;"
    " SET log_min_error_statement='panic';"
)
_LIST = (
    "SELECT 'acct',encode(convert_to(rolname,'UTF8'),'hex'),CASE WHEN rolcanlogin THEN 0 ELSE 1 END,"
    "CASE WHEN rolpassword LIKE 'SCRAM-SHA-256$%' THEN split_part(rolpassword,'$',2)"
    " WHEN rolpassword LIKE 'md5%' THEN 'md5' WHEN rolpassword IS NULL THEN 'none' ELSE 'other' END FROM pg_authid;"
)


def _kept(suspect: Suspect, until: float) -> Iterator[str]:
    """What the server would keep of each guess (of SCRAM the StoredKey alone), until the processor's time is over."""
    how, user = suspect.account.how, suspect.account.user
    iterations, _, salt64 = how.partition(":")
    salt = base64.b64decode(salt64) if salt64 else b""
    for guess in suspect.guesses:
        if time.thread_time() > until:
            return
        if how == "md5":
            yield "md5" + hashlib.md5((guess.text + user).encode(), usedforsecurity=False).hexdigest()
        else:
            yield verifier(Secret(guess.text), salt, int(iterations)).split("$")[2].partition(":")[0]


def _known(how: str) -> bool:
    """Whether it is a record that we can make."""
    iterations, _, salt = how.partition(":")
    try:
        return how == "md5" or (0 < int(iterations) <= _MOST_ITERATIONS and bool(base64.b64decode(salt, validate=True)))
    except ValueError:
        return False


class PostgreSql:
    """Roles with a password, those that may not log in too."""

    libraries: tuple[str, ...] = ("postgresql.sh",)

    def listing(self, port: int) -> str:
        """Names, whether they may log in, salts."""
        return f"pg_on {port} || {{ echo 'no server answers on port {port}' >&2; exit 75; }}\npg_ask postgres {quote(_LIST)}"

    def accounts(self, target: str, kind: str, text: str) -> list[Account]:
        """One a line."""
        found = []
        for line in text.splitlines():
            words = line.split("\t")
            if words[0] != "acct" or len(words) != 4:  # noqa: PLR2004 - the words of the listing
                continue
            try:
                name = bytes.fromhex(words[1]).decode()
            except ValueError:
                continue
            state = "none" if words[3] == "none" else "hash" if _known(words[3]) else "other"
            how = words[3] if state == "hash" else "" if state == "none" else "不认识的口令记录"
            found.append(Account(target, name, name, kind, state, how, words[2] == "1"))
        return found

    def compare(self, suspects: Sequence[Suspect], port: int, seconds: int) -> Script:
        """A statement for each role, with as many keys as its share of the time allows."""
        functions, calls = [], []
        share = seconds / max(len(suspects), 1)
        for number, suspect in enumerate(suspects):
            kept = list(_kept(suspect, time.thread_time() + share))
            part = "rolpassword" if suspect.account.how == "md5" else "split_part(split_part(rolpassword,'$',3),':',1)"
            name = suspect.account.user.encode().hex()
            ask = (
                f"{_QUIET} SELECT 'tried',{number},{len(kept)},"
                f"coalesce(array_position(string_to_array('{','.join(kept)}',','),{part}),0)"
                f" FROM pg_authid WHERE rolname=convert_from(decode('{name}','hex'),'UTF8');"
            )
            functions.append(f"_pg{number}() {{ pg_ask postgres {quote(ask)}; }}")
            calls.append(f"_pg{number}")
        body = "\n".join([f"pg_on {port} || exit 75", *calls])
        return Script("\n".join(functions), body)

    def tried(self, suspects: Sequence[Suspect], text: str) -> list[Tried | None]:
        """`tried NUMBER COUNT PLACE`, 0 for none."""
        found: list[Tried | None] = []
        for suspect, words in zip(suspects, answers(text, len(suspects)), strict=True):
            if len(words) != 2 or not all(word.isdigit() for word in words):  # noqa: PLR2004 - count and place
                found.append(None)
                continue
            count, place = int(words[0]), int(words[1])
            if count > len(suspect.guesses) or place > count:
                found.append(None)
            elif place:
                found.append(Tried(Ended.WEAK, count, place - 1))
            else:
                found.append(Tried(Ended.CLEAN if count == len(suspect.guesses) else Ended.CUT, count))
        return found
