# secretfile.sh: the one value of a key in a file, compared and replaced in place. Secrets come on standard input alone:
# the line N, N lines with candidates, and behind them the file. Forms: properties, yaml, url (the password in a URL).
_SF='
function hex(h){return (index("0123456789abcdef",tolower(substr(h,1,1)))-1)*16+index("0123456789abcdef",tolower(substr(h,2,1)))-1}
function plain(s,  o,i){o=""; while((i=index(s,"%"))>0){o=o substr(s,1,i-1)
  if(substr(s,i+1,2)~/^[0-9A-Fa-f][0-9A-Fa-f]$/){o=o sprintf("%c",hex(substr(s,i+1,2)));s=substr(s,i+3)}else{o=o "%";s=substr(s,i+1)}} return o s}
function cut(l,  t,i,c,r,e,a){ # pre, val, post, quoted of a line that has the key; false when it has not
  t=l; sub(/^[ \t]+/,"",t); if(t~/^[#;!]/)return 0
  i=length(l)-length(t); if(substr(t,1,7)=="export "){i+=7;t=substr(t,8)}
  if(substr(t,1,length(key))!=key)return 0
  t=substr(t,length(key)+1); c=t; sub(/^[ \t]+/,"",c)
  if(c!~/^[=:]/||(form=="yaml"&&c!~/^:([ \t]|$)/))return 0
  r=substr(c,2); sub(/^[ \t]+/,"",r); val=r; post=""; pre=substr(l,1,length(l)-length(r)); quoted=0
  c=substr(r,1,1)
  if((c=="\"" || c=="\047") && (e=index(substr(r,2),c))>0){quoted=1;pre=pre c;val=substr(r,2,e-1);post=substr(r,e+1)}
  else{if(form=="yaml"&&match(val,/[ \t]#/))val=substr(val,1,RSTART-1);sub(/[ \t\r]+$/,"",val);post=substr(r,length(val)+1)}
  if(form!="url")return 1
  i=index(val,"://"); if(!i)return 0
  r=substr(val,i+3); e=match(r,/[\/?#]/); t=e?substr(r,1,e-1):r
  c=index(t,":"); a=0; for(e=1;e<=length(t);e++)if(substr(t,e,1)=="@")a=e
  if(!c||a<=c)return 0
  pre=pre substr(val,1,i+2) substr(t,1,c); post=substr(r,a) post; val=substr(t,c+1,a-c-1); return 1}
NR==1{n=$0+0;next}
NR<=n+1{known[NR-1]=$0;next}
{lines[++m]=$0}
END{ cutlast=(lines[m]=="x"); if(!cutlast)lines[m]=substr(lines[m],1,length(lines[m])-1); else m--
  for(i=1;i<=m;i++)if(cut(lines[i])){hits++;at=i}
  if(mode=="get"){ if(!hits){print "absent";exit}; if(hits>1){print "twice";exit}
    cut(lines[at]); v=form=="url"?plain(val):val
    for(i=1;i<=n;i++)if(v==known[i]){print i-1;exit}
    print "other";exit}
  if(hits!=1)exit 4
  if(mode=="say"){cut(lines[at]);print form=="url"?plain(val):val;exit}
  for(i=1;i<=m;i++){ if(i==at){cut(lines[i]);w=known[1]; if(form=="yaml"&&!quoted&&w!~/^[A-Za-z][A-Za-z0-9._~-]*$/)w="\047" w "\047"
      lines[i]=pre w post}
    printf "%s%s",lines[i],(i<m||cutlast?"\n":"")}
  printf "x"}'

sf_file() { # PATH: the file itself, links followed; one that awk can hold
  _f=$(readlink -f "$1") && [ -f "$_f" ] && [ -r "$_f" ] || { echo "no such file" >&2; return 4; }
  [ "$(wc -c <"$_f")" -le 1048576 ] || { echo "larger than 1 MiB" >&2; return 4; }
  tr -d '\000' <"$_f" | cmp -s - "$_f" || { echo "not a text" >&2; return 4; }
  echo "$_f"
}
sf_ask() { # MODE FILE FORM KEY: N and candidates on standard input
  { cat; cat "$2" && echo x; } | LC_ALL=C awk -v mode="$1" -v form="$3" -v key="$4" "$_SF"
}
sf_put() { # FILE FORM KEY: 1 and the text on standard input, percent-encoded for a URL
  _c=$(sf_ask put "$1" "$2" "$3") && case $_c in *x) ;; *) false ;; esac || { echo "the key is not there once" >&2; return 1; }
  printf '%s' "${_c%x}" | e_put "$1"
}
act_serve() { # UNIT HOW: make a program read it; one that died of what was written is started again
  _systemd || { service "${1%.service}" "$2"; return; }
  if systemctl is-active -q "$1"; then
    if [ "$2" = restart ]; then systemctl restart "$1"; else systemctl reload "$1" 2>/dev/null || systemctl reload-or-restart "$1"; fi
  elif systemctl is-failed -q "$1" || systemctl is-enabled -q "$1" 2>/dev/null; then
    systemctl reset-failed "$1" 2>/dev/null; systemctl start "$1"
  fi
}
sf_serves() { # UNIT PORT SECONDS: it runs, still does two seconds later, and listens
  _t=0
  until { [ -z "$1" ] || systemctl is-active -q "$1"; } && { [ -z "$2" ] || sf_listens "$2"; }; do
    _t=$((_t + 1)); [ $_t -lt "$3" ] || { echo "$1 ${2:+tcp/$2} does not serve" >&2; return 1; }; sleep 1
  done
  [ -z "$1" ] || { sleep 2; systemctl is-active -q "$1"; } || { echo "$1 ended" >&2; return 1; }
}
sf_listens() { # PORT
  _x=$(printf '%04X' "$1")
  awk -v p=":$_x" '$4=="0A" && substr($2,length($2)-4)==p {found=1} END{exit !found}' /proc/net/tcp /proc/net/tcp6 2>/dev/null
}
sf_forget() { # captures of earlier ones hold passwords: they go as soon as they are over
  for _t in "$TXROOT"/tx/pw-*; do
    [ -d "$_t" ] || continue
    case $(tx_word "${_t##*/}") in confirmed | undone) rm -rf "$_t" ;; esac
  done
}
