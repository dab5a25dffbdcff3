# links NAME: every symbolic link of systemd's and SysV's configuration whose name holds NAME: what enable, disable, mask make.
h_links_print() {
  find /etc/systemd/system /etc/rc?.d /etc/rc.d -maxdepth 3 -type l -name "*$1*" -printf '%p\t%l\n' 2>/dev/null | sort -u
}
h_links_save() { :; }
h_links_restore() {
  h_links_print "$2" | while IFS='	' read -r _p _l; do grep -qxF "$_p	$_l" "$1.was" || rm -f "$_p"; done
  while IFS='	' read -r _p _l; do
    [ "$(readlink "$_p" 2>/dev/null)" = "$_l" ] || { mkdir -p "${_p%/*}" && ln -sfn "$_l" "$_p"; } || return 1
  done <"$1.was"
  act_daemon_reload
}
