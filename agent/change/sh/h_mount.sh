# mount PATH: whether what is mounted there forbids devices, set-id and programs.
h_mount_print() {
  _v=$(awk -v p="$1" '$2==p{o=$4}END{print o}' /proc/self/mounts) || return 1
  [ -n "$_v" ] || { echo absent; return 0; }
  _x=
  for _w in dev suid exec; do case ",$_v," in *",no$_w,"*) _x="$_x,no$_w" ;; *) _x="$_x,$_w" ;; esac; done
  echo "${_x#,}"
}
h_mount_save() { :; }
h_mount_restore() { read -r _v <"$1.was"; [ "$_v" = absent ] || mount -o "remount,$_v" "$2"; }
