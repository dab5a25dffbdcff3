"""File modes and owners: rights are taken away, never given.

fix: {resource: file_mode, want: {/etc/shadow: "0640 root"}}
fix: {resource: file_mode, want: {mode: "0640", owner: root}, paths: [/var/log/auth.log, "/etc/ssh/ssh_host_*_key"]}
fix: {resource: file_mode, want: {mode: go-w}, select: world_writable}

A mode is the most that is allowed (its bits are a ceiling), or `go-w`, `o-w`. An owner is set as named, the group only
where one is (`root:shadow`). Paths may hold `*` in their last part; links are followed.
"""

from __future__ import annotations

import re
from shlex import quote
from typing import Any

from agent.change.contract import Facts, FixError
from agent.model.change import Handle, Item, Skip, Step, Why
from agent.model.frames import Answer

_MODE = re.compile(r"[0-7]{3,4}|(go|o|g)-w")
_OWNER = re.compile(r"[a-z_][a-z0-9_-]*(:[a-z_][a-z0-9_-]*)?")
_PATH = re.compile(r"/[^\x00-\x1f\x7f'\"`$\\;&|<>()]*")
_PATTERN = re.compile(r"[A-Za-z0-9_.*+-]+")
_WRITE = {"go-w": 0o7755, "o-w": 0o7775, "g-w": 0o7757}
_SELECTS = {
    # the same places, and as deep, as the control LIN-AC-A-05 looks at
    "world_writable": "set --; for d in etc usr/local usr/bin usr/sbin opt var/spool/cron; do "
    'if [ -d "$R/$d" ]; then set -- "$@" "$R/$d"; fi; done; '
    '[ $# -gt 0 ] && find "$@" -xdev -maxdepth 3 \\( -type f -o -type d ! -perm -1000 \\) -perm -0002 -print',
}
_SHOWN_MODE = re.compile(r"[0-7]{3,4}")

_ONE = r"""
many() { # RULE PATH...: each by its real path. What is no link lies in its folder's real one, which is asked for once
  n=$1; shift; i=$#
  while [ "$i" -gt 0 ]; do
    p=$1; shift; i=$((i - 1))
    [ -e "$p" ] || continue
    if [ -h "$p" ] || [ "${p%/}" != "$p" ]; then p=$(readlink -f "$p") || continue
    else
      if [ "${p%/*}" != "${was-none}" ]; then was=${p%/*}; real=$(cd -P "${was:-/}" && pwd); real=${real%/}; fi
      p=$real/${p##*/}
    fi
    set -- "$@" "$p"
  done
  [ $# = 0 ] || stat -c "$n %a %U %G %n" "$@"
}"""


class FileMode:
    """file_mode: see the module."""

    name = "file_mode"
    library = ()

    def check(self, item: Item) -> None:
        """Raises FixError."""
        rules = _rules(item)
        if not rules and not item.options.get("select"):
            raise FixError('fix.want: write {/etc/shadow: "0640 root"}, or {mode: "0640"} with paths')
        if item.options.get("select") and item.options["select"] not in _SELECTS:
            raise FixError(f"fix.select: one of {', '.join(_SELECTS)}")
        for path, (mode, owner) in rules.items():
            head, _, tail = path.rpartition("/")
            if not _PATH.fullmatch(path) or "*" in head or ("*" in tail and not _PATTERN.fullmatch(tail)):
                raise FixError(f"fix.want: {path!r} is no absolute path (a * may stand in its last part)")
            if not _MODE.fullmatch(mode):
                raise FixError(f'fix.want: {mode!r} is no mode; write "0640", go-w or o-w')
            if owner and not _OWNER.fullmatch(owner):
                raise FixError(f"fix.want: {owner!r} is no owner; write root or root:shadow")

    def read(self, item: Item, facts: Facts) -> str:
        """Lines `RULE MODE USER GROUP REALPATH`, RULE being the number of the path that was asked for."""
        del facts
        lines = [_ONE]
        for number, path in enumerate(_rules(item)):
            head, _, tail = path.rpartition("/")
            shown = f'"$R"{quote(head)}/{tail}' if "*" in tail else f'"$R"{quote(path)}'
            lines.append(f"many {number} {shown}")
        if item.options.get("select"):
            find = _SELECTS[str(item.options["select"])]
            lines.append(f'({find}) 2>/dev/null | head -n 200 | while IFS= read -r p; do many s "$p"; done')
        return "\n".join([*lines, ":"])

    def plan(self, item: Item, answer: Answer, facts: Facts) -> tuple[Step, ...] | Skip:
        """One step a file that has bits, or an owner, beyond what is allowed."""
        del facts
        rules = {str(number): rule for number, rule in enumerate(_rules(item).values())}
        if item.options.get("select"):
            rules["s"] = _selected(item)
        steps: dict[str, Step] = {}
        seen = 0
        for line in answer.text.splitlines():
            match line.split(" ", 4):
                case [which, mode, user, group, path] if (
                    which in rules and _SHOWN_MODE.fullmatch(mode) and _PATH.fullmatch(path)
                ):
                    seen += 1
                    step = _step(item, path, int(mode, 8), f"{user}:{group}", *rules[which])
                    if step:
                        steps.setdefault(path, step)
        if not seen and answer.rc:
            return Skip(Why.ERROR, "文件状态无法读取")
        return tuple(steps.values())


