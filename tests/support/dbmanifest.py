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
