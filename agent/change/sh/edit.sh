# edit.sh: writing files so that nobody ever reads half of one. All keep mode, owner, label and links.
e_real() { readlink -f "$1"; }

e_put() { # FILE [MODE [OWNER]]: standard input becomes its content; mode and owner count for a new file only
  [ -d "${1%/*}/" ] || (umask 022; mkdir -p "${1%/*}") || return 1
  _f=$(readlink -f "$1") && [ ! -d "$_f" ] || return 1
  _t=${_f%/*}/.${_f##*/}.$TX.new # a name that the undo knows, so that it takes away what a killed writer left
  rm -f "$_t"
  if [ -e "$_f" ]; then cp -a "$_f" "$_t"; else true >"$_t" && chmod "${2:-644}" "$_t" && chown "${3:-root:root}" "$_t"; fi || { rm -f "$_t"; return 1; }
  cat >"$_t" && mv -f "$_t" "$_f" || { rm -f "$_t"; return 1; }
  if _has restorecon; then restorecon "$_f" 2>/dev/null; fi; :
}

_lines() { # FILE: its content and a mark, so that the end of the last line is kept; nothing where there is no file
  if [ -e "$1" ]; then cat "$1" || return 1; fi; echo x
}

e_key() { # FILE SEP KEY VALUE [MODE]: one `KEY<SEP>VALUE` line. SEP as it is written: ' ', '=', ' = ', '\t'.
  # The first active line of the key gets the value; further ones are commented out; without one it is appended.
  _c=$(_lines "$1") || return 1
  _c=$(printf '%s\n' "$_c" | K=$3 V=$4 S=$2 awk '
    BEGIN{key=ENVIRON["K"];sep=ENVIRON["S"];if(sep=="\\t")sep="\t";new=key sep ENVIRON["V"];bare=sep;gsub(/[ \t]/,"",bare)}
    {lines[NR]=$0}
    END{last=lines[NR];n=NR-(last=="x"?1:0);cut=(last=="x")
      if(!cut)lines[NR]=substr(last,1,length(last)-1)
      for(i=1;i<=n;i++){l=lines[i];t=l;sub(/^[ \t]+/,"",t)
        k=t;if(bare!="")sub("[ \t]*" bare ".*","",k);else sub(/[ \t].*/,"",k)
        if(tolower(k)==tolower(key)&&t!~/^[#;]/){if(!done){print new;done=1}else print "# " l}else print l}
      if(!done)print new
      print "x"}') || return 1 # an awk that was killed must not empty the file
  printf '%s' "${_c%x}" | e_put "$1" "${5:-644}"
}

e_drop() { # FILE KEY: comment out its active lines (key ends at white space or `=`)
  [ -e "$1" ] || return 0
  _c=$(K=$2 awk 'BEGIN{key=tolower(ENVIRON["K"])}{t=$0;sub(/^[ \t]+/,"",t);k=t;sub(/[ \t=].*/,"",k);print (tolower(k)==key?"# ":"") $0}END{print "x"}' "$1") || return 1
  printf '%s' "${_c%x}" | e_put "$1"
}
