# mysqlplugin NAME PORT: whether a plugin of MariaDB is loaded, now and at the next start. Needs mysql.sh.
# One that the server calls DELETED is gone: it does nothing any more, and only its memory waits for the next start.
h_mysqlplugin_print() { my_on "$2" && _o=$(my_plugin "$1") && echo "$_o" | sed 's/^DELETED$/absent/'; }
h_mysqlplugin_save() { my_ask_old=$(my_on "$3" && my_ask "SHOW TABLES FROM mysql LIKE '$2%';") || return 1; printf '%s\n' "$my_ask_old" >"$1"; }
h_mysqlplugin_restore() {
  if grep -qx ACTIVE "$1.was"; then my_plug "$3" "$2"; return; fi
  my_on "$3" || return 1
  case $(my_plugin "$2") in absent | DELETED) ;; *) my_ask "UNINSTALL SONAME '$2';" || return 1 ;; esac
  _t=0 # who is just asking something keeps it a moment longer
  while [ "$(my_plugin "$2")" = DELETED ] && [ $_t -lt 3 ]; do _t=$((_t + 1)); sleep 1; done
  # a table of hashes that the plugin made for itself goes with it
  my_ask "SHOW TABLES FROM mysql LIKE '$2%';" | while read -r _t; do grep -qxF "$_t" "$1" || my_ask "DROP TABLE mysql.\`$_t\`;"; done
}
