# sysctl KEY: the value in the running kernel.
h_sysctl_print() { if _v=$(sysctl -n "$1" 2>/dev/null); then printf '%s\n' "$_v" | tr '\t' ' '; else echo absent; fi; }
h_sysctl_save() { :; }
h_sysctl_restore() { read -r _v <"$1.was"; [ "$_v" = absent ] || sysctl -q -w "$2=$_v"; }
