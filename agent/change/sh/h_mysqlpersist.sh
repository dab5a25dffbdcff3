# mysqlpersist NAME PORT: what MySQL 8 keeps of it in mysqld-auto.cnf (SET PERSIST). Needs mysql.sh.
h_mysqlpersist_print() {
  my_on "$2" || return 1
  _o=$(my_ask "SELECT CONCAT('value ',VARIABLE_VALUE) FROM performance_schema.persisted_variables WHERE VARIABLE_NAME='$1';") || return 1
  echo "${_o:-absent}"
}
h_mysqlpersist_save() { :; }
h_mysqlpersist_restore() {
  _v=$(cat "$1.was")
  if [ "$_v" = absent ]; then my_do "$3" "RESET PERSIST IF EXISTS $2;"; return; fi
  _v=${_v#value }
  case $_v in ''|*[!0-9.-]*|*-*-*|*.*.*) ;; *) my_do "$3" "SET PERSIST_ONLY $2 = $_v;" 2>/dev/null && return 0 ;; esac
  my_do "$3" "SET PERSIST_ONLY $2 = '$(printf %s "$_v" | sed "s/'/''/g")';"
}
