# redis.sh: Redis' configuration as it is read, and the values of the server that runs. Needs mw.sh and splice.sh.
# A password never leaves the target and stands on no command line: redis-cli takes it from its environment.

# Covers with x every argument but those of directives that are needed, and every comment. SHOW=NAME prints the arguments of
# that directive instead, a line each, behind a v, and those of includes behind an i; uncovered, so for the target only.
rd_awk='
function words(s,    c, i, m, q, open, tok, esc) {
  n = 0; q = ""; open = 0; tok = ""; esc = 0; m = length(s)
  for (i = 1; i <= m; i++) {
    c = substr(s, i, 1)
    if (esc) { tok = tok c; esc = 0; continue }
    if (q != "") { if (c == "\\" && q == "\"") esc = 1; else if (c == q) q = ""; else tok = tok c; continue }
    if (c == " " || c == "\t" || c == "\r") { if (open) { word[++n] = tok; tok = ""; open = 0 } continue }
    if (c == "\"" || c == "\047") { q = c; open = 1; continue }
    tok = tok c; open = 1
  }
  if (open) word[++n] = tok
}
{
  s = $0; sub(/^[ \t]+/, "", s); head = substr($0, 1, length($0) - length(s)); name = tolower(s); sub(/[ \t\r].*/, "", name)
  if (ENVIRON["SHOW"] != "all") {
    if (name != ENVIRON["SHOW"] && name != "include") next
    words(s); line = word[2]
    for (i = 3; i <= n; i++) line = line " " word[i]
    print (name == "include" ? "i" : "v") line; next
  }
  if (s == "" ) { print; next }
  if (name ~ /^(include|bind|port|unixsocket|tls-port|protected-mode|timeout|tcp-keepalive|logfile|syslog-enabled|appendonly|save|dir|maxclients|loglevel|enable-(debug|protected-configs|module)(-command)?|cluster-enabled)$/) { print; next }
  first = substr(s, 1, length(name)); rest = substr(s, length(name) + 1)
  if (substr(s, 1, 1) == "#" || name !~ /^[a-z0-9-]+$/) { first = "#"; rest = substr(s, 2) }
  gsub(/[^ \t\r]/, "x", rest); print head first rest
}'

rd_match() { # FOLDER PATTERN: the files that an include stands for
  case $2 in /*) _pat=$2 ;; *) _pat=$1/$2 ;; esac
  case $_pat in
    *[*?[]*) (IFS=; for _h in $R$_pat; do if [ -f "$_h" ]; then printf '%s\n' "${_h#"$R"}"; fi; done) ;;
    *) printf '%s\n' "$_pat" ;;
  esac
}

rd_values() { # FILE NAME [DEPTH]: every value of a directive in the order in which they are read, included files in their place
  [ "${3:-0}" -lt 8 ] && [ -f "$R$1" ] || return 0
  SHOW=$2 awk "$rd_awk" <"$R$1" | while IFS= read -r _line; do
    case $_line in
      v*) printf '%s\n' "${_line#v}" ;;
      i*) rd_match "${1%/*}" "${_line#i}" | while IFS= read -r _hit; do rd_values "$_hit" "$2" $((${3:-0} + 1)); done ;;
    esac
  done
}
rd_last() { rd_values "$1" "$2" | tail -n 1; } # CONF NAME: the value that counts

rd_show() { # FILE [DEPTH]: it and all that it includes, as `splice_show` prints; `include PATTERN FILE` lines
  [ "${2:-0}" -lt 8 ] || return 0
  SHOW=all splice_show "$1" "$rd_awk"
  [ -f "$R$1" ] || return 0
  SHOW=include awk "$rd_awk" <"$R$1" | while IFS= read -r _line; do
    rd_match "${1%/*}" "${_line#i}" | while IFS= read -r _hit; do
      printf 'include\t%s\t%s\n' "${_line#i}" "$_hit"; rd_show "$_hit" $((${2:-0} + 1))
    done
  done
}

rd_port() { _v=$(rd_last "$1" port); printf '%s\n' "${_v:-6379}"; }

rd_pid() { # CONF: the server that runs with it in a unit of the system's; fails when there is none or the unit names another
  for _p in "$R"/proc/[0-9]*; do
    read -r _c 2>/dev/null <"$_p/comm" || continue
    case $_c in redis-server* | valkey-server*) ;; *) continue ;; esac
    _p=${_p##*/}; mw_here "$_p" && _un=$(mw_unit "$_p") && [ -n "$_un" ] && mw_exe "$_p" >/dev/null || continue
    rd_command "$_un" | grep -qxF -e "$1" && { echo "$_p"; return 0; }
  done
  return 1
}

rd_command() { # UNIT: the words of its command, a line each
  systemctl show -p ExecStart "$1" 2>/dev/null | sed -n 's/.*argv\[\]=\(.*\) ; ignore_errors=.*/\1/p' | tail -n 1 | tr ' ' '\n'
}

