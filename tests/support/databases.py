"""Databases under change: items of shipped controls, the manifest of what a database is, and a control's own word."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from shlex import quote

from hardening import HostUnderChange

from agent.app import App
from agent.change.library import modules
from agent.flows.planning import filled
from agent.judge.controls import judge
from agent.model.change import Item, Risk
from agent.model.control import Outcome
from agent.observe.database import collect, facts

ROOT = Path(__file__).parents[2]
_HEAD = "TX=none; TXROOT=/nonexistent\nhandles() { :; }; acts() { :; }\n"
_MYSQL = r"""
my_on %s || { echo 'no login'; exit 1; }
my_ask "SHOW GLOBAL VARIABLES;" | grep -vE '^(gtid_|innodb_buffer_pool_load|timestamp|last_|rand_|pseudo_|error_count|warning_count|identity|insert_id)' | sed 's/^/variable	/'
my_ask "SELECT CONCAT_WS(CHAR(9),'plugin',PLUGIN_NAME,PLUGIN_STATUS) FROM information_schema.PLUGINS ORDER BY 1;"
my_ask "SELECT CONCAT_WS(CHAR(9),'table',table_schema,table_name) FROM information_schema.tables WHERE table_schema='mysql' ORDER BY 1;"
my_ask "SELECT CONCAT_WS(CHAR(9),HEX(User),HEX(Host)) FROM mysql.user;" | sort | while IFS='	' read -r u h; do
  my_rows "$u" "$h" | sed "s/^/account $u@$h /"
done
for w in "CREATE USER" "GRANTS"; do
  my_ask "SELECT CONCAT('SHOW $w FOR ',QUOTE(User),'@',QUOTE(Host),';') FROM mysql.user WHERE Host<>'';" | sed "s/\\\\\\\\/\\\\/g;s/\\\\'/''/g" | my_sql 2>&1 | sort
done
"""
_POSTGRESQL = r"""
pg_on %s || { echo 'no login'; exit 1; }
pg_ask postgres "SELECT 'setting',name,setting,COALESCE(boot_val,''),source FROM pg_settings WHERE name NOT IN ('transaction_isolation','session_authorization','client_encoding') ORDER BY 2;"
sed 's/^/auto	/' "$_pgdata/postgresql.auto.conf"
pg_ask postgres "SELECT 'role',(to_jsonb(a)-'oid')::text FROM pg_authid a ORDER BY rolname;"
pg_ask postgres "SELECT 'member',g.rolname,r.rolname,m.admin_option FROM pg_auth_members m JOIN pg_roles g ON g.oid=m.roleid JOIN pg_roles r ON r.oid=m.member ORDER BY 2,3;"
pg_ask postgres "SELECT 'hba',* FROM pg_hba_file_rules ORDER BY line_number;"
pg_ask postgres "SELECT datname FROM pg_database WHERE datallowconn ORDER BY 1;" | while read -r d; do
  pg_ask "$d" "SELECT 'schema',current_database(),nspname,(SELECT array_agg(x::text ORDER BY x::text) FROM unnest(nspacl) x) FROM pg_namespace WHERE nspname !~ '^pg_(toast|temp)' ORDER BY 3;"
  pg_ask "$d" "SELECT 'relation',current_database(),c.oid::regclass,(SELECT array_agg(x::text ORDER BY x::text) FROM unnest(relacl) x) FROM pg_class c JOIN pg_namespace n ON n.oid=relnamespace WHERE nspname NOT IN ('pg_catalog','information_schema') AND nspname !~ '^pg_toast' AND relkind<>'i' ORDER BY 3;"
done
"""


def manifest(engine: str, port: int = 0) -> str:
    """Shell that prints, in stable words, what a database is: variables or settings, accounts, grants, rules.

    DB_MANIFEST of a whole round: give it to `HostUnderChange.manifest`. Passwords appear as the hashes that the server
    keeps: the output stays in the tests.
    """
    postgres = engine == "postgresql"
    library = modules(["postgresql" if postgres else "mysql"])
    body = (_POSTGRESQL if postgres else _MYSQL) % quote(str(port or (5432 if postgres else 3306)))
    return f"(\n{_HEAD}{library}\n{body}\n)"


class DatabaseUnderChange(HostUnderChange):
    """A database of the lab, with its host."""

    def __init__(self, workspace: Path, host: str, *, ttl: int = 60) -> None:
        super().__init__(workspace, host, ttl=ttl)
        [self.database] = [each for each in self.app.inventory.databases if each.host == host]
        self.controls = {control.id: control for control in App(folder=ROOT).controls}
        self.more = manifest(self.database.engine, self.database.port)

    def item(self, control_id: str, **options: object) -> Item:
        """The item that planning makes of a shipped control's fix."""
        control = self.controls[control_id]
        fix = filled(dict(control.fix), {"db_networks": ["10.66.0.0/24"]})
        known = {"restart": False, "keep": ["scan"], "networks": ["10.66.0.0/24"]}
        rest = {key: value for key, value in fix.items() if key not in {"resource", "want"}}
        target = self.database
        return Item(
            f"i.{control_id}",
            fix["resource"],
            fix.get("want"),
            options=known | rest | options,
            target=target.name,
            control=control_id,
            risk=tuple(Risk(each) for each in control.risk),
            subject={
                "engine": target.engine,
                "port": str(target.port),
                "dbname": target.dbname,
                "account": target.user,
                "address": target.address,
            },
        )

    def outcome(self, *control_ids: str) -> dict[str, Outcome]:
        """What the controls' own checks say, read over the scan's own session."""
        controls = [self.controls[each] for each in control_ids]
        with closing(App(folder=self.app.root)) as app, closing(app.sessions.open_sql(self.database, 20)) as session:
            found = facts(self.database.name, collect(session, self.database.engine, controls))
        return {verdict.control: verdict.outcome for verdict in judge(found.subject, controls)}

    def sql(self, *statements: str, db: str = "postgres") -> str:
        """Run statements as the server's own superuser, from its host."""
        postgres = self.database.engine == "postgresql"
        library = modules(["postgresql" if postgres else "mysql"])
        words = " ".join(quote(each) for each in statements)
        port = self.database.port
        call = (
            f'pg_on {port} && for s in {words}; do pg_ask {quote(db)} "$s" || exit 1; done'
            if postgres
            else f"my_do {port} {words}"
        )
        return self.root(f"{_HEAD}{library}\n{call}")
