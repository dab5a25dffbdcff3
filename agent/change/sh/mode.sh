# mode.sh: permissions in the folders of an nginx, Redis or Tomcat. Needs mw.sh and the kind's own module.

mode_ids() { # KIND LOCATION: user and group of the process that must still read its files
  case $1 in
    nginx) ngx_master "$2" >/dev/null && echo 0 0 ;;
    redis) _m=$(rd_pid "$2") && echo "$(mw_word Uid "$_m") $(mw_word Gid "$_m")" ;;
    tomcat) _m=$(tc_pid "$2") && echo "$(mw_word Uid "$_m") $(mw_word Gid "$_m")" ;;
  esac
}

mode_over() { # PATH BITS TYPE DEPTH: `over MODE USER GROUP UID GID FOLDER`, for what has one of those bits; the first 200
  [ -e "$R$1" ] || return 0
  _p=$(readlink -f "$R$1")
  case $3 in f) set -- "$_p" "$2" "$4" -type f ;; *) set -- "$_p" "$2" "$4" ! -type l ;; esac
  _p=$1 _b=$2 _l=$3; shift 3
  find "$_p" -maxdepth "$_l" "$@" -perm /"$_b" -exec stat -c 'over	%a	%U	%G	%u	%g	%n' {} + 2>/dev/null | sort | head -n 200
}

mode_set() { # PATH MODE [GID]
  [ ! -L "$1" ] && [ -e "$1" ] || { echo "$1 is not there" >&2; return 1; }
  { [ -z "${3:-}" ] || chgrp -h "$3" "$1"; } && chmod "$2" "$1"
}
