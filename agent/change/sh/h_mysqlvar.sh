# mysqlvar NAME PORT: the value in the running server; `absent` where no plugin brings it. Needs mysql.sh.
h_mysqlvar_print() { my_on "$2" && my_var "$1"; }
h_mysqlvar_save() { :; }
h_mysqlvar_restore() {
  _v=$(cat "$1.was"); [ "$_v" != absent ] || return 0 # its plugin is a handle of its own
  my_set "$3" "$2" "${_v#value }"
}
