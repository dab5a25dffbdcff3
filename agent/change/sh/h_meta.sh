# meta PATH: mode and owner of what is there, its content left alone (a log that grows, a folder). PATH is no link.
h_meta_print() {
  if [ -L "$1" ]; then echo "link"; return 1
  elif [ -e "$1" ]; then stat -c '%F %a %u:%g' "$1" | sed 's/regular empty file/regular file/'
  else echo absent; fi
}
h_meta_save() {
  [ -e "$2" ] || return 0
  chmod "$(stat -c %a "$2")" "$2" 2>/dev/null || { echo "$2 cannot be changed: immutable (lsattr), or its file system is read-only" >&2; return 1; }
}
h_meta_restore() {
  [ -e "$2" ] && [ ! -L "$2" ] || return 0
  read -r _line <"$1.was"; [ "$_line" != absent ] || return 0
  _o=${_line##* }; _m=${_line% *}; _m=${_m##* }
  # chown drops set-uid and file capabilities: only where it is another's
  [ "$(stat -c %u:%g "$2")" = "$_o" ] || chown "$_o" "$2" || return 1
  chmod "$_m" "$2"
}
