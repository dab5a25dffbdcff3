"""Linux: the host's own crypt(3), by perl, python or openssl, whichever is there. No PAM, so no attempt is counted.

pam_unix' helper (unix_chkpwd) is not asked: it writes a line to the log for every guess that is wrong.
"""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from agent.model.weak import Account, Ended, Tried
from agent.vault.inplace.contract import Script, Suspect, answers

if TYPE_CHECKING:
    from collections.abc import Sequence

_WORDS = 400
"""Guesses a printf."""
_LIST = r"""
[ -r "$R/etc/shadow" ] || { echo 'cannot read /etc/shadow' >&2; exit 4; }
awk -F: '
FNR == NR { n++; name[n] = $1; pw[n] = $2; g = $5; sub(/,.*/, "", g); full[n] = g; next }
{ sh[$1] = $2 }
END { for (i = 1; i <= n; i++) {
  h = pw[i]; if (h == "x") { if (!(name[i] in sh)) continue; h = sh[name[i]] }
  l = 0; if (h ~ /^!/ || h ~ /^\*LK\*/) { l = 1; sub(/^(!+|\*LK\*)/, "", h); if (h == "") h = "*" }
  s = "hash"; k = "des"
  if (h == "") s = "empty"; else if (h ~ /^\*/ || h == "x" || h !~ /^[$_]/ && length(h) < 13) s = "none"
  else if (h ~ /^\$/) { r = substr(h, 2); k = "$" substr(r, 1, index(r, "$")) }
  else if (h ~ /^_/) k = "_"
  printf "acct\t%s\t%s\t%s\t%d\t%s\n", name[i], s, s == "hash" ? k : "", l, full[i] } }
' "$R/etc/passwd" "$R/etc/shadow"
"""
_PERL = r"""
use strict; my ($cpu, $wall, $passwd, $shadow) = @ARGV; my $end = time + $wall; my (@u, @g, %h, @done, @n);
while (<STDIN>) { chomp; my ($k, $v) = split(/\t/, $_, 2); if ($k eq "u") { push @u, $v; push @g, [] } else { push @{$g[-1]}, $v } }
sub table { my ($f) = @_; open(my $i, "<", $f) or die "cannot read\n";
  while (<$i>) { chomp; my @f = split(/:/, $_, -1); $h{$f[0]} = $f[1] if @f > 1 && $f[1] ne "x" && !exists $h{$f[0]} } }
table($passwd); table($shadow);
my $most = 0; for my $a (0..$#u) { $n[$a] = 0; $most = @{$g[$a]} if @{$g[$a]} > $most;
  $done[$a] = "unsupported" unless defined $h{$u[$a]}; $h{$u[$a]} =~ s/^(!+|\*LK\*)// if defined $h{$u[$a]} }
ALL: for my $i (0..$most - 1) { for my $a (0..$#u) {
  next if $done[$a] || $i >= @{$g[$a]};
  my $h = $h{$u[$a]}; my $r = eval { crypt($g[$a][$i], $h) };
  if (!defined $r || length($r) != length($h)) { $done[$a] = "unsupported"; next }
  $n[$a] = $i + 1; if ($r eq $h) { $done[$a] = "weak"; next }
  my ($us, $sy) = times; last ALL if $us + $sy > $cpu || time > $end } }
for my $a (0..$#u) { my $d = $done[$a] || ($n[$a] < @{$g[$a]} ? "cut" : "clean"); print "tried\t$a\t$d\t$n[$a]\n" }
"""
_PYTHON = r"""
import ctypes, os, re, sys, time
cpu, end = float(sys.argv[1]), time.time() + float(sys.argv[2])
crypt = None
for name in ("libcrypt.so.2", "libcrypt.so.1", None):
    try:
        crypt = ctypes.CDLL(name).crypt
        break
    except (OSError, AttributeError):
        pass
if crypt is None:
    sys.exit(9)
crypt.restype = ctypes.c_char_p; crypt.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
users, guesses, held = [], [], {}
for line in getattr(sys.stdin, "buffer", sys.stdin).read().split(b"\n"):
    kind, _, value = line.partition(b"\t")
    if kind == b"u": users.append(value); guesses.append([])
    elif kind == b"g": guesses[-1].append(value)
for path in sys.argv[3:5]:
    with open(path, "rb") as table:
        for line in table:
            words = line.rstrip(b"\n").split(b":")
            if len(words) > 1 and words[1] != b"x": held.setdefault(words[0], words[1])
ends = [None if user in held else "unsupported" for user in users]
hashes = [re.sub(br"^(!+|\*LK\*)", b"", held.get(user, b"")) for user in users]
tried = [0] * len(users); out = False
for i in range(max(map(len, guesses)) if guesses else 0):
    for a in range(len(users)):
        if out or ends[a] or i >= len(guesses[a]): continue
        made = crypt(guesses[a][i], hashes[a])
        if made is None or len(made) != len(hashes[a]): ends[a] = "unsupported"; continue
        tried[a] = i + 1
        if made == hashes[a]: ends[a] = "weak"
        used = os.times(); out = used[0] + used[1] > cpu or time.time() > end
    if out: break
for a in range(len(users)):
    print("tried\t%d\t%s\t%d" % (a, ends[a] or ("cut" if tried[a] < len(guesses[a]) else "clean"), tried[a]))
"""
_SHELL = r"""
_try() { # NUMBER USER SECONDS: by openssl, for what it can compute; the salt alone stands in its arguments
  _h=
  while IFS=: read -r _a _b _c; do if [ "$_a" = "$2" ] && [ "$_b" != x ]; then _h=$_b; fi; done <"$R/etc/passwd"
  if [ -z "$_h" ]; then while IFS=: read -r _a _b _c; do if [ "$_a" = "$2" ]; then _h=$_b; fi; done <"$R/etc/shadow"; fi
  _h=${_h#'*LK*'}; while :; do case $_h in !*) _h=${_h#!} ;; *) break ;; esac; done
  case $_h in '$1$'*) _o=-1 ;; '$5$'*) _o=-5 ;; '$6$'*) _o=-6 ;; *) printf 'tried\t%s\tunsupported\t0\n' "$1"; return ;; esac
  _s=${_h#'$'?'$'}; _s=${_s%'$'*}; _end=$(($(date +%s) + $3))
  _guesses | _only "$1" | $_ni openssl passwd $_o -salt "$_s" -stdin 2>/dev/null | {
    _i=0; _d=
    while IFS= read -r _l; do
      _i=$((_i + 1)); if [ "$_l" = "$_h" ]; then _d=weak; break; fi
      if [ $((_i % 16)) = 0 ] && [ "$(date +%s)" -ge $_end ]; then _d=cut; break; fi
    done
    if [ $_i = 0 ]; then _d=unsupported; fi
    printf 'tried\t%s\t%s\t%s\n' "$1" "${_d:-clean}" "$_i"
  }
}
_only() { # NUMBER: the guesses of that account alone; the builtins see them, no program does
  _k=-1
  while IFS= read -r _l; do
    case $_l in u*) _k=$((_k + 1)) ;; *) if [ $_k = "$1" ]; then printf '%s\n' "${_l#g	}"; fi ;; esac
  done
}
"""


