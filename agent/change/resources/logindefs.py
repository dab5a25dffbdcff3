"""login.defs: what new accounts and new passwords get.

fix: {resource: login_defs, want: {PASS_MAX_DAYS: 30, PASS_MIN_DAYS: 1, ENCRYPT_METHOD: SHA512}}

PASS_MAX_DAYS is at most, PASS_MIN_DAYS and PASS_WARN_AGE are at least what is wanted; a method as strong as the wanted
one stays (yescrypt, SM3). Values that stood there stay as comments. Accounts that exist already are `account`'s.
"""

from __future__ import annotations

import re
from shlex import quote

from agent.change.contract import Facts, FixError
from agent.change.pamread import strictness
from agent.model.change import Handle, Item, Skip, Step, Why
from agent.model.frames import Answer

PATH = "/etc/login.defs"
_STRONG = ("SHA512", "YESCRYPT", "GOST_YESCRYPT", "SM3")


def _method(now: str | None, want: str) -> bool:
    del want
    return now is not None and now.upper() in _STRONG


RULES = {
    **strictness(("PASS_MIN_DAYS", "PASS_WARN_AGE"), ("LOGIN_RETRIES",), ("PASS_MAX_DAYS",), {}),
    "ENCRYPT_METHOD": _method,
}


class LoginDefs:
    """login_defs: `want` maps keys to numbers or words."""

    name = "login_defs"
    library = ("logindefs",)

    def check(self, item: Item) -> None:
        """Raises FixError."""
        if not isinstance(item.want, dict) or not item.want:
            raise FixError("fix.want: write {PASS_MAX_DAYS: 30}")
        for key, value in item.want.items():
            if key not in RULES:
                raise FixError(f"fix.want.{key}: known are {', '.join(RULES)} (UMASK is the resource profile's)")
            if key == "ENCRYPT_METHOD" and value not in _STRONG:
                raise FixError(f"fix.want.{key}: one of {', '.join(_STRONG)}")
            if key != "ENCRYPT_METHOD" and not re.fullmatch(r"[0-9]{1,5}", str(value)):
                raise FixError(f"fix.want.{key}: {value!r} is no number of days")

    def read(self, item: Item, facts: Facts) -> str:
        """Lines `is KEY VALUE NUMBER`, the last one of a key counts; `weak MODULE-LINE` of pam_unix."""
        del facts
        keys = "|".join(item.want)
        return (
            f'f=$R{PATH}; [ -r "$f" ] || exit 0; echo there; readlink -f "$f" | sed "s|^$R|real |"\n'
            f"""awk '$1~/^({keys})$/{{print "is " $1 " " $2 " " FNR}}' "$f" """
        )

    def plan(self, item: Item, answer: Answer, facts: Facts) -> tuple[Step, ...] | Skip:
        """One step a key."""
        del facts
        found: dict[str, tuple[str, str]] = {}
        path = PATH
        for line in answer.text.splitlines():
            match line.split():
                case ["is", key, value, number]:
                    found[key] = (value, number)
                case ["is", key, number]:
                    found[key] = ("", number)
                case ["real", real] if real.startswith("/"):
                    path = real
        if not answer.text.startswith("there"):
            return Skip(Why.UNSUPPORTED, "没有 /etc/login.defs")
        return tuple(
            self._step(item, key, str(want), found.get(key), path)
            for key, want in item.want.items()
            if not RULES[key](found[key][0] if key in found else None, str(want))
        )

    def _step(self, item: Item, key: str, want: str, now: tuple[str, str] | None, path: str) -> Step:
        return Step(
            self.name,
            "accounts",
            key,
            now[0] if now and now[0] else "未设置",
            want,
            f"defs_set {quote(path)} {quote(key)} {quote(want)}",
            handles=(Handle("file", (path,)),),
            source=f"{path}:{now[1]}" if now else "默认值",
            risk=item.risk,
        )


RESOURCES = (LoginDefs(),)
