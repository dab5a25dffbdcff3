# Asks the package manager once for the owners of all that was found, then the programs that nobody owns for their version.
_b sw.owners
saved=$IFS; IFS=$nl; set -f
set --; seen=; count=0
for path in $owners; do
  case $path in /*) ;; *) continue ;; esac
  case "$nl$seen$nl" in *"$nl$path$nl"*) continue ;; esac
  seen=$seen$nl$path; count=$((count + 1))
  [ "$count" -le 1500 ] || break
  set -- "$@" "$path"
  # where /bin is a link to /usr/bin, dpkg may know a path by its other name
  case $path in /usr/bin/* | /usr/sbin/* | /usr/lib/*) [ -d "$R/var/lib/dpkg/info" ] && set -- "$@" "${path#/usr}" ;; esac
done
IFS=$saved; set +f
owned=
if [ $# -gt 0 ]; then
  if [ -d "$R/var/lib/dpkg/info" ]; then
    owned=$($T dpkg-query --admindir="$R/var/lib/dpkg" -S "$@" 2>/dev/null)
  elif [ -z "$R" ] && command -v rpm >/dev/null 2>&1; then
    asked=$($_low $T rpm -qf --qf '%{NAME}\n' "$@" 2>&1)
    if [ "$(printf '%s\n' "$asked" | wc -l)" = $# ]; then
      owned=$(printf '%s\n' "$asked" | for path in "$@"; do
        read -r name; case $name in "" | *" "*) ;; *) printf '%s: %s\n' "$name" "$path" ;; esac
      done)
    else
      owned=$(count=0; for path in "$@"; do
        count=$((count + 1)); [ "$count" -le 200 ] || break
        name=$($_low $T rpm -qf --qf '%{NAME}\n' "$path" 2>/dev/null | head -n 1)
        case $name in "" | *" "*) ;; *) printf '%s: %s\n' "$name" "$path" ;; esac
      done)
    fi
  fi
fi
printf '%s\n' "$owned"
_e sw.owners 0

# Line: V TAB pid TAB kind TAB ran or read TAB what it says
_b sw.asked
digest='OpenSSL [0-9]+\.[0-9]+\.[0-9]+[a-z]*(-[a-z0-9]+)? +[0-9]{1,2} [A-Z][a-z]{2} [0-9]{4}'
# A program also names versions that it is compatible with, or since which it can do something: all are older than its own.
newest='{ text = $0; gsub(/[^0-9]+/, " ", text); n = split(text, part, " "); for (i = n + 1; i < 5; i++) part[i] = 0
  this = sprintf("%06d%06d%06d%06d", part[1], part[2], part[3], part[4]); if (this > best) { best = this; line = $0 } } END { print line }'
glance() { $T grep $binary -oE "$2" "$R/proc/$1/exe" 2>/dev/null | awk "$newest"; }
# texts that stand alone between zero bytes
alone() { $T tr '\000' '\n' <"$R/proc/$1/exe" 2>/dev/null | grep $binary -xE "$2" | awk "$newest"; }
saved=$IFS; IFS=$nl; set -f
for entry in $todo; do
  IFS=' '; set -- $entry; IFS=$saved
  kind=$1; pid=$2; shift 2; path=$*
  case "$nl$owned$nl" in *": $path$nl"* | *": ${path#/usr}$nl"*) IFS=$nl; continue ;; esac
  exe=$(readlink "$R/proc/$pid/exe" 2>/dev/null); name=${exe##*/}; name=${name% (deleted)}
  flag=; look=; single=
  case $kind:$name in
    httpd:httpd* | httpd:apache2) flag=-v; look='Apache/[0-9]+\.[0-9]+\.[0-9]+' ;;
    mysql:mysqld*) flag='--no-defaults --version' ;;
    mariadb:mariadbd | mysql:mariadbd | mariadb:mysqld) flag='--no-defaults --version'; look='[0-9]+\.[0-9]+\.[0-9]+-MariaDB' ;;
    postgresql:postgres | postgresql:postmaster) flag=-V; look='PostgreSQL [0-9]+(\.[0-9]+)+' ;;
    kingbase:kingbase) flag=-V; look='KingbaseES\) V[0-9A-Z]+' ;;
    opengauss:gaussdb) flag=-V; look='openGauss [0-9]+\.[0-9]+\.[0-9]+' ;;
    mongodb:mongo[ds]) flag=--version ;;
    memcached:memcached) flag=-V ;;
    php:php*) flag=-v; look='PHP/[0-9]+\.[0-9]+\.[0-9]+' ;;
    haproxy:haproxy) flag=-v ;;
    openssh:sshd) flag=-V; look='OpenSSH_[0-9]+\.[0-9]+(p[0-9]+)?' ;;
    nginx:nginx | nginx:openresty | nginx:tengine) flag=-v; look='(nginx|openresty|Tengine)/[0-9]+\.[0-9]+\.[0-9]+(\.[0-9]+)?' ;;
    redis:redis-* | redis:valkey-*) flag=--version; single='[1-9][0-9]?\.[0-9]+\.[0-9]+' ;;
  esac
  said=; way=ran
  if [ -n "$flag" ] && rooted "$pid"; then said=$($T env -i "$R/proc/$pid/exe" $flag 2>&1 | head -n 3 | cut -c 1-200 | tr '\n' ' '); fi
  if [ -z "$said" ]; then
    way=read
    if [ -n "$look" ]; then said=$(glance "$pid" "$look"); elif [ -n "$single" ]; then said=$(alone "$pid" "$single"); fi
  fi
  [ -n "$said" ] && line V "$pid" "$kind" "$way" "$said"
  case $loaded in
    *" $pid "*) ;;
    *) said=$(glance "$pid" "$digest"); [ -n "$said" ] && line V "$pid" openssl static "$said" ;;
  esac
  IFS=$nl
done
IFS=$saved; set +f
# libraries that nobody owns, each once
saved=$IFS; IFS=$nl; set -f
for path in $seen; do
  case $path in */libcrypto*) ;; *) continue ;; esac
  case "$nl$owned$nl" in *": $path$nl"* | *": ${path#/usr}$nl"*) continue ;; esac
  IFS=$saved
  said=$($T grep $binary -oE "$digest" "$R$path" 2>/dev/null | head -n 1)
  [ -n "$said" ] && line W "$path" "$said"
  IFS=$nl
done
IFS=$saved; set +f
_e sw.asked 0