class Linux:
    """Users of /etc/passwd and /etc/shadow."""

    libraries: tuple[str, ...] = ()

    def listing(self, port: int) -> str:
        """Name, state, mark of the hash, whether it is locked, full name."""
        del port
        return _LIST

    def accounts(self, target: str, kind: str, text: str) -> list[Account]:
        """One a line; a name that was spoilt in cleaning is told as one that cannot be compared, by the target."""
        found = []
        for line in text.splitlines():
            words = line.split("\t")
            if words[0] == "acct" and len(words) == 6 and words[1]:  # noqa: PLR2004 - the words that _LIST prints
                _, name, state, how, locked, full = words
                found.append(Account(target, name, name, kind, state, how, locked == "1", full))
        return found

    def compare(self, suspects: Sequence[Suspect], port: int, seconds: int) -> Script:
        """One process for all accounts; the n-th guess at each before the next at any, so that time ends for all alike."""
        del port
        lines = []
        for suspect in suspects:
            lines.append(f"u\t{suspect.account.user}")
            lines += [f"g\t{guess.text}" for guess in suspect.guesses]
        printed = [
            "  printf '%s\\n' " + " ".join(map(quote, lines[at : at + _WORDS])) for at in range(0, len(lines), _WORDS)
        ]
        preamble = "_guesses() {\n" + "\n".join([*printed, "  :"]) + "\n}\n" + _SHELL
        share = max(seconds // max(len(suspects), 1), 1)
        tries = "\n".join(f"  _try {n} {quote(each.account.user)} {share}" for n, each in enumerate(suspects))
        run = f'{seconds} {seconds * 2} "$R/etc/passwd" "$R/etc/shadow"'
        body = f"""
_ni=; nice -n 19 true 2>/dev/null && _ni='nice -n 19'
if perl -e 1 2>/dev/null; then
  echo 'way	perl'; _guesses | $_ni perl -e {quote(_PERL)} {run} && exit 0
fi
for _y in python3 /usr/libexec/platform-python python python2; do
  "$_y" -c 'import ctypes' 2>/dev/null || continue
  echo 'way	python'; _guesses | $_ni "$_y" -c {quote(_PYTHON)} {run} && exit 0
done
if command -v openssl >/dev/null; then
  echo 'way	openssl'
{tries}
  exit 0
fi
echo 'way	none'"""
        return Script(preamble, body)

    def tried(self, suspects: Sequence[Suspect], text: str) -> list[Tried | None]:
        """`tried NUMBER END COUNT`; which guess it is follows from the count."""
        way = next((line.partition("\t")[2] for line in text.splitlines()[::-1] if line.startswith("way\t")), "")
        if way == "none":
            return [Tried(Ended.UNSUPPORTED, why="主机上没有 perl、python 或 openssl") for _ in suspects]
        found: list[Tried | None] = []
        for suspect, words in zip(suspects, answers(text, len(suspects)), strict=True):
            if len(words) != 2 or words[0] not in set(Ended) or not words[1].isdigit():  # noqa: PLR2004 - end and count
                found.append(None)
                continue
            ended, count = Ended(words[0]), min(int(words[1]), len(suspect.guesses))
            place = count - 1 if ended is Ended.WEAK else -1
            why = f"{way} 不能计算 {suspect.account.how} 散列" if ended is Ended.UNSUPPORTED else ""
            found.append(Tried(ended, count, place, why))
        return found
