# core.sh: transactions on a target. POSIX sh (dash, bash 4.2, busybox). Every script begins with it, and so does the
# undo that the target runs by itself. Set before: TX (id), TXROOT, and handles() (see `h`).
#
# TXROOT/lock              a symbolic link whose text is the id of the transaction that holds this target
# TXROOT/boot.sh           undoes at boot what nobody confirmed
# TXROOT/tx/ID/            one transaction: mode 0700
#   token                  made at arming. One rename claims it: whoever wins decides
#     -> claimed.agent     confirmed
#     -> claimed.undo      undoing; then pre.undone -> undone, or pre.broken -> broken
#   undo.sh                the whole undo, on its own
#   N.was N.cap N.stage    of handle N: its state in words, its capture, a copy ready to be renamed into place
#   N.left                 its state in words as the transaction left it
D=$TXROOT/tx/$TX
_me=$$

tx_word() { # how transaction $1 stands
  _d=$TXROOT/tx/$1
  if [ ! -d "$_d" ]; then echo absent
  elif [ -e "$_d/undone" ]; then echo undone
  elif [ -e "$_d/broken" ]; then echo broken
  elif [ -e "$_d/claimed.undo" ]; then echo undoing
  elif [ -e "$_d/claimed.agent" ]; then echo confirmed
  elif [ -e "$_d/token" ]; then echo armed
  elif [ -e "$_d/oneway" ]; then echo unfinished
  else echo opened; fi
}

tx_live() { [ -e "$D/token" ]; }

# --- the lock: making a symbolic link is atomic and carries the owner's name ---------------------------------------
tx_lock() { # 0: ours; 75: another's, its id on standard output
  _try=0
  while [ $_try -lt 3 ]; do
    _try=$((_try + 1))
    if ln -s "$TX" "$TXROOT/lock" 2>/dev/null; then
      for _t in "$TXROOT"/tx/*/token "$TXROOT"/tx/*/claimed.undo; do
        _o=${_t%/*}; _o=${_o##*/}
        [ -e "$_t" ] && [ "$_o" != "$TX" ] || continue
        case $(tx_word "$_o") in armed|undoing|broken) rm -f "$TXROOT/lock"; echo "$_o"; return 75 ;; esac
      done
      return 0
    fi
    _o=$(readlink "$TXROOT/lock") || continue
    [ "$_o" = "$TX" ] && return 0
    case $(tx_word "$_o") in
      armed|undoing|broken) echo "$_o"; return 75 ;;
      unfinished) if kill -0 "$(cat "$TXROOT/tx/$_o/writer" 2>/dev/null)" 2>/dev/null; then echo "$_o"; return 75; fi ;;
      absent|opened) # begun and not armed: perhaps at work this moment
        _age=$(find "$TXROOT/lock" -prune -mmin +5 2>/dev/null)
        [ -n "$_age" ] || { echo "$_o"; return 75; } ;;
    esac
    # settled, or left behind: taken away by a rename, so that only one of two finds it
    mv "$TXROOT/lock" "$TXROOT/stale.$TX" 2>/dev/null || continue
    if [ "$(readlink "$TXROOT/stale.$TX")" != "$_o" ]; then mv "$TXROOT/stale.$TX" "$TXROOT/lock"; else rm -f "$TXROOT/stale.$TX"; fi
  done
  echo "${_o:-?}"; return 75
}

tx_unlock() { if [ "$(readlink "$TXROOT/lock" 2>/dev/null)" = "$TX" ]; then rm -f "$TXROOT/lock"; fi; }

tx_open() { # 0, 73 (cannot write), 75 (busy)
  mkdir -p "$TXROOT/tx" && chmod 700 "$TXROOT" "$TXROOT/tx" || return 73
  tx_lock || return 75
  mkdir "$D" 2>/dev/null || { tx_unlock; return 73; }
}

tx_abandon() { # nothing was changed yet
  rm -rf "$D"; tx_unlock; tx_tidy_boot
}

