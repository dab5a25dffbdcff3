"""What shells begin with: TMOUT, HISTSIZE, umask.

fix: {resource: profile, want: {TMOUT: 600}}      at most that many seconds, and at least 60
fix: {resource: profile, want: {HISTSIZE: 50}}    at most that many lines, HISTFILESIZE with it
fix: {resource: profile, want: {umask: "027"}}    no file that others may read, in login.defs besides

Where a file sets more, the value is lowered in place (a line taken out could leave an empty `if`). Where no file sets
it, /etc/profile.d/secops-NAME.sh does. The places are those that the controls read: /etc/profile, bashrc, bash.bashrc,
profile.d/*.sh.
"""

from __future__ import annotations

import re
from shlex import quote

from agent.change.contract import Facts, FixError
from agent.model.change import Handle, Item, Skip, Step, Why
from agent.model.frames import Answer

_LEAST = {"TMOUT": 60, "HISTSIZE": 0}
_OURS = {
    # a second sourcing must not assign to what is read-only: dash would leave the shell for it
    "TMOUT": 'if [ -z "${{TMOUT-}}" ] || [ "$TMOUT" -gt {0} ] 2>/dev/null || [ "$TMOUT" = 0 ]; then\n  TMOUT={0}\n  readonly TMOUT\n  export TMOUT\nfi\n',
    "HISTSIZE": "HISTSIZE={0}\nHISTFILESIZE={0}\n",
    "umask": "umask {0}\n",
}
_DEFS = "/etc/login.defs"
_BITS = 0o777


class Profile:
    """profile: `want` maps TMOUT, HISTSIZE or umask to a value."""

    name = "profile"
    library = ("profile", "logindefs")

    def check(self, item: Item) -> None:
        """Raises FixError."""
        if not isinstance(item.want, dict) or not item.want:
            raise FixError("fix.want: write {TMOUT: 600}")
        for key, value in item.want.items():
            if key not in _OURS:
                raise FixError(f"fix.want.{key}: known are {', '.join(_OURS)}")
            if key == "umask" and not re.fullmatch(r"0?[0-7]{3}", str(value)):
                raise FixError(f"fix.want.umask: {value!r} is no umask; write 027")
            if key != "umask" and not (str(value).isdigit() and int(value) >= max(1, _LEAST[key])):
                raise FixError(f"fix.want.{key}: at least {max(1, _LEAST[key])}")

    def read(self, item: Item, facts: Facts) -> str:
        """`set FILE NUMBER VALUE` between tabs; of login.defs only the last UMASK counts."""
        del facts
        lines = ["echo looked"]
        for key in item.want:
            lines.append(f"profile_look {key} | sed 's/^/{key}\\t/'")
            if key == "umask":
                lines.append(f"""awk '$1=="UMASK"{{print "defs\\t" $2 "\\t" FNR}}' "$R{_DEFS}" 2>/dev/null""")
        return "\n".join([*lines, ":"])

    def plan(self, item: Item, answer: Answer, facts: Facts) -> tuple[Step, ...] | Skip:
        """One step a file that is too generous, and one for a file of ours when nobody sets it."""
        del facts
        rows = [line.split("\t") for line in answer.text.splitlines()]
        if ["looked"] not in rows:
            return Skip(Why.ERROR, "没有读到 shell 配置")
        steps: list[Step] = []
        for key, value in item.want.items():
            want = _octal(str(value)) if key == "umask" else str(value)
            found = [(row[2], row[3], row[4]) for row in rows if len(row) == 5 and row[:2] == [key, "set"]]  # noqa: PLR2004 - columns
            if key == "umask":
                steps += self._defs(item, want, [row for row in rows if row[0] == "defs" and len(row) == 3])  # noqa: PLR2004 - columns
            weak = [each for each in found if not _holds(key, each[2], want)]
            for file in dict.fromkeys(each[0] for each in weak):
                old = [each for each in weak if each[0] == file]
                write = f"profile_set {quote(file)} {key} {quote(want)}"
                steps.append(
                    self._step(
                        item, (key, file), ("、".join(each[2] for each in old), want), write, f"{file}:{old[0][1]}"
                    )
                )
            if not found:
                path = f"/etc/profile.d/secops-{key.lower()}.sh"
                write = f"printf %s {quote(_OURS[key].format(want))} | e_put {path} 644"
                steps.append(self._step(item, (key, path), ("未设置", want), write, "默认值"))
        return tuple(steps)

    def _defs(self, item: Item, want: str, rows: list[list[str]]) -> list[Step]:
        bad = [row for row in rows if not _holds("umask", row[1], want)]
        if rows and not bad:
            return []
        write = f"defs_set {_DEFS} UMASK {quote(want)}"
        now, source = (rows[-1][1], f"{_DEFS}:{rows[-1][2]}") if rows else ("未设置", "默认值")
        return [self._step(item, ("umask", _DEFS), (now, want), write, source)]

    def _step(self, item: Item, place: tuple[str, str], change: tuple[str, str], write: str, source: str) -> Step:
        key, path = place
        return Step(
            self.name,
            "files",
            f"{key} {path}",
            change[0],
            change[1],
            write,
            handles=(Handle("file", (path,)),),
            source=source,
            validate="profile_sound",
            risk=item.risk,
        )


def _octal(text: str) -> str:
    return f"0{int(text, 8):03o}"[-3:] if text else text


def _holds(key: str, now: str, want: str) -> bool:
    if key == "umask":
        return re.fullmatch(r"[0-7]{1,4}", now) is not None and int(now, 8) & int(want, 8) & _BITS == int(want, 8)
    return now.isdigit() and _LEAST[key] <= int(now) <= int(want)


RESOURCES = (Profile(),)
