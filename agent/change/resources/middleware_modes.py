"""Permissions of the files of an nginx, Redis or Tomcat, wherever it keeps them.

fix: {resource: instance_mode, kind: nginx, want: {.: go-w, /var/www: o-w}}
fix: {resource: instance_mode, kind: redis, want: {.: "0640"}}
fix: {resource: instance_mode, kind: tomcat, want: {.: go-w, tomcat-users.xml: o-r}}

`.` is what the instance is configured by: nginx' folder, Redis' file, Tomcat's conf; a name is within it. `go-w` takes bits
away; an octal mode takes away what it does not have. Nothing is added, but that a file whose readers were everybody stays
readable for the account of the service, through its group.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from shlex import quote

from agent.change.contract import Facts, FixError
from agent.model.change import Handle, Item, Skip, Step, Why
from agent.model.frames import Answer

_KINDS = {"nginx": 3, "redis": 0, "tomcat": 2}
"""Levels below `.` that are looked at, as the controls do."""
_SYMBOLIC = re.compile(r"([go]{1,2})-([rwx]{1,3})")
_NAME = re.compile(r"\.|/[A-Za-z0-9_./-]+|[A-Za-z0-9_-][A-Za-z0-9_.-]*")
_OTHERS_READ = 0o004
_GROUP_READS = 0o040


@dataclass(frozen=True, slots=True)
class _Told:
    """Of a path: what it is now."""

    mode: int
    user: str
    group: str
    uid: str
    gid: str


def _bits(value: str) -> int:
    """The permission bits that go."""
    hit = _SYMBOLIC.fullmatch(value)
    if hit:
        each = sum({"r": 4, "w": 2, "x": 1}[letter] for letter in set(hit[2]))
        return sum({"g": each << 3, "o": each}[who] for who in set(hit[1]))
    return 0o777 & ~int(value, 8)


class InstanceMode:
    """instance_mode: `want` maps places to what goes."""

    name = "instance_mode"
    library = ("splice", "mw", "nginx", "redis", "tomcat", "mode")

    def check(self, item: Item) -> None:
        """Raises FixError."""
        if item.options.get("kind") not in _KINDS:
            raise FixError(f"fix.kind: {', '.join(_KINDS)}")
        if not isinstance(item.want, dict) or not item.want:
            raise FixError("fix.want: write {.: go-w}")
        for key, value in item.want.items():
            if not _NAME.fullmatch(str(key)) or ".." in str(key):
                raise FixError(f"fix.want.{key}: a dot, a name within it or an absolute path")
            if not isinstance(value, str) or not (_SYMBOLIC.fullmatch(value) or re.fullmatch(r"0[0-7]{3}", value)):
                raise FixError(f"fix.want.{key}: go-w, o-r or an octal mode in quotes")

    def read(self, item: Item, facts: Facts) -> str:
        """See `mode.sh`."""
        del facts
        kind = str(item.options["kind"])
        if not item.location.startswith("/") or "#" in item.location:
            return "echo none"
        lines = [f'i=$(mode_ids {kind} {quote(item.location)}) && echo "ids $i" || {{ echo none; exit 0; }}']
        for key, value in item.want.items():
            # of its own folder the files alone: Tomcat deploys into folders of its group
            what = "d 2" if key.startswith("/") else f"f {_KINDS[kind] if key == '.' else 0}"
            lines.append(f"printf 'for\\t%s\\n' {quote(key)}")
            lines.append(f"mode_over {quote(self._path(item, key))} {_bits(value):03o} {what}")
        return "\n".join(lines)

    @staticmethod
    def _path(item: Item, key: str) -> str:
        if key.startswith("/"):
            return key
        folder = {
            "nginx": item.location.rpartition("/")[0],
            "redis": item.location,
            "tomcat": f"{item.location}/conf",
        }[str(item.options["kind"])]
        return folder if key == "." else f"{folder}/{key}"

    def plan(self, item: Item, answer: Answer, facts: Facts) -> tuple[Step, ...] | Skip:
        """One step a path."""
        del facts
        ids: tuple[str, ...] = ()
        found: dict[str, tuple[_Told, int]] = {}
        gone = 0
        for line in answer.text.splitlines():
            match line.split("\t"):
                case ["none"]:
                    return Skip(Why.UNSUPPORTED, "没有由系统服务以此配置运行的实例")
                case ["for", key]:
                    gone = _bits(str(item.want[key])) if key in item.want else 0
                case ["over", mode, user, group, uid, gid, path] if path.startswith("/"):
                    if re.fullmatch(r"[0-7]{3,4}", mode) and uid.isdigit() and gid.isdigit():
                        told = _Told(int(mode, 8), user, group, uid, gid)
                        found[path] = told, gone | (found[path][1] if path in found else 0)
                case [word] if word.startswith("ids "):
                    ids = tuple(word.split()[1:])
        if len(ids) != 2 or not all(each.isdigit() for each in ids):  # noqa: PLR2004 - user and group
            return Skip(Why.ERROR, "实例的运行账户未读到")
        return tuple(self._step(item, path, *found[path], ids) for path in sorted(found))

    def _step(self, item: Item, path: str, told: _Told, gone: int, ids: tuple[str, ...]) -> Step:
        new = told.mode & ~gone
        # who could read it as one of all must still be able to, if it is the service
        regroup = bool(gone & told.mode & _OTHERS_READ) and ids[0] not in {"0", told.uid} and ids[1] != told.gid
        if gone & told.mode & _OTHERS_READ and ids[0] not in {"0", told.uid}:
            new |= _GROUP_READS
        return Step(
            self.name,
            "files",
            path,
            f"{told.mode:04o} {told.user}:{told.group}",
            f"{new:04o} {told.user}:{'服务的组' if regroup else told.group}",
            f"mode_set {quote(path)} {new:04o}{f' {ids[1]}' if regroup else ''}",
            handles=(Handle("meta", (path,)),),
            source=item.location,
            risk=item.risk,
        )


RESOURCES = (InstanceMode(),)
