# Listening sockets of one process: `ls -l /proc/PID/fd` on standard input, then /proc/PID/net/tcp and tcp6.
function hex(s,    i, v) { v = 0; for (i = 1; i <= length(s); i++) v = v * 16 + index("0123456789ABCDEF", toupper(substr(s, i, 1))) - 1; return v }
function address(s) {
  if (length(s) == 8) return hex(substr(s, 7, 2)) "." hex(substr(s, 5, 2)) "." hex(substr(s, 3, 2)) "." hex(substr(s, 1, 2))
  if (s ~ /^0+$/) return "::"
  if (s == "00000000000000000000000001000000") return "::1"
  if (s ~ /^0000000000000000FFFF0000/) return "::ffff:" address(substr(s, 25))
  return s
}
FILENAME == "-" || FILENAME == "" { if (match($0, /socket:\[[0-9]+\]/)) mine[substr($0, RSTART + 8, RLENGTH - 9)] = 1; next }
$4 == "0A" && ($10 in mine) {
  split($2, part, ":")
  line = address(part[1]) " " hex(part[2])
  if (!(line in told)) { told[line] = 1; print "listen=" line }
}
