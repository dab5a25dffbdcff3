# packages_seen.sh: what there is, asked once. Sections run in subshells: what several of them share is made before them, in a
# script that only reads (TX is `none` there). Needs packages.sh.
if [ "${TX:-}" = none ]; then PK_BEGAN=$(date +%s); PK_SEEN=$(pk_state </dev/null 2>/dev/null); fi
