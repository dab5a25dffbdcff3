# mysqlvar NAME PORT: the value in the running server; `absent` where no plugin brings it, or one that is gone (see
# mysqlplugin). Needs mysql.sh.
h_mysqlvar_print() {
  my_on "$2" || return 1
  _o=$(my_ask "SELECT COUNT(*) FROM information_schema.PLUGINS WHERE PLUGIN_STATUS='DELETED' AND LOCATE(CONCAT(LOWER(PLUGIN_NAME),'_'),LOWER('$1'))=1;") || return 1
  if [ "$_o" = 0 ]; then my_var "$1"; else echo absent; fi
}
h_mysqlvar_save() { :; }
h_mysqlvar_restore() {
  _v=$(cat "$1.was"); [ "$_v" != absent ] || return 0 # its plugin is a handle of its own
  my_set "$3" "$2" "${_v#value }"
}
