"""Frames: many sections in one script, told apart by a nonce that a target cannot know beforehand.

Both streams carry the same marks, so that a section's errors stay with it:

    NONCE > KEY        a section begins
    ...bytes...
    NONCE < KEY RC     it ended with exit code RC
    NONCE . end        the script came to its end; without it the answer broke off
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from shlex import quote

from agent.model.errors import UnreachedError
from agent.model.text import clean, decode

_KEY = re.compile(r"[A-Za-z0-9_.:#/@-]+")
_PLAIN = re.compile(rb"[\t\n -~]*")


@dataclass(frozen=True, slots=True)
class Section:
    """A named piece of the script. It runs in a subshell with standard input closed.

    `script` is POSIX sh. `$R` is the root prefix (empty on a target, a fixture's
    folder in tests); every absolute path that a section reads begins with it.
    `$_u` is the user's id. `$T` runs a program that may wait for a disk, a lock or a
    daemon for at most 30 s (it costs a fork: what cannot wait goes without), `$_low` as
    a user who can write nothing (empty where that cannot be): `$_low $T PROGRAM`.
    """

    key: str
    script: str
    raw: bool = False
    """The section marks its own frames (with `_b KEY` and `_e KEY RC`), e.g. one for each instance found."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one section answered, decoded and cleaned."""

    rc: int
    text: str
    errors: str


def compose(sections: Iterable[Section], nonce: str, preamble: str = "") -> str:
    """One POSIX sh script (dash, bash 4.2, busybox) out of sections. Of itself it leaves nothing on the target.

    `preamble` is shell that every section may use: functions, and variables set once.
    """
    lines = [
        "LC_ALL=C; export LC_ALL; umask 077; unset HISTFILE",
        "PATH=/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin; export PATH",
        f"_n={nonce}; R=",
        r"""_b() { printf '\n%s > %s\n' "$_n" "$1"; printf '\n%s > %s\n' "$_n" "$1" >&2; }""",
        r"""_e() { printf '\n%s < %s %s\n' "$_n" "$1" "$2"; printf '\n%s < %s %s\n' "$_n" "$1" "$2" >&2; }""",
        "_u=$(id -u); _low=; T='timeout -k 2 30'; $T true 2>/dev/null || T=",
        "if [ \"$_u\" = 0 ]; then _low='setpriv --reuid=65534 --regid=65534 --clear-groups'",
        "$_low true 2>/dev/null || _low=; fi",
        preamble,
    ]
    for section in sections:
        if not _KEY.fullmatch(section.key):
            raise ValueError(f"section key {section.key!r}")
        # eval: a syntax error in one section (a control's snippet) ends that subshell, not the script
        body = f"(eval {quote(section.script)}\n) </dev/null"
        lines.append(body if section.raw else f"_b {section.key}\n{body}\n_e {section.key} $?")
    lines.append(r"""printf '\n%s . end\n' "$_n"; exit 0""")
    return "\n".join(lines) + "\n"


def _cut(stream: bytes, nonce: str) -> dict[str, tuple[int | None, bytes]]:
    mark = re.compile(rb"\n" + re.escape(nonce.encode()) + rb" (?:> ([!-~]+)|< ([!-~]+) (\d{1,3})|\. (end))\n")
    found: dict[str, tuple[int | None, bytes]] = {}
    begun: tuple[str, int] | None = None
    for hit in mark.finditer(stream):
        begin, end, rc, final = hit.groups()
        if begin is not None:
            begun = (begin.decode(), hit.end())
            found[begun[0]] = (None, b"")
        elif end is not None and begun is not None and begun[0] == end.decode():
            found[begun[0]] = (int(rc), stream[begun[1] : hit.start()])
            begun = None
        elif final is not None:
            found[".end"] = (0, b"")
    return found


def _text(body: bytes) -> str:
    """Decode and clean line by line: one bad line spoils no other, and plain text (nearly all) costs nothing."""
    if _PLAIN.fullmatch(body):
        return body.decode("ascii")
    lines = body.split(b"\n")
    return "\n".join(line.decode("ascii") if _PLAIN.fullmatch(line) else clean(decode(line)) for line in lines)


def split(stdout: bytes, stderr: bytes, nonce: str) -> Mapping[str, Answer]:
    """Answers by section key.

    Raises:
        UnreachedError: `broken-off` when the end mark is missing, `garbled` when no frame is there at all.
    """
    out, err = _cut(stdout, nonce), _cut(stderr, nonce)
    if not out:
        raise UnreachedError("garbled", "the answer holds no frame of our script")
    if ".end" not in out:
        raise UnreachedError("broken-off", f"the answer breaks off after section {list(out)[-1]!r}")
    answers = {}
    for key, (rc, body) in out.items():
        if key == ".end":
            continue
        answers[key] = Answer(255 if rc is None else rc, _text(body), _text(err.get(key, (0, b""))[1]))
    return answers
