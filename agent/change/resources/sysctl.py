"""Kernel parameters: the running value, and the files that set it at boot.

fix: {resource: sysctl, want: {net.ipv4.tcp_syncookies: 1, "net.ipv4.conf.*.send_redirects": 0, kernel.printk: "4 4 1 7"}}

systemd-sysctl reads /usr/lib, /run and /etc/sysctl.d in the order of file names; the last one wins, and a key that is
written out wins over a pattern (sysctl.d(5)). `sysctl --system` reads /etc/sysctl.conf after them all, ufw its own file
when it starts. Ours is read late; a line that is read still later and says otherwise is commented out. A `*` in a key
stands for every interface that is there and stays. A container shares most of the kernel's parameters with its host: those are told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from shlex import quote

from agent.change.contract import Facts, FixError
from agent.model.change import Handle, Item, Skip, Step, Why
from agent.model.frames import Answer

PATH = "/etc/sysctl.d/zz-secops.conf"
_KEY = re.compile(r"[a-z][a-z0-9_]*(\.([a-zA-Z0-9_-]+|\*))+")
_VALUE = re.compile(r"[A-Za-z0-9._/|%+-]+( [A-Za-z0-9._/|%+-]+)*")
_SEEN = re.compile(r"[a-z][a-zA-Z0-9_@:.-]*(/[a-zA-Z0-9_@:.-]+)+")
"""A key as the kernel's folder has it; an interface's name may hold dots."""
_SPELLED = re.compile(r"-?[a-z][a-zA-Z0-9_@:./*?\[\]-]+")
_FILE = re.compile(r"/[A-Za-z0-9_./@+-]+\.conf")
_FLEETING = re.compile(r"/(veth|docker|br-|cali|cni|flannel|lxc|tap|tun|virbr|vnet)[^/]*/[^/]+$")
"""Interfaces that come and go: they begin with `default`, and a pattern passes over those that are there."""

_FILES = r"""{ for d in /etc/sysctl.d /run/sysctl.d /usr/local/lib/sysctl.d /usr/lib/sysctl.d /lib/sysctl.d; do
  for f in "$R$d"/*.conf; do if [ -e "$f" ]; then echo "${f##*/} $f"; fi; done; done | LC_ALL=C sort -s -k1,1 -u
