# One redis.conf (or ACL file, or command line as lines) in, one directive a line out:  D \t \t NAME \t ARG \t ARG ...
# Passwords are masked here, on the target; NAME.weak and NAME.classes say of them what a control needs to know.
function words(s,    c, i, m, q, open, tok, esc) {
  n = 0; q = ""; open = 0; tok = ""; esc = 0
  m = length(s)
  for (i = 1; i <= m; i++) {
    c = substr(s, i, 1)
    if (esc) { tok = tok c; esc = 0; continue }
    if (q != "") { if (c == "\\" && q == "\"") esc = 1; else if (c == q) q = ""; else tok = tok c; continue }
    if (c == " " || c == "\t" || c == "\r") { if (open) { word[++n] = tok; tok = ""; open = 0 } continue }
    if (c == "\"" || c == "\047") { q = c; open = 1; continue }
    tok = tok c; open = 1
  }
  if (open) word[++n] = tok
}
function weak(s) {
  return (length(s) < 8 || tolower(s) ~ /^(foobared|password|redis|redis123|admin123|12345678|123456789|1234567890|qwertyui|changeme|default|administrator|letmein1)$/) ? "yes" : "no"
}
function classes(s) { return (s ~ /[a-z]/) + (s ~ /[A-Z]/) + (s ~ /[0-9]/) + (s ~ /[^A-Za-z0-9]/) }
function told(name, s) {
  print "D\t\t" name "\t" (s == "" ? "" : "<set length=" length(s) ">")
  if (s != "") { print "D\t\t" name ".weak\t" weak(s); print "D\t\t" name ".classes\t" classes(s) }
}
function flat(s) { gsub(/[\t\r\n]/, " ", s); return s }
function acl(    i, s, c) {
  line = "D\t\tuser"
  for (i = 2; i <= n; i++) {
    s = word[i]; c = substr(s, 1, 1)
    if (i > 2 && c == ">") s = "><set length=" length(s) - 1 " weak=" weak(substr(s, 2)) ">"
    else if (i > 2 && (c == "#" || c == "<" || c == "!")) s = c "<set>"
    line = line "\t" flat(s)
  }
  print line
}
BEGIN { print "F\t" ENVIRON["MW_FILE"] }
{
  total += length($0) + 1
  if (total > 2000000) { exit 3 }
  sub(/^[ \t]+/, "")
  if ($0 == "" || substr($0, 1, 1) == "#") next
  words($0)
  if (n < 1) next
  name = tolower(flat(word[1]))
  if (name == "user") { acl(); next }
  if (name == "sentinel" && tolower(word[2]) ~ /pass/) { print "D\t\tsentinel\t" flat(word[2]) "\t" flat(word[3]) "\t<set>"; next }
  if (name == "rename-command") { print "D\t\trename-command\t" toupper(flat(word[2])) "\t" (word[3] == "" ? "\"\"" : "<renamed length=" length(word[3]) ">"); next }
  if (name ~ /pass|secret|token/ || name == "masterauth") { told(name, word[2]); next }
  line = "D\t\t" name
  for (i = 2; i <= n; i++) line = line "\t" flat(word[i])
  print line
}
