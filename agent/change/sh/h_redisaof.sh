# redisaof CONF: whether there is an append-only file. One that we had made is taken away again: Redis would load an old one.
rd_aof() { # CONF: its path: a folder since Redis 7
  _b=$(rd_get "$1" dir) || return 1
  if _v=$(rd_get "$1" appenddirname); then echo "$_b/$_v"; else echo "$_b/$(rd_get "$1" appendfilename)"; fi
}
h_redisaof_print() { _v=$(rd_aof "$1") || return 1; if [ -e "$_v" ]; then echo there; else echo absent; fi; }
h_redisaof_save() { :; }
h_redisaof_restore() {
  grep -qx absent "$1.was" || return 0
  _v=$(rd_aof "$2") && [ "$(rd_get "$2" appendonly)" = no ] || return 1
  case $_v in /*/*[!/]) rm -rf "$_v" ;; *) return 1 ;; esac
}
