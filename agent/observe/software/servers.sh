# Finds live servers and the versions that their files tell. POSIX sh; reads only. A found program is run with a version
# flag when it is root's alone and no package owns it; what an ordinary user could have written is only looked through.
# Line: S TAB kind TAB pid TAB program TAB location TAB path whose owner counts TAB version as worded TAB where it was read
nl='
'
tab='	'
owners=; todo=; jars=; homes=; bases=; ignored=

line() {
  for word in "$@"; do case $word in *"$nl"*) return ;; esac; done
  printf '%s' "$1"; shift
  for word in "$@"; do case $word in *"$tab"*) word=?; esac; printf '\t%s' "$word"; done
  echo
}
real() { (cd "$R$1" 2>/dev/null && pwd -P) | { IFS= read -r there && printf '%s\n' "${there#"$R"}"; }; }
# First text of file $3 and on that matches $1, at most $2 of them.
pick() { pattern=$1; most=$2; shift 2; for file in "$@"; do [ -f "$file" ] && grep -oE "$pattern" "$file" 2>/dev/null | head -n "$most"; done | tr '\n' ' '; }
first() { for file in "$@"; do [ -f "$file" ] && { printf '%s\n' "${file#"$R"}"; return; }; done; }

parent_comm() {
  up=; comm_up=
  while read -r key value; do case $key in PPid:) up=$value; break ;; esac; done 2>/dev/null <"$R/proc/$1/status"
  [ -n "$up" ] && read -r comm_up 2>/dev/null <"$R/proc/$up/comm"
}

# Whether program $2 of process $1 is root's alone.
rooted() {
  set -- $(ls -lnL "$R/proc/$1/exe" 2>/dev/null)
  [ "${3-}" = 0 ] || return 1
  case $1 in -????w* | -???????w*) return 1 ;; -*) return 0 ;; esac
  return 1
}

