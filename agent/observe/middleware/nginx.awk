# One nginx configuration file in, one directive a line out:  KIND \t CONTEXT \t NAME \t ARG \t ARG ...
# KIND is D (ends with a semicolon) or B (opens a block). Secrets are masked here, on the target. Blocks of data
# (map, types, geo ...) and of code (*_by_lua_block) are not shown: their entries are no directives.
function put() { if (open) { word[++n] = tok; tok = ""; open = 0 } }
function masked(i, s,    low) {
  if (word[1] ~ /^(proxy_set_header|grpc_set_header|fastcgi_param|uwsgi_param|scgi_param|add_header|more_set_headers|set|env|auth_jwt_key|secure_link_secret|perl_set|proxy_pass_header)$/ && i > 1) {
    low = tolower(word[2] " " word[1])
    if (low ~ /authorization|token|secret|passw|api[-_]?key|apikey|cookie|credential/ && (i > 2 || word[1] ~ /secret/)) return "<set length=" length(s) ">"
    if (i == 2 && low ~ /=/ && low ~ /token|secret|passw/) return substr(s, 1, index(s, "=")) "<set>"
  }
  if (s ~ /:\/\/[^\/@ ]*:[^\/@ ]*@/) { sub(/:\/\/[^\/@ ]*@/, "://<set>@", s) }
  gsub(/[\t\r\n]/, " ", s)
  return s
}
function emit(kind,    i, line) {
  if (n && !hidden) {
    line = kind "\t" context "\t" masked(1, word[1])
    for (i = 2; i <= n; i++) line = line "\t" masked(i, word[i])
    print line
  }
}
function enter() {
  put()
  emit("B")
  stack[++depth] = context
  context = context (context == "" ? "" : "/") masked(1, word[1])
  if (word[1] ~ /_by_lua_block$/) { lua = 1; hidden++; hid[depth] = 1 }
  else if (word[1] ~ /^(map|types|geo|split_clients|charset_map|match)$/ || hidden) { hidden++; hid[depth] = 1 }
  n = 0
}
function leave() {
  n = 0; tok = ""; open = 0
  if (depth < 1) return
  if (hid[depth]) { hidden--; hid[depth] = 0 }
  context = stack[depth--]
}
BEGIN { print "F\t" ENVIRON["MW_FILE"] }
{
  total += length($0) + 1
  if (total > 2000000) { exit 3 }
  m = length($0)
  for (i = 1; i <= m; i++) {
    c = substr($0, i, 1)
    if (lua) {
      if (c == "{") lua++
      else if (c == "}" && --lua == 0) leave()
      continue
    }
    if (esc) { tok = tok c; esc = 0; open = 1; continue }
    if (q != "") {
      if (c == "\\") esc = 1
      else if (c == q) q = ""
      else tok = tok c
      continue
    }
    if (c == "\\") { tok = tok c; esc = 1; open = 1; continue }
    if (c == " " || c == "\t" || c == "\r") { put(); continue }
    if (!open && c == "#") break
    if (!open && (c == "\"" || c == "\047")) { q = c; open = 1; continue }
    if (c == "{" && substr(tok, length(tok), 1) != "$") { enter(); continue }
    if (c == "}" && !(open && tok ~ /\$\{[A-Za-z0-9_]*$/)) { leave(); continue }
    if (c == ";") { put(); emit("D"); n = 0; continue }
    tok = tok c; open = 1
  }
  if (q != "") tok = tok " "
  else if (!lua) { esc = 0; put() }
}
