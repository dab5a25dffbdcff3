"""Pure readers of how people log in: PAM stacks, password rules, sshd, accounts."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from agent.model.facts import Account
from agent.observe.host.system import Files

_STACKS = {
    "password": ("passwd", "common-password", "system-auth", "password-auth"),
    "auth": ("sshd", "login", "common-auth", "password-auth", "system-auth"),
}
"""Where the stack of a PAM type begins: the first service file that is there."""

_FILES = 200
"""Most files of one stack."""
_LONGEST = 500
"""Most modules of one stack."""


@dataclass(frozen=True, slots=True)
class PamLine:
    """One module in a stack."""

    service: str
    kind: str
    control: str
    module: str
    args: tuple[str, ...]


def _logical(lines: tuple[str, ...]) -> Iterator[str]:
    """Lines with continuations joined and trailing comments cut."""
    held = ""
    for line in lines:
        joined = held + line
        if joined.endswith("\\"):
            held = joined[:-1] + " "
            continue
        held = ""
        yield joined.partition(" #")[0].strip()
    if held.strip():
        yield held.strip()


def stack(files: Files, service: str, kind: str) -> tuple[PamLine, ...]:
    """Modules of one PAM type in order, includes and substacks followed; a circle of includes ends."""
    return _stack(files, service, kind, {})


def _stack(files: Files, service: str, kind: str, known: dict[str, tuple[PamLine, ...]]) -> tuple[PamLine, ...]:
    """Each file is read once, and no stack grows past all measure, whatever a target's files say."""
    if service in known or len(known) > _FILES:
        return known.get(service, ())
    known[service] = ()
    found: list[PamLine] = []
    for line in _logical(files.get(f"/etc/pam.d/{service}", ())):
        include = re.match(r"@include\s+(\S+)", line)
        hit = re.match(r"-?(\w+)\s+(\[[^]]*\]|\S+)\s+(\S+)\s*(.*)", line)
        if include:
            found += _stack(files, include[1].rpartition("/")[2], kind, known)
        elif hit and hit[1].lower() == kind and hit[2] in {"include", "substack"}:
            found += _stack(files, hit[3].rpartition("/")[2], kind, known)
        elif hit and hit[1].lower() == kind:
            args = re.findall(r"\[[^]]*\]|\S+", hit[4])
            words = tuple(one.strip("[]") for one in args)
            found.append(PamLine(service, kind, hit[2], hit[3].rpartition("/")[2], words))
        if len(found) > _LONGEST:
            break
    known[service] = tuple(found[:_LONGEST])
    return known[service]


def _login_stack(files: Files, kind: str) -> tuple[PamLine, ...]:
    for service in _STACKS[kind]:
        if f"/etc/pam.d/{service}" in files:
            return stack(files, service, kind)
    return ()


def _settings(lines: tuple[str, ...]) -> dict[str, str]:
    """`key = value` lines; a bare word is on."""
    table = {}
    for line in lines:
        key, equals, value = line.partition("#")[0].partition("=")
        if key.strip():
            table[key.strip()] = value.strip() if equals else "on"
    return table


def pwquality(files: Files) -> dict[str, str]:
    """Effective password rules: conf.d in order, the main file over it, the PAM line over both.

    Empty when no such module is in the password stack: then nothing in the files has effect.
    """
    modules = {"pam_pwquality.so", "pam_cracklib.so"}
    line = next((one for one in _login_stack(files, "password") if one.module in modules), None)
    if line is None:
        return {}
    table: dict[str, str] = {}
    if line.module == "pam_pwquality.so":
        folder = "/etc/security/pwquality.conf.d/"
        for path in sorted(path for path in files if path.startswith(folder)):
            table |= _settings(files[path])
        table |= _settings(files.get("/etc/security/pwquality.conf", ()))
    return table | _settings(line.args)


def faillock(files: Files) -> dict[str, str]:
    """Effective lock-out rules: faillock.conf, then the PAM lines' arguments; `in_stack` says whether they hold."""
    lines = [one for one in _login_stack(files, "auth") if one.module in {"pam_faillock.so", "pam_tally2.so"}]
    table = {"in_stack": "yes" if lines else "no"}
    if any(one.module == "pam_faillock.so" for one in lines):
        table |= _settings(files.get("/etc/security/faillock.conf", ()))
    for one in lines:
        table |= _settings(one.args)
    return {key: value for key, value in table.items() if key not in {"preauth", "authfail", "authsucc"}}


def pam(files: Files) -> dict[str, str]:
    """`service type` to the modules in their order with arguments, one a line, includes followed."""
    table = {}
    for path in sorted(path for path in files if path.startswith("/etc/pam.d/")):
        service = path.rpartition("/")[2]
        for kind in ("auth", "account", "password", "session"):
            lines = [" ".join((one.control, one.module, *one.args)) for one in stack(files, service, kind)]
            if lines:
                table[f"{service} {kind}"] = "\n".join(lines)
    return table


