"""MariaDB and MySQL: the server compares hashes that are made here (mysql_native_password has no salt)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.model.secret import Secret
from agent.model.weak import Account, Ended, Tried
from agent.vault.drivers.mysql import native_hash
from agent.vault.inplace.contract import Script, Suspect, answers

if TYPE_CHECKING:
    from collections.abc import Sequence

_PATHS = ("$", "$.auth_or[0]", "$.auth_or[1]", "$.auth_or[2]")
"""Where MariaDB keeps an account's ways in: the first, and those that `OR` adds (`{}` there stands for the first)."""
_QUIET = "SET SESSION sql_log_off=1; SET SESSION long_query_time=31536000;"
"""Keeps the statement out of the general and the slow log."""
_NATIVE = frozenset({"", "mysql_native_password"})
_LOCAL = frozenset({"unix_socket", "auth_socket", "mysql_no_login", "named_pipe"})
"""Plug-ins that ask for no password."""


def _state(text: str) -> str:
    return f"IF({text}='','empty',IF(LENGTH({text})=41 AND LEFT({text},1)='*','hash','none'))"


def _listing() -> str:
    rows = []
    for path in _PATHS:
        plugin = f"IFNULL(JSON_VALUE(Priv,'{path}.plugin'),'')"
        held = f"IFNULL(JSON_VALUE(Priv,'{path}.authentication_string'),'')"
        locked = "IF(IFNULL(JSON_VALUE(Priv,'$.account_locked'),'0') IN ('1','true'),1,0)"
        where = "IFNULL(JSON_VALUE(Priv,'$.is_role'),'0') NOT IN ('1','true') AND User<>'PUBLIC'"
        if path != "$":
            where += f" AND JSON_VALUE(Priv,'{path}.plugin') IS NOT NULL"
        rows.append(
            f"SELECT CONCAT_WS(CHAR(9),'acct',HEX(User),HEX(Host),'{path}',{plugin},{_state(held)},{locked})"
            f" FROM mysql.global_priv WHERE {where}"
        )
    return " UNION ALL ".join(rows) + ";"


_USER = (
    "SELECT CONCAT_WS(CHAR(9),'acct',HEX(User),HEX(Host),'user',plugin,"
    f"{_state('authentication_string')},IF(account_locked='Y',1,0)) FROM mysql.user;"
)


def _escaped(statement: str) -> str:
    """As it stands within double quotes."""
    return statement.replace("$", "\\$")


class MySql:
    """Accounts of mysql_native_password; other plug-ins have salts that only a login could answer to."""

    libraries: tuple[str, ...] = ("mysql.sh",)

    def listing(self, port: int) -> str:
        """Names, plug-ins and states; of MariaDB from mysql.global_priv, else from mysql.user."""
        return f"""my_on {port} || {{ echo 'no root login through the socket of port {port}' >&2; exit 75; }}
case $(my_tables) in
  *global_priv*) my_ask "{_escaped(_listing())}" ;;
  *) my_ask "{_escaped(_USER)}" ;;
esac"""

    def accounts(self, target: str, kind: str, text: str) -> list[Account]:
        """One for each user and host part; several ways in are one account."""
        slots: dict[tuple[str, str], list[list[str]]] = {}
        for line in text.splitlines():
            words = line.split("\t")
            if words[0] == "acct" and len(words) == 7:  # noqa: PLR2004 - the words of the listing
                slots.setdefault((words[1], words[2]), []).append(words[3:])
        found = []
        for (user_hex, at_hex), mine in slots.items():
            try:
                user, at = (bytes.fromhex(each).decode() for each in (user_hex, at_hex))
            except ValueError:
                continue
            native = [path for path, plugin, state, _ in mine if plugin in _NATIVE and state == "hash"]
            other = [plugin for _, plugin, _, _ in mine if plugin not in _NATIVE | _LOCAL]
            open_to_all = len(mine) == 1 and mine[0][1] in _NATIVE and mine[0][2] == "empty"
            state, how = "none", "、".join(dict.fromkeys(plugin for _, plugin, _, _ in mine if plugin))
            if open_to_all:
                state = "empty"
            elif native:
                state, how = "hash", " ".join(native)
            elif other:
                state, how = "other", "、".join(other)
            found.append(Account(target, f"{user}@{at}", user, kind, state, how, mine[0][3] == "1", at=at))
        return found

    def compare(self, suspects: Sequence[Suspect], port: int, seconds: int) -> Script:
        """A statement for each account; the place of the hash in the list is the answer."""
        del seconds  # two SHA-1 a guess
        functions, calls = [], []
        for number, suspect in enumerate(suspects):
            hashes = ",".join(native_hash(Secret(guess.text)) for guess in suspect.guesses)
            user, at = (text.encode().hex().upper() for text in (suspect.account.user, suspect.account.at))
            where = f"HEX(User)='{user}' AND HEX(Host)='{at}'"
            if suspect.account.how == "user":
                found, table = "FIND_IN_SET(authentication_string,h)", "mysql.user"
            else:
                held = [f"JSON_VALUE(Priv,'{path}.authentication_string')" for path in suspect.account.how.split(" ")]
                each = ",".join(f"IFNULL(FIND_IN_SET({one},h),0)" for one in held)
                found, table = (f"GREATEST({each})" if len(held) > 1 else each), "mysql.global_priv"
            ask = (
                f"{_QUIET} SELECT CONCAT_WS(CHAR(9),'tried',{number},{found})"
                f" FROM {table},(SELECT '{hashes}' h) x WHERE {where};"
            )
            functions.append(f'_my{number}() {{ my_ask "{_escaped(ask)}"; }}')
            calls.append(f"_my{number}")
        body = "\n".join([f"my_on {port} || exit 75", *calls])
        return Script("\n".join(functions), body)

    def tried(self, suspects: Sequence[Suspect], text: str) -> list[Tried | None]:
        """`tried NUMBER PLACE`, 0 for none."""
        found: list[Tried | None] = []
        for suspect, words in zip(suspects, answers(text, len(suspects)), strict=True):
            count = len(suspect.guesses)
            if len(words) != 1 or not words[0].isdigit() or int(words[0]) > count:
                found.append(None)
            elif int(words[0]):
                found.append(Tried(Ended.WEAK, count, int(words[0]) - 1))
            else:
                found.append(Tried(Ended.CLEAN, count))
        return found
