"""MariaDB and MySQL accounts, by root through the server's own socket.

MariaDB takes the hash: its ALTER USER with a text would write the text to the general log and to the binlog. MySQL
rewrites it in every log, and keeps the old password beside the new one until the new one is proven.
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

_QUIET = "SET SESSION sql_log_off=1;"
"""Keeps the statement out of the general log."""


def native_hash(secret: Secret) -> str:
    """What mysql_native_password keeps: SHA1 of SHA1 (protocol 4.1)."""
    first = hashlib.sha1(secret.reveal().encode(), usedforsecurity=False).digest()
    return "*" + hashlib.sha1(first, usedforsecurity=False).hexdigest().upper()


def _hex(text: str) -> str:
    return text.encode().hex().upper()


def _there(change: Change) -> str:
    """Shell: `_u` and `_h` are the account's name and host part; several of one name are not guessed among."""
    user, part = _hex(change.account.user), _hex(change.account.at)
    where = f"HEX(User)='{user}'" + (f" AND HEX(Host)='{part}'" if part else "")
    ask = f"SELECT Host FROM mysql.user WHERE {where};"
    return f"""_u={quote(change.account.user.replace("'", "''"))}
my_on {change.port} || {{ echo 'no root login through the socket of port {change.port}' >&2; exit 75; }}
_h=$(my_ask {quote(ask)}) || exit 75
[ -n "$_h" ] || {{ echo 'no such account' >&2; exit 4; }}
case $_h in *[!A-Za-z0-9.%_:/-]*) echo 'several host parts, or a strange one: name it (at:)' >&2; exit 4 ;; esac"""


_NAMED = "'$_u'@'$_h'"
"""The account in a statement: quotes are doubled, and a backslash is itself."""


class _Server:
    """What both have in common."""

    libraries: tuple[str, ...] = ("mysql.sh",)
    ways: tuple[Way, ...] = (Way.SQL,)
    login_as_root = False

    def login(self, change: Change, way: Way) -> str:
        """Empty: it is tried from here."""
        del change, way
        return ""

    def logged_in(self, answer: Answer) -> Login:
        """Nothing is asked on the host."""
        del answer
        return Login.BARRED

    def sessions(self, change: Change) -> str:
        """Its connections."""
        ask = (
            "SELECT CONCAT_WS(CHAR(9),SUBSTRING_INDEX(HOST,':',1),FROM_UNIXTIME(UNIX_TIMESTAMP()-TIME),COMMAND)"
            f" FROM information_schema.PROCESSLIST WHERE HEX(USER)='{_hex(change.account.user)}';"
        )
        return f"{_there(change)}\nmy_ask {quote(ask)}"

    def end_sessions(self, change: Change) -> str:
        """Its connections; the server has no more than the name to go by, so all of that name."""
        ask = f"SELECT ID FROM information_schema.PROCESSLIST WHERE HEX(USER)='{_hex(change.account.user)}';"
        return f'{_there(change)}\nmy_ask {quote(ask)} | while read -r _c; do my_ask "KILL $_c;"; done; :'

    def lock(self, change: Change) -> str:
        """ACCOUNT LOCK."""
        return f'{_there(change)}\nmy_ask "ALTER USER {_NAMED} ACCOUNT LOCK;"'


