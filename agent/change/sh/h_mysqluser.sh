# mysqluser LABEL USER HOST PORT: an account with its hash, its age and all its grants, or that it is not there: its rows of
# the grant tables, byte by byte. A password check or strict_password_validation has no say in putting them back.
# The rows stay in the journal; what puts them back is kept out of the general and the slow log. Needs mysql.sh.
h_mysqluser_print() {
  my_on "$4" || return 1
  _o=$(my_rows "$(my_hex "$2")" "$(my_hex "$3")") || return 1
  printf '%s\n' "${_o:-absent}"
}
h_mysqluser_save() { :; }
h_mysqluser_restore() {
  my_on "$5" || return 1
  _u=$(my_hex "$3"); _h=$(my_hex "$4"); _l=$(my_tables) && [ -n "$_l" ] || return 1
  # a client that fails repeats the statement: only the error's number leaves the host
  _e=$({ echo "SET SESSION sql_mode='', SESSION sql_log_off=1, SESSION slow_query_log=0;"
    for _t in $_l; do echo "DELETE FROM mysql.$_t WHERE HEX(User)='$_u' AND HEX(Host)='$_h';"; done
    grep '^INSERT ' "$1.was"
    echo "FLUSH PRIVILEGES;"; } | if my_ask 'SELECT @@session.slow_query_log;' >/dev/null 2>&1; then cat; else sed '1s/, SESSION slow_query_log=0//'; fi | my_sql 2>&1) || {
    printf '%s\n' "$_e" | sed -n 's/^\(ERROR [0-9]* ([0-9A-Z]*)\).*/\1/p' >&2; return 1; }
}
