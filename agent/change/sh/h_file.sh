# file PATH: bytes, mode, owner, label, times; or that it is not there. PATH is no link (the resource follows links).
h_file_print() {
  if [ -L "$1" ]; then echo "link $(readlink "$1")"
  elif [ -f "$1" ]; then
    _l=$(stat -c '%a %u:%g %C' "$1" 2>/dev/null) || _l=$(stat -c '%a %u:%g -' "$1") || return 1
    case $_l in *' ?' | *' %C' | *' C') _l="${_l% *} -" ;; esac
    _x=$(_sum "$1"); [ "$_x" != - ] || return 1
    echo "file $_l $_x $(_acl "$1")"
  elif [ -e "$1" ]; then echo "other $(stat -c '%F' "$1")"; return 1
  else echo absent; fi
}
_acl() { if _has getfacl; then getfacl -cnp "$1" 2>/dev/null | grep -E '^(default:|user:[0-9]|group:[0-9]|mask)' | tr '\n' ' '; fi; }
_mutable() { # PATH: root may change it. Its own mode is set again, which chattr +i, +a and a read-only file system forbid
  _x=$(stat -c %a "$1") && chmod "$_x" "$1" 2>/dev/null || { echo "$1 cannot be changed: immutable (lsattr), or its file system is read-only" >&2; return 1; }
}
h_file_save() {
  _f=${2%/*}; while [ -n "$_f" ] && [ ! -d "$_f" ]; do _f=${_f%/*}; done
  _mutable "${_f:-/}" || return 1
  if [ -L "$2" ]; then cp -a "$2" "$1"
  elif [ -e "$2" ]; then
    if grep -qsF " $2 " /proc/self/mountinfo; then echo "$2 is a mount point: nothing can be renamed onto it" >&2; return 1; fi
    _mutable "$2" && cp -a "$2" "$1" || return 1
    read -r _x <"$1.was"
    case "$_x " in *" $(_sum "$1") "*) ;; *) echo "$2 changes while it is read" >&2; return 1 ;; esac
  else # folders that the change will make: the undo removes them
    _f=${2%/*}; while [ -n "$_f" ] && [ ! -d "$_f" ]; do echo "$_f"; _f=${_f%/*}; done >"$1.dirs"
  fi
}
h_file_stage() { # a second copy on the file's own file system: restoring is a rename, which a full disk allows
  [ -e "$1" ] || [ -L "$1" ] || return 0
  if [ "$(stat -c '%d %m' "$D")" = "$(stat -c '%d %m' "${3%/*}/")" ]; then cp -a "$1" "$2"
  else # the link first: what it names is found, and removed, whatever happens
    _f=${3%/*}/.${3##*/}.$TX; rm -f "$_f"; ln -s "$_f" "$2" && cp -a "$1" "$_f"
  fi
}
h_file_restore() {
  if [ ! -e "$1" ] && [ ! -L "$1" ]; then
    rm -f "$2"; return
  fi
  [ -d "${2%/*}/" ] || (umask 022; mkdir -p "${2%/*}")
  if [ -d "$2" ] && [ ! -L "$2" ]; then mv "$2" "$2.secops-$TX" # a rename would go into it
  elif [ -L "$2" ] && { [ -d "$2" ] || [ ! -e "$2" ]; }; then rm -f "$2"; fi
  _s=${1%.cap}.stage; _f=$_s
  if [ -L "$_s" ] && case $(readlink "$_s") in */.*."$TX") : ;; *) false ;; esac; then _f=$(readlink "$_s"); fi
  if [ -e "$_f" ] || [ -L "$_f" ]; then mv -f "$_f" "$2" || return 1; rm -f "$_s"
  else
    _f=${2%/*}/.${2##*/}.$TX; rm -f "$_f"
    cp -a "$1" "$_f" && mv -f "$_f" "$2" || { rm -f "$_f"; return 1; }
  fi
}
h_file_sweep() {
  rm -f "${2%/*}/.${2##*/}.$TX" "${2%/*}/.${2##*/}.$TX.new"
  _f=$1.dirs # made for a file that is gone again: here, or by the transaction that was put back
  [ -e "$D/claimed.undo" ] || _f=$D/made.dirs
  if [ -s "$_f" ]; then while IFS= read -r _x; do rmdir "$_x"; done 2>/dev/null <"$_f"; fi
  :
}
h_file_paths() { if [ -f "$1" ] && [ ! -L "$1" ]; then echo "$1"; fi; if [ -d "${1%/*}/" ]; then echo "${1%/*}/"; fi; }
