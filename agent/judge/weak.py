"""Weak SSH algorithms and TLS protocols in the output of nmap's scripts. Pure; the words are a server's own.

Sources: RFC 8758 (RC4), RFC 9142 (key exchange), RFC 8332 (ssh-rsa), RFC 8996 (TLS 1.0 and 1.1), RFC 7568 (SSLv3).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

_SSH = re.compile(
    r"(?:diffie-hellman-group1-sha1|diffie-hellman-group14-sha1|diffie-hellman-group-exchange-sha1|gss-\S*sha1-\S*"
    r"|\S+-cbc(?:@\S+)?|arcfour\S*|none"
    r"|hmac-md5\S*|hmac-sha1-96\S*|hmac-ripemd160\S*"
    r"|ssh-dss(?:-cert\S*)?|ssh-rsa(?:-cert\S*)?)"
)
_SSH_PARTS = ("kex_algorithms", "server_host_key_algorithms", "encryption_algorithms", "mac_algorithms")
_PROTOCOL = re.compile(r"^\s*(SSLv2|SSLv3|TLSv1\.[0-3])\b", re.MULTILINE)
_OLD = ("SSLv2", "SSLv3", "TLSv1.0", "TLSv1.1")
_SUITE = re.compile(r"\b((?:TLS|SSL2?)_[A-Z0-9_]+)\b")
_WEAK_SUITE = re.compile(r"_(?:RC4|RC2|NULL|EXPORT\d*|anon|DES|3DES|DES40|IDEA|MD5)(?:_|$)", re.IGNORECASE)


def ssh(text: str) -> tuple[str, ...]:
    """Weak algorithms of `ssh2-enum-algos`, sorted; compression's `none` is none of them."""
    found = set()
    part = ""
    for word in text.split():
        if word.rstrip(":") != word or word.endswith("algorithms"):
            part = word.rstrip(":")
        elif part in _SSH_PARTS and _SSH.fullmatch(word):
            found.add(word)
    return tuple(sorted(found))


def tls(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Old protocols and weak suites of `ssl-enum-ciphers`, in their order of age and by name."""
    protocols = set(_PROTOCOL.findall(text))
    suites = {suite for suite in _SUITE.findall(text) if _WEAK_SUITE.search(suite)}
    return tuple(name for name in _OLD if name in protocols), tuple(sorted(suites))


def expiry(text: str) -> datetime | None:
    """`Not valid after` of `ssl-cert`, UTC; None when it is not there."""
    hit = re.search(r"Not valid after:\s*(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)", text)
    try:
        return datetime.fromisoformat(hit[1]).replace(tzinfo=UTC) if hit else None
    except ValueError:
        return None
