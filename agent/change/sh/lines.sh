# lines.sh: lines and keys of a file, all else left as it is.
l_append() { # FILE TEXT MODE: what it holds, and TEXT behind it
  _c=$(_lines "$1") || return 1
  _c=${_c%x}
  case $_c in '' | *'
') ;; *) _c="$_c
" ;; esac
  printf '%s%s' "$_c" "$2" | e_put "$1" "$3"
}

l_set() { # FILE SECTION SEP KEY VALUE MODE: the key's first active line gets the value, further ones are commented out
  _c=$(_lines "$1") || return 1
  _c=$(printf '%s' "${_c%x}" | S=$2 P=$3 K=$4 V=$5 awk '
    BEGIN{s=ENVIRON["S"];sep=ENVIRON["P"];k=ENVIRON["K"];new=k sep ENVIRON["V"];p=sep;gsub(/[ \t]/,"",p);here="";inside=(s=="")}
    function is(l,  t,i){t=l;gsub(/[ \t]+/," ",t);sub(/^ /,"",t);if(t~/^[#;]/)return 0
      if(p=="")return index(t " ",k " ")==1
      i=index(t,p);if(!i)return 0;t=substr(t,1,i-1);sub(/ $/,"",t);return t==k}
    /^[ \t]*\[.*\][ \t]*$/&&s!=""{if(inside&&!done){print new;done=1}t=$0;gsub(/^[ \t]*\[|\][ \t]*$/,"",t);inside=(t==s);print;next}
    inside&&is($0){if(done)print "# " $0;else{print new;done=1};next}
    {print}
    END{if(!done){if(s!=""&&!inside)print "[" s "]";print new}}') || return 1
  printf '%s\n' "$_c" | e_put "$1" "$6"
}
