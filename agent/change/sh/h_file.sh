# file PATH: bytes, mode, owner, label, times; or that it is not there. PATH is no link (the resource follows links).
_label() { stat -c %C "$1" 2>/dev/null | grep -v '^?$' || echo -; }
h_file_print() {
  if [ -L "$1" ]; then echo "link $(readlink "$1")"
  elif [ -f "$1" ]; then echo "file $(stat -c '%a %u:%g' "$1") $(_label "$1") $(_sum "$1") $(_acl "$1")"
  elif [ -e "$1" ]; then echo "other $(stat -c '%F' "$1")"; return 1
  else echo absent; fi
}
_acl() { if _has getfacl; then getfacl -cnp "$1" 2>/dev/null | grep -E '^(default:|user:[0-9]|group:[0-9]|mask)' | tr '\n' ' '; fi; }
h_file_save() { if [ -e "$2" ] || [ -L "$2" ]; then cp -a "$2" "$1"; fi; }
h_file_stage() { # a second copy on the file's own file system: restoring is a rename, which a full disk allows
  [ -e "$1" ] || [ -L "$1" ] || return 0
  if [ "$(stat -c %d "$D")" = "$(stat -c %d "${3%/*}/")" ]; then cp -a "$1" "$2"
  else cp -a "$1" "${3%/*}/.${3##*/}.$TX" && ln -s "${3%/*}/.${3##*/}.$TX" "$2"; fi
}
h_file_restore() {
  if [ ! -e "$1" ] && [ ! -L "$1" ]; then
    rm -f "$2"
  else
    _s=${1%.cap}.stage; _f=$_s
    if [ -L "$_s" ] && case $(readlink "$_s") in */.*."$TX") : ;; *) false ;; esac; then _f=$(readlink "$_s"); fi
    if [ -e "$_f" ] || [ -L "$_f" ]; then mv -f "$_f" "$2" || return 1; rm -f "$_s"
    else mkdir -p "${2%/*}" && cp -a "$1" "${2%/*}/.${2##*/}.$TX" && mv -f "${2%/*}/.${2##*/}.$TX" "$2"; fi
  fi
}
