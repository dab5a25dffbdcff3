# postgresql.sh: PostgreSQL from its own host, as the owner of its processes, through its own socket; no password is sent.
# pg_on PORT finds the server: _pgd socket folder, _pgw owner, _pgp process, _pgdata data folder, _pgc client.
pg_on() { # PORT. 1: no such server runs here
  for _pgs in $(awk -v p="/.s.PGSQL.$1" '$6=="01"&&$8~/^\//&&substr($8,length($8)-length(p)+1)==p{print $8}' "$R/proc/net/unix" 2>/dev/null); do
    [ -r "$_pgs.lock" ] || continue
    _pgp=$(sed -n 1p "$_pgs.lock"); _pgdata=$(sed -n 2p "$_pgs.lock"); _pgd=${_pgs%/*}
    kill -0 "$_pgp" 2>/dev/null || continue
    _pgw=$(stat -c %U "$_pgdata") && [ "$_pgw" != UNKNOWN ] || continue
    _pgc=$(readlink "/proc/$_pgp/exe"); _pgc=${_pgc% (deleted)}; _pgc=${_pgc%/*}/psql
    [ -x "$_pgc" ] || _pgc=$(command -v psql) || return 1
    return 0
  done
  return 1
}

pg_run() { # DB ARG...: psql as we log in; statements on standard input
  _pgdb=$1; shift
  (cd / && unset PGHOST PGUSER PGPORT PGDATABASE PGOPTIONS PGSERVICE PGPASSFILE PGSSLMODE
    PGCLIENTENCODING=UTF8; PGCONNECT_TIMEOUT=10; export PGCLIENTENCODING PGCONNECT_TIMEOUT
    if command -v runuser >/dev/null; then set -- runuser -u "$_pgw" -- "$_pgc" "$@"; else set -- setpriv --reuid="$_pgw" --regid="$_pgw" --init-groups "$_pgc" "$@"; fi
    exec timeout -k 5 60 "$@" -X -q -A -t -w -v ON_ERROR_STOP=1 -F '	' -h "$_pgd" -p "${_pgs##*.}" -d "$_pgdb" -f -)
}
pg_ask() { # DB STATEMENT [NAME=VALUE...]: a value is used as :'NAME'
  _pgq=$2; _pgdb=$1; shift 2
  _pgv=$#; while [ "$_pgv" -gt 0 ]; do set -- "$@" -v "$1"; shift; _pgv=$((_pgv - 1)); done
  printf '%s\n' "$_pgq" | pg_run "$_pgdb" "$@"
}
pg_do() { # PORT DB STATEMENT...: as one transaction, unless there is but one; waits 5 s for a lock at most
  pg_on "$1" || { echo "no server answers on the socket of port $1" >&2; return 1; }
  _pgdb=$2; shift 2
  if [ $# -eq 1 ]; then printf '%s\n' "SET lock_timeout='5s';" "$1"; else printf '%s\n' 'BEGIN;' "SET LOCAL lock_timeout='5s';" "$@" 'COMMIT;'; fi | pg_run "$_pgdb"
}
pg_unit() { sed -n 's#.*/\([^/]*\.service\)$#\1#p' "$R/proc/$1/cgroup" 2>/dev/null | sed -n 1p; } # PID

pg_look() { # PORT DB: who we are and where the server's things are (tabs between)
  pg_on "$1" || { echo down; return 1; }
  pg_ask postgres "SELECT 'up',current_setting('server_version_num'),session_user,pg_is_in_recovery(),current_setting('is_superuser'),encode(convert_to(current_setting('hba_file'),'UTF8'),'hex');" || { echo refused; return 1; }
  printf 'unit\t%s\n' "$(pg_unit "$_pgp")"
  printf 'data\t%s\n' "$_pgdata"
  # what a restart must find: libraries are looked up where this server does it
  pg_ask postgres "SELECT 'libdir',setting FROM pg_config WHERE name='PKGLIBDIR';"
}

pg_tell() { # NAME...: `set NAME setting unit context source vartype`, all that could hold a tab or a line's end in hexadecimal
  for _pgn in "$@"; do
    pg_ask postgres "SELECT 'set',name,encode(convert_to(setting,'UTF8'),'hex'),COALESCE(unit,''),context,source,vartype,pending_restart FROM pg_settings WHERE lower(name)=lower(:'n');" "n=$_pgn" || return 2
    printf 'auto\t%s\t%s\n' "$_pgn" "$(pg_auto "$_pgn" <"$_pgdata/postgresql.auto.conf")"
  done
}
pg_libs() { # PORT NAME...: which libraries lie where this server looks
  pg_on "$1" || return 1; shift
  _pgl=$(pg_ask postgres "SELECT setting FROM pg_config WHERE name='PKGLIBDIR';")
  for _pgn in "$@"; do if [ -e "$_pgl/$_pgn.so" ]; then printf 'lib\t%s\n' "$_pgn"; fi; done; :
}

# --- postgresql.auto.conf: a name stands on one line (ALTER SYSTEM takes no line's end) ----------------------------------
_PGLINE='function key(l){sub(/^[ \t]+/,"",l);sub(/[ \t=].*/,"",l);return tolower(l)}'
pg_auto() { N=$1 awk "$_PGLINE"'key($0)==tolower(ENVIRON["N"])'; } # NAME: its line
pg_lines() { grep -vE '^[ 	]*(#|$)' "$1" | sort; }
pg_putback() { # NAME KEPT FILE: NAME's line becomes the one of KEPT; when nothing else differs, every byte does
  { N=$1 awk "$_PGLINE"'key($0)!=tolower(ENVIRON["N"])' "$3"; pg_auto "$1" <"$2"; } | e_put "$3" || return 1
  if [ "$(pg_lines "$2")" = "$(pg_lines "$3")" ]; then e_put "$3" <"$2"; fi
}

# --- pg_hba.conf ----------------------------------------------------------------------------------------------------------
pg_rules() { # every rule as the server reads it from the disk now, text in hexadecimal; then the lines of its files
  pg_ask postgres "SELECT 'rule',encode(convert_to(COALESCE(j->>'file_name',current_setting('hba_file')),'UTF8'),'hex'),line_number,COALESCE(type,''),encode(convert_to(COALESCE(array_to_json(database)::text,'[]'),'UTF8'),'hex'),encode(convert_to(COALESCE(array_to_json(user_name)::text,'[]'),'UTF8'),'hex'),COALESCE(address,''),COALESCE(netmask,''),COALESCE(auth_method,''),CASE WHEN error IS NULL THEN '' ELSE 'error' END FROM (SELECT r.*,to_jsonb(r) j FROM pg_hba_file_rules r) x;" || return 2
  pg_ask postgres "SELECT DISTINCT COALESCE(to_jsonb(r)->>'file_name',current_setting('hba_file')) FROM pg_hba_file_rules r;" | while read -r _pgf; do
    _pgf=$(readlink -f "$_pgf"); printf 'file\t%s\n' "$_pgf"
    awk '{n=NR;l=$0;if(l~/(passwd|secret)[a-z]*[ \t]*=/)l="";gsub(/\r/,"",l);print "line\t" n "\t" l}' "$_pgf"
  done
}
pg_swap() { # FILE OLD NEW...: the line OLD is commented out, NEW stand in its place, each under its origin
  _pgf=$1; _pgo=$2; shift 2
  grep -qxF -- "$_pgo" "$_pgf" || { echo "$_pgf: the line is not there any more" >&2; return 1; }
  _pgt=$(O=$_pgo N=$(printf '%s\n' "$@") awk '
    {hit=($0==ENVIRON["O"]);was=(prev~/^# secops was: /)?prev:""
     if(hit){if(was==""){was="# secops was: " $0;print was};c=split(ENVIRON["N"],new,"\n");for(i=1;i<=c;i++){if(i>1)print was;print new[i]}}else print
     prev=$0}' "$_pgf") && printf '%s\n' "$_pgt" | e_put "$_pgf"
}
pg_sound() { # PORT: the rules on the disk can be read, and root's own way in is among them, before all that would refuse it
  pg_on "$1" || return 1
  [ "$(pg_ask postgres "SELECT count(*) FROM pg_hba_file_rules WHERE error IS NOT NULL;")" = 0 ] || { echo "pg_hba.conf: a line cannot be read" >&2; return 1; }
  _pgm=$(pg_ask postgres "SELECT auth_method FROM pg_hba_file_rules WHERE type='local' AND ('all'=ANY(database) OR 'postgres'=ANY(database)) AND ('all'=ANY(user_name) OR session_user::text=ANY(user_name)) ORDER BY line_number LIMIT 1;")
  case $_pgm in peer|trust) ;; *) echo "pg_hba.conf: no local way in for the server's own account ($_pgm)" >&2; return 1 ;; esac
}

# --- acts, and what must hold over the fresh login -------------------------------------------------------------------------
act_pg_up() { # PORT UNIT: it serves; one that died meanwhile is started again
  if _systemd && [ -n "$2" ] && ! systemctl is-active -q "$2" && systemctl is-enabled -q "$2" 2>/dev/null; then
    systemctl reset-failed "$2" 2>/dev/null; systemctl start "$2"
  fi
  _pgt=0; until pg_on "$1" && pg_ask postgres 'SELECT 1;' >/dev/null 2>&1; do _pgt=$((_pgt + 1)); [ $_pgt -lt 15 ] || return 1; sleep 1; done
}
act_pg_reload() { # PORT UNIT: what lies on the disk holds now
  act_pg_up "$@" && _pgo=$(pg_ask postgres 'SELECT pg_conf_load_time();') || return 1
  pg_ask postgres 'SELECT pg_reload_conf();' >/dev/null || return 1
  while [ "$(pg_ask postgres 'SELECT pg_conf_load_time();')" = "$_pgo" ]; do # a new session has it once the first process took it in
    _pgt=$((_pgt + 1)); [ $_pgt -lt 40 ] || return 1; sleep 0.2 2>/dev/null || sleep 1
  done
}
pg_stands() { # PORT ACCOUNT DB: the server's own account gets in, the account of the scans may, and may use its database
  pg_sound "$1" || return 1
  [ -z "$2" ] || [ "$(pg_ask postgres "SELECT count(*) FROM pg_roles WHERE rolname=:'r' AND rolcanlogin AND (rolvaliduntil IS NULL OR rolvaliduntil>now()) AND has_database_privilege(oid,COALESCE((SELECT oid FROM pg_database WHERE datname=:'d'),(SELECT oid FROM pg_database WHERE datname='postgres')),'CONNECT');" "r=$2" "d=$3")" = 1 ] ||
    { echo "the account of the scans cannot log in any more" >&2; return 1; }
}
