# Finds live nginx, Redis and Tomcat processes and shows each one's effective configuration, secrets masked.
# POSIX sh; reads files only, starts no service's script, leaves nothing behind. Programs that it runs: coreutils, awk,
# dpkg-query or rpm, unzip, and a root-owned `nginx -V` or `redis-server --version` through /proc/PID/exe.
nl='
'
count_nginx=0; count_redis=0; count_tomcat=0; owners=

kv() { case $2 in *"$nl"*) printf '%s=?\n' "$1" ;; *) printf '%s=%s\n' "$1" "$2" ;; esac; }

# Effective user, groups and parent of process $1.
status() {
  uid=; gids=; parent=
  while read -r key value; do
    case $key in
      PPid:) parent=$value ;;
      Uid:) set -- $value; uid=$2 ;;
      Gid:) set -- $value; gids=$2 ;;
      Groups:) gids="$gids $value"; break ;;
    esac
  done 2>/dev/null <"$R/proc/$1/status"
}

user_name() {
  while IFS=: read -r name _ number _; do
    if [ "$number" = "$1" ]; then printf '%s\n' "$name"; return; fi
  done <"$R/etc/passwd"
  printf '%s\n' "$1"
}

# Whether the observed process may itself read the file open as 3: a process of an ordinary user must not
# lend us root's eyes by naming /etc/shadow as its configuration.
allowed() {
  [ "$uid" = 0 ] && return 0
  set -- $(ls -lnL /proc/self/fd/3 2>/dev/null)
  case $1 in -*) ;; *) return 1 ;; esac
  case $1 in -r*) [ "$3" = "$uid" ] && return 0 ;; esac
  case $1 in -???r*) case " $gids " in *" $4 "*) return 0 ;; esac ;; esac
  case $1 in -??????r*) return 0 ;; esac
  return 1
}

# Print file $1 through awk program $2. Status 2: it could not be read, the reason is on standard error.
take() {
  if [ ! -f "$R$1" ]; then printf '%s: no such file\n' "$1" >&2; return 2; fi
  {
    if ! allowed; then printf '%s: the process itself may not read it\n' "$1" >&2; return 2; fi
    MW_FILE=$1 awk "$2" <&3
    case $? in
      0) return 0 ;;
      3) printf '%s: too large\n' "$1" >&2 ;;
      *) printf '%s: not well-formed\n' "$1" >&2 ;;
    esac
    return 2
  } 3<"$R$1"
}

# Show file $1 and all that it includes. $2 is the awk program, $3 the folder of relative includes.
follow() {
  queue=$1; seen=; files=0; bad=0
  while [ -n "$queue" ]; do
    file=${queue%%"$nl"*}
    case $queue in *"$nl"*) queue=${queue#*"$nl"} ;; *) queue= ;; esac
    case "$nl$seen$nl" in *"$nl$file$nl"*) continue ;; esac
    seen=$seen$nl$file
    files=$((files + 1))
    if [ "$files" -gt 300 ]; then echo "more than 300 files" >&2; return 2; fi
    text=$(take "$file" "$2") || bad=2
    printf '%s\n' "$text"
    case $text in
      *"	include	"* | *"	aclfile	"*) ;;
      *) continue ;;
    esac
    saved=$IFS; IFS=$nl; set -f
    for pattern in $(printf '%s\n' "$text" | awk -F '\t' '$1 == "D" && ($3 == "include" || $3 == "aclfile") { print $4 }'); do
      case $pattern in /*) ;; *) pattern=$3/$pattern ;; esac
      set +f
      for hit in $R$pattern; do
        # a pattern that matches nothing is no fault; a plain name that is not there is
        case $pattern in *[*?[]*) [ -f "$hit" ] || continue ;; esac
        queue=$queue${queue:+$nl}${hit#"$R"}
      done
      set -f
    done
    IFS=$saved; set +f
  done
  return "$bad"
}

# Whether the program of process $1 is root's alone and is named $2 or $3 or $4: only such a one is run.
trusted() {
  case ${exe##*/} in "$2" | "$3" | "$4") ;; *) return 1 ;; esac
  set -- $(ls -lnL "$R/proc/$1/exe" 2>/dev/null)
  [ "$3" = 0 ] || return 1
  case $1 in -????w* | -???????w*) return 1 ;; -*) return 0 ;; esac
  return 1
}

listeners() {
  set -- "$1" "$R/proc/$1/net/tcp" "$R/proc/$1/net/tcp6"
  [ -r "$3" ] || set -- "$1" "$2"
  [ -r "$2" ] || return 0
  pid=$1; shift
  ls -ln "$R/proc/$pid/fd" 2>/dev/null | awk "$awk_sockets" - "$@"
}

meta() {
  kv pid "$1"; kv exe "$exe"; kv user "$(user_name "$uid")"; kv version "$version"
  kv conf "$conf"; kv owned "$owned"
  listeners "$1"
}

program_of() {
  exe=$(readlink "$R/proc/$1/exe" 2>/dev/null)
  exe=${exe% (deleted)}
}

