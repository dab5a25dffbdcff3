# tomcatpass.sh: passwords in tomcat-users.xml, by root in place. Needs mw.sh and splice.sh.
# tp_on finds the Tomcat (_tpb base, _tpu unit), tp_realm where its users are (_tpf file, _tpk how it keeps passwords, _tpw
# whether it reads the file again by itself), tp_find the user's password in it (_tpo offset, _tpz bytes, _tpv as written).

tp_on() { # BASE or nothing. 75: none runs; 4: several do
  _tpb=; _n=0
  for _p in "$R"/proc/[0-9]*; do
    read -r _c 2>/dev/null <"$_p/comm" || continue
    case $_c in java | jsvc*) ;; *) continue ;; esac
    _p=${_p##*/}
    _x=$(tr '\0' '\n' <"$R/proc/$_p/cmdline" 2>/dev/null | awk '/^-Dcatalina\.base=/ { b = substr($0, 17); sub(/\/$/, "", b) } /^org\.apache\.catalina/ { c = 1 } END { if (c && b != "") print b }')
    [ -n "$_x" ] && [ "$_x" != "$_tpb" ] && { [ -z "$1" ] || [ "$_x" = "$1" ]; } || continue
    mw_here "$_p" && _y=$(mw_unit "$_p") && [ -n "$_y" ] || continue
    _tpb=$_x; _tpu=$_y; _n=$((_n + 1))
  done
  case $_n in
    1) return 0 ;;
    0) echo "no Tomcat of a system unit runs here${1:+ in $1}" >&2; return 75 ;;
    *) echo "several Tomcats run here: name the folder (at:)" >&2; return 4 ;;
  esac
}

