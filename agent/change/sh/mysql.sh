# mysql.sh: MariaDB and MySQL from their own host, as root, through the server's own socket; no password is seen or sent.
# my_on PORT finds the server: _mys socket, _myc client, _mya how we log in. All other functions stand on it.
my_hex() { printf %s "$1" | od -An -v -tx1 | tr -d ' \n' | tr a-f A-F; }

my_socks() { # sockets that somebody listens on and that look like this server's (8.0's X protocol speaks otherwise)
  awk '$6=="01"&&$8~/^\//{l=tolower($8);if(l!~/mysqlx/&&(l~/\/[^\/]*(mysql|maria)/||l~/\/my[^\/]*\.sock$/))print $8}' "$R/proc/net/unix" 2>/dev/null | sort -u
}

my_run() { # ARG...: the client as we log in; statements on standard input
  HOME=/root timeout -k 5 "${_mywait:-60}" "$_myc" $_mya --protocol=socket -S "$_mys" --connect-timeout=5 \
    --default-character-set=utf8mb4 --batch --raw --skip-column-names "$@"
}

my_sql() { # statements on standard input, a line each; text in them is quoted by doubling the quote alone
  { echo "SET SESSION sql_mode='NO_BACKSLASH_ESCAPES';"; cat; } | my_run mysql
}
my_ask() { printf '%s\n' "$1" | my_sql; }

my_on() { # PORT. 1: no such server runs here; 2: it does not let root in
  _myc=$(command -v mariadb || command -v mysql) || return 1
  _mysaid=1; _mywait=10
  for _mys in $(my_socks); do
    for _myw in socket home debian; do
      case $_myw in
        socket) _mya='--no-defaults -u root' ;;
        home) _mya= ;;
        debian) [ -r /etc/mysql/debian.cnf ] || continue; _mya=--defaults-file=/etc/mysql/debian.cnf ;;
      esac
      _myg=$(my_ask 'SELECT @@port FROM (SELECT COUNT(*) FROM mysql.db) x;' 2>&1) || case $_myg in
        *'ERROR 1'*|*'ERROR 3'*) _mysaid=2; continue ;; # it answers, and not to us
        *) break ;;
      esac
      [ "$_myg" = "$1" ] || break
      _mywait=60; return 0
    done
  done
  return $_mysaid
}

my_do() { # PORT STATEMENT...
  my_on "$1" || { echo "no root login through the socket of port $1" >&2; return 1; }
  shift; printf '%s\n' "$@" | my_sql
}

my_pid() { _myg=$(my_ask 'SELECT @@pid_file;') && cat "$R$_myg" 2>/dev/null; }
my_unit() { sed -n 's#.*/\([^/]*\.service\)$#\1#p' "$R/proc/$1/cgroup" 2>/dev/null | sed -n 1p; } # PID

my_dropin() { # our own file, in the folder of settings that is included last
  _myg=$(cat "$R/etc/my.cnf" "$R/etc/mysql/my.cnf" 2>/dev/null | sed -n 's/^[ \t]*!includedir[ \t]*\(\/[^ \t]*\).*/\1/p' | tail -n 1)
  _myg=${_myg%/}
  if [ -n "$_myg" ] && [ -d "$R$_myg" ]; then readlink -f "$R$_myg/zz-secops.cnf"; fi
}

my_defaults() { # NAME: the value that the option files give it, the last one wins; `configured VALUE`, or nothing
  _has my_print_defaults || return 0
  my_print_defaults --mysqld 2>/dev/null | sed 's/^--//' | awk -v n="$1" '
    {k=$0;v="1";if(i=index($0,"=")){k=substr($0,1,i-1);v=substr($0,i+1)};gsub(/-/,"_",k);sub(/^loose_/,"",k)
     if(k=="skip_" n){k=n;v="0"};if(k==n){found=1;got=v}}END{if(found)print "configured " got}'
}

