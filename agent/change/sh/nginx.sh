# nginx.sh: nginx's configuration as it is read, its test, its reload.
# Needs mw.sh and splice.sh.

# Covers with x every byte that is no directive's name and no argument of those that are needed; length is kept. With
# SHOW=include it prints what is included instead, a pattern a line; with SHOW=root the folders of the sites.
ngx_awk='
function keep(    w) {
  if (hidden) return 0
  if (n == 0) return 1
  w = word[1]
  if (w ~ /^(include|server_tokens|ssl_protocols|ssl_ciphers|ssl_prefer_server_ciphers|autoindex|access_log|error_log|client_max_body_size|user|listen|ssl|location|root|alias)$/) return 1
  if (w == "return") return n == 1 || length(tok) < 8
  if (w == "add_header") return n == 1 || tolower(word[2]) == "strict-transport-security"
  return 0
}
function say(s) { line = line s }
function shown(c) { say(keep() ? c : "x") }
function put() { if (open) { word[++n] = tok; tok = ""; open = 0 } }
function enter() {
  put(); depth++
  if (word[1] ~ /_by_lua_block$/ && !hidden) { lua = 1; lq = "" }
  if (hidden || lua || word[1] ~ /^(map|types|geo|split_clients|charset_map|match)$/) { hidden++; hid[depth] = 1 }
  n = 0
}
function leave() { n = 0; tok = ""; open = 0; if (depth < 1) return; if (hid[depth]) { hidden--; hid[depth] = 0 } depth-- }
{
  line = ""; m = length($0)
  for (i = 1; i <= m; i++) {
    c = substr($0, i, 1)
    if (lua) { # all of it becomes blank
      if (lq == "]") { if (c == "]" && substr($0, i + 1, 1) == "]") { say(" "); i++; lq = "" } say(" "); continue }
      if (lq != "") { say(" "); if (c == "\\") { i++; if (i <= m) say(" ") } else if (c == lq) lq = ""; continue }
      if (c == "\"" || c == "\047") lq = c
      else if (c == "[" && substr($0, i + 1, 1) == "[") { lq = "]"; say(" "); i++ }
      else if (c == "-" && substr($0, i + 1, 1) == "-") { for (; i <= m; i++) say(" "); break }
      else if (c == "{") lua++
      else if (c == "}" && --lua == 0) { say(c); leave(); continue }
      say(" "); continue
    }
    if (esc) { tok = tok c; esc = 0; shown(c); continue }
    if (q != "") {
      if (c == "\\") { esc = 1; shown(c); continue }
      if (c == q) { q = ""; say(c); continue }
      shown(c); tok = tok c; continue
    }
    if (c == "\\") { open = 1; esc = 1; dollar = 0; shown(c); continue }
    if (c == " " || c == "\t" || c == "\r") { put(); say(c); dollar = 0; continue }
    if (!open && c == "#") { say(c); for (i++; i <= m; i++) say("x"); break }
    if (!open && (c == "\"" || c == "\047")) { q = c; open = 1; say(c); continue }
    if (c == "{" && !(open && dollar)) { enter(); say(c); continue }
    if (c == "}" && !open) { leave(); say(c); continue }
    if (c == ";") {
      put()
      if (ENVIRON["SHOW"] == "include" && word[1] == "include" && n == 2 && !hidden) print word[2]
      if (ENVIRON["SHOW"] == "root" && word[1] ~ /^(root|alias)$/ && n == 2 && !hidden && word[2] ~ /^\/[^$\t]*$/) print word[2]
      n = 0; say(c); dollar = 0; continue
    }
    dollar = (c == "$"); shown(c); tok = tok c; open = 1
  }
  if (esc) { tok = tok "\n"; esc = 0 }
  else if (q != "") tok = tok "\n"
  else if (!lua) put()
  if (ENVIRON["SHOW"] == "all") print line
}'

ngx_args() { # PID WORD: the value of -c or -p on the command line, the last one
  tr '\0 ' '\n\n' <"$R/proc/$1/cmdline" 2>/dev/null | awk -v w="$2" '
    next_is { v = $0; next_is = 0; next } $0 == w { next_is = 1; next } index($0, w "/") == 1 { v = substr($0, 3) } END { print v }'
}

ngx_conf() { # PID EXE: its configuration file
  _b=$(env -i "$2" -V 2>&1 | tr ' ' '\n'); _v=$(ngx_args "$1" -c); _pre=$(ngx_args "$1" -p)
  [ -n "$_pre" ] || _pre=$(printf '%s\n' "$_b" | sed -n 's/^--prefix=//p')
  [ -n "$_v" ] || _v=$(printf '%s\n' "$_b" | sed -n 's/^--conf-path=//p')
  case ${_v:=conf/nginx.conf} in /*) ;; *) _v=${_pre%/}/$_v ;; esac
  printf '%s\n' "$_v"
}

ngx_master() { # CONF: the process that leads nginx with that file; fails when there is none, or more than one
  _one=
  for _p in "$R"/proc/[0-9]*; do
    read -r _c 2>/dev/null <"$_p/comm" || continue
    case $_c in nginx | openresty | tengine) ;; *) continue ;; esac
    _p=${_p##*/}
    read -r _up 2>/dev/null <"$R/proc/$(mw_word PPid "$_p")/comm" && [ "$_up" = "$_c" ] && continue
    mw_here "$_p" && [ "$(mw_word Uid "$_p")" = 0 ] && _x=$(mw_exe "$_p") || continue
    [ "$(ngx_conf "$_p" "$_x")" = "$1" ] || continue
    [ -z "$_one" ] || return 1
    _one=$_p
  done
  [ -n "$_one" ] && echo "$_one"
}

