# sshd.sh: what sshd's settings are, where they come from, and setting one so that it wins.
# The first value of a keyword wins (sshd_config(5)); an Include is read where it stands; a crypto policy may pass -o.
_SSHD_OURS=sshd_config.d/00-secops.conf

sshd_read_once() { # what a section asks again and again, asked once: it costs some ten processes
  _SSHD_OPTS=$(sshd_opts); _SSHD_MAIN=$(sshd_main); _SSHD_READ=1
}

sshd_opts() { # the options of the sshd that runs (-o, -f), a word a line; those of a RHEL 8 crypto policy if none runs
  [ -z "${_SSHD_READ:-}" ] || { printf '%s\n' "$_SSHD_OPTS"; return; }
  _o=
  for _pid in $(cat "$R/run/sshd.pid" "$R/var/run/sshd.pid" 2>/dev/null) $(pgrep -o -x sshd 2>/dev/null); do
    [ -r "$R/proc/$_pid/cmdline" ] || continue
    _o=$(tr '\0 ' '\n\n' <"$R/proc/$_pid/cmdline" | awk '
      w == "-o" { $0 = "-o" $0 }
      w == "-f" && /^\/[A-Za-z0-9\/._-]+$/ { print "-f"; print }
      /^-o[A-Za-z0-9]+=[A-Za-z0-9@.,+^:\/*-]+$/ { print }
      { w = $0 }')
    break
  done
  if [ -z "$_o" ] && grep -qs CRYPTO_POLICY "$R/usr/lib/systemd/system/sshd.service"; then
    _o=$(tr "' " '\n\n' <"$R/etc/crypto-policies/back-ends/opensshserver.config" 2>/dev/null | awk '/^-o[A-Za-z0-9]+=[A-Za-z0-9@.,+^:\/*-]+$/')
  fi
  printf '%s\n' "$_o"
}

sshd_main() { # its configuration file
  [ -z "${_SSHD_READ:-}" ] || { printf '%s\n' "$_SSHD_MAIN"; return; }
  _main=$(sshd_opts | awk 'w == "-f" { print; exit } { w = $0 }')
  readlink -f "$R${_main:-/etc/ssh/sshd_config}"
}

sshd_unit() { # the unit that serves; empty when each connection starts a sshd of its own
  if _systemd; then
    systemctl is-active ssh.service sshd.service 2>/dev/null |
      { read -r _w; read -r _x; if [ "$_w" = active ]; then echo ssh.service; elif [ "$_x" = active ]; then echo sshd.service; else echo; fi; }
    return 0
  fi
  for _w in ssh sshd; do [ ! -e "$R/etc/init.d/$_w" ] || { echo $_w.service; return 0; }; done
  echo
}

sshd_effective() { # USER ADDR: all effective settings for who comes so
  (set -f; "$(command -v sshd)" $(sshd_opts) -T -C "user=$1,host=localhost,addr=$2")
}

sshd_files() { # the files in the order in which they are read: `FILE`, one a line; Includes of one level
  _m=$(sshd_main); echo "$_m"
  awk 'tolower($1)=="include"{for(i=2;i<=NF;i++)print $i}' "$_m" 2>/dev/null | tr -d '"' | while read -r _g; do
    case $_g in /*) ;; *) _g=/etc/ssh/$_g ;; esac
    for _p in $R$_g; do [ -f "$_p" ] && echo "$_p"; done
  done
  :
}

sshd_lines() { # every active line that sets something: FILE, number, keyword, 1 in a Match block, value (tabs between)
  sshd_files | while read -r _p; do
    awk -v f="${_p#"$R"}" '/^[ \t]*(#|$)/{next}
      {k=$0;sub(/^[ \t]+/,"",k);v=k;sub(/[ \t=].*/,"",k);sub(/^[^ \t=]+[ \t]*=?[ \t]*/,"",v);l=tolower(k)
       if(l=="match"){m=(tolower(v)=="all")?0:1;next}
       printf "%s\t%d\t%s\t%d\t%s\n",f,FNR,l,m,v}' "$_p"
  done
}

