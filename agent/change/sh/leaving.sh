# leaving.sh: what somebody who leaves has on this host, and taking it away. Needs account.sh.
_LV_SUDO='
function trim(s){gsub(/^[ \t]+|[ \t]+$/,"",s);return s}
function without(l,  n,a,i,o,w){n=split(l,a,",");o="";for(i=1;i<=n;i++){w=trim(a[i]);if(w==N||w=="#" U){hit=1;continue};o=o (o==""?"":", ") w};return o}
BEGIN{N=ENVIRON["N"];U=ENVIRON["U"]}
{raw=raw (begun?"\n":"") $0;begun=1
 if($0~/\\$/){joined=joined substr($0,1,length($0)-1) " ";next}
 t=trim(joined $0);out=raw;raw="";joined="";begun=0;hit=0;gone=0
 if(t==""||t~/^@/||(t~/^#/&&t!~/^#[0-9]/)){}
 else if(t~/^Defaults:/){x=t;sub(/^Defaults:[ \t]*/,"",x);w=x;sub(/[ \t].*/,"",w);r=without(w)
   if(hit){if(r=="")gone=1;else out="Defaults:" r substr(x,length(w)+1)}}
 else if(t~/^User_Alias[ \t]/){i=index(t,"=");r=without(substr(t,i+1))
   if(hit&&(r==""||t~/:/)){hit=0;hard=1}else if(hit)out=substr(t,1,i) " " r}
 else if(t!~/^(Defaults|Host_Alias|Runas_Alias|Cmnd_Alias|Cmd_Alias)/&&match(t,/^[^ \t,=]+/)){
   k=RLENGTH;while(match(substr(t,k+1),/^[ \t]*,[ \t]*[^ \t,=]+/))k+=RLENGTH # mawk cannot repeat a group
   w=substr(t,1,k);r=without(w);if(hit){if(r=="")gone=1;else out=r substr(t,length(w)+1)}}
 if(hit)hits++
 if(!gone){if(ENVIRON["M"]=="edit")print out;if(t!=""&&t!~/^#[^0-9]/&&t!="#")left++}}
END{if(ENVIRON["M"]=="look"){if(hits)print "lines";if(hard)print "hard"};if(ENVIRON["M"]=="left"&&left)print "left"}'
lv_sudo() { N=$2 U=$3 M=$4 awk "$_LV_SUDO" "$1"; } # FILE NAME UID look|edit|left

lv_unsudo() { # FILE NAME UID: no line of it names the user; a drop-in of which nothing is left goes
  case $1 in "$R"/etc/sudoers.d/*) [ -n "$(lv_sudo "$1" "$2" "$3" left)" ] || { rm -f "$1"; return; } ;; esac
  _new=$(lv_sudo "$1" "$2" "$3" edit) && printf '%s\n' "$_new" | e_put "$1"
}

lv_pids() { # UID: processes of that user
  for _p in "$R"/proc/[0-9]*; do
    [ "$(stat -c %u "$_p" 2>/dev/null)" != "$1" ] || { _x=$(sed 's/^.*) //;s/ .*//' "$_p/stat" 2>/dev/null); case $_x in Z | X | '') ;; *) echo "${_p##*/}" ;; esac; }
  done
}
lv_end() { # UID: its processes end; fails when some stay
  _t=0
  while _p=$(lv_pids "$1"); [ -n "$_p" ]; do
    [ $_t -lt 20 ] || { echo "processes of uid $1 stay: $_p" >&2; return 1; }
    # shellcheck disable=SC2086 # several
    kill -KILL $_p 2>/dev/null
    _t=$((_t + 1)); _nap
  done
}

lv_keyfiles() { # NAME HOME: where sshd looks for its keys
  _x=
  if _has sshd; then _x=$(sshd -T -C "user=$1,host=localhost,addr=127.0.0.1" 2>/dev/null | sed -n 's/^authorizedkeysfile //p'); fi
  for _k in ${_x:-.ssh/authorized_keys} .ssh/authorized_keys .ssh/authorized_keys2; do
    case $_k in none) continue ;; esac
    _k=$(printf '%s\n' "$_k" | U=$1 H=$2 awk '{gsub(/%u/,ENVIRON["U"]);gsub(/%h/,ENVIRON["H"]);print}')
    case $_k in /*) echo "$_k" ;; *) echo "$2/$_k" ;; esac
  done | sort -u
}

lv_look() { # NAME: acct (its line), gone, twin NAME, mate NAME, key|cron|at|sudo PATH, odd PATH, hard PATH, runs
  _l=$(acct_list) || return 2
  _l=$(printf '%s\n' "$_l" | N=$1 awk -F'\t' '$1=="acct"{n++;u[n]=$2;i[n]=$3;h[n]=$6;l[n]=$0;if($2==ENVIRON["N"])m=n}
    END{if(!n)exit 1;if(!m){print "gone";exit};print l[m]
      for(k=1;k<=n;k++)if(k!=m){if(i[k]==i[m])print "twin\t" u[k];if(h[k]==h[m])print "mate\t" u[k]}}') || return 2
  printf '%s\n' "$_l"
  _u=-; _h=
  case $_l in acct*) _u=$(printf '%s\n' "$_l" | awk -F'\t' '$1=="acct"{print $3}'); _h=$(printf '%s\n' "$_l" | awk -F'\t' '$1=="acct"{print $6}') ;; esac
  if [ -n "$_h" ]; then
    lv_keyfiles "$1" "$_h" | while IFS= read -r _f; do
      if [ -L "$R$_f" ]; then printf 'odd\t%s\n' "$_f" # it may be another's file
      elif [ -f "$R$_f" ]; then _f=$(readlink -f "$R$_f"); printf 'key\t%s\n' "${_f#"$R"}"; fi
    done | sort -u
  fi
  for _f in "$R/var/spool/cron/$1" "$R/var/spool/cron/crontabs/$1"; do
    if [ -f "$_f" ] && [ ! -L "$_f" ]; then printf 'cron\t%s\n' "${_f#"$R"}"; fi
  done
  for _f in "$R"/var/spool/at/[a-z=]* "$R"/var/spool/cron/atjobs/[a-z=]*; do
    if [ -f "$_f" ] && [ ! -L "$_f" ] && [ "$(stat -c %u "$_f")" = "$_u" ]; then printf 'at\t%s\n' "${_f#"$R"}"; fi
  done
  for _f in "$R/etc/sudoers" "$R"/etc/sudoers.d/*; do
    [ -f "$_f" ] || continue
    for _x in $(lv_sudo "$_f" "$1" "$_u" look); do
      if [ "$_x" = lines ]; then printf 'sudo\t%s\n' "${_f#"$R"}"; else printf 'hard\t%s\n' "${_f#"$R"}"; fi
    done
  done
  if [ "$_u" != - ] && [ -n "$(lv_pids "$_u")" ]; then echo runs; fi
  :
}

lv_delete() { # NAME [-r]: the account goes, with its home where that is its own
  if _has userdel; then userdel ${2:+"$2"} "$1"; else deluser ${2:+--remove-home} "$1"; fi
  _x=$?
  if grep -q "^$1:" /etc/passwd; then return $(($_x ? $_x : 1)); fi
}

lv_mykill() { # PORT HEXUSER: its sessions end. Needs mysql.sh
  my_on "$1" || return 1
  for _i in $(my_ask "SELECT ID FROM information_schema.PROCESSLIST WHERE HEX(USER)='$2' AND ID<>CONNECTION_ID();"); do
    my_ask "KILL $_i;" 2>/dev/null || : # it has gone by itself
  done
}
