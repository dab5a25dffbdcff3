# redispass.sh: passwords of a Redis server, by root in place. Needs mw.sh, splice.sh and redis.sh.
# A clear text is a word of these functions and stands on redis-cli's standard input: in no argument of a process, in no
# environment, in no file but the server's own. Where the server takes a hash it gets the hash.
# rp_on PORT finds the server (_rpc its file, _rpp its process), rp_in gets in; all others stand on both.

rp_q() { printf '"'; printf %s "$1" | od -An -v -tx1 | tr -d '\n' | sed 's/ \{1,\}/\\x/g'; printf '"'; } # as redis-cli reads it
rp_sha() { _x=$(printf %s "$1" | sha256sum) && printf '%s\n' "${_x%% *}"; }

rp_on() { # PORT. 1: no server of a system unit has it, or not by its file
  for _rpp in "$R"/proc/[0-9]*; do
    read -r _x 2>/dev/null <"$_rpp/comm" || continue
    case $_x in redis-server* | valkey-server*) ;; *) continue ;; esac
    _rpp=${_rpp##*/}; mw_here "$_rpp" && _rpu=$(mw_unit "$_rpp") && [ -n "$_rpu" ] && mw_exe "$_rpp" >/dev/null || continue
    _rpw=$(rd_command "$_rpu"); _rpc=$(printf '%s\n' "$_rpw" | sed -n '2,$s/^\(\/.*\)/\1/p' | head -n 1)
    [ -f "$R$_rpc" ] && [ "$(rd_port "$_rpc")" = "$1" ] || continue
    case $_rpw in *--port* | *--requirepass* | *--aclfile* | *--user*)
      echo "$_rpu: its command line sets what its file should" >&2; return 1 ;; esac
    return 0
  done
  echo "no Redis of a system unit runs on port $1" >&2; return 1
}

rp_client() { # sets _rpx and the words of where it answers in _rph; no word of them holds a blank
  _rpx=redis-cli; _x=$(mw_exe "$_rpp") && for _x in "${_x%/*}/redis-cli" "${_x%/*}/valkey-cli"; do
    if [ -x "$_x" ]; then _rpx=$_x; break; fi
  done
  _h=127.0.0.1; _v=$(rd_last "$_rpc" bind)
  case " $_v " in "  " | *" 127.0.0.1 "* | *" -127.0.0.1 "* | *" 0.0.0.0 "* | *"*"*) ;; *) _h=${_v%% *}; _h=${_h#-} ;; esac
  _rph="-h $_h -p $(rd_port "$_rpc")"
}

rp_raw() { # LINE...: commands, one a line, over one connection; what the server answers
  # shellcheck disable=SC2086 # words
  printf '%s\n' "$@" | (unset REDISCLI_AUTH; HOME=/ $T ${_rpl:-} "$_rpx" $_rph 2>&1)
}
rp_say() { if [ -n "$_rpa" ]; then rp_raw "$_rpa" "$@" | sed 1d; else rp_raw "$@"; fi; } # as who got in
rp_ok() { [ "$(rp_say "$1")" = OK ]; }

rp_try() { # AUTH-LINE or nothing: whether one may administer so. _rpn: it knows users (6.0)
  _rpa=$1; _x=$(rp_say 'ACL USERS')
  case $_x in
    *'unknown command'*) _rpn=; _x=$(rd_config "$_rpc"); [ -n "$_x" ] && [ "$(rp_say "$_x GET port" | head -n 1)" = port ] ;;
    *) _rpn=1; printf '%s\n' "$_x" | grep -qx default ;;
  esac
}