# Tags of an XML file, comments left out: T NAME BARE, its attributes A NAME OFFSET BYTES VALUE, C NAME where it ends
tp_awk='
function closed(s,    i, m, c, q) {
  q = ""; m = length(s)
  for (i = 1; i <= m; i++) {
    c = substr(s, i, 1)
    if (q != "") { if (c == q) q = "" } else if (c == "\"" || c == "\047") q = c; else if (c == ">") return i
  }
  return 0
}
function upto(s, mark) { inside = index(s, mark) ? "" : mark }
BEGIN { RS = "<"; at = 0 }
{ from = at; at += length($0) + 1 }
NR == 1 { next }
inside != "" { upto($0, inside); next }
substr($0, 1, 3) == "!--" { upto(substr($0, 4), "-->"); next }
substr($0, 1, 8) == "![CDATA[" { upto($0, "]]>"); next }
/^!/ { next }
/^\?/ { upto($0, "?>"); next }
/^\// { s = substr($0, 2); sub(/[ \t\r\n>].*/, "", s); print "C\t" s; next }
{
  end = closed($0)
  if (!end || !match($0, /^[A-Za-z_][-A-Za-z0-9_:.]*/)) next
  tag = substr($0, 1, RLENGTH); done = RLENGTH; s = substr($0, RLENGTH + 1, end - RLENGTH - 1)
  print "T\t" tag "\t" (substr($0, end - 1, 1) == "/" ? "bare" : "open")
  while (match(s, /[A-Za-z_:][-A-Za-z0-9_:.]*[ \t\r\n]*=[ \t\r\n]*["\047]/)) {
    name = substr(s, RSTART, RLENGTH); q = substr(name, length(name), 1); sub(/[ \t\r\n]*=.*/, "", name)
    done += RSTART + RLENGTH - 1; s = substr(s, RSTART + RLENGTH); p = index(s, q)
    if (!p) break
    v = substr(s, 1, p - 1); o = from + done; done += p; s = substr(s, p + 1); z = length(v); gsub(/[\t\r\n]/, " ", v)
    print "A\t" name "\t" o "\t" z "\t" v
  }
}'
tp_plain='function plain(s) { gsub(/&lt;/, "<", s); gsub(/&gt;/, ">", s); gsub(/&quot;/, "\"", s); gsub(/&apos;/, "\047", s); gsub(/&amp;/, "\\&", s); return s }'
tp_tags() { awk "$tp_awk" <"$1"; }

tp_realm() { # 4: its users are elsewhere
  _x=$(tp_tags "$R$_tpb/conf/server.xml" | awk -F'\t' '
    function ended() { # of the tag that was read last
      if (tag == "Realm" && a["className"] ~ /\.UserDatabaseRealm$/) { n++; within = open; res = ("resourceName" in a) ? a["resourceName"] : "UserDatabase"; dig = a["digest"] }
      if (tag == "Realm" && a["className"] ~ /\.MemoryRealm$/) m++
      if (tag == "CredentialHandler" && within) { if (!h++) { hc = a["className"]; ha = a["algorithm"] } }
      if (tag == "Resource") { path[a["name"]] = ("pathname" in a) ? a["pathname"] : "conf/tomcat-users.xml"; w[a["name"]] = a["watchSource"] }
      tag = ""; split("", a)
    }
    $1 == "T" { ended(); tag = $2; open = ($3 == "open") }
    $1 == "A" { a[$2] = $5 }
    $1 == "C" { ended(); if ($2 == "Realm") within = 0 }
    END { ended(); print n + 0 "\n" m + 0 "\n" h + 0 "\n" hc "\n" ha "\n" dig "\n" path[res] "\n" w[res] "\n." }') || return 4
  { read -r _n; read -r _m; read -r _h; IFS= read -r _hc; IFS= read -r _ha; IFS= read -r _hd; IFS= read -r _tpf; read -r _tpw; } <<.
$_x
.
  case $_n.$_m.$_h in
    1.0.[01]) ;;
    0.*) echo "server.xml has no UserDatabaseRealm: its users are not in tomcat-users.xml" >&2; return 4 ;;
    1.0.*) echo "its CredentialHandler ${_hc##*.} with others in it is not supported: by a person" >&2; return 4 ;;
    *) echo "server.xml has several realms of users: by a person" >&2; return 4 ;;
  esac
  _hs=$(printf %s "$_ha$_hd" | tr 'a-z' 'A-Z' | tr -d -)
  case ${_hc##*.} in
    '') _tpk=plain; [ -z "$_hd" ] || _tpk="dg $_hs" ;;
    MessageDigestCredentialHandler) _tpk=plain; [ -z "$_hs" ] || _tpk="md $_hs" ;;
    SecretKeyCredentialHandler) _tpk="sk ${_hs:-PBKDF2WITHHMACSHA1}" ;;
    *) echo "its CredentialHandler ${_hc##*.} is not supported: by a person" >&2; return 4 ;;
  esac
  case $_tpf in
    '${catalina.base}/'*) _tpf=$R$_tpb/${_tpf#*/} ;;
    '') echo "server.xml names no user database" >&2; return 4 ;;
    *'$'* | *:*) echo "its users are in $_tpf: by a person" >&2; return 4 ;;
    /*) _tpf=$R$_tpf ;;
    *) _tpf=$R$_tpb/$_tpf ;;
  esac
  _tpf=$(readlink -f "$_tpf") && [ -f "$_tpf" ] || { echo "its file of users is not there" >&2; return 4; }
}

tp_find() { # USER. 4: it is not there, or twice, or without a password
  _x=$(tp_tags "$_tpf" | U=$1 awk -F'\t' "$tp_plain"'
    function ended() {
      if (tag == "user" && plain(("username" in a) ? a["username"] : a["name"]) == ENVIRON["U"]) { n++; if ("password" in a) at = o "\t" z "\t" a["password"]; else at = "-" }
      tag = ""; split("", a)
    }
    $1 == "T" { ended(); tag = $2 }
    $1 == "A" { v = $0; sub(/^A\t[^\t]*\t[0-9]*\t[0-9]*\t/, "", v); a[$2] = v; if ($2 == "password") { o = $3; z = $4 } }
    $1 == "C" { ended() }
    END { ended(); print n + 0 "\t" at }') || return 4
  case $_x in
    0*) echo "no such user in ${_tpf#"$R"}" >&2; return 4 ;;
    1*-) echo "it has no password in ${_tpf#"$R"}" >&2; return 4 ;;
    1*) ;;
    *) echo "it stands several times in ${_tpf#"$R"}" >&2; return 4 ;;
  esac
  _x=${_x#*	}; _tpo=${_x%%	*}; _x=${_x#*	}; _tpz=${_x%%	*}; _tpv=${_x#*	}
}
tp_here() { tp_on "$1" && tp_realm && tp_find "$2"; } # BASE USER

tp_put() { # USER VALUE, written as XML: one attribute; where it cannot be read back, the file is as before
  splice_one "$_tpf" "$_tpo" "$_tpz" "$2" || { echo "${_tpf#"$R"} cannot be written" >&2; return 1; }
  _was=$_tpv; tp_find "$1" && [ "$_tpv" = "$2" ] && return 0
  splice_one "$_tpf" "$_tpo" "$(printf %s "$2" | wc -c)" "$_was"; echo "${_tpf#"$R"} was not read back as it was written" >&2; return 1
}

tp_is() { # VALUE TEXT: what stands there is this text
  [ "$(printf %s "$1" | awk "$tp_plain"'{ print plain($0) }')" = "$2" ]
}

# --- a fresh login by HTTP Basic, over the loopback ------------------------------------------------------------------------
tp_ports() { # ADDRESS PORT of every connector that speaks HTTP in clear
  tp_tags "$R$_tpb/conf/server.xml" | awk -F'\t' '
    function ended() { if (tag == "Connector" && tolower(a["protocol"]) !~ /ajp/ && tolower(a["SSLEnabled"]) != "true") print (a["address"] == "" || a["address"] == "0.0.0.0" || a["address"] == "::" ? "127.0.0.1" : a["address"]), (("port" in a) ? a["port"] : 8080); tag = ""; split("", a) }
    $1 == "T" { ended(); tag = $2 } $1 == "A" { a[$2] = $5 } $1 == "C" { ended() } END { ended() }'
}
tp_get() { # ADDRESS PORT PATH [BASE64]: status and `basic` where that is asked for; the credentials go over standard input
  { printf 'GET %s HTTP/1.0\r\nHost: %s\r\nUser-Agent: secops-agent\r\n' "$3" "$1"; [ -z "${4:-}" ] || printf 'Authorization: Basic %s\r\n' "$4"; printf '\r\n'; } |
    $_low $T bash -c 'exec 3<>"/dev/tcp/$1/$2" && cat >&3 && cat <&3' _ "$1" "$2" 2>/dev/null | tr -d '\r' |
    awk 'NR == 1 { s = $2 } $0 == "" { exit } tolower($0) ~ /^www-authenticate: *basic/ { b = " basic" } END { print s b }'
}
tp_door() { # sets _ta, _tq and _tr to where it asks for a user by Basic
  while read -r _ta _tq; do
    for _tr in /manager/html /host-manager/html /manager/text /manager/status; do
      [ "$(tp_get "$_ta" "$_tq" "$_tr")" = '401 basic' ] && return 0
    done
  done <<.
$(tp_ports)
.
  return 1
}
tp_age() { echo $(($(date +%s) - $(stat -c %Y "$_tpf"))); }
tp_login() { # BASE64: `status CODE`. A wrong one counts (LockOutRealm: 5), so it is tried when Tomcat has read the file, and once more
  case $_tpw in [Ff]alse) echo "effective after restart of $_tpu: watchSource is off" >&2; return 3 ;; esac
  _has bash || { echo "no bash to ask by HTTP with" >&2; return 3; }
  tp_door || { echo "no application asks for a user (manager is not deployed); a Tomcat that watches its file (watchSource) has read it by now, an older one does at its next start" >&2; return 3; }
  for _s in 15 28; do # its background process looks every 10 s, and leaves alone what is younger than 2 s
    _x=$((_s - $(tp_age))); [ $_x -le 0 ] || sleep $_x
    _x=$(tp_get "$_ta" "$_tq" "$_tr" "$1"); case $_x in 401*) [ "$(tp_age)" -lt 28 ] || break ;; *) break ;; esac
  done
  echo "status ${_x%% *}"
  case $_x in 401*) echo "effective after restart of $_tpu, for it still refuses this one" >&2 ;; esac
}