if [ -e "$R/etc/sysctl.conf" ]; then echo "- $R/etc/sysctl.conf"; fi
if grep -qs '^ENABLED=yes' "$R/etc/ufw/ufw.conf" && [ -r "$R/etc/ufw/sysctl.conf" ]; then echo "- $R/etc/ufw/sysctl.conf"; fi; } |
{ set --; while read -r n f; do
  if [ -h "$f" ]; then f=$(readlink -f "$f"); fi
  if [ -n "$f" ] && [ -r "$f" ]; then set -- "$@" "n=$n" "f=${f#"$R"}" "$f"; fi
done
awk '/^[ \t]*([#;]|$)/{next}
    {i=index($0,"=");if(!i)next;k=substr($0,1,i-1);v=substr($0,i+1);gsub(/^[ \t]+|[ \t]+$/,"",k);gsub(/^[ \t]+|[ \t\r]+$/,"",v);gsub(/[ \t]+/," ",v)
      if(k!~/[ \t]/)print "set " n " " f " " FNR " " k " " v}' "$@"; }"""


@dataclass
class _Seen:
    """What the read told; keys with slashes."""

    running: dict[str, str] = field(default_factory=dict)
    fixed: set[str] = field(default_factory=set)
    """Those that cannot be written here."""
    lines: list[tuple[str, str, str, str, str]] = field(default_factory=list)
    """Name that it is sorted by (`-`: read after all), file, number, key as it is spelled, value."""


class Sysctl:
    """sysctl: `want` maps keys to integers or words; a part of a key may be `*`."""

    name = "sysctl"
    library = ()

    def check(self, item: Item) -> None:
        """Raises FixError."""
        want = item.want
        if not isinstance(want, dict) or not want or not all(_KEY.fullmatch(str(key)) for key in want):
            raise FixError("fix.want: write {net.ipv4.tcp_syncookies: 1}")
        for key, value in want.items():
            if isinstance(value, bool) or not _VALUE.fullmatch(str(value)):
                raise FixError(f"fix.want.{key}: {value!r} is no number or words")

    def read(self, item: Item, facts: Facts) -> str:
        """`run KEY VALUE`, `fixed KEY` for one that cannot be written here, `set NAME FILE NUMBER KEY VALUE`."""
        del facts
        lines = [
            f'for p in "$R"/proc/sys/{str(key).replace(".", "/")}; do\n'
            # not by `read`, which takes a byte at a time: the kernel gives no more than the first
            '  [ -e "$p" ] && v=$(cat "$p" 2>/dev/null) || continue\n'
            "  case $v in *[!A-Za-z0-9_.-]*) v=$(set -f; echo $v) ;; esac\n"
            '  k=${p#"$R/proc/sys/"}; echo "run $k $v"; [ -w "$p" ] || echo "fixed $k"\ndone'
            for key in item.want
        ]
        return "\n".join([*lines, _FILES, ":"])

    def plan(self, item: Item, answer: Answer, facts: Facts) -> tuple[Step, ...] | Skip:
        """One step a key whose running value, or whose value at boot, differs."""
        del facts
        seen = _seen(answer.text)
        steps: list[Step] = []
        fixed: list[str] = []
        for key, wanted in _expanded(item, seen):
            late, at_boot = _at_boot(key, wanted, seen)
            if seen.running[key] == wanted and at_boot == wanted and not late:
                continue
            if seen.running[key] != wanted and key in seen.fixed:
                fixed.append(_dotted(key))
                continue
            steps.append(_step(item, key, wanted, at_boot, late, seen))
        told = f"此处不可写（容器与宿主机共用内核）：{'、'.join(fixed)}" if fixed else ""
        if fixed and not steps:
            return Skip(Why.UNSUPPORTED, told)
        if not seen.running:
            return Skip(Why.UNSUPPORTED, "内核没有这些参数")
        return tuple(steps) if not told else tuple(_noted(step, told) for step in steps)


def _seen(text: str) -> _Seen:
    seen = _Seen()
    for line in text.splitlines():
        match line.split(" ", 5):
            case ["run", key, *value] if _SEEN.fullmatch(key):
                seen.running[key] = " ".join(value).strip()
            case ["fixed", key]:
                seen.fixed.add(key)
            case ["set", name, file, number, key, value] if _FILE.fullmatch(file) and _SPELLED.fullmatch(key):
                seen.lines.append((name, file, number, key, value.strip()))
    return seen


def _expanded(item: Item, seen: _Seen) -> Iterator[tuple[str, str]]:
    """Every key that is there, with the value that it should have; the later entry of `want` counts."""
    found = {}
    for key, value in item.want.items():
        pattern = re.compile(re.escape(str(key).replace(".", "/")).replace(r"\*", "[^/]+"))
        fits = [each for each in seen.running if pattern.fullmatch(each)]
        found.update({each: str(value) for each in fits if "*" not in str(key) or not _FLEETING.search(each)})
    return iter(found.items())


def _slashed(spelled: str) -> str:
    """A key as the kernel's folder has it: where its first separator is a slash, its dots are dots."""
    bare = spelled.removeprefix("-")
    if "/" in bare and ("." not in bare or bare.index("/") < bare.index(".")):
        return bare
    return bare.translate(str.maketrans("./", "/."))


def _dotted(key: str) -> str:
    return key if "." in key else key.replace("/", ".")


def _at_boot(key: str, wanted: str, seen: _Seen) -> tuple[list[tuple[str, str, str, str, str]], str]:
    """(lines read after ours that say otherwise, the value after a restart, as far as files tell: else `wanted`)."""
    mine = [line for line in seen.lines if _slashed(line[3]) == key]
    late = [line for line in mine if (line[0] == "-" or line[0] > PATH.rpartition("/")[2]) and line[4] != wanted]
    early = [line for line in mine if line[0] != "-"]
    if early:
        return late, early[-1][4]
    for _, _, _, spelled, value in reversed(seen.lines):
        if "*" in spelled and not spelled.startswith("-"):
            pattern = re.escape(_slashed(spelled)).replace(r"\*", "[^/]*")
            if re.fullmatch(pattern, key):
                return late, value
    return late, wanted


def _step(
    item: Item, key: str, wanted: str, at_boot: str, late: list[tuple[str, str, str, str, str]], seen: _Seen
) -> Step:
    name = _dotted(key)
    now = seen.running[key]
    writes = [f"e_key {PATH} ' = ' {quote(name)} {quote(wanted)}"]
    files = [PATH]
    for _, file, _, spelled, _ in late:
        writes.append(f"e_drop {quote(file)} {quote(spelled)}")
        files.append(file)
    if now != wanted:
        writes.append(f"sysctl -q -w {quote(f'{name}={wanted}')}")
    where = next((f"{line[1]}:{line[2]}" for line in reversed(seen.lines) if _slashed(line[3]) == key), "运行值")
    return Step(
        "sysctl",
        "system",
        name,
        now if now != wanted or at_boot == wanted else f"{now}（重启后 {at_boot}）",
        wanted,
        " &&\n".join(writes),
        handles=(*(Handle("file", (file,)) for file in dict.fromkeys(files)), Handle("sysctl", (name,))),
        source=where,
        risk=item.risk,
        note="、".join(f"{line[1]}:{line[2]} 的 {line[3]} 改为注释" for line in late),
    )


def _noted(step: Step, text: str) -> Step:
    return replace(step, note="；".join(part for part in (step.note, text) if part))


RESOURCES = (Sysctl(),)
