# tomcat.sh: Tomcat's configuration as it is read, its restart, applications moved out of the way. Needs mw.sh and splice.sh.

# Covers with x every value, text and comment but those that are needed; length and markup are kept. A password that is weak
# (see xml.awk of the scan) is covered with w; a value with -- in it with -, for no comment may hold it.
tc_awk='
function fill(s) { gsub(/[^ \t\r\n]/, "x", s); return s }
function cover(s, c) { if (s ~ /--/) c = "-"; gsub(/[^ \t\r\n]/, c, s); return s }
function plain(s) { gsub(/&lt;/, "<", s); gsub(/&gt;/, ">", s); gsub(/&quot;/, "\"", s); gsub(/&apos;/, "\047", s); gsub(/&amp;/, "\\&", s); return s }
function weak(s, user) {
  return length(s) < 8 || tolower(s) == tolower(user) || tolower(s) ~ /^(tomcat|admin|manager|s3cret|123456|password|changeit|must-be-changed|<must-be-changed>|12345678|123456789|1234567890|tomcat123|admin123|qwertyui|changeme|administrator)$/
}
function attributes(s, really,    head, name, low, q, at, value, out) {
  out = ""; if (!really) user = ""
  while (match(s, /[A-Za-z_:][-A-Za-z0-9_:.]*[ \t\r\n]*=[ \t\r\n]*["\047]/)) {
    head = substr(s, 1, RSTART + RLENGTH - 1); name = substr(s, RSTART, RLENGTH); q = substr(name, length(name), 1)
    sub(/[ \t\r\n]*=.*/, "", name); s = substr(s, RSTART + RLENGTH); at = index(s, q)
    if (!at) return out head fill(s)
    value = substr(s, 1, at - 1); s = substr(s, at + 1); low = tolower(name)
    if (low == "username" || low == "name" && user == "") user = plain(value)
    if (low == "password") value = cover(value, weak(plain(value), user) ? "w" : "x")
    else if (name !~ /^(port|className|protocol|name|address|SSLEnabled|secretRequired|autoDeploy|appBase|showReport|showServerInfo|failureCount|lockOutTime|pathname|username|roles|rolename)$/ || tag == "Environment") value = cover(value, "x")
    out = out head value q
  }
  return out s
}
function closed(s,    i, m, c, q) {
  q = ""; m = length(s)
  for (i = 1; i <= m; i++) {
    c = substr(s, i, 1)
    if (q != "") { if (c == q) q = "" } else if (c == "\"" || c == "\047") q = c; else if (c == ">") return i
  }
  return 0
}
function upto(s, mark, from,    p) { # to the end of a comment and the like
  p = index(substr(s, from), mark)
  if (!p) return substr(s, 1, from - 1) fill(substr(s, from))
  inside = ""
  return substr(s, 1, from - 1) fill(substr(s, from, p - 1)) mark fill(substr(s, from + p - 1 + length(mark)))
}
BEGIN { RS = "<"; ORS = "" }
NR > 1 { print "<" }
NR == 1 { print fill($0); next }
inside != "" { print upto($0, inside, 1); next }
substr($0, 1, 3) == "!--" { inside = "-->"; print upto($0, inside, 4); next }
substr($0, 1, 8) == "![CDATA[" { inside = "]]>"; print upto($0, inside, 9); next }
/^!/ { print (substr($0, 1, 8) == "!DOCTYPE" ? "!DOCTYPE" fill(substr($0, 9)) : "!" fill(substr($0, 2))); next }
/^\?/ { inside = "?>"; print upto($0, inside, 2); next }
/^\// { p = index($0, ">"); print (p ? substr($0, 1, p) fill(substr($0, p + 1)) : fill($0)); next }
{
  end = closed($0)
  if (!end || !match($0, /^[A-Za-z_][-A-Za-z0-9_:.]*/)) { print fill($0); next }
  tag = substr($0, 1, RLENGTH); rest = substr($0, RLENGTH + 1, end - RLENGTH - 1); text = substr($0, end + 1)
  attributes(rest, 0); rest = attributes(rest, 1)
  if (tag == "param-name") { param = text; gsub(/[ \t\r\n]/, "", param) }
  if (!(tag ~ /^(param-name|session-timeout|servlet-name)$/ || tag == "param-value" && param ~ /^(listings|readonly)$/)) text = fill(text)
  print tag rest ">" text
}'

tc_pid() { # BASE: the Tomcat of that base in a unit of the system's; fails when there is none, or more than one
  _one=
  for _p in "$R"/proc/[0-9]*; do
    read -r _c 2>/dev/null <"$_p/comm" || continue
    case $_c in java | jsvc*) ;; *) continue ;; esac
    _p=${_p##*/}
    tr '\0' '\n' <"$R/proc/$_p/cmdline" 2>/dev/null | B=$1 awk '
      $0 == "-Dcatalina.base=" ENVIRON["B"] || $0 == "-Dcatalina.base=" ENVIRON["B"] "/" { b = 1 } /^org\.apache\.catalina/ { c = 1 } END { exit !(b && c) }' || continue
    mw_here "$_p" && [ -n "$(mw_unit "$_p")" ] || continue
    # jsvc has two processes of one unit
    [ -z "$_one" ] || [ "$(mw_unit "$_p")" = "$(mw_unit "$_one")" ] || return 1
    _one=$_p
  done
  [ -n "$_one" ] && echo "$_one"
}

tc_read() { # BASE FILE...: of conf
  _base=$1; shift
  _m=$(tc_pid "$_base") || { echo none; return 0; }
  printf 'unit\t%s\n' "$(mw_unit "$_m")"
  for _f in "$@"; do
    case $_f in server.xml) ;; *) [ -f "$R$_base/conf/$_f" ] || { printf 'absent\t%s\n' "$_f"; continue; } ;; esac
    splice_show "$_base/conf/$_f" "$tc_awk"
  done
}

act_tomcat() { # UNIT PORT...: restart, and wait until it listens
  _unit=$1; shift
  act_restart "$_unit" && { [ $# -eq 0 ] || mw_ears 120 "$@"; }
}

tc_apps() { # BASE NAME...: `app FOLDER`, for what is deployed of those; `context FILE`, for context files that deploy them
  _base=$1; shift
  _m=$(tc_pid "$_base") || { echo none; return 0; }
  printf 'unit\t%s\n' "$(mw_unit "$_m")"
  splice_show "$_base/conf/server.xml" "$tc_awk"
  _web=$(readlink -f "$R$_base/webapps") || return 0
  for _a in "$@"; do
    for _f in "$_web/$_a" "$_web/$_a.war"; do
      [ -e "$_f" ] || [ -L "$_f" ] || continue
      printf 'app\t%s\n' "${_f#"$R"}"
    done
    for _f in "$R$_base"/conf/*/*/"$_a.xml"; do
      if [ -f "$_f" ]; then printf 'context\t%s\n' "$(_f=$(readlink -f "$_f"); printf %s "${_f#"$R"}")"; fi
    done
  done
}

tc_move() { # FROM TO: whole or not at all; TO is not there before
  [ -e "$1" ] || [ -L "$1" ] || { echo "$1 is not there" >&2; return 1; }
  [ ! -e "$2" ] && [ ! -L "$2" ] || { echo "$2 is there already" >&2; return 1; }
  mkdir -p "${2%/*}" && chmod 700 "${2%/*}" || return 1
  rm -rf "$2.part" && cp -a "$1" "$2.part" && mv -T "$2.part" "$2" && rm -rf "$1" || { rm -rf "$2.part"; return 1; }
}