sshd_place() { # KEYWORD...: the file in which a value of ours wins, a line each: the drop-in if it is read first, else the main
  _m=$(sshd_main); _d=${_m%/*}/${_SSHD_OURS%/*}; _n=${_SSHD_OURS##*/}
  _w=$(printf ' %s' "$@")
  awk '/^[ \t]*(#|$)/{next}{f=tolower($1)=="include"&&$2~/(^|\/)sshd_config\.d\/\*\.conf"?$/;exit}END{exit !f}' "$_m" && [ -d "$_d" ] || _n=
  set -- "$_d"/*.conf; [ -e "$1" ] || set --
  # what stands in a file that is read before ours goes first; glob(3) sorts by bytes
  LC_ALL=C N=$_n W=$_w M=$_m D=$_d awk '
    FNR==1{b=FILENAME;sub(/.*\//,"",b);ahead=(b"" < ENVIRON["N"]"")}
    ahead&&!/^[ \t]*#/{k=$0;sub(/^[ \t]+/,"",k);sub(/[ \t=].*/,"",k);first[tolower(k)]=1}
    END{n=split(ENVIRON["W"],w," ");for(i=1;i<=n;i++)print (ENVIRON["N"]==""||tolower(w[i]) in first)?ENVIRON["M"]:ENVIRON["D"] "/" ENVIRON["N"]}
  ' /dev/null "$@"
}

sshd_set() { # FILE KEYWORD VALUE: into the drop-in as its only line; into the main file at its head, where it comes first
  case $1 in
    */"${_SSHD_OURS##*/}") e_key "$1" ' ' "$2" "$3" 600 ;;
    *) { echo "# secops: the first value counts"; echo "$2 $3"
         K=$2 awk 'BEGIN{k=tolower(ENVIRON["K"])}
           FNR==1{head=1}
           head&&/^# secops: the first value counts$/{held=$0;next}
           held!=""{t=$1;if(tolower(t)==k){held="";next}print held;held=""}
           {print}END{if(held!="")print held}' "$1"; } | e_put "$1" ;;
  esac
}

sshd_sound() { "$(command -v sshd)" $(sshd_opts) -t; }

sshd_holds() { # KEYWORD VALUE USER ADDR...: the configuration is sound, and gives that value to each who comes so
  sshd_sound || return 1
  _w=$1 _v=$2; shift 2
  while [ $# -gt 1 ]; do
    sshd_effective "$1" "$2" | W=$_w V=$_v awk 'BEGIN{w=tolower(ENVIRON["W"]);v=tolower(ENVIRON["V"])}
      tolower($1)==w{x=$0;sub(/^[^ ]+ /,"",x);if(tolower(x)==v)f=1}END{exit !f}' ||
      { echo "$_w is not $_v for $1 from $2" >&2; return 1; }
    shift 2
  done
}

_sshd_ears() { # inodes of the sockets that listen on sshd's ports
  for _p in $(sshd_effective root 127.0.0.1 2>/dev/null | awk '$1=="port"{print $2}'); do
    awk -v p="$(printf ':%04X' "$_p")" '$4=="0A"&&substr($2,length($2)-4)==p{print $10}' /proc/net/tcp /proc/net/tcp6 2>/dev/null
  done
}
act_sshd() { # UNIT: reload, and wait until it listens anew: SIGHUP closes the port and opens it again a moment later
  _was=$(_sshd_ears); act_reload "$1" || return 1
  _t=0
  while [ $_t -lt 30 ]; do
    _now=$(_sshd_ears); [ -n "$_now" ] && [ "$_now" != "$_was" ] && return 0
    _t=$((_t + 1)); sleep 0.1 2>/dev/null || sleep 1
  done
  [ -n "$_now" ]
}
