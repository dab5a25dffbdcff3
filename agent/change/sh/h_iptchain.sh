# iptchain CHAIN [iptables|ip6tables]: one chain of our own in the filter table, and the jump to it at the head of INPUT.
h_iptchain_print() {
  _t=${2:-iptables}
  "$_t" -w 10 -S "$1" 2>/dev/null || { echo absent; return 0; }
  "$_t" -w 10 -S INPUT | grep -nx -e "-A INPUT -j $1" || echo "no jump"
}
h_iptchain_save() { :; }
h_iptchain_restore() {
  _t=${3:-iptables}
  while "$_t" -w 10 -D INPUT -j "$2" 2>/dev/null; do :; done
  "$_t" -w 10 -F "$2" 2>/dev/null; "$_t" -w 10 -X "$2" 2>/dev/null
  grep -qx absent "$1.was" && return 0
  "$_t" -w 10 -N "$2" || return 1
  grep -e "^-A $2 " "$1.was" | while IFS= read -r _r; do eval "$_t -w 10 $_r" || exit 1; done || return 1
  if grep -q "A INPUT -j $2" "$1.was"; then "$_t" -w 10 -I INPUT 1 -j "$2"; fi
}