rp_in() { # AUTH-LINE...: as nobody, with what the file holds, with what we keep. 1: it lets none of them administer
  rp_client
  case $(rp_raw PING) in *'Could not connect'* | *'not found'* | '') echo "Redis does not answer" >&2; return 1 ;; esac
  rp_try '' && return 0
  _x=$(rd_last "$_rpc" requirepass); if [ -n "$_x" ]; then rp_try "AUTH $(rp_q "$_x")" && return 0; fi
  for _x in "$@"; do rp_try "$_x" && return 0; done
  echo "Redis lets nobody in who may administer it: neither what its file says nor what the vault keeps" >&2; return 1
}

# Places of a directive's value, in bytes, in the order in which they are read: v OFFSET LENGTH, i PATTERN
rp_awk='
BEGIN { at = 0 }
{
  s = $0; sub(/^[ \t]+/, "", s); o = length($0) - length(s); name = s; sub(/[ \t\r].*/, "", name)
  v = substr(s, length(name) + 1); o += length(name); t = v; sub(/^[ \t]+/, "", t); o += length(v) - length(t); sub(/[ \t\r]+$/, "", t)
  first = t; sub(/[ \t].*/, "", first); low = tolower(name)
  if (low == "include") print "i" t
  else if (low == ENVIRON["D"] && (ENVIRON["W"] == "" || first == ENVIRON["W"])) print "v" at + o "\t" length(t)
  at += length($0) + 1
}'
rp_places() { # FILE DIRECTIVE WORD [DEPTH]: FILE OFFSET LENGTH, tabs between
  [ "${4:-0}" -lt 8 ] && [ -f "$R$1" ] || return 0
  D=$2 W=$3 awk "$rp_awk" <"$R$1" | while IFS= read -r _line; do
    case $_line in
      v*) printf '%s\t%s\n' "$R$1" "${_line#v}" ;;
      i*) rd_match "${1%/*}" "${_line#i}" | while IFS= read -r _hit; do rp_places "$_hit" "$2" "$3" $((${4:-0} + 1)); done ;;
    esac
  done
}

