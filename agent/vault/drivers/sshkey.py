"""SSH keys of accounts: an Ed25519 pair made here, its public half in the account's authorized_keys.

Scripts run as root and write with the account's own rights, so that no link in its home leads elsewhere; files that
belong to root (`AuthorizedKeysFile /etc/ssh/keys/%u`) are written by root. Other keys and the options of a line stay.
"""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)

from agent.model.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Sequence

_FILES = r"""
_e=$(getent passwd "$_u") || { echo 'no such user of this host' >&2; exit 4; }
_id=$(printf %s "$_e" | cut -d: -f3); _g=$(printf %s "$_e" | cut -d: -f4); _h=$(printf %s "$_e" | cut -d: -f6)
_f=$(sshd -T -C "user=$_u,host=localhost,addr=127.0.0.1" 2>/dev/null | sed -n 's/^authorizedkeysfile //p')
_f=${_f:-.ssh/authorized_keys}
[ "$_f" != none ] || { echo 'sshd takes no keys of files (AuthorizedKeysFile none)' >&2; exit 4; }
path() { # NAME: where sshd looks for it (AuthorizedKeysFile, sshd_config(5))
  _p=$1
  case $_p in *%h*) _p=${_p%%%h*}$_h${_p#*%h} ;; esac
  case $_p in *%u*) _p=${_p%%%u*}$_u${_p#*%u} ;; esac
  case $_p in *%U*) _p=${_p%%%U*}$_id${_p#*%U} ;; esac
  case $_p in /*) ;; *) _p=$_h/$_p ;; esac
  _d=${_p%/*}; _o=$(stat -c %u "$_d" 2>/dev/null) || _o=$_id
  case $_o in 0) _as=root ;; "$_id") _as=user ;; *) echo "$_d is neither the user's nor root's" >&2; exit 4 ;; esac
}
by() { # SCRIPT ARG...: as whom the file belongs to
  if [ "$_as" = root ] || [ "$_id" = 0 ]; then sh -c "$@"
  else chroot "--userspec=$_id:$_g" / sh -c "$@"; fi
}
"""
_ADD = r"""umask 077
[ -d "$2" ] || mkdir -p -m 700 "$2" || exit 1
[ ! -L "$1" ] || { echo "$1 is a link" >&2; exit 4; }
s=$1; [ -e "$1" ] || s=/dev/null
if grep -qF "$3" "$s"; then exit 0; fi
[ "$s" = /dev/null ] || cp -p "$1" "$1.secops" || exit 1
awk -v o="$4" -v n="$3" '{print} o!="" && (i=index($0,o)) {l=substr($0,1,i-1) n substr($0,i+length(o))}
  END{print l==""?n " secops-agent":l}' "$s" > "$1.secops" && mv -f "$1.secops" "$1" || { rm -f "$1.secops"; exit 1; }
"""
_REMOVE = r"""[ -e "$1" ] || exit 0
[ ! -L "$1" ] || { echo "$1 is a link" >&2; exit 4; }
f=$1; shift
for k; do
  grep -qF "$k" "$f" || continue
  cp -p "$f" "$f.secops" || exit 1
  grep -vF "$k" "$f" > "$f.secops"; [ $? -le 1 ] || { rm -f "$f.secops"; exit 1; }
  mv -f "$f.secops" "$f" || exit 1
done
"""


def make() -> Secret:
    """A new private key, in OpenSSH's form."""
    raw = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    return Secret(raw.decode())


def public(secret: Secret) -> str:
    """`ssh-ed25519 AAAA...`, as it stands in authorized_keys."""
    key = load_ssh_private_key(secret.reveal().encode(), password=None)
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def add(user: str, new: str, old: str = "") -> str:
    """Put a public key beside the old one, with the options of the old one's line; doing it twice adds nothing."""
    words = f"{quote(new)} {quote(old)}"
    return f"""_u={quote(user)}
{_FILES}
path "${{_f%% *}}"
_n=; [ -d "$_d" ] || _n=1
by {quote(_ADD)} sh "$_p" "$_d" {words} || exit $?
[ -z "$_n" ] || ! command -v restorecon >/dev/null || restorecon -R "$_d" 2>/dev/null; :"""


def holds(user: str, key: str) -> str:
    """Say `yes` or `no`: whether the account lets a public key in."""
    return f"""_u={quote(user)}
{_FILES}
for _x in $_f; do
  path "$_x"; if by 'grep -qF "$2" "$1" 2>/dev/null' sh "$_p" {quote(key)}; then echo yes; exit 0; fi
done
echo no"""


def remove(user: str, gone: Sequence[str]) -> str:
    """Take public keys away wherever sshd looks for them; say how many others are left."""
    words = " ".join(quote(key) for key in gone)
    return f"""_u={quote(user)}
{_FILES}
_c=0
for _x in $_f; do
  path "$_x"; by {quote(_REMOVE)} sh "$_p" {words} || exit $?
  _n=$(by 'grep -cE "^[^#]*(ssh-|ecdsa-|sk-)" "$1" 2>/dev/null' sh "$_p"); _c=$((_c + ${{_n:-0}}))
done
echo keys $_c
"""
