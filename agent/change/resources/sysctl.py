"""Kernel parameters: the running value, and the file that sets it at boot.

fix: {resource: sysctl, want: {net.ipv4.tcp_syncookies: 1, ...}, path: /etc/sysctl.d/99-secops.conf}

systemd-sysctl reads /usr/lib, /run and /etc/sysctl.d in the order of file names, /etc/sysctl.conf as 99-sysctl.conf;
the last one wins (sysctl.d(5)). Ours is read last, so a file in the administrator's hand is never edited.
"""

from __future__ import annotations

import re
from shlex import quote

from agent.change.contract import Facts, FixError
from agent.model.change import Handle, Item, Skip, Step, Why
from agent.model.frames import Answer

PATH = "/etc/sysctl.d/zz-secops.conf"
_KEY = re.compile(r"[a-z][a-zA-Z0-9_.*/-]+")


class Sysctl:
    """sysctl: `want` maps keys to integers or words."""

    name = "sysctl"
    library = ()

    def check(self, item: Item) -> None:
        """Raises FixError."""
        want = item.want
        if not isinstance(want, dict) or not want or not all(_KEY.fullmatch(str(key)) for key in want):
            raise FixError("fix.want: write {net.ipv4.tcp_syncookies: 1}")

    def read(self, item: Item, facts: Facts) -> str:
        """Lines `run KEY VALUE`, `file KEY VALUE`, and `fixed KEY` for one that cannot be written here."""
        del facts
        lines = [f"f=$R{PATH}"]
        for key in item.want:
            lines.append(f'v=$(sysctl -n {key} 2>/dev/null | tr "\\t" " ") && echo "run {key} $v"')
            lines.append(f'[ -w "/proc/sys/{key.replace(".", "/")}" ] || echo "fixed {key}"')
            pattern = re.escape(key)
            lines.append(f"""[ ! -r "$f" ] || sed -n 's/^{pattern} *= */file {key} /p' "$f" | tail -n 1""")
        return "\n".join(lines)

    def plan(self, item: Item, answer: Answer, facts: Facts) -> tuple[Step, ...] | Skip:
        """One step a key whose running value, or whose value at boot, differs."""
        del facts
        seen: dict[tuple[str, str], str] = {}
        for line in answer.text.splitlines():
            where, _, rest = line.partition(" ")
            key, _, value = rest.partition(" ")
            seen[where, key] = value.strip()
        steps = []
        fixed = []
        for key, wanted in item.want.items():
            want, now = str(wanted), seen.get(("run", key))
            if now is None:
                continue  # a kernel without it
            if now == want and seen.get(("file", key), want) == want:
                continue
            if now != want and ("fixed", key) in seen:
                fixed.append(key)  # a container shares it with its host
                continue
            write = f"e_key {PATH} ' = ' {quote(key)} {quote(want)} && sysctl -q -w {quote(f'{key}={want}')}"
            steps.append(
                Step(
                    self.name,
                    "system",
                    key,
                    now,
                    want,
                    write,
                    handles=(Handle("file", (PATH,)), Handle("sysctl", (key,))),
                    source="运行值" if ("file", key) not in seen else PATH,
                    risk=item.risk,
                )
            )
        if fixed and not steps:
            return Skip(Why.UNSUPPORTED, f"此处不可写（容器与宿主机共用内核）：{'、'.join(fixed)}")
        if not steps and not any(where == "run" for where, _ in seen):
            return Skip(Why.UNSUPPORTED, "内核没有这些参数")
        return tuple(steps)


RESOURCES = (Sysctl(),)