server() {
  version=; how=; location=$exe; owned=$exe; bin=${exe%/*}; home=${bin%/*}
  case $kind in
    mysql | mariadb)
      version=$(pick '(MYSQL_SERVER_VERSION[ \t]+"[^"]+|MySQL source [0-9.]+)' 1 "$R$home/include/mysql_version.h" "$R$home/include/mysql/mysql_version.h" "$R$home/include/mysql/server/mysql_version.h" "$R$home/docs/INFO_SRC") ;;
    postgresql) version=$(pick 'define PG_VERSION "[^"]+' 1 "$R$home/include/pg_config.h") ;;
    httpd) version=$(pick 'AP_SERVER_(MAJOR|MINOR|PATCHLEVEL)[A-Z_]*[ \t]+[0-9]+' 3 "$R$home/include/ap_release.h") ;;
    oracle)
      location=$home; version=$(pick 'NAME="oracle\.server" VER="[0-9.]+' 1 "$R$home/inventory/ContentsXML/comps.xml") ;;
    opengauss) location=$home; version=$(pick '[0-9]+\.[0-9]+\.[0-9]+' 1 "$R$home/version.cfg" "$R$bin/upgrade_version") ;;
    kingbase) location=$home; case $exe in */V[0-9]*/*) version=${exe#*/V}; version=V${version%%/*} ;; esac ;;
    dm8) location=$home; version=$(pick 'V?[78](\.[0-9]+)+' 1 "$R$bin/version.txt" "$R$home/version.txt" "$R$home/release_en.txt" "$R$home/release_zh.txt") ;;
    rabbitmq)
      case $arguments in *rabbit*) ;; *) return ;; esac
      version=$(printf '%s\n' "$arguments" | grep -oE 'rabbit(mq_server|_common)?-[0-9]+(\.[0-9]+)+' | head -n 1)
      owned=$(printf '%s\n' "$arguments" | grep -oE '/[^ :]*rabbitmq_server-[0-9.]+' | head -n 1)
      location=${owned:-$exe}; owned=${owned:+$owned/plugins}; owned=${owned:-$exe} ;;
  esac
  [ -n "$version" ] && how=file
  line S "$kind" "$pid" "$exe" "$location" "$owned" "$version" "$how"
  owners=$owners$nl$owned
  todo="$todo$nl$kind $pid $owned"
  # the OpenSSL that it has loaded
  for library in $(awk '$6 ~ /\/libcrypto[.-][^\/]*so/ && !seen[$6]++ { print $6 }' "$R/proc/$pid/maps" 2>/dev/null); do
    line O "$pid" "$library"; owners=$owners$nl$library; loaded="$loaded $pid "
  done
}

java_server() {
  kind=; home=; jar=; path=; before=; base=; chome=
  saved=$IFS; IFS=$nl; set -f
  for argument in $arguments; do
    case $before in -jar) jar=$argument ;; -cp | -classpath | --class-path) path=$argument ;; esac
    case $argument in
      -Dcatalina.base=*) base=${argument#*=} ;;
      -Dcatalina.home=*) chome=${argument#*=} ;;
      -Dwls.home=* | -Dweblogic.home=*) home=${argument#*=} ;;
      -Dactivemq.home=* | -Des.path.home=* | -Dnacos.home=* | -Dtongweb.home=* | -Dtongweb.root=*) home=${argument#*=} ;;
      weblogic.Server) kind=weblogic ;;
      org.elasticsearch.bootstrap.Elasticsearch | org.elasticsearch.server/*) kind=elasticsearch ;;
      org.apache.activemq.console.*) kind=activemq ;;
      kafka.Kafka) kind=kafka ;;
      org.apache.zookeeper.server.*) kind=zookeeper ;;
      com.tongweb.*) kind=tongweb ;;
    esac
    before=$argument
  done
  case ${jar##*/} in nacos-server.jar) kind=nacos ;; activemq.jar | run.jar) case $arguments in *-Dactivemq.home=*) kind=activemq ;; esac ;; esac
  cwd=$(readlink "$R/proc/$pid/cwd" 2>/dev/null); cwd=${cwd#"$R"}
  # what it holds open; where that may not be seen, what its command line names
  open=$(ls -l "$R/proc/$pid/fd" 2>/dev/null | sed -n 's/.* -> \(\/.*\.[jw]ar\)$/\1/p' | sort -u | head -n 1500)
  [ -n "$open" ] || {
    IFS=:; set +f
    for entry in $path; do
      case $entry in /*) ;; *) entry=$cwd/$entry ;; esac
      case $entry in
        *'/*') for entry in "$R${entry%??}"/*.jar; do open=$open$nl${entry#"$R"}; done ;;
        *.jar) open=$open$nl$entry ;;
      esac
    done
    set -f; IFS=$nl
  }
  case $jar in "" | /*) ;; *) jar=$cwd/$jar ;; esac
  case $jar in ?*) [ -f "$R$jar" ] && jars=$jars$nl$pid$tab$(real "${jar%/*}")/${jar##*/}${tab}B ;; esac
  for entry in $open; do
    entry=${entry#"$R"}
    [ -f "$R$entry" ] || continue
    case $entry in
      */kafka_[0-9]*-[0-9]*.jar) kafka=$entry ;;
      */zookeeper-[0-9]*.jar) keeper=$entry ;;
    esac
    folder=$(real "${entry%/*}"); jars=$jars$nl$pid$tab$folder/${entry##*/}
  done
  IFS=$saved; set +f
  base=${base:-$chome}; chome=${chome:-$base}
  [ -n "$chome" ] && homes=$homes$nl$(real "$chome")
  [ -n "$base" ] && bases=$bases$nl$pid$tab$(real "$base")
  [ -n "$kind" ] || return
  version=; how=file; location=$home
  case $kind in
    weblogic)
      top=$(real "$home/../.."); owned=$(first "$R$top/inventory/registry.xml" "$R$top/registry.xml" "$R$home/lib/weblogic.jar")
      version=$(pick '(name="(WebLogic Server|Oracle WebLogic Server|wls\.core[^"]*)"[^>]*version="[0-9.]+)' 1 "$R$top/inventory/registry.xml" "$R$top/registry.xml") ;;
    elasticsearch) owned=$(first "$R$home"/lib/elasticsearch-[0-9]*.jar); version=${owned##*/} ;;
    activemq) owned=$(first "$R$home"/lib/activemq-broker-[0-9]*.jar "$R$home"/lib/activemq-core-[0-9]*.jar "$R$home"/activemq-all-[0-9]*.jar); version=${owned##*/} ;;
    kafka) owned=$kafka; version=${kafka##*/kafka_*-}; location=${kafka%/*} ;;
    zookeeper) owned=$keeper; version=${keeper##*/}; location=${keeper%/*} ;;
    nacos) owned=$jar; location=$jar; version=$(tail -c 1048576 "$R$jar" 2>/dev/null | tr '\000' '\n' | grep $binary -oE 'nacos-(naming|config|core)-[0-9]+(\.[0-9]+)+' | head -n 1) ;;
    tongweb) owned=$(first "$R$home/lib/tongweb.jar"); version=$(pick '(TongWeb|[Vv]ersion)[^0-9]{0,12}[0-9]+(\.[0-9]+)+' 1 "$R$home/version.txt" "$R$home/RELEASE-NOTES" "$R$home/conf/version.properties") ;;
  esac
  line S "$kind" "$pid" "$exe" "${location:-$exe}" "${owned:-$exe}" "$version" "${version:+$how}"
  owners=$owners$nl${owned:-$exe}
}

