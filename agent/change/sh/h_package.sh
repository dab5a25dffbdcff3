# package NAME: its version and whether it is there for another's sake; captured as the very package file, so that it can be
# put back without a mirror. Configuration files that a removal leaves or sets aside come back as they were.
h_package_print() {
  _m=$(pk_manager); _v=$(pk_version "$_m" "$1")
  [ -n "$_v" ] || { echo absent; return 0; }
  if [ "$_m" = apt ] && apt-mark showauto "$1" 2>/dev/null | grep -q .; then echo "$_v auto"; else echo "$_v manual"; fi
}
h_package_save() {
  _m=$(pk_manager); _v=$(pk_version "$_m" "$2")
  mkdir -p "$1" && cd "$1" || return 1
  [ -n "$_v" ] || return 0
  case $_m in
    apt)
      _f=/var/cache/apt/archives/$2_$(echo "$_v" | sed 's/:/%3a/')_$(dpkg-query -W -f='${Architecture}' "$2").deb
      if [ -e "$_f" ]; then cp "$_f" .; else timeout -k 5 120 apt-get -q -o Acquire::Retries=2 download "$2=$_v" </dev/null; fi
      ls ./*.deb >/dev/null ;;
    *)
      timeout -k 5 120 "$_m" -y -q reinstall --downloadonly --downloaddir="$PWD" "$2" </dev/null && ls ./*.rpm >/dev/null || return 1
      rpm -qc "$2" | while read -r _f; do if [ -e "$_f" ]; then echo "$_f"; fi; done >conf
      tar -cpPf conf.tar -T conf && while read -r _f; do if [ -e "$_f.rpmsave" ]; then echo "$_f"; fi; done <conf >saved ;;
  esac
}
h_package_restore() {
  read -r _v _a <"$1.was"; [ "$_v" != absent ] || return 0
  pk_wait 60 || return; umask 022; _m=$(pk_manager)
  case $_m in
    apt) pk_run put-back dpkg --force-depends --force-confdef --force-confold -i "$1"/*.deb && apt-mark "$_a" "$2" >/dev/null ;;
    *)
      pk_run put-back rpm -U --nodeps --oldpackage --force "$1"/*.rpm && tar -xpPf "$1/conf.tar" || return 1
      while read -r _f; do grep -qxF "$_f" "$1/saved" || rm -f "$_f.rpmsave"; done <"$1/conf" ;;
  esac
}
