# links NAME: every symbolic link of systemd's and SysV's configuration whose name or target holds NAME: what enable,
# disable and mask make, also an alias (dbus-org.freedesktop.timesync1.service).
h_links_print() {
  { find /etc/systemd/system /etc/rc?.d /etc/rc.d -maxdepth 3 -type l \( -name "*$1*" -o -lname "*$1*" \) 2>/dev/null ||
      find /etc/systemd/system /etc/rc?.d /etc/rc.d -maxdepth 3 -type l -name "*$1*" 2>/dev/null; } | sort -u |
    while IFS= read -r _p; do printf '%s\t%s\n' "$_p" "$(readlink "$_p")"; done
}
h_links_save() { find /etc/systemd/system -maxdepth 1 -type d >"$1.dirs" 2>/dev/null || true; }
h_links_restore() {
  h_links_print "$2" | while IFS='	' read -r _p _l; do
    grep -qxF "$_p	$_l" "$1.was" && continue
    rm -f "$_p"
  done
  umask 022
  while IFS='	' read -r _p _l; do
    [ "$(readlink "$_p" 2>/dev/null)" = "$_l" ] || { mkdir -p "${_p%/*}" && ln -sfn "$_l" "$_p"; } || return 1
  done <"$1.was"
  act_daemon_reload
}
h_links_sweep() { # folders that enable made
  [ -e "$D/claimed.undo" ] || return 0
  for _p in /etc/systemd/system/*.wants /etc/systemd/system/*.requires; do
    [ ! -d "$_p" ] || grep -qxF "$_p" "$1.dirs" || rmdir "$_p" 2>/dev/null
  done
  :
}