_b sw.servers
binary=-a; echo x | grep -a x >/dev/null 2>&1 || binary=
loaded=
here=$(readlink "$R/proc/self/ns/pid" 2>/dev/null)
for process in "$R"/proc/[0-9]*; do
  read -r comm 2>/dev/null <"$process/comm" || continue
  case $comm in
    httpd | httpd.* | apache2) kind=httpd ;;
    mysqld | mysqld-debug) kind=mysql ;;
    mariadbd) kind=mariadb ;;
    postgres | postmaster) kind=postgresql ;;
    kingbase) kind=kingbase ;;
    gaussdb) kind=opengauss ;;
    ora_pmon_* | db_pmon_* | xe_pmon_*) kind=oracle ;;
    sqlservr) kind=sqlserver ;;
    dmserver) kind=dm8 ;;
    beam.smp) kind=rabbitmq ;;
    mongod | mongos) kind=mongodb ;;
    memcached) kind=memcached ;;
    php-fpm* | php[0-9]*-fpm) kind=php ;;
    haproxy) kind=haproxy ;;
    sshd) kind=openssh ;;
    nginx | openresty | tengine) kind=nginx ;;
    redis-server* | valkey-server*) kind=redis ;;
    java | jsvc*) kind=java ;;
    *) continue ;;
  esac
  pid=${process##*/}
  parent_comm "$pid"
  [ "$comm_up" = "$comm" ] && [ "$kind" != java ] && continue
  there=$(readlink "$process/ns/pid" 2>/dev/null)
  if [ -n "$there" ] && [ "$here" != "$there" ]; then ignored="$ignored $comm"; continue; fi
  exe=$(readlink "$process/exe" 2>/dev/null); exe=${exe% (deleted)}; exe=${exe#"$R"}
  arguments=$(tr '\000' '\n' <"$process/cmdline" 2>/dev/null)
  if [ -z "$exe" ]; then
    # an ordinary user may not follow the link: the first word, when it is a path
    exe=${arguments%%"$nl"*}; case $exe in /*" "* | [!/]* | "") exe= ;; esac
  fi
  kafka=; keeper=
  if [ "$kind" = java ]; then java_server; else server; fi
done
[ -n "$ignored" ] && line I "$ignored"
_e sw.servers 0