rp_record() { # USER: where its password is kept: _rk user, requirepass or none; _rf file, _ro offset, _rz bytes
  _x=$(rd_last "$_rpc" aclfile)
  if [ -n "$_x" ]; then _x=$(rp_places "$_x" user "$1" | tail -n 1); else _x=$(rp_places "$_rpc" user "$1" | tail -n 1); fi
  _rk=user
  if [ -z "$_x" ] && [ "$1" = default ]; then _rk=requirepass; _x=$(rp_places "$_rpc" requirepass '' | tail -n 1); fi
  if [ -z "$_x" ]; then _rk=none; _rf=$R$_rpc; _ro=$(wc -c <"$_rf"); _rz=0; return 0; fi
  _rf=${_x%%	*}; _x=${_x#*	}; _ro=${_x%	*}; _rz=${_x#*	}
}
rp_kept() { tail -c +$((_ro + 1)) "$_rf" | head -c "$_rz"; } # what stands there

rp_rules() { # on, off or nothing; HASH or nothing: the user's line, otherwise as it is. Fails for one that is quoted
  rp_kept | W=$1 H=$2 awk '
    /["\047]/ { exit 1 }
    { out = $1
      for (i = 2; i <= NF; i++) {
        w = $i; l = tolower(w)
        if (ENVIRON["W"] != "" && (l == "on" || l == "off")) w = ENVIRON["W"]
        if (ENVIRON["H"] != "" && (w ~ /^[><#!]/ || l == "nopass" || l == "resetpass")) continue
        out = out " " w
      }
      if (ENVIRON["H"] != "") out = out " #" ENVIRON["H"]
      print out }' || { echo "its line in $_rf is quoted; write it without" >&2; return 1; }
}

rp_write() { # TEXT: as redis.conf reads it, bare where it may be
  case $1 in *[!A-Za-z0-9._~-]*) printf '"'; printf %s "$1" | sed 's/[\\"]/\\&/g'; printf '"' ;; *) printf %s "$1" ;; esac
}

rp_lasting() { # TEXT DO...: put TEXT where the record is, then DO; where that fails, all is as before
  _old=$(rp_kept; echo x); _old=${_old%x}; _new=$1; shift
  splice_one "$_rf" "$_ro" "$_rz" "$_new" || { echo "$_rf cannot be written" >&2; return 1; }
  "$@" && return 0
  splice_one "$_rf" "$_ro" "$(printf %s "$_new" | wc -c)" "$_old"; return 1
}

rp_config() { # KEY TEXT: of the server that runs, where no log of slow commands sees it
  _x=$(rd_config "$_rpc"); _set="$_x SET $1 $(rp_q "$2")"; _slow="$_x SET slowlog-log-slower-than"
  case $(rp_say 'INFO server' | sed -n 's/^redis_version:\([0-9]*\.[0-9]*\).*/\1/p') in
    [2-5].* | 6.0) # later ones hide it themselves
      _y=$(rp_say "$_x GET slowlog-log-slower-than" | sed -n 2p)
      _out=$(rp_say "$_slow -1" "$_set" "$_slow ${_y:-10000}" | sed -n 2p) ;;
    *) _out=$(rp_say "$_set") ;;
  esac
  [ "$_out" = OK ] || { echo "CONFIG SET $1 was refused" >&2; return 1; }
}
rp_hash() { rp_ok "ACL SETUSER $(rp_q "$1") resetpass #$2" || { echo "ACL SETUSER was refused" >&2; return 1; }; } # USER HASH
rp_pass() { # TEXT HASH: of the default user, by what the server has for it
  if [ -n "$(rd_config "$_rpc")" ]; then rp_config requirepass "$1"
  elif [ -n "$_rpn" ]; then rp_hash default "$2"
  else echo "its CONFIG command is taken away: nothing can be set without a restart" >&2; return 1; fi
}

rp_flags() { rp_say "ACL GETUSER $(rp_q "$1")" | awk '/^passwords$/ { exit } { print }'; } # USER
rp_hashes() { # USER: SHA-256 of every password with which the running server lets it in
  if [ -n "$_rpn" ]; then rp_say "ACL GETUSER $(rp_q "$1")" | awk '/^passwords$/ { p = 1; next } /^commands$/ { exit } p && /^[0-9a-f]+$/ { print }'
  else _x=$(rd_config "$_rpc"); _x=$(rp_say "$_x GET requirepass" | sed -n 2p); if [ -n "$_x" ]; then rp_sha "$_x"; fi; fi
}
rp_filed() { # SHA-256 of every password that the record holds
  case $_rk in
    requirepass) rp_sha "$(rd_last "$_rpc" requirepass)" ;;
    user) { rp_kept; echo; } | tr ' \t' '\n\n' | while IFS= read -r _x; do
      case $_x in \#*) printf '%s\n' "${_x#?}" ;; \>*) rp_sha "${_x#?}" ;; esac; done ;;
  esac
}
rp_both() { # HASH: the running server (_a) and its file (_b) hold it
  case $_a in *"$1"*) ;; *) return 1 ;; esac
  case $_b in *"$1"*) ;; *) return 1 ;; esac
}
rp_there() { # USER: the server knows it
  if [ -n "$_rpn" ]; then rp_say 'ACL USERS' | grep -qxF -e "$1"; else [ "$1" = default ]; fi || { echo "no such user of this Redis" >&2; return 4; }
}
rp_open() { # USER: nobody is asked for a password
  if [ -n "$_rpn" ]; then rp_flags "$1" | grep -qx nopass; else [ -z "$(rp_hashes default)" ]; fi
}
rp_copied() { # USER: programs of Redis' own log in with it: replicas, sentinels
  rp_say 'CLIENT LIST' | U=$1 awk '
    { u = "default"; f = n = ""; for (i = 1; i <= NF; i++) { if ($i ~ /^user=/) u = substr($i, 6); if ($i ~ /^flags=/) f = substr($i, 7); if ($i ~ /^name=/) n = substr($i, 6) }
      if (u == ENVIRON["U"] && (f ~ /S/ || n ~ /^sentinel-/)) found = 1 } END { exit !found }'
}