def _selected(item: Item) -> tuple[str, str]:
    want = item.want if isinstance(item.want, dict) else {}
    return str(want.get("mode", "o-w")), str(want.get("owner", ""))


def _rules(item: Item) -> dict[str, tuple[str, str]]:
    """Path to (mode, owner). Raises FixError."""
    want: Any = item.want
    if not isinstance(want, dict):
        raise FixError('fix.want: write {/etc/shadow: "0640 root"}')
    paths = item.options.get("paths", ())
    if "mode" in want:
        if item.options.get("select"):
            return {}
        if not isinstance(paths, list | tuple):
            raise FixError("fix.paths: write a list of paths")
        return {_real(item, str(path)): (_octal(want["mode"]), str(want.get("owner", ""))) for path in paths}
    rules = {}
    for path, value in want.items():
        mode, _, owner = str(value).partition(" ")
        rules[str(path)] = (mode, owner.strip())
    return rules


def _real(item: Item, path: str) -> str:
    """A path of a middleware instance: `conf` stands for its configuration file."""
    return item.subject.get(path, path) if path in {"conf", "home", "base"} else path


def _octal(value: object) -> str:
    return f"{value:04o}" if isinstance(value, int) else str(value)


def _step(item: Item, path: str, mode: int, owned: str, allowed: str, owner: str) -> Step | None:
    ceiling = _WRITE.get(allowed, 0o7777) if "-" in allowed else int(allowed, 8) | (0o7000 if len(allowed) <= 3 else 0)  # noqa: PLR2004 - digits of a mode without set-id bits
    now, new = mode, mode & ceiling
    user, _, group = owned.partition(":")
    wanted_user, _, wanted_group = owner.partition(":")
    chown = (wanted_user and wanted_user != user) or (wanted_group and wanted_group != group)
    if now == new and not chown:
        return None
    after = f"{wanted_user or user}:{wanted_group or group}"
    target = quote(path)
    to = f"{wanted_user}:{wanted_group}" if wanted_group else wanted_user  # an owner without a name stays as it is
    writes = [f"chown -h {quote(to)} {target}"] if chown else []
    writes += [f"chmod {_less(now & ~new)} {target}"] if now != new else []
    return Step(
        "file_mode",
        "files",
        path,
        f"{now:04o} {owned}",
        f"{new:04o} {after}",
        " && ".join([f"[ ! -L {target} ]", *writes]),
        handles=(Handle("meta", (path,)),),
        source="stat",
        risk=item.risk,
    )


def _less(bits: int) -> str:
    """Rights to take away, in chmod's words.

    Whoever owns the folder may put a link in the file's place at any moment: what is taken away harms nobody, where a
    number could give rights. A folder's set-id bits go only by their name.
    """
    parts = []
    for who, place, special in (("u", 6, 0o4000), ("g", 3, 0o2000), ("o", 0, 0)):
        rights = "".join(word for word, bit in (("r", 4), ("w", 2), ("x", 1)) if bits >> place & bit)
        rights += "s" if bits & special else ""
        if rights:
            parts.append(f"{who}-{rights}")
    return ",".join([*parts, *(["-t"] if bits & 0o1000 else [])])


RESOURCES = (FileMode(),)
