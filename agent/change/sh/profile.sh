# profile.sh: what every shell reads when it begins.
profile_files() { for _p in "$R"/etc/profile "$R"/etc/bashrc "$R"/etc/bash.bashrc "$R"/etc/profile.d/*.sh; do
  if [ -h "$_p" ]; then [ ! -f "$_p" ] || readlink -f "$_p"; elif [ -f "$_p" ]; then echo "$_p"; fi
done | awk '!s[$0]++'; }

profile_look() { # NAME: `FILE NUMBER VALUE` (tabs) of every line that sets the variable, or the umask
  profile_files | {
    _n=$1; set --; while read -r _p; do set -- "$@" "f=${_p#"$R"}" "$_p"; done
    N=$_n awk 'BEGIN{n=ENVIRON["N"]}/^[ \t]*#/{next}
      n=="umask"{if($1=="umask"&&$2~/^[0-7]+;?$/){v=$2;sub(/;/,"",v);print "set\t" f "\t" FNR "\t" v}next}
      {r=$0;while(match(r,"(^|[^A-Za-z_])" n "=[0-9]+")){v=substr(r,RSTART,RLENGTH);sub(/.*=/,"",v);print "set\t" f "\t" FNR "\t" v;r=substr(r,RSTART+RLENGTH)}}' "$@"
  }
}

profile_set() { # FILE NAME LIMIT: what exceeds it becomes it, the line that stood there stays above as a comment
  N=$2 V=$3 awk 'BEGIN{n=ENVIRON["N"];v=ENVIRON["V"]}
    function wide(x,  i,a,b){if(x!~/^[0-7]+$/)return 0;x="000" x;x=substr(x,length(x)-2);for(i=1;i<=3;i++){a=substr(x,i,1);b=substr("000" v,length("000" v)-3+i,1);if(and3(a,b)!=b)return 1}return 0}
    function and3(a,b){return (int(a/4)%2&&int(b/4)%2)*4+(int(a/2)%2&&int(b/2)%2)*2+(a%2&&b%2)}
    {o=$0;l=$0}
    l!~/^[ \t]*#/{
      if(n=="umask"){if($1=="umask"){x=$2;sub(/;/,"",x);if(wide(x))sub(/umask[ \t]+[0-7]+/,"umask " v,l)}}
      else{p="";r=l;while(match(r,"(^|[^A-Za-z_])" n "=[0-9]+")){w=substr(r,RSTART,RLENGTH);x=w;sub(/.*=/,"",x);h=substr(w,1,length(w)-length(x))
        p=p substr(r,1,RSTART-1) h ((x+0>v+0||(n=="TMOUT"&&x+0<60))?v:x);r=substr(r,RSTART+RLENGTH)}l=p r}
    }
    {if(l!=o&&last!~/\\$/)print "# " o;print l;last=o}' "$1" | e_put "$1"
}

profile_sound() { # every file that shells read can be read by one
  profile_files | { _bad=0; while read -r _p; do
    case $_p in */bash*) bash -n "$_p" ;; *) if _has bash; then bash -n "$_p"; else sh -n "$_p"; fi ;; esac || _bad=1
  done; exit $_bad; }
}
