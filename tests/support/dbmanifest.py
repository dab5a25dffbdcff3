"""What a database is, in stable words: shell for `HostUnderChange.manifest(more=...)`, run as root on its host."""

from __future__ import annotations

MARIADB = r"""
my() { mariadb --no-defaults -u root --protocol=socket --batch --raw --skip-column-names -e "$1"; }
unhash() { sed -E "s/\*[0-9A-F]{40}/hash/g"; }
my "SHOW GLOBAL VARIABLES WHERE Variable_name NOT LIKE 'gtid%'" | sed 's/^/variable /'
my "SELECT CONCAT('plugin ',PLUGIN_NAME,' ',PLUGIN_STATUS) FROM information_schema.PLUGINS ORDER BY 1"
my "SELECT CONCAT('start ',name,' ',dl) FROM mysql.plugin ORDER BY 1"
my "SELECT CONCAT('table ',table_schema,'.',table_name) FROM information_schema.tables ORDER BY 1"
my "SELECT CONCAT('account ''',User,'''@''',Host,''' ',REPLACE(Priv,s,SHA2(s,256))) FROM (SELECT User,Host,Priv,
  IFNULL(NULLIF(JSON_VALUE(Priv,'$.authentication_string'),''),'-') s FROM mysql.global_priv) x ORDER BY 1"
for t in db tables_priv columns_priv procs_priv proxies_priv roles_mapping; do
  my "SELECT * FROM mysql.$t" | sed "s/^/$t /" | sort
done
my "SELECT CONCAT('SHOW GRANTS FOR ''',REPLACE(User,'''',''''''),'''@''',REPLACE(Host,'''',''''''),'''')
  FROM mysql.global_priv
  WHERE User<>'PUBLIC' AND IFNULL(JSON_VALUE(Priv,'$.is_role'),'0') NOT IN ('1','true') ORDER BY 1" |
  while IFS= read -r q; do my "$q" </dev/null | sed "s/^/${q#SHOW }: /" | unhash; done
"""
"""Global variables, plugins, tables' names, accounts (a digest stands for the hash), grants as rows and as in force."""

POSTGRESQL = r"""
pg() {
  (cd / && printf '%s;\n' "$2" | runuser -u postgres -- psql -XqAt -w -v ON_ERROR_STOP=1 -F ' ' -d "$1" -f -)
}
pg postgres "SELECT 'setting',name,setting,source FROM pg_settings
  WHERE name NOT IN ('transaction_isolation','session_authorization','client_encoding') ORDER BY 2"
for f in "$(pg postgres 'SHOW data_directory')/postgresql.auto.conf" "$(pg postgres 'SHOW hba_file')"; do
  stat -c 'file %a %U:%G %n' "$f"; sed "s|^|${f##*/}: |" "$f"
done
pg postgres "SELECT 'role',(to_jsonb(a)-'oid'-'rolpassword')::text,md5(rolpassword) FROM pg_authid a ORDER BY rolname"
pg postgres "SELECT 'own',setrole::regrole,setdatabase,setconfig FROM pg_db_role_setting ORDER BY 2,3"
pg postgres "SELECT 'member',g.rolname,r.rolname,m.admin_option FROM pg_auth_members m
  JOIN pg_roles g ON g.oid=m.roleid JOIN pg_roles r ON r.oid=m.member ORDER BY 2,3"
pg postgres "SELECT 'hba',to_jsonb(r)::text FROM pg_hba_file_rules r ORDER BY line_number"
pg postgres "SELECT datname FROM pg_database WHERE datallowconn ORDER BY 1" | while IFS= read -r d; do
  echo "database $d"
  pg "$d" "SELECT 'schema',current_database(),nspname,(SELECT array_agg(x::text ORDER BY x::text) FROM unnest(nspacl) x)
    FROM pg_namespace WHERE nspname !~ '^pg_(toast|temp)' ORDER BY 3"
  pg "$d" "SELECT 'relation',current_database(),c.oid::regclass,
      (SELECT array_agg(x::text ORDER BY x::text) FROM unnest(relacl) x)
    FROM pg_class c JOIN pg_namespace n ON n.oid=relnamespace
    WHERE nspname NOT IN ('pg_catalog','information_schema') AND nspname !~ '^pg_toast' AND relkind<>'i' ORDER BY 3"
done
"""
"""Settings, postgresql.auto.conf and pg_hba.conf by lines, roles (a digest for the hash), memberships, ACLs."""
