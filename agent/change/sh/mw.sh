# mw.sh: whose process it is and which unit runs it; shared by nginx.sh, redis.sh and tomcat.sh.

mw_unit() { # PID: the system unit in which it runs; empty for a process of a user's session or started by hand
  awk -F: '($1 == "0" || $2 == "name=systemd") && $3 ~ /^\/system\.slice\// && /\.service$/ {
    n = split($3, w, "/"); if (w[n] ~ /^[A-Za-z0-9@_.:\\-]+$/) { print w[n]; exit } }' "$R/proc/$1/cgroup" 2>/dev/null
}

mw_here() { # PID: whether it is of this host and not of a container on it
  [ "$(readlink "$R/proc/$1/ns/pid" 2>/dev/null)" = "$(readlink "$R/proc/self/ns/pid" 2>/dev/null)" ]
}

mw_exe() { # PID: its program, if that is root's and nobody else may write it
  _x=$(readlink "$R/proc/$1/exe" 2>/dev/null); _x=${_x% (deleted)}
  [ -f "$R$_x" ] && [ "$(stat -Lc %u "$R$_x")" = 0 ] && [ -z "$(find "$R$_x" -prune -perm /022 2>/dev/null)" ] || return 1
  printf '%s\n' "$_x"
}

mw_word() { # STATUS-KEY PID: the second word of that line (the effective one of Uid and Gid, the only one of PPid)
  awk -v k="$1:" '$1 == k { print (NF > 2 ? $3 : $2); exit }' "$R/proc/$2/status" 2>/dev/null
}

mw_ear() { # PORT...: whether each is listened on
  for _q in "$@"; do
    awk -v p="$(printf ':%04X' "$_q")" '$4 == "0A" && substr($2, length($2) - 4) == p { f = 1 } END { exit !f }' \
      /proc/net/tcp /proc/net/tcp6 2>/dev/null || return 1
  done
}

mw_ears() { # SECONDS PORT...: wait until each is listened on
  _s=$1; shift
  while [ "$_s" -gt 0 ]; do mw_ear "$@" && return 0; _s=$((_s - 1)); sleep 1; done
  echo "nobody listens on one of: $*" >&2; return 1
}

mw_as() { # UID GID COMMAND...: run as that account, without root's eyes
  _q=$1 _g=$2; shift 2
  setpriv --reuid="$_q" --regid="$_g" --clear-groups "$@"
}
