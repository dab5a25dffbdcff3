# postgresql.sh: PostgreSQL from its own host, as the owner of its processes, through its own socket; no password is sent.
# pg_on PORT finds the server: _pgd socket folder, _pgw owner, _pgp process, _pgdata data folder, _pgc client.
pg_on() { # PORT. 1: no such server runs here, or two of that port: anybody may make a socket
  _pgfound=
  for _pgs in $(awk -v p="/.s.PGSQL.$1" '$6=="01"&&$8~/^\//&&substr($8,length($8)-length(p)+1)==p{print $8}' "$R/proc/net/unix" 2>/dev/null); do
    [ -r "$_pgs.lock" ] || continue
    _pgp=$(sed -n 1p "$_pgs.lock"); _pgdata=$(sed -n 2p "$_pgs.lock")
    case $_pgp in '' | *[!0-9]*) continue ;; esac
    _pgx=$(readlink "/proc/$_pgp/exe") || continue
    _pgx=${_pgx% (deleted)}
    case ${_pgx##*/} in postgres | postmaster) ;; *) continue ;; esac
    [ "$(stat -c %u "${_pgx%/*}")" = 0 ] && [ ! -L "$_pgdata/postgresql.auto.conf" ] || continue
    _pgw=$(stat -c %U "$_pgdata") && [ "$_pgw" != UNKNOWN ] && [ "$(stat -c %U "/proc/$_pgp")" = "$_pgw" ] || continue
    case $_pgfound in '' | "$_pgp "*) _pgfound="$_pgp $_pgs" ;; *) return 1 ;; esac
  done
  [ -n "$_pgfound" ] || return 1
  _pgp=${_pgfound%% *}; _pgs=${_pgfound#* }; _pgd=${_pgs%/*}
  _pgdata=$(sed -n 2p "$_pgs.lock"); _pgw=$(stat -c %U "$_pgdata")
  _pgc=$(readlink "/proc/$_pgp/exe"); _pgc=${_pgc% (deleted)}; _pgc=${_pgc%/*}/psql
  [ -x "$_pgc" ] || _pgc=$(command -v psql)
}

pg_run() { # DB ARG...: psql as we log in; statements on standard input. A database may be called `host=elsewhere`
  _pgdb="dbname='$(printf %s "$1" | sed "s/[\\\\']/\\\\&/g")'"; shift
  (cd / && unset PGHOST PGUSER PGPORT PGDATABASE PGOPTIONS PGSERVICE PGPASSFILE PGSSLMODE
    PGCLIENTENCODING=UTF8; PGCONNECT_TIMEOUT=10; export PGCLIENTENCODING PGCONNECT_TIMEOUT
    if command -v runuser >/dev/null; then set -- runuser -u "$_pgw" -- "$_pgc" "$@"; else set -- setpriv --reuid="$_pgw" --regid="$(id -g "$_pgw")" --init-groups "$_pgc" "$@"; fi
    exec timeout -k 5 60 "$@" -X -q -A -t -w -v ON_ERROR_STOP=1 -F '	' -h "$_pgd" -p "${_pgs##*.}" -d "$_pgdb" -f -)
}
_pgas() { if command -v runuser >/dev/null; then runuser -u "$_pgw" -- "$@"; else setpriv --reuid="$_pgw" --regid="$(id -g "$_pgw")" --init-groups "$@"; fi; } # COMMAND...
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
}

# What no secret can be in: every setting that is no text, and these texts
_PGTEXTS="'shared_preload_libraries','session_preload_libraries','log_line_prefix','log_filename','log_directory','log_destination','listen_addresses','ssl_ciphers','ssl_min_protocol_version','log_timezone','allow_alter_system'"
_pghex() { printf "encode(convert_to(%s,'UTF8'),'hex')" "$1"; }
pg_settings() { # `set NAME value unit context source vartype pending file:line at-start`, texts in hexadecimal; then what guards ask for
  pg_ask postgres "WITH f AS (SELECT DISTINCT ON (lower(name)) lower(name) n,setting FROM pg_file_settings ORDER BY lower(name),seqno DESC)
    SELECT 'set',s.name,$(_pghex s.setting),COALESCE(s.unit,''),s.context,s.source,s.vartype,s.pending_restart,$(_pghex "COALESCE(s.sourcefile||':'||s.sourceline,'')"),COALESCE('='||$(_pghex f.setting),'')
    FROM pg_settings s LEFT JOIN f ON f.n=lower(s.name) WHERE s.vartype<>'string' OR s.name IN ($_PGTEXTS) OR s.name ~ '^(credcheck|pgaudit)\.';" || return 2
  pg_ask postgres "SELECT 'archiver' FROM pg_file_settings WHERE lower(name) IN ('archive_command','archive_library') AND setting<>'' LIMIT 1;" || return 2
  # of the settings that roles and databases have of their own: the names only
  pg_ask postgres "SELECT 'own',$(_pghex "split_part(c,'=',1)"),$(_pghex "COALESCE(r.rolname,'')"),$(_pghex "COALESCE(d.datname,'')") FROM pg_db_role_setting x CROSS JOIN unnest(setconfig) c LEFT JOIN pg_roles r ON r.oid=setrole LEFT JOIN pg_database d ON d.oid=setdatabase;" || return 2
  _pgl=$(pg_ask postgres "SELECT setting FROM pg_config WHERE name='PKGLIBDIR';")
  for _pgn in credcheck pgaudit passwordcheck auth_delay; do if [ -e "$_pgl/$_pgn.so" ]; then printf 'lib\t%s\n' "$_pgn"; fi; done
  _pgt=tls
  for _pgn in ssl_cert_file ssl_key_file; do
    _pgf=$(pg_ask postgres "SELECT setting FROM pg_settings WHERE name='$_pgn';")
    case $_pgf in /*) ;; *) _pgf=$_pgdata/$_pgf ;; esac
    _pgas test -r "$_pgf" || _pgt=
  done
  if [ -n "$_pgt" ]; then echo tls; fi
}
pg_sessions() { # sess ROLE address TLS-version state seconds: who is connected now
  pg_ask postgres "SELECT 'sess',$(_pghex a.usename),COALESCE(host(a.client_addr),''),COALESCE(s.version,''),COALESCE(a.state,''),max(COALESCE(extract(epoch FROM now()-a.state_change),0))::bigint FROM pg_stat_activity a LEFT JOIN pg_stat_ssl s USING (pid) WHERE a.pid<>pg_backend_pid() AND a.usename IS NOT NULL AND a.backend_type IN ('client backend','walsender') GROUP BY 2,3,4,5 ORDER BY 2,3,4,5;" || return 2
}
pg_roles() { # role NAME oid super createrole bypassrls login password-kind expired owned; member ROLE GROUP. No hash leaves the host
  pg_ask postgres "SELECT 'role',$(_pghex a.rolname),a.oid,rolsuper,rolcreaterole,rolbypassrls,rolcanlogin,CASE WHEN rolpassword IS NULL THEN 'none' WHEN rolpassword LIKE 'SCRAM-SHA-256\$%' THEN 'scram' WHEN rolpassword LIKE 'md5%' THEN 'md5' ELSE 'other' END,COALESCE(rolvaliduntil<now(),false),COALESCE((SELECT string_agg(DISTINCT classid::regclass::text,',' ORDER BY classid::regclass::text) FROM pg_shdepend d WHERE refclassid='pg_authid'::regclass AND refobjid=a.oid AND deptype='o' AND classid IN ('pg_proc'::regclass,'pg_subscription'::regclass,'pg_event_trigger'::regclass,'pg_foreign_data_wrapper'::regclass)),'') FROM pg_authid a WHERE rolname !~ '^pg_' OR rolcanlogin ORDER BY a.rolname;" || return 2
  pg_ask postgres "SELECT 'member',$(_pghex m.rolname),$(_pghex g.rolname) FROM pg_auth_members x JOIN pg_roles m ON m.oid=x.member JOIN pg_roles g ON g.oid=x.roleid ORDER BY 2,3;" || return 2
}
pg_public() { # DB: create DATABASE where everybody may make objects in public; open KIND NAME PRIVILEGES, owner ROLE of this one
  pg_ask postgres "SELECT datname FROM pg_database WHERE datallowconn ORDER BY 1;" | while IFS= read -r _pgb; do
    pg_ask "$_pgb" "SELECT DISTINCT 'create',$(_pghex 'current_database()') FROM pg_namespace n,aclexplode(COALESCE(n.nspacl,acldefault('n',n.nspowner))) a WHERE n.nspname='public' AND a.grantee=0 AND a.privilege_type='CREATE';" </dev/null || exit 2
  done || return 2
  pg_ask "$1" "SELECT 'open',CASE c.relkind WHEN 'S' THEN 'sequence' ELSE 'table' END,$(_pghex n.nspname),$(_pghex c.relname),string_agg(DISTINCT a.privilege_type,',' ORDER BY a.privilege_type),EXISTS (SELECT FROM pg_depend d WHERE d.classid='pg_class'::regclass AND d.objid=c.oid AND d.deptype='e') FROM pg_class c JOIN pg_namespace n ON n.oid=c.relnamespace,aclexplode(c.relacl) a WHERE a.grantee=0 AND n.nspname NOT IN ('pg_catalog','information_schema') AND c.relkind IN ('r','p','v','m','f','S') GROUP BY c.oid,c.relkind,n.nspname,c.relname ORDER BY 3,4;" || return 2
  pg_ask "$1" "SELECT DISTINCT 'owner',$(_pghex r.rolname) FROM pg_class c JOIN pg_namespace n ON n.oid=c.relnamespace JOIN pg_roles r ON r.oid=c.relowner WHERE n.nspname='public' AND NOT r.rolsuper ORDER BY 2;" || return 2
}

pg_preload() { # PORT LIBRARY: loaded at the next start besides what is; read from the disk, several steps may add
  pg_on "$1" && pg_ask postgres "SELECT format('ALTER SYSTEM SET shared_preload_libraries = %s',string_agg(quote_literal(x),', ' ORDER BY i)) FROM (SELECT btrim(u,' \"') x,min(n) i FROM unnest(string_to_array(COALESCE((SELECT setting FROM pg_file_settings WHERE lower(name)='shared_preload_libraries' ORDER BY seqno DESC LIMIT 1),'')||','||:'n',',')) WITH ORDINALITY y(u,n) WHERE btrim(u)<>'' GROUP BY 1) z \gexec" "n=$2"
}

# --- postgresql.auto.conf: a name stands on one line (ALTER SYSTEM takes no line's end) ----------------------------------
_PGLINE='function key(l){sub(/^[ \t]+/,"",l);sub(/[ \t=].*/,"",l);return tolower(l)}'
pg_auto() { N=$1 awk "$_PGLINE"'key($0)==tolower(ENVIRON["N"])'; } # NAME: its line
pg_lines() { grep -vE '^[ 	]*(#|$)' "$1" | sort; }
pg_putback() { # NAME KEPT FILE: NAME's line becomes the one of KEPT; when nothing else differs, every byte does
  _pgo=${2%.cap}.back
  { N=$1 awk "$_PGLINE"'key($0)!=tolower(ENVIRON["N"])' "$3" && pg_auto "$1" <"$2"; } >"$_pgo" || return 1
  if [ "$(pg_lines "$2")" = "$(pg_lines "$_pgo")" ]; then splice_put "$3" "$2"; else splice_put "$3" "$_pgo"; fi && rm -f "$_pgo"
}

# --- pg_hba.conf ----------------------------------------------------------------------------------------------------------
_PGCOVER='{if($0~/(passwd|secret)[a-z]*[ \t]*=/)gsub(/./,"#");print}'
pg_rules() { # every rule as the server reads it from the disk now, names in hexadecimal; then its files as splice_show does it
  pg_ask postgres "SELECT 'rule',$(_pghex "COALESCE(j->>'file_name',current_setting('hba_file'))"),line_number,COALESCE(type,''),$(_pghex "COALESCE(array_to_json(database)::text,'[]')"),$(_pghex "COALESCE(array_to_json(user_name)::text,'[]')"),COALESCE(address,''),COALESCE(netmask,''),COALESCE(auth_method,''),CASE WHEN error IS NULL THEN '' ELSE 'error' END FROM (SELECT r.*,to_jsonb(r) j FROM pg_hba_file_rules r) x;" || return 2
  pg_ask postgres "SELECT DISTINCT COALESCE(to_jsonb(r)->>'file_name',current_setting('hba_file')) FROM pg_hba_file_rules r;" | while IFS= read -r _pgf; do
    splice_show "$_pgf" "$_PGCOVER"
  done
  pg_ask postgres "SELECT 'ssl',setting FROM pg_settings WHERE name='ssl';" || return 2
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
