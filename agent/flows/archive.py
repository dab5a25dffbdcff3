"""The home of somebody who leaves, packed on its own host before anything of it is taken away."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from agent.flows import ways
from agent.model.errors import AgentError
from agent.model.session import Command
from agent.model.text import one_line

if TYPE_CHECKING:
    from agent.app import App
    from agent.model.asset import Host

FOLDER = "/var/backups/secops-agent"
LIMIT = 3600.0
"""Seconds that packing one home may take."""
_SCRIPT = r"""
umask 077
n=$1; d=$2; out=$d/$3.tar.gz
h=$(N=$n awk -F: '$1==ENVIRON["N"]{print $6; exit}' /etc/passwd)
case $h in /home/?*|/export/?*|/data/?*) ;; *) h= ;; esac
case $h in */../*|*/..) h= ;; esac
if [ -n "$h" ] && [ "$(H=$h awk -F: '$6==ENVIRON["H"]' /etc/passwd | wc -l)" -gt 1 ]; then h=; fi
if [ -n "$h" ]; then h=$(readlink -f "$h"); [ -d "$h" ] || h=; fi
set --
for p in "$h" "/var/spool/cron/crontabs/$n" "/var/spool/cron/$n"; do
  if [ -n "$p" ] && [ -e "$p" ] && { [ "$p" = "$h" ] || [ -f "$p" ]; }; then set -- "$@" ".$p"; fi
done
[ $# -gt 0 ] || { echo none; exit 0; }
mkdir -p "$d" && chmod 700 "$d" || exit 73
tar -C / -czf "$out.part" "$@"; rc=$?
[ $rc -le 1 ] && [ -s "$out.part" ] && tar -tzf "$out.part" >/dev/null || {
  rm -f "$out.part"; echo "tar ended with $rc" >&2; exit 74; }
chown 0:0 "$out.part" && chmod 600 "$out.part" && mv -f "$out.part" "$out" && sync || exit 73
sum=$(sha256sum <"$out") || exit 74
echo "$out sha256:${sum%% *} $(stat -c %s "$out")"
"""


def archive(app: App, host: Host, name: str, run: str) -> str:
    """Pack a home and the cron table, and seal that: `PATH sha256:HEX BYTES`; or why there was nothing to pack.

    Raises:
        AgentError: it could not be packed whole, or the host was not reached.
    """
    script = f"set -- {quote(name)} {quote(FOLDER)} {quote(f'{name}-{run}')}\n{_SCRIPT}"
    with ways.fresh(app, host) as session:
        done = session.run(Command(script, privileged=True, deadline=LIMIT))
    said = one_line(done.stdout.decode(errors="replace"), 400)
    if done.rc or not said:
        why = one_line(done.stderr.decode(errors="replace"), 200) or f"exit code {done.rc}"
        raise AgentError(why, where=f"{host.name}: {FOLDER}", remedy="make room there, and run it again")
    if said == "none":
        return "没有自己的家目录"
    app.ledger.seal("home-archive", said.encode(), run=run, subject=f"{name}@{host.name}")
    return said
