# unit NAME: whether it runs. What starts it at boot is `links`.
h_unit_print() { if systemctl is-active -q "$1" 2>/dev/null; then echo active; else echo inactive; fi; }
h_unit_save() { :; }
h_unit_restore() {
  if grep -qx active "$1.was"; then systemctl reset-failed "$2" 2>/dev/null; systemctl start "$2"; else systemctl stop "$2"; fi
}
