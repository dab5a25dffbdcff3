# core.sh: transactions on a target. POSIX sh (dash, bash 4.2, busybox). Every script begins with it, and so does the
# undo that the target runs by itself. Set before: TX (id), TXROOT, and handles() (see `h`).
#
# TXROOT/lock              a symbolic link whose text is the id of the transaction that holds this target
# TXROOT/boot.sh           undoes at boot what nobody confirmed
# TXROOT/tx/ID/            one transaction: mode 0700
#   opening                who opens it (pid, start). One rename ends that, and whoever wins decides:
#     -> token             armed. Again one rename claims it:
#          -> claimed.agent   confirmed
#          -> claimed.undo    undoing; then pre.undone -> undone, or pre.broken -> broken
#     -> claimed.sweep     given up before anything was changed
#     -> oneway            what cannot be undone was begun; -> claimed.agent when it came to its end
#   writer                 pid, start, session of the shell that writes; while it is there something is left to tidy up
#   undo.sh                the whole undo, on its own
#   idle <-> busy.PID.START   who undoes this moment
#   N.was N.cap N.stage    of handle N: its state in words, its capture, a copy ready to be renamed into place
#   N.left                 its state in words as the transaction left it
#
# A redirection that fails ends a POSIX shell when it belongs to a special built-in such as `:`, so on a full disk
# `: >FILE || tidy` never tidies: files are made with `true >FILE`. What must not fail is a rename.
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

# --- processes: a pid comes again, a pid with its start and its boot does not ------------------------------------------
_since() { # PID: start in ticks and this boot's id; fails for one that is gone, or a zombie
  read -r _x 2>/dev/null <"/proc/$1/stat" || return 1
  _boot=-; read -r _boot 2>/dev/null </proc/sys/kernel/random/boot_id
  # shellcheck disable=SC2086 # the fields behind the name, which may hold anything
  set -- ${_x##*) }
  case $1 in Z | X) return 1 ;; esac
  echo "${20}@$_boot"
}
_alive() { [ -n "$1" ] && [ "$(_since "$1")" = "$2" ]; }
_owner() { # FILE: whether the process that it names lives
  read -r _p _s _x 2>/dev/null <"$1" && _alive "$_p" "$_s"
}
tx_mine() { # whether this very shell opened it
  read -r _p _x 2>/dev/null <"$D/opening" && [ "$_p" = "$_me" ]
}
tx_writing() { # armed, and this shell is the one that may write
  tx_live && read -r _p _x 2>/dev/null <"$D/writer" && [ "$_p" = "$_me" ]
}
_nap() { sleep 0.2 2>/dev/null || sleep 1; }

# --- the lock: making a symbolic link is atomic and carries the owner's name ---------------------------------------
tx_other() { # the id of another transaction that is armed, undoing or broken; fails when there is none
  for _t in "$TXROOT"/tx/*/token "$TXROOT"/tx/*/claimed.undo; do
    _o=${_t%/*}
    [ -e "$_t" ] && [ "$_o" != "$D" ] && [ ! -e "$_o/undone" ] || continue
    case $(tx_word "${_o##*/}") in armed | undoing | broken) echo "${_o##*/}"; return 0 ;; esac
  done
  return 1
}

tx_lock() { # 0: ours; 73: cannot be made; 75: another's, its id on standard output
  _try=0
  while [ $_try -lt 6 ]; do
    _try=$((_try + 1))
    if ln -s "$TX" "$TXROOT/lock" 2>/dev/null; then
      if tx_other; then rm -f "$TXROOT/lock"; return 75; fi
      return 0
    fi
    _o=$(readlink "$TXROOT/lock") || { _nap; continue; }
    case $(tx_word "$_o") in
      armed | undoing | broken) echo "$_o"; return 75 ;;
      unfinished) if _owner "$TXROOT/tx/$_o/writer"; then echo "$_o"; return 75; fi ;;
      opened) if _owner "$TXROOT/tx/$_o/opening"; then echo "$_o"; return 75; fi ;;
      *) # over: who held it is about to let go
        if [ $_try -lt 4 ]; then _nap; continue; fi ;;
    esac
    # left behind: taken away by a rename, so that only one of two finds it
    mv "$TXROOT/lock" "$TXROOT/stale.$TX" 2>/dev/null || continue
    if [ "$(readlink "$TXROOT/stale.$TX")" != "$_o" ]; then mv "$TXROOT/stale.$TX" "$TXROOT/lock"; else rm -f "$TXROOT/stale.$TX"; fi
  done
  [ -L "$TXROOT/lock" ] || { echo "cannot make $TXROOT/lock" >&2; return 73; }
  echo "${_o:-?}"; return 75
}

