# arm.sh: what undoes a transaction when nobody confirms it: a timer, and after a reboot two units.
# $ARM: methods, tried in order. $TTL: seconds. undo.sh lies there before the first timer runs; a timer that comes before
# the token claims `opening`, so that what was too slow is never armed.

_by_systemd() { # again every half minute, should it be killed or not succeed
  [ -d /run/systemd/system ] && _has systemd-run || return 1
  systemd-run --unit="secops-undo-$TX" --on-active="$TTL" --on-unit-inactive=30 --timer-property=AccuracySec=1s \
    /bin/sh "$D/undo.sh" >/dev/null 2>&1 || return 1
  systemctl is-active -q "secops-undo-$TX.timer"
}
_by_at() { # its clock has minutes only: it comes up to a minute early, and keep waits for the rest
  _has at && { pgrep -x atd >/dev/null 2>&1 || pidof atd >/dev/null 2>&1; } || return 1
  _until=$(($(date +%s) + TTL))
  _x=now; [ "$TTL" -lt 60 ] || _x="now + $((TTL / 60)) minutes"
  # shellcheck disable=SC2086 # words
  _j=$(echo "/bin/sh '$D/undo.sh' until $_until" | at $_x 2>&1 | sed -n 's/^job \([0-9]*\) .*/\1/p')
  [ -n "$_j" ] && echo "$_j" >"$D/job" || return 1
  _t=0
  until at -l | grep -q "^${_j}[[:space:]]" || [ -s "$D/sleeper" ]; do _t=$((_t + 1)); [ $_t -lt 15 ] || return 1; _nap; done
}
_by_nohup() { # a session of its own, as setsid makes it, outlives the login, unless logind ends all that a login began
  if [ -d /run/systemd/system ] && grep -qsiE '^[[:space:]]*KillUserProcesses[[:space:]]*=[[:space:]]*(yes|true|on|1)' /etc/systemd/logind.conf /etc/systemd/logind.conf.d/*.conf; then return 1; fi
  _s='nohup'; if _has setsid; then _s='setsid'; fi
  $_s /bin/sh "$D/undo.sh" keep "$TTL" </dev/null >/dev/null 2>&1 &
  _t=0; while [ ! -s "$D/sleeper" ] && [ $_t -lt 15 ]; do _t=$((_t + 1)); _nap; done
  _owner "$D/sleeper"
}

tx_keep() { # SECONDS: wait, undo, and try again until it is over
  trap : HUP; cd / || return 1
  echo "$_me $(_since "$_me")" >"$D/sleeper.new" && mv "$D/sleeper.new" "$D/sleeper"
  sleep "$1"
  while :; do
    /bin/sh "$D/undo.sh" timer
    case $(tx_word "$TX") in opened | armed | undoing | broken) sleep 30 ;; *) return 0 ;; esac
  done
}
tx_until() { # EPOCH: the same; a clock that was set meanwhile delays it by two minutes at most
  _x=$(($1 - $(date +%s))); if [ $_x -gt 120 ]; then _x=120; elif [ $_x -lt 0 ]; then _x=0; fi
  tx_keep $_x
}

tx_arm() { # before: undo.sh. After: the timer runs, all is on the disk, and nobody else is armed here
  tx_mine && [ -s "$D/undo.sh" ] || return 1
  # shellcheck disable=SC2046 # fields
  echo "$_me $(_since "$_me") $(set -- $(sed 's/.*) //' "/proc/$_me/stat"); echo "$4")" >"$D/writer" && true >"$D/idle" || return 1
  tx_boot_unit || { echo "cannot write $_BOOT" >&2; return 1; }
  _by=
  for _m in ${ARM:-systemd-run at nohup}; do
    echo "$_m" >>"$D/by" || return 1
    case $_m in systemd-run) _by_systemd ;; at) _by_at ;; nohup) _by_nohup ;; *) false ;; esac && { _by=$_m; break; }
  done
  [ -n "$_by" ] || { echo "no timer can be had here" >&2; return 1; }
  mv "$D/opening" "$D/token" || { echo "the timer was there first: this was too slow" >&2; return 1; }
  tx_boot_unit && tx_flush_journal || { echo "cannot be made durable" >&2; return 1; }
  if _x=$(tx_other); then echo "$_x armed at the same moment" >&2; return 1; fi
  echo "armed $_by $TTL"
}

tx_disarm() { # the timers that were tried; harmless where one has fired
  while read -r _m; do
    case $_m in
      systemd-run) systemctl stop "secops-undo-$TX.timer" >/dev/null 2>&1; [ ! -e "$D/broken" ] || systemctl reset-failed "secops-undo-$TX.service" >/dev/null 2>&1 ;;
      at) [ ! -s "$D/job" ] || { read -r _j <"$D/job" && atrm "$_j" >/dev/null 2>&1; } ;;
    esac
  done 2>/dev/null <"$D/by"
  if _owner "$D/sleeper" && [ "$_p" != "$_me" ]; then # with its `sleep`, unless we run in it: then it ends by itself
    read -r _x 2>/dev/null <"/proc/$_me/stat"
    # shellcheck disable=SC2086 # fields: state, parent, group
    set -- ${_x##*) }
    [ "$3" = "$_p" ] || [ "$2" = "$_p" ] || kill -- "-$_p" 2>/dev/null || kill "$_p" 2>/dev/null
  fi
  :
}

# --- after a reboot no timer is left: two units undo, one early (files, before anything reads them), one when all is up --
_BOOT=/etc/systemd/system
_CRON=/etc/cron.d
_boot_text() { # early or late
  echo "[Unit]"
  echo "Description=Undo changes that nobody confirmed ($1)"
  echo "RequiresMountsFor=$TXROOT"
  if [ "$1" = early ]; then
    echo "DefaultDependencies=no"; echo "After=local-fs.target"; echo "Conflicts=shutdown.target"
    echo "Before=sysinit.target network-pre.target ssh.service sshd.service ssh.socket sshd.socket nftables.service iptables.service ip6tables.service firewalld.service ufw.service netfilter-persistent.service shutdown.target"
    echo "[Service]"; echo "Type=oneshot"; echo "TimeoutStartSec=90"
  else # simple: a target that waited for it while it waits for a unit behind that target would hang
    echo "After=secops-undo-early.service ssh.service sshd.service mariadb.service mysql.service mysqld.service postgresql.service redis-server.service nginx.service auditd.service"
    echo "[Service]"; echo "Type=simple"
  fi
  echo "ExecStart=/bin/sh $TXROOT/boot.sh $1"
}
_made() { # FOLDER: make it, and note that it is ours
  [ -d "$1" ] || { (umask 022; mkdir -p "$1") && echo "$1" >>"$TXROOT/made"; }
}
tx_boot_unit() {
  # shellcheck disable=SC2016 # for the script that is written
  { printf 'for d in %s/tx/*/; do\n' "'$TXROOT'"
    echo '  d=${d%/}; [ -e "$d/undo.sh" ] || continue'
    echo '  if [ -e "$d/token" ] || [ -e "$d/opening" ] || [ -e "$d/writer" ]; then /bin/sh "$d/undo.sh" "$1"; fi'
    echo 'done'
  } >"$TXROOT/boot.sh.new" && mv -f "$TXROOT/boot.sh.new" "$TXROOT/boot.sh" || return 1
  if [ ! -d /run/systemd/system ]; then
    [ ! -d "$_CRON" ] || { echo "@reboot root /bin/sh $TXROOT/boot.sh late" >"$_CRON/secops-undo" && chmod 644 "$_CRON/secops-undo"; } || return 1
    return 0
  fi
  _made "$_BOOT/multi-user.target.wants" || return 1
  for _w in early late; do
    _u=secops-undo-$_w.service
    [ -s "$_BOOT/$_u" ] && [ -L "$_BOOT/multi-user.target.wants/$_u" ] && continue
    _boot_text $_w >"$_BOOT/.$_u" && chmod 644 "$_BOOT/.$_u" && mv -f "$_BOOT/.$_u" "$_BOOT/$_u" &&
      ln -sf "$_BOOT/$_u" "$_BOOT/multi-user.target.wants/$_u" || return 1
  done
}
tx_boot_paths() { # what of it must be on the disk
  for _f in "$_BOOT/secops-undo-early.service" "$_BOOT/secops-undo-late.service" "$_BOOT" "$_BOOT/multi-user.target.wants" "$_CRON/secops-undo"; do
    if [ -e "$_f" ]; then echo "$_f"; fi
  done
}

_needed() { # whether a transaction here may need the units
  for _t in "$TXROOT"/tx/*/token "$TXROOT"/tx/*/claimed.undo "$TXROOT"/tx/*/opening; do
    [ -e "$_t" ] || continue
    case $_t in
      */opening) if _owner "$_t"; then return 0; fi ;;
      *) [ -e "${_t%/*}/undone" ] || return 0 ;;
    esac
  done
  return 1
}
tx_tidy_boot() { # take the units away when no transaction needs them; who came meanwhile gets them back
  _needed && return 0
  for _w in early late; do
    rm -f "$_BOOT/multi-user.target.wants/secops-undo-$_w.service" "$_BOOT/secops-undo-$_w.service" "$_BOOT/.secops-undo-$_w.service"
  done
  rm -f "$_CRON/secops-undo"
  while IFS= read -r _x; do rmdir "$_x"; done 2>/dev/null <"$TXROOT/made"
  rm -f "$TXROOT/made"
  if _needed; then tx_boot_unit; fi
  :
}
