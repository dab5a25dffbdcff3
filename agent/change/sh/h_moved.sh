# moved FROM TO: a folder or file that is taken out of the way, FROM, and the place where it is kept, TO (below a
# folder that is root's alone).
# TO comes to be by a rename of a whole copy: if it is there, it is complete, and what is left of FROM is not.
_at() { if [ -e "$1" ] || [ -L "$1" ]; then stat -c '%F %a %u:%g' "$1"; else echo absent; fi; }
h_moved_print() { printf '%s / %s\n' "$(_at "$1")" "$(_at "$2")"; }
h_moved_save() { :; }
h_moved_restore() {
  grep -q ' / absent$' "$1.was" || return 1
  if [ -e "$3" ] || [ -L "$3" ]; then
    # what stands there now (a half of it, or what was deployed since) is kept beside
    if [ -e "$2" ] || [ -L "$2" ]; then rm -rf "$3.aside" && cp -a "$2" "$3.aside" && rm -rf "$2" || return 1; fi
    mv -T "$3" "$2" || return 1
    rm -rf "$3.aside"
  fi
  rm -rf "$3.part"; rmdir -p "${3%/*}" 2>/dev/null; :
}