ngx_follow() { # CONF: it and all that it includes, each once, as `splice_show` prints; `include PATTERN FILE` lines
  _todo=$1 _seen= _count=0
  while [ -n "$_todo" ]; do
    _file=$(printf '%s\n' "$_todo" | head -n 1); _todo=$(printf '%s\n' "$_todo" | tail -n +2)
    case "|$_seen|" in *"|$_file|"*) continue ;; esac
    _seen="$_seen|$_file"; _count=$((_count + 1)); [ $_count -le 300 ] || { printf 'large\tmore than 300 files\n'; return 0; }
    SHOW=all splice_show "$_file" "$ngx_awk"
    _more=$(SHOW=include awk "$ngx_awk" <"$R$_file" 2>/dev/null | while IFS= read -r _pat; do
      case $_pat in /*) _abs=$_pat ;; *) _abs=${1%/*}/$_pat ;; esac
      ngx_glob "$_abs" | while IFS= read -r _hit; do printf '%s\t%s\n' "$_pat" "$_hit"; done
    done)
    [ -n "$_more" ] || continue
    printf '%s\n' "$_more" | sed 's/^/include	/'
    _todo=$(printf '%s\n' "$_more" | sed 's/^.*	//'; printf '%s\n' "$_todo")
  done
}
ngx_glob() { # PATTERN: the files that it stands for, in order; a plain name as it is
  case $1 in
    *[*?[]*) (IFS=; set +f; for _h in $R$1; do if [ -f "$_h" ]; then printf '%s\n' "${_h#"$R"}"; fi; done) ;;
    *) printf '%s\n' "$1" ;;
  esac
}

ngx_read() { # CONF
  _m=$(ngx_master "$1") || { echo none; return 0; }
  _x=$(mw_exe "$_m")
  printf 'master\t%s\nunit\t%s\nexe\t%s\n' "$_m" "$(mw_unit "$_m")" "$_x"
  printf 'version\t%s\n' "$(env -i "$R$_x" -v 2>&1 | sed -n 's/^[^\/]*\/\([0-9.]*\).*/\1/p' | head -n 1)"
  for _w in $(ngx_workers "$_m"); do printf 'worker\t%s\n' "$(mw_word Uid "$_w")"; done
  for _a in nginx www-data; do # NAME uid gid
    awk -F: -v a=$_a '$1 == a { printf "account\t%s\t%s\t%s\n", $1, $3, $4 }' "$R/etc/passwd"
  done
  ngx_follow "$1"
}

ngx_reach() { # CONF: `closed ACCOUNT FOLDER`, for folders of sites that an account could not read
  ngx_follow "$1" | awk -F '\t' '$1 == "file" { print $3 }' | while IFS= read -r _file; do
    SHOW=root awk "$ngx_awk" <"$R$_file"
  done | sort -u | head -n 200 | while IFS= read -r _dir; do
    [ -d "$_dir" ] || continue
    for _a in nginx www-data; do
      id "$_a" >/dev/null 2>&1 || continue
      setpriv --reuid="$_a" --regid="$(id -g "$_a")" --init-groups test -r "$_dir" -a -x "$_dir" </dev/null ||
        printf 'closed\t%s\t%s\n' "$_a" "$_dir"
    done
  done
}

ngx_workers() { # MASTER: its workers, those apart that are on their way out
  for _p in "$R"/proc/[0-9]*; do
    [ "$(mw_word PPid "${_p##*/}")" = "$1" ] || continue
    tr '\0' ' ' <"$_p/cmdline" 2>/dev/null | grep -q 'worker process$\|worker process *$' && echo "${_p##*/}"
  done
  :
}

ngx_test() { # CONF: whether nginx takes it
  _m=$(ngx_master "$1") && _x=$(mw_exe "$_m") || { echo "nginx does not run with $1" >&2; return 1; }
  set -- "$1" "$(ngx_args "$_m" -p)"
  "$_x" -t -q -c "$1" ${2:+-p "$2"}
}

act_nginx() { # UNIT CONF: reload, and wait for workers that have read it
  _m=$(ngx_master "$2") || { act_reload "$1"; return; }
  _old=" $(ngx_workers "$_m" | tr '\n' ' ')"
  kill -HUP "$_m" || return 1
  _i=0
  while [ $_i -lt 20 ]; do
    for _w in $(ngx_workers "$_m"); do case $_old in *" $_w "*) ;; *) sleep 1; return 0 ;; esac; done
    _i=$((_i + 1)); sleep 0.5 2>/dev/null || sleep 1
  done
  echo "nginx did not take the new configuration; see its error log" >&2; return 1
}