my_keep() { # FILE NAME VALUE: what it is to be from the next start on; the file is ours alone
  [ -e "$1" ] || printf '# secops: written by the hardening, read last\n[mysqld]\n' | e_put "$1" 644 || return 1
  e_key "$1" ' = ' "$2" "$3"
}
my_kept() { # NAME VALUE: no later file says otherwise
  _has my_print_defaults || return 0
  _myg=$(my_defaults "$1"); [ "$_myg" = "configured $2" ] || { echo "$1: the option files end with ${_myg:-nothing}" >&2; return 1; }
}

my_look() { # PORT: who we are and where the server's things are (tabs between)
  _myrc=0; my_on "$1" || _myrc=$?
  case $_myrc in 1) echo down; return 1 ;; 2) echo refused; return 1 ;; esac
  my_ask "SELECT CONCAT_WS(CHAR(9),'up',VERSION(),CURRENT_USER(),@@read_only,@@plugin_dir);" || return 2
  _myp=$(my_pid); _myu=$(my_unit "$_myp"); printf 'unit\t%s\n' "$_myu"
  if _systemd && [ -n "$_myu" ]; then # a socket of systemd's that holds its place: it goes down with a server that fails to start
    for _myg in $(systemctl show -p TriggeredBy "$_myu" | sed 's/^TriggeredBy=//'); do
      case $_myg in *.socket) if systemctl is-active -q "$_myg"; then printf 'socket\t%s\n' "$_myg"; fi ;; esac
    done
  fi
  printf 'dropin\t%s\n' "$(my_dropin)"
  printf 'servers\t%s\n' "$(cat "$R"/proc/[0-9]*/comm 2>/dev/null | grep -cxE 'mysqld|mariadbd')"
  tr '\0' '\n' <"$R/proc/$_myp/cmdline" 2>/dev/null | sed -n 's/^--\([a-zA-Z0-9_-]*\).*/arg\t\1/p'
  if command -v mariadb-dump >/dev/null || command -v mysqldump >/dev/null; then echo dump; fi
}

my_var() { # NAME: `value TEXT`, or absent
  _myg=$(my_ask "SHOW GLOBAL VARIABLES WHERE Variable_name='$1';") || return 1
  if [ -n "$_myg" ]; then printf 'value %s\n' "$_myg" | sed "1s/^value [^	]*	/value /"; else echo absent; fi
}
my_tell() { # NAME...: each with what is known of it; one question for all
  _myl=$(printf "'%s'," "$@"); _myl=${_myl%,}
  _myg=$(my_ask "SHOW GLOBAL VARIABLES WHERE Variable_name IN ($_myl);") || return 2
  printf '%s\n' "$_myg" | N="$*" awk '
    BEGIN{c=split(ENVIRON["N"],n," ");for(i=1;i<=c;i++)w[n[i]]=1}
    {i=index($0,"\t");k=substr($0,1,i-1);if(i&&(k in w)){at=k;v[k]=substr($0,i+1)}else if(at!="")v[at]=v[at] " " $0}
    END{for(i=1;i<=c;i++){t=(n[i] in v)?"value " v[n[i]]:"absent";gsub(/\t/," ",t);print "var\t" n[i] "\t" t}}'
  for _myv in "$@"; do printf 'conf\t%s\t%s\n' "$_myv" "$(my_defaults "$_myv")"; done
  my_ask "SELECT CONCAT_WS(CHAR(9),'info',LOWER(VARIABLE_NAME),READ_ONLY,GLOBAL_VALUE_ORIGIN,VARIABLE_TYPE,IFNULL(DEFAULT_VALUE,'')) FROM information_schema.SYSTEM_VARIABLES WHERE VARIABLE_NAME IN ($_myl);" 2>/dev/null ||
    my_ask "SELECT CONCAT_WS(CHAR(9),'source',VARIABLE_NAME,VARIABLE_SOURCE) FROM performance_schema.variables_info WHERE VARIABLE_NAME IN ($_myl);" 2>/dev/null
  :
}
my_set() { # PORT NAME VALUE: the running value
  case $3 in
    ''|*[!0-9.-]*|*-*-*|*.*.*) ;;
    *) my_do "$1" "SET GLOBAL $2 = $3;" 2>/dev/null && return 0 ;;
  esac
  my_do "$1" "SET GLOBAL $2 = '$(printf %s "$3" | sed "s/'/''/g")';"
}