# --- handles -------------------------------------------------------------------------------------------------------
# `handles` calls `h N KIND ARG...` for each. A kind KIND is three functions:
#   h_KIND_print ARG...        the state in words, the same words for the same state; secrets may be in it
#   h_KIND_save CAP ARG...     keep what print does not hold (bytes) at CAP; print's words are in CAP.was already
#   h_KIND_restore CAP ARG...  put it back; doing it twice does no harm
# and may have h_KIND_stage CAP STAGE ARG...: prepare so that restoring needs no room on a disk.
# Each runs in a subshell: its variables are its own.
_only=
h() {
  _n=$1; _k=$2; shift 2
  [ -z "$_only" ] || case " $_only " in *" $_n "*) ;; *) return 0 ;; esac
  "_h_$_do" "$@"
}
_has() { type "$1" >/dev/null 2>&1; }

_h_capture() {
  (h_${_k}_print "$@") >"$D/$_n.was" || { echo "cannot read $_k $*" >&2; _bad=1; return; }
  cp "$D/$_n.was" "$D/$_n.cap.was" && (h_${_k}_save "$D/$_n.cap" "$@") || { echo "cannot capture $_k $*" >&2; _bad=1; return; }
  if _has "h_${_k}_stage"; then (h_${_k}_stage "$D/$_n.cap" "$D/$_n.stage" "$@") || { echo "cannot stage $_k $*" >&2; _bad=1; }; fi
}
_h_same() { (h_${_k}_print "$@") 2>/dev/null | cmp -s - "$D/$_n.was"; }
_h_restore() {
  _h_same "$@" && return 0
  (h_${_k}_restore "$D/$_n.cap" "$@") || { echo "cannot restore $_k $*" >&2; _bad=1; }
}
_h_early() { case $_k in file|meta|links) _h_restore "$@" ;; esac; }
_h_proof() { if _h_same "$@"; then echo "$_n same"; else echo "$_n differs $_k $*"; _bad=1; fi; }
_h_left() { (h_${_k}_print "$@") >"$D/$_n.left.new" 2>/dev/null && mv -f "$D/$_n.left.new" "$D/$_n.left" || { echo "cannot read again $_k $*" >&2; _bad=1; }; }
_h_digest() { echo "$_n $(_sum "$D/$_n.was") $(_sum "$D/$_n.left")"; }
_h_moved() { # differs from what transaction D left
  if [ ! -e "$D/$_n.left" ]; then echo "$_n unknown $_k $*"; _bad=1
  elif (h_${_k}_print "$@") 2>/dev/null | cmp -s - "$D/$_n.left"; then echo "$_n kept $_k $*"
  elif _h_same "$@"; then echo "$_n back $_k $*"
  else echo "$_n moved $_k $*"; _bad=1; fi
}
_sum() { if [ -e "$1" ]; then sha256sum <"$1" | cut -c1-64; else echo -; fi; }

tx_each() { # DO: 0 when no handle said otherwise
  _do=$1; _bad=0; handles; return $_bad
}

tx_capture() { tx_each capture && : >"$D/pre.undone" && : >"$D/pre.broken" && : >"$D/log"; }

# --- arming --------------------------------------------------------------------------------------------------------
# $ARM: methods, tried in order. $TTL: seconds. undo.sh lies there and is durable before the first timer runs.
tx_arm() {
  _start=$(cut -d' ' -f22 "/proc/$_me/stat" 2>/dev/null); _pg=$(cut -d' ' -f5 "/proc/$_me/stat" 2>/dev/null)
  echo "$_me $_start $_pg" >"$D/writer" || return 1
  tx_boot_unit || return 1
  sync "$D"/* "$D" "$TXROOT/boot.sh" >/dev/null 2>&1 || :
  _by=
  for _m in ${ARM:-systemd-run at nohup}; do
    case $_m in
      systemd-run)
        [ -d /run/systemd/system ] && _has systemd-run || continue
        systemd-run --unit="secops-undo-$TX" --on-active="$TTL" --timer-property=AccuracySec=1s \
          /bin/sh "$D/undo.sh" >/dev/null 2>&1 || continue
        systemctl is-active -q "secops-undo-$TX.timer" || continue ;;
      at)
        _has at && { pgrep -x atd >/dev/null 2>&1 || pidof atd >/dev/null 2>&1; } || continue
        _j=$(echo "/bin/sh '$D/undo.sh' at" | at now + $(((TTL + 59) / 60)) minutes 2>&1 | sed -n 's/^job \([0-9]*\) .*/\1/p')
        [ -n "$_j" ] && at -l | grep -q "^$_j[[:space:]]" || continue
        echo "$_j" >"$D/job" ;;
      nohup)
        # shellcheck disable=SC2016
        setsid sh -c 'trap "" HUP; echo $$ >"$2/sleeper"; sleep "$1"; exec /bin/sh "$2/undo.sh"' sh "$TTL" "$D" </dev/null >/dev/null 2>&1 &
        _t=0; while [ ! -s "$D/sleeper" ] && [ $_t -lt 20 ]; do _t=$((_t + 1)); sleep 0.1 2>/dev/null || sleep 1; done
        [ -s "$D/sleeper" ] && kill -0 "$(cat "$D/sleeper")" 2>/dev/null || continue ;;
    esac
    _by=$_m; break
  done
  [ -n "$_by" ] && echo "$_by" >"$D/by" && : >"$D/token" || { tx_disarm; return 1; }
  echo "armed $_by $TTL"
}

