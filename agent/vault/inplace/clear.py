"""Redis and Tomcat: passwords that stand in a service's own files are compared there by the shell's builtins."""

from __future__ import annotations

import hashlib
from shlex import quote
from typing import TYPE_CHECKING

from agent.model.weak import Account, Ended, Tried
from agent.vault.inplace.contract import Script, Suspect, answers

if TYPE_CHECKING:
    from collections.abc import Sequence

_WORDS = 400
"""Guesses a printf."""

# `_held` prints a line NAME<tab>FORM<tab>VALUE for each password: t its text, h its SHA-256, o another digest, e none is
# asked for. It goes no further than the next builtin.
_REDIS = r"""
_confs() { # of the servers that run in a unit of this host's system
  for _p in "$R"/proc/[0-9]*; do
    read -r _c 2>/dev/null <"$_p/comm" || continue
    case $_c in redis-server* | valkey-server*) ;; *) continue ;; esac
    _p=${_p##*/}; mw_here "$_p" && _un=$(mw_unit "$_p") && [ -n "$_un" ] || continue
    rd_command "$_un" | grep '^/.*\.conf$'
  done | sort -u
}
_users() { # CONF: of its `user` lines and of its aclfile
  _acl=$(rd_last "$1" aclfile)
  rd_values "$1" user
  if [ -n "$_acl" ] && [ -f "$R$_acl" ]; then sed -n 's/^user[ 	][ 	]*//p' "$R$_acl"; fi
}
_of() { # CONF
  _pw=$(rd_last "$1" requirepass)
  if [ -n "$_pw" ]; then printf 'default %s\tt\t%s\n' "$1" "$_pw"
  elif ! _users "$1" | grep -q '^default[ 	]'; then printf 'default %s\te\t\n' "$1"; fi
  _users "$1" | (set -f; while read -r _n _r; do
    case " $_r " in *' off '*) continue ;; esac
    for _t in $_r; do
      case $_t in
        '>'*) printf '%s %s\tt\t%s\n' "$_n" "$1" "${_t#>}" ;;
        '#'*) printf '%s %s\th\t%s\n' "$_n" "$1" "${_t#?}" ;;
        nopass) printf '%s %s\te\t\n' "$_n" "$1" ;;
      esac
    done
  done)
}
_held() { _confs | while IFS= read -r _f; do if [ -f "$R$_f" ]; then _of "$_f"; fi; done; }
"""
_TOMCAT = r"""
_bases() { # of the Tomcats that run on this host
  for _p in "$R"/proc/[0-9]*; do
    read -r _c 2>/dev/null <"$_p/comm" || continue
    case $_c in java | jsvc*) ;; *) continue ;; esac
    mw_here "${_p##*/}" || continue
    tr '\0' '\n' <"$_p/cmdline" 2>/dev/null | sed -n 's/^-Dcatalina\.base=//p'
  done | sort -u
}
_held() {
  _bases | while IFS= read -r _f; do
    _f=${_f%/}/conf/tomcat-users.xml; [ -f "$R$_f" ] || continue
    F=$_f awk '
    function plain(s) { gsub(/&lt;/, "<", s); gsub(/&gt;/, ">", s); gsub(/&quot;/, "\"", s); gsub(/&apos;/, "\047", s); gsub(/&amp;/, "\\&", s); return s }
    function attr(s, k,    q) {
      if (!match(s, "[ \t\r\n]" k "[ \t\r\n]*=[ \t\r\n]*[\"\047]")) return ""
      q = substr(s, RSTART + RLENGTH - 1, 1); s = substr(s, RSTART + RLENGTH); return plain(substr(s, 1, index(s, q) - 1))
    }
    BEGIN { RS = "<" }
    inside { if (index($0, "-->")) inside = 0; next }
    substr($0, 1, 3) == "!--" { if (!index($0, "-->")) inside = 1; next }
    /^user[ \t\r\n]/ {
      n = attr($0, "username"); if (n == "") n = attr($0, "name"); p = attr($0, "password"); f = "t"
      if (p == "") f = "e"
      else if (p ~ /^[0-9A-Fa-f$]+$/ && (p ~ /\$/ || length(p) == 32 || length(p) == 40 || length(p) == 64 || length(p) == 128)) f = "o"
      gsub(/[\t\r\n]/, " ", n); printf "%s %s\t%s\t%s\n", n, ENVIRON["F"], f, p
    }' "$R$_f"
  done
}
"""
_LIST = r"""_held | while IFS='	' read -r _i _f _v; do printf 'acct\t%s\t%s\n' "$_i" "$_f"; done"""
_MATCH = r"""
_nl='
'
_match() { # NUMBER NAME: the place of the line of _gNUMBER that is one of its passwords; 0 for none
  _vals=$(_held | while IFS='	' read -r _i _f _v; do if [ "$_i" = "$2" ]; then printf '%s%s\n' "$_f" "$_v"; fi; done)
  [ -n "$_vals" ] || return 0
  "_g$1" | {
    _k=0; _hit=0
    while IFS= read -r _g; do
      _k=$((_k + 1)); case "$_nl$_vals$_nl" in *"$_nl$_g$_nl"*) _hit=$_k; break ;; esac
    done
    printf 'tried\t%s\t%s\t%s\n' "$1" "$_k" "$_hit"
  }
}
"""


