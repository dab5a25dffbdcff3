# meta PATH: mode and owner of what is there, its content left alone (a log that grows, a folder).
h_meta_print() { if [ -e "$1" ]; then stat -c '%F %a %u:%g' "$1" | sed 's/regular empty file/regular file/'; else echo absent; fi; }
h_meta_save() { :; }
h_meta_restore() {
  [ -e "$2" ] || return 0
  read -r _line <"$1.was"; [ "$_line" != absent ] || return 0
  _o=${_line##* }; _m=${_line% *}; _m=${_m##* }
  chown -h "$_o" "$2" && chmod "$_m" "$2"
}
