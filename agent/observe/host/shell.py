"""What the script asks of a host's system: the base sections, POSIX sh for dash, bash 4.2 and busybox.

Each section is one awk or one program where it can be: forks are what a scan of many
hosts costs. Nothing here writes: no list is refreshed, no module is loaded (`nft` and
`iptables` are asked only where their kernel part is already there), no D-Bus service is
started. Secrets are masked here, before they leave the host.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath
from shlex import quote

from agent.model.frames import Section

BASE = r"""
printf 'uid=%s\n' "$_u"
date +now=%s
uname -r | { IFS= read -r v; printf 'kernel=%s\n' "$v"; }
uname -v | { IFS= read -r v; printf 'build=%s\n' "$v"; }
uname -m | { IFS= read -r v; printf 'arch=%s\n' "$v"; }
for p in sshd auditctl rsyslogd cron crond firewall-cmd nft iptables ufw apt-cache dnf yum dpkg-query rpm \
  docker containerd podman systemctl chronyc ntpq sudo getenforce; do
  command -v "$p" >/dev/null 2>&1 && printf 'has=%s\n' "$p"
done
[ -d "$R/run/systemd/system" ] && echo has=systemd
for f in /run/systemd/container /run/host/container-manager /.dockerenv /run/.containerenv; do
  [ -e "$R$f" ] && { echo has=container; break; }
done
if [ "$_u" = 0 ] && c=; then
  [ -r "$R/proc/2/comm" ] && IFS= read -r c <"$R/proc/2/comm"
  [ "$c" = kthreadd ] || echo has=container
fi
for f in "$R"/boot/vmlinuz-*; do [ -e "$f" ] && printf 'boot=%s\n' "${f##*/vmlinuz-}"; done
if [ -e "$R/var/run/reboot-required" ]; then
  echo reboot=yes
  if [ -r "$R/var/run/reboot-required.pkgs" ]; then
    while IFS= read -r l; do printf 'reboot_for=%s\n' "$l"; done <"$R/var/run/reboot-required.pkgs"
  fi
