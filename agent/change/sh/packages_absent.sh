# packages_absent.sh: which packages hold unwanted programs, who needs them, and their removal.
pk_owner() { # MANAGER FILE: the package that holds it, links followed
  case $1 in
    apt) _r=$(readlink -f "$2")
      for _f in "$2" "$_r" "${2#/usr}" "${_r#/usr}"; do
        _o=$(dpkg-query -S "$_f" 2>/dev/null | sed -n '/^diversion /d; s/[:,].*//p' | head -n 1)
        [ -z "$_o" ] || { echo "$_o"; return; }
      done ;;
    *) rpm -qf --queryformat '%{NAME}\n' "$(readlink -f "$2")" 2>/dev/null | grep -v ' ' | head -n 1 ;;
  esac
}

pk_files() { case $1 in apt) dpkg-query -L "$2" ;; *) rpm -ql "$2" ;; esac 2>/dev/null; }

pk_listeners() { # MANAGER: `need PACKAGE PROTO/PORT` of everything that listens
  ss -Hltnup 2>/dev/null | sed -n 's/^\(tcp\|udp\)[^0-9]*[0-9]* *[0-9]* *[^ ]*:\([0-9]*\) .*pid=\([0-9]*\),.*/\1 \2 \3/p' | sort -u |
    while read -r _pr _po _pi; do
      _e=$(readlink "/proc/$_pi/exe") || continue
      for _f in "${_e% (deleted)}" $(tr '\0' '\n' <"/proc/$_pi/cmdline" | sed -n '2,3{/^\/[^ *?]*$/p;}'); do # a script's own file, too
        _o=$(pk_owner "$1" "$_f"); [ -z "$_o" ] || echo "need $_o $_pr/$_po"
      done
      case ${_e##*/} in
        systemd) # a socket unit: whoever its service runs
          systemctl list-sockets --all --no-legend --full 2>/dev/null | awk -v p=":$_po\$" '$1 ~ p { print $2, $NF }' | while read -r _s _x; do
            for _x in "$_x" "${_s%.socket}.service" "${_s%.socket}@.service"; do
              _f=$(systemctl cat "$_x" 2>/dev/null | sed -n 's/^ExecStart=[-@!+:]*\([^ ]*\).*/\1/p' | head -n 1)
              _o=$(pk_owner "$1" "${_f:-/none}"); [ -z "$_o" ] || echo "need $_o $_pr/$_po"
            done
          done ;;
        *inetd) # every program of its configuration whose service has that port
          cat /etc/inetd.conf /etc/inetd.d/* 2>/dev/null | awk '/^[^#]/ && NF >= 6 { print $1, $6, $7 }' | while read -r _s _x _y; do
            [ "$_s" = "$_po" ] || [ "$(getent services "$_s/$_pr" | awk '{ sub(/\/.*/, "", $2); print $2 }')" = "$_po" ] || continue
            for _f in "$_x" "$(command -v "$_y")"; do
              _o=$(pk_owner "$1" "${_f:-/none}"); [ -z "$_o" ] || echo "need $_o $_pr/$_po"
            done
          done ;;
      esac
    done | sort -u
}

pk_again() { # MANAGER NAME VERSION: whether exactly this version can be had again
  case $1 in
    apt)
      ls "/var/cache/apt/archives/$2_$(echo "$3" | sed 's/:/%3a/')_"*.deb >/dev/null 2>&1 ||
        pk_apt_ask apt-cache madison "$2" 2>/dev/null | awk -F ' *[|] *' -v v="$3" '$2 == v { found = 1 } END { exit !found }' ;;
    *)
      pk_aside "$1" -C -q list --showduplicates available "$2" 2>/dev/null | pk_rows | grep -qxF "$2 $3" ||
        pk_aside "$1" -C -q list --showduplicates "$2" 2>/dev/null | sed -n '/^Available/,$p' | pk_rows | grep -qxF "$2 $3" ;;
  esac
}

pk_there() { # MANAGER "NAME...": those that are installed, one a line
  [ -n "$2" ] || return 0 # else they tell of every package
  # shellcheck disable=SC2016,SC2086
  case $1 in
    apt) dpkg-query -W -f='${db:Status-Abbrev} ${Package}\n' $2 2>/dev/null | awk '$1 == "ii" { print $2 }' | sort -u ;;
    *) rpm -q --queryformat '%{NAME}\n' $2 2>/dev/null | grep -v ' ' | sort -u ;;
  esac
}

pk_absent_read() { # "NAME..." "PROGRAM...": what is there of them, what else would go, who needs it, how it would come back
  _m=$(pk_manager); echo "manager ${_m:-none}"
  case $_m in
    '') return 0 ;;
    apt) echo "total $(dpkg-query -W | wc -l)" ;;
    *) echo "total $(pk_aside rpm -qa | wc -l)" ;;
  esac
  _there=$(pk_there "$_m" "$1" | tr '\n' ' ')
  for _g in $2; do
    for _i in /usr/bin /usr/sbin /usr/local/bin /usr/local/sbin; do
      [ -e "$_i/$_g" ] || [ -h "$_i/$_g" ] || continue
      _o=$(pk_owner "$_m" "$_i/$_g")
      if [ -z "$_o" ]; then echo "stray $_i/$_g"; else case " $_there " in *" $_o "*) ;; *) _there="$_there $_o" ;; esac; fi
    done
  done
  [ -n "$_there" ] || return 0
  _all=$(pk_listeners "$_m")
  for _p in $_there; do
    _v=$(pk_version "$_m" "$_p")
    if pk_again "$_m" "$_p" "$_v"; then echo "have $_p $_v again"; else echo "have $_p $_v lost"; fi
    pk_files "$_m" "$_p" | sed -n 's#^.*/systemd/system/\([^/]*\.\(service\|socket\|timer\)\)$#\1#p' | sort -u | sed "s/^/unit $_p /"
    printf '%s\n' "$_all" | grep -F "need $_p "
  done
  # shellcheck disable=SC2086
  pk_simulate "$_m" remove $_there
  if _l=$(pk_locked); then echo "busy $_l"; fi
}

pk_remove() { # "NAME..." NAME: remove it, and nothing that is not among the first
  pk_wait 60 || return
  _m=$(pk_manager)
  [ -n "$(pk_version "$_m" "$2")" ] || return 0
  for _p in $(pk_simulate "$_m" remove "$2" | awk '$2 == "remove" { print $3 }'); do
    case " $1 " in *" $_p "*) ;; *) echo "refused: $_p would be removed too" >&2; return 1 ;; esac
  done
  umask 022
  pk_good "$_m" remove "$2" && [ -z "$(pk_version "$_m" "$2")" ]
}