rp_set() { # USER TEXT HASH: 0; 4 with the reason: nothing was done
  rp_record "$1"
  case $_rk in
    user) _new=$(rp_rules '' "$3") && rp_lasting "$_new" rp_hash "$1" "$3" || return 4; return 0 ;;
    requirepass) _new=$(rp_write "$2") ;;
    none)
      [ "$1" = default ] || { echo "the running server alone knows it: ACL SAVE or CONFIG REWRITE first" >&2; return 4; }
      _new=; [ -z "$(tail -c 1 "$_rf")" ] || _new='
'; _new="${_new}requirepass $(rp_write "$2")
" ;;
  esac
  _was=$(rd_last "$_rpc" requirepass); _also=$(rd_last "$_rpc" masterauth); _role=$(rp_say 'INFO replication')
  rp_lasting "$_new" rp_pass "$2" "$3" || return 4
  # a replica's is its master's; a master's own copy, for the day on which it is none, goes along
  case $_role in *role:master*) [ -n "$_was" ] && [ "$_was" = "$_also" ] || return 0 ;; *) return 0 ;; esac
  _rpa="AUTH $(rp_q "$2")"; _x=$(rp_places "$_rpc" masterauth '' | tail -n 1)
  _rf=${_x%%	*}; _x=${_x#*	}; _ro=${_x%	*}; _rz=${_x#*	}
  rp_lasting "$(rp_write "$2")" rp_config masterauth "$2" || echo "masterauth stays as it was" >&2
  return 0
}

rp_sessions() { # USER: FROM SINCE WHAT; not our own
  _own=$(rp_say 'CLIENT ID' 'CLIENT LIST'); _now=$(date +%s)
  printf '%s\n' "$_own" | U=$1 NOW=$_now awk '
    NR == 1 { own = $0 }
    /^id=/ { u = "default"; for (i = 1; i <= NF; i++) { k = $i; sub(/=.*/, "", k); v[k] = substr($i, length(k) + 2) }
      if ("user" in v) u = v["user"]
      if (u == ENVIRON["U"] && v["id"] != own) { sub(/:[0-9]*$/, "", v["addr"]); print v["addr"] "\t" ENVIRON["NOW"] - v["age"] "\t" v["cmd"] } }' |
    while IFS='	' read -r _f _s _w; do printf '%s\t%s\t%s\n' "$_f" "$(date -d "@$_s" '+%Y-%m-%d %H:%M:%S')" "$_w"; done
}
rp_end() { # USER
  if [ -n "$_rpn" ]; then _x=$(rp_say "CLIENT KILL USER $(rp_q "$1") SKIPME yes")
  else _x=$(rp_say 'CLIENT KILL TYPE normal SKIPME yes' 'CLIENT KILL TYPE pubsub SKIPME yes'); fi
  case $_x in *[!0-9[:space:]]*) printf '%s\n' "$_x" | head -n 1 >&2; return 1 ;; esac
}
rp_off() { rp_ok "ACL SETUSER $(rp_q "$1") off"; } # USER
rp_lock() { # USER: nobody gets in with it, after a restart neither
  [ -n "$_rpn" ] || { echo "this Redis has no users that could be locked" >&2; return 4; }
  rp_record "$1"
  if [ $_rk = user ]; then _new=$(rp_rules off '') && rp_lasting "$_new" rp_off "$1"
  elif [ "$1" = default ] && [ -z "$(rd_last "$_rpc" aclfile)" ]; then # a user's line counts more than requirepass
    _rf=$R$_rpc; _ro=$(wc -c <"$_rf"); _rz=0; _new=; [ -z "$(tail -c 1 "$_rf")" ] || _new='
'
    rp_lasting "${_new}user default off
" rp_off "$1"
  else rp_off "$1"; fi
}