fi
[ -e "$R/run/systemd/timesync/synchronized" ] && echo timesync=yes
exit 0
"""
"""Identity, kernel, what programs are there; mostly builtins of the shell."""

CONF = r"""
set --
for f in "$R/etc/os-release" "$R/usr/lib/os-release" "$R/etc/redhat-release" "$R/etc/login.defs" \
  "$R"/etc/security/pwquality.conf.d/*.conf "$R/etc/security/pwquality.conf" "$R/etc/security/faillock.conf" \
  "$R"/etc/pam.d/* "$R/etc/sudoers" "$R"/etc/sudoers.d/* \
  "$R/etc/crontab" "$R"/etc/cron.d/* "$R"/var/spool/cron/* "$R"/var/spool/cron/crontabs/*; do
  [ -f "$f" ] && set -- "$@" "$f"
done
R="$R" awk '
function hide(s, re,   out, at) {
  out = ""
  while (match(tolower(s), re)) {
    at = RSTART + RLENGTH; out = out substr(s, 1, at - 1) "***"; s = substr(s, at)
    sub(/^("[^"]*"|[^ \t"]*)/, "", s)
  }
  return out s
}
BEGIN {
  skip = length(ENVIRON["R"]) + 1
  for (i = 1; i < ARGC; i++) {
    f = ARGV[i]; p = substr(f, skip); r = 0; n = 0
    cron = p ~ /^\/(etc|var\/spool)\/cron/; pam = p ~ /^\/etc\/pam/
    while ((r = (getline l < f)) > 0) {
      if (!n++) print "@" p
      if (l ~ /^[ \t]*$/ || (l ~ /^[ \t]*#/ && l !~ /^#(include|includedir)[ \t]/)) continue
      if (pam) l = hide(l, "(passwd|password|bindpw|secret)=")
      if (cron) {
        l = hide(l, "(pass[a-z_]*|pwd|secret|token|api_?key|access_?key|auth)[\"]?[=:][ \t]*")
        l = hide(l, "--(password|token|secret)[ \t]+")
        if (l ~ /mysql|maria|sshpass|redis-cli/) l = hide(l, "[ \t](-p|-a[ \t]*)")
        if (l ~ /curl|wget/) l = hide(l, "[ \t](-u|--user)[ \t=]*")
        gsub(/:\/\/[^\/@ \t]*@/, "://***@", l)
      }
      print " " l
    }
    close(f)
    if (r < 0) print "!" p
    else if (!n) print "@" p
  }
}' "$@"
"""
"""Text files, comments and empty lines left out: `@path`, then each line behind one blank; `!path`: unreadable."""

USERS = r"""
R="$R" awk '
function kind(h,   c) {
  if (h == "") return "none"
  if (h == "x") return "x"
  if (h ~ /^[!*]/) {
    sub(/^!+/, "", h)
    return (h == "" || h ~ /^\*/) ? "disabled" : "locked"
  }
  if (h ~ /^\$y\$/) return "yescrypt"
  if (h ~ /^\$gy\$/) return "gost-yescrypt"
  if (h ~ /^\$7\$/) return "scrypt"
  if (h ~ /^\$6\$/) return "sha512"
  if (h ~ /^\$5\$/) return "sha256"
  if (h ~ /^\$sm3\$/) return "sm3"
  if (h ~ /^\$1\$/) return "md5"
  if (h ~ /^\$2[abxy]?\$/) return "bcrypt"
  if (length(h) == 13 && h !~ /[^.\/0-9A-Za-z]/) return "des"
  if (length(h) == 20 && h ~ /^_/) return "bsdi-des"
  return "unknown"
}
function count(f,   l, n, a, m, i) {
  n = 0
  while ((getline l < f) > 0) if (l !~ /^[ \t]*(#|$)/) {
    n++; m = split(l, a, /[ \t]+/)
    for (i = 1; i < m; i++) if (a[i] ~ /^(sk-)?(ssh|ecdsa)-/ && a[i + 1] ~ /^AAAA[A-Za-z0-9+\/=]+$/) {
      held = held "\n" a[i] "\t" a[i + 1] "\t" a[i + 2]; break
    }
  }
  close(f)
  return n
}
BEGIN {
  r = ENVIRON["R"]
  while ((s = (getline l < (r "/etc/passwd"))) > 0) {
    n = split(l, a, ":"); if (n < 7) continue
    print "P\t" a[1] "\t" kind(a[2]) "\t" a[3] "\t" a[4] "\t" a[6] "\t" a[7]
    if (!(a[6] in seen)) {
      held = ""; seen[a[6]] = count(r a[6] "/.ssh/authorized_keys") + count(r a[6] "/.ssh/authorized_keys2")
      keys[a[6]] = held
    }
    if (seen[a[6]]) print "K\t" a[1] "\t" seen[a[6]]
    m = split(substr(keys[a[6]], 2), b, "\n")
    for (i = 1; i <= m && i <= 20; i++) print "k\t" a[1] "\t" b[i]
  }
  if (s < 0) print "!\t/etc/passwd"
  while ((s = (getline l < (r "/etc/group"))) > 0) {
    split(l, a, ":"); print "G\t" a[1] "\t" a[3] "\t" a[4]
  }
  if (s < 0) print "!\t/etc/group"
  while ((s = (getline l < (r "/etc/shadow"))) > 0) {
    split(l, a, ":"); print "S\t" a[1] "\t" kind(a[2]) "\t" a[3] "\t" a[4] "\t" a[5] "\t" a[6] "\t" a[7] "\t" a[8]
  }
  if (s < 0) print "!\t/etc/shadow"
}'
[ -n "$R" ] || lastlog 2>/dev/null | sed -n '2,$s/^/L	/p'
"""
"""Accounts, groups, password ages; a hash is turned into its algorithm's name here and never leaves the host."""

SSHD = r"""
s=$(command -v sshd) || { echo 'sshd is not installed' >&2; exit 3; }
o=
if [ -r "$R/run/sshd.pid" ] && read -r p <"$R/run/sshd.pid" && [ -r "$R/proc/$p/cmdline" ]; then
  o=$(tr '\0 ' '\n\n' <"$R/proc/$p/cmdline" | awk '
    w == "-o" { $0 = "-o" $0 }
    w == "-f" && /^\/[A-Za-z0-9\/._-]+$/ { print "-f"; print }
    /^-o[A-Za-z0-9]+=[A-Za-z0-9@.,+^:\/*-]+$/ { print }
    { w = $0 }')
fi
if [ -z "$o" ] && [ -r "$R/etc/crypto-policies/back-ends/opensshserver.config" ]; then
  o=$(tr "' " '\n\n' <"$R/etc/crypto-policies/back-ends/opensshserver.config" |
    awk '/^-o[A-Za-z0-9]+=[A-Za-z0-9@.,+^:\/*-]+$/')
fi
set -f
"$s" $o -T -C user=root,host=localhost,addr=127.0.0.1
"""
"""Effective settings, with the `-o` options that a crypto policy or the running sshd adds."""

SS = r"""
if command -v ss >/dev/null 2>&1 && ss -ltnup; then exit 0; fi
if command -v netstat >/dev/null 2>&1 && $T netstat -ltnup 2>/dev/null; then exit 0; fi
for t in tcp tcp6 udp udp6; do
  [ -r "$R/proc/net/$t" ] && awk -v t="$t" 'NR > 1 && ($4 == "0A" || (t ~ /^udp/ && $4 == "07")) {
    print "proc " t " " $2 }' "$R/proc/net/$t"
done
exit 0
"""
"""Listening sockets and their processes: `ss`, else netstat, else /proc/net (without processes)."""

SERVICE = r"""
[ -d "$R/run/systemd/system" ] || { echo 'systemd is not process 1' >&2; exit 3; }
e=$R/etc/systemd/system; r=$R/run/systemd/system
set -- "$R"/run/systemd/generator*; [ -d "$1" ] || set --
u=; for d in usr/local/lib usr/lib lib; do
  [ -L "$R/$d" ] || [ ! -d "$R/$d/systemd/system" ] || u="$u $R/$d/systemd/system"
done
[ -d "$r" ] || r=
find "$e" $r $u "$@" -maxdepth 1 \( -name '*.service' -o -name '*.socket' \) -printf '%y\t%p\t%l\n' || exit 3
find "$e" $r "$@" -mindepth 2 -maxdepth 2 -type l \( -name '*.service' -o -name '*.socket' \) \
  -printf 'w\t%p\t%l\n' || exit 3
set --; for d in "$e" $r $u; do set -- "$@" "$d"/*.service "$d"/*.socket; done
grep -HsE '^(WantedBy|RequiredBy|UpheldBy|Alias|Also|DefaultInstance)[ \t]*=.' "$@"
echo '--'
$T systemctl list-units --all --type=service,socket --plain --no-legend --no-pager
"""
"""Units: their files and links, a line `--`, units with their activity.

`systemctl list-unit-files` would make process 1 read every unit anew, half a second of it
on some hosts; the same is read here from the folders, and worked out by system.service.
"""

MOUNT = 'cat "$R/proc/self/mounts"'

SETUID = r"""
m=$(awk '$3 ~ /^(ext[234]|xfs|btrfs|f2fs|jfs|reiserfs|zfs|overlay|rootfs)$/ && $4 !~ /(^|,)nosuid(,|$)/ &&
  $2 !~ /^\/(proc|sys|dev|run|var\/lib\/(docker|containers|containerd|kubelet|machines))(\/|$)/ && $2 !~ /\\/ &&
  !s[$2]++ { print $2 }' "$R/proc/self/mounts")
[ "$_u" = 0 ] || { echo 'needs root to look into every folder' >&2; exit 3; }
set -f
n=; command -v nice >/dev/null 2>&1 && n='nice -n 19'
$n $T find ${m:-$R/} -xdev \( -path /proc -o -path /sys -o -path /var/lib/docker -o -path /var/lib/containers \
  -o -path /var/lib/machines -o -path "$R/usr/share" -o -path "$R/usr/include" -o -path "$R/usr/src" \) \
  -prune -o -type f \( -perm -4000 -o -perm -2000 \) -exec stat -c '%a %U %G %n' {} +
"""
"""Files that run with another's rights, on local file systems where set-id bits work; 30 s at most, at low priority.

Data folders of packages (/usr/share, /usr/include, /usr/src) are left out: they hold two thirds of a system's
files and no programs, and looking at each would double what a collection costs the host."""

AUDIT = r"""
command -v auditctl >/dev/null 2>&1 || { echo 'auditctl is not installed' >&2; exit 3; }
$T auditctl -s && $T auditctl -l | awk '/^-/ { n++ } END { print "rules " n + 0 }'
"""

TIME = r"""
command -v chronyc >/dev/null 2>&1 && $T chronyc -n tracking 2>/dev/null
command -v ntpq >/dev/null 2>&1 && $T ntpq -pn 2>/dev/null
exit 0
"""
"""chrony's or ntpd's own word; timesyncd is told by a file (BASE). timedatectl is not asked: it starts a service."""

FIREWALL = r"""
[ "$_u" = 0 ] || { echo 'needs root' >&2; exit 3; }
m=$R/lib/modules/$(uname -r)
there() { [ -d "$R/sys/module/$1" ] || [ ! -d "$m" ] || grep -qs "/$1\.ko" "$m/modules.builtin"; }
if there nf_tables && command -v nft >/dev/null 2>&1; then
  nft -n list ruleset | awk '
    /^[ \t]*(table|chain|set|map|type|policy|elements|flags|counter)[ \t]/ || /^[ \t]*}/ || /^[ \t]*$/ {
      if ($1 == "type" && / hook input / && / policy drop/) print "nft_policy drop"
      next }
    { n++ } END { print "nft_rules " n + 0 }'
fi
f=$R/proc/net/ip_tables_names
if { [ -s "$f" ] || there nf_tables; } && command -v iptables-save >/dev/null 2>&1; then
  $T iptables-save 2>/dev/null | awk '/^-A/ { n++ } /^:INPUT DROP/ { print "iptables_policy drop" }
    END { print "iptables_rules " n + 0 }'
fi
exit 0
"""
"""Counts of packet-filter rules; asked only where the kernel part is loaded, built in or not to be had,
since asking would otherwise load it."""

STALE = r"""
[ "$_u" = 0 ] || { echo 'needs root to read other processes' >&2; exit 3; }
$T grep -Hs ' r-xp .* /.*(deleted)$' "$R"/proc/[0-9]*/maps | awk '
  { i = index($0, "/maps:"); p = substr($0, 1, i - 1)
    l = $0; sub(/^.* r-xp [^\/]*/, "", l); sub(/ \(deleted\)$/, "", l)
    if (l ~ /^\/(memfd:|dev\/|SYSV|tmp\/|run\/|var\/tmp\/|\[)/ || s[p l]++) next
    c = "?"; getline c < (p "/comm"); close(p "/comm"); if (!u[c l]++) print c "\t" l }'
exit 0
"""
"""Programs and libraries that were replaced on disk and still run: `process TAB file`."""

_SYSCTL_DIRS = (
    "kernel/*",
    "kernel/yama/*",
    "fs/*",
    "net/ipv4/icmp_*",
    "net/ipv4/ip_forward",
    "net/ipv4/tcp_syncookies",
    "net/ipv4/tcp_timestamps",
    "net/ipv4/conf/all/*",
    "net/ipv4/conf/default/*",
    "net/ipv6/conf/all/[adf]*",
    "net/ipv6/conf/default/[adf]*",
)
"""What hardening looks at; single interfaces and tuning are left out, each file costs an open."""


def sysctl(keys: Iterable[str]) -> str:
    """Kernel settings, with those that controls name besides; keys that are secret are left out."""
    paths_of = (key.replace(".", "/") for key in sorted(set(keys)) if key)
    # a file that is named twice would answer twice
    named = (
        f'"$R"/proc/sys/{quote(path)}'
        for path in paths_of
        if not any(PurePath("/" + path).match("/" + one) for one in _SYSCTL_DIRS)
    )
    paths = " ".join([*(f'"$R"/proc/sys/{folder}' for folder in _SYSCTL_DIRS), *named])
    return (
        f"cd / && $T grep -s '' {paths} /dev/null | "
        "awk '!/stable_secret|fastopen_key|^[^:]*\\/kernel\\/(cap_last_cap|ns_last_pid|pty)/'"
    )


def files(paths: Iterable[str]) -> str:
    """Mode and owner of the paths that controls name, links followed; what is not there is left out."""
    wanted = " ".join(f'"$R"{quote(path)}' for path in sorted(set(paths)) if path.startswith("/"))
    if not wanted:
        return "exit 0"
    return (
        f'set --; for f in {wanted}; do [ -e "$f" ] && set -- "$@" "$f"; done\n'
        "[ $# = 0 ] || stat -L -c '%a %U %G %n' \"$@\""
    )


def sections(sysctl_keys: Iterable[str], paths: Iterable[str]) -> list[Section]:
    """Base sections of the system, cheapest first."""
    return [
        Section("base", BASE),
        Section("conf", CONF),
        Section("users", USERS),
        Section("sshd", SSHD),
        Section("ss", SS),
        Section("service", SERVICE),
        Section("sysctl", sysctl(sysctl_keys)),
        Section("mount", MOUNT),
        Section("file", files(paths)),
        Section("audit", AUDIT),
        Section("time", TIME),
        Section("firewall", FIREWALL),
        Section("stale", STALE),
        Section("setuid", SETUID),
    ]
