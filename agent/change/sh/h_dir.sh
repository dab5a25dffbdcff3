# dir PATH: whether a folder of ours is there; one that we made is removed again. Once it holds others' files it is theirs.
h_dir_print() {
  if [ ! -d "$1" ]; then echo absent
  elif [ -n "$(find "$1" -mindepth 1 ! -path '*secops*' 2>/dev/null | head -n 1)" ]; then echo shared
  else stat -c 'folder %a %u:%g' "$1"; fi
}
h_dir_save() { :; }
h_dir_restore() {
  read -r _x _m _o <"$1.was"
  case $_x in
    absent) rmdir "$2" 2>/dev/null; [ ! -d "$2" ] ;;
    folder) mkdir -p "$2" && chown "$_o" "$2" && chmod "$_m" "$2" ;;
  esac
}
