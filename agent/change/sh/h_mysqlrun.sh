# mysqlrun UNIT SOCKET: whether the server runs, and the socket unit (or `-`) by which systemd holds its place. The socket
# goes down with a server that fails to start, and comes up only while the server is down.
_myis() { if [ "$1" != - ] && systemctl is-active -q "$1" 2>/dev/null; then echo active; else echo inactive; fi; }
h_mysqlrun_print() { echo "$(_myis "$1") $(_myis "$2")"; }
h_mysqlrun_save() { :; }
h_mysqlrun_restore() {
  read -r _u _s <"$1.was"
  systemctl reset-failed "$2" 2>/dev/null # else its start is refused for having been tried too often, and the socket falls again
  if [ "$3" != - ] && [ "$(_myis "$3")" != "$_s" ]; then
    systemctl stop "$2" && if [ "$_s" = active ]; then systemctl reset-failed "$3" 2>/dev/null; systemctl start "$3"; else systemctl stop "$3"; fi || return 1
  fi
  if [ "$_u" = active ]; then systemctl start "$2"; else systemctl stop "$2"; fi
}
