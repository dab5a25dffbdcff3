# auditrules all: the rules that the kernel has loaded, whether auditing is on, and its limits.
h_auditrules_print() {
  auditctl -s 2>/dev/null | grep -E '^(enabled|failure|rate_limit|backlog_limit|backlog_wait_time) '
  auditctl -l 2>/dev/null | grep -v '^No rules'; :
}
h_auditrules_save() { :; }
h_auditrules_restore() {
  _e=; auditctl -D >/dev/null 2>&1
  grep '^-' "$1.was" >"$1.rules"; auditctl -R "$1.rules" >/dev/null 2>&1
  while read -r _w _v; do # `enabled` is printed first and set last: 2 locks the rest
    case $_w in
      enabled) _e=$_v ;;
      failure) auditctl -f "$_v" ;;
      rate_limit) auditctl -r "$_v" ;;
      backlog_limit) auditctl -b "$_v" ;;
      backlog_wait_time) auditctl --backlog_wait_time "$_v" ;;
    esac >/dev/null 2>&1
  done <"$1.was"
  [ -z "$_e" ] || auditctl -e "$_e" >/dev/null 2>&1
}
