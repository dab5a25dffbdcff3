"""Tomcat: users of tomcat-users.xml, by root on the host. One attribute is rewritten in place; nothing is restarted.

Tomcat reads the file again by itself (MemoryUserDatabase, watchSource). As long as no CredentialHandler is declared,
the file holds the text: it is Tomcat's own record, and the one place outside the vault where it stands.
"""

from __future__ import annotations

import base64
import hashlib
import secrets as random
from shlex import quote
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from agent.model.account import Way
from agent.vault.drivers.contract import Change, Login

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent.model.frames import Answer
    from agent.model.secret import Secret

_DIGESTS = {"MD5": "md5", "SHA": "sha1", "SHA1": "sha1", "SHA256": "sha256", "SHA384": "sha384", "SHA512": "sha512"}
_KEYS = {"PBKDF2WITHHMACSHA1": "sha1", "PBKDF2WITHHMACSHA256": "sha256", "PBKDF2WITHHMACSHA512": "sha512"}
"""Algorithms of MessageDigest- and SecretKeyCredentialHandler, without hyphens -> hashlib's name."""
_ROUNDS, _BYTES, _SALT = 20000, 20, 32
"""Defaults of SecretKeyCredentialHandler; Tomcat reads back from the value what it was made with."""
_UNTOLD = "Tomcat does not tell whose a session is"


def _xml(text: str) -> str:
    return escape(text, {'"': "&quot;", "'": "&apos;"})


def digested(secret: Secret, name: str, salt: bytes = b"", rounds: int = 1) -> str:
    """As MessageDigestCredentialHandler keeps it: hex, or SALT$ROUNDS$HEX (Tomcat: DigestCredentialHandlerBase)."""
    found = hashlib.new(_DIGESTS[name], salt + secret.reveal().encode(), usedforsecurity=False).digest()
    for _ in range(rounds - 1):
        found = hashlib.new(_DIGESTS[name], found, usedforsecurity=False).digest()
    return f"{salt.hex()}${rounds}${found.hex()}" if salt else found.hex()


def keyed(secret: Secret, name: str, salt: bytes, rounds: int = _ROUNDS, size: int = _BYTES) -> str:
    """As SecretKeyCredentialHandler keeps it: SALT$ROUNDS$HEX."""
    found = hashlib.pbkdf2_hmac(_KEYS[name], secret.reveal().encode(), salt, rounds, size)
    return f"{salt.hex()}${rounds}${found.hex()}"


def _values(secret: Secret) -> Iterator[tuple[str, str]]:
    """(how Tomcat keeps passwords, as `tp_realm` says; what it would keep)."""
    yield "plain", _xml(secret.reveal())
    for name in _DIGESTS:
        yield f"dg {name}", digested(secret, name)
        yield f"md {name}", digested(secret, name, random.token_bytes(_SALT))
    for name in _KEYS:
        yield f"sk {name}", keyed(secret, name, random.token_bytes(_SALT))


def _kept(secret: Secret, said: str) -> str:
    """What stands there if it is this one, by the salt that the target said. Raises ValueError."""
    try:
        form, name, salt, rounds, size = said.split()
        if form == "sk":
            return keyed(secret, name, bytes.fromhex(salt), int(rounds), int(size) // 2)
        return digested(secret, name, bytes.fromhex(salt.strip("-")), int(rounds))
    except KeyError as error:
        raise ValueError(said) from error


class Tomcat:
    """Tomcat >= 7 with a UserDatabaseRealm on a file."""

    kind = "tomcat"
    libraries: tuple[str, ...] = ("splice.sh", "mw.sh", "tomcatpass.sh")
    ways: tuple[Way, ...] = (Way.SERVICE, Way.IN_PLACE)
    login_as_root = True

    def _here(self, change: Change) -> str:
        return f"tp_here {quote(change.account.at)} {quote(change.account.user)} || exit $?\n"

    def change(self, change: Change) -> str:
        """Rewrite the attribute as the realm keeps it; a handler that is not known is refused with its name."""
        cases = "\n".join(f"  {quote(form)}) _v={quote(value)} ;;" for form, value in _values(change.secret))
        return (
            f"{self._here(change)}case $_tpk in\n{cases}\n"
            '  *) echo "its CredentialHandler with ${_tpk#* } is not supported: by a person" >&2; exit 4 ;;\nesac\n'
            f'tp_put {quote(change.account.user)} "$_v"'
        )

    def which(self, change: Change, secrets: Sequence[Secret], said: str = "") -> str:
        """Compare in the file; where it is digested, its salt is asked for first."""
        if said:
            cases = " ".join(f"{_kept(secret, said)}) echo {place} ;;" for place, secret in enumerate(secrets))
            lower = "$(printf %s \"$_tpv\" | tr 'A-F' 'a-f')"
            return f"{self._here(change)}case {lower} in {cases.replace('$', chr(92) + '$')} *) echo none ;; esac"
        plain = "".join(
            f'tp_is "$_tpv" {quote(one.reveal())} && {{ echo {n}; exit 0; }}\n' for n, one in enumerate(secrets)
        )
        return f"""{self._here(change)}if [ "$_tpk" = plain ]; then
{plain}echo none; exit 0; fi
case $_tpv in
  *[!0-9A-Fa-f$]*) echo none ;;
  *\\$*\\$*) _s=${{_tpv%%\\$*}}; _x=${{_tpv#*\\$}}; _h=${{_x#*\\$}}
    echo "ask $_tpk ${{_s:--}} ${{_x%%\\$*}} ${{#_h}}" ;;
  *) echo "ask $_tpk - 1 0" ;;
esac"""

    def login(self, change: Change, way: Way) -> str:
        """HTTP Basic over the loopback, to an application that asks for it: manager, host-manager."""
        if way is not Way.SERVICE:
            return ""
        pair = base64.b64encode(f"{change.account.user}:{change.secret.reveal()}".encode()).decode()
        return f"{self._here(change)}tp_login {quote(pair)}"

    def logged_in(self, answer: Answer) -> Login:
        """401 is a refusal; 403 is somebody who is in and has no part in that application."""
        code = answer.text.strip().removeprefix("status ")
        if code == "401":
            return Login.REJECTED
        return Login.IN if answer.rc == 0 and code in {"200", "302", "403"} else Login.BARRED

    def finish(self, change: Change) -> str:
        """Nothing: Tomcat knows no expiry."""
        del change
        return ""

    def sessions(self, change: Change) -> str:
        """Not known."""
        del change
        return f"echo {quote(_UNTOLD)} >&2; exit 3"

    def end_sessions(self, change: Change) -> str:
        """Not without a restart, which ends everybody's."""
        del change
        return f"echo {quote(_UNTOLD)} >&2; exit 3"

    def lock(self, change: Change) -> str:
        """A password that nobody knows, for Tomcat has no lock."""
        return f"{self._here(change)}tp_put {quote(change.account.user)} {quote('!locked-' + random.token_hex(24))}"
