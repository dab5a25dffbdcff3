# sysctl KEY: the value in the running kernel.
h_sysctl_print() { sysctl -n "$1" 2>/dev/null | tr '\t' ' ' || echo absent; }
h_sysctl_save() { :; }
h_sysctl_restore() { read -r _v <"$1.was"; sysctl -q -w "$2=$_v"; }
