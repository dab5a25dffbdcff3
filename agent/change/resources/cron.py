"""Who may plan commands: cron.allow and at.allow.

fix: {resource: cron_allow, want: [cron, at]}

Each file that is not there is made, for root and those who have entries now (they would no longer be able to edit them);
one that is there is somebody's list: its rights are lowered to 0640, its names are left. What is planned already runs on.
"""

from __future__ import annotations

import re

from agent.change.contract import Facts, FixError
from agent.model.change import Handle, Item, Skip, Step, Why
from agent.model.frames import Answer

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_GROUP_READ = 0o640


class CronAllow:
    """cron_allow: see the module."""

    name = "cron_allow"
    library = ()

    def check(self, item: Item) -> None:
        """Raises FixError."""
        if not isinstance(item.want, list) or not item.want or set(item.want) - {"cron", "at"}:
            raise FixError("fix.want: write [cron, at]")

    def read(self, item: Item, facts: Facts) -> str:
        """`has cron|at`, `allow cron|at MODE USER`, `user cron|at NAME` of those who have entries."""
        del item, facts
        return r"""[ -d "$R/etc" ] || exit 2
if command -v crontab >/dev/null 2>&1; then echo has cron; fi
if command -v at >/dev/null 2>&1; then echo has at; fi
for n in cron at; do f=$R/etc/$n.allow
  if [ -L "$f" ]; then echo "link $n"; elif [ -e "$f" ]; then stat -c "allow $n %a %U" "$f"; fi; done
for f in "$R"/var/spool/cron/* "$R"/var/spool/cron/crontabs/*; do if [ -f "$f" ] && [ -s "$f" ]; then echo "user cron ${f##*/}"; fi; done
for f in "$R"/var/spool/at/[a-z=]* "$R"/var/spool/cron/atjobs/[a-z=]*; do if [ -f "$f" ]; then stat -c 'user at %U' "$f"; fi; done
:"""

    def plan(self, item: Item, answer: Answer, facts: Facts) -> tuple[Step, ...] | Skip:
        """One step a list."""
        del facts
        has: set[str] = set()
        allow: dict[str, tuple[int, str]] = {}
        users: dict[str, set[str]] = {"cron": set(), "at": set()}
        for line in answer.text.splitlines():
            match line.split(" "):
                case ["has", name]:
                    has.add(name)
                case ["link", name]:
                    return Skip(Why.MANUAL, f"/etc/{name}.allow 是符号链接，由设置它的人处理")
                case ["allow", name, mode, owner] if re.fullmatch("[0-7]{1,4}", mode):
                    allow[name] = (int(mode, 8), owner)
                case ["user", ("cron" | "at") as name, user] if _NAME.fullmatch(user):
                    users[name].add(user)
        wanted = [str(each) for each in item.want if each in has]
        if not wanted:
            return Skip(Why.UNSUPPORTED, "主机上没有 cron、at")
        steps = (_step(item, name, allow.get(name), sorted(users[name] - {"root"})) for name in wanted)
        return tuple(step for step in steps if step)


def _step(item: Item, name: str, now: tuple[int, str] | None, users: list[str]) -> Step | None:
    path = f"/etc/{name}.allow"
    if now is None:
        names = " ".join(["root", *users])
        return Step(
            "cron_allow", "files", path, "未设置", f"只允许 {names.replace(' ', '、')}",
            f"printf '%s\\n' {names} | e_put {path} 640",
            handles=(Handle("file", (path,)),),
            source=path,
            risk=item.risk,
        )  # fmt: skip
    mode, owner = now
    if mode & ~_GROUP_READ == 0 and owner == "root":
        return None
    return Step(
        "cron_allow", "files", path, f"{mode:04o} {owner}", f"{mode & _GROUP_READ:04o} root",
        f"[ ! -L {path} ] && chown -h root {path} && chmod u-xs,g-wxs,o-rwx,-t {path}",
        handles=(Handle("meta", (path,)),),
        source="stat",
        risk=item.risk,
    )  # fmt: skip


RESOURCES = (CronAllow(),)
