"""SQL text and names, quoted as the servers' own manuals say. Nothing else in the project puts a value into SQL.

Statements for MySQL and MariaDB run under `sql_mode=NO_BACKSLASH_ESCAPES` (mysql.sh sets it), where a backslash is a
backslash and a quote is doubled. PostgreSQL's literals hold backslashes in the E form, which means the same whatever
`standard_conforming_strings` says.
"""

from __future__ import annotations


def plain(text: str) -> bool:
    """Whether a text may stand in a statement, a handle and a line: no control characters, no broken Unicode."""
    return not any(char < " " or char == "\x7f" or "\ud800" <= char <= "\udfff" for char in text)


def _refuse(text: str) -> None:
    if not plain(text):
        raise ValueError(f"control characters in {text!r}")


def my_text(text: str) -> str:
    """A literal for MySQL and MariaDB. Raises ValueError for control characters."""
    _refuse(text)
    return "'" + text.replace("'", "''") + "'"


def my_account(user: str, host: str) -> str:
    """`'u'@'h'`."""
    return f"{my_text(user)}@{my_text(host)}"


def my_name(name: str) -> str:
    """A name of a schema, in backticks."""
    _refuse(name)
    return "`" + name.replace("`", "``") + "`"


def pg_text(text: str) -> str:
    """A literal for PostgreSQL."""
    _refuse(text)
    quoted = "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
    return f" E{quoted}" if "\\" in text else quoted


def pg_name(name: str) -> str:
    """A name of a role, a schema or a relation."""
    _refuse(name)
    return '"' + name.replace('"', '""') + '"'
