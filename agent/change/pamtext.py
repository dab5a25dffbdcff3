"""PAM stacks as text: read, changed, and played through before anybody has to log in by them. Pure.

pam.conf(5): `type control module arguments`; a number as an action skips that many lines of the stack.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

_LINE = re.compile(
    r"(?P<lead>\s*-?)(?P<kind>auth|account|password|session)\s+(?P<control>\[[^]]*\]|\S+)\s+(?P<module>\S+)(?P<rest>.*)"
)
_ELSEWHERE = re.compile(r"pam_(sss|ldap|krb5|winbind|fprintd|systemd_home|pkcs11|google_authenticator|radius|u2f)\.so")
"""Modules that may say no to somebody whom pam_unix knows, and the other way round."""
_WORDS = {
    "required": {"success": "ok", "ignore": "ignore", "default": "bad"},
    "requisite": {"success": "ok", "ignore": "ignore", "default": "die"},
    "sufficient": {"success": "done", "default": "ignore"},
    "optional": {"success": "ok", "default": "ignore"},
}
"""pam.conf(5): what the words stand for."""


@dataclass(frozen=True, slots=True)
class PamLine:
    """A line of one type."""

    at: int
    """Its index among all lines of the file."""
    kind: str
    control: str
    module: str
    """Without its folder."""
    args: tuple[str, ...]

    @property
    def actions(self) -> dict[str, str]:
        """Result to action."""
        if not self.control.startswith("["):
            return _WORDS.get(self.control, {"default": "ignore"})
        pairs = (each.partition("=") for each in self.control.strip("[]").split())
        return {key: value for key, _, value in pairs}


def stack(lines: Sequence[str], kind: str) -> tuple[PamLine, ...]:
    """The lines of one type in one file; includes are lines of their own."""
    return tuple(line for line in _lines(lines) if line.kind == kind)


def _lines(lines: Sequence[str]) -> Iterator[PamLine]:
    for at, text in enumerate(lines):
        hit = _LINE.match(text.partition("#")[0])
        if hit:
            module = hit["module"].rpartition("/")[2]
            yield PamLine(at, hit["kind"], hit["control"], module, tuple(hit["rest"].split()))


def continued(lines: Sequence[str]) -> bool:
    """Whether a line goes on in the next: such files are left to people."""
    return any(line.rstrip().endswith("\\") for line in lines)


def insert(lines: Sequence[str], before: int, text: str, kind: str) -> list[str]:
    """Put a line before another, and let jumps that led past that place lead past the new line too.

    A jump that landed on the line itself lands on the new one: whoever was sent to pam_deny passes authfail first.
    """
    own = stack(lines, kind)
    place = sum(line.at < before for line in own)
    made = list(lines)
    for number, line in enumerate(own[:place]):
        grown = line.control
        for key, action in line.actions.items():
            if action.isdigit() and number + 1 + int(action) > place:
                grown = re.sub(rf"\b{re.escape(key)}={action}\b", f"{key}={int(action) + 1}", grown)
        if grown != line.control:
            made[line.at] = made[line.at].replace(line.control, grown, 1)
    return [*made[:before], text, *made[before:]]


def with_arg(lines: Sequence[str], kind: str, module: str, arg: str) -> list[str]:
    """Add an argument to every line of a module that lacks it."""
    made = list(lines)
    for line in stack(lines, kind):
        if line.module == module and arg not in line.args:
            made[line.at] = f"{made[line.at].rstrip()} {arg}"
    return made


def elsewhere(module: str) -> bool:
    """Whether a module looks people up in a place of its own."""
    return bool(_ELSEWHERE.fullmatch(module))


def plays(lines: Sequence[str], kind: str, *, known: bool) -> bool:
    """Whether a stack of one file lets somebody through, whose password pam_unix finds right or not (`known`)."""

    def result(line: PamLine) -> str:
        right = {"pam_deny.so": False, "pam_unix.so": known}.get(line.module)
        if line.module == "pam_faillock.so":
            right = "authfail" not in line.args
        if right is None:
            right = not elsewhere(line.module)
        return "success" if right else "failure"

    return _played(stack(lines, kind), result)


def _played(lines: Sequence[PamLine], result: Callable[[PamLine], str]) -> bool:
    """The dispatcher of Linux-PAM: ok, bad, die, done, reset, ignore and jumps."""
    at, good, bad = 0, False, False
    while at < len(lines):
        got = result(lines[at])
        actions = lines[at].actions
        action = actions.get(got, actions.get("default", "bad"))
        at += 1
        if action.isdigit():
            at += int(action)
            good = good or got == "success"
        elif action == "die":
            return False
        elif action == "done":
            return not bad
        elif action == "bad":
            bad = True
        elif action == "ok":
            good = True
        elif action == "reset":
            good = bad = False
    return good and not bad


def sound(lines: Sequence[str]) -> str:
    """What is wrong with a stack that people log in by; empty when it lets in who is known, and nobody else."""
    for kind in ("auth", "password", "account"):
        own = stack(lines, kind)
        if not any(line.module == "pam_unix.so" for line in own):
            continue
        jumps = [
            number + 1 + int(action)
            for number, line in enumerate(own)
            for action in line.actions.values()
            if action.isdigit()
        ]
        if any(target > len(own) for target in jumps):
            return f"{kind}: a jump leads past the end"
        if not plays(lines, kind, known=True):
            return f"{kind}: refuses those who are known"
        if kind != "account" and plays(lines, kind, known=False):
            return f"{kind}: lets in those who are not known"
    return ""