class MariaDb(_Server):
    """MariaDB >= 10.4, accounts of mysql_native_password."""

    kind = "mariadb"

    def change(self, change: Change) -> str:
        """Set the hash; other ways in (unix_socket) stay, and so does what it may do."""
        user, digest = _hex(change.account.user), native_hash(change.secret)
        where = f"HEX(User)='{user}' AND Host='$_h'"
        plugin = (
            "SELECT CONCAT(IFNULL(JSON_VALUE(Priv,'\\$.plugin'),''),' ',JSON_EXISTS(Priv,'\\$.auth_or'))"
            f" FROM mysql.global_priv WHERE {where};"
        )
        # A server that must see a text to check it (strict_password_validation, with a plug-in that does) takes no hash
        # by ALTER USER; the row itself it does not look at.
        row = (
            f"UPDATE mysql.global_priv SET Priv=JSON_SET(Priv,'\\$.authentication_string','{digest}',"
            f"'\\$.password_last_changed',UNIX_TIMESTAMP()) WHERE {where}; FLUSH PRIVILEGES;"
        )
        alter = f"ALTER USER {_NAMED} IDENTIFIED VIA mysql_native_password USING '{digest}';"
        strict = (
            "SELECT @@strict_password_validation AND COUNT(*) FROM information_schema.PLUGINS"
            " WHERE PLUGIN_TYPE='PASSWORD VALIDATION' AND PLUGIN_STATUS='ACTIVE';"
        )
        return f"""{_there(change)}
_p=$(my_ask "{plugin}") || exit 75
case $_p in 'mysql_native_password '[01]|' 0') ;;
  *) echo "logs in by ${{_p%% *}}, not by a password that can be set as a hash" >&2; exit 4 ;; esac
case $_p in *' 0') _e=$(my_ask "{_QUIET} {alter}" 2>&1) && exit 0 ;; *) _e='ERROR 1290 (a second way in)' ;; esac
# the client prints the statement before the error; the server says 1396 of a hash that it cannot check
case $_e in *'ERROR 1396 ('*) [ "$(my_ask "{strict}")" = 1 ] && _e='ERROR 1290 (strict_password_validation)' ;; esac
case $_e in
  *'ERROR 1290 ('*|*'ERROR 1819 ('*) _e=$(my_ask "{_QUIET} {row}" 2>&1) && exit 0 ;; esac
printf '%s\\n' "$_e" | sed -n 's/^\\(ERROR [0-9]* ([0-9A-Z]*)\\).*/\\1/p' >&2; exit 1"""

    def which(self, change: Change, secrets: Sequence[Secret], said: str = "") -> str:
        """Compare the hash in the server."""
        del said
        cases = " ".join(f"WHEN '{native_hash(secret)}' THEN {place}" for place, secret in enumerate(secrets))
        ask = (
            f"{_QUIET} SELECT CASE JSON_VALUE(Priv,'\\$.authentication_string') {cases} ELSE 'none' END"
            f" FROM mysql.global_priv WHERE HEX(User)='{_hex(change.account.user)}' AND Host='$_h';"
        )
        return f'{_there(change)}\nmy_ask "{ask}"'

    def finish(self, change: Change) -> str:
        """Let it expire."""
        if not change.days:
            return ""
        ask = f"ALTER USER {_NAMED} PASSWORD EXPIRE INTERVAL {change.days} DAY;"
        return f'{_there(change)}\nmy_ask "{ask}"'


class MySql(_Server):
    """MySQL >= 8.0.14: two passwords until the new one is proven. Earlier ones have but one."""

    kind = "mysql"

    def change(self, change: Change) -> str:
        """Set it, the old one kept beside it until `finish`; done twice, nothing but the new one is left."""
        text = change.secret.reveal().replace("'", "''")
        alter = f"ALTER USER {_NAMED} IDENTIFIED BY '$_t'"
        return f"""{_there(change)}
_t={quote(text)}
_e=$(my_ask "{_QUIET} {alter} RETAIN CURRENT PASSWORD;" 2>&1) && exit 0
case $_e in *'ERROR 1064 ('*) _e=$(my_ask "{_QUIET} {alter};" 2>&1) && exit 0 ;; esac
printf '%s\\n' "$_e" | sed -n 's/^\\(ERROR [0-9]* ([0-9A-Z]*)\\).*/\\1/p' >&2; exit 1"""

    def which(self, change: Change, secrets: Sequence[Secret], said: str = "") -> str:
        """Empty: caching_sha2_password has a salt; a login tells."""
        del change, secrets, said
        return ""

    def finish(self, change: Change) -> str:
        """Drop the old one, and let it expire."""
        expire = f" ALTER USER {_NAMED} PASSWORD EXPIRE INTERVAL {change.days} DAY;" if change.days else ""
        return f"""{_there(change)}
_e=$(my_ask "ALTER USER {_NAMED} DISCARD OLD PASSWORD;{expire}" 2>&1) && exit 0
case $_e in *'ERROR 1064'*) exit 0 ;; esac
printf '%s\\n' "$_e" | sed -n 's/^\\(ERROR [0-9]* ([0-9A-Z]*)\\).*/\\1/p' >&2; exit 1"""
