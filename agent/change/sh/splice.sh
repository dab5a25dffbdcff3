# splice.sh: pieces of a file replaced by byte offsets, so that nothing else of it changes and nobody has to send it whole.
# Offsets are those of the file as it was read; a file that is another by now is refused. Several steps of one transaction
# may each replace pieces of the same file: they are put together anew from the file as it was.

splice_show() { # PATH AWK: path, real path, SHA-256, size; then what the program makes of its content, in base64
  _r=$(readlink -f "$R$1") && [ -f "$_r" ] || { printf 'lost\t%s\n' "$1"; return 0; }
  _s=$(_sum "$_r"); _b=$(wc -c <"$_r")
  [ "$_b" -le 2000000 ] || { printf 'large\t%s\n' "$1"; return 0; }
  printf 'file\t%s\t%s\t%s\t%d\n' "$1" "${_r#"$R"}" "$_s" "$_b"
  awk "$2" <"$_r" | base64
  if [ "$(_sum "$_r")" = "$_s" ]; then echo .end; else echo .torn; fi
}

splice() { # FILE SHA256 (OFFSET LENGTH TEXT)...
  _f=$(readlink -f "$1") && [ -f "$_f" ] || { echo "$1 is not there" >&2; return 1; }
  _w=$D/splice.$(printf %s "$_f" | sha256sum | cut -c1-16)
  if [ -d "$_w" ]; then
    [ "$(_sum "$_w/was")" = "$2" ] && [ "$(_sum "$_f")" = "$(_sum "$_w/out")" ]
  else
    [ "$(_sum "$_f")" = "$2" ] && mkdir "$_w" && cp "$_f" "$_w/was"
  fi || { echo "$1 is not the file that was looked at" >&2; return 1; }
  shift 2
  while [ $# -ge 3 ]; do
    _e=$_w/e.$(printf '%09d.%09d' "$1" "$2"); _i=100
    printf %s "$3" >"$_w/new" || return 1
    while [ -e "$_e.$_i" ] && ! cmp -s "$_e.$_i" "$_w/new"; do _i=$((_i + 1)); done # the same twice is once
    mv "$_w/new" "$_e.$_i" || return 1
    shift 3
  done
  splice_join "$_w" >"$_w/out.new" && mv "$_w/out.new" "$_w/out" && splice_put "$_f" "$_w/out"
}

splice_join() { # FOLDER: `was` with all of its pieces replaced
  _at=0
  for _e in "$1"/e.*; do
    _o=${_e##*/e.}; _l=${_o#*.}; _l=${_l%.*}; _o=${_o%%.*}
    _o=$(expr "$_o" + 0); _l=$(expr "$_l" + 0) # leading zeros would make them octal
    [ "$_o" -ge "$_at" ] || { echo "two changes of the same place" >&2; return 1; }
    if [ "$_o" -gt "$_at" ]; then tail -c +$((_at + 1)) "$1/was" | head -c $((_o - _at)); fi
    cat "$_e" || return 1
    _at=$((_o + _l))
  done
  tail -c +$((_at + 1)) "$1/was"
}

splice_one() { # FILE OFFSET LENGTH TEXT: these bytes become TEXT, which stands in no other file and in no argument of a program
  _spf=$(readlink -f "$1") && _z=$(wc -c <"$_spf") && [ $(($2 + $3)) -le "$_z" ] || return 1
  { if [ "$2" -gt 0 ]; then head -c "$2" "$_spf"; fi; printf %s "$4"; tail -c +$(($2 + $3 + 1)) "$_spf"; } |
    splice_put "$_spf" - $((_z - $3 + $(printf %s "$4" | wc -c))) && printf '%s\n' "$_spf" "${_spf%/*}" | _flush
}

splice_put() { # FILE FROM [BYTES]: FILE becomes FROM by a rename. Its folder may belong to an account that is not to be trusted
  # (/etc/redis is redis's): the new file is one that was not there before, and it is reached by its open descriptor only
  _spn=${1%/*}/.secops.$(od -An -N8 -tx1 /dev/urandom | tr -d ' \n')
  (
    set -C; umask 077
    exec 3>"$_spn" || exit 1
    cat "$2" >&3 || exit 1
    [ -z "${3:-}" ] || [ "$(wc -c </proc/self/fd/3)" -eq "$3" ] || exit 1
    chown "$(stat -c %u:%g "$1")" /proc/self/fd/3 && chmod "$(stat -c %a "$1")" /proc/self/fd/3 || exit 1
    if _has getfacl && _has setfacl; then getfacl -p "$1" 2>/dev/null | setfacl --set-file=- /proc/self/fd/3 2>/dev/null; fi
    if [ "$(stat -c %C "$1" 2>/dev/null)" != "?" ] && _has chcon; then chcon --reference="$1" /proc/self/fd/3 2>/dev/null; fi
    mv -f "$_spn" "$1"
  ) || { rm -f "$_spn"; return 1; }
}