tx_disarm() { # the timers, whichever there are; harmless where one has fired
  case $(cat "$D/by" 2>/dev/null) in
    systemd-run) systemctl stop "secops-undo-$TX.timer" >/dev/null 2>&1 ;;
    at) [ -s "$D/job" ] && atrm "$(cat "$D/job")" >/dev/null 2>&1 ;;
    nohup) _p=$(cat "$D/sleeper" 2>/dev/null); if [ -n "$_p" ] && [ "$_p" != "$_me" ] && grep -q "$TX" "/proc/$_p/cmdline" 2>/dev/null; then kill "$_p" 2>/dev/null; fi ;;
  esac
  :
}

# --- after a reboot no timer is left: two units undo, one early (files, before sshd reads them), one when all is up ---
_BOOT=/etc/systemd/system
tx_boot_unit() {
  cat >"$TXROOT/boot.sh.new" <<EOF && mv -f "$TXROOT/boot.sh.new" "$TXROOT/boot.sh" || return 1
for d in "$TXROOT"/tx/*/; do
  d=\${d%/}
  if [ -e "\$d/token" ] || [ -e "\$d/claimed.undo" ] && [ ! -e "\$d/undone" ]; then /bin/sh "\$d/undo.sh" "\$1"; fi
done
EOF
  [ -d /run/systemd/system ] || return 0
  for _w in early late; do
    _u=secops-undo-$_w.service
    [ -e "$_BOOT/$_u" ] && [ -L "$_BOOT/multi-user.target.wants/$_u" ] && continue
    mkdir -p "$_BOOT/multi-user.target.wants" &&
    { echo "[Unit]"
      echo "Description=Undo changes that nobody confirmed ($_w)"
      echo "RequiresMountsFor=$TXROOT"
      if [ $_w = early ]; then
        echo "DefaultDependencies=no"; echo "After=local-fs.target"
        echo "Before=ssh.service sshd.service network-pre.target shutdown.target"; echo "Conflicts=shutdown.target"
      else
        echo "After=secops-undo-early.service ssh.service sshd.service mariadb.service mysql.service mysqld.service postgresql.service redis-server.service nginx.service auditd.service"
      fi
      echo "[Service]"; echo "Type=oneshot"; echo "ExecStart=/bin/sh $TXROOT/boot.sh $_w"
    } >"$_BOOT/$_u" && chmod 644 "$_BOOT/$_u" && ln -sf "$_BOOT/$_u" "$_BOOT/multi-user.target.wants/$_u" || return 1
  done
}

tx_tidy_boot() { # take the units away when no transaction here needs them
  for _d in "$TXROOT"/tx/*/; do
    _d=${_d%/}; [ -d "$_d" ] || continue
    case $(tx_word "${_d##*/}") in armed|undoing|broken) return 0 ;; esac
  done
  for _w in early late; do
    rm -f "$_BOOT/multi-user.target.wants/secops-undo-$_w.service" "$_BOOT/secops-undo-$_w.service"
  done
}

# --- what cannot be undone: begun and ended, so that a kill in between is told ----------------------------------------
tx_oneway() { : >"$D/oneway" && echo "$_me" >"$D/writer"; }
tx_ended() { mv "$D/oneway" "$D/claimed.agent" && tx_unlock; }