my_plugin() { # NAME: its state; absent
  _myg=$(my_ask "SELECT PLUGIN_STATUS FROM information_schema.PLUGINS WHERE PLUGIN_NAME='$1';") || return 1
  echo "${_myg:-absent}"
}
my_plug() { # PORT NAME: loaded now and at every start
  my_on "$1" || return 1
  [ "$(my_plugin "$2")" = ACTIVE ] || my_ask "INSTALL SONAME '$2';"
}

# --- accounts: names travel as hexadecimal, whatever is in them -----------------------------------------------------------
_MYGRANTS="'columns_priv','db','default_roles','global_grants','global_priv','password_history','procs_priv','proxies_priv','roles_mapping','tables_priv','user'"
my_tables() { my_ask "SELECT table_name FROM information_schema.tables WHERE table_schema='mysql' AND table_type='BASE TABLE' AND table_name IN ($_MYGRANTS) ORDER BY 1;"; }

my_rows() { # HEXUSER HEXHOST: every row of the grant tables that is this account's, as statements that make it
  _myd=$(command -v mariadb-dump || command -v mysqldump) || return 1
  _myx=; case $("$_myd" --version) in *MariaDB*) ;; *) _myx='--set-gtid-purged=OFF --skip-column-statistics' ;; esac
  _myg=$(my_tables) && [ -n "$_myg" ] || return 1
  _myr=$(HOME=/root timeout -k 5 60 "$_myd" $_mya $_myx --protocol=socket -S "$_mys" --default-character-set=utf8mb4 --no-create-info --compact \
    --skip-opt --skip-lock-tables --complete-insert --hex-blob --where="HEX(User)='$1' AND HEX(Host)='$2'" mysql $_myg) || return 1
  printf '%s\n' "$_myr" | grep '^INSERT ' | sort; :
}