nginx_one() {
  status "$1"
  if [ -n "$parent" ] && read -r name 2>/dev/null <"$R/proc/$parent/comm" && [ "$name" = "$comm" ]; then return; fi
  count_nginx=$((count_nginx + 1)); k=mw.nginx.$count_nginx
  program_of "$1"; version=; conf=; prefix=; built=
  if trusted "$1" nginx openresty tengine; then
    built=$($T env -i "$R/proc/$1/exe" -V 2>&1 | head -n 20)
    version=${built#*/}; version=${version%%[!0-9.]*}
    case $built in *--conf-path=*) conf=${built#*--conf-path=}; conf=${conf%%[ $nl]*} ;; esac
    case $built in *--prefix=*) prefix=${built#*--prefix=}; prefix=${prefix%%[ $nl]*} ;; esac
  fi
  set -f
  set -- "$1" $(tr '\000' ' ' <"$R/proc/$1/cmdline" 2>/dev/null)
  set +f
  pid=$1; shift
  while [ $# -gt 0 ]; do
    case $1 in
      -c) conf=$2 ;;
      -c*) conf=${1#-c} ;;
      -p) prefix=$2 ;;
    esac
    shift
  done
  conf=${conf:-/etc/nginx/nginx.conf}
  case $conf in /*) ;; *) conf=${prefix%/}/$conf ;; esac
  owned=$exe; owners=$owners$nl$exe
  _b "$k.meta"
  meta "$pid"
  for d in "$R"/proc/[0-9]*; do
    read -r name 2>/dev/null <"$d/comm" || continue
    [ "$name" = "$comm" ] || continue
    status "${d##*/}"
    [ "$parent" = "$pid" ] && kv worker "$(user_name "$uid")"
  done
  status "$pid"
  _e "$k.meta" 0
  _b "$k.config"
  (follow "$conf" "$awk_nginx" "${conf%/*}")
  _e "$k.config" $?
  PID=$pid; EXE=$exe; CONF=$conf; BASE=${conf%/*}; HOME_DIR=$prefix
  controls_nginx
}

# The ExecStart of the systemd unit in which process $1 runs, on one line.
unit_command() {
  set +f
  unit=
  while IFS= read -r line; do
    case $line in */*.service) unit=${line##*/} ;; esac
  done 2>/dev/null <"$R/proc/$1/cgroup"
  [ -n "$unit" ] || return 0
  case $unit in
    *@*) plain=${unit%%@*}@.service; instance=${unit#*@}; instance=${instance%.service} ;;
    *) plain=$unit; instance= ;;
  esac
  found=
  for folder in /usr/lib/systemd/system /lib/systemd/system /run/systemd/system /etc/systemd/system; do
    for file in "$R$folder/$plain" "$R$folder/$unit"; do [ -f "$file" ] && found=$file; done
  done
  for file in "$found" "$R"/usr/lib/systemd/system/"$unit".d/*.conf "$R"/run/systemd/system/"$unit".d/*.conf \
    "$R"/etc/systemd/system/"$plain".d/*.conf "$R"/etc/systemd/system/"$unit".d/*.conf; do
    [ -f "$file" ] && cat "$file"
  done | awk -v i="$instance" '/^ExecStart=./ { sub(/^ExecStart=[-+!@:]*/, ""); gsub(/%[iI]/, i); last = $0 } END { print last }'
}

