# pam.sh: what PAM's files say, which tool owns them, and one argument of one line.
pam_dirs() { for _p in "$R"/lib/security "$R"/lib64/security "$R"/usr/lib/security "$R"/usr/lib64/security "$R"/lib/*-linux-gnu*/security "$R"/usr/lib/*-linux-gnu*/security; do [ -d "$_p" ] && echo "$_p"; done; :; }

pam_owner() { # who writes the stacks: authselect, pam-auth-update, or direct
  if _has authselect && authselect current >/dev/null 2>&1; then echo authselect
  elif _has pam-auth-update && grep -qs '^# end of pam-auth-update config' "$R/etc/pam.d/common-auth"; then echo pam-auth-update
  else echo direct; fi
}

pam_look() { # NAME...: owner, modules, and the named files of /etc/pam.d with their lines (tabs between)
  printf 'owner\t%s\n' "$(pam_owner)"
  pam_dirs | while read -r _p; do
    for _f in "$_p"/pam_*.so; do case ${_f##*/} in *[!a-z0-9_.]*) ;; *) printf 'module\t%s\n' "${_f##*/}" ;; esac; done
  done | sort -u
  for _w in "$@"; do
    _f=$R/etc/pam.d/$_w
    [ -e "$_f" ] || continue
    [ ! -h "$_f" ] || _f=$(readlink -f "$_f")
    printf 'file\t%s\t%s\t%s\n' "$_w" "${_f#"$R"}" "$(_sum "$_f")"
    awk '{print "l\t" $0}' "$_f"
  done
}

pam_conf() { # FILE...: the active lines of settings
  for _f in "$@"; do [ -r "$_f" ] && awk -v f="${_f#"$R"}" '/^[ \t]*(#|$)/{next}{print "conf\t" f "\t" $0}' "$_f"; done; :
}

pam_knows() { # FILE WORD: whether a program or module that lies in one of the usual places holds that word
  pam_dirs | sed 's|/security$||' | while read -r _p; do grep -qsa "$2" "$_p/$1" "$_p/security/$1" && echo y; done | grep -q y
}

pam_authselect() { # what authselect has on and offers, and its files
  _has authselect || return 0
  authselect current -r 2>/dev/null | tr ' ' '\n' | sed '1s/^/profile\t/; 2,$s/^/on\t/'
  authselect list-features "$(authselect current -r 2>/dev/null | cut -d' ' -f1)" 2>/dev/null | sed 's/^/offers\t/'
  for _f in "$R"/etc/authselect/* "$R"/etc/nsswitch.conf "$R"/etc/dconf/db/distro.d/20-authselect "$R"/etc/dconf/db/distro.d/locks/20-authselect; do
    if [ -f "$_f" ] && [ ! -L "$_f" ]; then printf 'written\t%s\n' "${_f#"$R"}"; fi
  done
}

pam_arg() { # FILE TYPE MODULE KEY [VALUE]: on its lines KEY=VALUE stands once; without VALUE no KEY; VALUE `-` is a bare KEY
  TYPE=$2 MODULE=$3 KEY=$4 VALUE=${5:-} awk 'BEGIN{t=ENVIRON["TYPE"];m=ENVIRON["MODULE"];k=ENVIRON["KEY"];v=ENVIRON["VALUE"]}
    {w=$1;sub(/^-/,"",w)}
    $0!~/^[ \t]*#/&&tolower(w)==t&&index($0,m){
      p=index($0,m)+length(m);h=substr($0,1,p-1);n=split(substr($0,p),a,/[ \t]+/);r=""
      for(i=1;i<=n;i++)if(a[i]!=""&&a[i]!=k&&index(a[i],k "=")!=1)r=r " " a[i]
      if(v=="-")r=r " " k;else if(v!="")r=r " " k "=" v
      print h r;next}
    {print}' "$1" | e_put "$1"
}

pam_put() { # FILE SHA256: standard input becomes its content, if it still is what was planned upon
  [ "$(_sum "$1")" = "$2" ] || { echo "$1 is not what it was when this was planned" >&2; return 1; }
  e_put "$1"
}

pam_profiles() { # FILE TYPE MODULE NAME...: the profiles NAME of pam-configs come into the stack; MODULE then stands in FILE
  _f=$1 _t=$2 _m=$3; shift 3
  DEBIAN_FRONTEND=noninteractive pam-auth-update --package </dev/null || return 1
  grep -qE "^-?${_t}[[:space:]].*$_m" "$_f" || DEBIAN_FRONTEND=noninteractive pam-auth-update --enable "$@" </dev/null
  grep -qE "^-?${_t}[[:space:]].*$_m" "$_f" || { echo "pam-auth-update leaves $_f alone: it was edited by hand" >&2; return 1; }
}

pam_sane() { # every module that a stack names is there, or its line begins with `-`
  _bad=0
  for _f in /etc/pam.d/*; do
    [ -f "$_f" ] || continue
    for _m in $(awk '/^[ \t]*(#|-|@|$)/{next}$2!="include"&&$2!="substack"{for(i=3;i<=NF;i++)if($i~/\.so$/){print $i;break}}' "$_f" | sort -u); do
      case $_m in /*) [ -e "$_m" ] ;; *) pam_dirs | while read -r _p; do [ -e "$_p/$_m" ] && echo y; done | grep -q y ;; esac ||
        { echo "$_f names $_m, which is not there" >&2; _bad=1; }
    done
  done
  return $_bad
}

pam_enter() { # ACCOUNT: its account and session stacks let it in (root needs no password for this)
  pam_sane || return 1
  su -s /bin/sh "$1" -c : </dev/null || { echo "$1 cannot begin a session" >&2; return 1; }
}

pam_su() { # who used su before, as far as the logs tell, and the groups that may be asked for: `used NAME`, `group NAME MEMBERS`
  cat "$R"/var/log/auth.log "$R"/var/log/secure 2>/dev/null | sed -n 's/.* su\(\[[0-9]*\]\)*: pam_unix(su[^)]*:session): session opened for user .* by \([a-z_][a-z0-9_-]*\)(uid=[1-9][0-9]*).*/used\t\2/p' | sort -u
  for _g in wheel sudo; do
    awk -F: -v g="$_g" 'NR==FNR{if($1==g){f=1;id=$3;m=$4}next}f&&$4==id{m=m (m==""?"":",") $1}END{if(f)print "group\t" g "\t" m}' "$R/etc/group" "$R/etc/passwd"
  done
}
