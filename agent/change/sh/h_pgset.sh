# pgset NAME PORT: its line in postgresql.auto.conf (or none), and the value that a new session gets, unless only a start of
# the server sets it (then `unit` and the restart go with it). Needs postgresql.sh.
# The file is put back by itself, so that a server which cannot start with it comes back too.
h_pgset_print() {
  pg_on "$2" || return 1
  printf 'auto %s\n' "$(pg_auto "$1" <"$_pgdata/postgresql.auto.conf")" || return 1
  _o=$(pg_ask postgres "SELECT 'value '||setting FROM pg_settings WHERE lower(name)=lower(:'n') AND context<>'postmaster';" "n=$1") || return 1
  printf '%s\n' "${_o:-value -}"
}
h_pgset_save() { pg_on "$3" && printf '%s\n' "$_pgdata/postgresql.auto.conf" >"$1.path" && cat "$_pgdata/postgresql.auto.conf" >"$1"; }
h_pgset_restore() {
  read -r _f <"$1.path" || return 1
  pg_putback "$2" "$1" "$_f" || return 1
  pg_on "$3" || return 1
  act_pg_reload "$3" ""
}
h_pgset_paths() { if read -r _f 2>/dev/null <"$D/$_n.cap.path"; then echo "$_f"; echo "${_f%/*}/"; fi; }
