"""Redis: directive lines (`redis.awk`) to the table `redis`. Fields: D, an empty one, name, arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_LEAST = 3
_MANY = frozenset({"save", "user", "rename-command", "loadmodule", "include", "sentinel", "client-output-buffer-limit"})
"""Directives that may stand several times; of the others the last one counts."""


def table(lines: Sequence[Sequence[str]]) -> dict[str, str]:
    """Directive to its value; what may stand several times is joined by newline. Secrets are masked already.

    Besides: `NAME.weak` and `NAME.classes` of a password, and `default-user`: `nopass`, `password` or `off`, which says
    whether a client gets in without a password (`requirepass`, or the ACL of user `default`).
    """
    found: dict[str, str] = {}
    for line in lines:
        if line[0] != "D" or len(line) < _LEAST:
            continue
        name, value = line[2], " ".join(line[3:])
        found[name] = f"{found[name]}\n{value}" if name in _MANY and name in found else value
    found["default-user"] = _default_user(found)
    return found


def _default_user(found: dict[str, str]) -> str:
    state = "password" if found.get("requirepass") else "nopass"
    for rule in found.get("user", "").splitlines():
        words = rule.split()
        if words[:1] != ["default"]:
            continue
        state = "nopass"
        for word in words[1:]:
            if word in {"off", "nopass", "reset"}:
                state = "off" if word in {"off", "reset"} else "nopass"
            elif word == "resetpass":
                state = "off"
            elif word[0] in ">#":
                state = "password"
        if "on" not in words:
            state = "off"
    return state


def features(lines: Sequence[Sequence[str]]) -> frozenset[str]:
    """`tls` when a TLS port is set, `acl` when users are declared."""
    found = table(lines)
    named = {"tls": found.get("tls-port", "0") not in {"", "0"}, "acl": "user" in found}
    return frozenset(name for name, there in named.items() if there)
