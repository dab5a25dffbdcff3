# pgacl KIND NAME PORT DB: what everybody (PUBLIC) may do to a schema or a relation: KIND is schema, table or sequence, NAME is
# quoted as SQL wants it. By whom it was granted is kept, and granted anew in that one's name. Needs postgresql.sh.
_pgacl() { # KIND NAME: privileges of PUBLIC, `GRANTOR privilege grantable`
  case $1 in
    schema) _q="SELECT a.* FROM pg_namespace n, aclexplode(COALESCE(n.nspacl,acldefault('n',n.nspowner))) a WHERE n.oid=:'n'::regnamespace" ;;
    *) _q="SELECT a.* FROM pg_class c, aclexplode(COALESCE(c.relacl,acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::\"char\",c.relowner))) a WHERE c.oid=:'n'::regclass" ;;
  esac
  pg_ask "$3" "SELECT 'public',r.rolname,x.privilege_type,x.is_grantable FROM ($_q) x JOIN pg_roles r ON r.oid=x.grantor WHERE x.grantee=0 ORDER BY 2,3;" "n=$2"
}
h_pgacl_print() {
  pg_on "$3" || return 1
  _o=$(_pgacl "$1" "$2" "$4") || return 1
  printf '%s\n' "${_o:-none}"
}
h_pgacl_save() { :; }
h_pgacl_restore() {
  pg_on "$4" || return 1
  { echo "BEGIN; SET LOCAL lock_timeout='5s';"
    _pgacl "$2" "$3" "$5" | _pgstate revoke "$2" "$3"
    grep '^public	' "$1.was" | _pgstate grant "$2" "$3"
    echo 'COMMIT;'; } | pg_run "$5"
}
_pgstate() { # WORD KIND NAME: statements for lines of _pgacl; each in the name of who granted it
  W=$1 K=$2 N=$3 awk -F'\t' '{g=$2;gsub(/"/,"\"\"",g);k=toupper(ENVIRON["K"])
    print "SET LOCAL ROLE \"" g "\";"
    if(ENVIRON["W"]=="grant")print "GRANT " $3 " ON " k " " ENVIRON["N"] " TO PUBLIC" ($4=="t"?" WITH GRANT OPTION":"") ";"
    else print "REVOKE " $3 " ON " k " " ENVIRON["N"] " FROM PUBLIC;"}END{print "RESET ROLE;"}'
}
pg_unpublic() { # KIND NAME PORT DB PRIVILEGE|ALL: everybody loses it, whoever granted it
  pg_on "$3" || return 1
  { echo "BEGIN; SET LOCAL lock_timeout='5s';"
    _pgacl "$1" "$2" "$4" | P=$5 awk -F'\t' 'ENVIRON["P"]=="ALL"||$3==ENVIRON["P"]' | _pgstate revoke "$1" "$2"
    echo 'COMMIT;'; } | pg_run "$4"
}