my_accounts() { # acct HEXUSER HEXHOST plugin empty|set locked lifetime age ssl role; then what each may do
  _myg=$(my_tables) || return 2
  case $_myg in
    *global_priv*) my_ask "SELECT CONCAT_WS(CHAR(9),'acct',HEX(User),HEX(Host),IFNULL(JSON_VALUE(Priv,'\$.plugin'),''),IF(IFNULL(JSON_VALUE(Priv,'\$.authentication_string'),'')='','empty','set'),IF(IFNULL(JSON_VALUE(Priv,'\$.account_locked'),'0') IN ('1','true'),1,0),IFNULL(JSON_VALUE(Priv,'\$.password_lifetime'),''),IFNULL(FLOOR((UNIX_TIMESTAMP()-NULLIF(JSON_VALUE(Priv,'\$.password_last_changed'),0))/86400),''),IFNULL(JSON_VALUE(Priv,'\$.ssl_type'),0)+0,IF(IFNULL(JSON_VALUE(Priv,'\$.is_role'),'0') IN ('1','true') OR User='PUBLIC',1,0)) FROM mysql.global_priv;" || return 2 ;;
    *) my_ask "SELECT CONCAT_WS(CHAR(9),'acct',HEX(User),HEX(Host),plugin,IF(authentication_string='','empty','set'),IF(account_locked='Y',1,0),IFNULL(password_lifetime,''),IFNULL(FLOOR((UNIX_TIMESTAMP()-UNIX_TIMESTAMP(password_last_changed))/86400),''),IF(ssl_type='',0,1),0) FROM mysql.user;" 2>/dev/null ||
       my_ask "SELECT CONCAT_WS(CHAR(9),'acct',HEX(User),HEX(Host),'?','set',0,'','',0,0) FROM mysql.user WHERE Host<>'';" || return 2 ;;
  esac
  my_ask "SELECT CONCAT_WS(CHAR(9),'priv',HEX(User),HEX(Host),CONCAT_WS(',',IF(Super_priv='Y','SUPER',NULL),IF(File_priv='Y','FILE',NULL),IF(Process_priv='Y','PROCESS',NULL),IF(Shutdown_priv='Y','SHUTDOWN',NULL),IF(Reload_priv='Y','RELOAD',NULL),IF(Create_user_priv='Y','CREATE USER',NULL),IF(Grant_priv='Y','GRANT OPTION',NULL))) FROM mysql.user WHERE 'Y' IN (Super_priv,File_priv,Process_priv,Shutdown_priv,Reload_priv,Create_user_priv,Grant_priv);" || return 2
  my_ask "SELECT CONCAT_WS(CHAR(9),'db',HEX(User),HEX(Host),HEX(Db),CONCAT_WS(',',IF(Insert_priv='Y','INSERT',NULL),IF(Update_priv='Y','UPDATE',NULL),IF(Delete_priv='Y','DELETE',NULL),IF(Create_priv='Y','CREATE',NULL),IF(Drop_priv='Y','DROP',NULL),IF(Alter_priv='Y','ALTER',NULL))) FROM mysql.db WHERE 'mysql' LIKE Db AND 'Y' IN (Insert_priv,Update_priv,Delete_priv,Create_priv,Drop_priv,Alter_priv);" || return 2
  my_ask "SELECT CONCAT_WS(CHAR(9),'definer',HEX(d)) FROM (SELECT DEFINER d FROM information_schema.ROUTINES UNION SELECT DEFINER FROM information_schema.VIEWS UNION SELECT DEFINER FROM information_schema.TRIGGERS UNION SELECT DEFINER FROM information_schema.EVENTS) x;" || return 2
  my_sessions
}
my_sessions() { # sess HEXUSER HEXADDRESS seconds asleep
  my_ask "SELECT CONCAT_WS(CHAR(9),'sess',HEX(USER),HEX(SUBSTRING_INDEX(HOST,':',1)),MAX(IF(COMMAND='Sleep',TIME,0))) FROM information_schema.PROCESSLIST WHERE ID<>CONNECTION_ID() AND COMMAND NOT IN ('Daemon','Binlog Dump') AND USER NOT IN ('system user','event_scheduler') GROUP BY USER,SUBSTRING_INDEX(HOST,':',1);"
}

# --- acts, and what must hold over the fresh login -----------------------------------------------------------------------
act_mysql() { # PORT UNIT: it serves; one that died of what we wrote is started again
  if _systemd && [ -n "$2" ] && ! systemctl is-active -q "$2" && systemctl is-enabled -q "$2" 2>/dev/null; then
    systemctl reset-failed "$2" 2>/dev/null; systemctl start "$2"
  fi
  _myend=$(($(date +%s) + 20))
  until my_on "$1"; do # a socket of systemd's takes connections that nobody answers: do not ask while the unit is down
    if _systemd && [ -n "$2" ] && systemctl is-failed -q "$2"; then return 1; fi
    [ "$(date +%s)" -lt $_myend ] || return 1; sleep 1
  done
}
my_stands() { # PORT ACCOUNT: root gets in, and the account of the scans is there and open
  my_on "$1" || { echo "root cannot log in through the socket of port $1" >&2; return 1; }
  [ -z "$2" ] || my_accounts | H=$(my_hex "$2") awk -F'\t' '$1=="acct"&&$2==ENVIRON["H"]&&$6==0{f=1}END{exit !f}' ||
    { echo "the account of the scans is gone or locked" >&2; return 1; }
}