tx_unlock() { if [ "$(readlink "$TXROOT/lock" 2>/dev/null)" = "$TX" ]; then rm -f "$TXROOT/lock"; fi; }

tx_open() { # 0, 73 (cannot write), 75 (busy)
  [ ! -e "$D" ] || { echo "$TX was begun before" >&2; return 73; }
  mkdir -p "$TXROOT/tx" && chmod 700 "$TXROOT" "$TXROOT/tx" || return 73
  tx_sweep
  _x=$(_since "$_me"); _new=$TXROOT/tx/.new.$_me.$_x # its name says whose it is, from its first moment
  mkdir "$_new" && echo "$_me $_x" >"$_new/opening" && mv "$_new" "$D" || { rm -rf "$_new"; return 73; }
  tx_lock && return 0
  _x=$?; rm -rf "$D"; return $_x
}

_drop() { # it was claimed for sweeping: clear it away
  tx_disarm; tx_unstage
  mv "$D" "$TXROOT/tx/.gone.$TX" && rm -rf "$TXROOT/tx/.gone.$TX"
  tx_unlock; tx_tidy_boot
}
tx_drop() { # what was never armed: nothing was changed. Whoever opens it can arm it no more
  mv "$D/opening" "$D/claimed.sweep" 2>/dev/null || [ -e "$D/claimed.sweep" ] || return 1
  _drop
}
tx_abandon() { # by the shell that opened it and wrote nothing; where the timer has it by now, it is the timer's
  tx_drop || { mv "$D/token" "$D/claimed.sweep" 2>/dev/null && _drop; }
}

tx_sweep() { # what killed ones left: openings are taken away, what is over is tidied up, what cannot undo tries again
  rm -rf "$TXROOT"/tx/.gone.* "$TXROOT"/stale.*
  for _t in "$TXROOT"/tx/.new.*; do
    _x=${_t##*/.new.}; _alive "${_x%%.*}" "${_x#*.}" || rm -rf "$_t"
  done
  for _t in "$TXROOT"/tx/*/opening "$TXROOT"/tx/*/claimed.sweep; do
    [ ! -e "$_t" ] || _owner "$_t" || (D=${_t%/*}; TX=${D##*/}; tx_drop)
  done
  for _t in "$TXROOT"/tx/*/writer; do
    _o=${_t%/*}
    case $(tx_word "${_o##*/}") in confirmed | undone) [ ! -e "$_o/undo.sh" ] || /bin/sh "$_o/undo.sh" sweep >/dev/null 2>&1 ;; esac
  done
}

