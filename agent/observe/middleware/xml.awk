# One XML file of Tomcat in, out:  E \t PATH \t ATTR=VALUE ...  for each element and  T \t PATH \t TEXT  for the few
# whose text matters. Comments and CDATA are dropped; a DOCTYPE is told ("X doctype") and never followed.
# Passwords are masked here, on the target; weak= says of them what a control needs to know.
function flat(s) { gsub(/[\t\r\n]/, " ", s); return s }
function weak(s, user) {
  return (length(s) < 8 || tolower(s) == tolower(user) || tolower(s) ~ /^(tomcat|admin|manager|s3cret|123456|password|changeit|must-be-changed|<must-be-changed>|12345678|123456789|1234567890|tomcat123|admin123|qwertyui|changeme|administrator)$/) ? "yes" : "no"
}
function attributes(s,    name, value, q, at, low, line, user, secret, has, seen) {
  line = ""; user = ""; has = 0
  while (match(s, /[A-Za-z_:][-A-Za-z0-9_:.]*[ \t\r\n]*=[ \t\r\n]*["\047]/)) {
    name = substr(s, RSTART, RLENGTH)
    q = substr(name, length(name), 1)
    sub(/[ \t\r\n]*=.*/, "", name)
    s = substr(s, RSTART + RLENGTH)
    at = index(s, q)
    if (!at) { broken = 1; break }
    value = substr(s, 1, at - 1)
    s = substr(s, at + 1)
    gsub(/&lt;/, "<", value); gsub(/&gt;/, ">", value); gsub(/&quot;/, "\"", value); gsub(/&apos;/, "\047", value); gsub(/&amp;/, "\\&", value)
    low = tolower(name)
    if (low == "username" || low == "name" && user == "") user = value
    if (low ~ /passw|secret$|credential$|token$|keypass$|truststorepass$|keystorepass$/ || tag == "Environment" && low == "value") {
      if (low == "password") { secret = value; has = 1 }
      value = value == "" ? "" : "<set length=" length(value) ">"
    }
    if (low == "shutdown" && value != "SHUTDOWN") value = "<set length=" length(value) ">"
    gsub(/:\/\/[^\/@ ]*@/, "://<set>@", value)
    gsub(/[Pp][Aa][Ss][Ss][Ww][Oo][Rr][Dd]=[^&; ]*/, "password=<set>", value)
    line = line "\t" name "=" flat(value)
  }
  if (has) line = line "\tweak=" weak(secret, user)
  return line
}
function closed(s,    i, m, c, q) {
  q = ""; m = length(s)
  for (i = 1; i <= m; i++) {
    c = substr(s, i, 1)
    if (q != "") { if (c == q) q = "" }
    else if (c == "\"" || c == "\047") q = c
    else if (c == ">") return i
  }
  return 0
}
BEGIN { RS = "<"; print "F\t" ENVIRON["MW_FILE"]; path = "" }
{
  total += length($0) + 1
  if (total > 4000000) { bad = 3; exit }
  if (NR == 1) next
  if (comment) { if (index($0, "-->")) comment = 0; next }
  if (cdata) { if (index($0, "]]>")) cdata = 0; next }
  if (substr($0, 1, 3) == "!--") { if (!index(substr($0, 4), "-->")) comment = 1; next }
  if (substr($0, 1, 8) == "![CDATA[") { if (!index($0, "]]>")) cdata = 1; next }
  first = substr($0, 1, 1)
  if (first == "!") { if (substr($0, 1, 8) == "!DOCTYPE" || substr($0, 1, 7) == "!ENTITY") print "X\tdoctype"; next }
  if (first == "?") next
  if (first == "/") { if (depth < 1) { broken = 1; next } path = up[depth--]; next }
  if ($0 ~ /^(mime-mapping|extension|mime-type|welcome-file)[ >]/) { up[++depth] = path; path = path "/-"; next }
  end = closed($0)
  if (!end) { broken = 1; next }
  body = substr($0, 1, end - 1)
  text = substr($0, end + 1)
  if (!match(body, /^[A-Za-z_][-A-Za-z0-9_:.]*/)) { broken = 1; next }
  tag = substr(body, 1, RLENGTH)
  rest = substr(body, RLENGTH + 1)
  print "E\t" path "/" tag attributes(rest)
  if (body ~ /\/$/) next
  up[++depth] = path
  path = path "/" tag
  if (depth > 60) { bad = 3; exit }
  if (tag ~ /^(param-name|param-value|session-timeout|servlet-name|exception-type|error-code|http-only|secure)$/) {
    gsub(/^[ \t\r\n]+|[ \t\r\n]+$/, "", text)
    print "T\t" path "\t" flat(text)
  }
}
END { if (!bad && (depth > 0 || comment || cdata || broken)) { print "X\tbroken"; bad = 2 } exit bad }