redis_one() {
  status "$1"
  count_redis=$((count_redis + 1)); k=mw.redis.$count_redis
  program_of "$1"; version=; conf=; base=; options=
  if trusted "$1" redis-server redis-check-rdb valkey-server; then
    version=$($T env -i "$R/proc/$1/exe" --version 2>&1 | head -n 1)
    version=${version#*v=}; version=${version%%[!0-9.]*}
  fi
  pid=$1
  title=$(tr '\000' ' ' <"$R/proc/$pid/cmdline" 2>/dev/null)
  set -f; set -- $title; set +f
  # Redis overwrites its command line with "redis-server ADDRESS:PORT"; the unit still tells the real one.
  case ${2-} in
    *:[0-9]* | "") port=${2##*:}; set -f; set -- $(unit_command "$pid"); set +f ;;
    *) port= ;;
  esac
  case ${1##*/} in
    redis-* | valkey-*) started=yes; shift ;;
    *) started=; set -- ;;
  esac
  case ${1-} in "" | -*) ;; *) conf=$1; shift ;; esac
  while [ $# -gt 0 ]; do
    case $1 in
      --*) options=$options$nl${1#--} ;;
      *) options="$options $1" ;;
    esac
    shift
  done
  if [ -z "$conf" ] && [ -z "$started" ]; then
    # no unit and no command line tell it: a file in a usual place that names this port
    cwd=$(readlink "$R/proc/$pid/cwd" 2>/dev/null)
    for file in /etc/redis/redis.conf /etc/redis.conf /etc/redis/"$port".conf /etc/redis/redis-"$port".conf \
      /etc/redis/redis_"$port".conf "$cwd/redis.conf" "${exe%/*}/redis.conf" "${exe%/bin/*}/redis.conf" \
      "${exe%/bin/*}/etc/redis.conf" /usr/local/redis/redis.conf /usr/local/etc/redis.conf /etc/valkey/valkey.conf; do
      [ -f "$R$file" ] && grep -Eq "^[[:space:]]*port[[:space:]]+$port[[:space:]]*\$" "$R$file" && { conf=$file; break; }
    done
  fi
  owned=$exe; owners=$owners$nl$exe
  _b "$k.meta"; meta "$pid"; kv port "$port"; _e "$k.meta" 0
  _b "$k.config"
  (
    if [ -z "$conf" ] && [ -z "$started" ]; then echo "no configuration file is known of this process" >&2; exit 2; fi
    rc=0
    if [ -n "$conf" ]; then follow "$conf" "$awk_redis" "${conf%/*}" || rc=2; fi
    if [ -n "$options" ]; then printf '%s\n' "$options" | MW_FILE='(command line)' awk "$awk_redis"; fi
    exit "$rc"
  )
  _e "$k.config" $?
  PID=$pid; EXE=$exe; CONF=$conf; BASE=${conf%/*}; HOME_DIR=$BASE
  controls_redis
}

tomcat_one() {
  arguments=$(tr '\000' '\n' <"$R/proc/$1/cmdline" 2>/dev/null)
  case $arguments in *org.apache.catalina*) ;; *) return ;; esac
  status "$1"
  count_tomcat=$((count_tomcat + 1)); k=mw.tomcat.$count_tomcat
  program_of "$1"; version=; base=; home=
  saved=$IFS; IFS=$nl; set -f
  for argument in $arguments; do
    case $argument in
      -Dcatalina.base=*) base=${argument#*=} ;;
      -Dcatalina.home=*) home=${argument#*=} ;;
    esac
  done
  IFS=$saved; set +f
  base=${base:-$home}; home=${home:-$base}; base=${base%/}; home=${home%/}
  if command -v unzip >/dev/null 2>&1; then
    version=$($T unzip -p "$R$home/lib/catalina.jar" META-INF/MANIFEST.MF 2>/dev/null | tr -d '\r' | awk '/^Implementation-Version: / { print $2; exit }')
  fi
  if [ -z "$version" ] && [ -f "$R$home/RELEASE-NOTES" ]; then
    version=$(awk '/Apache Tomcat Version [0-9]/ { print $NF; exit }' "$R$home/RELEASE-NOTES")
  fi
  conf=$base/conf/server.xml
  owned=$home/lib/catalina.jar; owners=$owners$nl$owned
  _b "$k.meta"; meta "$1"; kv base "$base"; kv home "$home"; _e "$k.meta" 0
  _b "$k.config"
  (
    rc=0
    case $base in /*) ;; *) echo "catalina.base is not known" >&2; exit 2 ;; esac
    take "$base/conf/server.xml" "$awk_xml" || rc=2
    [ ! -f "$R$base/conf/tomcat-users.xml" ] || take "$base/conf/tomcat-users.xml" "$awk_xml" || rc=2
    [ ! -f "$R$base/conf/web.xml" ] || take "$base/conf/web.xml" "$awk_xml" || rc=2
    for entry in "$R$base"/webapps/*; do
      [ -e "$entry" ] && { entry=${entry##*/}; kv "A	" "${entry%.war}"; }
    done
    for entry in "$R$base"/conf/*/*/*.xml; do
      [ -e "$entry" ] && { entry=${entry##*/}; kv "A	" "${entry%.xml}"; }
    done
    exit "$rc"
  )
  _e "$k.config" $?
  PID=$1; EXE=$exe; CONF=$conf; BASE=$base; HOME_DIR=$home
  controls_tomcat
}

here=$(readlink "$R/proc/self/ns/pid" 2>/dev/null)
ignored=
for process in "$R"/proc/[0-9]*; do
  read -r comm 2>/dev/null <"$process/comm" || continue
  case $comm in
    nginx | openresty | tengine) kind=nginx ;;
    redis-server* | valkey-server* | redis-sentinel*) kind=redis ;;
    java | jsvc*) kind=tomcat ;;
    *) continue ;;
  esac
  there=$(readlink "$process/ns/pid" 2>/dev/null)
  if [ "$here" != "$there" ]; then ignored="$ignored $comm"; continue; fi
  "${kind}_one" "${process##*/}"
done

if [ -n "$ignored" ]; then _b mw.ignored; printf '%s\n' "$ignored"; _e mw.ignored 0; fi
if [ -n "$owners" ]; then
  _b mw.owners
  saved=$IFS; IFS=$nl; set -f
  set -- $owners
  IFS=$saved; set +f
  if [ -d "$R/var/lib/dpkg/info" ]; then
    $T dpkg-query --admindir="$R/var/lib/dpkg" -S "$@" 2>/dev/null
  elif [ -z "$R" ] && command -v rpm >/dev/null 2>&1; then
    for path in "$@"; do
      name=$($T rpm -qf --qf '%{NAME}\n' "$path" 2>/dev/null | head -n 1)
      case $name in "" | *" "*) ;; *) printf '%s: %s\n' "$name" "$path" ;; esac
    done
  fi
  _e mw.owners 0
fi