# --- handles -------------------------------------------------------------------------------------------------------
# `handles` calls `h N KIND ARG...` for each. A kind KIND is three functions:
#   h_KIND_print ARG...        the state in words, the same words for the same state; secrets may be in it
#   h_KIND_save CAP ARG...     keep what print does not hold (bytes) at CAP; print's words are in CAP.was already.
#                              It fails, saying why, for what could not be put back (chattr +i, a mount point)
#   h_KIND_restore CAP ARG...  put it back; doing it twice does no harm
# and may have
#   h_KIND_stage CAP STAGE ARG...  prepare so that restoring needs no room on a disk
#   h_KIND_sweep CAP ARG...        remove what a killed writer, or a restore that was killed, left beside it
#   h_KIND_paths ARG...            files and folders that must be on the disk before it counts as done
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
_h_sweep() { if _has "h_${_k}_sweep"; then (h_${_k}_sweep "$D/$_n.cap" "$@"); fi; }
_h_paths() { if _has "h_${_k}_paths"; then (h_${_k}_paths "$@"); fi; }
_h_moved() { # differs from what transaction D left
  if [ ! -e "$D/$_n.left" ]; then echo "$_n unknown $_k $*"; _bad=1
  elif (h_${_k}_print "$@") 2>/dev/null | cmp -s - "$D/$_n.left"; then echo "$_n kept $_k $*"
  elif _h_same "$@"; then echo "$_n back $_k $*"
  else echo "$_n moved $_k $*"; _bad=1; fi
}
client_address() { # the address that we came from: sudo keeps it from us, a process above us has it; empty when none does
  _c=${SSH_CONNECTION:-}; _p=$$; _t=0
  while [ -z "$_c" ] && [ "${_p:-1}" -gt 1 ] && [ $_t -lt 12 ]; do
    if grep -qs SSH_CONNECTION= "/proc/$_p/environ"; then
      _c=$(tr '\0' '\n' <"/proc/$_p/environ" 2>/dev/null | sed -n '/^SSH_CONNECTION=/{s///p;q;}')
    fi
    { read -r _x <"/proc/$_p/stat"; } 2>/dev/null || break
    _x=${_x##*) ? }; _p=${_x%% *}; _t=$((_t + 1))
  done
  echo "${_c%% *}"
}

_sum() { if [ -e "$1" ] && _x=$(sha256sum <"$1"); then echo "${_x%% *}"; else echo -; fi; }

tx_each() { # DO: 0 when no handle said otherwise
  _do=$1; _bad=0; handles; return $_bad
}

tx_capture() { tx_each capture && true >"$D/pre.undone" && true >"$D/pre.broken" && true >"$D/log"; }

tx_unstage() { # staged copies, also those that lie beside their files on another file system
  for _t in "$D"/*.stage; do
    [ -L "$_t" ] || continue
    _f=$(readlink "$_t"); case $_f in */.*."${D##*/}") rm -f "$_f" ;; esac
  done
  rm -f "$D"/*.stage
}

# --- on the disk, not only in memory: these files, not `sync`, which waits for everybody's writes ----------------------
_flush() { # paths on standard input, one a line
  _x=$(sort -u)
  # shellcheck disable=SC2086 # T: `timeout -k 2 30`, or nothing
  printf '%s\n' "$_x" | tr '\n' '\0' | ${T:-} xargs -0 sync -d 2>/dev/null && return 0
  printf '%s\n' "$_x" | while IFS= read -r _f; do # coreutils before 8.24
    [ -d "$_f" ] || ${T:-} dd if=/dev/null of="$_f" conv=notrunc,fsync 2>/dev/null || exit 1
  done
}
tx_flush_journal() {
  { find "$D" -type f; echo "$D"; echo "$TXROOT/tx"; echo "$TXROOT"; echo "$TXROOT/boot.sh"; tx_boot_paths
    for _t in "$D"/*.stage; do
      [ -L "$_t" ] && _f=$(readlink "$_t") && case $_f in */.*."$TX") echo "$_f"; echo "${_f%/*}/" ;; esac
    done; } | _flush
}

# --- what cannot be undone: begun and ended, so that a kill in between is told ----------------------------------------
tx_oneway() { echo "$_me $(_since "$_me") -" >"$D/writer" && mv "$D/opening" "$D/oneway" && echo "$D" | _flush; }
tx_ended() { mv "$D/oneway" "$D/claimed.agent" && { tx_unstage; rm -f "$D/writer"; tx_unlock; }; }

# --- the two ways out ------------------------------------------------------------------------------------------------
tx_finish() { # it is over: nothing that it needed stays
  tx_disarm; tx_unstage; tx_each sweep
  tx_tidy_boot; tx_unlock
  rm -f "$D"/busy.* "$D/idle" "$D/proof" "$D/writer"
}

tx_confirm() { # over the fresh connection only. 0: confirmed; 1: too late, an undo has it
  trap : PIPE HUP # the connection may go at any moment; what was begun here is ended
  tx_each paths | _flush
  mv "$D/token" "$D/claimed.agent" 2>/dev/null || [ -e "$D/claimed.agent" ] || { tx_word "$TX"; return 1; }
  printf '%s\n' "$D/claimed.agent" "$D" | _flush # else a power cut would take back what we are about to say
  tx_finish
  echo confirmed
}

