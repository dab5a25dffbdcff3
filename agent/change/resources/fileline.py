"""Lines of a file: keys with values, in a section or plain, or whole lines.

fix: {resource: file_line, want: {path: /etc/modprobe.d/secops.conf, lines: ["install cramfs /bin/true", "blacklist cramfs"]}}
fix: {resource: file_line, want: {path: /etc/security/limits.d/99-secops.conf, sep: " ", keys: {"* hard core": 0}}}
fix: {resource: file_line, want: {path: /etc/systemd/journald.conf.d/99-secops.conf, section: Journal, keys: {Storage: persistent}},
      restart: systemd-journald.service}

Other lines of the file stay as they are. `mode` (of a new file, 0644), `needs` (a folder or file without which nothing is
done), and `restart` (a unit that reads the file only when it begins) are optional.
"""

from __future__ import annotations

import re
from shlex import quote

from agent.change.contract import Facts, FixError
from agent.model.change import Act, Handle, Item, Skip, Step, Why
from agent.model.frames import Answer

_PATH = re.compile(r"/(etc|usr/local/etc)/[A-Za-z0-9_./@+-]+")
_TEXT = re.compile(r"[^\x00-\x1f\x7f]+")
_UNIT = re.compile(r"[A-Za-z0-9:_.@-]+\.(service|socket)")
_OURS_TO_LEAVE = ("/etc/ssh/", "/etc/pam.d/", "/etc/sudoers", "/etc/passwd", "/etc/shadow", "/etc/group", "/etc/fstab")
"""What has a resource of its own, which knows what may go wrong there."""


class FileLine:
    """file_line: see the module."""

    name = "file_line"
    library = ("lines",)

    def check(self, item: Item) -> None:
        """Raises FixError."""
        want = item.want
        if not isinstance(want, dict) or set(want) - {"path", "lines", "keys", "sep", "section", "mode"}:
            raise FixError("fix.want: write {path: /etc/..., lines: [...]} or {path: /etc/..., sep: =, keys: {...}}")
        path = str(want.get("path", ""))
        if not _PATH.fullmatch(path) or "/../" in path or path.startswith(_OURS_TO_LEAVE):
            raise FixError(f"fix.want.path: {path!r} is no file of /etc that this resource changes")
        lines, keys = want.get("lines"), want.get("keys")
        if (lines is None) == (keys is None):
            raise FixError("fix.want: either lines or keys")
        if lines is not None and not (
            isinstance(lines, list) and lines and all(_TEXT.fullmatch(str(one)) for one in lines)
        ):
            raise FixError("fix.want.lines: a list of lines")
        if keys is not None and not (isinstance(keys, dict) and keys):
            raise FixError("fix.want.keys: write {Storage: persistent}")
        for text in [*map(str, keys or ()), *map(str, (keys or {}).values()), str(want.get("section", "x"))]:
            if not _TEXT.fullmatch(text) or "]" in text:
                raise FixError(f"fix.want: {text!r} has control characters")
        if not re.fullmatch(r"0?[0-7]{3}", _mode(item)):
            raise FixError('fix.want.mode: write "0644"')
        if item.options.get("restart") and not _UNIT.fullmatch(str(item.options["restart"])):
            raise FixError("fix.restart: a unit")

    def read(self, item: Item, facts: Facts) -> str:
        """`real PATH`, `needs no`, and the file's lines behind a `|`."""
        del facts
        path = quote(str(item.want["path"]))
        lines = [
            f'f=$(readlink -m "$R"{path} 2>/dev/null || readlink -f "$R"{path}); echo "real ${{f#"$R"}}"',
            'if [ -e "$f" ]; then [ -f "$f" ] && [ -r "$f" ] || exit 2; echo there; sed "s/^/|/" "$f"; fi',
        ]
        if item.options.get("needs"):
            lines.append(f'[ -e "$R"{quote(str(item.options["needs"]))} ] || echo needs no')
        return "\n".join([*lines, ":"])

    def plan(self, item: Item, answer: Answer, facts: Facts) -> tuple[Step, ...] | Skip:
        """One step a key, or one for all lines that are missing."""
        del facts
        told = answer.text.splitlines()
        real = next((line.removeprefix("real ") for line in told if line.startswith("real ")), "")
        if not _PATH.fullmatch(real) or real.startswith(_OURS_TO_LEAVE):
            return Skip(Why.ERROR, f"{item.want['path']} 指向别处，未处理")
        if "needs no" in told:
            return Skip(Why.UNSUPPORTED, f"主机上没有 {item.options['needs']}，无须或无从设置")
        now = [line[1:] for line in told if line.startswith("|")]
        if "lines" in item.want:
            missing = [str(each) for each in item.want["lines"] if " ".join(str(each).split()) not in _bare(now)]
            if not missing:
                return ()
            text = "".join(f"{line}\n" for line in missing)
            write = f"l_append {quote(real)} {quote(text)} {_mode(item)}"
            return (_step(item, real, "未设置" if not now else f"缺 {len(missing)} 行", "；".join(missing[:4]), write),)
        section, sep = str(item.want.get("section", "")), str(item.want.get("sep", "="))
        steps = []
        for key, value in item.want["keys"].items():
            seen = _value(now, section, sep, str(key))
            if seen != str(value):
                words = " ".join(map(quote, (real, section, sep, str(key), str(value), _mode(item))))
                steps.append(_step(item, f"{real} {key}", seen or "未设置", str(value), f"l_set {words}", real))
        return tuple(steps)


def _mode(item: Item) -> str:
    raw = item.want.get("mode", "0644")
    return f"{raw:04o}" if isinstance(raw, int) else str(raw)


def _bare(lines: list[str]) -> set[str]:
    return {" ".join(line.split()) for line in lines}


def _value(lines: list[str], section: str, sep: str, key: str) -> str | None:
    """The last active value of a key; the key ends at the separator (white space, where that is it)."""
    here, found = "", None
    for line in lines:
        bare = line.strip()
        if bare.startswith("[") and bare.endswith("]"):
            here = bare[1:-1]
        elif bare and bare[0] not in "#;" and (not section or here == section):
            if sep.strip():
                name, given, value = bare.partition(sep.strip())
            elif " ".join(bare.split()).startswith(f"{key} "):
                name, given, value = key, " ", " ".join(bare.split())[len(key) :]
            else:
                continue
            if given and name.strip() == key:
                found = value.strip()
    return found


def _step(item: Item, name: str, before: str, after: str, write: str, path: str = "") -> Step:
    unit = str(item.options.get("restart", ""))
    return Step(
        "file_line",
        "logging" if "journal" in unit or "rsyslog" in unit else "files",
        name,
        before,
        after,
        write,
        handles=(Handle("file", (path or name,)),),
        source=path or name,
        acts=(Act("restart", (unit,)),) if unit else (),
        risk=item.risk,
    )


RESOURCES = (FileLine(),)
