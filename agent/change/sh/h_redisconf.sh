# redisconf KEY CONF: a value of the Redis that runs with CONF. Needs redis.sh, mw.sh and splice.sh. No passwords.
h_redisconf_print() { rd_get "$2" "$1"; }
h_redisconf_save() { :; }
h_redisconf_restore() { _v=$(cat "$1.was"); rd_set "$3" "$2" "$_v"; }
