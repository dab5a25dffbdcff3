# account.sh: one account's line in /etc/passwd and /etc/shadow, changed under the locks that shadow's own tools take.
_ACCT_LOCKS="/etc/passwd.lock /etc/shadow.lock"

acct_lock() { # as lckpwdf's companions do: a file with our process id; a dead one's is taken over
  _try=0
  for _l in $_ACCT_LOCKS; do
    until (set -C; echo "$_me" >"$_l") 2>/dev/null; do
      _p=$(tr -d '\0' <"$_l" 2>/dev/null)
      [ "$_p" = "$_me" ] && break
      if [ -n "$_p" ] && ! kill -0 "$_p" 2>/dev/null; then rm -f "$_l"; continue; fi
      _try=$((_try + 1)); [ $_try -lt 20 ] || { acct_unlock; echo "$_l is held by $_p" >&2; return 1; }
      sleep 1
    done
  done
}
acct_unlock() { for _l in $_ACCT_LOCKS; do [ "$(cat "$_l" 2>/dev/null)" = "$_me" ] && rm -f "$_l"; done; :; }

acct_edit() { # FILE NAME AWK: AWK runs with the fields of NAME's line (FS=OFS=":"), values in the environment
  acct_lock || return 1
  _rc=1; _try=0
  while [ $_try -lt 3 ]; do # what writes past the locks (pam_unix) is seen, and the edit made anew
    _try=$((_try + 1)); _was=$(_sum "$1")
    _new=$1.secops; cp -a "$1" "$_new" || break
    NAME=$2 awk -F: -v OFS=: '$1==ENVIRON["NAME"]{n++;'"$3"'}{print}' "$1" >"$_new" || break
    [ "$(wc -l <"$1")" -eq "$(wc -l <"$_new")" ] || break
    [ "$(_sum "$1")" = "$_was" ] || continue
    mv -f "$_new" "$1" && _rc=0
    break
  done
  rm -f "$1.secops"
  if _has restorecon; then restorecon "$1" 2>/dev/null; fi
  acct_unlock
  return $_rc
}

acct_close() { # NAME: no password opens it. What stood there stays behind a `!`, so that it can be opened again
  if grep -q "^$1:" /etc/shadow; then
    acct_edit /etc/shadow "$1" 'if($2!~/^[!*]/)$2="!" $2' || return 1
    # an empty field of passwd opens the account by itself; a hash in it does so too
    awk -F: -v n="$1" '$1==n&&$2!="x"{f=1}END{exit !f}' /etc/passwd || return 0
    acct_edit /etc/passwd "$1" 'if($2=="")$2="x";else if($2!~/^[x!*]/)$2="!" $2'
  else
    acct_edit /etc/passwd "$1" 'if($2!~/^[!*]/)$2="!" $2'
  fi
}
acct_shell() { SHELL_=$2 acct_edit /etc/passwd "$1" '$7=ENVIRON["SHELL_"]'; } # NAME SHELL
acct_ends() { acct_edit /etc/shadow "$1" '$8=1'; } # NAME: expired since 1970-01-02
acct_age() { # NAME MIN MAX WARN
  A_MIN=$2 A_MAX=$3 A_WARN=$4 acct_edit /etc/shadow "$1" \
    'if($4==""||$4+0<ENVIRON["A_MIN"]+0)$4=ENVIRON["A_MIN"];$5=ENVIRON["A_MAX"];if($6==""||$6+0<ENVIRON["A_WARN"]+0)$6=ENVIRON["A_WARN"]'
}
acct_keys() { # FILE: its keys are set aside where sshd does not look
  [ ! -e "$1" ] || mv -f "$1" "$1.secops-disabled"
}

acct_list() { # every account: name, uid, gid, shell, home, kind of password, days since its change, min, max, warn, expiry (tabs)
  _now=$(($(date +%s) / 86400))
  [ -r "$R/etc/passwd" ] && [ -r "$R/etc/shadow" ] || return 2
  awk -F: -v OFS='\t' -v now=$_now '
    function kind(h){if(h=="")return "empty";if(h~/^[!*]/)return "locked";if(h=="x")return "x";return "set"}
    NR==FNR{s[$1]=kind($2);a[$1]=$3;mi[$1]=$4;ma[$1]=$5;w[$1]=$6;e[$1]=$8;next}
    NF>6{k=kind($2);o=k;if(k=="x")k=($1 in s)?s[$1]:"locked";else if(k!="locked")k=k "-passwd"
      print "acct",$1,$3,$4,$7,$6,k,(a[$1]==""?"":now-a[$1]),mi[$1],ma[$1],w[$1],e[$1]}' "$R/etc/shadow" "$R/etc/passwd"
}

acct_busy() { # accounts that something runs under, or that have cron entries: `busy NAME what`
  stat -c '%u' "$R"/proc/[0-9]* 2>/dev/null | sort -un | while read -r _i; do printf 'runs\t%s\n' "$_i"; done
  for _f in "$R"/var/spool/cron/* "$R"/var/spool/cron/crontabs/*; do
    if [ -f "$_f" ] && [ -s "$_f" ]; then printf 'cron\t%s\n' "${_f##*/}"; fi
  done
  set --
  for _f in "$R/etc/sudoers" "$R"/etc/sudoers.d/*; do [ ! -f "$_f" ] || [ ! -r "$_f" ] || set -- "$@" "$_f"; done
  [ $# = 0 ] || R=$R awk '/^[ \t]*(#|@|Defaults|%)/{next}
    NF>1&&$1!~/_Alias$/{print "sudo\t" $1 "\t" substr(FILENAME,length(ENVIRON["R"])+1)}' "$@"
  awk -F: -v OFS='\t' '$4!=""{n=split($4,m,",");for(i=1;i<=n;i++)print "member",m[i],$1}' "$R/etc/group" 2>/dev/null
  :
}