def sshd(text: str) -> dict[str, str]:
    """`sshd -T`: lower-case key to value, a repeated key's values joined by a space."""
    table: dict[str, str] = {}
    for line in text.splitlines():
        key, _, value = line.strip().partition(" ")
        if re.fullmatch(r"[A-Za-z0-9]+", key):
            key = key.lower()
            table[key] = f"{table[key]} {value}" if key in table else value
    return table


def sudoers(files: Files) -> dict[str, str]:
    """`file:number` of the rule (comments not counted) to the rule, continuations joined."""
    table = {}
    for path in sorted(path for path in files if path == "/etc/sudoers" or path.startswith("/etc/sudoers.d/")):
        for number, line in enumerate(_logical(files[path]), 1):
            table[f"{path}:{number}"] = " ".join(line.split())
    return table


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"-?[0-9]{1,10}", text) else None


def _id(text: str) -> int:
    """A user's or group's number; -1 for what is none (never 0: that is root's)."""
    number = _number(text)
    return -1 if number is None else number


_NEVER = "**Never logged in**"
_WHEN = re.compile(r"[A-Z][a-z]{2} +([A-Z][a-z]{2}) +([0-9]{1,2}) [0-9:]{8} [+-][0-9]{4} ([0-9]{4})$")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _days_since(line: str, now: int | None) -> int | None:
    """Days since the day that a line of `lastlog` (shadow, C locale) names; -1 for never."""
    if line.rstrip().endswith(_NEVER):
        return -1
    hit = _WHEN.search(line.rstrip())
    if hit is None or now is None or hit[1] not in _MONTHS:
        return None
    try:
        day = date(int(hit[3]), _MONTHS.index(hit[1]) + 1, int(hit[2]))
    except ValueError:
        return None
    return max((date(1970, 1, 1) + timedelta(days=now // 86400) - day).days, 0)


def _fingerprint(blob: str, comment: str) -> str:
    """As `ssh-keygen -l` shows it: SHA-256 of the key, in base64 without padding (OpenSSH, sshkey_fingerprint)."""
    try:
        key = base64.b64decode(blob, validate=True)
    except ValueError:
        return f"? {comment}".rstrip()
    digest = base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")
    return f"SHA256:{digest} {comment}".rstrip()


def _until(aged: list[str] | None, now: int | None) -> int | None:
    """Days until shadow's eighth field, the day on which an account ends."""
    ends = _number(aged[8]) if aged and len(aged) > 8 else None  # noqa: PLR2004 - columns
    return ends - now // 86400 if ends is not None and now is not None else None


def accounts(text: str, now: int | None) -> tuple[tuple[Account, ...], tuple[str, ...]]:
    """Accounts in the order of /etc/passwd, and the files that could not be read. `now` is the host's epoch second."""
    rows = [line.split("\t") for line in text.splitlines()]
    unread = tuple(row[1] for row in rows if row[0] == "!" and len(row) > 1)
    keys = {row[1]: _number(row[2]) or 0 for row in rows if row[0] == "K" and len(row) == 3}  # noqa: PLR2004 - columns
    shadow = {row[1]: row for row in rows if row[0] == "S" and len(row) >= 6}  # noqa: PLR2004 - columns
    prints: dict[str, list[str]] = {}
    for row in rows:
        if row[0] == "k" and len(row) >= 4:  # noqa: PLR2004 - columns
            prints.setdefault(row[1], []).append(_fingerprint(row[3], row[4] if len(row) > 4 else ""))  # noqa: PLR2004
    logins = {row[1].split()[0]: row[1] for row in rows if row[0] == "L" and len(row) > 1 and row[1].split()}
    members: dict[str, list[str]] = {}
    primary: dict[str, str] = {}
    for row in rows:
        if row[0] == "G" and len(row) == 4:  # noqa: PLR2004 - columns
            primary.setdefault(row[2], row[1])
            for name in filter(None, row[3].split(",")):
                members.setdefault(name, []).append(row[1])
    found = []
    for row in rows:
        if row[0] != "P" or len(row) != 7:  # noqa: PLR2004 - columns
            continue
        name, kind, uid, gid, home, shell = row[1:]
        aged = shadow.get(name)
        changed = _number(aged[3]) if aged else None
        if kind == "x":
            kind = aged[2] if aged else ""
        found.append(
            Account(
                name=name,
                uid=_id(uid),
                gid=_id(gid),
                home=home,
                shell=shell,
                hash_kind=kind,
                changed_days=now // 86400 - changed if now is not None and changed is not None else None,
                max_days=_number(aged[5]) if aged else None,
                groups=tuple(dict.fromkeys(filter(None, (primary.get(gid, ""), *members.get(name, ()))))),
                keys=keys.get(name, 0),
                key_names=tuple(prints.get(name, ())),
                login_days=_days_since(logins.get(name, ""), now),
                ends_days=_until(aged, now),
            )
        )
    return tuple(found), unread
