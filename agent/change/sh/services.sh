# services.sh: which unit answers at which port, and the entries of super-servers.
svc_units() { # `at PATH LINK`, `rc NAME`, `unit UNIT LOAD ACTIVE`: links tell what starts at boot, as is-enabled would in 10 ms a unit
  for _d in /etc/systemd/system /usr/lib/systemd/system /lib/systemd/system; do
    [ -d "$R$_d" ] && { [ "$_d" != /lib/systemd/system ] || [ ! -L "$R/lib" ]; } || continue
    find "$R$_d" -maxdepth 2 \( -name '*.service' -o -name '*.socket' -o -name '*.target' \) -printf "at $_d/%P %l\n"
  done
  for _f in "$R"/etc/rc3.d/S*; do if [ -L "$_f" ]; then _f=${_f##*/S[0-9][0-9]}; echo "rc $_f"; fi; done
  systemctl list-units --all --plain --no-legend --no-pager --type=service,socket,target 2>/dev/null | awk '{print "unit",$1,$2,$3}'
}

svc_ports() { # `serves UNIT PROTO/PORT`
  ss -Hltunp 2>/dev/null | awk '{p=$1;sub(/6$/,"",p);n=split($5,a,":");if(match($0,/pid=[0-9]+/))print p "/" a[n],substr($0,RSTART+4,RLENGTH-4)}' | sort -u |
    while read -r _a _i; do
      _u=$(sed -n '\#/[^/]*\.\(service\|socket\)#{s#.*/\([^/]*\.\(service\|socket\)\).*#\1#p;q;}' "$R/proc/$_i/cgroup" 2>/dev/null)
      [ -z "$_u" ] || echo "serves $_u $_a"
    done | sort -u
  systemctl list-sockets --show-types --no-legend --no-pager --full 2>/dev/null | awk '
    /:[0-9]+ /{n=split($1,a,":");p=$2=="Stream"?"tcp":$2=="Datagram"?"udp":"";if(p)for(i=3;i<=NF;i++)if($i~/\.(service|socket)$/)print "serves",$i,p "/" a[n]}'
}

_port() { case $1 in *[!0-9]*) getent services "$1/$2" 2>/dev/null | awk '{sub(/\/.*/,"",$2);print $2}' ;; *) echo "$1" ;; esac; }
svc_inetd() { # `entry inetd|xinetd FILE SERVICE PROTO PORT` of every entry that is on; PORT 0: unknown
  for _f in "$R"/etc/inetd.conf "$R"/etc/inetd.d/*; do
    [ -f "$_f" ] && awk '$1!~/^#/&&NF>=6{print $1,$3}' "$_f" | while read -r _s _r; do
      _r=${_r%6}; _x=$(_port "$_s" "$_r"); echo "entry inetd ${_f#"$R"} $_s $_r ${_x:-0}"
    done
  done
  for _f in "$R"/etc/xinetd.d/*; do
    [ -f "$_f" ] && awk '$1=="service"{s=$2;off=0;t="stream";p=""}{gsub(/=/," = ")}$1=="disable"&&$2=="="&&$3=="yes"{off=1}$1=="socket_type"{t=$3}$1=="port"&&$2=="="{p=$3}
      $1=="}"{if(s!=""&&!off)print s,t=="dgram"?"udp":"tcp",p==""?"-":p;s=""}' "$_f" | while read -r _s _r _x; do
      if [ "$_x" = - ]; then _x=$(_port "$_s" "$_r"); fi; echo "entry xinetd ${_f#"$R"} $_s $_r ${_x:-0}"
    done
  done
  :
}

svc_entry_off() { # inetd|xinetd FILE SERVICE PROTO: the entry no longer counts; what stood there stays to be read
  [ -f "$2" ] || return 1
  if [ "$1" = inetd ]; then
    S=$3 P=$4 awk '$1==ENVIRON["S"]&&($3==ENVIRON["P"]||$3==ENVIRON["P"] "6"){print "# " $0;next}{print}' "$2" | e_put "$2"
  else
    S=$3 awk '$1=="service"{on=($2==ENVIRON["S"])}on&&$1~/^disable/{print "# " $0;next}on&&$1=="}"{print "\tdisable = yes";on=0}{print}' "$2" | e_put "$2"
  fi
}
