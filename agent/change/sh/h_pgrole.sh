# pgrole NAME PORT: its row of pg_authid and what it is a member of. The role itself is neither made nor dropped by anybody
# here. What puts it back is kept out of the server's log. Needs postgresql.sh.
_PGROLE="SELECT 'role '||(to_jsonb(a)-'oid')::text FROM pg_authid a WHERE rolname=:'r'"
_PGMEMBER="SELECT 'member '||jsonb_build_object('g',g.rolname,'by',b.rolname,'admin',to_jsonb(m)->'admin_option','inherit',to_jsonb(m)->'inherit_option','set',to_jsonb(m)->'set_option')::text FROM pg_auth_members m JOIN pg_roles g ON g.oid=m.roleid JOIN pg_roles r ON r.oid=m.member LEFT JOIN pg_roles b ON b.oid=m.grantor WHERE r.rolname=:'r' ORDER BY 1"
h_pgrole_print() {
  pg_on "$2" || return 1
  _o=$(pg_ask postgres "$_PGROLE; $_PGMEMBER;" "r=$1") && [ -n "$_o" ] || return 1
  printf '%s\n' "$_o"
}
h_pgrole_save() { :; }
_pgjson() { sed -n "s/^$2 //p" "$1" | sed "s/'/''/g;s/^/'/;s/\$/'::jsonb/"; }
h_pgrole_restore() {
  pg_on "$3" || return 1
  _r=$(_pgjson "$1.was" role) && [ -n "$_r" ] || return 1
  _m=$(_pgjson "$1.was" member | paste -sd, -)
  { cat <<'SQL'
BEGIN;
SET LOCAL standard_conforming_strings=on; SET LOCAL log_statement='none'; SET LOCAL log_min_duration_statement=-1;
SET LOCAL log_min_error_statement='panic'; SET LOCAL log_duration=off; SET LOCAL debug_print_parse=off;
SET LOCAL lock_timeout='5s';
SQL
    printf '%s\n' "CREATE TEMP TABLE _was ON COMMIT DROP AS SELECT $_r j;" # echo would take backslashes away
    printf '%s\n' "CREATE TEMP TABLE _in ON COMMIT DROP AS SELECT unnest(ARRAY[$_m]::jsonb[]) j;"
    cat <<'SQL'
SELECT format('ALTER ROLE %I %s %s %s %s %s %s %s CONNECTION LIMIT %s', j->>'rolname',
  CASE WHEN (j->>'rolsuper')::bool THEN 'SUPERUSER' ELSE 'NOSUPERUSER' END,
  CASE WHEN (j->>'rolinherit')::bool THEN 'INHERIT' ELSE 'NOINHERIT' END,
  CASE WHEN (j->>'rolcreaterole')::bool THEN 'CREATEROLE' ELSE 'NOCREATEROLE' END,
  CASE WHEN (j->>'rolcreatedb')::bool THEN 'CREATEDB' ELSE 'NOCREATEDB' END,
  CASE WHEN (j->>'rolcanlogin')::bool THEN 'LOGIN' ELSE 'NOLOGIN' END,
  CASE WHEN (j->>'rolreplication')::bool THEN 'REPLICATION' ELSE 'NOREPLICATION' END,
  CASE WHEN (j->>'rolbypassrls')::bool THEN 'BYPASSRLS' ELSE 'NOBYPASSRLS' END, j->>'rolconnlimit') FROM _was
UNION ALL SELECT format('ALTER ROLE %I PASSWORD %L', j->>'rolname', j->>'rolpassword') FROM _was, pg_authid a
  WHERE a.rolname=j->>'rolname' AND a.rolpassword IS DISTINCT FROM j->>'rolpassword'
UNION ALL SELECT format('ALTER ROLE %I VALID UNTIL %L', j->>'rolname', j->>'rolvaliduntil') FROM _was, pg_authid a
  WHERE a.rolname=j->>'rolname' AND j->>'rolvaliduntil' IS NOT NULL AND a.rolvaliduntil IS DISTINCT FROM (j->>'rolvaliduntil')::timestamptz \gexec
-- no statement says "never" once a day was given; 'infinity' means the same and is not the same
UPDATE pg_catalog.pg_authid a SET rolvaliduntil=NULL FROM _was
  WHERE a.rolname=j->>'rolname' AND j->>'rolvaliduntil' IS NULL AND a.rolvaliduntil IS NOT NULL;
SELECT format('GRANT %I TO %I%s%s', i.j->>'g', w.j->>'rolname',
  CASE WHEN i.j->>'inherit' IS NULL THEN CASE WHEN (i.j->>'admin')::bool THEN ' WITH ADMIN OPTION' ELSE '' END
  ELSE format(' WITH ADMIN %s, INHERIT %s, SET %s', (i.j->>'admin')::bool, (i.j->>'inherit')::bool, (i.j->>'set')::bool) END,
  CASE WHEN i.j->>'by' IS NULL THEN '' ELSE format(' GRANTED BY %I', i.j->>'by') END) FROM _in i, _was w
UNION ALL SELECT format('REVOKE %I FROM %I', g.rolname, r.rolname) FROM pg_auth_members m JOIN pg_roles g ON g.oid=m.roleid
  JOIN pg_roles r ON r.oid=m.member, _was w WHERE r.rolname=w.j->>'rolname' AND g.rolname NOT IN (SELECT j->>'g' FROM _in) \gexec
COMMIT;
SQL
  } | pg_run postgres >/dev/null
}
