"""How long logrotate keeps nginx' logs.

fix: {resource: nginx_logrotate, path: /etc/logrotate.d/nginx, want: {days: 180}}

`rotate N` and `maxage N` are raised until N periods (logrotate(8): daily, weekly, monthly, yearly) are the wanted days.
"""

from __future__ import annotations

import math
import re
from shlex import quote

from agent.change.contract import Facts, FixError
from agent.change.splice import Edit, Shown, shown, write
from agent.model.change import Handle, Item, Skip, Step, Why
from agent.model.frames import Answer

_PERIOD = {"daily": 1, "weekly": 7, "monthly": 30, "yearly": 365}
_NUMBER = re.compile(r"^[ \t]*(rotate|maxage)[ \t]+(\d{1,6})[ \t\r]*$", re.MULTILINE)
_WORD = re.compile(r"^[ \t]*(daily|weekly|monthly|yearly)[ \t\r]*$", re.MULTILINE)


class NginxLogrotate:
    """nginx_logrotate: `want` is {days: N}."""

    name = "nginx_logrotate"
    library = ("splice",)

    def check(self, item: Item) -> None:
        """Raises FixError."""
        days = item.want.get("days") if isinstance(item.want, dict) else None
        if not isinstance(days, int) or not 1 <= days <= 3650:  # noqa: PLR2004 - ten years
            raise FixError("fix.want: write {days: 180}")
        if not re.fullmatch(r"/etc/logrotate\.d/[A-Za-z0-9_.-]+", str(item.options.get("path", ""))):
            raise FixError("fix.path: a file of /etc/logrotate.d")

    def read(self, item: Item, facts: Facts) -> str:
        """The file, as it is: it holds no secrets."""
        del facts
        return f"splice_show {quote(str(item.options['path']))} '{{ print }}'"

    def plan(self, item: Item, answer: Answer, facts: Facts) -> tuple[Step, ...] | Skip:
        """One step, for all its numbers."""
        del facts
        files, missing = shown(answer.text.splitlines())
        file = files.get(str(item.options["path"]))
        if file is None:
            return Skip(
                Why.UNSUPPORTED, f"{missing[0] if missing else item.options['path']}，日志的留存另有安排，由人处理"
            )
        days = int(item.want["days"])
        periods = [_PERIOD[hit[1]] for hit in _WORD.finditer(file.text)]
        numbers = list(_NUMBER.finditer(file.text))
        if not periods or not any(hit[1] == "rotate" for hit in numbers):
            return Skip(Why.MANUAL, f"{file.path} 未写周期或 rotate（或按大小轮转），由人处理")
        shortest = min(periods)
        edits, before, after = [], [], []
        for hit in numbers:
            least = math.ceil(days / shortest) if hit[1] == "rotate" else days
            if int(hit[2]) < least:
                edits.append(Edit(hit.start(2), len(hit[2]), str(least)))
                before.append(f"{hit[1]} {hit[2]}")
                after.append(f"{hit[1]} {least}")
        return (self._step(item, file, edits, before, after),) if edits else ()

    def _step(self, item: Item, file: Shown, edits: list[Edit], before: list[str], after: list[str]) -> Step:
        return Step(
            self.name,
            "nginx",
            file.path,
            "；".join(dict.fromkeys(before)),
            "；".join(dict.fromkeys(after)),
            write(file, edits),
            handles=(Handle("file", (file.real,)),),
            source="、".join(file.at(edit.offset) for edit in edits),
            validate=f"logrotate -d {quote(file.real)} >/dev/null 2>&1",
            risk=item.risk,
            note="日志保留更久，须留意磁盘空间",
        )


RESOURCES = (NginxLogrotate(),)
