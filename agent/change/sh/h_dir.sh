# dir PATH: whether a folder is there; one that we made is removed again when nothing is left in it.
h_dir_print() { if [ -d "$1" ]; then stat -c 'folder %a %u:%g' "$1"; else echo absent; fi; }
h_dir_save() { :; }
h_dir_restore() {
  if grep -qx absent "$1.was"; then rmdir "$2" 2>/dev/null; [ ! -d "$2" ]
  else read -r _x _m _o <"$1.was"; mkdir -p "$2" && chown "$_o" "$2" && chmod "$_m" "$2"; fi
}