class Clear:
    """Accounts whose passwords a service keeps as text, or of Redis' ACL as SHA-256."""

    def __init__(self, kind: str) -> None:
        self.libraries: tuple[str, ...] = ("mw.sh",) if kind == "tomcat" else ("mw.sh", "splice.sh", "redis.sh")
        self._held = _REDIS if kind == "redis" else _TOMCAT
        self._forms = ("t", "h") if kind == "redis" else ("t",)

    def listing(self, port: int) -> str:
        """Names and forms."""
        del port
        return f"{self._held}\n{_LIST}"

    def accounts(self, target: str, kind: str, text: str) -> list[Account]:
        """One for each name and file."""
        forms: dict[str, set[str]] = {}
        for line in text.splitlines():
            words = line.split("\t")
            if words[0] == "acct" and len(words) == 3 and words[2] in {"t", "h", "o", "e"}:  # noqa: PLR2004 - see _LIST
                forms.setdefault(words[1], set()).add(words[2])
        found = []
        for name, mine in forms.items():
            state = "empty" if "e" in mine else "hash" if mine & {"t", "h"} else "other"
            how = "摘要口令" if state == "other" else ""
            found.append(Account(target, name, name.partition(" ")[0], kind, state, how))
        return found

    def compare(self, suspects: Sequence[Suspect], port: int, seconds: int) -> Script:
        """A function of guesses for each account, in each form that its password may have."""
        del port, seconds  # texts alone: some thousand a second
        functions, calls = [], []
        for number, suspect in enumerate(suspects):
            lines = [_as(form, guess.text) for guess in suspect.guesses for form in self._forms]
            printed = [
                "  printf '%s\\n' " + " ".join(map(quote, lines[at : at + _WORDS]))
                for at in range(0, len(lines), _WORDS)
            ]
            functions.append(f"_g{number}() {{\n" + "\n".join([*printed, "  :"]) + "\n}")
            calls.append(f"_match {number} {quote(suspect.account.name)}")
        return Script("\n".join(functions), "\n".join([self._held, _MATCH, *calls]))

    def tried(self, suspects: Sequence[Suspect], text: str) -> list[Tried | None]:
        """`tried NUMBER LINES PLACE`, 0 for none."""
        found: list[Tried | None] = []
        forms = len(self._forms)
        for suspect, words in zip(suspects, answers(text, len(suspects)), strict=True):
            many = len(suspect.guesses)
            if len(words) != 2 or not all(word.isdigit() for word in words):  # noqa: PLR2004 - lines and place
                found.append(None)
                continue
            count, place = int(words[0]), int(words[1])
            if place > many * forms or (not place and count != many * forms):
                found.append(None)
            elif place:
                at = (place - 1) // forms
                found.append(Tried(Ended.WEAK, at + 1, at))
            else:
                found.append(Tried(Ended.CLEAN, many))
        return found


def _as(form: str, text: str) -> str:
    return form + (hashlib.sha256(text.encode()).hexdigest() if form == "h" else text)