# --- the two ways out ------------------------------------------------------------------------------------------------
tx_confirm() { # over the fresh connection only. 0: confirmed; 1: too late, an undo has it
  mv "$D/token" "$D/claimed.agent" 2>/dev/null || [ -e "$D/claimed.agent" ] || { tx_word "$TX"; return 1; }
  tx_disarm; rm -f "$D"/*.stage "$D/writer"; tx_tidy_boot; tx_unlock
  echo confirmed
}

tx_log() { echo "$(date -u +%Y-%m-%dT%H:%M:%SZ) $*" >>"$D/log" 2>/dev/null || :; }

_end_writer() { # whoever still writes must not write on; its own process group, if it has one
  read -r _p _s _g <"$D/writer" 2>/dev/null || return 0
  [ "$_p" != "$_me" ] && [ "$(cut -d' ' -f22 "/proc/$_p/stat" 2>/dev/null)" = "$_s" ] || return 0
  [ "$_g" = "$(cut -d' ' -f5 "/proc/$_me/stat" 2>/dev/null)" ] || kill -9 "-$_g" 2>/dev/null
  kill -9 "$_p" 2>/dev/null; :
}

tx_undo() { # $1: early, late, or who asks. Run again after a kill or a reboot it goes on where it stood
  cd /
  mv "$D/token" "$D/claimed.undo" 2>/dev/null || [ -e "$D/claimed.undo" ] || { tx_word "$TX"; return 0; }
  [ ! -e "$D/undone" ] || { echo undone; return 0; }
  _t=0
  until ln -s "$_me" "$D/undoing" 2>/dev/null; do # one at a time; a dead one's place is taken
    _p=$(readlink "$D/undoing")
    if [ "$_p" = "$_me" ] || ! kill -0 "$_p" 2>/dev/null || ! grep -qsE "undo|$TX|sh" "/proc/$_p/cmdline"; then rm -f "$D/undoing"; continue; fi
    _t=$((_t + 1)); [ $_t -lt 120 ] || { tx_word "$TX"; return 1; }
    sleep 1; [ ! -e "$D/undone" ] || { echo undone; return 0; }
  done
  tx_log "undo: ${1:-timer}"
  _end_writer
  if [ "${1:-}" = early ]; then tx_each early; rm -f "$D/undoing"; return 0; fi
  _t=0
  while :; do
    tx_each restore 2>>"$D/log"; acts 2>>"$D/log" || :
    if tx_each proof >"$D/proof" 2>/dev/null; then break; fi
    _t=$((_t + 1)); [ $_t -lt 3 ] || break
    sleep 1
  done
  if tx_each proof >/dev/null; then
    rm -f "$D/broken"; mv "$D/pre.undone" "$D/undone" 2>/dev/null || : >"$D/undone"
    tx_log undone; tx_disarm; rm -f "$D"/*.stage "$D/undoing"; tx_tidy_boot; tx_unlock; echo undone; return 0
  fi
  mv "$D/pre.broken" "$D/broken" 2>/dev/null; rm -f "$D/undoing"; tx_log broken
  tx_each proof | grep differs; echo broken; return 1
}

# --- acts ------------------------------------------------------------------------------------------------------------
_systemd() { [ -d /run/systemd/system ]; }
act_reload() { # UNIT: reload a running unit; start one that died of what we wrote
  _systemd || { service "${1%.service}" reload; return; }
  systemctl is-active -q "$1" || { systemctl is-enabled -q "$1" 2>/dev/null || return 0; systemctl reset-failed "$1" 2>/dev/null; systemctl start "$1"; return; }
  systemctl reload "$1" 2>/dev/null || systemctl reload-or-restart "$1"
}
act_restart() { # UNIT: restart what runs, or died of what we wrote
  _systemd || { service "${1%.service}" restart; return; }
  systemctl is-active -q "$1" || systemctl is-enabled -q "$1" 2>/dev/null || return 0
  systemctl reset-failed "$1" 2>/dev/null; systemctl restart "$1"
}
act_daemon_reload() { if _systemd; then systemctl daemon-reload; fi; }