tx_log() { echo "$(date -u +%Y-%m-%dT%H:%M:%SZ) $*" 2>/dev/null >>"$D/log" || true; }

_end_writer() { # whoever still writes must not write on: stopped first, so that it starts nothing more, then killed
  read -r _p _s _g 2>/dev/null <"$D/writer" || return 0
  [ "$_p" != "$_me" ] && _alive "$_p" "$_s" || return 0
  kill -STOP "$_p" 2>/dev/null
  _all=" $_p "; _more=1
  while [ -n "$_more" ]; do
    _more=
    for _t in /proc/[0-9]*/stat; do
      read -r _x 2>/dev/null <"$_t" || continue
      _c=${_x%% *}
      # shellcheck disable=SC2086 # fields behind the name: state, parent, group, session
      set -- ${_x##*) }
      [ "$4" = "$_g" ] && [ "$_c" != "$_me" ] || continue
      case $_all in *" $_c "*) continue ;; *" $2 "*) ;; *) continue ;; esac
      kill -STOP "$_c" 2>/dev/null; _all="$_all$_c "; _more=1
    done
  done
  # shellcheck disable=SC2086 # several
  kill -9 $_all 2>/dev/null
  _t=0; while _alive "$_p" "$_s" && [ $_t -lt 15 ]; do _t=$((_t + 1)); _nap; done
}

_take() { # one undoes at a time. Its name says who: taking over from a dead one is one rename. 1: it is undone meanwhile
  _mine=$D/busy.$_me.$(_since "$_me")
  _t=0
  while [ $_t -lt 120 ]; do
    mv "$D/idle" "$_mine" 2>/dev/null && return 0
    for _b in "$D"/busy.*; do
      [ -e "$_b" ] || continue
      [ "$_b" != "$_mine" ] || return 0
      _p=${_b##*/busy.}
      _alive "${_p%%.*}" "${_p#*.}" || { mv "$_b" "$_mine" 2>/dev/null && return 0; }
    done
    [ ! -e "$D/undone" ] || return 1
    _t=$((_t + 1)); sleep 1
  done
  mv "$_b" "$_mine" 2>/dev/null # it hangs; putting back twice does no harm
  return 0
}
_release() { mv "$_mine" "$D/idle" 2>/dev/null; }

tx_undo() { # $1: early, late, or who asks. Run again after a kill or a reboot it goes on where it stood
  cd / || return 1
  trap : PIPE HUP
  mv "$D/token" "$D/claimed.undo" 2>/dev/null || true
  case $(tx_word "$TX") in
    opened) tx_drop; tx_word "$TX"; return 0 ;;
    confirmed | undone) [ "${1:-}" = early ] || tx_finish; tx_word "$TX"; return 0 ;;
    undoing | broken) ;;
    *) tx_word "$TX"; return 0 ;;
  esac
  _take || { echo undone; return 0; }
  _log=/dev/null; if true 2>/dev/null >>"$D/log"; then _log=$D/log; fi
  tx_log "undo: ${1:-timer}"
  _end_writer
  if [ "${1:-}" = early ]; then { tx_each early; tx_each sweep; } >>"$_log" 2>&1; _release; return 0; fi
  _t=0
  while :; do
    _done=1
    { tx_each restore; tx_each sweep; (acts) || { echo "acts failed"; _done=; }; } >>"$_log" 2>&1
    _said=$(tx_each proof) || _done=
    _t=$((_t + 1))
    [ -z "$_done" ] && [ $_t -lt 3 ] || break
    sleep 1
  done
  if [ -z "$_done" ] && printf '%s\n' "$_said" | grep -q ' differs '; then
    mv "$D/pre.broken" "$D/broken" 2>/dev/null; _release; tx_log broken
    printf '%s\n' "$_said" | grep ' differs '; echo broken; return 1
  fi
  [ -n "$_done" ] || echo "everything is put back, but applying it failed: see $D/log"
  tx_each paths | _flush
  mv "$D/pre.undone" "$D/undone" 2>/dev/null || true 2>/dev/null >"$D/undone"
  rm -f "$D/broken"; echo "$D" | _flush
  tx_log undone; tx_finish; echo undone; return 0
}
