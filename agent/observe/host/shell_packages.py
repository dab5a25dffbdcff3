"""What the script asks of a host's package managers. It refreshes nothing and writes nothing.

apt keeps a cache that root would rewrite when it is out of date, and dnf writes logs, locks
and history. So apt is asked as an unprivileged user, who cannot write it and still profits
from it, and dnf or yum inside a private mount namespace in which what they write to is
memory that vanishes with them. Where no such namespace is to be had, the section says so.
"""

from __future__ import annotations

from agent.model.frames import Section

DEBIAN = r"""
command -v dpkg-query >/dev/null 2>&1 || exit 0
_b dpkg
f='${binary:Package}\t${db:Status-Abbrev}\t${Version}\t${Architecture}\t${source:Package}\t${source:Version}\n'
d=$(dpkg-query -W -f="$f")
r=$?; printf '%s\n' "$d"; _e dpkg $r
command -v apt-cache >/dev/null 2>&1 || exit 0
a='-o APT::Cmd::Disable-Script-Warning=1'
if [ "$_u" = 0 ] && [ -z "$_low" ]; then a="$a -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache="; fi
mask='{ gsub(/:\/\/[^\/@ \t]*@/, "://***@"); print }'
_b apt-sources; $_low apt-cache $a policy | awk "$mask"; _e apt-sources $?
set -f
n=$(printf '%s\n' "$d" | awk -F '\t' '$2 ~ /^.i/ { print $1 }')
_b apt-policy
p=$($_low apt-cache $a policy $n); r=$?
p=$(printf '%s\n' "$p" | awk '
  /^[^ ].*:$/ { name = substr($0, 1, length($0) - 1); old = new = ""; on = 0; next }
  $1 == "Installed:" { old = $2; next }
  $1 == "Candidate:" { new = ($2 == "(none)" || old == "(none)") ? old : $2
    if (new != old) print name "\t" old "\t" new
    next }
  new == old { next }
  $1 == "Version" { next }
  /^     [^ ]/ || /^ \*\*\*/ { v = ($1 == "***") ? $2 : $1; on = (v == new); next }
  on { gsub(/:\/\/[^\/@ \t]*@/, "://***@"); sub(/^ +[-0-9]+ /, ""); print " " $0 }')
printf '%s\n' "$p"; _e apt-policy $r
_b apt-show
w=$(printf '%s\n' "$p" | awk -F '\t' '/^[^ ]/ && NF == 3 { print $1 "=" $3 }')
if [ -n "$w" ]; then
  $_low apt-cache $a show $w | awk '/^(Package|Architecture|Version|Source|Filename):/ || /^$/'
fi
_e apt-show $?
_b apt-age
stat -c '%Y %n' /var/lib/apt/lists/partial /var/lib/apt/periodic/update-success-stamp 2>/dev/null
ls /var/lib/apt/lists 2>/dev/null | awk '/_Packages|InRelease$|_Release$/ { n++ } END { print n + 0, "indexes" }'
_e apt-age 0
"""
"""Installed packages; for each whose candidate differs, where it comes from; the candidates' sources and files."""

_ASIDE = r"""
u='unshare -m'; [ "$_u" = 0 ] || u='unshare -rm'
x='mount --make-rprivate / && mount -t tmpfs none /var/log && mount -t tmpfs none /var/tmp || exit 9
t=/var/tmp
for c in /var/cache/dnf /var/cache/yum; do
  [ -d $c ] || continue
  mkdir -p $t/new$c $t/old$c && mount --bind $c $t/old$c && mount -o remount,ro,bind $t/old$c &&
    ln -s $t/old$c/* $t/new$c/ && mount --bind $t/new$c $c || exit 9
done
for d in /var/lib/dnf /var/lib/yum /var/lib/rpm "$(rpm -E %_dbpath 2>/dev/null)"; do
  [ -d "$d" ] || continue
  mount --bind "$d" "$d" && mount -o remount,ro,bind "$d" || exit 9
done
exec "$@"'
_aside() { $T $u sh -c "$x" sh "$@"; }
"""
"""`_aside PROGRAM ...`: in a mount namespace of its own, where databases are read-only, caches are reached by links,
and what is written (logs, locks) goes to memory that vanishes with it. Exit code 9: it could not be made."""

RPM = r"""
command -v rpm >/dev/null 2>&1 || { echo 'rpm is not installed' >&2; exit 3; }
q='%{NAME}\t%|EPOCH?{%{EPOCH}}:{0}|\t%{VERSION}\t%{RELEASE}\t%{ARCH}\t%{SOURCERPM}'
_q() { $_low $T rpm -qa --queryformat "$1"; }
o=$(_q "$q\t%{MODULARITYLABEL}\n" 2>/dev/null)
[ -n "$o" ] || o=$(_q "$q\t\n" 2>/dev/null)
if [ -z "$o" ] && [ "$_u" = 0 ]; then
  @aside@
  _q() { _aside rpm -qa --queryformat "$1"; }
  o=$(_q "$q\t%{MODULARITYLABEL}\n" 2>/dev/null)
  [ -n "$o" ] || o=$(_q "$q\t\n") || exit 3
fi
printf '%s\n' "$o"
""".replace("@aside@", _ASIDE)
"""Installed packages in the query form of vuls, an epoch that is not there as 0; no module label on old rpm.

Asked as a user who cannot write, since root's question would touch the database's locks.
"""

DNF = r"""
for m in dnf yum ''; do command -v "$m" >/dev/null 2>&1 && break; done
[ -n "$m" ] || exit 0
@aside@
c=/var/cache/$m
_b dnf-age
stat -c '%Y %n' $c/*/repodata/*primary.xml* $c/*/repodata/repomd.xml $c/*/*/*/repomd.xml 2>/dev/null
_e dnf-age 0
_b dnf-check; _aside $m -C -q check-update; r=$?; n=$r; [ $r = 100 ] && r=0; _e dnf-check $r
v=--with-cve; [ "$m" = yum ] && v=cves
# Each call starts Python and loads every repository: where nothing is offered, no advisory can be either.
_b dnf-list; r=0; [ $n = 0 ] || { _aside $m -C -q updateinfo list; r=$?; }; _e dnf-list $r
_b dnf-cves; r=0; [ $n = 0 ] || { _aside $m -C -q updateinfo list $v; r=$?; }; _e dnf-cves $r
""".replace("@aside@", _ASIDE)
"""Advisories, their CVEs and what the mirror offers, out of what dnf or yum has cached (`-C`)."""


def sections() -> list[Section]:
    """Package managers; sections of managers that are not there do not answer at all."""
    return [Section("debian", DEBIAN, raw=True), Section("rpm", RPM), Section("dnf", DNF, raw=True)]
