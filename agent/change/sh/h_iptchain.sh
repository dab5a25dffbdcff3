# iptchain CHAIN: one chain of our own in iptables' filter table, and the jump to it at the head of INPUT.
h_iptchain_print() {
  iptables -w 10 -S "$1" 2>/dev/null || { echo absent; return 0; }
  iptables -w 10 -S INPUT | grep -nx -e "-A INPUT -j $1" || echo "no jump"
}
h_iptchain_save() { :; }
h_iptchain_restore() {
  while iptables -w 10 -D INPUT -j "$2" 2>/dev/null; do :; done
  iptables -w 10 -F "$2" 2>/dev/null; iptables -w 10 -X "$2" 2>/dev/null
  grep -qx absent "$1.was" && return 0
  iptables -w 10 -N "$2" || return 1
  grep -e "^-A $2 " "$1.was" | while IFS= read -r _r; do eval "iptables -w 10 $_r" || exit 1; done || return 1
  if grep -q "A INPUT -j $2" "$1.was"; then iptables -w 10 -I INPUT 1 -j "$2"; fi
}
