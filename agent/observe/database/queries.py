"""The base queries of each engine. No statement asks for a password hash: only its kind and its length.

Statements read the system tables themselves wherever the information schema would show a login without
privilege a shorter list instead of an error: what is not seen must never look clean.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MYSQL = "mysql"
MARIADB = "mariadb"
POSTGRESQL = "postgresql"


@dataclass(frozen=True, slots=True)
class Query:
    """One base statement of the batch."""

    key: str
    """Its name in the payload, and in `DatabaseFacts.unseen` when it fails."""
    sql: str


VERSION: Mapping[str, Query] = {
    "mysql": Query("version", "SELECT VERSION(), @@version_comment"),
    "postgresql": Query("version", "SELECT version(), current_setting('server_version')"),
}
"""Asked first, since the flavour decides which of the others are asked; by kind of subject."""

_SETTINGS = Query("settings", "SHOW GLOBAL VARIABLES")
_PRIVILEGES = (
    Query("database_privileges", "SELECT user, host, db, select_priv, grant_priv, create_priv FROM mysql.db"),
    Query(
        "plugins",
        "SELECT plugin_name, plugin_status, plugin_type, plugin_version FROM information_schema.plugins"
        " WHERE plugin_status = 'ACTIVE' ORDER BY plugin_type, plugin_name",
    ),
    Query("tls", "SHOW STATUS WHERE variable_name IN ('Ssl_version','Ssl_cipher','Ssl_server_not_after')"),
    Query("schemas", "SHOW DATABASES"),
)
_GLOBAL = (
    "select_priv, insert_priv, update_priv, delete_priv, create_priv, drop_priv, reload_priv, shutdown_priv,"
    " process_priv, file_priv, grant_priv, super_priv, create_user_priv, repl_slave_priv"
)
_MARIADB = (
    _SETTINGS,
    Query(
        "accounts",
        "SELECT user, host, JSON_VALUE(priv, '$.plugin'), LENGTH(JSON_VALUE(priv, '$.authentication_string')),"
        " JSON_VALUE(priv, '$.account_locked'), JSON_VALUE(priv, '$.password_lifetime'),"
        " FROM_UNIXTIME(JSON_VALUE(priv, '$.password_last_changed')), JSON_VALUE(priv, '$.is_role')"
        " FROM mysql.global_priv ORDER BY user, host",
    ),
    Query("privileges", f"SELECT user, host, {_GLOBAL} FROM mysql.user ORDER BY user, host"),  # noqa: S608 - constants
    *_PRIVILEGES,
)
_MYSQL = (
    _SETTINGS,
    Query(
        "accounts",
        "SELECT user, host, plugin, LENGTH(authentication_string), account_locked, password_lifetime,"
        " password_last_changed, '' FROM mysql.user ORDER BY user, host",
    ),
    Query("privileges", f"SELECT user, host, {_GLOBAL} FROM mysql.user ORDER BY user, host"),  # noqa: S608 - constants
    *_PRIVILEGES,
)
_POSTGRESQL = (
    Query("settings", "SELECT name, setting, unit, source, context, pending_restart FROM pg_settings ORDER BY name"),
    Query(
        "accounts",
        "SELECT rolname, rolcanlogin, rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls,"
        " rolvaliduntil::text, rolconnlimit, CASE WHEN rolpassword IS NULL THEN 'none'"
        " WHEN rolpassword LIKE 'md5%' THEN 'md5' WHEN rolpassword LIKE 'SCRAM-SHA-256$%' THEN 'scram-sha-256'"
        " ELSE 'other' END, length(rolpassword) FROM pg_authid ORDER BY rolname",
    ),
    Query(
        "memberships",
        "SELECT m.rolname, g.rolname, a.admin_option FROM pg_auth_members a JOIN pg_roles g ON g.oid = a.roleid"
        " JOIN pg_roles m ON m.oid = a.member ORDER BY 1, 2",
    ),
    Query(
        "hba",
        "SELECT line_number, type, array_to_string(database, ','), array_to_string(user_name, ','), address, netmask,"
        " auth_method, array_to_string(options, ','), error FROM pg_hba_file_rules ORDER BY line_number",
    ),
    Query(
        "databases",
        "SELECT datname, datallowconn, datistemplate, datacl::text, datname = current_database() FROM pg_database"
        " ORDER BY datname",
    ),
    Query("extensions", "SELECT extname, extversion FROM pg_extension ORDER BY extname"),
    Query("tls", "SELECT ssl, version, cipher FROM pg_stat_ssl WHERE pid = pg_backend_pid()"),
    Query("replication", "SELECT pg_is_in_recovery(), (SELECT count(*) FROM pg_stat_replication)"),
)


def kind(engine: str) -> str:
    """The subject kind of an inventory engine, `mysql` or `postgresql`; empty for one that is not read yet."""
    return {MYSQL: "mysql", MARIADB: "mysql", POSTGRESQL: "postgresql"}.get(engine, "")


def base(flavour: str) -> tuple[Query, ...]:
    """The base queries of a flavour (`mysql`, `mariadb` or `postgresql`), the version's left out."""
    return {MYSQL: _MYSQL, MARIADB: _MARIADB, POSTGRESQL: _POSTGRESQL}[flavour]