rd_cli() { # CONF WORD...: ask the server that runs with it. 1: it does not answer, or not to us
  _conf=$1; shift
  _cli=redis-cli; _x=$(mw_exe "$(rd_pid "$_conf")") && for _c in "${_x%/*}/redis-cli" "${_x%/*}/valkey-cli"; do
    if [ -x "$_c" ]; then _cli=$_c; break; fi
  done
  _h=127.0.0.1; _v=$(rd_last "$_conf" bind)
  case " $_v " in "  " | *" 127.0.0.1 "* | *" -127.0.0.1 "* | *" 0.0.0.0 "* | *"*"*) ;; *) _h=${_v%% *}; _h=${_h#-} ;; esac
  _pw=$(rd_last "$_conf" requirepass); _sock=$(rd_last "$_conf" unixsocket)
  set -- -h "$_h" -p "$(rd_port "$_conf")" "$@"
  if [ -S "$_sock" ]; then set -- -s "$_sock" "$@"; fi
  if [ -n "$_pw" ]; then REDISCLI_AUTH=$_pw; export REDISCLI_AUTH; set -- --no-auth-warning "$@"; else unset REDISCLI_AUTH; fi
  $T "$_cli" "$@" </dev/null
}

rd_config() { # CONF: the name that CONFIG bears
  rd_values "$1" rename-command | awk 'BEGIN { c = "CONFIG" } toupper($1) == "CONFIG" { c = $2 } END { print c }'
}

rd_get() { # CONF KEY: the running value; fails when the server does not tell it
  _cmd=$(rd_config "$1"); [ -n "$_cmd" ] || return 1
  _out=$(rd_cli "$1" "$_cmd" GET "$2") && [ "$(printf '%s\n' "$_out" | head -n 1)" = "$2" ] || return 1
  printf '%s\n' "$_out" | sed -n 2p
}

rd_set() { # CONF KEY VALUE
  _cmd=$(rd_config "$1"); [ -n "$_cmd" ] || return 1
  _out=$(rd_cli "$1" "$_cmd" SET "$2" "$3" 2>&1); [ "$_out" = OK ] || { echo "CONFIG SET $2: $_out" | cut -c1-200 >&2; return 1; }
}

rd_saved() { # CONF: wait until the first append-only file is whole: what is loaded at a start is that file alone
  _i=0
  while [ $_i -lt 60 ]; do
    _out=$(rd_cli "$1" INFO persistence | tr -d '\r')
    case $_out in *aof_rewrite_in_progress:1* | *aof_rewrite_scheduled:1*) ;; *aof_enabled:1*aof_last_bgrewrite_status:ok*) return 0 ;; *) break ;; esac
    _i=$((_i + 1)); sleep 1
  done
  echo "the append-only file was not written" >&2; return 1
}

rd_read() { # CONF KEY...
  _conf=$1; shift
  _m=$(rd_pid "$_conf") || { echo none; return 0; }
  _un=$(mw_unit "$_m")
  printf 'unit\t%s\nuid\t%s\ngid\t%s\n' "$_un" "$(mw_word Uid "$_m")" "$(mw_word Gid "$_m")"
  printf 'version\t%s\n' "$(env -i "$R$(mw_exe "$_m")" --version 2>/dev/null | sed -n 's/.* v=\([0-9.]*\).*/\1/p')"
  rd_command "$_un" | sed -n 's/^--\([a-z0-9-]*\)$/option\t\1/p'
  rd_show "$_conf"
  [ -z "$(rd_last "$_conf" requirepass)" ] || printf 'password\tyes\n'
  _out=$(rd_cli "$_conf" PING 2>&1); printf 'ping\t%s\n' "$(printf %s "$_out" | tr '\t\n' '  ' | cut -c1-60)"
  [ "$_out" = PONG ] || return 0
  for _k in "$@" save appendonly dir; do
    case $_k in requirepass | masterauth | *pass* | user) continue ;; esac
    _out=$(rd_get "$_conf" "$_k") && printf 'running\t%s\t%s\n' "$_k" "$(printf %s "$_out" | tr '\t' ' ')"
  done
  rd_cli "$_conf" INFO 2>/dev/null | tr -d '\r' | sed -n 's/^\(used_memory\|role\|connected_slaves\|redis_mode\):\(.*\)/info\t\1\t\2/p'
  printf 'keys\t%s\n' "$(rd_cli "$_conf" INFO keyspace 2>/dev/null | grep -c '^db')"
  _out=$(rd_get "$_conf" dir) && printf 'room\t%s\n' "$(df -Pk "$_out" 2>/dev/null | awk 'NR == 2 { print $4 }')"
  ip -o addr show scope global 2>/dev/null | awk '{ sub(/\/.*/, "", $4); print "address\t" $4 }'
}

rd_dir() { # CONF FOLDER: whether the server's account can write there
  _m=$(rd_pid "$1") || return 0
  if [ -d "$2" ] && mw_as "$(mw_word Uid "$_m")" "$(mw_word Gid "$_m")" test -w "$2" -a -x "$2"; then printf 'writable\t%s\n' "$2"; fi
  :
}

rd_up() { # CONF: wait until the server answers, if only that it wants a password
  _i=0
  while [ $_i -lt 30 ]; do
    case $(rd_cli "$1" PING 2>&1) in PONG | *NOAUTH* | *NOPERM*) return 0 ;; esac
    _i=$((_i + 1)); sleep 1
  done
  echo "Redis does not answer" >&2; return 1
}
act_redis() { act_restart "$1" && rd_up "$2"; } # UNIT CONF
