"""Linux accounts: chpasswd by standard input; proven by SSH, by su, or by pam_unix' own helper in place."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from agent.model.account import Way
from agent.vault.drivers.contract import Change, Login

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.model.frames import Answer
    from agent.model.secret import Secret

_WORD = "secops-is-in"
_NONE = "it has no password, and none is to be given (initial: true)"
_NO = "Authentication failure"
"""PAM_AUTH_ERR in the C locale (Linux-PAM, pam_strerror.c); util-linux' and shadow's su print it."""


class Linux:
    """Users of /etc/passwd with a password in /etc/shadow."""

    kind = "linux"
    libraries: tuple[str, ...] = ()
    ways: tuple[Way, ...] = (Way.SSH, Way.SU, Way.IN_PLACE)
    login_as_root = False

    def change(self, change: Change) -> str:
        """Set it. One that is locked stays locked, for chpasswd would open it; one of another source than files too."""
        user, text = change.account.user, change.secret.reveal()
        none = "" if change.account.initial else f"echo {quote(_NONE)} >&2; exit 4"
        # the builtin printf: no argument of any process, no file
        return f"""_s=$(getent shadow {quote(user)}) || {{ echo 'no such user of this host' >&2; exit 4; }}
_s=${{_s#*:}}; _s=${{_s%%:*}}
case $_s in
  '!'|'!!'|'*'|'!*'|'*LK*'|x) {none} ;;
  '!'*|'*LK*'*) echo 'the account is locked' >&2; exit 4 ;;
esac
printf '%s\\n' {quote(f"{user}:{text}")} | chpasswd"""

    def which(self, change: Change, secrets: Sequence[Secret], said: str = "") -> str:
        """Ask pam_unix' helper, whom root may ask about anybody: no PAM stack runs, so no attempt is counted."""
        del said
        user = quote(change.account.user)
        lines = [
            "c=; for f in /usr/sbin/unix_chkpwd /sbin/unix_chkpwd; do [ -x $f ] && c=$f && break; done",
            '[ -n "$c" ] || { echo "no unix_chkpwd" >&2; exit 3; }',
            f"getent passwd {user} >/dev/null || {{ echo 'no such user' >&2; exit 4; }}",
        ]
        for place, secret in enumerate(secrets):
            # ends with a zero byte; nothing but the exit code tells
            lines.append(f"printf '%s\\000' {quote(secret.reveal())} | $c {user} nonull && {{ echo {place}; exit 0; }}")
        return "\n".join([*lines, "echo none; exit 0"])

    def login(self, change: Change, way: Way) -> str:
        """`su` from an unprivileged login asks for the password, and takes it from standard input."""
        if way is not Way.SU:
            return ""
        user = quote(change.account.user)
        return (
            f"printf '%s\\n' {quote(change.secret.reveal())} | $_low $T su {user} -c 'echo {_WORD}'; rc=$?\n"
            f's=$(getent passwd {user}); echo "shell ${{s##*:}}"; exit $rc'
        )

    def logged_in(self, answer: Answer) -> Login:
        """In, too, where PAM let it pass and the account's shell is one that ends at once."""
        lines = answer.text.splitlines()
        shell = next((line.removeprefix("shell ") for line in lines if line.startswith("shell ")), "")
        if _WORD in lines:
            return Login.IN
        if _NO in answer.errors:
            return Login.REJECTED
        closed = shell.rpartition("/")[2] in {"nologin", "false"}
        # 127: no su; "su:" before any other refusal of PAM's or its own
        return Login.IN if closed and answer.rc == 1 and "su: " not in answer.errors else Login.BARRED

    def finish(self, change: Change) -> str:
        """Let it expire; a warning a week before."""
        if not change.days:
            return ""
        return f"chage -M {change.days} -W 7 {quote(change.account.user)}"

    def sessions(self, change: Change) -> str:
        """What logind knows, and the processes that run as the user."""
        user = quote(change.account.user)
        return f"""_i=$(id -u {user}) || exit 4
loginctl list-sessions --no-legend 2>/dev/null | awk -v u="$_i" '$2==u{{print $1}}' | while read -r _s; do
  loginctl show-session "$_s" -p RemoteHost -p Timestamp -p Service | awk -F= '{{v[$1]=$2}}
    END{{print (v["RemoteHost"]==""?"local":v["RemoteHost"]) "\\t" v["Timestamp"] "\\t" v["Service"]}}'; done
ps -o lstart=,comm= -U "$_i" 2>/dev/null | awk 'NF>5{{print "process\\t" $1" "$2" "$3" "$4" "$5 "\\t" $6}}'; :"""

    def end_sessions(self, change: Change) -> str:
        """By logind, then whatever still runs as the user. An id that others share is left alone, and so is root's."""
        user = quote(change.account.user)
        return f"""_i=$(id -u {user}) || exit 4
[ "$_i" != 0 ] && [ "$(awk -F: -v u="$_i" '$3==u' /etc/passwd | wc -l)" = 1 ] ||
  {{ echo 'its id is not its own' >&2; exit 4; }}
loginctl terminate-user "$_i" 2>/dev/null
for _g in TERM KILL; do
  _p=$(ps -o pid= -U "$_i") && kill -s $_g $_p 2>/dev/null; _n=0
  while ps -U "$_i" >/dev/null 2>&1 && [ $_n -lt 5 ]; do sleep 1; _n=$((_n + 1)); done
done
! ps -U "$_i" >/dev/null 2>&1"""

    def lock(self, change: Change) -> str:
        """Its password and, by an account that has ended, its SSH keys as well."""
        return f"usermod -L -e 1 {quote(change.account.user)}"
